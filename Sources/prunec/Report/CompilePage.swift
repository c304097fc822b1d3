import Graph
import Passes

/// The report of a compile, as a page.
struct CompilePage {
  let compilation: Compilation
  let file: ModelFile
  let request: CompileRequest
  let summary: CompileSummary
  let solution: Solution
  let plan: Plan
  let written: Int?
  let latency: LatencyOutcome
  let timing: Timing
  /// What the report in the terminal says beside its tables.
  let remarks: [String]

  init(
    _ compilation: Compilation, _ file: ModelFile, _ request: CompileRequest, written: Int?, outcome: ProofOutcome?,
    latency: LatencyOutcome, timing: Timing
  ) throws(Diagnostic) {
    guard let summary = CompileSummary(compilation), let solution = compilation.solution, let plan = compilation.plan else {
      throw Diagnostic(.unsupported, "the compile ended without a plan; please report this", file: file.path)
    }
    self.compilation = compilation
    self.file = file
    self.request = request
    self.summary = summary
    self.solution = solution
    self.plan = plan
    self.written = written
    self.latency = latency
    self.timing = timing
    remarks = try CompileReport(
      compilation, file, request, written: written, outcome: outcome, timing: timing, Console.plain
    ).remarks
  }

  /// The page.
  var page: ReportPage {
    let source = ReportPage.fileName(file.path)
    let title = request.output.map { "\(source) → \(ReportPage.fileName($0))" } ?? source
    var page = ReportPage(
      title: title,
      subtitle: request.isDryRun
        ? "Pruned in memory; no model was written." : "Pruned by prunec: what went, what stayed, and why.",
      call: ReportPage.ownCall)
    page.sections = [headline, WidthBars(self).section]
    page.sections += ScoreCharts(self).sections
    page.sections += [graph, StaysTable(solution).section, tensors, times]
    return page
  }

  // MARK: Headline

  private var headline: Markup {
    let parameters = (Double(file.module.parameterCount), Double(compilation.module.parameterCount))
    let costs = Wording.operations(summary.multiplyAdds.before, summary.multiplyAdds.after)
    var cards = [
      card(
        "Parameters", Wording.count(Int(parameters.1)), "of \(Wording.count(Int(parameters.0)))", parameters.0, parameters.1),
      card(
        "Multiply-adds", costs.last ?? "", "of \(costs.first ?? "")\(symbols)", summary.multiplyAdds.before,
        summary.multiplyAdds.after),
    ]
    let bytes = Double(file.byteCount)
    cards.append(
      written.map { card("File size", Wording.bytes($0), "of \(Wording.bytes(file.byteCount))", bytes, Double($0)) }
        ?? Self.card("File size", "not written", "the original has \(Wording.bytes(file.byteCount))"))
    switch latency {
    case .measured(let latency):
      cards.append(
        card(
          "Latency on this machine", LatencyProbe.text(latency.after), "of \(LatencyProbe.text(latency.before))", latency.before,
          latency.after))
    case .skipped(let reason): cards.append(Self.card("Latency", "not measured", reason))
    }
    var lines = remarks.map { Markup.tag("p", [:], $0) }
    if case .measured(let latency) = latency {
      lines.append(
        .tag(
          "p", ["class": "soft"],
          "Latency: median of \(Wording.plural(latency.runs, "run")) each, in turns, by prunec's runtime with "
            + "\(Wording.plural(latency.threads, "thread")) on random inputs (\(BlockDrawing.shortened(latency.inputs, 160)))."
        ))
    }
    return .tag("section", ["id": "numbers"], [.tag("div", ["class": "cards"], cards)] + lines)
  }

  /// Extents that count as 1.
  private var symbols: String {
    let symbols = Set(file.module.inputs.flatMap { file.module[$0].type.shape.flatMap(\.symbols) }).sorted()
    if symbols.isEmpty { return "" }
    return " (\(symbols.prefix(3).joined(separator: ", "))\(symbols.count > 3 ? ", …" : "") = 1)"
  }

