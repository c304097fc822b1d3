import Graph

/// Reads JSON (RFC 8259) from bytes piece by piece, strictly: whoever calls says what must come next.
///
/// Holds a borrowed pointer: lives only inside `ByteStore.reading`.
struct JsonScanner {
  private let bytes: UnsafeRawBufferPointer
  private(set) var at: Int
  private let end: Int
  /// What is read, for messages.
  private let subject: String

  /// Values that are skipped may be nested no deeper than this.
  static let maximumDepth = 64

  /// Reads a part of `bytes`; failures call it `subject`.
  init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, subject: String = "the header") {
    self.subject = subject
    self.bytes = bytes
    at = range.lowerBound
    end = min(range.upperBound, bytes.count)
  }

  /// Calls `member` for each member of an object, positioned at its value, which it must read. A key that comes twice is a failure.
  mutating func object(
    _ member: (inout JsonScanner, String) throws(Diagnostic) -> Void
  ) throws(Diagnostic) {
    try expect(UInt8(ascii: "{"), "an object")
    if take(UInt8(ascii: "}")) { return }
    var keys: Set<String> = []
    repeat {
      let place = at
      let key = try string()
      guard keys.insert(key).inserted else { throw Diagnostic(.invalid, "\(subject) names '\(key)' twice", at: .byte(place)) }
      try expect(UInt8(ascii: ":"), "a colon")
      try member(&self, key)
    } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "}"), "a comma or the end of the object")
  }

  /// Calls `element` for each element of an array, positioned at it.
  mutating func array(_ element: (inout JsonScanner) throws(Diagnostic) -> Void) throws(Diagnostic) {
    try expect(UInt8(ascii: "["), "a list")
    if take(UInt8(ascii: "]")) { return }
    repeat { try element(&self) } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "]"), "a comma or the end of the list")
  }

  /// A list of whole numbers that are not negative.
  mutating func counts() throws(Diagnostic) -> [Int] {
    var numbers: [Int] = []
    try array { (scanner) throws(Diagnostic) in numbers.append(try scanner.count()) }
    return numbers
  }

  /// A whole number that is not negative.
  mutating func count() throws(Diagnostic) -> Int {
    skipSpace()
    let start = at
    while at < end, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9") { at += 1 }
    let digits = UnsafeRawBufferPointer(rebasing: bytes[start..<at])
    guard let number = Int(String(decoding: digits, as: UTF8.self)), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
      throw unexpected("a whole number that is not negative", start)
    }
    return number
  }

  /// Text in quotes.
  mutating func string() throws(Diagnostic) -> String {
    try expect(UInt8(ascii: "\""), "text in quotes")
    let start = at
    var units: [UInt8] = []
    var copied = at
    func plain(_ to: Int) { units.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[copied..<to])) }
    while at < end {
      let byte = bytes[at]
      if byte == UInt8(ascii: "\"") {
        plain(at)
        at += 1
        let text = String(decoding: units, as: UTF8.self)
        guard text.utf8.elementsEqual(units) else {
          throw Diagnostic(.invalid, "\(subject)'s text is not UTF-8", at: .byte(start))
        }
        return text
      }
      guard byte >= 0x20 else { throw unexpected("no control character inside text", at) }
      at += 1
      if byte == UInt8(ascii: "\\") {
        plain(at - 1)
        units.append(contentsOf: String(try escape()).utf8)
        copied = at
      }
    }
    throw Diagnostic(.invalid, "\(subject) ends inside text", at: .byte(start))
  }

  /// The character after a backslash.
  private mutating func escape() throws(Diagnostic) -> Character {
    let start = at
    guard at < end else { throw unexpected("a character after the backslash", start) }
    at += 1
    switch bytes[at - 1] {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if 0xD800..<0xDC00 ~= code, at + 1 < end, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") {
        at += 2
        let low = try hexadecimal()
        guard 0xDC00..<0xE000 ~= low else { throw unexpected("the second half of a surrogate pair", start) }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw unexpected("a Unicode character", start) }
      return Character(scalar)
    case _: throw unexpected("an escape that JSON knows", start)
    }
  }

  private mutating func hexadecimal() throws(Diagnostic) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard at < end, let digit = Character(Unicode.Scalar(bytes[at])).hexDigitValue else {
        throw unexpected("four hexadecimal digits", at)
      }
      code = code << 4 | UInt32(digit)
      at += 1
    }
    return code
  }

  /// Passes over a value of any kind.
  mutating func skipValue(depth: Int = 0) throws(Diagnostic) {
    guard depth < JsonScanner.maximumDepth else {
      throw Diagnostic(.invalid, "\(subject) is nested more than \(JsonScanner.maximumDepth) deep", at: .byte(at))
    }
    skipSpace()
    guard at < end else { throw unexpected("a value", at) }
    switch bytes[at] {
    case UInt8(ascii: "{"): try object { (scanner, _) throws(Diagnostic) in try scanner.skipValue(depth: depth + 1) }
    case UInt8(ascii: "["): try array { (scanner) throws(Diagnostic) in try scanner.skipValue(depth: depth + 1) }
    case UInt8(ascii: "\""): _ = try string()
    case _:
      let start = at
      while at < end, isWordByte(bytes[at]) { at += 1 }
      let word = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<at]), as: UTF8.self)
      guard ["true", "false", "null"].contains(word) || (!word.isEmpty && word.first?.isLetter == false && Double(word) != nil)
      else {
        throw unexpected("a value", start)
      }
    }
  }

  private func isWordByte(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
      || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
      || byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
  }

  /// A value of any kind, nested no deeper than `maximumDepth`.
  mutating func value(depth: Int = 0) throws(Diagnostic) -> JsonValue {
    skipSpace()
    switch at < end ? bytes[at] : 0 {
    case UInt8(ascii: "{") where depth < JsonScanner.maximumDepth:
      var members: [JsonValue.Member] = []
      try object { (scanner, key) throws(Diagnostic) in
        members.append(JsonValue.Member(key, try scanner.value(depth: depth + 1)))
      }
      return .object(members)
    case UInt8(ascii: "[") where depth < JsonScanner.maximumDepth:
      var elements: [JsonValue] = []
      try array { (scanner) throws(Diagnostic) in elements.append(try scanner.value(depth: depth + 1)) }
      return .array(elements)
    case UInt8(ascii: "\""): return .text(try string())
    case _:
      let start = at
      try skipValue(depth: depth)
      switch String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<at]), as: UTF8.self) {
      case "true": return .bool(true)
      case "false": return .bool(false)
      case "null": return .null
      case let digits: return .number(digits)
      }
    }
  }

  /// Only spaces may be left.
  mutating func finish() throws(Diagnostic) {
    skipSpace()
    guard at == end else { throw unexpected("nothing after \(subject)'s object", at) }
  }

  private mutating func skipSpace() {
    while at < end, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard at < end, bytes[at] == byte else { return false }
    at += 1
    return true
  }

  private mutating func expect(_ byte: UInt8, _ what: String) throws(Diagnostic) {
    guard take(byte) else { throw unexpected(what, at) }
  }

  private func unexpected(_ expected: String, _ place: Int) -> Diagnostic {
    Diagnostic(
      .invalid,
      place < end
        ? "\(subject) is no JSON as expected: \(expected) should stand here" : "\(subject) ends where \(expected) should stand",
      at: .byte(place))
  }
}

/// Text as a JSON string with its quotes.
func jsonQuoted(_ text: String) -> String {
  var bytes: [UInt8] = [UInt8(ascii: "\"")]
  bytes.reserveCapacity(text.utf8.count + 2)
  let digits = Array("0123456789abcdef".utf8)
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
    case 0x0A: bytes += Array("\\n".utf8)
    case 0..<0x20: bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    case _: bytes.append(byte)
    }
  }
  bytes.append(UInt8(ascii: "\""))
  return String(decoding: bytes, as: UTF8.self)
}
