import Graph
import Passes

/// What was chosen by: scores with the cut, or error curves with the sizes that were chosen; one small drawing per group.
struct ScoreCharts {
  private let page: CompilePage
  private let order: [Int]

  private static let shown = 24
  private static let most = 240
  private static let size = (width: 240.0, height: 92.0)
  private static let inset = (left: 2.0, right: 2.0, top: 4.0, bottom: 2.0)

  init(_ page: CompilePage) {
    self.page = page
    order = WidthBars.inOrderOfExecution(page.solution)
  }

  /// The sections that there is something to draw for.
  var sections: [Markup] {
    var sections: [Markup] = []
    if let scores = page.compilation.scores {
      let pruned = order.filter { page.plan.kept[$0] != nil && scores.byGroup[$0].contains { $0 != 0 } }
      sections.append(
        section(
          "scores", "Scores, and where the cut is",
          "The indices of each group that lost some, by their score under the criterion \(page.request.criterion.rawValue) "
            + "(1 is the group's mean): the highest stand to the left; grey ones went.",
          pruned.map { scoreFigure($0, scores.byGroup[$0]) }))
    }
    if let curves = page.compilation.compensated?.curves, !curves.isEmpty {
      let errors = Dictionary(curves.map { ($0.group, $0.errors) }, uniquingKeysWith: { first, _ in first })
      let shown = order.filter { errors[$0].map { $0.count > 2 && ($0.last ?? 0) > 0 } ?? false }
      sections.append(
        section(
          "errors", "What removing costs, and how far it went",
          "For each group the error that calibration data show after compensation, from nothing removed (left) to everything removed "
            + "(right, 100 %); the circle is the size that was chosen. A curve that stays low for long is a group with much to spare.",
          shown.map { errorFigure($0, errors[$0] ?? []) }))
    }
    return sections
  }

  private func section(_ id: String, _ heading: String, _ explanation: String, _ figures: [Markup]) -> Markup {
    if figures.isEmpty { return .nothing }
    var content = [Markup.tag("div", ["class": "multiples"], Array(figures.prefix(Self.shown)))]
    let rest = figures.dropFirst(Self.shown).prefix(Self.most - Self.shown)
    if !rest.isEmpty {
      content.append(
        .tag(
          "details", [:], .tag("summary", [:], "Show \(Wording.count(rest.count)) more"),
          .tag("div", ["class": "multiples"], Array(rest))))
    }
    if figures.count > Self.most {
      content.append(.tag("p", ["class": "soft"], "and \(Wording.count(figures.count - Self.most)) more"))
    }
    return ReportPage.section(id, heading, explanation, content)
  }

  // MARK: Scores

