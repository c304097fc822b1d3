/// Cuts the text form into tokens, one at a time, with one token of look-ahead.
struct ModuleLexer {
  /// One token.
  enum Token: Equatable {
    /// `%name`.
    case value(String)
    /// A word: a keyword, an operator, an attribute, `_`, `inf`, `nan`.
    case word(String)
    /// A number as it is written.
    case number(String)
    /// Text in quotes, escapes resolved.
    case string(String)
    /// `->`.
    case arrow
    /// Any other character.
    case mark(Character)
    case end
  }

  /// A token and where it stands.
  struct Located {
    let token: Token
    /// Offset of its first byte.
    let start: Int
    /// True when it is the first of its line.
    let startsLine: Bool
  }

  private let bytes: [UInt8]
  private let file: String?
  private var at = 0
  private var ahead: Located?

  init(_ bytes: [UInt8], file: String?) {
    self.bytes = bytes
    self.file = file
  }

  /// A failure at an offset: line and column count from 1, columns in characters.
  func failure(_ message: String, at offset: Int, _ kind: Diagnostic.Kind = .invalid) -> Diagnostic {
    let before = bytes.prefix(max(0, offset))
    let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    let column = before[lineStart...].reduce(1) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 }
    return Diagnostic(kind, message, at: .text(line: line, column: column), file: file)
  }

  /// The next token, which stays.
  mutating func peek() throws(Diagnostic) -> Located {
    if let ahead { return ahead }
    let located = try read()
    ahead = located
    return located
  }

  /// The next token, which is taken.
  mutating func next() throws(Diagnostic) -> Located {
    let located = try peek()
    ahead = nil
    return located
  }

  /// Takes the next token if it is the given mark.
  mutating func take(_ mark: Character) throws(Diagnostic) -> Bool {
    guard try peek().token == .mark(mark) else { return false }
    ahead = nil
    return true
  }

  /// How a message names a token.
  static func describe(_ token: Token) -> String {
    switch token {
    case .value(let name): ModuleSpelling.value(name)
    case .word(let text), .number(let text): "'\(text)'"
    case .string(let text): ModuleSpelling.quoted(text)
    case .arrow: "'->'"
    case .mark(let character): "'\(character)'"
    case .end: "the end of the text"
    }
  }

  private func byte(_ offset: Int) -> UInt8? { bytes.indices.contains(offset) ? bytes[offset] : nil }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// Moves past blanks and comments; true when a line ended there, or at the start of the text.
  private mutating func skipBlanks() -> Bool {
    var newLine = at == 0
    while let next = byte(at) {
      switch next {
      case UInt8(ascii: "\n"): newLine = true
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
      case UInt8(ascii: "/"):
        guard byte(at + 1) == UInt8(ascii: "/") else { return newLine }
        at = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        continue
      case _: return newLine
      }
      at += 1
    }
    return newLine
  }

  private mutating func read() throws(Diagnostic) -> Located {
    let startsLine = skipBlanks()
    let start = at
    return Located(token: try readToken(), start: start, startsLine: startsLine)
  }

  private mutating func readToken() throws(Diagnostic) -> Token {
    guard let first = byte(at) else { return .end }
    let start = at
    switch first {
    case UInt8(ascii: "%"):
      at += 1
      if byte(at) == UInt8(ascii: "\"") { return .value(try readString()) }
      let name = readName()
      guard !name.isEmpty else { throw failure("a name must follow '%'", at: start) }
      return .value(name)
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(readNumber())
    case UInt8(ascii: "-"):
      at += 1
      if byte(at) == UInt8(ascii: ">") {
        at += 1
        return .arrow
      }
      guard byte(at).map(ModuleSpelling.isWordByte) == true else { return .mark("-") }
      at -= 1
      return .number(readNumber())
    case _ where ModuleSpelling.isWordByte(first):
      while let next = byte(at), ModuleSpelling.isWordByte(next) || next == UInt8(ascii: ".") { at += 1 }
      return .word(text(start..<at))
    case 33..<127:
      at += 1
      return .mark(Character(UnicodeScalar(first)))
    case _: throw failure("a character that belongs in quotes", at: start)
    }
  }

  private mutating func readName() -> String {
    let start = at
    while let next = byte(at), ModuleSpelling.isNameByte(next) {
      if next == UInt8(ascii: "/") && byte(at + 1) == UInt8(ascii: "/") { break }
      at += 1
    }
    while at > start, byte(at - 1) == UInt8(ascii: ":") { at -= 1 }
    return text(start..<at)
  }

  private mutating func readNumber() -> String {
    let start = at
    at += 1
    while let next = byte(at) {
      let isSign = next == UInt8(ascii: "-") || next == UInt8(ascii: "+")
      let afterExponent = byte(at - 1) == UInt8(ascii: "e") || byte(at - 1) == UInt8(ascii: "E")
      guard ModuleSpelling.isWordByte(next) || next == UInt8(ascii: ".") || (isSign && afterExponent) else { break }
      at += 1
    }
    return text(start..<at)
  }

  private mutating func readString() throws(Diagnostic) -> String {
    let start = at
    var result: [UInt8] = []
    at += 1
    while let next = byte(at), next != UInt8(ascii: "\n") {
      if next == UInt8(ascii: "\"") {
        at += 1
        guard let text = String(validating: result, as: UTF8.self) else { throw failure("text that is not UTF-8", at: start) }
        return text
      }
      if next == UInt8(ascii: "\\") {
        result += Array(String(try readEscape()).utf8)
      } else {
        result.append(next)
        at += 1
      }
    }
    throw failure("a quote that is not closed on its line", at: start)
  }

  private mutating func readEscape() throws(Diagnostic) -> Unicode.Scalar {
    let start = at
    let letter = byte(at + 1)
    at += 2
    switch letter {
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "u"):
      let rest = bytes[min(at, bytes.count)...].prefix(8)
      if rest.first == UInt8(ascii: "{"), let close = rest.firstIndex(of: UInt8(ascii: "}")),
        let number = UInt32(text(at + 1..<close), radix: 16), let scalar = Unicode.Scalar(number)
      {
        at = close + 1
        return scalar
      }
    case _: break
    }
    throw failure(#"an unknown escape; known are \n \r \t \" \\ \u{hexadecimal}"#, at: start)
  }
}

