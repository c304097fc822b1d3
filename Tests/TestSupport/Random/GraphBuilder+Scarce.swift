import Graph

/// Operators that hardly any model has.
extension GraphBuilder {
  /// One of them over a sequence [batch, positions, width]; keeps the shape.
  mutating func scarceSequence(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let isStatic = extent(of: x, 0).isConstant && extent(of: x, 1).isConstant
    switch dice.int(0...17) {
    case 0: return try bits(x)
    case 1 where !isJudged:
      let hidden = try linear(x, dice.int(3...6), "in")
      let rounded = try apply(dice.pick([.floor, .ceil, .round, .sign, .shrink, .acosh]), hidden)
      return try linear(try add(.elementwise(.mod), [rounded, real(3)], [.int(.fmod, 1)]), width, "out")
    case 2: return try routed(x)
    case 3: return try compressed(x)
    case 4 where !isJudged: return try distinct(x)
    case 5:
      let hidden = try linear(x, dice.int(3...5), "in")
      let kernel = weight("square", [try extent(hidden, 2), try extent(hidden, 2)])
      return try linear(try matMul(hidden, try apply(.add, kernel, try add(.generation(.eyeLike), [kernel]))), width, "out")
    case 6 where !isJudged: return try noisy(x)
    case 7 where !isJudged, 8 where !isJudged: return try quantisedProduct(x)
    case 9 where !isJudged, 10 where !isJudged: return try packedNumbers(x)
    case 11:
      let hidden = try linear(x, dice.int(3...6), "in")
      let scale = weight("norm.weight", [try extent(hidden, 2)], mean: 1)
      return try linear(try add(.normalisation(.simplifiedLayerNorm), [hidden, scale], [.int(.axis, -1)]), width, "out")
    case 12 where !isJudged:
      // Mixed by a Fourier transform of the positions.
      let hidden = try unsqueeze(try linear(x, dice.int(3...6), "in"), [3])
      let operands = [hidden] + (opset >= 20 ? [nil, whole(1)] : [])
      let both = try add(.pooling(.dft), operands, opset >= 20 ? [] : [.int(.axis, 1)])
      return try linear(try reduce(.reduceL2, both, [3], keep: false), width, "out")
    case 13:
      let hidden = try linear(x, dice.int(3...6), "in")
      let isOdd = try apply(dice.pick([.isNaN, .isInfinite]), hidden)
      return try linear(try apply(.choose, isOdd, real(0), try apply(.sinh, try apply(.tanh, hidden))), width, "out")
    case 14:
      let hidden = try apply(.sigmoid, try linear(x, dice.int(3...6), "in"))
      return try apply(.mul, x, try reduce(dice.pick([.reduceProd, .reduceLogSum]), hidden, [2], keep: true))
    case 15:
      let hidden = try linear(x, dice.int(3...6), "in")
      let count = try add(.elementwise(.cast), [try add(.generation(.size), [hidden])], [.int(.to, 1)])
      return try linear(try apply(.div, hidden, count), width, "out")
    case 16 where isStatic: return try groupedQueries(x)
    default: return try trainedNorm(x)
    }
  }

  /// One of them over an image; keeps batch, channels and size.
  mutating func scarceImage(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    let (height, width) = (try extent(x, 2), try extent(x, 3))
    switch dice.int(0...3) {
    case 0 where !isJudged: return try quantisedConvolution(x)
    case 1 where opset >= 20:
      // Warped as the image itself says.
      guard let batch = extent(of: x, 0).constant else { return try conv(x, channels, kernel: 1, "flat") }
      let mean = try reduce(.reduceMean, x, [2, 3], keep: false)
      let turns = try reshape(try apply(.tanh, try linear(mean, 6, "warp")), [Extent(batch), 2, 3])
      let grid = try add(.pooling(.affineGrid), [turns, wholes([batch, channels, height, width])])
      return try add(.pooling(.gridSample), [x, grid], [.string(.mode, "linear")])
    case 2 where opset >= 19 && !isJudged:
      let offsets = try conv(x, 18, kernel: 3, "offsets")
      let kernel = weight("deform.weight", [channels, channels, 3, 3], spread: 0.2)
      return try add(
        .convolution(.deformConv), [x, kernel, offsets, weight("deform.bias", [channels])], [.ints(.pads, [1, 1, 1, 1])])
    case 3 where !isJudged && extent(of: x, 0).isConstant:
      let regions = parameter("regions", TensorData([0, 0, 0, 2, 2, 1, 1, 0, 2, 1] as [Float]), .f32, [2, 5])
      return try add(.pooling(.maxRoiPool), [x, regions], [.ints(.pooledShape, [height, width])])
    default: return try integerConvolution(x)
    }
  }

