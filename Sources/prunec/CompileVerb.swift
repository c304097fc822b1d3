import Formats
import Foundation
import Graph
import Passes
import Runtime

/// `prunec MODEL -o SMALLER`: reads, chooses, shrinks, writes, reports.
struct CompileVerb {
  private let request: CompileRequest
  private let console: Console
  private let isJson: Bool
  private let invocation: Invocation

  init(_ invocation: Invocation, _ console: Console) throws(Diagnostic) {
    request = try CompileRequest(invocation)
    self.console = console
    isJson = invocation.has(.json)
    self.invocation = invocation
  }

  func run() throws(Diagnostic) {
    let progress = ProgressBar(console)
    defer { progress.finish() }
    var timing = Timing()
    progress.report("reading \(request.model)")
    let file = try ModelReader.read(request.model)
    if let output = request.output { try file.checkOutput(output) }
    try checkPlanOutput(file)
    timing.add("read")
    var options = CompileOptions()
    options.choice = choice(for: file)
    options.depth = request.depth
    options.depth.source = file.document?.model
    options.depth.threads = try Threads.count(invocation)
    if let path = invocation.text(.data) {
      progress.report("reading \(path)")
      let data = try CalibrationFile.read(path, file)
      if options.depth.kept != nil { options.depth.data = data.whole }
      if request.criterion.needsGradients {
        var gradients = GradientStatistics.Source(data: data)
        (gradients.loss, gradients.output, gradients.seed) = (request.loss, request.lossOutput, request.seed)
        (gradients.threads, gradients.source) = (options.depth.threads, options.depth.source)
        options.gradients = gradients
      }
      options.compensation = compensation(data, options)
    }
    let inputs =
      invocation.has(.inputs) ? try ModelInputs.read(invocation, file, seed: request.seed) : nil
    options.measurement = try measurement(
      file, inputs, options.compensation?.data ?? options.gradients?.data, threads: options.depth.threads, progress)
    options.criterion = request.criterion
    options.judges = request.judges
    (options.aggregation, options.normalisation) = (request.aggregation, request.normalisation)
    options.seed = request.seed
    options.removesZeros = request.removesZeros
    options.editLimit = request.editLimit
    options.plan = try request.planInput.map { (path) throws(Diagnostic) in try PlanInput.read(path, for: file, progress, console)
    }
    options.progress = { progress.report($0, $1 > 0 ? $1 : nil) }
    if options.plan != nil { timing.add("read plan") }
    var module = file.module
    if request.removesZeros || invocation.has(.masks) { _ = try MaskedInput.apply(invocation, to: &module, request.model) }
    var compilation = Compilation(module, options: options)
    do throws(Diagnostic) {
      try Pipeline.run(Pipeline.compile, on: &compilation) { (pass, compilation, _) throws(Diagnostic) in
        timing.add(pass.name)
        try look(at: compilation, after: pass, progress)
      }
    } catch {
      // What is wrong with a plan is wrong in the plan's file: before blocks are dropped, or before indices are chosen.
      let isPlan = compilation.solution != nil ? compilation.plan == nil : options.plan != nil && compilation.depth == nil
      throw error.inFile(isPlan ? request.planInput ?? request.model : request.model)
    }
    progress.report("comparing")
    let outcome = try prove(compilation, file, inputs, original: request.removesZeros ? module : nil)
    if outcome != nil { timing.add("check") }
    var written: Int?
    if let output = request.output, !request.isDryRun {
      progress.report("writing \(output)")
      written =
        if let folder = file.folder, !ModelFile.isFile(output) {
          try CheckpointModel.write(compilation, folder, to: output) { progress.report("writing \(output)", $0) }
        } else {
          try file.write(compilation.module, to: output)
        }
      timing.add("write")
    }
    try writePlan(compilation, file, progress)
    if request.planOutput != nil { timing.add("write plan") }
    if let path = request.report {
      let page = try reportPage(compilation, file, written, outcome, &timing, progress)
      try page.write(
        to: path, notOver: file.files + [request.planInput, invocation.text(.data), invocation.text(.inputs)].compactMap(\.self))
    }
    progress.finish()
    let report = try CompileReport(compilation, file, request, written: written, outcome: outcome, timing: timing, console)
    if isJson {
      try console.report(report.json.text() + "\n")
    } else if !console.isQuiet {
      try console.report(report.lines.joined(separator: "\n") + "\n")
    }
    if request.isTimed, !isJson { Console.complain(timing.lines.joined(separator: "\n")) }
  }