extension ModuleLexer {
  /// Reads the shape after an element type, from `[` to `]`; nil for `[?]`, an unknown rank.
  mutating func readShape() throws(Diagnostic) -> [Extent]? {
    let open = try next()
    guard open.token == .mark("[") else { throw failure("a shape in brackets must follow the element type", at: open.start) }
    skipSpaces()
    if byte(at) == UInt8(ascii: "]") {
      at += 1
      return []
    }
    if byte(at) == UInt8(ascii: "?"), byte(at + 1) == UInt8(ascii: "]") {
      at += 2
      return nil
    }
    var shape: [Extent] = []
    while true {
      shape.append(try readExtent())
      switch byte(at) {
      case UInt8(ascii: ","): at += 1
      case UInt8(ascii: "]"):
        at += 1
        return shape
      case _: throw failure("a shape is extents between commas: numbers, symbols, or sums of products of them", at: at)
      }
    }
  }

  private mutating func skipSpaces() {
    while byte(at) == UInt8(ascii: " ") { at += 1 }
  }

  /// A sum of products of numbers and symbols.
  private mutating func readExtent() throws(Diagnostic) -> Extent {
    var terms: [Extent.Monomial: Int] = [:]
    skipSpaces()
    let start = at
    var isNegative = byte(at) == UInt8(ascii: "-")
    if isNegative { at += 1 }
    while true {
      let (monomial, factor) = try readProduct()
      let (coefficient, overflow) = factor.multipliedReportingOverflow(by: isNegative ? -1 : 1)
      let (sum, tooLarge) = terms[monomial, default: 0].addingReportingOverflow(coefficient)
      guard !overflow, !tooLarge else { throw failure("an extent that is too large", at: start) }
      terms[monomial] = sum
      guard let sign = byte(at), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { break }
      isNegative = sign == UInt8(ascii: "-")
      at += 1
    }
    let extent = Extent(terms)
    if let number = extent.constant, number < 0 { throw failure("an extent must not be negative", at: start) }
    return extent
  }

  private mutating func readProduct() throws(Diagnostic) -> (Extent.Monomial, Int) {
    var symbols: [String] = []
    var coefficient = 1
    while true {
      skipSpaces()
      let start = at
      if let digit = byte(at), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) {
        while let next = byte(at), ModuleSpelling.isWordByte(next) { at += 1 }
        guard let number = Int(text(start..<at)) else { throw failure("'\(text(start..<at))' is no extent", at: start) }
        let (product, overflow) = coefficient.multipliedReportingOverflow(by: number)
        guard !overflow else { throw failure("an extent that is too large", at: start) }
        coefficient = product
      } else if byte(at) == UInt8(ascii: "\"") {
        symbols.append(try readString())
      } else if let length = ModuleSpelling.lengthOfSymbol(bytes[at...]) {
        at += length
        let name = text(start..<at)
        guard name != "?" else { throw failure("'?' stands alone, for a shape of unknown rank", at: start) }
        symbols.append(name)
      } else {
        throw failure("a shape is extents between commas: numbers, symbols, or sums of products of them", at: start)
      }
      skipSpaces()
      guard byte(at) == UInt8(ascii: "*") else { return (symbols.sorted(), coefficient) }
      at += 1
    }
  }
}
