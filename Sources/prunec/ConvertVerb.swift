import Graph
import Passes

/// `prunec convert`: the model in another format.
struct ConvertVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    guard let output = invocation.text(.output) else {
      throw Diagnostic(.usage, "-o is missing: prunec \(invocation.verb.usage)")
    }
    _ = try ModelFile.outputFormat(of: output)
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(path)")
    let file = try ModelReader.read(path)
    progress.report("writing \(output)")
    let bytes = try file.write(file.module, to: output)
    progress.finish()
    if !console.isQuiet { try console.report("\(Wording.name(output)): \(Wording.bytes(bytes))\n") }
  }
}
