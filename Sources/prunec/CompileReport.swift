import Graph
import Passes

/// What a compile did, for a person and for machines.
struct CompileReport {
  private let compilation: Compilation
  private let file: ModelFile
  private let request: CompileRequest
  private let summary: CompileSummary
  private let solution: Solution
  private let plan: Plan
  private let frozen: FrozenReport
  private let coverage: Coverage
  private let names: SolutionNames
  private let written: Int?
  private let outcome: ProofOutcome?
  private let timing: Timing
  private let console: Console

  init(
    _ compilation: Compilation, _ file: ModelFile, _ request: CompileRequest, written: Int?, outcome: ProofOutcome?,
    timing: Timing, _ console: Console
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
    self.outcome = outcome
    self.timing = timing
    self.console = console
    names = SolutionNames(solution)
    coverage = Coverage(solution)
    frozen = FrozenReport(coverage, names, console)
  }

  // MARK: Text

  /// The report's lines.
  var lines: [String] {
    var lines = [title, ""]
    if let depth = compilation.depth { lines += DepthReport(depth.blocks).dropped(depth) + [""] }
    if plan.prunedGroups.isEmpty, compilation.depth == nil {
      lines += wrapped("Nothing is removed: \(whyNothing)", width: 110).map(console.warning) + [""]
    }
    if let zeros = compilation.zeros { lines += ZerosReport(zeros).lines + [""] }
    if !summary.kinds.isEmpty, !isDepthAlone { lines += kindLines + [""] }
    lines += sizeLines
    let budget = budgetLines
    if !budget.isEmpty { lines += [""] + budget }
    if let rounding { lines.append(rounding) }
    if let compensated = compilation.compensated { lines += compensated.lines(console) }
    lines += ["", frozen.coverageLine]
    if let proofLine { lines += ["", proofLine] }
    let reasons = frozen.lines(limit: 4, more: "prunec groups \(quoted(file.path))")
    if !reasons.isEmpty { lines += [""] + reasons }
    lines += ["", "Next: \(next)"]
    return lines
  }

  /// What is said beside the tables of numbers: what was asked for and achieved, how, and what was proved.
  var remarks: [String] {
    var lines: [String] = []
    if let depth = compilation.depth { lines += DepthReport(depth.blocks).dropped(depth) }
    if plan.prunedGroups.isEmpty, compilation.depth == nil { lines.append("Nothing is removed: \(whyNothing)") }
    lines += budgetLines
    if let rounding { lines.append(rounding) }
    if let compensated = compilation.compensated { lines += compensated.lines(console) }
    if let proofLine { lines.append(proofLine) }
    return lines
  }

  /// Blocks go, and nothing else was asked for.
  private var isDepthAlone: Bool { compilation.depth != nil && plan.prunedGroups.isEmpty }

  /// What came of running original and result side by side.
  private var proofLine: String? {
    switch outcome {
    case nil: nil
    case .compared(let proof)?: proof.line(bypassing: compilation.depth != nil, unchanged: compilation.zeros != nil)
    case .impossible(let error)?:
      console.warning("Not proved: the models could not be run to compare them (\(Wording.name(error.description)))")
    }
  }

  private var title: String {
    let source = Wording.name(file.path)
    guard let output = request.output else { return "\(source) (dry run, nothing is written)" }
    return "\(source) → \(Wording.name(output))" + (request.isDryRun ? " (dry run, nothing is written)" : "")
  }

  private var whyNothing: String {
    if request.planInput != nil { return "the plan keeps all indices" }
    if compilation.zeros != nil {
      return
        "every index of every group adds something to the outputs; 'prunec stats \(quoted(file.path))' says where the zeros are"
    }
    if case .ratio(0) = request.choice.budget, request.choice.ratios.isEmpty { return "the ratio is 0, so the result is a copy" }
    if solution.groups.isEmpty { return "the model has no group that could lose an index; below stands why" }
    if request.choice.kinds != nil || !request.choice.only.isEmpty || !request.choice.ignored.isEmpty {
      return "no group that --kinds, --only and --ignore leave over can lose an index"
    }
    if !solution.groups.contains(where: \.isDefault) {
      return "no group is of a kind that is pruned unless asked for; see --kinds"
    }
    return "the groups are too small for what is asked; a larger --ratio, or --round-to 1, may help"
  }

