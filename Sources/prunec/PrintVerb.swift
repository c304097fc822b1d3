import Graph
import Passes

/// `prunec print`: the model as text.
struct PrintVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    try console.report(ModulePrinter.print(try ModelReader.read(try invocation.model()).module, options: .names))
  }
}
