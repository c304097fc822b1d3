import Graph

/// Layers as people and exporters write them: many ways to the same thing.
extension GraphBuilder {
  // MARK: weights

  /// A matrix [k, n], perhaps behind operators that make it of a parameter.
  mutating func matrix(_ name: String, _ k: Int, _ n: Int) throws(Diagnostic) -> ValueID {
    let spread = 1.2 / Float(k).squareRoot()
    switch dice.int(0...19) {
    case 0...7: return weight("\(name).weight", [k, n], spread: spread)
    case 8, 9, 10: return try transpose(weight("\(name).weight", [n, k], spread: spread), [1, 0])
    case 11:
      let half = (0..<k * n).map { _ in Float16(dice.real(-spread...spread)).bitPattern }
      let stored = parameter("\(name).weight", TensorData(half), .f16, [k, n])
      return try add(.elementwise(.cast), [stored], [.int(.to, 1)])
    case 12:
      let scale = weight("\(name).scale", dice.pick([[n], [1, n], [k, 1]]), mean: 1, spread: 0.4)
      return try apply(.mul, weight("\(name).weight", [k, n], spread: spread), scale)
    case 13: return try factored(name, k, n, spread)
    case 14: return try joined(name, k, n, spread)
    case 15: return try dequantised(name, k, n)
    case 16:
      let stored = weight("\(name).weight", [k, n], spread: spread)
      return try apply(.sub, stored, try reduce(.reduceMean, stored, [dice.int(0...1)], keep: true))
    case 17:
      let direction = weight("\(name).weight", [k, n], spread: spread)
      let norm = try reduce(.reduceL2, direction, [0], keep: true)
      return try apply(.mul, try apply(.div, direction, norm), weight("\(name).gain", [1, n], mean: 1, spread: 0.4))
    case 18:
      // Low-rank update beside the matrix.
      let rank = dice.int(2...3)
      let update = try matMul(weight("\(name).a", [k, rank], spread: 0.3), weight("\(name).b", [rank, n], spread: 0.3))
      return try apply(.add, weight("\(name).weight", [k, n], spread: spread), update)
    default:
      let stacked = weight("\(name).weight", [2, k, n], spread: spread)
      return try select(stacked, 0, dice.int(0...1))
    }
  }

  /// A matrix stored with its rows or columns in two axes.
  private mutating func factored(_ name: String, _ k: Int, _ n: Int, _ spread: Float) throws(Diagnostic) -> ValueID {
    if let (a, b) = factors(n), dice.chance(0.5) {
      return try reshape(weight("\(name).weight", [k, a, b], spread: spread), [Extent(k), Extent(n)])
    }
    if let (a, b) = factors(k) {
      return try reshape(weight("\(name).weight", [a, b, n], spread: spread), [Extent(k), Extent(n)])
    }
    return try reshape(weight("\(name).weight", [k * n], spread: spread), [Extent(k), Extent(n)])
  }

  private mutating func joined(_ name: String, _ k: Int, _ n: Int, _ spread: Float) throws(Diagnostic) -> ValueID {
    guard n > 1 else { return weight("\(name).weight", [k, n], spread: spread) }
    let cut = dice.int(1...n - 1)
    let parts = [
      weight("\(name).weight_a", [k, cut], spread: spread), weight("\(name).weight_b", [k, n - cut], spread: spread),
    ]
    return try concat(parts, 1)
  }

  /// Eight-bit numbers with a scale for each column, for each row, or for all.
  private mutating func dequantised(_ name: String, _ k: Int, _ n: Int) throws(Diagnostic) -> ValueID {
    let stored = parameter("\(name).weight", TensorData((0..<k * n).map { _ in Int8(dice.int(-40...40)) }), .i8, [k, n])
    let axis = dice.int(0...1)
    let count = axis == 0 ? k : n
    let isWhole = dice.chance(0.2)
    let scale = weight("\(name).scale", isWhole ? [] : [count], mean: 0.02, spread: 0.01)
    let zero =
      dice.chance(0.4)
      ? parameter(
        "\(name).zero", TensorData((0..<(isWhole ? 1 : count)).map { _ in Int8(dice.int(-9...9)) }), .i8, isWhole ? [] : [count])
      : nil
    return try add(
      .quantisation(.dequantizeLinear), [stored, scale] + (zero.map { [$0] } ?? []), isWhole ? [] : [.int(.axis, axis)])
  }

