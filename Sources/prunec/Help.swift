import Passes

/// What `--help` says.
enum Help {
  /// The overview.
  static func overview() -> String {
    var verbs = TextTable([.left, .left])
    verbs.indent = "  "
    for verb in Verb.allCases { verbs.add([verb.rawValue, verb.summary]) }
    return """
      prunec: a pruning compiler. It finds which indices of a model's tensors belong together, removes the least useful ones,
      and writes the same model with smaller tensors.

      Usage:
        prunec MODEL -o SMALLER [--ratio 0.5] [options]
        prunec VERB MODEL [options]

      Verbs (the first may be left out):
      \(verbs.lines.joined(separator: "\n"))

      A first session:
        prunec groups model.onnx                         what can be pruned, and what cannot
        prunec model.onnx -o small.onnx --ratio 0.3      remove 30 % of every group's indices
        prunec explain model.onnx layer1.weight          why a tensor is pruned, or is not

      MODEL is an .onnx or an .ir file; which of them is told from its content.
      Exit codes: 0 done; 1 the answer is no; 2 wrong call; 3 the model needs something unsupported;
      4 the input cannot be read or is invalid; 5 the output cannot be written.
      Every verb explains itself: prunec VERB --help

      """
  }

  /// Help on one verb.
  static func text(_ verb: Verb) -> String {
    let options = Option.allCases.filter { $0.verbs.contains(verb) }
    var parts = ["prunec \(verb.rawValue): \(verb.summary)", "Usage:\n  prunec \(verb.usage)", verb.details]
    let isLong = options.count > 8
    let width = options.map { signature($0).count }.max() ?? 0
    if isLong {
      for section in OptionSection.allCases {
        let own = options.filter { $0.section == section }
        if !own.isEmpty { parts.append("\(section.rawValue):\n" + own.map { line($0, width) }.joined(separator: "\n")) }
      }
    } else {
      parts.append("Options:\n" + options.map { line($0, width) }.joined(separator: "\n"))
    }
    if verb == .compile { parts.append(notes) }
    parts.append(
      "Example:\n  \(verb.example.call)\n" + wrapped(verb.example.meaning, width: 100).map { "  " + $0 }.joined(separator: "\n"))
    return parts.joined(separator: "\n\n") + "\n"
  }

  private static let notes = """
    Patterns: * stands for any run of characters, ? for one; a pattern without them also matches everything below it
    (layer1 matches layer1.conv.weight).
    Kinds: \(GroupKind.allCases.map(\.rawValue).joined(separator: ", ")).
    """

  /// `-o, --output FILE`.
  private static func signature(_ option: Option) -> String {
    let entry = option.entry
    let names = entry.names.joined(separator: ", ")
    return entry.argument.placeholder.map { "\(names) \($0)" } ?? names
  }

  private static func line(_ option: Option, _ width: Int) -> String {
    let name = signature(option)
    let column = min(width, 30)
    let meaning = wrapped(meaning(option), width: 104 - column)
    let blanks = String(repeating: " ", count: column + 4)
    if name.count > column { return "  \(name)\n" + meaning.map { blanks + $0 }.joined(separator: "\n") }
    let first = "  " + name + String(repeating: " ", count: column - name.count + 2) + (meaning.first ?? "")
    return ([first] + meaning.dropFirst().map { blanks + $0 }).joined(separator: "\n")
  }

  private static func meaning(_ option: Option) -> String {
    switch option.entry.argument {
    case .none, .text, .file: option.entry.meaning
    case .choice(_, let words): "\(option.entry.meaning): \(words.joined(separator: ", "))"
    case .choices: option.entry.meaning
    }
  }
}
