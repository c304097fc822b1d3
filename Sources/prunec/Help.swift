import Passes

/// What `--help` says.
enum Help {
  /// Columns that help takes where it is not told how many there are, and at most.
  static let widest = 100

  /// The overview.
  static func overview(width: Int = widest) -> String {
    let column = Verb.allCases.map(\.rawValue.count).max() ?? 0
    let verbs = Verb.allCases.map { entry($0.rawValue, $0.summary, column: column, width: width) }
    let summary =
      "prunec: a pruning compiler. It finds which indices of a model's tensors belong together, removes the least useful ones, and "
      + "writes the same model with smaller tensors."
    return """
      \(filled(summary, width: width))

      Usage:
        prunec MODEL -o SMALLER [--ratio 0.5] [options]
        prunec VERB MODEL [options]

      Verbs (the first may be left out):
      \(verbs.joined(separator: "\n"))

      A first session:
        prunec groups model.onnx                       what can be pruned, and what cannot
        prunec model.onnx -o small.onnx --ratio 0.3    remove 30 % of every group's indices
        prunec bench small.onnx --vs model.onnx        how much faster it is

      MODEL is an .onnx or an .ir file, told apart by content, or a folder with
      config.json and safetensors.
      Exit codes: 0 done; 1 the answer is no; 2 wrong call; 3 the model needs
      something unsupported; 4 the input cannot be read or is invalid; 5 the output
      cannot be written.
      Every verb explains itself: prunec VERB --help

      """
  }

  /// Help on one verb, in lines of at most so many characters.
  static func text(_ verb: Verb, width: Int = widest) -> String {
    let options = Option.allCases.filter { $0.verbs.contains(verb) }
    let title = filled("prunec \(verb.rawValue): \(verb.summary)", width: width)
    var parts = [title, "Usage:\n  prunec \(verb.usage)", verb.hasExactLines ? verb.details : filled(verb.details, width: width)]
    let isLong = options.count > 8
    let column = min(30, options.map { signature($0.entry(for: verb)).count }.max() ?? 0)
    func lines(_ options: [Option]) -> String {
      options.map { option in
        let entry = option.entry(for: verb)
        return Self.entry(signature(entry), meaning(entry), column: column, width: width)
      }.joined(separator: "\n")
    }
    if isLong {
      for section in OptionSection.allCases {
        let own = options.filter { $0.section(for: verb) == section }
        if !own.isEmpty { parts.append("\(section.rawValue):\n" + lines(own)) }
      }
    } else {
      parts.append("Options:\n" + lines(options))
    }
    if verb == .compile { parts.append(notes.map { filled($0, width: width) }.joined(separator: "\n")) }
    let lesson = wrapped(verb.example.meaning, width: width - 2).map { "  " + $0 }.joined(separator: "\n")
    parts.append("Example:\n  \(verb.example.call)\n" + lesson)
    return parts.joined(separator: "\n\n") + "\n"
  }

  private static let notes = [
    "Patterns: * stands for any run of characters, ? for one; a pattern without them also matches everything below it (layer1 matches "
      + "layer1.conv.weight).",
    "Kinds: \(GroupKind.allCases.map(\.rawValue).joined(separator: ", ")).",
  ]

  /// A paragraph, its lines broken anew.
  private static func filled(_ text: String, width: Int) -> String {
    wrapped(text.replacing("\n", with: " "), width: width).joined(separator: "\n")
  }

  /// `-o, --output FILE`.
  private static func signature(_ entry: OptionEntry) -> String {
    let names = entry.names.joined(separator: ", ")
    return entry.argument.placeholder.map { "\(names) \($0)" } ?? names
  }

  /// A name, and beside it what it means.
  private static func entry(_ name: String, _ meaning: String, column: Int, width: Int) -> String {
    let meaning = wrapped(meaning, width: width - column - 4)
    let blanks = String(repeating: " ", count: column + 4)
    if name.count > column { return "  \(name)\n" + meaning.map { blanks + $0 }.joined(separator: "\n") }
    let first = "  " + name + String(repeating: " ", count: column - name.count + 2) + (meaning.first ?? "")
    return ([first] + meaning.dropFirst().map { blanks + $0 }).joined(separator: "\n")
  }

  private static func meaning(_ entry: OptionEntry) -> String {
    switch entry.argument {
    case .none, .text, .file: entry.meaning
    case .choice(_, let words): "\(entry.meaning): \(words.joined(separator: ", "))"
    case .choices: entry.meaning
    }
  }
}
