/// How names, strings, numbers and types are spelled in the text form: what the printer writes and the lexer reads.
enum ModuleSpelling {
  /// Bytes of words: letters, digits and `_`.
  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "_"):
      true
    case _: false
    }
  }

  /// Bytes of value names that stand without quotes.
  static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "#"), UInt8(ascii: "-"): true
    case _: isWordByte(byte)
    }
  }

  /// `%name`, in quotes where the name is no plain one.
  static func value(_ name: String) -> String { isPlainName(name) ? "%" + name : "%" + quoted(name) }

  /// A plain name can be read without quotes: it is no part of a comment, and a colon after it is not taken for its own.
  static func isPlainName(_ name: String) -> Bool {
    var previous: UInt8 = 0
    for byte in name.utf8 {
      guard isNameByte(byte), !(byte == UInt8(ascii: "/") && previous == UInt8(ascii: "/")) else { return false }
      previous = byte
    }
    return previous != 0 && previous != UInt8(ascii: ":")
  }

  /// A word as it is, any other text in quotes.
  static func word(_ text: String) -> String { !text.isEmpty && text.utf8.allSatisfy(isWordByte) ? text : quoted(text) }

  /// Text in quotes; `\`, `"` and control characters are escaped.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _:
        if scalar.value < 32 || (127...159).contains(scalar.value) {
          result += "\\u{\(String(scalar.value, radix: 16))}"
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }

  /// The shortest text that is read back as the same bits: `0.5`, `1e-05`, `-inf`, `nan`, `nan_7fc00001`.
  static func float(_ value: Float) -> String {
    if !value.isNaN { return "\(value)" }
    return value.bitPattern == Float.nan.bitPattern ? "nan" : "nan_\(String(value.bitPattern, radix: 16))"
  }

  /// Reads what `float` writes, and whole numbers. Nil where it is no number, or too large for a Float.
  static func float(_ text: String) -> Float? {
    if text.hasPrefix("nan_") {
      return UInt32(text.dropFirst(4), radix: 16).map { Float(bitPattern: $0) }.flatMap { $0.isNaN ? $0 : nil }
    }
    switch text {
    case "nan": return Float.nan
    case "inf": return Float.infinity
    case "-inf": return -Float.infinity
    case _:
      guard text.utf8.allSatisfy(isNumberByte), let value = Float(text), value.isFinite else { return nil }
      return value
    }
  }

  /// Like `float`, for 64 bits; the only NaN is `nan`.
  static func double(_ text: String) -> Double? {
    switch text {
    case "nan": return Double.nan
    case "inf": return Double.infinity
    case "-inf": return -Double.infinity
    case _:
      guard text.utf8.allSatisfy(isNumberByte), let value = Double(text), value.isFinite else { return nil }
      return value
    }
  }

  private static func isNumberByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"),
      UInt8(ascii: "-"):
      true
    case _: false
    }
  }
}

extension ModuleSpelling {
  /// `f32[batch, 17, 192]`; like `TensorType.description`, with symbols in quotes that could be misread.
  static func type(_ type: TensorType) -> String {
    guard type.isRanked else { return "\(type.element.rawValue)[?]" }
    var text = type.element.rawValue + "["
    for (at, extent) in type.shape.enumerated() {
      if at > 0 { text += ", " }
      text += Self.extent(extent)
    }
    return text + "]"
  }

  /// `7`, `batch`, `2*seq+1`, `4*"odd name"`.
  static func extent(_ extent: Extent) -> String {
    if let number = extent.constant { return "\(number)" }
    if extent.symbols.allSatisfy(isPlainSymbol) { return extent.description }
    var text = ""
    let ordered = extent.terms.sorted { a, b in
      a.key.isEmpty != b.key.isEmpty ? b.key.isEmpty : a.key.lexicographicallyPrecedes(b.key)
    }
    for (monomial, coefficient) in ordered {
      if coefficient < 0 { text += "-" } else if !text.isEmpty { text += "+" }
      let factor = coefficient.magnitude
      let factors = (factor == 1 && !monomial.isEmpty ? [] : ["\(factor)"]) + monomial.map { isPlainSymbol($0) ? $0 : quoted($0) }
      text += factors.joined(separator: "*")
    }
    return text
  }

  /// The symbol that stands at the start of the bytes, without quotes; nil for none. Inside parentheses nearly everything belongs to
  /// it (`floor((seq+1)/2)`), outside what is no operator.
  static func lengthOfSymbol(_ bytes: some Collection<UInt8>) -> Int? {
    var depth = 0
    var length = 0
    scan: for byte in bytes {
      switch byte {
      case UInt8(ascii: "("): depth += 1
      case UInt8(ascii: ")"):
        if depth == 0 { break scan }
        depth -= 1
      case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: ","), UInt8(ascii: " "):
        if depth == 0 { break scan }
      case UInt8(ascii: "\""), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "%"):
        break scan
      case 0..<32, 127...255: break scan
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."):
        if length == 0 { break scan }
      case _: break
      }
      length += 1
    }
    return depth == 0 && length > 0 ? length : nil
  }

  private static func isPlainSymbol(_ name: String) -> Bool { name != "?" && lengthOfSymbol(name.utf8) == name.utf8.count }
}
