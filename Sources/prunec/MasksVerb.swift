import Formats
import Graph
import Passes

/// `prunec masks`: what would go, as masks.
struct MasksVerb {
  private let invocation: Invocation
  private let console: Console
  private let request: CompileRequest

  init(_ invocation: Invocation, _ console: Console) throws(Diagnostic) {
    self.invocation = invocation
    self.console = console
    request = try CompileRequest(invocation)
  }

  func run() throws(Diagnostic) {
    guard let output = request.output else { return }
    guard output.lowercased().hasSuffix(".safetensors") else {
      throw Diagnostic(.usage, "masks are written as safetensors; choose a name that ends in .safetensors", file: output)
    }
    let pattern = try pattern()
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(request.model)")
    let file = try ModelReader.read(request.model)
    var module = file.module
    if let first = module.parametersWithoutData.first, request.planInput == nil, request.criterion != .random {
      throw Diagnostic(
        .invalid, "has no numbers to judge by: this .ir is text alone; --criterion random needs none",
        at: .tensor(module[first].name), file: request.model)
    }
    _ = try MaskedInput.apply(invocation, to: &module, request.model)
    let (masks, lines): (MaskSet, [String])
    if let pattern {
      progress.report("masking")
      masks = try singleNumbers(module, pattern)
      lines = []
    } else {
      (masks, lines) = try wholeIndices(module, file, progress)
    }
    if masks.entries.isEmpty {
      throw Diagnostic(
        .refused,
        "no parameter would lose anything, so there is nothing to mask; 'prunec groups \(quoted(request.model))' lists what can go"
      )
    }
    progress.report("writing \(output)")
    let inputs = file.files + [request.planInput, invocation.text(.masks)].compactMap { $0 }
    try masks.write(to: output, notOver: inputs)
    progress.finish()
    if invocation.has(.json) {
      try console.report(json(masks).text() + "\n")
    } else if !console.isQuiet {
      try console.report((text(masks, lines, output)).joined(separator: "\n") + "\n")
    }
  }

  // MARK: What is masked

  private func pattern() throws(Diagnostic) -> MaskPattern? {
    guard let text = invocation.text(.pattern) else {
      if invocation.has(.global) {
        throw Diagnostic(
          .usage, "--global is for --pattern unstructured; whole indices compete with each other by --scope global")
      }
      return nil
    }
    let indexed: [Option] = [
      .maxRatio, .keepParams, .keepFlops, .roundTo, .minKeep, .uniform, .scope, .criterion, .kinds, .apply, .scoreBy, .seed,
      .data,
      .aggregate, .normalise, .loss, .of,
    ]
    if let other = indexed.first(where: invocation.has) {
      throw Diagnostic(
        .usage,
        "--pattern masks single numbers by their size, so \(other.entry.name) has nothing to choose; leave one of them out")
    }
    var ratio = 0.5
    if case .ratio(let asked) = request.choice.budget { ratio = asked }
    if !request.choice.ratios.isEmpty {
      throw Diagnostic(.usage, "--pattern takes one --ratio for all weights; choose weights with --only and --ignore")
    }
    guard let pattern = MaskPattern(text, ratio: ratio, isGlobal: invocation.has(.global)) else {
      throw Diagnostic(
        .usage, "--pattern \(text): 'unstructured', or N:M with N below M (2:4 keeps two of every four inputs), is expected")
    }
    if case .blocks = pattern, let other = [Option.ratio, .global].first(where: invocation.has) {
      throw Diagnostic(.usage, "--pattern \(text) says how much of every weight stays, so \(other.entry.name) has nothing to say")
    }
    return pattern
  }

  private func singleNumbers(_ module: Module, _ pattern: MaskPattern) throws(Diagnostic) -> MaskSet {
    let (only, ignored) = (request.choice.only, request.choice.ignored)
    return MaskSet(module, pattern: pattern) { name in
      (only.isEmpty || only.contains { $0.matches(name) }) && !ignored.contains { $0.matches(name) }
    }
  }

