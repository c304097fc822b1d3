import Foundation

/// Arithmetic on single known numbers, as the operators of `Elementwise` do it. Real numbers come out rounded to the element type, bit for
/// bit what ONNX computes; what would not is unknown. Symbols flow as polynomials; where the result is none, it is a symbol named by its
/// own text, or unknown.
struct KnownArithmetic {
  typealias Entry = KnownValue.Entry

  let operation: Elementwise
  /// Element type of the operands.
  let source: ElementType
  /// Element type of the result.
  let element: ElementType
  /// Remainders have the sign of the dividend (`fmod`).
  let truncates: Bool
  /// Whether the second and third operand are given.
  var hasBounds = (true, true)

  /// The result for one entry of each operand.
  func entry(_ operands: [Entry]) -> Entry {
    guard let a = operands.first else { return .unknown }
    let b = operands.count > 1 ? operands[1] : .unknown
    switch operation {
    case .identity: return a
    case .cast, .castLike: return cast(a)
    case .abs: return unary(.abs, a)
    case .ceil: return unary(.ceil, a)
    case .floor: return unary(.floor, a)
    case .neg: return unary(.neg, a)
    case .reciprocal: return unary(.reciprocal, a)
    case .relu: return unary(.relu, a)
    case .round: return unary(.round, a)
    case .sign: return unary(.sign, a)
    case .sqrt: return unary(.sqrt, a)
    case .not: return truth(a).map { truth(!$0) } ?? .unknown
    case .bitwiseNot:
      guard let x = a.whole?.constant, element.isInteger else { return .unknown }
      return whole(Extent(~x))
    case .add: return binary(.add, a, b)
    case .sub: return binary(.sub, a, b)
    case .mul: return binary(.mul, a, b)
    case .div: return binary(.div, a, b)
    case .mod: return binary(.mod, a, b)
    case .pow: return binary(.pow, a, b)
    case .sum: return operands.dropFirst().reduce(a) { binary(.add, $0, $1) }
    case .max: return operands.dropFirst().reduce(a) { larger($0, $1) }
    case .min: return operands.dropFirst().reduce(a) { smaller($0, $1) }
    case .clip:
      var result = a
      if hasBounds.0 { result = larger(result, b) }
      if hasBounds.1, operands.count > 2 { result = smaller(result, operands[2]) }
      return result
    case .equal: return equal(a, b)
    case .less: return isLess(a, b).map(truth) ?? .unknown
    case .greater: return isLess(b, a).map(truth) ?? .unknown
    case .lessOrEqual: return isLess(b, a).map { truth(!$0) } ?? .unknown
    case .greaterOrEqual: return isLess(a, b).map { truth(!$0) } ?? .unknown
    case .and:
      if truth(a) == false || truth(b) == false { return truth(false) }
      return truth(a) == true && truth(b) == true ? truth(true) : .unknown
    case .or:
      if truth(a) == true || truth(b) == true { return truth(true) }
      return truth(a) == false && truth(b) == false ? truth(false) : .unknown
    case .xor:
      guard let x = truth(a), let y = truth(b) else { return .unknown }
      return truth(x != y)
    case .bitwiseAnd: return bits(a, b) { $0 & $1 }
    case .bitwiseOr: return bits(a, b) { $0 | $1 }
    case .bitwiseXor: return bits(a, b) { $0 ^ $1 }
    case .choose:
      guard operands.count == 3 else { return .unknown }
      guard let condition = truth(a) else { return operands[1] == operands[2] ? operands[1] : .unknown }
      return condition ? operands[1] : operands[2]
    case .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitShift, .celu, .cos, .cosh, .dropout, .elu, .erf, .exp, .gelu,
      .hardSigmoid,
      .hardSwish, .isInfinite, .isNaN, .leakyRelu, .log, .mean, .mish, .prelu, .quantisedAdd, .quantisedMul, .quantisedLeakyRelu,
      .quantisedSigmoid, .quantisedWhere, .selu, .shrink, .sigmoid, .sin, .sinh, .softplus,
      .softsign, .swish, .tan, .tanh, .thresholdedRelu, .biasGelu, .fastGelu, .microsoftGelu, .quickGelu:
      return .unknown
    }
  }

  // MARK: - Results

  private func truth(_ value: Bool) -> Entry { .whole(value ? 1 : 0) }

  private func truth(_ entry: Entry) -> Bool? { entry.whole?.constant.map { $0 != 0 } }

