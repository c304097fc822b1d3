import Graph

extension Lowering {
  /// Writes batch normalisation as what it is when a model runs: a factor and a summand per channel.
  ///
  ///     %y = batch_norm %x, %scale, %bias, %mean, %variance     becomes     %t = mul %x, 〈f〉;  %y = add %t, 〈s〉
  static let expandBatchNorm = LoweringPass(name: "expand-batch-norm", summary: "batch normalisation as a factor and a summand") {
    module throws(Diagnostic) in
    let opset = module.opset
    module = Rewriter.rewrite(module) { rewriter, node in
      guard case .normalisation(.batchNorm) = node.operation, let input = node.inputs[0], let output = node.outputs[0],
        node.outputs.dropFirst().allSatisfy({ $0 == nil }), opset < 14 || !node.attributes.flag(.trainingMode),
        rewriter.element(output) == .f32, let shape = rewriter.shape(input), shape.count > 1,
        let scale = rewriter.constant(node.inputs[1])?.reals, let bias = rewriter.constant(node.inputs[2])?.reals,
        let mean = rewriter.constant(node.inputs[3])?.reals, let variance = rewriter.constant(node.inputs[4])?.reals,
        [scale, bias, mean, variance].allSatisfy({ $0.count == shape[1] })
      else { return nil }
      let epsilon = Double(node.attributes.float(.epsilon) ?? 1e-5)
      let factors = zip(scale, variance).map { $0 / ($1 + epsilon).squareRoot() }
      let summands = zip(zip(bias, mean), factors).map { $0.0 - $0.1 * $1 }
      let list = [shape[1]] + Array(repeating: 1, count: shape.count - 2)
      let product = rewriter.value(like: output, .f32, shape)
      return [
        rewriter.node(
          .elementwise(.mul), [input, rewriter.constant(like: output, factors, list)], product, for: node),
        rewriter.node(
          .elementwise(.add), [product, rewriter.constant(like: output, summands, list)], output, for: node),
      ]
    }
  }

  /// Takes factors and summands per channel into the weights and the bias of the convolution or matrix product before them.
  ///
  ///     %t = conv %x, %w, %b;  %y = mul %t, 〈f〉     becomes     %y = conv %x, 〈f · w〉, 〈f · b〉
  static let foldScales = LoweringPass(name: "fold-scales", summary: "factors and summands per channel become part of weights") {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard let output = node.outputs.first.flatMap({ $0 }),
        let (given, other) = rewriter.split(node, { rewriter.isConstant($0) }), rewriter.isReadOnce(other),
        rewriter.element(other) == .f32, rewriter.shape(other) == rewriter.shape(output)
      else { return nil }
      switch node.operation {
      case .elementwise(.mul):
        if let product = WeightedProduct(other, rewriter), let numbers = product.numbers(given, rewriter) {
          return product.scaled(by: numbers, &rewriter, output, node)
        }
        // (product + bias) · factor
        guard let sum = rewriter.maker(other, .elementwise(.add)),
          let (bias, inner) = rewriter.split(sum, { rewriter.isConstant($0) }), rewriter.isReadOnce(inner),
          let product = WeightedProduct(inner, rewriter), let factors = product.numbers(given, rewriter),
          let summands = product.numbers(bias, rewriter)
        else { return nil }
        let scaled = rewriter.value(like: output, .f32, product.shape)
        guard let nodes = product.scaled(by: factors, &rewriter, scaled, node) else { return nil }
        let list = rewriter.constant(like: output, zip(summands, factors).map { $0 * $1 }, product.listShape)
        return nodes + [rewriter.node(.elementwise(.add), [scaled, list], output, for: node)]
      case .elementwise(.add):
        guard let product = WeightedProduct(other, rewriter), product.isConvolution,
          let numbers = product.numbers(given, rewriter)
        else { return nil }
        return product.shifted(by: numbers, &rewriter, output, node)
      case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
        .recurrence, .attention, .quantisation, .generation, .opaque:
        return nil
      }
    }
  }
}

