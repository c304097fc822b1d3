/// The small parts of the text: marks, names, types, attributes and numbers.
extension ModuleParser {
  func unexpected(_ found: ModuleLexer.Located, _ wanted: String) -> Diagnostic {
    lexer.failure("expected \(wanted), not \(ModuleLexer.describe(found.token))", at: found.start)
  }

  mutating func expect(_ mark: Character) throws(Diagnostic) {
    let token = try lexer.next()
    guard token.token == .mark(mark) else { throw unexpected(token, "'\(mark)'") }
  }

  mutating func expect(word: String) throws(Diagnostic) {
    let token = try lexer.next()
    guard token.token == .word(word) else { throw unexpected(token, "'\(word)'") }
  }

  /// A word, or text in quotes.
  mutating func readText(_ wanted: String) throws(Diagnostic) -> String {
    let token = try lexer.next()
    switch token.token {
    case .word(let text), .string(let text): return text
    case .number(let text) where text.utf8.allSatisfy(ModuleSpelling.isWordByte): return text
    case .value, .number, .arrow, .mark, .end: throw unexpected(token, wanted)
    }
  }

  mutating func readValueName(_ wanted: String) throws(Diagnostic) -> (name: String, start: Int) {
    let token = try lexer.next()
    guard case .value(let name) = token.token else { throw unexpected(token, "\(wanted), like %x") }
    return (name, token.start)
  }

  mutating func readType() throws(Diagnostic) -> (type: TensorType, start: Int) {
    let token = try lexer.next()
    guard case .word(let word) = token.token else { throw unexpected(token, "a type, like f32[2, 3]") }
    guard let element = ElementType(rawValue: word) else {
      let hint = Suggestion.text(for: word, among: ElementType.allCases.map(\.rawValue))
      throw lexer.failure("there is no element type '\(word)'\(hint)", at: token.start)
    }
    guard let shape = try lexer.readShape() else { return (.unranked(element), token.start) }
    return (TensorType(element, shape), token.start)
  }

  mutating func readAttributeValue() throws(Diagnostic) -> AttributeValue {
    let head = try lexer.next()
    switch head.token {
    case .string(let text): return .string(text)
    case .word("raw"): return .raw(try readBase64())
    case .word("tensor"):
      let (type, start) = try readType()
      guard let shape = type.staticShape, NumberText.count(shape) != nil else {
        throw lexer.failure("a tensor's shape must be numbers", at: start)
      }
      return .tensor(type, try readNumbers(type.element, shape: shape))
    case .word("floats"):
      let items = try readList()
      return .floats(try items.map { item throws(Diagnostic) in try float(item) })
    case .word("strings"): return try strings(readList())
    case .number, .word: return try number(head)
    case .mark("["): return try list(readItems())
    case .value, .arrow, .mark, .end: throw unexpected(head, "a number, text or a list")
    }
  }

  private func number(_ item: ModuleLexer.Located) throws(Diagnostic) -> AttributeValue {
    if case .number(let text) = item.token, let whole = Int(text) { return .int(whole) }
    return .float(try float(item))
  }

  private func float(_ item: ModuleLexer.Located) throws(Diagnostic) -> Float {
    switch item.token {
    case .number(let text), .word(let text):
      if let value = ModuleSpelling.float(text) { return value }
      throw lexer.failure("'\(text)' is no number, or too large for one", at: item.start)
    case .value, .string, .arrow, .mark, .end: throw unexpected(item, "a number")
    }
  }

  private func strings(_ items: [ModuleLexer.Located]) throws(Diagnostic) -> AttributeValue {
    var texts: [String] = []
    for item in items {
      guard case .string(let text) = item.token else { throw unexpected(item, "text in quotes, as the first of the list") }
      texts.append(text)
    }
    return .strings(texts)
  }

  /// A list is of texts, of whole numbers, or (where one has a fraction) of real numbers.
  private func list(_ items: [ModuleLexer.Located]) throws(Diagnostic) -> AttributeValue {
    if case .string? = items.first?.token { return try strings(items) }
    var whole: [Int] = []
    for item in items {
      if case .int(let number) = try number(item) { whole.append(number) }
    }
    return whole.count == items.count ? .ints(whole) : .floats(try items.map { item throws(Diagnostic) in try float(item) })
  }

  private mutating func readList() throws(Diagnostic) -> [ModuleLexer.Located] {
    try expect("[")
    return try readItems()
  }

  /// Tokens between commas, up to `]`.
  private mutating func readItems() throws(Diagnostic) -> [ModuleLexer.Located] {
    var items: [ModuleLexer.Located] = []
    if try lexer.take("]") { return items }
    while true {
      items.append(try lexer.next())
      if try lexer.take(",") { continue }
      try expect("]")
      return items
    }
  }

  mutating func readBase64() throws(Diagnostic) -> [UInt8] {
    let token = try lexer.next()
    guard case .string(let text) = token.token, let bytes = Base64.decode(text) else {
      throw unexpected(token, "base64 in quotes")
    }
    return bytes
  }

  /// The numbers of a tensor: a list, one number for a scalar, or `raw"base64"`.
  mutating func readNumbers(_ element: ElementType, shape: [Int]) throws(Diagnostic) -> TensorData {
    let head = try lexer.next()
    let count = NumberText.count(shape) ?? 0
    var bytes: [UInt8] = []
    var items: [ModuleLexer.Located] = [head]
    switch head.token {
    case .word("raw"):
      bytes = try readBase64()
      if let expected = element.byteCount(of: count), bytes.count != expected {
        throw lexer.failure("\(expected) bytes fill this tensor, here are \(bytes.count)", at: head.start)
      }
      return TensorData(bytes)
    case .mark("["): items = try readItems()
    case .number, .word:
      guard shape.isEmpty else { throw unexpected(head, "a list of \(count) numbers in brackets") }
    case .value, .string, .arrow, .mark, .end: throw unexpected(head, "numbers")
    }
    guard items.count == count else {
      throw lexer.failure("\(count) numbers fill this tensor, here are \(items.count)", at: head.start)
    }
    for item in items {
      switch item.token {
      case .number(let text), .word(let text):
        guard let number = NumberText.bytes(text, element) else {
          throw lexer.failure("'\(text)' is no number of type \(element.rawValue)", at: item.start)
        }
        bytes += number
      case .value, .string, .arrow, .mark, .end: throw unexpected(item, "a number")
      }
    }
    return TensorData(bytes)
  }
}
