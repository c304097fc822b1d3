import Graph

extension Lowering {
  /// Computes what does not depend on the inputs.
  ///
  ///     %s = sqrt 〈64.0〉;  %y = div %x, %s     becomes     %y = div %x, 〈8.0〉
  ///
  /// Random numbers, opaque nodes, and results much larger than what they are made of are left to the run.
  static let foldConstants = LoweringPass(name: "fold-constants", summary: "compute what does not depend on the inputs") {
    module throws(Diagnostic) in
    var constants = module.constants()
    var random = SplitMix(seed: 0)
    for node in module.nodes {
      guard isFoldable(node), node.inputs.allSatisfy({ $0.map { constants[$0] != nil } ?? true }) else { continue }
      let inputs = node.inputs.map { input in input.flatMap { constants[$0] }.flatMap { Tensor($0) } }
      guard zip(node.inputs, inputs).allSatisfy({ ($0 == nil) == ($1 == nil) }) else { continue }
      let read = inputs.reduce(0) { $0 + ($1?.data.count ?? 0) }
      let made = node.outputs.reduce(0) { total, output in
        total + (output.flatMap { module[$0].type.staticShape.flatMap(Tensor.count) } ?? Int.max >> 8) * 8
      }
      guard made <= max(1 << 23, 4 * read) else { continue }
      // What cannot be computed now fails, or not, when it runs.
      guard let results = try? Evaluation.run(node, opsets: module.opsets, inputs: inputs, label: "", random: &random) else {
        continue
      }
      for (output, result) in zip(node.outputs, results) {
        guard let output, let result else { continue }
        constants[output] = result.content
        module[output].type = result.type
        module.parameters.append(Parameter(value: output, content: result.content))
      }
    }
    module.removeDead()
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
