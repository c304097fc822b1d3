import Graph
import Passes

/// What stays, and why.
struct StaysTable {
  private let solution: Solution
  private let coverage: Coverage
  private let names: SolutionNames
  private static let most = 100

  init(_ solution: Solution) {
    self.solution = solution
    coverage = Coverage(solution)
    names = SolutionNames(solution)
  }

  /// The section.
  var section: Markup {
    let line =
      "\(Wording.percent(coverage.share)) of the parameters lie on at least one axis that can be pruned "
      + "(\(Wording.count(coverage.prunable)) of \(Wording.count(coverage.parameters)))."
    let natural = coverage.frozen.filter { !$0.reason.isGivingUp && $0.lost > 0 }
    return ReportPage.section(
      "stays", "What stays, and why", "",
      [
        .tag("p", [:], line), Meter.bar(share: coverage.share, style: "meter", title: line),
        table("Given up: prunec could not follow what happens here", coverage.givenUp, parameters: \.parameters),
        table("Stays by its nature: parameters without any axis to prune", natural, parameters: \.lost),
      ])
  }

  private func table(_ title: String, _ entries: [Coverage.Entry], parameters: (Coverage.Entry) -> Int) -> Markup {
    if entries.isEmpty { return .nothing }
    let head = Markup.tag(
      "tr", [:], .tag("th", ["class": "number"], "parameters"), .tag("th", [:], "axes"), .tag("th", [:], "reason"))
    let rows = entries.prefix(Self.most).map { entry in
      Markup.tag(
        "tr", [:], .tag("td", ["class": "number"], Wording.count(parameters(entry))),
        .tag("td", ["class": "name"], SolutionNames.few(entry.axes.map { names.axis($0.value, $0.axis) }, 3)),
        .tag("td", [:], entry.reason.description + (entry.node.map { " (\(names.node($0)))" } ?? "")))
    }
    var pieces = [
      Markup.tag("p", [:], title), .tag("div", ["class": "scroll"], .tag("table", [:], .tag("tbody", [:], [head] + rows))),
    ]
    if entries.count > Self.most {
      pieces.append(
        .tag("p", ["class": "soft"], "and \(Wording.count(entries.count - Self.most)) more: prunec groups lists them"))
    }
    return .many(pieces)
  }
}