  private var kindLines: [String] {
    var table = TextTable([.left, .right, .right, .left])
    table.add(["kind", "groups pruned", "indices kept", ""])
    for line in summary.kinds {
      let isLeftOut = line.pruned == 0 && line.defaults == 0 && request.choice.kinds == nil && request.planInput == nil
      table.add([
        line.kind.rawValue, "\(Wording.count(line.pruned)) of \(Wording.count(line.groups))",
        "\(Wording.count(line.kept)) of \(Wording.count(line.indices))",
        isLeftOut ? "on request: --kinds \(line.kind.rawValue)" : "",
      ])
    }
    let rows = table.lines
    return [console.bold(rows.first ?? "")] + rows.dropFirst()
  }

  private var sizeLines: [String] {
    var table = TextTable([.left, .right, .right, .right, .left])
    table.add(["", "before", "after", "change", ""])
    let before = file.module.parameterCount
    let after = compilation.module.parameterCount
    table.add(["parameters", Wording.count(before), Wording.count(after), Wording.change(Double(before), Double(after)), ""])
    let cost = summary.multiplyAdds
    let symbols = inputSymbols
    let costs = Wording.operations(cost.before, cost.after)
    table.add([
      "multiply-adds", costs.first ?? "", costs.last ?? "", Wording.change(cost.before, cost.after),
      symbols.isEmpty ? "" : "(with \(symbols.joined(separator: ", ")) = 1)",
    ])
    let bytes = file.byteCount
    if let written {
      table.add(["file size", Wording.bytes(bytes), Wording.bytes(written), Wording.change(Double(bytes), Double(written)), ""])
    } else {
      table.add(["file size", Wording.bytes(bytes), "not written", "", ""])
    }
    let rows = table.lines
    return [console.bold(rows.first ?? "")] + rows.dropFirst()
  }

  /// Symbols of the inputs, a few of them.
  private var inputSymbols: [String] {
    var symbols: [String] = []
    for input in file.module.inputs {
      for symbol in file.module[input].type.shape.flatMap(\.symbols) where !symbols.contains(symbol) {
        symbols.append(Wording.name(symbol))
      }
    }
    return symbols.count > 3 ? Array(symbols.prefix(3)) + ["…"] : symbols
  }

  private var budgetLines: [String] {
    if let plan = request.planInput { return ["Asked for: the plan \(Wording.name(plan))"] }
    if isDepthAlone { return [] }
    if compilation.zeros != nil { return ["Asked for: what adds nothing to go, and that alone"] }
    switch request.choice.budget {
    case .ratio(let ratio):
      let own = request.choice.ratios.isEmpty ? "" : ", and \(Wording.plural(request.choice.ratios.count, "ratio")) by pattern"
      let among =
        switch request.choice.scope {
        case .local: "of every group's indices"
        case .global: "of the indices of all groups together"
        case .isomorphic: "of the indices of groups of equal structure"
        }
      let gone = plan.prunedGroups.isEmpty ? "" : "; \(Wording.percent(1 - summary.indices.share)) of the pruned groups' are gone"
      return ["Asked for: \(Wording.percent(ratio)) \(among) to go\(own)\(gone)"]
    case .parameters(let share): return budget("parameters", share, summary.parameters.share)
    case .multiplyAdds(let share): return budget("multiply-adds", share, summary.multiplyAdds.share)
    case .latency(let share): return budget("time of a run", share, compilation.measured ?? summary.multiplyAdds.share)
    case .memory(let share): return budget("memory of a run", share, compilation.measured ?? summary.parameters.share)
    }
  }

  private func budget(_ what: String, _ asked: Double, _ achieved: Double) -> [String] {
    var lines = ["Asked for: \(Wording.percent(asked)) of the \(what) to stay; \(Wording.percent(achieved)) did"]
    if achieved > asked * 1.05 + 0.005 {
      lines.append(
        console.warning("That is more than asked for: the groups at hand, with their bounds and roundings, cannot give more."))
    }
    return lines
  }

