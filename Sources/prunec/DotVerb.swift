import Formats
import Graph
import Passes

/// `prunec dot`: the graph for Graphviz, coloured by group.
struct DotVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    let model = try SolvedModel.read(path, console)
    let text = ""
    guard let output = invocation.text(.output) else { return try console.report(text) }
    try AtomicFile.write(to: output, notOver: model.file.files) { try $0.write(Array(text.utf8)) }
  }
}