  private func scoreFigure(_ index: Int, _ scores: [Double]) -> Markup {
    let group = page.solution.groups[index]
    let isVaried = page.plan.varied[index] != nil
    let best = scores.indices.sorted { scores[$0] > scores[$1] }
    // Where every outer index keeps its own, only the count is the same for all.
    let kept = Set(
      isVaried ? Array(best.prefix(page.plan.kept[index]?.count ?? 0)) : page.plan.kept[index] ?? Array(scores.indices))
    func ordered(_ indices: [Int]) -> [Double] { indices.map { scores[$0].isFinite ? scores[$0] : 0 }.sorted(by: >) }
    let high = ordered(scores.indices.filter(kept.contains))
    let low = ordered(scores.indices.filter { !kept.contains($0) })
    let all = high + low
    let largest = max(all.max() ?? 1, .leastNormalMagnitude)
    let width = Self.size.width - Self.inset.left - Self.inset.right
    let height = Self.size.height - Self.inset.top - Self.inset.bottom
    let bottom = Self.inset.top + height
    func x(_ at: Int) -> Double { Self.inset.left + width * Double(at) / Double(all.count) }
    func y(_ value: Double) -> Double { bottom - height * max(0, value) / largest }
    func area(_ range: Range<Int>, _ style: String) -> Markup {
      if range.isEmpty { return .nothing }
      // More steps than pixels show nothing more.
      let step = max(1, all.count / 240)
      var points: [(x: Double, y: Double)] = [(x(range.lowerBound), bottom)]
      for at in stride(from: range.lowerBound, to: range.upperBound, by: step) {
        points.append((x(at), y(all[at])))
        points.append((x(min(range.upperBound, at + step)), y(all[at])))
      }
      points.append((x(range.upperBound), bottom))
      return Shape.path(Shape.through(points) + "Z", style)
    }
    let cut = x(high.count)
    let label =
      "\(group.name): scores from \(Self.figure(all.last ?? 0)) to \(Self.figure(largest)), \(high.count) of \(all.count) kept"
    let drawing = Shape.drawing(
      Self.size.width, Self.size.height, label: label, style: "plot",
      [
        .tag("title", [:], label), area(0..<high.count, ReportStyle.style(of: group.kind)),
        area(high.count..<all.count, "gone"), Shape.line(Self.inset.left, bottom, Self.inset.left + width, bottom, "axis"),
        Shape.line(cut, Self.inset.top, cut, bottom, "cut"),
      ])
    let note =
      "kept \(Wording.count(high.count)) of \(Wording.count(all.count)); "
      + "kept from \(Self.figure(high.last ?? 0)), gone up to \(Self.figure(low.first ?? 0)), highest \(Self.figure(largest))"
    return figure(drawing, group.name, isVaried ? "each outer index keeps its own; in the mean, \(note)" : note)
  }

  // MARK: Errors

  private func errorFigure(_ index: Int, _ errors: [Double]) -> Markup {
    let group = page.solution.groups[index]
    let kept = page.plan.kept[index]?.count ?? group.extent
    let count = errors.count - 1
    let gone = max(0, min(count, group.extent - kept))
    let whole = errors[count]
    let shares = errors.map { $0.isFinite ? min(1.2, max(0, $0 / whole)) : 1.2 }
    let tallest = max(1, shares.max() ?? 1)
    let width = Self.size.width - 12
    let height = Self.size.height - 12
    func point(_ at: Int) -> (x: Double, y: Double) {
      (6 + width * Double(at) / Double(count), 6 + height * (1 - shares[at] / tallest))
    }
    let step = max(1, count / 240)
    var steps = Array(stride(from: 0, to: count, by: step)) + [count]
    if !steps.contains(gone) { steps = (steps + [gone]).sorted() }
    let line = steps.map(point)
    let filled = steps.filter { $0 <= gone }.map(point)
    let base = 6 + height
    let area = Shape.through([(6, base)] + filled + [(point(gone).x, base)]) + "Z"
    let label =
      "\(group.name): \(Wording.count(gone)) of \(Wording.count(group.extent)) gone, at \(Wording.percent(shares[gone])) of the error of "
      + "removing all"
    let chosen = point(gone)
    let drawing = Shape.drawing(
      Self.size.width, Self.size.height, label: label, style: "plot",
      [
        .tag("title", [:], label), Shape.path(area, ReportStyle.style(of: group.kind)),
        Shape.line(6, base, 6 + width, base, "axis"), Shape.path(Shape.through(line), "curve"),
        .tag("circle", ["cx": Shape.number(chosen.x), "cy": Shape.number(chosen.y), "r": "4", "class": "point"]),
      ])
    let note =
      gone == 0
      ? "all \(Wording.count(kept)) kept"
      : "kept \(Wording.count(kept)) of \(Wording.count(group.extent)); \(Wording.percent(shares[gone])) of the error of removing all"
    return figure(drawing, group.name, note)
  }

  private func figure(_ drawing: Markup, _ name: String, _ note: String) -> Markup {
    .tag("figure", [:], drawing, .tag("figcaption", [:], .tag("span", ["class": "name"], .name(name)), .tag("small", [:], note)))
  }

  /// A score in three digits.
  private static func figure(_ value: Double) -> String { Wording.fixed(value, abs(value) < 9.995 ? 2 : 1) }
}
