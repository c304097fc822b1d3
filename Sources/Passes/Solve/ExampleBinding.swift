import Graph

/// Numbers that hold for the exporter's example only.
///
/// A tracer writes down how many positions a selection by data found on its example (four experts in use, one token each) as constant
/// split sizes or a constant shape. Such a model runs only while every number that decides the selection stays what it was, so nothing
/// may go that feeds it.
///
///     %p = nonzero %mask          : i64[1, ?p]     # decided by data
///     %a, %b = split %p [1, 1]                     # but always two: whatever %mask is computed from is frozen
struct ExampleBinding {
  private let module: Module
  private let inferred: InferredModule

  init(_ module: Module, _ inferred: InferredModule) {
    self.module = module
    self.inferred = inferred
  }

  /// Nodes that need what the example showed, each with the values that decide it. A value is listed once, with its first node.
  func bound() -> [(node: Int, values: [ValueID])] {
    let selections = module.nodes.indices.filter { Self.selectsByData(module.nodes[$0].operation) }
    if selections.isEmpty { return [] }
    let producers = module.producers()
    var seen: Set<ValueID> = []
    var result: [(node: Int, values: [ValueID])] = []
    for (index, node) in module.nodes.enumerated() {
      guard let length = constantLength(node) else { continue }
      let makers = selections.filter { maker in
        module.nodes[maker].outputs.contains { output in
          output.map { output in length.symbols.contains { $0.contains("?\(module[output].name).") } } ?? false
        }
      }
      var values: [ValueID] = []
      var waiting = makers.flatMap { module.nodes[$0].inputs.compactMap(\.self) }
      while let value = waiting.popLast() {
        guard seen.insert(value).inserted else { continue }
        values.append(value)
        guard let producer = producers[value.index] else { continue }
        waiting += module.nodes[producer].inputs.compactMap(\.self) + module.nodes[producer].captures
      }
      if !values.isEmpty { result.append((index, values)) }
    }
    return result
  }

  /// The length, known only when the model runs, that a node takes to be a constant.
  private func constantLength(_ node: Node) -> Extent? {
    guard let input = node.inputs.first ?? nil, inferred.types[input.index].isRanked else { return nil }
    let type = inferred.types[input.index]
    let results = node.outputs.compactMap { $0.map { inferred.types[$0.index] } }
    guard results.allSatisfy({ $0.staticShape != nil }) else { return nil }
    switch node.operation {
    case .joining(.split):
      let axis = node.attributes.int(.axis) ?? 0
      let at = axis < 0 ? axis + type.rank : axis
      guard type.shape.indices.contains(at), type.shape[at].dependsOnData else { return nil }
      return type.shape[at]
    case .reshaping(.reshape):
      return type.elementCount.dependsOnData ? type.elementCount : nil
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence,
      .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  private static func selectsByData(_ operation: Operator) -> Bool {
    guard case .indexing(let indexing) = operation else { return false }
    switch indexing {
    case .nonZero, .compress, .unique, .nonMaxSuppression: return true
    case .gather, .gatherElements, .gatherND, .scatterElements, .scatterND, .oneHot, .trilu, .reverseSequence: return false
    }
  }
}
