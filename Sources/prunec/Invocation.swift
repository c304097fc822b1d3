import Graph
import Passes

/// A call of the command, understood: the verb, its operands, and the values of its options as they were given.
struct Invocation {
  /// What to do.
  let verb: Verb
  /// Arguments that are no options.
  let operands: [String]
  /// Values by option, in order; an empty text for an option without a value.
  private let values: [Option: [String]]

  /// What a command line asks for.
  enum Request {
    case run(Invocation)
    /// Help on a verb, or an overview.
    case help(Verb?)
    case version
  }

  /// Reads arguments (without the command's name). `isFile` says whether a path exists, to tell a model from a misspelt verb.
  static func parse(_ arguments: [String], isFile: (String) -> Bool) throws(Diagnostic) -> Request {
    guard let first = arguments.first else { return .help(nil) }
    var rest = arguments[...]
    var verb = Verb.compile
    if let named = Verb(rawValue: first) {
      verb = named
      rest = rest.dropFirst()
    } else if first == "--version" {
      return .version
    } else if arguments == ["--help"] || arguments == ["-h"] {
      return .help(nil)
    } else if looksLikeVerb(first), !isFile(first) {
      throw unknownVerb(first)
    }
    var reader = Reader(verb: verb, rest: rest)
    try reader.read()
    if reader.values[.help] != nil { return .help(verb) }
    if reader.values[.version] != nil { return .version }
    let invocation = Invocation(verb: verb, operands: reader.operands, values: reader.values)
    if verb == .help { return .help(try invocation.operands.first.map { name throws(Diagnostic) in try Self.verb(name) }) }
    try invocation.checkOperands()
    return .run(invocation)
  }

  /// Letters and dashes only: a word, not a path.
  private static func looksLikeVerb(_ text: String) -> Bool {
    text.first?.isLetter == true && text.allSatisfy { $0.isLetter || $0 == "-" }
  }

  private static func unknownVerb(_ name: String) -> Diagnostic {
    let near = meant(name, among: Verb.allCases.map(\.rawValue))
    return Diagnostic(.usage, "unknown verb '\(name)'\(near ?? "; there is no file of that name either, see 'prunec --help'")")
  }

  private static func verb(_ name: String) throws(Diagnostic) -> Verb {
    guard let verb = Verb(rawValue: name) else { throw unknownVerb(name) }
    return verb
  }

  private func checkOperands() throws(Diagnostic) {
    let expected = verb.operands
    if has(.list) || has(.table), operands.isEmpty { return }
    if operands.count < expected.count {
      throw Diagnostic(.usage, "\(expected[operands.count].placeholder) is missing: prunec \(verb.usage)")
    }
    guard operands.count > expected.count else { return }
    if verb == .compile, let named = operands.lazy.compactMap({ Verb(rawValue: $0) }).first {
      throw Diagnostic(.usage, "the verb comes first: prunec \(named.usage)")
    }
    throw Diagnostic(.usage, "'\(operands[expected.count])' is one argument too many: prunec \(verb.usage)")
  }

  // MARK: Values

  /// True when an option was given.
  func has(_ option: Option) -> Bool { values[option] != nil }

  /// The value of an option, nil when it was not given.
  func text(_ option: Option) -> String? { values[option]?.last }

  /// All values of an option that may be repeated.
  func texts(_ option: Option) -> [String] { values[option] ?? [] }

  /// All values of an option whose values are lists between commas.
  func list(_ option: Option) throws(Diagnostic) -> [String] {
    let parts = texts(option).flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map { trimmed(String($0)) }
    if parts.contains("") {
      throw Diagnostic(.usage, "\(option.entry.name) has an empty entry; write entries with single commas between")
    }
    return parts
  }

  /// A whole number of at least `least`; nil when it was not given.
  func number(_ option: Option, least: Int) throws(Diagnostic) -> Int? {
    guard let text = text(option) else { return nil }
    guard let number = Int(text), number >= least else {
      throw Diagnostic(.usage, "\(option.entry.name) \(text): a whole number of at least \(least) is expected")
    }
    return number
  }

  /// A share between 0 and 1, bounds as given; nil when it was not given.
  func share(_ option: Option, _ bounds: ShareBounds) throws(Diagnostic) -> Double? {
    guard let text = text(option) else { return nil }
    return try bounds.read(text, shown: "\(option.entry.name) \(text)")
  }

