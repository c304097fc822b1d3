/// The length of an axis: a number, or a polynomial in symbols such as `2*seq+1` or `batch*4`.
///
/// Two extents are equal when they are the same polynomial; symbols of different names are never assumed equal.
/// What is no polynomial (`floor(seq/2)`) becomes a symbol named by its own text, so that the same expression is the same symbol.
public struct Extent: Hashable, Sendable {
  /// A product of symbols, in ascending order, with repetition; empty for the constant term.
  typealias Monomial = [String]

  /// The number; 0 where symbols take part.
  private let number: Int
  /// Where symbols take part: at least one monomial with symbols, no zero coefficients.
  private let polynomial: [Monomial: Int]?

  /// A fixed number of indices.
  public init(_ number: Int) {
    self.number = number
    polynomial = nil
  }

  /// A length known only when the model runs, by name.
  public static func symbol(_ name: String) -> Extent { Extent([[name]: 1]) }

  /// The sum of the given terms.
  init(_ terms: [Monomial: Int]) {
    let terms = terms.contains { $0.value == 0 } ? terms.filter { $0.value != 0 } : terms
    if terms.isEmpty {
      (number, polynomial) = (0, nil)
    } else if terms.count == 1, let number = terms[[]] {
      (self.number, polynomial) = (number, nil)
    } else {
      (number, polynomial) = (0, terms)
    }
  }

  /// Coefficients of the polynomial, none of them zero; the number stands under the empty product.
  var terms: [Monomial: Int] {
    polynomial ?? (number == 0 ? [:] : [[]: number])
  }

  /// The number, when no symbol takes part.
  public var constant: Int? { polynomial == nil ? number : nil }

  /// True for a fixed number.
  public var isConstant: Bool { constant != nil }

  /// All symbols that take part, without repetition, in ascending order.
  public var symbols: [String] { Set(terms.keys.joined()).sorted() }

  /// The sum; symbolic on overflow of Int, so that absurd sizes are never equal to real ones.
  public static func + (a: Extent, b: Extent) -> Extent {
    if let x = a.constant, let y = b.constant {
      let (sum, overflow) = x.addingReportingOverflow(y)
      return overflow ? .symbol("overflow(\(x)+\(y))") : Extent(sum)
    }
    var terms = a.terms
    for (monomial, coefficient) in b.terms { terms[monomial] = (terms[monomial] ?? 0) &+ coefficient }
    return Extent(terms)
  }

  /// The difference.
  public static func - (a: Extent, b: Extent) -> Extent { a + b * Extent(-1) }

  /// The product; symbolic on overflow.
  public static func * (a: Extent, b: Extent) -> Extent {
    if let x = a.constant, let y = b.constant {
      let (product, overflow) = x.multipliedReportingOverflow(by: y)
      return overflow ? .symbol("overflow(\(x)*\(y))") : Extent(product)
    }
    if a == Extent(1) { return b }
    if b == Extent(1) { return a }
    guard a.terms.count * b.terms.count <= 1024, a.degree + b.degree <= 32 else {
      return .symbol(shortened("product(\(a)*\(b))"))
    }
    var terms: [Monomial: Int] = [:]
    for (m, x) in a.terms {
      for (n, y) in b.terms { terms[(m + n).sorted(), default: 0] &+= x &* y }
    }
    return Extent(terms)
  }

  /// self / divisor where that leaves no remainder for every value of the symbols; nil otherwise.
  public func dividedExactly(by divisor: Extent) -> Extent? {
    // Apart from 0, only −1 can overflow a division.
    if divisor == Extent(-1) { return Extent(0) - self }
    if let x = constant, let y = divisor.constant {
      return y != 0 && x % y == 0 ? Extent(x / y) : nil
    }
    if self == divisor { return Extent(1) }
    // One division step per leading monomial (longest first) decides for the products that shapes are made of.
    func leading(_ e: Extent) -> (Monomial, Int)? {
      e.terms.max { ($0.key.count, $0.key.joined(separator: "*")) < ($1.key.count, $1.key.joined(separator: "*")) }.map {
        ($0.key, $0.value)
      }
    }
    guard let (bottom, by) = leading(divisor), by != 0 else { return nil }
    var rest = self
    var quotient = Extent(0)
    for _ in 0..<16 {
      guard let (top, coefficient) = leading(rest) else { return quotient }
      var remaining = top
      for symbol in bottom {
        guard let at = remaining.firstIndex(of: symbol) else { return nil }
        remaining.remove(at: at)
      }
      let (share, overflow) = coefficient.dividedReportingOverflow(by: by)
      guard !overflow, share &* by == coefficient else { return nil }
      let step = Extent([remaining: share])
      quotient = quotient + step
      rest = rest - step * divisor
      if rest == Extent(0) { return quotient }
    }
    return nil
  }

