import Foundation
import Graph
import Passes
import Runtime

/// `prunec bench`: how long a run takes.
struct BenchVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    if invocation.has(.table) { return try showTable() }
    let path = try invocation.model()
    let threads = try Threads.count(invocation)
    let paths = [path, invocation.text(.versus)].compactMap { $0 }
    var contestants: [Contestant] = []
    for path in paths { contestants.append(try Contestant(path, invocation, threads: threads)) }
    for index in contestants.indices { try contestants[index].warmUp() }
    // Contestants take turns, a few runs each, so that what else the machine does disturbs all alike.
    let end = Date().addingTimeInterval(2 * Double(contestants.count))
    repeat { for index in contestants.indices { try contestants[index].turn() } } while Date() < end
    if invocation.has(.json) {
      try console.report(Json.object(contestants[0].fields + versus(contestants)).text() + "\n")
      return
    }
    guard !console.isQuiet else { return }
    var table = TextTable([.left, .right, .right, .right, .right, .right])
    table.add(["model", "median ms", "p10", "p90", "runs", "activations"])
    for contestant in contestants { table.add(contestant.cells) }
    try console.report(table.lines.joined(separator: "\n") + "\n")
    if contestants.count == 2 {
      let ratios = Self.ratios(contestants)
      let text = [ratios.median, ratios.low, ratios.high].map { String(format: "%.2f", $0) }
      try console.report(
        "\(Wording.name(path)) takes \(text[0]) of the time of \(Wording.name(paths[1])) (p10 \(text[1]), p90 \(text[2]))\n")
    }
  }

  /// Measures this machine anew, and shows the rates of products with one number of rows each.
  private func showTable() throws(Diagnostic) {
    let progress = ProgressBar(console)
    let table = try CostTable.measured(threads: try Threads.count(invocation), version: Command.version) {
      progress.report("measuring", $0)
    }
    progress.finish()
    if invocation.has(.json) {
      let products = CostTable.rows.flatMap { rows in
        CostTable.contracted.flatMap { contracted in
          CostTable.columns.map { columns in
            Json.object([
              ("rows", .integer(rows)), ("contracted", .integer(contracted)), ("columns", .integer(columns)),
              ("seconds", .number(table.seconds(rows: Double(rows), contracted: Double(contracted), columns: Double(columns)))),
            ])
          }
        }
      }
      return try console.report(
        Json.object([
          ("machine", .text(table.key)), ("step", .integer(table.step)), ("secondsPerNumber", .number(table.number)),
          ("products", .array(products)),
        ]).text() + "\n")
    }
    guard !console.isQuiet else { return }
    var lines = ["\(table.key)", "columns are computed \(table.step) at a time", ""]
    for rows in CostTable.rows {
      var grid = TextTable([.right] + CostTable.columns.map { _ in .right })
      grid.add(["\(rows) × k · k × n"] + CostTable.columns.map { "n \($0)" })
      for contracted in CostTable.contracted {
        let rates = CostTable.columns.map { columns in
          let seconds = table.seconds(rows: Double(rows), contracted: Double(contracted), columns: Double(columns))
          return Wording.fixed(2 * Double(rows * contracted * columns) / seconds * 1e-9, 1)
        }
        grid.add(["k \(contracted)"] + rates)
      }
      lines += grid.lines + [""]
    }
    lines.append("in thousand millions of operations a second (two for each multiply-add); kept in \(CostTable.file.path)")
    try console.report(lines.joined(separator: "\n") + "\n")
  }

  private func versus(_ contestants: [Contestant]) -> [(String, Json)] {
    guard contestants.count == 2 else { return [] }
    let ratios = Self.ratios(contestants)
    return [
      ("other", .object(contestants[1].fields)),
      (
        "ratio",
        .object([("median", .number(ratios.median)), ("p10", .number(ratios.low)), ("p90", .number(ratios.high))])
      ),
    ]
  }

  /// Time of the first over time of the second, turn by turn.
  private static func ratios(_ contestants: [Contestant]) -> (median: Double, low: Double, high: Double) {
    let ratios = zip(contestants[0].turns, contestants[1].turns).map { $0 / $1 }.sorted()
    return (Contestant.quantile(ratios, 0.5), Contestant.quantile(ratios, 0.1), Contestant.quantile(ratios, 0.9))
  }
}

/// The times of one model's runs.
private struct Contestant {
  let path: String
  private let session: Session
  private let inputs: [RuntimeValue]
  private let threads: Int
  private let summary: ProgramSummary
  private var runsPerTurn = 1
  private(set) var seconds: [Double] = []
  private(set) var processor: [Double] = []
  /// Median time of a run, by turn.
  private(set) var turns: [Double] = []

  init(_ path: String, _ invocation: Invocation, threads: Int) throws(Diagnostic) {
    let file = try ModelReader.read(path)
    self.path = path
    self.threads = threads
    let seed = UInt64(try invocation.number(.seed, least: 0) ?? 0)
    var limits = PlainRunner.Limits()
    if let turns = try invocation.number(.maxIterations, least: 1) { limits.iterations = turns }
    session = Session(file.module, source: file.document?.model, threads: threads, limits: limits, seed: seed)
    inputs = try ModelInputs.read(invocation, file, seed: seed)
    do throws(Diagnostic) { summary = try session.steps(for: inputs) } catch { throw error.inFile(path) }
  }

  mutating func warmUp() throws(Diagnostic) {
    let start = Date()
    for _ in 0..<3 { _ = try session.run(inputs) }
    let each = max(1e-6, Date().timeIntervalSince(start) / 3)
    runsPerTurn = max(1, min(1000, Int(0.1 / each)))
  }

  mutating func turn() throws(Diagnostic) {
    let first = seconds.count
    for _ in 0..<runsPerTurn {
      let (start, used) = (ContinuousClock.now, Self.processorSeconds())
      _ = try session.run(inputs)
      let spent = (ContinuousClock.now - start).components
      seconds.append(Double(spent.seconds) + Double(spent.attoseconds) * 1e-18)
      processor.append((Self.processorSeconds() - used) / Double(threads))
    }
    turns.append(Self.quantile(seconds[first...].sorted(), 0.5))
  }

  private static func processorSeconds() -> Double {
    var usage = rusage()
    #if canImport(Darwin)
      getrusage(RUSAGE_SELF, &usage)
    #else
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #endif
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int((Double(sorted.count - 1) * share).rounded()))]
  }

  private func milliseconds(_ share: Double) -> Double { Self.quantile(seconds.sorted(), share) * 1e3 }

  var fields: [(String, Json)] {
    [
      ("model", .text(path)), ("median_ms", .number(milliseconds(0.5))), ("p10_ms", .number(milliseconds(0.1))),
      ("p90_ms", .number(milliseconds(0.9))), ("cpu_ms", .number(Self.quantile(processor.sorted(), 0.5) * 1e3)),
      ("runs", .integer(seconds.count)), ("threads", .integer(threads)), ("activation_bytes", .integer(summary.activationBytes)),
      ("least_activation_bytes", .integer(summary.leastActivationBytes)),
    ]
  }

  var cells: [String] {
    [Wording.name(path)] + [0.5, 0.1, 0.9].map { String(format: "%.3f", milliseconds($0)) }
      + [Wording.count(seconds.count), Wording.bytes(summary.activationBytes)]
  }
}
