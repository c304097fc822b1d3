/// An axis rule as text: which axes of a node's operands and results are the same, and which are made of which.
///
///     conv    n (g i) *_, (g o) i !*k, (g o) -> n (g o) *t
///     linear  *b m k, *b k n -> *b m n
///
/// Operands, then `->`, then results, separated by commas; axes by blanks.
///
/// | text | meaning |
/// |---|---|
/// | `n` | an axis; a name that stands in several places is the same layout in all of them |
/// | `(a b)` | a product, row-major, outermost first; `(a b \| c)` a sum, in order; both nest |
/// | `*s` | any number of axes; a run that stands in several operands is aligned from the right |
/// | `3`, `*1` | an axis (or factor) of that fixed extent; any number of axes of extent one |
/// | `_`, `*_` | an axis, or any number, that takes part in nothing |
/// | `!x`, `^x`, `#x` | keeps all its indices, because neighbours are mixed, because the order matters, because of the structure |
/// | `+x` | a name that stands in results only: a new group (without the mark, an axis that keeps all its indices) |
/// | `?` first in an operand | the operand is aligned from the right and may lack leading axes |
///
/// Operands that a node leaves out are skipped. An axis of extent one whose name is longer elsewhere is broadcast and takes part in nothing.
public struct AxisRule: Sendable, Hashable {
  /// Why an axis keeps its indices, or that it is new.
  public enum Mark: Character, Sendable, Hashable {
    case neighbourhood = "!"
    case order = "^"
    case structure = "#"
    case fresh = "+"

    /// The reason for which a marked axis keeps all its indices; nil for a new group.
    public var reason: Reason? {
      switch self {
      case .neighbourhood: .neighbourhood
      case .order: .order
      case .structure: .structure
      case .fresh: nil
      }
    }
  }

  /// What an axis is made of.
  public indirect enum Expression: Sendable, Hashable {
    /// A name, by its position in `names`.
    case name(Int)
    case number(Int)
    case ignored
    case product([Term])
    case sum([Term])
  }

  /// An expression with its mark.
  public struct Term: Sendable, Hashable {
    /// Why it keeps its indices, if it does.
    public let mark: Mark?
    /// What it is made of.
    public let expression: Expression
    /// True for any number of axes.
    public let isRun: Bool
  }

  /// The axes of one operand or result.
  public struct Operand: Sendable, Hashable {
    /// Axes, outermost first.
    public let terms: [Term]
    /// True when leading axes may be missing.
    public let mayLackLeadingAxes: Bool
  }

  /// Operands in order.
  public let inputs: [Operand]
  /// Results in order; at least one.
  public let outputs: [Operand]
  /// Names in order of appearance.
  public let names: [String]

  /// Reads the notation; throws with the column of the first character that does not fit.
  public init(parsing text: String) throws(Diagnostic) {
    var parser = AxisRuleParser(text)
    inputs = try parser.operands()
    try parser.expectArrow()
    outputs = try parser.operands()
    try parser.expectEnd()
    names = parser.names
  }
}

extension AxisRule: ExpressibleByStringLiteral {
  /// A rule written in the program; one that does not parse is a mistake of the program and stops it.
  public init(stringLiteral text: String) {
    do {
      try self.init(parsing: text)
    } catch {
      preconditionFailure("\(text): \(error)")
    }
  }
}

extension AxisRule: CustomStringConvertible {
  /// The notation; `init(parsing:)` reads it back.
  public var description: String {
    let left = inputs.map(text).joined(separator: ", ")
    let right = outputs.map(text).joined(separator: ", ")
    return right.isEmpty ? "\(left) ->" : "\(left) -> \(right)"
  }

  private func text(_ operand: Operand) -> String {
    (operand.mayLackLeadingAxes ? "?" : "") + operand.terms.map(text).joined(separator: " ")
  }

  private func text(_ term: Term) -> String {
    (term.mark.map { String($0.rawValue) } ?? "") + (term.isRun ? "*" : "") + text(term.expression)
  }

  private func text(_ expression: Expression) -> String {
    switch expression {
    case .name(let slot): names[slot]
    case .number(let number): "\(number)"
    case .ignored: "_"
    case .product(let factors): "(\(factors.map(text).joined(separator: " ")))"
    case .sum(let parts): "(\(parts.map(part).joined(separator: " | ")))"
    }
  }

