import Graph
import Passes

/// `prunec verify-dimensions`: infers every type again and compares.
struct VerifyDimensionsVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  /// True when everything agrees.
  func run() throws(Diagnostic) -> Bool {
    let path = try invocation.model()
    let module = try ModelReader.read(path).module
    let faults = VerifyDimensions.run(module)
    let shown = Wording.name(path)
    if invocation.has(.json) {
      let list = faults.map { fault in
        Json.object([("place", .text(fault.place.description)), ("message", .text(fault.message))])
      }
      let report = Json.object([
        ("file", .text(path)), ("ok", .bool(faults.isEmpty)), ("values", .integer(module.values.count)), ("faults", .array(list)),
      ])
      try console.report(report.text() + "\n")
    } else if faults.isEmpty {
      if !console.isQuiet {
        try console.report("\(console.good("ok")): \(shown): \(Wording.plural(module.values.count, "value"))\n")
      }
    } else {
      try console.report(faults.map { Wording.name($0.inFile(path).description) + "\n" }.joined())
    }
    if !faults.isEmpty {
      Console.complain(
        "prunec: error: \(shown): \(Wording.plural(faults.count, "fault")) among \(Wording.plural(module.values.count, "value"))")
    }
    return faults.isEmpty
  }
}