  /// A whole number of the result's type; unknown where it does not fit.
  private func whole(_ extent: Extent) -> Entry {
    guard let number = extent.constant else { return .whole(extent) }
    if element.isFloat { return real(Double(number)) }
    return fits(number) ? .whole(extent) : .unknown
  }

  private func fits(_ number: Int) -> Bool {
    switch element {
    case .i64: true
    case .u64: number >= 0
    case .bool: number == 0 || number == 1
    case .i8, .i16, .i32, .i4, .i2:
      element.bits.map { number >= -(1 << ($0 - 1)) && number < 1 << ($0 - 1) } ?? false
    case .u8, .u16, .u32, .u4, .u2: element.bits.map { number >= 0 && number < 1 << $0 } ?? false
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .string, .unknown:
      false
    }
  }

  /// A real number rounded to the result's type. Of one operation on numbers of that type in double precision, this is the same as
  /// rounding once.
  private func real(_ number: Double) -> Entry {
    let rounded: Double
    switch element {
    case .f64: rounded = number
    case .f32: rounded = Double(Float(number))
    case .f16: rounded = Double(HalfPrecision.float(binary16: HalfPrecision.binary16(Float(number))))
    case .bf16: rounded = Double(HalfPrecision.float(bfloat16: HalfPrecision.bfloat16(Float(number))))
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2,
      .f8e5m2fnuz,
      .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return .unknown
    }
    return rounded.isNaN ? .unknown : .real(rounded)
  }

  private func bits(_ a: Entry, _ b: Entry, _ combine: (Int, Int) -> Int) -> Entry {
    guard element.isInteger, let x = a.whole?.constant, let y = b.whole?.constant else { return .unknown }
    return whole(Extent(combine(x, y)))
  }

  // MARK: - One operand

  private enum Unary { case abs, ceil, floor, neg, reciprocal, relu, round, sign, sqrt }

  private func cast(_ a: Entry) -> Entry {
    switch a {
    case .unknown: return .unknown
    case .whole(let extent):
      if element == .bool {
        if Extent(0).isLess(than: extent) == true { return truth(true) }
        return extent.constant.map { truth($0 != 0) } ?? .unknown
      }
      return element.isFloat || element.isInteger ? whole(extent) : .unknown
    case .real(let number):
      if element.isFloat { return real(number) }
      if element == .bool { return truth(number != 0) }
      guard element.isInteger, let number = Int(exactly: number.rounded(.towardZero)) else { return .unknown }
      return whole(Extent(number))
    }
  }

  private func unary(_ operation: Unary, _ a: Entry) -> Entry {
    if source.isFloat, let x = a.number {
      switch operation {
      case .abs: return real(abs(x))
      case .ceil: return real(x.rounded(.up))
      case .floor: return real(x.rounded(.down))
      case .neg: return real(-x)
      case .reciprocal: return real(1 / x)
      case .relu: return real(max(x, 0))
      case .round: return real(x.rounded(.toNearestOrEven))
      case .sign: return real(x > 0 ? 1 : x < 0 ? -1 : 0)
      case .sqrt: return real(x.squareRoot())
      }
    }
    guard let x = a.whole else { return .unknown }
    let isNegative = x.isLess(than: 0)
    switch operation {
    case .ceil, .floor, .round: return a
    case .neg: return whole(Extent(0) - x)
    case .abs: return isNegative.map { $0 ? whole(Extent(0) - x) : a } ?? .unknown
    case .relu: return isNegative.map { $0 ? whole(0) : a } ?? .unknown
    case .sign:
      if isNegative == true { return whole(-1) }
      if Extent(0).isLess(than: x) == true { return whole(1) }
      return x == Extent(0) ? whole(0) : .unknown
    case .reciprocal, .sqrt: return .unknown
    }
  }

  // MARK: - Two operands

  private enum Binary { case add, sub, mul, div, mod, pow }