  /// Two factors larger than one, where there are any.
  mutating func factors(_ n: Int) -> (Int, Int)? {
    let options = (2..<max(3, n)).filter { n % $0 == 0 && n / $0 > 1 }
    if options.isEmpty { return nil }
    let a = dice.pick(options)
    return (a, n / a)
  }

  // MARK: linear

  /// A linear layer over the last axis, in one of the ways people write it.
  mutating func linear(_ x: ValueID, _ width: Int, _ name: String, bias: Bool? = nil) throws(Diagnostic) -> ValueID {
    let k = try extent(x, -1)
    let hasBias = bias ?? dice.chance(0.6)
    switch dice.int(0...15) {
    case 0 where rank(x) == 2, 1 where rank(x) == 2, 2 where rank(x) == 2: return try gemm(x, k, width, name, hasBias)
    case 3 where rank(x) == 3:
      // Flattened before, and seen with its axes again behind.
      let flat = try reshape(x, [extent(of: x, 0) * extent(of: x, 1), Extent(k)])
      let result = try gemm(flat, k, width, name, hasBias)
      return try reshape(result, [extent(of: x, 0), extent(of: x, 1), Extent(width)])
    case 4 where rank(x) == 3:
      let swapped = try transpose(x, [0, 2, 1])
      let kernel = weight("\(name).weight", [width, k, 1], spread: 1.2 / Float(k).squareRoot())
      let operands = [swapped, kernel] + (hasBias ? [weight("\(name).bias", [width])] : [])
      return try transpose(try add(.convolution(.conv), operands, [.ints(.kernelShape, [1])]), [0, 2, 1])
    case 5:
      let letters = String("uvwxyz".prefix(rank(x) - 1))
      let kernel = weight("\(name).weight", [k, width], spread: 1.2 / Float(k).squareRoot())
      let front = dice.chance(0.5) ? "..." : letters
      return try biased(try einsum("\(front)k,kn->\(front)n", x, kernel), width, name, hasBias)
    case 6:
      guard let (a, b) = factors(width) else { break }
      let kernel = weight("\(name).weight", [k, a, b], spread: 1.2 / Float(k).squareRoot())
      let result = try einsum("...k,kab->...ab", x, kernel)
      return try biased(try reshape(result, shape(x).dropLast() + [Extent(width)]), width, name, hasBias)
    case 7 where k > 1:
      // A product by parts.
      let cut = dice.int(1...k - 1)
      let parts = try pieces(x, [cut, k - cut], rank(x) - 1)
      let first = try matMul(parts[0], try matrix("\(name).a", cut, width))
      let sum = try apply(.add, first, try matMul(parts[1], try matrix("\(name).b", k - cut, width)))
      return try biased(sum, width, name, hasBias)
    default: break
    }
    return try biased(try matMul(x, try matrix(name, k, width)), width, name, hasBias)
  }

  private mutating func gemm(_ x: ValueID, _ k: Int, _ n: Int, _ name: String, _ hasBias: Bool) throws(Diagnostic) -> ValueID {
    let isTurned = dice.chance(0.6)
    let kernel = weight("\(name).weight", isTurned ? [n, k] : [k, n], spread: 1.2 / Float(k).squareRoot())
    let operands = [x, kernel] + (hasBias ? [weight("\(name).bias", dice.pick([[n], [1, n]]))] : [])
    return try add(.matrixProduct(.gemm), operands, isTurned ? [.int(.transB, 1)] : [])
  }

  private mutating func biased(_ x: ValueID, _ n: Int, _ name: String, _ hasBias: Bool) throws(Diagnostic) -> ValueID {
    guard hasBias else { return x }
    let bias = weight("\(name).bias", dice.pick([[n], [n], [n], [1, n], [1, 1, n].suffix(max(1, rank(x)))].map { Array($0) }))
    return dice.chance(0.3) ? try apply(.add, bias, x) : try apply(.add, x, bias)
  }