  /// Chooses as compile does; also a line per group that loses something.
  private func wholeIndices(
    _ module: Module, _ file: ModelFile, _ progress: ProgressBar
  ) throws(Diagnostic) -> (MaskSet, [String]) {
    var options = CompileOptions()
    options.choice = request.choice
    // What goes by masks is found again by its zeros, which are then the same for all heads.
    options.choice.varies = false
    options.choice.isUniform = invocation.has(.uniform)
    options.criterion = request.criterion
    options.judges = request.judges
    (options.aggregation, options.normalisation) = (request.aggregation, request.normalisation)
    if let path = invocation.text(.data) {
      guard request.criterion.needsGradients else {
        throw Diagnostic(.usage, "--data has nothing to say: --criterion \(request.criterion.rawValue) goes by weights alone")
      }
      progress.report("reading \(path)")
      var gradients = GradientStatistics.Source(data: try CalibrationFile.read(path, file))
      (gradients.loss, gradients.output, gradients.seed) = (request.loss, request.lossOutput, request.seed)
      gradients.source = file.document?.model
      options.gradients = gradients
    }
    options.seed = request.seed
    options.plan = try request.planInput.map { (path) throws(Diagnostic) in
      try PlanInput.read(path, for: file, progress, console)
    }
    if let plan = options.plan, !plan.blocks.isEmpty {
      throw Diagnostic(.unsupported, "the plan drops whole blocks, which masks cannot say", file: request.planInput)
    }
    options.progress = { progress.report($0, $1 > 0 ? $1 : nil) }
    var compilation = Compilation(module, options: options)
    do throws(Diagnostic) {
      try Pipeline.run(Pipeline.solve, on: &compilation)
      if let solution = compilation.solution { try request.checkPatterns(solution) }
      try Pipeline.run(Pipeline.decide, on: &compilation)
    } catch {
      throw error.inFile(compilation.solution != nil && options.plan != nil ? request.planInput ?? request.model : request.model)
    }
    guard let solution = compilation.solution, let plan = compilation.plan else {
      throw Diagnostic(.unsupported, "the choice ended without a plan; please report this", file: request.model)
    }
    var table = TextTable([.left, .left, .right, .left])
    table.add(["group", "kind", "goes", "indices"])
    for index in plan.prunedGroups {
      let group = solution.groups[index]
      let kept = Set(plan.kept[index] ?? [])
      let gone = (0..<group.extent).filter { !kept.contains($0) }
      table.add([
        Wording.name(group.name), group.kind.rawValue, "\(Wording.count(gone.count)) of \(Wording.count(group.extent))",
        plan.varied[index] == nil ? IndexList.text(gone, limit: 12) : "others for each of what it varies over",
      ])
    }
    let rows = table.lines
    return (MaskSet(solution, plan: plan), rows.count > 1 ? [console.bold(rows[0])] + rows.dropFirst() : [])
  }

  // MARK: Report

  private func text(_ masks: MaskSet, _ lines: [String], _ output: String) -> [String] {
    let count = masks.entries.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let zeros = masks.entries.reduce(0) { $0 + $1.zeros }
    var result = ["\(Wording.name(request.model)) → \(Wording.name(output))", ""]
    if !lines.isEmpty { result += lines + [""] }
    result.append(
      "\(Wording.plural(masks.entries.count, "mask")) of f32 over \(Wording.plural(count, "parameter")), "
        + "\(Wording.percent(Double(zeros) / Double(max(1, count)))) of them zero; the model is not changed")
    let named = masks.entries.filter { $0.transposeOf != nil }
    if let first = named.first, let own = first.transposeOf {
      result += wrapped(
        "\(Wording.plural(named.count, "weight")) whose name the export lost: \(Wording.name(own)) and the like are the transposes of "
          + "\(Wording.name(first.name)) and its kind, as their biases say; the masks have PyTorch's names and shapes",
        width: 110)
    }
    for skipped in masks.skipped.prefix(6) {
      result.append("No mask for \(Wording.name(skipped.name)): \(skipped.reason)")
    }
    if masks.skipped.count > 6 { result.append("and \(Wording.count(masks.skipped.count - 6)) more without a mask") }
    return result + ["", "Next: prunec stats \(quoted(request.model)) --masks \(quoted(output))"]
  }

  private func json(_ masks: MaskSet) -> Json {
    .object([
      ("model", .text(request.model)), ("output", .optional(request.output)),
      (
        "masks",
        .array(
          masks.entries.map {
            .object([
              ("name", .text($0.name)), ("transposeOf", .optional($0.transposeOf)), ("shape", .array($0.shape.map(Json.integer))),
              ("zeros", .integer($0.zeros)),
            ])
          })
      ),
      ("skipped", .array(masks.skipped.map { .object([("name", .text($0.name)), ("reason", .text($0.reason))]) })),
    ])
  }
}