/// A convolution or matrix product with constant weights.
private struct WeightedProduct {
  let node: Node
  let weight: Tensor
  let bias: [Double]?
  /// The shape of the result, and the axis of its channels.
  let shape: [Int]
  let axis: Int
  /// Which axis of the weight makes the channels.
  let weightAxis: Int
  let isConvolution: Bool

  /// A list with one number per channel, as it broadcasts against the result.
  var listShape: [Int] { [shape[axis]] + Array(repeating: 1, count: shape.count - 1 - axis) }

  init?(_ value: ValueID, _ rewriter: Rewriter) {
    guard let shape = rewriter.shape(value), !shape.isEmpty else { return nil }
    self.shape = shape
    if let node = rewriter.maker(value, .convolution(.conv)) {
      (self.node, axis, weightAxis, isConvolution) = (node, 1, 0, true)
    } else if let node = rewriter.maker(value, .convolution(.convTranspose)) {
      (self.node, axis, weightAxis, isConvolution) = (node, 1, 1, true)
    } else if let node = rewriter.maker(value, .matrixProduct(.matMul)) {
      (self.node, axis, weightAxis, isConvolution) = (node, shape.count - 1, 1, false)
    } else if let node = rewriter.maker(value, .matrixProduct(.gemm)) {
      (self.node, axis, weightAxis, isConvolution) = (node, 1, node.attributes.flag(.transB) ? 0 : 1, false)
      guard node.inputs.count < 3 || node.inputs[2] == nil || node.attributes.float(.beta) ?? 1 == 1 else { return nil }
    } else {
      return nil
    }
    guard let weight = rewriter.constant(node.inputs[1]), weight.element == .f32, isConvolution || weight.rank == 2,
      shape.indices.contains(axis), weight.shape[weightAxis] == shape[axis]
    else { return nil }
    self.weight = weight
    if node.inputs.count > 2, let given = node.inputs[2] {
      guard let numbers = rewriter.constant(given)?.reals, numbers.count == shape[axis] else { return nil }
      bias = numbers
    } else {
      bias = nil
    }
  }

  /// A constant as one number per channel; nil where it is something else.
  func numbers(_ value: ValueID, _ rewriter: Rewriter) -> [Double]? {
    guard let tensor = rewriter.constant(value), tensor.element == .f32 else { return nil }
    if tensor.count == 1, let number = tensor.scalarReal { return Array(repeating: number, count: shape[axis]) }
    let own = Array(repeating: 1, count: max(0, shape.count - tensor.rank)) + tensor.shape
    guard own.count == shape.count, own.indices.allSatisfy({ own[$0] == ($0 == axis ? shape[$0] : 1) }) else { return nil }
    return tensor.reals
  }

  func scaled(by factors: [Double], _ rewriter: inout Rewriter, _ output: ValueID, _ root: Node) -> [Node]? {
    var numbers = weight.reals
    let inner = weight.shape[(weightAxis + 1)...].reduce(1, *)
    guard inner > 0, !factors.isEmpty else { return nil }
    for at in numbers.indices { numbers[at] *= factors[at / inner % factors.count] }
    var inputs = node.inputs
    inputs[1] = rewriter.constant(like: output, numbers, weight.shape)
    if let bias { inputs[2] = rewriter.constant(like: output, zip(bias, factors).map { $0 * $1 }, [bias.count]) }
    return [copy(inputs, output, root)]
  }

  func shifted(by summands: [Double], _ rewriter: inout Rewriter, _ output: ValueID, _ root: Node) -> [Node]? {
    let total = bias.map { zip($0, summands).map { $0 + $1 } } ?? summands
    let inputs = Array(node.inputs.prefix(2)) + [rewriter.constant(like: output, total, [total.count])]
    return [copy(inputs, output, root)]
  }

  private func copy(_ inputs: [ValueID?], _ output: ValueID, _ root: Node) -> Node {
    Node(
      node.operation, inputs: inputs, outputs: [output], attributes: node.attributes, name: node.name, position: root.position)
  }
}