  // MARK: activations and norms

  /// An activation that leaves numbers of moderate size.
  mutating func activation(_ x: ValueID, channelAxis: Int = -1) throws(Diagnostic) -> ValueID {
    switch dice.int(0...17) {
    case 0, 1: return try apply(.relu, x)
    case 2: return try apply(.sigmoid, x)
    case 3: return try apply(.tanh, x)
    case 4: return try add(.elementwise(.leakyRelu), [x], [.float(.alpha, 0.1)])
    case 5: return try apply(.elu, x)
    case 6: return try apply(.softplus, x)
    case 7: return try apply(.hardSwish, x)
    case 8: return try apply(.cos, x)
    case 9, 10: return try apply(.mul, x, try apply(.sigmoid, x))
    case 11:
      let inner = try apply(.add, try apply(.erf, try apply(.div, x, real(1.4142135))), real(1))
      return try apply(.mul, try apply(.mul, x, inner), real(0.5))
    case 12: return try apply(.clip, x, real(0), real(6))
    case 13:
      var slope = [Int](repeating: 1, count: channelAxis < 0 ? -channelAxis : rank(x) - channelAxis)
      slope[0] = try extent(x, channelAxis)
      return try apply(.prelu, x, weight("slope", slope, mean: 0.2, spread: 0.2))
    case 14: return opset >= 20 ? try apply(.gelu, x) : try apply(.selu, x)
    case 15: return try apply(.quickGelu, x)
    case 16 where channelAxis == -1: return try apply(.biasGelu, x, weight("bias", [try extent(x, -1)]))
    default: return try apply(.fastGelu, x)
    }
  }

  /// A norm over the last axis.
  mutating func norm(_ x: ValueID, _ name: String) throws(Diagnostic) -> ValueID {
    let n = try extent(x, -1)
    func axis(_ builder: GraphBuilder) -> Int { builder.rank(x) - 1 }
    switch dice.int(0...6) {
    case 0, 1, 2:
      let scale = weight("\(name).weight", [n], mean: 1, spread: 0.3)
      let bias = dice.chance(0.8) ? weight("\(name).bias", [n]) : nil
      return try add(.normalisation(.layerNorm), [x, scale] + (bias.map { [$0] } ?? []), [.float(.epsilon, 1e-5)])
    case 3: return try rootMeanSquare(x, name)
    case 4:
      let last = axis(self)
      let centred = try apply(.sub, x, try reduce(.reduceMean, x, [last], keep: true))
      let variance = try reduce(.reduceMean, try apply(.mul, centred, centred), [last], keep: true)
      let normal = try apply(.div, centred, try apply(.sqrt, try apply(.add, variance, real(1e-5))))
      return try apply(.add, try apply(.mul, normal, weight("\(name).weight", [n], mean: 1)), weight("\(name).bias", [n]))
    case 5 where opset >= 23:
      return try add(.normalisation(.rmsNorm), [x, weight("\(name).weight", [n], mean: 1)], [.float(.epsilon, 1e-5)])
    default: return try add(.normalisation(.lpNorm), [x], [.int(.axis, -1), .int(.p, 2)])
    }
  }

  /// x / √(mean of x² + ε), by single operators.
  mutating func rootMeanSquare(_ x: ValueID, _ name: String) throws(Diagnostic) -> ValueID {
    let squares = try apply(.pow, x, real(2))
    let mean = try reduce(.reduceMean, squares, [dice.chance(0.5) ? -1 : rank(x) - 1], keep: true)
    let root = try apply(.sqrt, try apply(.add, mean, real(1e-5)))
    let normal = dice.chance(0.5) ? try apply(.div, x, root) : try apply(.mul, x, try apply(.reciprocal, root))
    return try apply(.mul, weight("\(name).weight", [try extent(x, -1)], mean: 1), normal)
  }
}
