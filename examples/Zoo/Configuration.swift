import Foundation
import Tracing

/// A parsed `config.json`: what a model's sizes are read from.
public struct Configuration: Sendable {
  /// A value of JSON.
  public indirect enum Value: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([Value])
    case object([String: Value])
  }

  /// The values by key.
  public let values: [String: Value]
  /// What messages call it: `config.json`, or the key of an inner object.
  public let name: String

  /// Values by key.
  public init(_ values: [String: Value], name: String = "config.json") {
    self.values = values
    self.name = name
  }

  /// Reads the text of a `config.json`. Throws what is no JSON object.
  public init(json: some Sequence<UInt8>, name: String = "config.json") throws(Diagnostic) {
    do {
      self.init(try JSONDecoder().decode([String: Value].self, from: Data(json)), name: name)
    } catch {
      throw Diagnostic(.invalid, "is no JSON object that describes a model", file: name)
    }
  }

  private func failure(_ key: String, _ wanted: String) -> Diagnostic {
    Diagnostic(.invalid, "'\(key)' is \(values[key].map { "\($0)" } ?? "missing"), where \(wanted) is expected", file: name)
  }

  /// What is there under a key; null counts as nothing.
  public func value(_ key: String) -> Value? {
    switch values[key] {
    case nil, .null?: nil
    case let value?: value
    }
  }

  /// A whole number from 1 (or another least) to 2³¹; the default where the key is missing. Throws where it is anything else.
  public func count(_ key: String, default fallback: Int? = nil, least: Int = 1) throws(Diagnostic) -> Int {
    switch (value(key), fallback) {
    case (.number(let number)?, _) where number >= Double(least) && number <= 0x1p31 && number.rounded() == number:
      return Int(number)
    case (nil, let fallback?): return fallback
    case (.null?, _), (.bool?, _), (.number?, _), (.string?, _), (.array?, _), (.object?, _), (nil, nil):
      throw failure(key, "a whole number of at least \(least)")
    }
  }

  /// A whole number, or nil where the key is missing.
  public func optionalCount(_ key: String) throws(Diagnostic) -> Int? { value(key) == nil ? nil : try count(key) }

  /// How many layers: a whole number up to 10,000.
  public func layers(_ key: String, default fallback: Int? = nil) throws(Diagnostic) -> Int {
    let count = try count(key, default: fallback)
    guard count <= 10_000 else { throw failure(key, "at most 10000") }
    return count
  }

  /// A finite number.
  public func number(_ key: String, default fallback: Double? = nil) throws(Diagnostic) -> Double {
    switch (value(key), fallback) {
    case (.number(let number)?, _) where number.isFinite: return number
    case (nil, let fallback?): return fallback
    case (.null?, _), (.bool?, _), (.number?, _), (.string?, _), (.array?, _), (.object?, _), (nil, nil):
      throw failure(key, "a number")
    }
  }

  /// A truth value.
  public func flag(_ key: String, default fallback: Bool) throws(Diagnostic) -> Bool {
    switch value(key) {
    case .bool(let flag)?: return flag
    case nil: return fallback
    case .null?, .number?, .string?, .array?, .object?: throw failure(key, "true or false")
    }
  }

  /// Text, or nil where the key is missing.
  public func text(_ key: String) throws(Diagnostic) -> String? {
    switch value(key) {
    case .string(let text)?: return text
    case nil: return nil
    case .null?, .bool?, .number?, .array?, .object?: throw failure(key, "text")
    }
  }

  /// A list of text, or nil where the key is missing.
  public func texts(_ key: String) throws(Diagnostic) -> [String]? {
    guard let value = value(key) else { return nil }
    guard case .array(let elements) = value else { throw failure(key, "a list of text") }
    var texts: [String] = []
    for element in elements {
      guard case .string(let text) = element else { throw failure(key, "a list of text") }
      texts.append(text)
    }
    return texts
  }

  /// A list of whole numbers of at least 0, or nil where the key is missing.
  public func counts(_ key: String) throws(Diagnostic) -> [Int]? {
    guard let value = value(key) else { return nil }
    guard case .array(let elements) = value else { throw failure(key, "a list of whole numbers") }
    var counts: [Int] = []
    for element in elements {
      guard case .number(let number) = element, let count = Int(exactly: number), count >= 0 else {
        throw failure(key, "a list of whole numbers")
      }
      counts.append(count)
    }
    return counts
  }

  /// An inner object, or nil where the key is missing.
  public func object(_ key: String) throws(Diagnostic) -> Configuration? {
    switch value(key) {
    case .object(let inner)?: return Configuration(inner, name: "\(name), \(key)")
    case nil: return nil
    case .null?, .bool?, .number?, .string?, .array?: throw failure(key, "an object")
    }
  }

  /// Throws what a size must be, where it is not.
  func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(Diagnostic) {
    if !condition { throw Diagnostic(.invalid, message(), file: name) }
  }
}

extension Configuration.Value: Decodable {
  /// Any JSON value.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([Configuration.Value].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: Configuration.Value].self))
    }
  }
}

extension Configuration.Value: CustomStringConvertible {
  /// The value as JSON has it; inner objects and lists in short.
  public var description: String {
    switch self {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
    case .string(let text): "'\(text)'"
    case .array(let elements): "a list of \(elements.count)"
    case .object(let inner): "an object of \(inner.count) keys"
    }
  }
}