  /// What is done with data for the layers that lose inputs; nil where nothing is: where layers alone go, and where a criterion of weights or
  /// gradients is to choose by itself.
  private func compensation(_ data: CalibrationData, _ options: CompileOptions) -> CompensationOptions? {
    if options.depth.kept != nil, options.choice.budget == .ratio(0) { return nil }
    if request.isCriterionGiven, request.criterion.basis != .inputs, request.compensation == Compensation.none { return nil }
    var compensation = CompensationOptions(data: data)
    compensation.mode = request.compensation ?? .auto
    if request.isCriterionGiven, request.criterion == .obs {
      compensation.mode = .obs
    } else if request.isCriterionGiven {
      compensation.criterion = request.criterion
    }
    compensation.rotates = !invocation.has(.noRotate)
    compensation.threads = options.depth.threads
    compensation.source = options.depth.source
    return compensation
  }

  /// What runs are measured with, where the budget asks for it.
  private func measurement(
    _ file: ModelFile, _ given: [RuntimeValue]?, _ data: CalibrationData?, threads: Int, _ progress: ProgressBar
  ) throws(Diagnostic) -> MeasurementOptions? {
    let isTimed: Bool
    switch request.choice.budget {
    case .ratio, .parameters, .multiplyAdds: return nil
    case .latency: isTimed = true
    case .memory: isTimed = false
    }
    let inputs: [RuntimeValue]
    if let given {
      inputs = given
    } else if let data {
      inputs = data.part(0..<(data.isFixedSize ? data.batchSize : 1)).batch(0)
    } else {
      inputs = try InventedInputs.firstAccepted(
        for: file.module, seed: request.seed, trying: [(1, 128), (1, 64), (1, 16), (2, 6)]
      ) {
        (inputs) throws(Diagnostic) in
        try Session(file.module, source: file.document?.model, threads: threads).run(inputs)
      }.inputs
    }
    let table =
      isTimed
      ? try CostTable.here(threads: threads, version: Command.version) { progress.report("measuring this machine", $0) } : nil
    return MeasurementOptions(inputs: inputs, threads: threads, table: table, source: file.document?.model)
  }

  /// What people look at, with a short measurement unless the models are not to be run, or are large.
  private func reportPage(
    _ compilation: Compilation, _ file: ModelFile, _ written: Int?, _ outcome: ProofOutcome?, _ timing: inout Timing,
    _ progress: ProgressBar
  ) throws(Diagnostic) -> ReportPage {
    let latency: LatencyOutcome
    if case .never = request.check {
      latency = .skipped("--no-check: the models were not run")
    } else if file.byteCount > CheckMode.usualLimit {
      latency = .skipped("the model has more than 1 GB of weights; prunec bench times it")
    } else {
      progress.report("measuring")
      latency = LatencyProbe.run(
        original: file.module, smaller: compilation.module, source: file.document?.model, threads: try Threads.count(invocation),
        seed: request.seed)
      timing.add("measure")
    }
    progress.report("writing the report")
    return try CompilePage(compilation, file, request, written: written, outcome: outcome, latency: latency, timing: timing).page
  }

  /// What is asked of the choice. A folder says one number for all layers of a kind, and some kinds it cannot say at all: these stay as they
  /// are, and a note says why.
  private func choice(for file: ModelFile) -> ChoiceOptions {
    var choice = request.choice
    choice.isUniform = invocation.has(.uniform)
    guard let folder = file.folder, !ModelFile.isFile(request.output ?? "") else { return choice }
    choice.isUniform = true
    let asked = choice.kinds
    let unsayable = SmallerConfiguration.unsayable(folder.configuration)
    var kinds = asked ?? [.heads, .hidden]
    // Heads and width together may be said where the size of a head stays what one divided by the other is.
    for (kind, reason) in unsayable.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where kinds.contains(kind) {
      if kind == .heads, kinds.contains(.width) { continue }
      kinds.remove(kind)
      if asked != nil {
        console.note("\(kind.rawValue) stay as they are: \(reason); -o NAME.onnx can hold a model without some of them")
      }
    }
    choice.kinds = kinds
    if !kinds.contains(.width) { choice.ignored += SmallerConfiguration.boundToWidth(folder.configuration) }
    return choice
  }

