import Graph
import Passes

/// What a sweep found, for a person and for machines.
struct SweepReport {
  let file: ModelFile
  let request: SweepRequest
  /// What quality was measured on.
  let samples: String
  /// The original's own quality.
  let own: Quality
  let points: [SweepPoint]

  /// True where an output looks like scores of classes.
  var hasAgreement: Bool { points.contains { $0.quality.agreement != nil } }
  /// True where there are labels.
  var hasAccuracy: Bool { points.contains { $0.quality.accuracy != nil } }

  /// Headings of the table.
  var headings: [String] {
    ["criterion", "removed", "parameters", "left", "multiply-adds", "left", "output lost"] + (hasAgreement ? ["same class"] : [])
      + (hasAccuracy ? ["accuracy"] : []) + ["seconds"]
  }

  /// A point as a line of the table.
  func cells(_ point: SweepPoint) -> [String] {
    [
      point.series.name, Wording.percent(point.ratio), Wording.count(Int(point.parameters.after)),
      Wording.percent(point.parameters.share),
      Wording.operations(point.multiplyAdds.before, point.multiplyAdds.after).last ?? "",
      Wording.percent(point.multiplyAdds.share), Wording.percent(point.quality.lost),
    ] + (hasAgreement ? [point.quality.agreement.map(Wording.percent) ?? "-"] : [])
      + (hasAccuracy ? [point.quality.accuracy.map(Wording.percent) ?? "-"] : []) + [Wording.fixed(point.seconds, 2)]
  }

  /// True for the point that lost least of all with its ratio, where there is something to compare.
  func isBest(_ point: SweepPoint) -> Bool {
    let rivals = points.filter { $0.ratio == point.ratio }
    return rivals.count > 1 && rivals.map(\.quality.lost).min() == point.quality.lost
  }

  /// What the columns mean.
  var explanation: String {
    var text = "Measured on \(samples). Output lost: the share of the outputs' energy that differs, Σ‖y − y′‖² / Σ‖y‖²."
    if hasAgreement { text += " Same class: how often the largest output stays where it is." }
    if let accuracy = own.accuracy { text += " The original's accuracy is \(Wording.percent(accuracy))." }
    return text
  }

  /// The report's lines.
  func lines(_ console: Console) -> [String] {
    var table = TextTable([.left] + Array(repeating: .right, count: headings.count - 1) + [.left])
    table.add(headings)
    for point in points { table.add(cells(point) + [isBest(point) ? "least lost" : ""]) }
    let rows = table.lines
    let title =
      "\(Wording.name(file.path)): \(Wording.plural(file.module.parameterCount, "parameter")), \(Wording.plural(points.count, "smaller model"))"
    var lines = [title, "", console.bold(rows.first ?? "")] + rows.dropFirst() + [""] + wrapped(explanation, width: 110)
    if let report = request.report { lines += ["", "Drawn in \(Wording.name(report))"] }
    return lines
  }

  /// The report as JSON.
  var json: Json {
    func change(_ change: CompileSummary.Change) -> Json {
      .object([("before", .number(change.before)), ("after", .number(change.after)), ("share", .number(change.share))])
    }
    return .object([
      ("model", .text(file.path)), ("data", .optional(request.data)), ("samples", .text(samples)),
      ("report", .optional(request.report)), ("accuracy", own.accuracy.map(Json.number) ?? .null),
      (
        "points",
        .array(
          points.map { point in
            .object([
              ("criterion", .text(point.series.name)), ("ratio", .number(point.ratio)), ("parameters", change(point.parameters)),
              ("multiplyAdds", change(point.multiplyAdds)), ("lost", .number(point.quality.lost)),
              ("agreement", point.quality.agreement.map(Json.number) ?? .null),
              ("accuracy", point.quality.accuracy.map(Json.number) ?? .null), ("seconds", .number(point.seconds)),
            ])
          })
      ),
    ])
  }
}
