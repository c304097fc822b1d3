import Graph

/// Operators that few models have.
extension GraphBuilder {
  /// Something rare over a sequence [batch, positions, width]; keeps the shape.
  mutating func rareSequence(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let isStatic = extent(of: x, 0).isConstant && extent(of: x, 1).isConstant
    switch dice.int(0...21) {
    case 0: return try pickedUnits(x)
    case 1: return try sparseGates(x)
    case 2: return try lowerTriangle(x)
    case 3 where isStatic && !isJudged:
      let lengths = wholes((0..<(try extent(x, 0))).map { _ in dice.int(1...2) })
      return try add(
        .indexing(.reverseSequence), [try linear(x, width, "in"), lengths], [.int(.timeAxis, 1), .int(.batchAxis, 0)])
    case 4:
      let kernel = weight("fused.weight", [dice.int(3...6), width])
      let hidden = try add(.matrixProduct(.fusedMatMul), [x, kernel], [.int(.transB, 1), .float(.alpha, 0.5)])
      return try linear(try activation(hidden), width, "out")
    case 5: return try integerProduct(x)
    case 6: return try requantised(x)
    case 7 where opset >= 21: return try blockScaled(x)
    case 8, 9: return try rotaryOperator(x, isStatic: isStatic)
    case 10: return try packedAttention(x)
    case 11: return try arithmeticOfPositions(x)
    case 12, 13: return try truths(x)
    case 14:
      let operands = [x, try linear(x, width, "other"), weight("const_row", [width])]
      return try add(.elementwise(dice.pick([.max, .min, .mean, .sum])), Array(operands.prefix(dice.int(2...3))).map { $0 })
    case 15: return try zerosBeside(x)
    case 16: return try meanByShape(x)
    case 17 where !extent(of: x, 1).isConstant || width >= 2: return try determinant(x)
    case 18:
      let hidden = try linear(x, dice.int(3...6), "in")
      return try linear(try unary(hidden), width, "out")
    case 19:
      let hidden = try linear(x, dice.int(3...6), "in")
      let size = try reduce(dice.pick([.reduceL1, .reduceSumSquare, .reduceLogSumExp, .reduceMin]), hidden, [2], keep: true)
      return try linear(try apply(.div, hidden, try apply(.add, try apply(.abs, size), real(1))), width, "out")
    case 20:
      let hidden = try linear(x, dice.int(3...6), "in")
      return try linear(try add(.normalisation(dice.pick([.logSoftmax, .hardmax])), [hidden], [.int(.axis, -1)]), width, "out")
    default: return try volumes(x)
    }
  }

  /// Something rare over an image; keeps batch and channels, and mostly the size.
  mutating func rareImage(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    let (height, width) = (try extent(x, 2), try extent(x, 3))
    let isStatic = extent(of: x, 0).isConstant
    switch dice.int(0...9) {
    case 0 where isStatic:
      let grid = weight("grid", [try extent(x, 0), height, width, 2], spread: 0.9)
      return try add(.pooling(.gridSample), [x, grid], [.string(.mode, opset >= 20 ? "linear" : "bilinear")])
    case 1 where isStatic && (!isJudged || opset < 22):
      let regions = parameter("regions", TensorData([0, 0, 2, 2, 1, 0, 2, 1] as [Float]), .f32, [2, 4])
      let attributes: [Attributes.Entry] = [.int(.outputHeight, height), .int(.outputWidth, width), .int(.samplingRatio, 2)]
      return try add(.pooling(.roiAlign), [x, regions, wholes([0, 1])], attributes)
    case 2 where height % 2 == 0 && width % 2 == 0 && !isJudged:
      let attributes: [Attributes.Entry] = [.ints(.kernelShape, [2, 2]), .ints(.strides, [2, 2])]
      let pooled = try add(.pooling(.maxPool), [x], attributes, outputs: 2)
      let up = try add(.pooling(.maxUnpool), pooled, attributes)
      return try apply(.add, up, x)
    case 3 where !isJudged || opset < 22:
      let mean = try add(.pooling(.globalLpPool), [x], [.int(.p, 2)])
      return try apply(.mul, x, try apply(.sigmoid, mean))
    case 4:
      return try add(.pooling(.lpPool), [x], [.ints(.kernelShape, [3, 3]), .ints(.pads, [1, 1, 1, 1]), .int(.p, 2)])
    case 5 where !isJudged:
      return try add(.normalisation(.meanVarianceNorm), [x], [.ints(.axes, dice.pick([[0, 2, 3], [2, 3], [1, 2, 3]]))])
    case 6: return try integerConvolution(x)
    case 7 where !isJudged:
      let kernel = weight("fused.weight", [channels, channels, 1, 1])
      return try add(.convolution(.fusedConv), [x, kernel, weight("fused.bias", [channels])], [.string(.activation, "Relu")])
    case 8: return try stackedConvolution(x)
    default:
      // A volume of one slice.
      let volume = try unsqueeze(x, [2])
      let kernel = weight("volume.weight", [channels, channels, 1, 3, 3], spread: 0.2)
      let result = try add(.convolution(.conv), [volume, kernel], [.ints(.pads, [0, 1, 1, 0, 1, 1])])
      return try squeeze(result, [2])
    }
  }

