import Zoo

/// Completion scripts for shells, made from the tables of verbs and options.
enum CompletionScripts {
  /// The script for a shell.
  static func text(for shell: Shell) -> String {
    switch shell {
    case .bash: bash
    case .zsh: zsh
    case .fish: fish
    }
  }

  private static func options(of verb: Verb) -> [Option] { Option.allCases.filter { $0.verbs.contains(verb) } }

  // MARK: bash

  private static var bash: String {
    var values: [String] = []
    for option in Option.allCases {
      let names = option.entry.names.joined(separator: "|")
      switch option.entry.argument {
      case .none: break
      case .text: values.append("    \(names)) return ;;")
      case .file: values.append("    \(names)) mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;")
      case .choice(_, let words), .choices(_, let words):
        values.append(
          "    \(names)) mapfile -t COMPREPLY < <(compgen -W '\(words.joined(separator: " "))' -- \"$current\"); return ;;")
      }
    }
    let words = Verb.allCases.map { verb in
      "      \(verb.rawValue)) words='\(options(of: verb).flatMap { $0.entry.names }.joined(separator: " "))' ;;"
    }
    let verbs = Verb.allCases.map(\.rawValue)
    return """
      # bash completion for prunec
      _prunec() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=compile words=
        COMPREPLY=()
        case ${COMP_WORDS[1]} in
          \(verbs.joined(separator: "|"))) verb=${COMP_WORDS[1]} ;;
        esac
        case $previous in
      \(values.joined(separator: "\n"))
        esac
        if [[ $current == -* ]]; then
          case $verb in
      \(words.joined(separator: "\n"))
          esac
          [[ $COMP_CWORD -eq 1 ]] && words="$words --version"
          mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
          return
        fi
        case $verb in
          trace) mapfile -t COMPREPLY < <(compgen -f -W '\(models.map(\.name).joined(separator: " "))' -- "$current"); return ;;
          completions) mapfile -t COMPREPLY < <(compgen -W '\(Shell.allCases.map(\.rawValue).joined(separator: " "))' -- "$current"); return ;;
          help) mapfile -t COMPREPLY < <(compgen -W '\(verbs.joined(separator: " "))' -- "$current"); return ;;
        esac
        [[ $COMP_CWORD -eq 1 ]] && mapfile -t COMPREPLY < <(compgen -W '\(verbs.joined(separator: " "))' -- "$current")
        local file
        while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
      }
      complete -o filenames -F _prunec prunec

      """
  }

  // MARK: zsh

  private static var zsh: String {
    func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }
    func escaped(_ text: String) -> String {
      text.replacing("[", with: "\\[").replacing("]", with: "\\]").replacing(":", with: "\\:")
    }
    func specs(_ option: Option) -> [String] {
      let entry = option.entry
      return entry.names.map { name in
        let others = entry.isList ? "*" : entry.names.count > 1 ? "(\(entry.names.joined(separator: " ")))" : ""
        let head = "\(others)\(name)[\(escaped(entry.meaning))]"
        switch entry.argument {
        case .none: return quoted(head)
        case .text(let placeholder): return quoted("\(head):\(escaped(placeholder)):")
        case .file(let placeholder): return quoted("\(head):\(placeholder):_files")
        case .choice(let placeholder, let words): return quoted("\(head):\(placeholder):(\(words.joined(separator: " ")))")
        case .choices(let placeholder, let words):
          return quoted("\(head):\(escaped(placeholder)):_values -s , kind \(words.joined(separator: " "))")
        }
      }
    }
    let cases = Verb.allCases.map { verb in
      var lines = options(of: verb).flatMap(specs)
      for operand in verb.operands {
        switch operand {
        case .model: lines.append("':model:_files'")
        case .smaller: lines.append("':smaller:_files'")
        case .tensor: lines.append("':tensor:'")
        case .traced: lines.append("':model:(\(models.map(\.name).joined(separator: " ")))'")
        case .shell: lines.append("':shell:(\(Shell.allCases.map(\.rawValue).joined(separator: " ")))'")
        case .verb: lines.append("':verb:(\(Verb.allCases.map(\.rawValue).joined(separator: " ")))'")
        }
      }
      return "    \(verb.rawValue))\n      _arguments \\\n        \(lines.joined(separator: " \\\n        "))\n      ;;"
    }
    let verbs = Verb.allCases.map { "    \(quoted("\($0.rawValue):\(escaped($0.summary))"))" }
    return """
      #compdef prunec
      _prunec() {
        local verb=compile
        local -a verbs
        verbs=(
      \(verbs.joined(separator: "\n"))
        )
        case $words[2] in
          \(Verb.allCases.map(\.rawValue).joined(separator: "|")))
            if (( CURRENT > 2 )); then
              verb=$words[2]
              shift words
              (( CURRENT-- ))
            fi
            ;;
        esac
        if (( CURRENT == 2 )) && [[ $verb == compile && $words[CURRENT] != -* ]]; then
          _describe -t verbs verb verbs
        elif (( CURRENT == 2 )) && [[ $words[CURRENT] == -* ]]; then
          compadd -- --version
        fi
        case $verb in
      \(cases.joined(separator: "\n"))
        esac
      }
      if [[ $funcstack[1] == _prunec ]]; then
        _prunec "$@"
      else
        compdef _prunec prunec
      fi

      """
  }

  // MARK: fish

  private static var fish: String {
    func quoted(_ text: String) -> String { "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'" }
    let others = Verb.allCases.filter { $0 != .compile }.map(\.rawValue).joined(separator: " ")
    var lines = ["# fish completion for prunec"]
    for verb in Verb.allCases {
      lines.append("complete -c prunec -n __fish_use_subcommand -a \(verb.rawValue) -d \(quoted(verb.summary))")
    }
    lines.append("complete -c prunec -n __fish_use_subcommand -l version -d \(quoted(Option.version.entry.meaning))")
    for option in Option.allCases {
      let verbs = option.verbs
      if verbs.isEmpty { continue }
      let condition: String
      if verbs.count == Verb.allCases.count {
        condition = ""
      } else if verbs.contains(.compile) {
        let without = Verb.allCases.filter { !verbs.contains($0) }.map(\.rawValue).joined(separator: " ")
        condition = " -n 'not __fish_seen_subcommand_from \(verbs == [.compile] ? others : without)'"
      } else {
        condition = " -n '__fish_seen_subcommand_from \(verbs.map(\.rawValue).joined(separator: " "))'"
      }
      let names = option.entry.names.map { $0.hasPrefix("--") ? "-l \($0.dropFirst(2))" : "-s \($0.dropFirst())" }.joined(
        separator: " ")
      let value =
        switch option.entry.argument {
        case .none: ""
        case .text: " -x"
        case .file: " -r -F"
        case .choice(_, let words): " -x -a \(quoted(words.joined(separator: " ")))"
        case .choices(_, let words): " -x -a \(quoted("(__fish_append , \(words.joined(separator: " ")))"))"
        }
      lines.append("complete -c prunec\(condition) \(names)\(value) -d \(quoted(option.entry.meaning))")
    }
    lines.append(
      "complete -c prunec -n '__fish_seen_subcommand_from completions' -f -a '\(Shell.allCases.map(\.rawValue).joined(separator: " "))'"
    )
    lines.append(
      "complete -c prunec -n '__fish_seen_subcommand_from help' -f -a '\(Verb.allCases.map(\.rawValue).joined(separator: " "))'")
    return lines.joined(separator: "\n") + "\n"
  }
}
