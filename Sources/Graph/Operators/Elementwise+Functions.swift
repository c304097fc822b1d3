import Foundation

// MARK: - Real functions of one number

extension Elementwise {
  /// The real function of operators with one operand, attributes applied; what the operator is not defined for is left as it is.
  func realFunction(_ context: EvaluationContext) -> (Double) -> Double {
    switch self {
    case .abs: return { Swift.abs($0) }
    case .acos: return { Foundation.acos($0) }
    case .acosh: return { Foundation.acosh($0) }
    case .asin: return { Foundation.asin($0) }
    case .asinh: return { Foundation.asinh($0) }
    case .atan: return { Foundation.atan($0) }
    case .atanh: return { Foundation.atanh($0) }
    case .ceil: return { $0.rounded(.up) }
    case .cos: return { Foundation.cos($0) }
    case .cosh: return { Foundation.cosh($0) }
    case .erf: return { Foundation.erf($0) }
    case .exp: return { Foundation.exp($0) }
    case .floor: return { $0.rounded(.down) }
    case .log: return { Foundation.log($0) }
    case .neg: return { -$0 }
    case .reciprocal: return { 1 / $0 }
    case .relu: return { $0 < 0 ? 0 : $0 }
    case .round: return { $0.rounded(.toNearestOrEven) }
    case .sigmoid: return Self.sigmoid
    case .sign: return { (x: Double) in x > 0 ? 1 : x < 0 ? -1 : x }
    case .sin: return { Foundation.sin($0) }
    case .sinh: return { Foundation.sinh($0) }
    case .softplus: return Self.softplus
    case .softsign: return Self.softsign
    case .sqrt: return { $0.squareRoot() }
    case .tan: return { Foundation.tan($0) }
    case .tanh: return { Foundation.tanh($0) }
    case .mish: return { Self.mish($0) }
    case .hardSwish: return { Self.hardSwish($0) }
    case .biasGelu, .microsoftGelu: return Self.exactGelu
    case .fastGelu: return Self.tanhGelu
    case .gelu:
      if context.attributes.string(.approximate) == "tanh" { return Self.tanhGelu }
      return Self.exactGelu
    case .celu, .elu, .hardSigmoid, .leakyRelu, .quickGelu, .selu, .shrink, .swish, .thresholdedRelu:
      return scaledFunction(context)
    case .add, .and, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .cast, .castLike, .choose, .clip, .div,
      .dropout, .equal, .greater, .greaterOrEqual, .identity, .isInfinite, .isNaN, .less, .lessOrEqual, .max, .mean, .min, .mod,
      .mul, .not, .or, .pow, .prelu, .sub, .sum, .xor, .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid,
      .quantisedWhere:
      return { $0 }
    }
  }

  /// Functions with attributes.
  private func scaledFunction(_ context: EvaluationContext) -> (Double) -> Double {
    func alpha(_ value: Double) -> Double { context.real(.alpha, default: value) }
    switch self {
    case .celu:
      let alpha = alpha(1)
      return { $0 < 0 ? alpha * expm1($0 / alpha) : $0 }
    case .elu:
      let alpha = alpha(1)
      return { $0 < 0 ? alpha * expm1($0) : $0 }
    case .selu:
      let alpha = alpha(1.67326319217681884765625)
      let gamma = context.real(.gamma, default: 1.05070102214813232421875)
      return { gamma * ($0 > 0 ? $0 : alpha * expm1($0)) }
    case .hardSigmoid:
      let (alpha, beta) = (alpha(0.2), context.real(.beta, default: 0.5))
      return { Self.smaller(Self.larger(alpha * $0 + beta, 0), 1) }
    case .leakyRelu:
      let alpha = alpha(0.01)
      return { $0 < 0 ? alpha * $0 : $0 }
    case .quickGelu:
      let alpha = alpha(1.702)
      return { $0 * Self.sigmoid(alpha * $0) }
    case .swish:
      let alpha = alpha(1)
      return { $0 * Self.sigmoid(alpha * $0) }
    case .thresholdedRelu:
      let alpha = alpha(1)
      return { $0 > alpha ? $0 : 0 }
    case .shrink:
      let (bias, bound) = (context.real(.bias, default: 0), context.real(.lambd, default: 0.5))
      return { $0 < -bound ? $0 + bias : $0 > bound ? $0 - bias : 0 }
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere, .abs, .acos, .acosh, .add, .and,
      .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr,
      .bitwiseXor, .cast, .castLike, .ceil, .clip, .cos, .cosh, .div, .dropout, .equal, .erf, .exp, .floor, .gelu, .greater,
      .greaterOrEqual, .hardSwish, .identity, .isInfinite, .isNaN, .less, .lessOrEqual, .log, .max, .mean, .min, .mish, .mod,
      .mul, .neg, .not, .or, .pow, .prelu, .reciprocal, .relu, .round, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt,
      .sub, .sum, .tan, .tanh, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu:
      return { $0 }
    }
  }

