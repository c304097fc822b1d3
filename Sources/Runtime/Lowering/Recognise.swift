import Graph

extension Lowering {
  /// Activations that exporters write in pieces.
  ///
  ///     %e = erf (mul %x, 0.7071);  %y = mul (mul %x, (add %e, 1)), 0.5     becomes     %y = gelu %x
  ///     %s = sigmoid %x;            %y = mul %x, %s                         becomes     %y = swish %x
  static let recogniseActivations = LoweringPass(name: "recognise-activations", summary: "gelu, swish and hard swish in pieces") {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard let output = node.outputs.first.flatMap({ $0 }), rewriter.element(output) == .f32,
        let (values, scale) = rewriter.factors(node), values.count == 2
      else { return nil }
      for (x, gate) in [(values[0], values[1]), (values[1], values[0])] {
        if let (function, attributes) = activation(x, gate, scale, rewriter), rewriter.shape(x) == rewriter.shape(output) {
          return [rewriter.node(.elementwise(function), [x], output, for: node, attributes)]
        }
      }
      return nil
    }
  }

  private static func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-4 * abs(b) }

  /// The function that x · gate · scale is.
  private static func activation(
    _ x: ValueID, _ gate: ValueID, _ scale: Double, _ rewriter: Rewriter
  ) -> (Elementwise, [Attributes.Entry])? {
    if let sigmoid = rewriter.maker(gate, .elementwise(.sigmoid)), scale == 1, let inner = sigmoid.inputs[0] {
      if inner == x { return (.swish, []) }
      let (values, slope) = rewriter.factors(inner)
      return values == [x] ? (.swish, [.init(.alpha, .float(Float(slope)))]) : nil
    }
    if let hard = rewriter.maker(gate, .elementwise(.hardSigmoid)), scale == 1, hard.inputs[0] == x,
      isNear(Double(hard.attributes.float(.alpha) ?? 0.2), 1.0 / 6), hard.attributes.float(.beta) ?? 0.5 == 0.5
    {
      return (.hardSwish, [])
    }
    if let clip = rewriter.maker(gate, .elementwise(.clip)), isNear(scale, 1.0 / 6), clip.inputs.count == 3,
      rewriter.scalar(clip.inputs[1]) == 0, rewriter.scalar(clip.inputs[2]) == 6,
      let sum = rewriter.maker(clip.inputs[0], .elementwise(.add)),
      let (number, other) = rewriter.split(sum, { rewriter.scalar($0) == 3 }), other == x, number != x
    {
      return (.hardSwish, [])
    }
    // x · (1 + f(…)) / 2
    guard isNear(scale, 0.5), let sum = rewriter.maker(gate, .elementwise(.add)),
      let (_, curve) = rewriter.split(sum, { rewriter.scalar($0) == 1 })
    else { return nil }
    if let erf = rewriter.maker(curve, .elementwise(.erf)), let inner = erf.inputs[0] {
      let (values, slope) = rewriter.factors(inner)
      return values == [x] && isNear(slope, 0.5.squareRoot()) ? (.gelu, []) : nil
    }
    // √(2/π) · (x + 0.044715 · x³)
    guard let tanh = rewriter.maker(curve, .elementwise(.tanh)), let inner = tanh.inputs[0] else { return nil }
    let (values, slope) = rewriter.factors(inner)
    guard values.count == 1, isNear(slope, 0.7978845608), let cubic = rewriter.maker(values[0], .elementwise(.add)),
      let (_, term) = rewriter.split(cubic, { $0 == x })
    else { return nil }
    let (powers, weight) = rewriter.factors(term)
    guard isNear(weight, 0.044715) else { return nil }
    let isCube: Bool
    if powers.count == 1, let power = rewriter.maker(powers[0], .elementwise(.pow)) {
      isCube = power.inputs[0] == x && rewriter.scalar(power.inputs[1]) == 3
    } else {
      isCube = powers == [x, x, x]
    }
    return isCube ? (.gelu, [.init(.approximate, .string("tanh"))]) : nil
  }

  /// Layer and root-mean-square normalisation that exporters write in pieces.
  ///
  ///     %d = sub %x, (reduce_mean %x);  %v = reduce_mean (pow %d, 2)
  ///     %y = div %d, (sqrt (add %v, eps))                               becomes     %y = layer_norm %x, 〈1〉
  ///     %z = mul %y, 〈scale〉;  %o = add %z, 〈bias〉                     becomes     %o = layer_norm %x, 〈scale〉, 〈bias〉
  static let recogniseNorms = LoweringPass(name: "recognise-norms", summary: "layer and rms normalisation in pieces") {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard let output = node.outputs.first.flatMap({ $0 }), rewriter.element(output) == .f32,
        let shape = rewriter.shape(output), let width = shape.last, width > 1
      else { return nil }
      if let (numerator, spread) = quotient(node, rewriter), let (x, squared, epsilon) = spreadParts(spread, rewriter),
        x == numerator, rewriter.shape(x) == shape
      {
        let ones = rewriter.constant(like: output, Array(repeating: 1, count: width), [width])
        let common: [Attributes.Entry] = [.init(.axis, .int(-1)), .init(.epsilon, .float(Float(epsilon)))]
        if let centred = rewriter.maker(squared, .elementwise(.sub)), let source = centred.inputs[0],
          lastMean(centred.inputs[1], rewriter) == source
        {
          return [rewriter.node(.normalisation(.layerNorm), [source, ones], output, for: node, common)]
        }
        return [rewriter.node(.normalisation(.rmsNorm), [x, ones], output, for: node, common)]
      }
      return affine(node, output, width, &rewriter)
    }
  }

  /// a / b, also as a · (1 / b).
  private static func quotient(_ node: Node, _ rewriter: Rewriter) -> (ValueID, ValueID)? {
    guard node.inputs.count == 2, let a = node.inputs[0], let b = node.inputs[1] else { return nil }
    if case .elementwise(.div) = node.operation { return (a, b) }
    guard case .elementwise(.mul) = node.operation else { return nil }
    for (x, y) in [(a, b), (b, a)] {
      if let inverse = rewriter.maker(y, .elementwise(.reciprocal)), let inner = inverse.inputs[0] { return (x, inner) }
      if let inverse = rewriter.maker(y, .elementwise(.div)), rewriter.scalar(inverse.inputs[0]) == 1,
        let inner = inverse.inputs[1]
      {
        return (x, inner)
      }
    }
    return nil
  }

  /// √(mean(x²) + ε) over the last axis: x as it is read, the value squared, and ε.
  private static func spreadParts(_ value: ValueID, _ rewriter: Rewriter) -> (ValueID, ValueID, Double)? {
    guard let root = rewriter.maker(value, .elementwise(.sqrt)), let sum = rewriter.maker(root.inputs[0], .elementwise(.add)),
      let (number, mean) = rewriter.split(sum, { rewriter.scalar($0) != nil }), let epsilon = rewriter.scalar(number),
      let square = lastMean(mean, rewriter)
    else { return nil }
    if let power = rewriter.maker(square, .elementwise(.pow)), rewriter.scalar(power.inputs[1]) == 2, let x = power.inputs[0] {
      return (x, x, epsilon)
    }
    if let product = rewriter.maker(square, .elementwise(.mul)), let x = product.inputs[0], product.inputs[1] == x {
      return (x, x, epsilon)
    }
    return nil
  }

  /// What a value is the mean of over the last axis, kept as an axis of one.
  private static func lastMean(_ value: ValueID?, _ rewriter: Rewriter) -> ValueID? {
    guard let node = rewriter.maker(value, .reduction(.reduceMean)), let source = node.inputs[0],
      let shape = rewriter.shape(source), let result = rewriter.shape(value), result == Array(shape.dropLast()) + [1]
    else { return nil }
    let axes =
      node.inputs.count > 1 && node.inputs[1] != nil ? rewriter.constant(node.inputs[1])?.wholes : node.attributes.ints(.axes)
    return axes == [-1] || axes == [shape.count - 1] ? source : nil
  }

  /// A factor or a summand per number of a normalised row becomes the norm's own.
  private static func affine(_ node: Node, _ output: ValueID, _ width: Int, _ rewriter: inout Rewriter) -> [Node]? {
    guard let (given, other) = rewriter.split(node, { rewriter.constant($0)?.shape == [width] }), rewriter.isReadOnce(other),
      let numbers = rewriter.constant(given)?.reals
    else { return nil }
    let isCentred = rewriter.maker(other, .normalisation(.layerNorm)) != nil
    guard let norm = rewriter.maker(other, .normalisation(isCentred ? .layerNorm : .rmsNorm)),
      norm.attributes.int(.axis) == -1, let scale = rewriter.constant(norm.inputs[1])?.reals, scale.count == width
    else { return nil }
    var changed = norm
    changed.outputs = [output]
    if case .elementwise(.mul) = node.operation {
      changed.inputs[1] = rewriter.constant(like: output, zip(scale, numbers).map { $0 * $1 }, [width])
      if norm.inputs.count > 2, let bias = norm.inputs[2] {
        guard let summands = rewriter.constant(bias)?.reals else { return nil }
        changed.inputs[2] = rewriter.constant(like: output, zip(summands, numbers).map { $0 * $1 }, [width])
      }
      return [changed]
    }
    guard case .elementwise(.add) = node.operation, isCentred, norm.inputs.count == 2 else { return nil }
    changed.inputs.append(given)
    return [changed]
  }
}
