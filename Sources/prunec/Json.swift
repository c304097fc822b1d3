import Passes

/// A JSON value that keeps the order of its members, so that reports are the same on every run.
indirect enum Json {
  case object([(String, Json)])
  case array([Json])
  case text(String)
  case integer(Int)
  case number(Double)
  case bool(Bool)
  case null
  /// JSON that is written already.
  case raw(String)

  /// A text or null.
  static func optional(_ text: String?) -> Json { text.map(Json.text) ?? .null }

  /// The value as text: objects and arrays of objects over several lines, everything else on one.
  func text(indent: String = "") -> String {
    switch self {
    case .text(let text): return JSONText.string(text)
    case .integer(let number): return String(number)
    // JSON has no infinities.
    case .number(let number): return number.isFinite ? Wording.plain(number) : "null"
    case .bool(let value): return value ? "true" : "false"
    case .null: return "null"
    case .raw(let text): return text
    case .array(let items):
      if items.isEmpty { return "[]" }
      if !items.contains(where: \.isObject) { return "[" + items.map { $0.text() }.joined(separator: ", ") + "]" }
      let inner = indent + "  "
      return "[\n" + items.map { inner + $0.line(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
    case .object(let members):
      if members.isEmpty { return "{}" }
      let inner = indent + "  "
      let lines = members.map { "\(inner)\(JSONText.string($0.0)): \($0.1.text(indent: inner))" }
      return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
    }
  }

  private var isObject: Bool {
    if case .object = self { return true }
    return false
  }

  /// An object inside an array on one line, as long as it holds nothing nested that deserves its own.
  private func line(indent: String) -> String {
    guard case .object(let members) = self else { return text(indent: indent) }
    let isFlat = members.allSatisfy { member in
      switch member.1 {
      case .object: false
      case .array(let items): !items.contains(where: \.isObject)
      case .text, .integer, .number, .bool, .null, .raw: true
      }
    }
    if !isFlat { return text(indent: indent) }
    return "{ " + members.map { "\(JSONText.string($0.0)): \($0.1.text())" }.joined(separator: ", ") + " }"
  }
}