  private static func sigmoid(_ x: Double) -> Double {
    if x >= 0 { return 1 / (1 + Foundation.exp(-x)) }
    let power = Foundation.exp(x)
    return power / (1 + power)
  }

  private static func mish(_ x: Double) -> Double { x * Foundation.tanh(softplus(x)) }

  private static func hardSwish(_ x: Double) -> Double { x * smaller(larger(x / 6 + 0.5, 0), 1) }

  private static func softsign(_ x: Double) -> Double { x / (1 + Swift.abs(x)) }

  private static func softplus(_ x: Double) -> Double { Swift.max(x, 0) + log1p(Foundation.exp(-Swift.abs(x))) }

  private static func exactGelu(_ x: Double) -> Double { 0.5 * x * (1 + Foundation.erf(x * 0.5.squareRoot())) }

  private static func tanhGelu(_ x: Double) -> Double {
    0.5 * x * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  }
}

// MARK: - Functions of two numbers

extension Elementwise {
  /// The larger of two numbers; what is no number wins.
  static func larger(_ a: Double, _ b: Double) -> Double { a.isNaN || a > b ? a : b }

  /// The smaller of two numbers; what is no number wins.
  static func smaller(_ a: Double, _ b: Double) -> Double { a.isNaN || a < b ? a : b }

  /// Arithmetic of two numbers of a type; throws where the attributes name none.
  func pairFunction(_ context: EvaluationContext, _ element: ElementType) throws(Diagnostic) -> PairFunction {
    switch self {
    case .add, .sum, .mean: return PairFunction(real: { $0 + $1 }, whole: { $0 &+ $1 })
    case .sub: return PairFunction(real: { $0 - $1 }, whole: { $0 &- $1 })
    case .mul: return PairFunction(real: { $0 * $1 }, whole: { $0 &* $1 })
    case .div:
      return PairFunction(
        real: { $0 / $1 }, whole: { $1 == 0 ? 0 : $0.dividedReportingOverflow(by: $1).partialValue },
        natural: { $1 == 0 ? 0 : $0 / $1 })
    case .max: return PairFunction(real: Self.larger, whole: { Swift.max($0, $1) }, natural: { Swift.max($0, $1) })
    case .min: return PairFunction(real: Self.smaller, whole: { Swift.min($0, $1) }, natural: { Swift.min($0, $1) })
    case .mod:
      let natural = { (a: UInt, b: UInt) in b == 0 ? 0 : a % b }
      if context.attributes.flag(.fmod) {
        return PairFunction(real: { Foundation.fmod($0, $1) }, whole: Self.remainder, natural: natural)
      }
      return PairFunction(real: Self.floored, whole: Self.floored, natural: natural)
    case .prelu: return PairFunction(real: { $0 < 0 ? $0 * $1 : $0 }, whole: { $0 < 0 ? $0 &* $1 : $0 }, natural: { a, _ in a })
    case .bitwiseAnd: return PairFunction(real: { a, _ in a }, whole: { $0 & $1 })
    case .bitwiseOr: return PairFunction(real: { a, _ in a }, whole: { $0 | $1 })
    case .bitwiseXor: return PairFunction(real: { a, _ in a }, whole: { $0 ^ $1 })
    case .bitShift:
      let direction = context.attributes.string(.direction)
      guard direction == "LEFT" || direction == "RIGHT" else {
        throw context.failure("direction is \(direction ?? "missing"), which is neither LEFT nor RIGHT")
      }
      return Self.shift(left: direction == "LEFT", width: element.bits ?? 64)
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere, .abs, .acos, .acosh, .and, .asin,
      .asinh, .atan, .atanh, .bitwiseNot, .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh,
      .dropout, .elu, .equal, .erf, .exp, .floor, .gelu, .greater, .greaterOrEqual, .hardSigmoid, .hardSwish, .identity,
      .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .mish, .neg, .not, .or, .pow, .reciprocal, .relu, .round, .selu,
      .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan, .tanh, .thresholdedRelu, .choose, .xor,
      .biasGelu, .fastGelu, .microsoftGelu, .quickGelu:
      throw context.unsupported("is no arithmetic of two numbers")
    }
  }

