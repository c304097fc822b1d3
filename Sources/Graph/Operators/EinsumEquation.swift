/// The equation of an einsum, read: `b h i d, b h j d -> b h i j`, also with `...` for any number of leading, inner or trailing axes.
public struct EinsumEquation: Sendable, Hashable {
  /// One place of a term.
  public enum Label: Sendable, Hashable {
    /// An axis, by its letter.
    case letter(Character)
    /// `...` in a term as written; one axis that it covers in a term that was laid out over a rank.
    case ellipsis
  }

  /// Terms of the operands, in order.
  public let operands: [[Label]]
  /// Term of the result. Without `->` it is the ellipsis and the letters that occur once, in ASCII order.
  public let result: [Label]

  /// Nil where the text is no equation: other characters than letters, dots, commas, spaces and `->`, two ellipses in a term, or a
  /// letter of the result that is named twice or by no operand.
  public init?(_ text: String) {
    let compact = text.filter { $0 != " " }
    let left: Substring
    let right: Substring?
    if let dash = compact.firstIndex(of: "-") {
      let rest = compact[compact.index(after: dash)...]
      guard rest.first == ">" else { return nil }
      left = compact[..<dash]
      right = rest.dropFirst()
    } else {
      left = compact[...]
      right = nil
    }
    var terms: [[Label]] = []
    for part in left.split(separator: ",", omittingEmptySubsequences: false) {
      guard let term = Self.term(part) else { return nil }
      terms.append(term)
    }
    var counts: [Character: Int] = [:]
    for case .letter(let letter) in terms.joined() { counts[letter, default: 0] += 1 }
    let hasEllipsis = terms.contains { $0.contains(.ellipsis) }
    if let right {
      guard let term = Self.term(right), Set(term).count == term.count else { return nil }
      for label in term {
        switch label {
        case .letter(let letter): if counts[letter] == nil { return nil }
        case .ellipsis: if !hasEllipsis { return nil }
        }
      }
      result = term
    } else {
      result = (hasEllipsis ? [.ellipsis] : []) + counts.filter { $0.value == 1 }.keys.sorted().map { .letter($0) }
    }
    operands = terms
  }

  /// One label per axis of an operand of `rank` axes, an ellipsis repeated for each axis that it covers; nil where the term does not fit
  /// the rank, or there is no such operand.
  public func axes(ofOperand index: Int, rank: Int) -> [Label]? {
    guard operands.indices.contains(index) else { return nil }
    let term = operands[index]
    guard let dots = term.firstIndex(of: .ellipsis) else { return term.count == rank ? term : nil }
    let covered = rank - (term.count - 1)
    guard covered >= 0 else { return nil }
    return Array(term[..<dots]) + Array(repeating: .ellipsis, count: covered) + Array(term[(dots + 1)...])
  }

  private static func term(_ text: Substring) -> [Label]? {
    var labels: [Label] = []
    var rest = text
    while let first = rest.first {
      if rest.hasPrefix("...") {
        guard !labels.contains(.ellipsis) else { return nil }
        labels.append(.ellipsis)
        rest = rest.dropFirst(3)
      } else {
        guard first.isASCII, first.isLetter else { return nil }
        labels.append(.letter(first))
        rest = rest.dropFirst()
      }
    }
    return labels
  }
}