  /// Division that rounds towards minus infinity; a symbol of its own where the result is no polynomial.
  ///
  /// By a positive number, equal quotients are spelt alike: what divides stands outside, the fraction is reduced, and its numerator is at
  /// least 0 and as small as can be (`(seq+1)/2` and `(seq-1)/2 + 1` are both `floor((seq-1)/2)+1`).
  public func floorDivided(by divisor: Extent) -> Extent {
    if let exact = dividedExactly(by: divisor) { return exact }
    guard let number = divisor.constant, number > 0 else {
      if let x = constant, let y = divisor.constant, y != 0 { return Extent(x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0)) }
      return .function("floor", self, "/", divisor)
    }
    func floored(_ x: Int, _ y: Int) -> Int { x / y - (x % y != 0 && x < 0 ? 1 : 0) }
    let symbolic = terms.filter { !$0.key.isEmpty }
    let whole = Extent(symbolic.filter { $0.value % number == 0 }.mapValues { $0 / number })
    let rest = symbolic.filter { $0.value % number != 0 }
    let constant = terms[[]] ?? 0
    if rest.isEmpty { return whole + Extent(floored(constant, number)) }
    let common = rest.values.reduce(number, Self.commonDivisor)
    let reduced = rest.mapValues { $0 / common }
    let (lower, offset) = (number / common, floored(constant, common))
    var shift = 0
    if reduced.values.allSatisfy({ $0 > 0 }) {
      shift = floored(reduced.reduce(offset) { $0 &+ (Self.mayBeZero($1.key) ? 0 : $1.value) }, lower)
    }
    let upper = Extent(reduced) + Extent(offset &- shift &* lower)
    return whole + Extent(shift) + .function("floor", upper, "/", Extent(lower))
  }

  private static func commonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a.magnitude, b.magnitude)
    while b != 0 { (a, b) = (b, a % b) }
    return Int(clamping: a)
  }

  /// A symbol is at least 1 (an axis of no indices is no axis one prunes), unless it depends on data or is an expression: at least 0.
  private static func mayBeZero(_ product: Monomial) -> Bool { product.contains { $0.contains("?") || $0.contains("(") } }

  /// An expression that is no polynomial, as a symbol named by its own text: `name(a op b)`.
  public static func function(_ name: String, _ a: Extent, _ op: String, _ b: Extent) -> Extent {
    func text(_ e: Extent) -> String { e.terms.count > 1 ? "(\(e))" : "\(e)" }
    return .symbol(shortened("\(name)(\(text(a))\(op)\(text(b)))"))
  }

  /// Most symbols that one product multiplies.
  private var degree: Int { terms.keys.reduce(0) { max($0, $1.count) } }

  /// A name that stays short however often expressions are put into each other: a digest (64-bit FNV-1a) takes the place of long ones.
  private static func shortened(_ text: String) -> String {
    guard text.utf8.count > 512 else { return text }
    let digest = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return "expression(\(String(digest, radix: 16)))"
  }

  /// True when self < other whatever the symbols stand for, false when self ≥ other, nil when it depends. Symbols are at least 1, those
  /// that depend on data and expressions such as `floor(seq/2)` at least 0.
  public func isLess(than other: Extent) -> Bool? {
    if let x = constant, let y = other.constant { return x < y }
    let difference = (other - self).terms
    let others = difference.filter { !$0.key.isEmpty }
    let nearest = others.reduce(difference[[]] ?? 0) { Self.mayBeZero($1.key) ? $0 : $0 &+ $1.value }
    if others.values.allSatisfy({ $0 > 0 }) && nearest > 0 { return true }
    if others.values.allSatisfy({ $0 < 0 }) && nearest <= 0 { return false }
    return nil
  }

  /// The value when every symbol stands for the number that `value` gives it; nil for an unknown symbol.
  public func evaluated(_ value: (String) -> Int?) -> Int? {
    var sum = 0
    for (monomial, coefficient) in terms {
      var product = coefficient
      for symbol in monomial {
        guard let number = value(symbol) else { return nil }
        product &*= number
      }
      sum &+= product
    }
    return sum
  }
}

extension Extent: ExpressibleByIntegerLiteral {
  /// A fixed number of indices.
  public init(integerLiteral value: Int) { self.init(value) }
}

extension Extent: CustomStringConvertible {
  /// `7`, `batch`, `2*seq+1`: symbols in ascending order, the number last. `init(parsing:)` reads it back.
  public var description: String {
    if let constant { return "\(constant)" }
    var text = ""
    let ordered = terms.sorted { a, b in
      a.key.isEmpty != b.key.isEmpty ? b.key.isEmpty : a.key.lexicographicallyPrecedes(b.key)
    }
    for (monomial, coefficient) in ordered {
      if coefficient < 0 { text += "-" } else if !text.isEmpty { text += "+" }
      let factor = coefficient.magnitude
      let factors = (factor == 1 && !monomial.isEmpty ? [] : ["\(factor)"]) + monomial
      text += factors.joined(separator: "*")
    }
    return text
  }

  /// Reads `description`; also what exporters write as symbolic dimensions (`2*seq + 1`). Nil when the text is no sum of products:
  /// such a name is a symbol of its own (`Extent.symbol`).
  public init?(parsing text: String) {
    var terms: [Monomial: Int] = [:]
    var sign = 1
    var factors: [Substring] = []
    var current = Substring()
    var depth = 0
    func finish() -> Bool {
      factors.append(current)
      var coefficient = sign
      var monomial: Monomial = []
      for factor in factors {
        if let number = Int(factor) {
          coefficient &*= number
        } else if let first = factor.first, first.isLetter || first == "_" || first == "?" {
          monomial.append(String(factor))
        } else {
          return false
        }
      }
      terms[monomial.sorted(), default: 0] &+= coefficient
      return true
    }
    let compact = text.contains(" ") && !text.contains("(") ? text.filter { $0 != " " } : text
    for (at, character) in compact.enumerated() {
      if character == "(" { depth += 1 }
      if character == ")" { depth -= 1 }
      if depth == 0 && (character == "+" || character == "-") {
        if at == 0 { sign = character == "-" ? -1 : 1; continue }
        guard finish() else { return nil }
        factors = []
        current = ""
        sign = character == "-" ? -1 : 1
      } else if depth == 0 && character == "*" {
        factors.append(current)
        current = ""
      } else {
        current.append(character)
      }
    }
    guard depth == 0, finish() else { return nil }
    self.init(terms)
  }
}