  /// Shifts by the width or more leave nothing, or only the sign; those by less than nothing do the same.
  private static func shift(left: Bool, width: Int) -> PairFunction {
    let whole = { (a: Int, b: Int) -> Int in
      if b < 0 || b >= width { return left || a >= 0 ? 0 : -1 }
      return left ? a << b : a >> b
    }
    let natural = { (a: UInt, b: UInt) -> UInt in b >= UInt(width) ? 0 : left ? a << b : a >> b }
    return PairFunction(real: { a, _ in a }, whole: whole, natural: natural)
  }

  private static func remainder(_ a: Int, _ b: Int) -> Int {
    b == 0 ? 0 : a.remainderReportingOverflow(dividingBy: b).partialValue
  }

  /// The remainder with the sign of the divisor.
  private static func floored(_ a: Int, _ b: Int) -> Int {
    let rest = remainder(a, b)
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
  }

  private static func floored(_ a: Double, _ b: Double) -> Double {
    let rest = Foundation.fmod(a, b)
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
  }

  static func power(_ base: Double, _ exponent: Double) -> Double {
    exponent == 2 ? base * base : Foundation.pow(base, exponent)
  }

  /// A power modulo 2⁶⁴.
  static func power(_ base: Int, _ exponent: UInt) -> Int {
    var (result, square, rest) = (1, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = result &* square }
      square = square &* square
      rest >>= 1
    }
    return result
  }

  /// A power with a negative exponent, cut towards zero; 0 for the base 0, which has none.
  static func inverse(_ base: Int, power: Int) -> Int {
    switch base {
    case 1: 1
    case -1: power & 1 == 0 ? 1 : -1
    case _: 0
    }
  }

  /// The comparison of two numbers.
  func comparison<Number: Comparable>() -> (Number, Number) -> Bool {
    switch self {
    case .greater: { $0 > $1 }
    case .greaterOrEqual: { $0 >= $1 }
    case .less: { $0 < $1 }
    case .lessOrEqual: { $0 <= $1 }
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere, .equal, .abs, .acos, .acosh, .add,
      .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr,
      .bitwiseXor, .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh, .div, .dropout, .elu, .erf, .exp, .floor, .gelu,
      .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .log, .max, .mean, .min, .mish, .mod, .mul, .neg,
      .not,
      .or, .pow, .prelu, .reciprocal, .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt,
      .sub, .sum, .swish, .tan, .tanh, .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu, .quickGelu:
      { $0 == $1 }
    }
  }
}