  private var rounding: String? {
    guard compilation.zeros == nil, let most = summary.roundings.last else { return nil }
    return summary.isRoundingChosen
      ? "Counts are rounded to multiples of \(most) where groups of channels have 64 indices or more (--round-to 1: nowhere)"
      : "Counts are rounded to multiples of \(most)"
  }

  private var next: String {
    let source = quoted(file.path)
    if isDepthAlone { return "prunec groups \(source) --blocks   # what else could go" }
    if plan.prunedGroups.isEmpty { return "prunec groups \(source)" }
    if let entry = frozen.dearest, let axis = entry.axes.first, coverage.share < 0.98 || !coverage.givenUp.isEmpty {
      return "prunec explain \(source) \(quoted(names.axis(axis.value, axis.axis)))   # why that stays"
    }
    if let output = request.output, !request.isDryRun { return "prunec groups \(quoted(output))   # what could go further" }
    return "prunec \(source) -o SMALLER   # the same, written"
  }

  // MARK: JSON

  /// The report as JSON.
  var json: Json {
    func change(_ before: Double, _ after: Double) -> Json {
      .object([("before", .number(before)), ("after", .number(after))])
    }
    let kinds = summary.kinds.map { line in
      Json.object([
        ("kind", .text(line.kind.rawValue)), ("groups", .integer(line.groups)), ("default", .integer(line.defaults)),
        ("pruned", .integer(line.pruned)), ("indices", .integer(line.indices)), ("kept", .integer(line.kept)),
      ])
    }
    let pruned = plan.prunedGroups.map { index in
      let group = solution.groups[index]
      return Json.object([
        ("name", .text(group.name)), ("kind", .text(group.kind.rawValue)), ("extent", .integer(group.extent)),
        ("kept", .integer(plan.kept[index]?.count ?? group.extent)),
      ])
    }
    return .object([
      ("model", .text(file.path)), ("output", .optional(request.output)), ("written", .bool(written != nil)),
      ("report", .optional(request.report)), ("asked", asked),
      ("parameters", change(Double(file.module.parameterCount), Double(compilation.module.parameterCount))),
      ("multiplyAdds", change(summary.multiplyAdds.before, summary.multiplyAdds.after)),
      ("bytes", .object([("before", .integer(file.byteCount)), ("after", written.map(Json.integer) ?? .null)])),
      ("indices", change(summary.indices.before, summary.indices.after)), ("kinds", .array(kinds)), ("pruned", .array(pruned)),
      ("dropped", compilation.depth.map { DepthReport($0.blocks).json($0) } ?? .array([])),
      ("compensation", compilation.compensated?.json ?? .null),
      ("zeros", compilation.zeros.map { ZerosReport($0).json } ?? .null),
      ("coverage", frozen.coverageJson), ("frozen", frozen.json),
      ("seconds", .object(timing.steps.map { ($0.name, .number($0.seconds)) } + [("total", .number(timing.total))])),
    ])
  }

  private var asked: Json {
    if let plan = request.planInput { return .object([("plan", .text(plan))]) }
    if compilation.zeros != nil { return .object([("removeZeros", .bool(true))]) }
    let scope = ("scope", Json.text(request.choice.scope.rawValue))
    switch request.choice.budget {
    case .ratio(let ratio): return .object([("ratio", .number(ratio)), scope])
    case .parameters(let share):
      return .object([("keepParams", .number(share)), ("achieved", .number(summary.parameters.share)), scope])
    case .multiplyAdds(let share):
      return .object([("keepFlops", .number(share)), ("achieved", .number(summary.multiplyAdds.share)), scope])
    case .latency(let share):
      return .object([("keepLatency", .number(share)), ("achieved", compilation.measured.map(Json.number) ?? .null), scope])
    case .memory(let share):
      return .object([("keepMemory", .number(share)), ("achieved", compilation.measured.map(Json.number) ?? .null), scope])
    }
  }
}
