import Graph

/// `prunec completions`: a completion script for a shell.
struct CompletionsVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let name = try invocation.operand(0)
    guard let shell = Shell(rawValue: name) else {
      throw Diagnostic(
        .usage, "no completions for '\(name)'; there are some for \(Shell.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    try console.report(CompletionScripts.text(for: shell))
  }
}
