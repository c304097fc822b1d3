import Graph

/// A JSON value as a file has it: members in their order, numbers as they are spelled, so that what nobody changed comes out as it went in.
public enum JsonValue: Sendable, Hashable {
  /// A name and its value.
  public struct Member: Sendable, Hashable {
    /// The name.
    public let key: String
    /// The value.
    public var value: JsonValue

    /// A member.
    public init(_ key: String, _ value: JsonValue) {
      self.key = key
      self.value = value
    }
  }

  case object([Member])
  case array([JsonValue])
  case text(String)
  /// The digits.
  case number(String)
  case bool(Bool)
  case null

  /// Reads JSON; throws `invalid` with the place of what is wrong, calling the text `subject`.
  public static func parse(_ store: ByteStore, subject: String) throws(Diagnostic) -> JsonValue {
    try store.reading { (bytes) throws(Diagnostic) -> JsonValue in
      var scanner = JsonScanner(bytes, 0..<bytes.count, subject: subject)
      let value = try scanner.value()
      try scanner.finish()
      return value
    }
  }

  /// The value of a member; nil where there is none, or this is no object. Setting nil removes the member, setting a new one appends it.
  public subscript(key: String) -> JsonValue? {
    get {
      guard case .object(let members) = self else { return nil }
      return members.first { $0.key == key }?.value
    }
    set {
      guard case .object(var members) = self else { return }
      if let index = members.firstIndex(where: { $0.key == key }) {
        if let newValue { members[index].value = newValue } else { members.remove(at: index) }
      } else if let newValue {
        members.append(Member(key, newValue))
      }
      self = .object(members)
    }
  }

  /// The members of an object, in order.
  public var members: [Member]? { if case .object(let members) = self { members } else { nil } }
  /// The elements of an array.
  public var elements: [JsonValue]? { if case .array(let elements) = self { elements } else { nil } }
  /// The text.
  public var text: String? { if case .text(let text) = self { text } else { nil } }
  /// The truth value.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The number.
  public var double: Double? { if case .number(let digits) = self { Double(digits) } else { nil } }
  /// The number, where it is a whole one.
  public var int: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }

  /// A whole number.
  public static func int(_ number: Int) -> JsonValue { .number(String(number)) }

  /// The value as text, each member and element on a line of its own, two spaces deeper than what holds it.
  public func text(indent: String = "") -> String {
    let inner = indent + "  "
    switch self {
    case .text(let text): return jsonQuoted(text)
    case .number(let digits): return digits
    case .bool(let value): return value ? "true" : "false"
    case .null: return "null"
    case .array(let elements):
      if elements.isEmpty { return "[]" }
      return "[\n" + elements.map { inner + $0.text(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
    case .object(let members):
      if members.isEmpty { return "{}" }
      let lines = members.map { "\(inner)\(jsonQuoted($0.key)): \($0.value.text(indent: inner))" }
      return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
    }
  }
}
