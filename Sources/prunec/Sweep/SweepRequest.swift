import Graph
import Passes

/// A way of choosing what goes, and of making up for it: a line in the drawing of a sweep.
struct SweepSeries: Hashable {
  /// What scores go by; nil where calibration data choose.
  let criterion: Criterion?
  /// What is done for layers that lose inputs; nil where nothing is, and no data are looked at for it.
  let mode: Compensation?

  /// What tables and legends call it.
  var name: String { [criterion?.rawValue ?? "data", mode?.rawValue].compactMap(\.self).joined(separator: ", ") }

  /// A criterion with a way of compensating, or none. Criteria of inputs are part of a calibration, and obs chooses by itself.
  init(_ criterion: Criterion?, _ mode: Compensation?) {
    let isChosenByFit = criterion == .obs || mode == .obs
    self.criterion = isChosenByFit ? nil : criterion
    self.mode = isChosenByFit ? .obs : mode ?? (criterion?.basis == .inputs ? Compensation.none : nil)
  }
}

/// What a call of `sweep` asks for.
struct SweepRequest {
  let model: String
  /// Shares of every group's indices that go, ascending.
  let ratios: [Double]
  let series: [SweepSeries]
  let data: String?
  let report: String?
  let choice: ChoiceOptions
  let seed: UInt64
  let threads: Int
  /// What criteria of gradients differentiate, and which output it is of.
  let loss: Loss?
  let lossOutput: String?
  let aggregation: ScoreAggregation
  let normalisation: ScoreNormalisation
  /// True when dims inside heads may be rotated before they are cut.
  let rotates: Bool

  init(_ invocation: Invocation) throws(Diagnostic) {
    model = try invocation.model()
    var ratios: Set<Double> = []
    for text in try invocation.list(.ratios) { ratios.insert(try ShareBounds.removed.read(text, shown: "--ratios \(text)")) }
    if ratios.isEmpty {
      throw Diagnostic(.usage, "--ratios is missing: prunec sweep \(quoted(model)) --ratios 0.1,0.3,0.5")
    }
    self.ratios = ratios.sorted()
    data = invocation.text(.data)
    report = invocation.text(.report)
    if let report { try ReportFile.check(report) }
    choice = try CompileRequest.choice(invocation)
    seed = UInt64(try invocation.number(.seed, least: 0) ?? 0)
    threads = try Threads.count(invocation)
    var criteria: [Criterion] = []
    for word in try invocation.list(.criteria) {
      let criterion = try Invocation.word(word, .criteria, as: Criterion.self)
      if criterion.basis != .weights, data == nil { throw criterion.needsData }
      criteria.append(criterion)
    }
    let mode = try invocation.word(.compensate, as: Compensation.self)
    if mode != nil, data == nil {
      throw Diagnostic(.usage, "--compensate goes by what data say, so it needs --data; give that, or leave --compensate out")
    }
    (loss, lossOutput) = (try DifferentiateVerb.loss(invocation), invocation.text(.of))
    if !criteria.contains(where: \.needsGradients), let option = [Option.loss, .of].first(where: invocation.has) {
      throw Diagnostic(
        .usage,
        "\(option.entry.name) is differentiated by criteria of gradients, and --criteria names none; leave it out, or add taylor")
    }
    aggregation = try invocation.word(.aggregate, as: ScoreAggregation.self) ?? .mean
    normalisation = try invocation.word(.normalise, as: ScoreNormalisation.self) ?? .mean
    rotates = !invocation.has(.noRotate)
    let plain = (criteria.isEmpty ? [.l2] : criteria).map { SweepSeries($0, nil) }
    let series =
      if let mode {
        criteria.isEmpty ? plain + [SweepSeries(nil, mode)] : criteria.map { SweepSeries($0, mode) }
      } else if data != nil {
        plain + Compensation.allCases.filter { $0 != .auto }.map { SweepSeries(nil, $0) }
      } else {
        plain
      }
    var seen: Set<SweepSeries> = []
    self.series = series.filter { seen.insert($0).inserted }
  }
}
