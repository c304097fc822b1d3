import Graph
import Runtime

/// A part of a module: what some values need, given others. It runs like any module.
struct Segment {
  /// Values that must be given, in order.
  let inputs: [ValueID]
  /// Values that it makes, in order.
  let outputs: [ValueID]
  private let session: Session

  /// The nodes that `wanted` need beyond `known`. Inputs of the module count as known.
  init(_ module: Module, from known: Set<ValueID>, to wanted: [ValueID], source: NamedModel?, threads: Int) {
    var needed = Set(wanted.filter { !known.contains($0) })
    var given: [ValueID] = []
    var seen: Set<ValueID> = []
    func need(_ value: ValueID) {
      if known.contains(value) {
        if seen.insert(value).inserted { given.append(value) }
      } else {
        needed.insert(value)
      }
    }
    var nodes: [Node] = []
    for node in module.nodes.reversed() where node.outputs.contains(where: { $0.map(needed.contains) ?? false }) {
      nodes.append(node)
      for case let input? in node.inputs { need(input) }
      for capture in node.captures { need(capture) }
    }
    var part = module
    part.nodes = nodes.reversed()
    part.parameters = module.parameters.filter { needed.contains($0.value) }
    part.inputs = given
    let made = wanted.filter { !known.contains($0) }
    part.outputs = made
    inputs = given
    outputs = made
    session = Session(part, source: source, threads: threads)
  }

  /// The values it makes from values it is given; `given` may hold more than it needs.
  func run(_ given: [ValueID: Tensor]) throws(Diagnostic) -> [ValueID: Tensor] {
    let results = try session.run(inputs.map { given[$0].map { .tensor($0) } ?? .absent })
    var made: [ValueID: Tensor] = [:]
    for (value, result) in zip(outputs, results) { made[value] = result.tensor }
    return made
  }
}

extension Module {
  /// Values that are made, or given, up to a node (included) and read after it, or returned.
  func alive(after node: Int) -> [ValueID] {
    let parameters = Set(parameters.map(\.value))
    var made = Set(inputs)
    for node in nodes[...node] { for case let output? in node.outputs { made.insert(output) } }
    var read = Set(outputs)
    for node in nodes[(node + 1)...] {
      for case let input? in node.inputs { read.insert(input) }
      for capture in node.captures { read.insert(capture) }
    }
    return made.intersection(read).subtracting(parameters).sorted()
  }
}