  /// One of an enumeration's words; nil when it was not given.
  func word<Word: RawRepresentable & CaseIterable>(_ option: Option, as: Word.Type) throws(Diagnostic) -> Word?
  where Word.RawValue == String {
    guard let text = text(option) else { return nil }
    return try Self.word(text, option, as: Word.self)
  }

  /// Reads a word of an enumeration.
  static func word<Word: RawRepresentable & CaseIterable>(_ text: String, _ option: Option, as: Word.Type) throws(Diagnostic)
    -> Word
  where Word.RawValue == String {
    if let word = Word(rawValue: text) { return word }
    let words = Word.allCases.map(\.rawValue)
    throw Diagnostic(
      .usage,
      "\(option.entry.name) \(text): no such choice\(meant(text, among: words) ?? "; it is one of \(words.joined(separator: ", "))")"
    )
  }
}

/// Which shares an option takes.
enum ShareBounds {
  /// What is removed: 0 is allowed (nothing), 1 is not (nothing would be left).
  case removed
  /// What is kept: 0 is not allowed, 1 is (everything).
  case kept

  /// Reads a share; `shown` is what a message calls it.
  func read(_ text: String, shown: String) throws(Diagnostic) -> Double {
    let number = Double(text)
    let isInside =
      switch self {
      case .removed: number.map { $0 >= 0 && $0 < 1 } ?? false
      case .kept: number.map { $0 > 0 && $0 <= 1 } ?? false
      }
    if isInside, let number { return number }
    let range =
      switch self {
      case .removed: "a number from 0 to below 1 is expected, the share to remove"
      case .kept: "a number above 0 up to 1 is expected, the share to keep"
      }
    var hint = ""
    let percent = text.hasSuffix("%") ? Double(text.dropLast()) : number.flatMap { $0 > 1 ? $0 : nil }
    if let percent, percent > 1, percent < 100 { hint = "; write \(percent / 100) for \(Wording.plain(percent)) %" }
    throw Diagnostic(.usage, "\(shown): \(range)\(hint)")
  }
}

/// Walks through the arguments.
private struct Reader {
  let verb: Verb
  var rest: ArraySlice<String>
  var operands: [String] = []
  var values: [Option: [String]] = [:]

  mutating func read() throws(Diagnostic) {
    while let argument = rest.popFirst() {
      if argument == "--" {
        operands += rest
        return
      }
      if argument.count > 1, argument.hasPrefix("-") { try option(argument) } else { operands.append(argument) }
    }
  }

  private mutating func option(_ argument: String) throws(Diagnostic) {
    let (name, attached) = split(argument)
    guard let option = Option.named(name) else { throw unknown(name) }
    if !option.verbs.contains(verb), option != .version {
      let owners = option.verbs.map { "'\($0.rawValue)'" }.joined(separator: ", ")
      throw Diagnostic(.usage, "\(name) is no option of '\(verb.rawValue)', only of \(owners)")
    }
    let value = try value(of: option, name, attached)
    if values[option] != nil, !option.entry.isList, option.entry.argument.placeholder != nil {
      throw Diagnostic(.usage, "\(option.entry.name) is given twice; say it once")
    }
    values[option, default: []].append(value)
  }

  private mutating func value(of option: Option, _ name: String, _ attached: String?) throws(Diagnostic) -> String {
    guard let placeholder = option.entry.argument.placeholder else {
      if let attached { throw Diagnostic(.usage, "\(name) takes no value, but is given '\(attached)'") }
      return ""
    }
    if let attached { return attached }
    guard let next = rest.first, Option.named(split(next).name) == nil, next != "--" else {
      throw Diagnostic(.usage, "\(name) needs a value: \(name) \(placeholder)")
    }
    rest = rest.dropFirst()
    return next
  }

  /// `--name=value` in two.
  private func split(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("--"), let equals = argument.firstIndex(of: "=") else { return (argument, nil) }
    return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
  }

  private func unknown(_ name: String) -> Diagnostic {
    let known = Option.allCases.filter { $0.verbs.contains(verb) }.flatMap { $0.entry.names }
    let near = meant(name, among: known) ?? "; see 'prunec \(verb == .compile ? "" : verb.rawValue + " ")--help'"
    return Diagnostic(.usage, "unknown option '\(name)'\(near)")
  }
}

/// `; did you mean 'x'?`, or nil where nothing is near.
func meant(_ word: String, among words: [String]) -> String? {
  Suggestion.nearest(to: word, among: words).map { "; did you mean '\($0)'?" }
}

/// Without blanks at the ends.
func trimmed(_ text: String) -> String {
  String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
}