  /// Positions taken apart as bits.
  private mutating func bits(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let nearest = try add(.reduction(.argMin), [try linear(x, 4, "codes")], [.int(.axis, -1)])
    let code = try add(.elementwise(.cast), [nearest], [.int(.to, 12)])
    let mask = parameter("mask", TensorData([UInt32(1)]), .u32, [])
    let bit = try apply(dice.pick([.bitwiseAnd, .bitwiseOr, .bitwiseXor]), code, mask)
    let number = try add(
      .elementwise(.cast), [try add(.elementwise(.bitShift), [bit, mask], [.string(.direction, "LEFT")])], [.int(.to, 1)])
    return try apply(.add, x, try apply(.mul, number, weight("scale", [try extent(x, -1)], spread: 0.2)))
  }

  /// Only positions that a score chooses go through a layer, and come back to their places.
  private mutating func routed(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(3...6), "in")
    let score = try squeeze(try linear(x, 1, "score"), [2])
    let places = try transpose(try add(.indexing(.nonZero), [try apply(.greater, score, real(-100))]), [1, 0])
    let rows = try add(.indexing(.gatherND), [hidden, places])
    let done = try activation(try matMul(rows, weight("round.weight", [try extent(hidden, 2), try extent(hidden, 2)])))
    return try linear(try add(.indexing(.scatterND), [hidden, places, done]), try extent(x, -1), "out")
  }

  private mutating func compressed(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, 4, "in")
    let taken = parameter("taken", TensorData([UInt8(1), 0, 1, 1]), .bool, [4])
    return try linear(try add(.indexing(.compress), [hidden, taken], [.int(.axis, 2)]), try extent(x, -1), "out")
  }

  private mutating func distinct(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let nearest = try add(.reduction(.argMax), [try linear(x, 4, "codes")], [.int(.axis, -1), .int(.keepDims, 0)])
    let table = weight("codes.table", [4, try extent(x, -1)])
    let rows = try add(.indexing(.gather), [table, try add(.indexing(.unique), [nearest])], [.int(.axis, 0)])
    return try apply(.add, x, try reduce(.reduceMean, rows, [0], keep: true))
  }

  private mutating func noisy(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(3...6), "in")
    let noise: ValueID
    switch dice.int(0...3) {
    case 0: noise = try add(.generation(.randomNormalLike), [hidden])
    case 1: noise = try add(.generation(.randomUniformLike), [hidden])
    case 2: noise = try add(.generation(.bernoulli), [try apply(.sigmoid, hidden)])
    default:
      noise = try add(.generation(dice.pick([.randomNormal, .randomUniform])), [], [.ints(.shape, [try extent(hidden, 2)])])
    }
    return try linear(try apply(.add, hidden, noise), try extent(x, -1), "out")
  }

  /// A number, or one per unit, around which eight bits lie.
  private mutating func zeroPoint(_ name: String, _ shape: [Int], around: Int, signed: Bool = false) -> ValueID {
    let count = shape.reduce(1, *)
    if signed { return parameter(name, TensorData((0..<count).map { _ in Int8(dice.int(-3...3)) }), .i8, shape) }
    return parameter(name, TensorData([UInt8](repeating: UInt8(around), count: count)), .u8, shape)
  }

  /// A product of quantised numbers with a quantised result.
  private mutating func quantisedProduct(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (width, hidden) = (try extent(x, -1), dice.int(3...6))
    let (scale, zero) = (real(0.03), zeroPoint("in.zero", [], around: 128))
    let stored = try add(.quantisation(.quantizeLinear), [x, scale, zero])
    let kernel = parameter(
      "int8.weight", TensorData((0..<width * hidden).map { _ in Int8(dice.int(-30...30)) }), .i8, [width, hidden])
    let perColumn = dice.chance(0.5)
    let operands = [
      stored, scale, zero, kernel, weight("int8.scale", perColumn ? [hidden] : [], mean: 0.02, spread: 0.01),
      zeroPoint("int8.zero", perColumn ? [hidden] : [], around: 0, signed: true), real(0.05),
      zeroPoint("out.zero", [], around: 120),
    ]
    let result = try add(.matrixProduct(.quantisedMatMul), operands)
    return try linear(try add(.quantisation(.dequantizeLinear), [result, operands[6], operands[7]]), width, "out")
  }

  private mutating func quantisedConvolution(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (channels, groups) = (try extent(x, 1), dice.int(1...2))
    let hidden = groups * dice.int(2...3)
    let (scale, zero) = (real(0.03), zeroPoint("in.zero", [], around: 128))
    let stored = try add(.quantisation(.quantizeLinear), [try conv(x, 2 * groups, kernel: 1, "in"), scale, zero])
    let kernel = parameter(
      "int8.weight", TensorData((0..<2 * hidden).map { _ in Int8(dice.int(-30...30)) }), .i8, [hidden, 2, 1, 1])
    let perChannel = dice.chance(0.5)
    let bias = parameter("int8.bias", TensorData((0..<hidden).map { _ in Int32(dice.int(-50...50)) }), .i32, [hidden])
    let operands = [
      stored, scale, zero, kernel, weight("int8.scale", perChannel ? [hidden] : [], mean: 0.02, spread: 0.01),
      parameter("int8.zero", TensorData([Int8](repeating: 0, count: perChannel ? hidden : 1)), .i8, perChannel ? [hidden] : []),
      real(0.05), zeroPoint("out.zero", [], around: 120),
    ]
    let result = try add(
      .convolution(.quantisedConv), operands + (dice.chance(0.5) ? [bias] : []), groups > 1 ? [.int(.group, groups)] : [])
    return try conv(try add(.quantisation(.dequantizeLinear), [result, operands[6], operands[7]]), channels, kernel: 1, "out")
  }

  /// Four-bit numbers, two to a byte, in blocks of rows with a scale each.
  private mutating func packedNumbers(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (size, blocks, out) = (16, dice.int(1...3), dice.int(3...8))
    let hidden = try linear(x, size * blocks, "in")
    let stored = parameter(
      "packed.weight", TensorData((0..<out * blocks * size / 2).map { _ in UInt8(dice.int(0...255)) }), .u8,
      [out, blocks, size / 2])
    let scale = weight("packed.scale", dice.chance(0.5) ? [out, blocks] : [out * blocks], mean: 0.05, spread: 0.02)
    let result = try add(
      .matrixProduct(.matMulNBits), [hidden, stored, scale],
      [.int(.packedContracted, size * blocks), .int(.packedResults, out), .int(.bits, 4), .int(.blockSize, size)])
    return try linear(result, try extent(x, -1), "out")
  }

  /// Grouped queries in one operator.
  private mutating func groupedQueries(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (batch, count) = (try extent(x, 0), try extent(x, 1))
    let (groups, times, size) = (dice.int(1...2), dice.int(1...2), 8)
    let key = try linear(x, groups * size, "k")
    let value = try linear(x, groups * size, "v")
    let lengths = parameter("lengths", TensorData([Int32](repeating: Int32(count - 1), count: batch)), .i32, [batch])
    let total = parameter("total", TensorData([Int32(count)]), .i32, [])
    let past = [real(0, [batch, groups, 0, size]), real(0, [batch, groups, 0, size])]
    let results = try add(
      .attention(.groupQueryAttention),
      [try linear(x, groups * times * size, "q"), key, value, past[0], past[1], lengths, total],
      [.int(.numHeads, groups * times), .int(.kvNumHeads, groups)], outputs: 3)
    return try linear(results[0], try extent(x, -1), "proj")
  }

  /// A norm of batches that counts them when the model runs: over all other axes.
  private mutating func trainedNorm(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try transpose(try linear(x, dice.int(3...6), "in"), [0, 2, 1])
    let n = try extent(hidden, 1)
    let operands = [
      hidden, weight("norm.weight", [n], mean: 1), weight("norm.bias", [n]), weight("norm.running_mean", [n]),
      weight("norm.running_var", [n], mean: 1),
    ]
    let results = try add(.normalisation(.batchNorm), operands, [.int(.trainingMode, 1)], outputs: 3)
    return try linear(try transpose(results[0], [0, 2, 1]), try extent(x, -1), "out")
  }
}
