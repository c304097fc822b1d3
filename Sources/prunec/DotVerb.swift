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
    let solution = model.solution
    let text = DotPrinter.print(solution.module) { value in
      let layouts = solution.axes[value.index]
      var seen: Set<Int> = []
      let groups = layouts.flatMap { solution.groups(in: $0) }.filter { seen.insert($0).inserted }
      let note = layouts.map { solution.text($0) }.joined(separator: ", ")
      return DotPrinter.Mark(groups: groups.map { solution.groups[$0].name }, note: "[\(note)]")
    }
    guard let output = invocation.text(.output) else { return try console.report(text) }
    try AtomicFile.write(to: output, notOver: model.file.files) { try $0.write(Array(text.utf8)) }
  }
}
