import Graph

/// One step of a program: a kernel bound to its operands.
struct Step: Sendable {
  /// What it does, for people: `conv + add + relu`.
  let name: String
  /// Name of the node that leads, or of the value that is copied.
  let label: String
  /// Nodes of the lowered graph that it carries out, the last one being its place among the others; none for a copy.
  let nodes: [Int]
  /// Multiply-adds.
  let multiplyAdds: Double
  /// Does it.
  let run: Action

  /// How a step is carried out.
  enum Action: Sendable {
    /// By a kernel over the program's buffers.
    case kernel(@Sendable (Frame) throws(Diagnostic) -> Void)
    /// By the plain evaluation of the node.
    case plain
  }
}

/// Where a value lies.
enum Storage: Sendable {
  /// In a buffer.
  case buffer(Placement)
  /// Its shape depends on data: it is a tensor made during the run.
  case made
}

/// Numbers that never change, as a kernel wants them: packed, or in another order of axes.
struct Constant: Sendable {
  /// The buffer that they are.
  let buffer: Int
  /// Steps from the first to the last that reads them.
  var uses: ClosedRange<Int>
  /// What they are made from.
  let source: TensorData
  /// Makes them.
  let make: @Sendable () -> TensorData
}

/// A lowered graph with a kernel for every step and a place for every value: what a run carries out, for one set of input shapes.
struct Program: Sendable {
  let module: Module
  let steps: [Step]
  /// By value; nil for values that no step touches.
  let storage: [Storage?]
  /// Row-major copies of values that were made in another order, as the plain evaluation and the caller want them.
  let rows: [ValueID: Operand]
  let places: [MemoryPlan.Place]
  let constants: [Constant]
  let arenaBytes: Int
  let leastArenaBytes: Int
  let scratchBytes: Int
  /// Steps after which values made during the run are let go.
  let released: [[ValueID]]
}
