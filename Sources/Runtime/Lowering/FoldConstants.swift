import Graph

extension Lowering {
  /// Computes what does not depend on the inputs.
  ///
  ///     %s = sqrt 〈64.0〉;  %y = div %x, %s     becomes     %y = div %x, 〈8.0〉
  ///
  /// Random numbers, opaque nodes, and results much larger than what they are made of are left to the run. Large casts and transposes of
  /// weights are computed when they are first read, and take no memory before and between.
  static let foldConstants = LoweringPass(name: "fold-constants", summary: "compute what does not depend on the inputs") {
    module throws(Diagnostic) in
    for index in module.parameters.indices {
      module.parameters[index].content = module.parameters[index].content.gatheredWhenRead
    }
    var constants = module.constants()
    var random = SplitMix(seed: 0)
    // What large constants were cast from.
    var narrow: [ValueID: Tensor] = [:]
    func add(_ result: Tensor, _ output: ValueID) {
      constants[output] = result.content
      module[output].type = result.type
      module.parameters.append(Parameter(value: output, content: result.content))
    }
    for node in module.nodes {
      guard isFoldable(node), node.inputs.allSatisfy({ $0.map { constants[$0] != nil } ?? true }) else { continue }
      let inputs = node.inputs.map { input in input.flatMap { constants[$0] }.flatMap { Tensor($0) } }
      guard zip(node.inputs, inputs).allSatisfy({ ($0 == nil) == ($1 == nil) }) else { continue }
      let read = inputs.reduce(0) { $0 + ($1?.data.count ?? 0) }
      let made = node.outputs.reduce(0) { total, output in
        total + (output.flatMap { module[$0].type.staticShape.flatMap(Tensor.count) } ?? Int.max >> 8) * 8
      }
      guard made <= max(1 << 23, 4 * read) else { continue }
      if let source = node.inputs.first.flatMap({ $0 }), let output = node.outputs.first.flatMap({ $0 }),
        let result = turned(node, narrow[source]) ?? Tensor.lazyResult(of: node, inputs: inputs),
        result.data.count > leastLazyBytes
      {
        if case .elementwise(.cast) = node.operation { narrow[output] = inputs[0] }
        add(result, output)
        continue
      }
      // What cannot be computed now fails, or not, when it runs.
      guard let results = try? Evaluation.run(node, opsets: module.opsets, inputs: inputs, label: "", random: &random) else {
        continue
      }
      for case let input? in inputs where input.data.count > leastLazyBytes { input.data.rest() }
      for (output, result) in zip(node.outputs, results) {
        if let output, let result { add(result, output) }
      }
    }
    module.removeDead()
  }

  /// Smaller results are computed at once.
  private static let leastLazyBytes = 1 << 16

  /// The result of a node that turns over a matrix which was cast, made from the matrix before that; nil for other nodes.
  private static func turned(_ node: Node, _ source: Tensor?) -> Tensor? {
    guard case .reshaping(.transpose) = node.operation, node.attributes.ints(.perm) ?? [1, 0] == [1, 0] else { return nil }
    return source?.lazilyWidenedAndTransposed
  }

  private static func isFoldable(_ node: Node) -> Bool {
    switch node.operation {
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .attention, .quantisation, .recurrence:
      true
    case .generation(let generation):
      switch generation {
      case .constantOfShape, .eyeLike, .range, .shape, .size: true
      case .bernoulli, .multinomial, .randomNormal, .randomNormalLike, .randomUniform, .randomUniformLike: false
      }
    case .opaque: false
    }
  }
}