  private func card(_ title: String, _ value: String, _ of: String, _ before: Double, _ after: Double) -> Markup {
    let share = before > 0 ? min(1, max(0, after / before)) : 1
    return .tag(
      "div", ["class": "card"], .tag("h3", [:], title), .tag("b", [:], value),
      .tag(
        "small", [:], .tag("span", ["class": "change"], Wording.change(before, after)), .text(" \(of)")),
      Meter.bar(share: share, style: "meter", title: "\(Wording.percent(share)) left"))
  }

  private static func card(_ title: String, _ value: String, _ note: String) -> Markup {
    .tag("div", ["class": "card"], .tag("h3", [:], title), .tag("b", [:], value), .tag("small", [:], note))
  }

  // MARK: Graph

  private var graph: Markup {
    let original = compilation.depth?.blocks.module ?? solution.module
    let drawing = BlockDrawing(original, after: compilation.module).markup
    return ReportPage.section(
      "graph", "The graph",
      "Blocks of the original and what flows between them; the colour of a block says what share of its parameters went.",
      [BlockDrawing.legend, .tag("div", ["class": "graph"], drawing)])
  }

  // MARK: Tables

  private static let mostTensors = 2000

  private var tensors: Markup {
    let after = Dictionary(
      compilation.module.parameters.map { (compilation.module[$0.value].name, $0.content.shape) },
      uniquingKeysWith: { first, _ in first })
    let original = file.module
    let parameters = original.parameters.filter { $0.content.element.isData && $0.content.elementCount > 1 }
    let changed = parameters.filter { after[original[$0.value].name] != $0.content.shape }
    func text(_ shape: [Int]) -> String { shape.isEmpty ? "scalar" : shape.map { Wording.count($0) }.joined(separator: " × ") }
    let rows = changed.prefix(Self.mostTensors).map { parameter in
      let name = original[parameter.value].name
      return Markup.tag(
        "tr", [:], .tag("td", ["class": "name"], name), .tag("td", ["class": "number"], text(parameter.content.shape)),
        .tag("td", ["class": "number"], after[name].map(text) ?? "gone"))
    }
    let head = Markup.tag(
      "tr", [:], .tag("th", [:], "tensor"), .tag("th", ["class": "number"], "before"), .tag("th", ["class": "number"], "after"))
    var content = [Markup.tag("summary", [:], "Show \(Wording.plural(rows.count, "tensor"))")]
    content.append(.tag("div", ["class": "scroll"], .tag("table", [:], [.tag("tbody", [:], [head] + rows)])))
    if changed.count > rows.count {
      content.append(.tag("p", ["class": "soft"], "and \(Wording.count(changed.count - rows.count)) more"))
    }
    let line =
      "\(Wording.count(changed.count)) of \(Wording.plural(parameters.count, "tensor")) with more than one number became smaller or vanished."
    return ReportPage.section("tensors", "Tensors", line, rows.isEmpty ? [] : [.tag("details", [:], content)])
  }

  private var times: Markup {
    let steps = timing.steps.filter { $0.seconds >= 0.0005 }.map { "\($0.name) \(LatencyProbe.text($0.seconds))" }
    return ReportPage.section(
      "times", "Time taken", "\(LatencyProbe.text(timing.total)) in all: \(steps.joined(separator: ", ")).", [])
  }
}

/// A bar that is filled in part.
enum Meter {
  /// The bar; `extent` is what part of the width it takes when full. Widths are shares, so it is as wide as its place.
  static func bar(share: Double, extent: Double = 1, style: String, title: String) -> Markup {
    func percent(_ share: Double) -> String { Shape.number(min(1, max(0, share)) * 100) + "%" }
    return .tag(
      "svg", ["xmlns": "http://www.w3.org/2000/svg", "class": "bar", "role": "img", "aria-label": title],
      .tag("title", [:], title),
      .tag("rect", ["width": percent(extent), "height": "100%", "rx": "2", "class": "track"]),
      .tag("rect", ["width": percent(extent * share), "height": "100%", "rx": "2", "class": style]))
  }
}