  /// The largest units, and what stands at their places elsewhere.
  private mutating func pickedUnits(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let count = dice.int(3...6)
    let best = try add(.reduction(.topK), [try linear(x, count, "scores"), wholes([2])], [.int(.axis, -1)], outputs: 2)
    let other = try linear(x, count, "other")
    let picked = try add(.indexing(.gatherElements), [other, best[1]], [.int(.axis, 2)])
    return try linear(try apply(.mul, picked, best[0]), try extent(x, -1), "out")
  }

  /// Gates that are zero but for the largest.
  private mutating func sparseGates(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let count = dice.int(3...6)
    let scores = try linear(x, count, "scores")
    let best = try add(.reduction(.topK), [scores, wholes([2])], [.int(.axis, -1)], outputs: 2)
    let zeros: ValueID
    if dice.chance(0.5) {
      zeros = try add(.generation(.constantOfShape), [try add(.generation(.shape), [scores])])
    } else {
      zeros = try apply(.sub, scores, scores)
    }
    let gates = try add(.indexing(.scatterElements), [zeros, best[1], try softmax(best[0], -1)], [.int(.axis, 2)])
    let units = try activation(try linear(x, count, "units"))
    return try linear(try apply(.mul, gates, units), try extent(x, -1), "out")
  }

  /// Products of positions with those before them.
  private mutating func lowerTriangle(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let size = dice.int(2...4)
    let (a, b) = (try linear(x, size, "a"), try linear(x, size, "b"))
    let lower = try add(.indexing(.trilu), [try matMul(a, try turned(b))], [.int(.upper, 0)])
    return try matMul(lower, try linear(x, try extent(x, -1), "value"))
  }

  /// A product of eight-bit numbers, quantised when the model runs.
  private mutating func integerProduct(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (width, hidden) = (try extent(x, -1), dice.int(3...6))
    let parts = try add(.quantisation(.dynamicQuantizeLinear), [x], outputs: 3)
    let kernel = parameter(
      "int8.weight", TensorData((0..<width * hidden).map { _ in Int8(dice.int(-30...30)) }), .i8, [width, hidden])
    let zero =
      dice.chance(0.5)
      ? parameter("int8.zero", TensorData([Int8](repeating: 2, count: hidden)), .i8, [hidden])
      : parameter("int8.zero", TensorData([Int8(1)]), .i8, [])
    let sums = try add(.matrixProduct(.matMulInteger), [parts[0], kernel, parts[2], zero])
    let scaled = try apply(
      .mul, try add(.elementwise(.cast), [sums], [.int(.to, 1)]),
      try apply(.mul, parts[1], weight("int8.scale", [hidden], mean: 0.02, spread: 0.01)))
    return try linear(scaled, width, "out")
  }

  mutating func integerConvolution(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (channels, hidden) = (try extent(x, 1), dice.int(3...6))
    let parts = try add(.quantisation(.dynamicQuantizeLinear), [x], outputs: 3)
    let kernel = parameter(
      "int8.weight", TensorData((0..<channels * hidden).map { _ in UInt8(dice.int(100...150)) }), .u8, [hidden, channels, 1, 1])
    let zero = parameter("int8.zero", TensorData([UInt8(128)]), .u8, [])
    let sums = try add(.convolution(.convInteger), [parts[0], kernel, parts[2], zero])
    let scale = try apply(.mul, parts[1], weight("int8.scale", [hidden, 1, 1], mean: 0.02, spread: 0.01))
    return try conv(try apply(.mul, try add(.elementwise(.cast), [sums], [.int(.to, 1)]), scale), channels, kernel: 1, "out")
  }

