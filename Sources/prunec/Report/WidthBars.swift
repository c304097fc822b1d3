import Graph
import Passes

/// How many indices every group has left, group by group in order of execution.
struct WidthBars {
  private let page: CompilePage
  private static let shown = 60
  private static let most = 2000

  init(_ page: CompilePage) { self.page = page }

  /// Groups by the first node that reads what carries them.
  static func inOrderOfExecution(_ solution: Solution) -> [Int] {
    var first: [ValueID: Int] = [:]
    for (index, node) in solution.module.nodes.enumerated() {
      for case let input? in node.inputs where first[input] == nil { first[input] = index }
    }
    let keys = solution.groups.map { group in group.occurrences.compactMap { first[$0.value] }.min() ?? Int.max }
    return solution.groups.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
  }

  /// The section.
  var section: Markup {
    let solution = page.solution
    let order = Self.inOrderOfExecution(solution)
    let pruned = page.plan.prunedGroups.count
    var widest: [GroupKind: Int] = [:]
    for group in solution.groups { widest[group.kind] = max(widest[group.kind] ?? 1, group.extent) }
    let rows = order.prefix(Self.most).map { row($0, widest: widest[solution.groups[$0].kind] ?? 1) }
    var content = [legend, table(rows.prefix(Self.shown))]
    if rows.count > Self.shown {
      content.append(
        .tag(
          "details", [:], .tag("summary", [:], "Show \(Wording.count(rows.count - Self.shown)) more"),
          table(rows.dropFirst(Self.shown))))
    }
    if order.count > rows.count {
      content.append(.tag("p", ["class": "soft"], "and \(Wording.count(order.count - rows.count)) more"))
    }
    return ReportPage.section(
      "widths", "Widths before and after",
      "Every group of indices that go together, in order of execution: \(Wording.count(pruned)) of \(Wording.count(order.count)) lost some. "
        + "The grey bar is what there was, long as the widest group of its kind is wide; the coloured part stayed.",
      solution.groups.isEmpty ? [] : content)
  }

  private func table(_ rows: ArraySlice<Markup>) -> Markup {
    let head = Markup.tag("tr", [:], .tag("th", [:], "group"), .tag("th", [:], ""), .tag("th", ["class": "number"], "kept"))
    return .tag("table", ["class": "widths"], .tag("tbody", [:], [head] + rows))
  }

  private func row(_ index: Int, widest: Int) -> Markup {
    let group = page.solution.groups[index]
    let kept = page.plan.kept[index]?.count ?? group.extent
    let share = Double(kept) / Double(max(1, group.extent))
    let title =
      "\(group.name) (\(group.kind.rawValue)): \(Wording.count(kept)) of \(Wording.count(group.extent)) kept, "
      + "carried by \(Wording.plural(group.occurrences.count, "axis", "axes")) of parameters"
    let extent = max(0.06, Double(group.extent) / Double(max(1, widest)))
    return .tag(
      "tr", ["title": title], .tag("td", ["class": "name"], .name(group.name)),
      .tag("td", [:], Meter.bar(share: share, extent: extent, style: ReportStyle.style(of: group.kind), title: title)),
      .tag(
        "td", ["class": "number"],
        kept == group.extent ? "all \(Wording.count(kept))" : "\(Wording.count(kept)) of \(Wording.count(group.extent))"))
  }

  private var legend: Markup {
    let kinds = GroupKind.allCases.filter { kind in page.solution.groups.contains { $0.kind == kind } }
    return .tag(
      "ul", ["class": "legend"],
      kinds.map { kind in
        .tag(
          "li", [:],
          Shape.drawing(14, 14, label: "", [Shape.rectangle(0, 0, 14, 14, ReportStyle.style(of: kind), radius: 3)]),
          .text("\(kind.rawValue): \(kind.nouns)"))
      })
  }
}