  private func binary(_ operation: Binary, _ a: Entry, _ b: Entry) -> Entry {
    if element.isFloat, let x = a.number, let y = b.number { return real(operation, x, y) }
    if operation == .mul, element.isFloat, let shared = scaled(a, b) ?? scaled(b, a) { return .whole(shared) }
    guard let x = a.exactWhole, let y = b.exactWhole else { return .unknown }
    switch operation {
    case .add: return whole(x + y)
    case .sub: return whole(x - y)
    case .mul: return whole(x * y)
    case .div:
      if let exact = x.dividedExactly(by: y) { return whole(exact) }
      guard element.isInteger else { return .unknown }
      if let x = x.constant, let y = y.constant { return y == 0 ? .unknown : whole(Extent(x / y)) }
      return isNatural(x) && isPositive(y) ? whole(x.floorDivided(by: y)) : .unknown
    case .mod:
      if x.dividedExactly(by: y) != nil { return whole(0) }
      if let x = x.constant, let y = y.constant {
        guard y != 0 else { return .unknown }
        let rest = x % y
        return whole(Extent(!truncates && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest))
      }
      return isNatural(x) && isPositive(y) ? .whole(.function("mod", x, "%", y)) : .unknown
    case .pow:
      guard let exponent = y.constant, (0...64).contains(exponent), x.isConstant || exponent <= 4 else { return .unknown }
      let power = (0..<exponent).reduce(Extent(1)) { product, _ in product * x }
      return x.isConstant && !power.isConstant ? .unknown : whole(power)
    }
  }

  private func real(_ operation: Binary, _ x: Double, _ y: Double) -> Entry {
    switch operation {
    case .add: return real(x + y)
    case .sub: return real(x - y)
    case .mul: return real(x * y)
    case .div: return real(x / y)
    case .mod: return truncates ? real(x.truncatingRemainder(dividingBy: y)) : .unknown
    case .pow:
      if y == 2 { return real(x * x) }
      // Libraries may differ in the last bit of a power; what is computed in two ways alike is taken for certain.
      let power = Foundation.pow(x, y)
      return element != .f32 || Float(power) == Foundation.pow(Float(x), Float(y)) ? real(power) : .unknown
    }
  }

  /// A symbolic length times 1/n where n divides it.
  private func scaled(_ symbol: Entry, _ factor: Entry) -> Extent? {
    guard case .real(let factor) = factor, let length = symbol.whole, !length.isConstant, factor > 0, factor < 1,
      let divisor = Int(exactly: 1 / factor), 1 / Double(divisor) == factor
    else { return nil }
    return length.dividedExactly(by: Extent(divisor))
  }

  private func isNatural(_ extent: Extent) -> Bool { extent.isLess(than: 0) == false }

  private func isPositive(_ extent: Extent) -> Bool { Extent(0).isLess(than: extent) == true }

  private func larger(_ a: Entry, _ b: Entry) -> Entry {
    if a == b { return a }
    if element.isFloat, let x = a.number, let y = b.number { return real(max(x, y)) }
    guard let x = a.exactWhole, let y = b.exactWhole else { return .unknown }
    return isBelow(x, y).map { $0 ? b : a } ?? named("max", x, y)
  }

  private func smaller(_ a: Entry, _ b: Entry) -> Entry {
    if a == b { return a }
    if element.isFloat, let x = a.number, let y = b.number { return real(min(x, y)) }
    guard let x = a.exactWhole, let y = b.exactWhole else { return .unknown }
    return isBelow(x, y).map { $0 ? a : b } ?? named("min", x, y)
  }

  /// True when x ≤ y, false when x ≥ y, nil when it depends.
  private func isBelow(_ x: Extent, _ y: Extent) -> Bool? {
    if let less = x.isLess(than: y) { return less }
    return y.isLess(than: x).map { !$0 }
  }

  /// The same symbol whichever operand comes first.
  private func named(_ name: String, _ x: Extent, _ y: Extent) -> Entry {
    let ordered = [x, y].sorted { "\($0)" < "\($1)" }
    return .whole(.function(name, ordered[0], ",", ordered[1]))
  }

  private func equal(_ a: Entry, _ b: Entry) -> Entry {
    if let x = a.number, let y = b.number, source.isFloat { return truth(x == y) }
    guard let x = a.exactWhole, let y = b.exactWhole else { return .unknown }
    if x == y { return truth(true) }
    if x.isConstant, y.isConstant { return truth(false) }
    return x.isLess(than: y) == true || y.isLess(than: x) == true ? truth(false) : .unknown
  }

  private func isLess(_ a: Entry, _ b: Entry) -> Bool? {
    if let x = a.number, let y = b.number, source.isFloat { return x < y }
    guard let x = a.exactWhole, let y = b.exactWhole else { return nil }
    return x.isLess(than: y)
  }
}