  /// What is asked for between passes: the text of the module, and the refusals of `--strict` and of patterns that match nothing.
  private func look(at compilation: Compilation, after pass: Pass, _ progress: ProgressBar) throws(Diagnostic) {
    if request.shownPasses.contains(pass.name) {
      progress.clear()
      try console.report(
        "// after \(pass.name): \(pass.summary)\n" + ModulePrinter.print(compilation.module, options: .names) + "\n")
    }
    guard let solution = compilation.solution, compilation.plan == nil, compilation.scores == nil else { return }
    try request.checkPatterns(solution)
    guard request.isStrict else { return }
    let coverage = Coverage(solution)
    let count = coverage.givenUp.count
    guard count > 0 else { return }
    progress.finish()
    let frozen = FrozenReport(coverage, SolutionNames(solution), console)
    if !console.isQuiet, !isJson { try console.report(frozen.lines(limit: Int.max, more: nil).joined(separator: "\n") + "\n") }
    throw Diagnostic(
      .refused,
      "--strict: prunec had to give up in \(Wording.plural(count, "place")), nothing is written; "
        + "'prunec groups \(quoted(request.model))' lists them")
  }

  // MARK: Proof

  /// Runs original and result side by side; nil where that is not asked for. A result that differs is refused before it is written.
  private func prove(
    _ compilation: Compilation, _ file: ModelFile, _ inputs: [RuntimeValue]?, original: Module?
  ) throws(Diagnostic) -> ProofOutcome? {
    guard let solution = compilation.solution, let plan = compilation.plan else { return nil }
    switch request.check {
    case .never: return nil
    case .usually where plan.prunedGroups.isEmpty && compilation.depth == nil || file.byteCount > CheckMode.usualLimit: return nil
    case .usually, .always: break
    }
    let source = file.document?.model
    var run = ProofRun(
      solution: solution, plan: plan, smaller: compilation.module, sources: (source, source),
      threads: try Threads.count(invocation))
    run.original = original
    run.drop = compilation.depth.flatMap { depth in compilation.remaining.map { (depth, $0) } }
    let outcome =
      if let inputs {
        run.outcome(on: inputs)
      } else {
        run.outcome(seed: request.seed)
      }
    switch outcome {
    case .impossible(let error):
      if case .always = request.check { throw error.inFile(request.model) }
    case .compared(let proof):
      if !proof.isProved {
        let advice = "this is a fault of prunec, nothing is written; please report it"
        throw Diagnostic(.refused, "\(proof.refusal.message). \(advice)", file: request.model)
      }
    }
    return outcome
  }

  // MARK: Plans

  private func checkPlanOutput(_ file: ModelFile) throws(Diagnostic) {
    guard let path = request.planOutput, !request.isDryRun else { return }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if !FileManager.default.fileExists(atPath: folder) {
      throw Diagnostic(.unwritable, "cannot be written: there is no folder \(folder)", file: path)
    }
  }

  private func writePlan(_ compilation: Compilation, _ file: ModelFile, _ progress: ProgressBar) throws(Diagnostic) {
    guard let path = request.planOutput, !request.isDryRun, let plan = compilation.plan, let solution = compilation.solution
    else { return }
    progress.report("computing the digest of \(request.model)")
    let digest = try file.digest() ?? ""
    progress.report("writing \(path)")
    let survivors = Set(compilation.module.parameters.map { compilation.module[$0.value].name })
    let name = URL(fileURLWithPath: request.model).lastPathComponent
    let text = PlanFile.text(
      plan: plan, solution: solution, survivors: survivors, dropped: compilation.depth?.entries ?? [], file: name, digest: digest)
    let inputs = file.files + [request.planInput, request.output].compactMap { $0 }
    try AtomicFile.write(to: path, notOver: inputs) { try $0.write(Array(text.utf8)) }
  }
}

/// How long each step took.
struct Timing {
  private let clock = ContinuousClock()
  private var last: ContinuousClock.Instant
  private(set) var steps: [(name: String, seconds: Double)] = []

  init() { last = clock.now }

  /// Ends a step.
  mutating func add(_ name: String) {
    let now = clock.now
    steps.append((name, (now - last) / .seconds(1)))
    last = now
  }

  /// Seconds of all steps.
  var total: Double { steps.reduce(0) { $0 + $1.seconds } }

  /// A table of the steps.
  var lines: [String] {
    var table = TextTable([.left, .right])
    for step in steps { table.add([step.name, "\(Wording.fixed(step.seconds, 3)) s"]) }
    table.add(["total", "\(Wording.fixed(total, 3)) s"])
    return table.lines
  }
}