  /// Quantised and back, by one scale or one per unit.
  private mutating func requantised(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = dice.int(3...6)
    let value = try linear(x, hidden, "in")
    let perUnit = dice.chance(0.5)
    let scale = weight("q.scale", perUnit ? [hidden] : [], mean: 0.03, spread: 0.01)
    let zero = parameter("q.zero", TensorData([Int8](repeating: 3, count: perUnit ? hidden : 1)), .i8, perUnit ? [hidden] : [])
    let attributes: [Attributes.Entry] = perUnit ? [.int(.axis, dice.pick([2, -1]))] : []
    let stored = try add(.quantisation(.quantizeLinear), [value, scale, zero], attributes)
    let back = try add(.quantisation(.dequantizeLinear), [stored, scale, zero], attributes)
    return try linear(back, try extent(x, -1), "out")
  }

  /// A weight with a scale per block of rows.
  private mutating func blockScaled(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (blocks, size, out) = (dice.int(2...3), dice.int(2...3), try extent(x, -1))
    let hidden = try activation(try linear(x, blocks * size, "in"))
    let stored = parameter(
      "blocked.weight", TensorData((0..<blocks * size * out).map { _ in Int8(dice.int(-40...40)) }), .i8, [blocks * size, out])
    let scale = weight("blocked.scale", [blocks, out], mean: 0.02, spread: 0.01)
    let kernel = try add(.quantisation(.dequantizeLinear), [stored, scale], [.int(.axis, 0), .int(.blockSize, size)])
    return try matMul(hidden, kernel)
  }

  /// Rotation by the operator.
  private mutating func rotaryOperator(_ x: ValueID, isStatic: Bool) throws(Diagnostic) -> ValueID {
    let (heads, size, width) = (dice.int(2...3), dice.pick([2, 4]), try extent(x, -1))
    let query = try linear(x, heads * size, "q")
    guard isStatic else { return try linear(query, width, "out") }
    let (batch, count) = (try extent(x, 0), try extent(x, 1))
    let interleaved = Attributes.Entry.int(.interleaved, dice.int(0...1))
    let tables = [weight("cos", [count + 1, size / 2]), weight("sin", [count + 1, size / 2])]
    let positions = wholes((0..<batch * count).map { $0 % count }, [batch, count])
    let turned: ValueID
    if opset >= 23, dice.chance(0.5) {
      turned = try add(
        .attention(.rotaryEmbedding), [query, tables[0], tables[1], positions], [.int(.numHeads, heads), interleaved])
    } else {
      turned = try add(.attention(.microsoftRotaryEmbedding), [query, positions, tables[0], tables[1]], [interleaved])
    }
    return try linear(turned, width, "out")
  }

  /// Query, key and value made inside the operator.
  private mutating func packedAttention(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (heads, size, width) = (dice.int(2...3), dice.pick([2, 4]), try extent(x, -1))
    let kernel = weight("packed.weight", [width, 3 * heads * size])
    let operands = [x, kernel, weight("packed.bias", [3 * heads * size])]
    return try linear(try add(.attention(.microsoftAttention), operands, [.int(.numHeads, heads)]), width, "out")
  }

  /// Positions counted when the model runs.
  private mutating func arithmeticOfPositions(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let range = try add(.generation(.range), [whole(0), try length(x, 1, asList: false), whole(1)])
    let column = try unsqueeze(try add(.elementwise(.cast), [range], [.int(.to, 1)]), [1])
    let angles = try apply(.mul, column, weight("frequencies", [width], spread: 1))
    return try apply(.add, x, try apply(dice.chance(0.5) ? .sin : .cos, angles))
  }

  /// Comparisons, and choices by them.
  private mutating func truths(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = dice.int(3...6)
    let (a, b) = (try linear(x, hidden, "a"), try linear(x, hidden, "b"))
    var mask = try apply(
      dice.pick([.greater, .less, .greaterOrEqual, .lessOrEqual]), a, dice.chance(0.5) ? b : weight("bound", [hidden]))
    if dice.chance(0.5) { mask = try apply(dice.pick([.and, .or, .xor]), mask, try apply(.greater, b, real(0))) }
    if dice.chance(0.5) { mask = try apply(.not, mask) }
    let chosen: ValueID
    switch dice.int(0...2) {
    case 0: chosen = try apply(.choose, mask, a, weight("fill", dice.pick([[hidden], []])))
    case 1: chosen = try apply(.mul, b, try add(.elementwise(.cast), [mask], [.int(.to, 1)]))
    default: chosen = try apply(.choose, mask, a, b)
    }
    return try linear(chosen, try extent(x, -1), "out")
  }

