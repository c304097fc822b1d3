import Graph
import Passes

/// The report of a sweep, as a page.
struct SweepPage {
  private let report: SweepReport

  init(_ report: SweepReport) { self.report = report }

  /// The page.
  var page: ReportPage {
    var page = ReportPage(
      title: "\(ReportPage.fileName(report.file.path)): quality against size",
      subtitle: "\(Wording.plural(report.points.count, "smaller model")), compiled in memory by prunec; none was written.",
      call: ReportPage.ownCall)
    page.sections = [charts, table]
    return page
  }

  private var charts: Markup {
    let names = report.request.series.map(\.name)
    var charts = pair("Share of the outputs lost (lower is better)", start: 0, ceiling: nil) { $0.lost }
    if report.hasAgreement {
      charts += pair("Largest output at the same place (higher is better)", start: 1, ceiling: 1) { $0.agreement }
    }
    if report.hasAccuracy {
      charts += pair("Accuracy (higher is better)", start: report.own.accuracy, ceiling: 1) { $0.accuracy }
    }
    return ReportPage.section(
      "charts", "Quality against size", report.explanation, [LineChart.legend(names), .tag("div", ["class": "charts"], charts)])
  }

  /// One measure against parameters and against multiply-adds. `start` is the original's.
  private func pair(_ title: String, start: Double?, ceiling: Double?, _ measure: (Quality) -> Double?) -> [Markup] {
    let sizes: [(String, (SweepPoint) -> Double)] = [
      ("parameters left", { $0.parameters.share }), ("multiply-adds left", { $0.multiplyAdds.share }),
    ]
    return sizes.map { name, share in
      let series = report.request.series.map { series in
        var points: [(x: Double, y: Double, note: String)] = report.points.filter { $0.series == series }.compactMap { point in
          measure(point.quality).map {
            (
              share(point), $0,
              "\(Wording.percent(point.ratio)) removed, \(Wording.percent(share(point))) of \(name), \(Wording.percent($0))"
            )
          }
        }
        if let start { points.append((1, start, "the original, \(Wording.percent(start))")) }
        return LineChart.Series(name: series.name, points: points)
      }
      let chart = LineChart(title: "\(title), against \(name)", horizontal: name, series: series, ceiling: ceiling)
      let note = chart.isLogarithmic ? "against \(name); each line of the grid is ten times the one below" : "against \(name)"
      return .tag(
        "figure", [:], .tag("figcaption", [:], .tag("b", [:], title), .tag("small", [:], note)), chart.markup)
    }
  }

  private var table: Markup {
    let head = Markup.tag(
      "tr", [:], report.headings.enumerated().map { .tag("th", $0 == 0 ? [:] : ["class": "number"], $1) })
    let rows = report.points.map { point in
      let isBest = report.isBest(point)
      return Markup.tag(
        "tr", [:],
        report.cells(point).enumerated().map { at, cell in
          .tag(
            "td", at == 0 ? ["class": "series-name"] : ["class": "number"],
            isBest && at == 6 ? Markup.tag("b", [:], cell) : .text(cell))
        })
    }
    return ReportPage.section(
      "numbers", "All numbers", "In bold, what lost least at its ratio.",
      [.tag("div", ["class": "scroll"], .tag("table", [:], .tag("tbody", [:], [head] + rows)))])
  }
}
