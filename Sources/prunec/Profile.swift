import Foundation
import Graph
import Runtime

/// Where the time of a run goes: by kind of step, and the slowest steps.
struct Profile {
  private let summary: ProgramSummary
  private let seconds: [Double]

  init(_ summary: ProgramSummary, _ seconds: [Double]) {
    self.summary = summary
    self.seconds = seconds
  }

  var text: String {
    let total = max(seconds.reduce(0, +), 1e-12)
    func cells(_ name: String, _ time: Double, _ multiplyAdds: Double) -> [String] {
      let rate = multiplyAdds > 0 && time > 0 ? String(format: "%.1f", multiplyAdds * 2e-9 / time) : ""
      return [name, String(format: "%.3f", time * 1e3), rate, String(format: "%.1f %%", time / total * 100)]
    }
    var kinds: [String: (time: Double, multiplyAdds: Double, count: Int)] = [:]
    for (line, time) in zip(summary.lines, seconds) {
      let name = line.name + (line.isKernel ? "" : " (no kernel)")
      let so = kinds[name] ?? (0, 0, 0)
      kinds[name] = (so.time + time, so.multiplyAdds + line.multiplyAdds, so.count + 1)
    }
    var table = TextTable([.left, .right, .right, .right])
    table.add(["step", "ms", "GFLOP/s", "share"])
    for (name, sum) in kinds.sorted(by: { ($0.value.time, $1.key) > ($1.value.time, $0.key) }) {
      table.add(cells("\(name) × \(sum.count)", sum.time, sum.multiplyAdds))
    }
    table.add(cells("all", total, summary.lines.reduce(0) { $0 + $1.multiplyAdds }))
    var slowest = TextTable([.left, .right, .right, .right])
    slowest.add(["slowest", "ms", "GFLOP/s", "share"])
    for index in seconds.indices.sorted(by: { seconds[$0] > seconds[$1] }).prefix(10) {
      let line = summary.lines[index]
      slowest.add(cells("\(line.name) \(Wording.name(line.node))", seconds[index], line.multiplyAdds))
    }
    let memory = "activations: \(Wording.bytes(summary.activationBytes)), at least \(Wording.bytes(summary.leastActivationBytes))"
    return (table.lines + [""] + slowest.lines + ["", memory, ""]).joined(separator: "\n")
  }
}

/// `--threads`.
enum Threads {
  static func count(_ invocation: Invocation) throws(Diagnostic) -> Int {
    try invocation.number(.threads, least: 1) ?? ProcessInfo.processInfo.activeProcessorCount
  }
}
