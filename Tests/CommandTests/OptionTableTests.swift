import Foundation
import Graph
import Testing

@testable import prunec

@Suite("The option table, and what is made of it")
struct OptionTableTests {
  @Test("No two options share a name")
  func unique() {
    let names = Option.allCases.flatMap { $0.entry.names }
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { Option.named($0) != nil })
    #expect(Option.named("--no-such-option") == nil)
  }

  @Test(
    "Help on a verb has a usage line, an example, and each of its options, in lines that fit a screen", arguments: Verb.allCases)
  func help(verb: Verb) {
    let text = Help.text(verb)
    #expect(text.contains("prunec \(verb.usage)"))
    #expect(text.contains(verb.example.call))
    let words = Set(text.split { !$0.isLetter && $0 != "-" }.map(String.init))
    for option in Option.allCases {
      #expect(words.contains(option.entry.name) == option.verbs.contains(verb) || verb == .compile || option == .version)
    }
  }

  @Test("Help keeps to the width of the terminal, but for lines that are to be copied", arguments: Verb.allCases)
  func width(verb: Verb) {
    for width in [80, 100] {
      for text in [Help.text(verb, width: width), Help.overview(width: width)] {
        let long = text.split(separator: "\n").map { String($0) }.filter { $0.count > width }
        // Calls that are to be copied stay in one line.
        #expect(long.allSatisfy { $0.hasPrefix("  prunec ") || $0.hasPrefix("bash: prunec ") || $0.hasPrefix("fish: prunec ") })
      }
    }
  }

  @Test("The example of a verb is a call that the command understands", arguments: Verb.allCases)
  func example(verb: Verb) throws {
    // Up to the first word that belongs to the shell.
    var call = verb.example.call.replacingOccurrences(of: "source <(", with: "").replacingOccurrences(of: ")", with: "")
    for mark in [" && ", " | "] { call = call.components(separatedBy: mark)[0] }
    let words = call.split(separator: " ").map(String.init)
    #expect(words.first == "prunec")
    switch try Invocation.parse(Array(words.dropFirst()), isFile: { _ in false }) {
    case .run(let invocation):
      #expect(invocation.verb == verb)
      if verb == .compile { _ = try CompileRequest(invocation) }
    case .help: #expect(verb == .help)
    case .version: Issue.record("is a request for the version")
    }
  }

  @Test("Completions know every verb, and every option with its words", arguments: Shell.allCases)
  func completions(shell: Shell) {
    let script = CompletionScripts.text(for: shell)
    for verb in Verb.allCases { #expect(script.contains(verb.rawValue)) }
    for option in Option.allCases {
      for name in option.entry.names {
        #expect(
          script.contains(shell == .fish ? (name.hasPrefix("--") ? "-l \(name.dropFirst(2))" : "-s \(name.dropFirst())") : name))
      }
    }
    #expect(script.contains("isomorphic"))
    #expect(script.contains("head-dims"))
  }

  @Test("The shells accept the scripts", arguments: Shell.allCases)
  func syntax(shell: Shell) throws {
    let folders = ["/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
    guard let program = folders.map({ "\($0)/\(shell.rawValue)" }).first(where: FileManager.default.isExecutableFile(atPath:))
    else {
      // That shell is not here.
      return
    }
    let runner = try CommandRunner()
    try runner.write(CompletionScripts.text(for: shell), "script")
    let outcome = try runner.run(URL(fileURLWithPath: program), ["-n", "script"])
    #expect(outcome.code == 0)
    #expect(outcome.errors == "")
    try runner.write("if true; then\n", "broken")
    #expect(try runner.run(URL(fileURLWithPath: program), ["-n", "broken"]).code != 0)
  }

  @Test("bash completes verbs, options and the words of options")
  func bash() throws {
    guard FileManager.default.isExecutableFile(atPath: "/bin/bash") else { return }
    let runner = try CommandRunner()
    try runner.write(CompletionScripts.text(for: .bash), "script")
    func completed(_ words: [String]) throws -> Set<String> {
      let list = words.map { "'\($0)'" }.joined(separator: " ")
      let call =
        "source ./script; COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _prunec; printf '%s\\n' \"${COMPREPLY[@]}\""
      let outcome = try runner.run(URL(fileURLWithPath: "/bin/bash"), ["-c", call])
      return Set(outcome.output.split(separator: "\n").map(String.init))
    }
    #expect(try completed(["prunec", "gro"]) == ["groups"])
    #expect(try completed(["prunec", "groups", "m.onnx", "--"]) == ["--blocks", "--data", "--json", "--quiet", "--help"])
    #expect(try completed(["prunec", "m.onnx", "--sc"]) == ["--scope", "--score-by"])
    #expect(try completed(["prunec", "m.onnx", "--scope", "g"]) == ["global"])
    #expect(try completed(["prunec", "completions", ""]) == ["bash", "zsh", "fish"])
    #expect(try completed(["prunec", "m.onnx", "--ratio", ""]).isEmpty)
  }
}
