/// What is wrong with a model, where, and what to do: one line for a person, as a value.
public struct Diagnostic: Error, Sendable, Hashable {
  /// What kind of failure it is; decides the exit code of the command.
  public enum Kind: Sendable, Hashable {
    /// The input cannot be read or is not a valid model (exit code 4).
    case invalid
    /// The model is valid but needs something prunec does not support (exit code 3).
    case unsupported
    /// The answer to the question asked is no (exit code 1).
    case refused
    /// The call is wrong: options, names, ranges (exit code 2).
    case usage
    /// The output cannot be written (exit code 5).
    case unwritable
  }

  /// Where in the input: a line and column of text, a byte of a file, a node, a tensor.
  public enum Place: Sendable, Hashable, CustomStringConvertible {
    case none
    case text(line: Int, column: Int)
    case byte(Int)
    case node(String)
    case tensor(String)

    /// `3:14`, `byte 120`, `node conv1`, `tensor fc.weight`; empty for none.
    public var description: String {
      switch self {
      case .none: ""
      case .text(let line, let column): "\(line):\(column)"
      case .byte(let offset): "byte \(offset)"
      case .node(let name): "node \(Diagnostic.oneLine(name))"
      case .tensor(let name): "tensor \(Diagnostic.oneLine(name))"
      }
    }
  }

  /// What kind of failure it is.
  public let kind: Kind
  /// The file, where there is one; filled in by whoever knows it.
  public var file: String?
  /// Where.
  public let place: Place
  /// What is wrong and what to do, without a full stop.
  public let message: String

  /// A failure of the given kind.
  public init(_ kind: Kind, _ message: String, at place: Place = .none, file: String? = nil) {
    self.kind = kind
    self.message = Self.oneLine(message)
    self.place = place
    self.file = file
  }

  /// Names come from files and may hold anything: control characters are written as `\u{A}`, so that a message stays one line and
  /// cannot steer a terminal.
  static func oneLine(_ text: String) -> String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .control }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    return text.unicodeScalars.reduce(into: "") { line, scalar in
      if isControl(scalar) {
        line += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      } else {
        line.unicodeScalars.append(scalar)
      }
    }
  }

  /// The same failure, in a file.
  public func inFile(_ file: String) -> Diagnostic { Diagnostic(kind, message, at: place, file: self.file ?? file) }
}

extension Diagnostic: CustomStringConvertible {
  /// `FILE: place: message`, parts that are not known left out; for text `FILE:line:column: message`.
  public var description: String {
    switch (file, place) {
    case (let file?, .text(let line, let column)): "\(file):\(line):\(column): \(message)"
    case (let file?, .none): "\(file): \(message)"
    case (let file?, let place): "\(file): \(place): \(message)"
    case (nil, .none): message
    case (nil, let place): "\(place): \(message)"
    }
  }
}