  /// Zeros of the same shape, joined along positions, and a mean that ignores them.
  private mutating func zerosBeside(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(3...6), "in")
    let zeros = try add(.generation(.constantOfShape), [try add(.generation(.shape), [hidden])])
    let longer = try concat(dice.shuffled([hidden, zeros]), 1)
    let sum = try reduce(.reduceSum, longer, [1], keep: true)
    return try linear(try apply(.add, hidden, sum), try extent(x, -1), "out")
  }

  /// A mean written as a sum over a length that a shape says: the length stays what it was.
  private mutating func meanByShape(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(3...6), "in")
    let sum = try reduce(.reduceSum, hidden, [2], keep: true)
    let count = try add(.elementwise(.cast), [try length(hidden, 2, asList: dice.chance(0.5))], [.int(.to, 1)])
    return try linear(try apply(.sub, hidden, try apply(.div, sum, count)), try extent(x, -1), "out")
  }

  /// An operator that prunec does not know: all it touches stays.
  private mutating func determinant(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let squares = try reshape(try linear(x, 4, "squares"), shape(x).dropLast() + [2, 2])
    let number = try opaque("Det", squares, shape: Array(shape(x).dropLast()))
    return try apply(.add, x, try unsqueeze(number, [2]))
  }

  /// One of the functions of one number that are left.
  private mutating func unary(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let bounded = try apply(.tanh, x)
    switch dice.int(0...13) {
    case 0: return try apply(.celu, x)
    case 1: return try apply(.softsign, x)
    case 2: return try apply(.hardSigmoid, x)
    case 3: return try apply(.thresholdedRelu, x)
    case 4: return try apply(.mish, x)
    case 5: return try apply(.exp, bounded)
    case 6: return try apply(.log, try apply(.add, try apply(.abs, x), real(1)))
    case 7: return try apply(dice.pick([.asin, .acos, .atan, .tan, .sinh, .cosh, .asinh]), try apply(.mul, bounded, real(0.9)))
    case 8: return try apply(.microsoftGelu, x)
    case 9: return try apply(.identity, x)
    case 10: return try apply(.dropout, x)
    case 11: return try apply(.castLike, x, real(0))
    case 12: return try apply(.pow, try apply(.add, try apply(.abs, x), real(0.5)), real(0.5))
    default: return try apply(.atanh, try apply(.mul, bounded, real(0.9)))
    }
  }

  /// Width and positions as the places of a convolution whose window is one along the width's factor.
  private mutating func volumes(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (a, b, width) = (dice.int(2...3), dice.int(2...3), try extent(x, -1))
    let view = try reshape(try linear(x, a * b, "in"), shape(x).dropLast() + [Extent(a), Extent(b)])
    let planes = try transpose(view, [0, 3, 2, 1])
    let kernel = weight("planes.weight", [dice.int(2...4), b, 1, 3])
    let mixed = try add(.convolution(.conv), [planes, kernel], [.ints(.pads, [0, 1, 0, 1])])
    let pooled = try add(.pooling(.averagePool), [mixed], [.ints(.kernelShape, [1, 3]), .ints(.pads, [0, 1, 0, 1])])
    let back = try transpose(pooled, [0, 3, 2, 1])
    return try linear(try reshape(back, shape(x).dropLast() + [Extent(a * (try extent(kernel, 0)))]), width, "out")
  }

  /// Channels in two axes, of which one is a place of the convolution.
  private mutating func stackedConvolution(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (a, b, channels) = (dice.int(2...3), dice.int(2...3), try extent(x, 1))
    let pixels = Extent(try extent(x, 2) * (try extent(x, 3)))
    let view = try reshape(try conv(x, a * b, kernel: 1, "in"), [extent(of: x, 0), Extent(a), Extent(b), pixels])
    let mixed = try unit(view, dice.int(2...4), kernel: 1, "stack")
    let joined = try reshape(mixed, [extent(of: x, 0), Extent(try extent(mixed, 1) * b)] + shape(x).suffix(2))
    return try conv(joined, channels, kernel: 1, "out")
  }
}