  /// A part of a sum is written without brackets of its own.
  private func part(_ term: Term) -> String {
    if case .product(let factors) = term.expression, term.mark == nil { return factors.map(text).joined(separator: " ") }
    return text(term)
  }
}

/// Reads the notation of axis rules from left to right.
private struct AxisRuleParser {
  private let characters: [Character]
  private var at = 0
  var names: [String] = []

  init(_ text: String) { characters = Array(text) }

  private var next: Character? { characters.indices.contains(at) ? characters[at] : nil }

  private mutating func skipBlanks() {
    while next?.isWhitespace == true { at += 1 }
  }

  private mutating func take(_ character: Character) -> Bool {
    skipBlanks()
    guard next == character else { return false }
    at += 1
    return true
  }

  private func failure(_ message: String) -> Diagnostic {
    Diagnostic(.invalid, "axis rule: \(message)", at: .text(line: 1, column: at + 1))
  }

  mutating func expectArrow() throws(Diagnostic) {
    skipBlanks()
    guard next == "-", at + 1 < characters.count, characters[at + 1] == ">" else {
      throw failure("expected '->' or another axis")
    }
    at += 2
  }

  mutating func expectEnd() throws(Diagnostic) {
    skipBlanks()
    if next != nil { throw failure("expected an axis, ',' or the end") }
  }

  mutating func operands() throws(Diagnostic) -> [AxisRule.Operand] {
    var result = [try operand()]
    while take(",") { result.append(try operand()) }
    return result
  }

  private mutating func operand() throws(Diagnostic) -> AxisRule.Operand {
    let optional = take("?")
    var terms: [AxisRule.Term] = []
    while let term = try term(allowsRun: true) { terms.append(term) }
    return AxisRule.Operand(terms: terms, mayLackLeadingAxes: optional)
  }

  /// A term, or nil (with nothing read) where none begins.
  private mutating func term(allowsRun: Bool) throws(Diagnostic) -> AxisRule.Term? {
    skipBlanks()
    guard let first = next else { return nil }
    let mark = AxisRule.Mark(rawValue: first)
    if mark != nil { at += 1 }
    let isRun = next == "*"
    if isRun {
      guard allowsRun else { throw failure("a run of axes cannot be a factor") }
      at += 1
    }
    guard let start = next else { throw failure("expected a name") }
    if start == "(" {
      guard !isRun else { throw failure("a run of axes needs a name") }
      at += 1
      return AxisRule.Term(mark: mark, expression: try bracketed(), isRun: false)
    }
    if start == "_" {
      at += 1
      return AxisRule.Term(mark: mark, expression: .ignored, isRun: isRun)
    }
    let word = word()
    if let number = Int(word) {
      guard number > 0, !isRun || number == 1 else { throw failure("a fixed extent is a positive number") }
      return AxisRule.Term(mark: mark, expression: .number(number), isRun: isRun)
    }
    guard let head = word.first, head.isLetter else {
      if mark != nil || isRun || !word.isEmpty { throw failure("expected a name") }
      return nil
    }
    return AxisRule.Term(mark: mark, expression: .name(slot(word)), isRun: isRun)
  }

  private mutating func word() -> String {
    let start = at
    while let character = next, character.isASCII, character.isLetter || character.isNumber { at += 1 }
    return String(characters[start..<at])
  }

  private mutating func slot(_ name: String) -> Int {
    if let known = names.firstIndex(of: name) { return known }
    names.append(name)
    return names.count - 1
  }

  /// What stands between brackets, the closing one included.
  private mutating func bracketed() throws(Diagnostic) -> AxisRule.Expression {
    var parts: [AxisRule.Term] = []
    repeat {
      var factors: [AxisRule.Term] = []
      while let factor = try term(allowsRun: false) { factors.append(factor) }
      guard let first = factors.first else { throw failure("expected a factor") }
      parts.append(factors.count == 1 ? first : AxisRule.Term(mark: nil, expression: .product(factors), isRun: false))
    } while take("|")
    guard take(")") else { throw failure("expected ')', '|' or another factor") }
    guard parts.count == 1, let only = parts.first else { return .sum(parts) }
    if only.mark == nil, case .product = only.expression { return only.expression }
    return .product(parts)
  }
}
