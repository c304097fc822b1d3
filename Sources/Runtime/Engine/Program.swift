import Graph

/// One step of a program: a kernel bound to its operands.
struct Step: Sendable {
  /// What it does, for people: `conv + add + relu`.
  let name: String
  /// Nodes of the lowered graph that it carries out, the last one being its place among the others.
  let nodes: [Int]
  /// Multiply-adds.
  let multiplyAdds: Double
  /// Does it.
  let run: Action

  /// How a step is carried out.
  enum Action: Sendable {
    /// By a kernel over the program's buffers.
    case kernel(@Sendable (Frame) -> Void)
    /// By the plain evaluation of the node.
    case plain
  }
}

/// Where a value lies.
enum Storage: Sendable {
  /// In a buffer, row-major.
  case buffer(Operand)
  /// Its shape depends on data: it is a tensor made during the run.
  case made
}

/// A lowered graph with a kernel for every step and a place for every value: what a run carries out, for one set of input shapes.
struct Program: Sendable {
  let module: Module
  let steps: [Step]
  /// By value; nil for values that no step touches.
  let storage: [Storage?]
  let places: [MemoryPlan.Place]
  let constants: [TensorData]
  let arenaBytes: Int
  let leastArenaBytes: Int
  let scratchBytes: Int
  /// Steps after which values made during the run are let go.
  let released: [[ValueID]]
}
