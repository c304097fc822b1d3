import Graph

/// Everything a compile knows so far.
public struct Compilation: Sendable {
  /// The graph as it stands.
  public var module: Module
  /// Blocks that were dropped, where that was asked for; `depth.blocks.module` is the module before.
  public var depth: Depth?
  /// The module without those blocks, and otherwise as it was.
  public var remaining: Module?
  /// What the user asked for.
  public let options: CompileOptions
  /// Types and shape arithmetic of `module`, once inferred.
  public var inferred: InferredModule?
  /// Layouts and groups, once solved. `solution.module` is the module before shrinking.
  public var solution: Solution?
  /// Worth of every index, once scored.
  public var scores: Scores?
  /// What is kept, once chosen.
  public var plan: Plan?
  /// Shares of the original that were measured, where the budget is one of time or memory.
  public var measured: Double?
  /// Attentions whose dims inside heads were rotated, where there are data.
  public var rotated: RotatedHeads?
  /// What compensation did, where there are data.
  public var compensated: CompensationReport?
  /// What could go without changing what the model computes, where that was asked for.
  public var zeros: ZeroRemoval?

  /// The start of a compile.
  public init(_ module: Module, options: CompileOptions) {
    self.module = module
    self.options = options
  }
}

/// What a compile is asked to do.
public struct CompileOptions: Sendable {
  /// Which residual blocks go.
  public var depth = DepthOptions()
  /// Which groups lose how much.
  public var choice = ChoiceOptions()
  /// What makes an index worth keeping.
  public var criterion = Criterion.l2
  /// Globs of weights that decide scores; of a group that none of them carries, all its weights do. Empty for all.
  public var judges: [Glob] = []
  /// How the figures that an index has in several weights become one.
  public var aggregation = ScoreAggregation.mean
  /// How the figures of a group are made comparable with those of others.
  public var normalisation = ScoreNormalisation.mean
  /// What criteria of gradients take them of and on; nil without data.
  public var gradients: GradientStatistics.Source?
  /// Seed of everything random.
  public var seed: UInt64 = 0
  /// Corrections of shape numbers after which shrinking stops, to find the one that is wrong; nil for all.
  public var editLimit: Int?
  /// Samples, and what is done with them for the layers that lose inputs; nil without data.
  public var compensation: CompensationOptions?
  /// What a run of the model is measured with, where the budget is one of time or memory.
  public var measurement: MeasurementOptions?
  /// A plan to carry out instead of choosing.
  public var plan: PlanFile?
  /// True to remove what adds nothing, and that alone.
  public var removesZeros = false
  /// Hears the share of the present pass that is done, between 0 and 1.
  public var progress: @Sendable (String, Double) -> Void = { _, _ in }

  /// The defaults.
  public init() {}
}

/// One step of the compiler.
public struct Pass: Sendable {
  /// What `--print-after` calls it.
  public let name: String
  /// What it does, in one line.
  public let summary: String
  /// Does it.
  public let run: @Sendable (inout Compilation) throws(Diagnostic) -> Void
}

/// The compiler: passes in order.
public enum Pipeline {
  /// All passes of a compile. The order is forced: each needs what the one before it found.
  public static let compile: [Pass] =
    [dropBlocks] + solve + [removeZeros, score, rotate, compensate, choose, shrink, verify, measure]

  /// The passes that find groups and leave the model as it is.
  public static let solve: [Pass] = [privateCopies, inferTypes, solveAxes]

  /// First, so that groups are those of what is left, and copies of shared constants are made for its uses alone.
  public static let dropBlocks = Pass(name: "drop-blocks", summary: "take the residual blocks out that are to go") {
    (compilation: inout Compilation) throws(Diagnostic) in
    let options = compilation.options
    guard options.depth.isActive || !(options.plan?.blocks.isEmpty ?? true) else { return }
    let found = try ResidualBlocks(inferring: compilation.module)
    let depth =
      if let plan = options.plan {
        try Depth(found, plan: plan)
      } else {
        try Depth(found, options: options.depth, seed: options.seed)
      }
    let remaining = BlockDropper.run(depth.blocks, dropping: depth.dropped.map(\.id))
    compilation.depth = depth
    compilation.remaining = remaining
    compilation.module = remaining
  }

  /// Before solving, so that constants which merely happen to be equal do not tie what uses them.
  static let privateCopies = Pass(
    name: "private-copies", summary: "give every use of a shared vector or uniform constant its own copy"
  ) {
    (compilation: inout Compilation) throws(Diagnostic) in
    PrivateCopies.run(&compilation.module)
  }

  static let inferTypes = Pass(name: "infer-types", summary: "infer every type, and the numbers of shape arithmetic") {
    (compilation: inout Compilation) throws(Diagnostic) in
    compilation.inferred = try TypeInference.run(
      compilation.module, declared: VerifyDimensions.declared(in: compilation.module))
  }

  static let solveAxes = Pass(name: "solve", summary: "give every axis a layout, and so find the dependency groups") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let inferred = compilation.inferred else { return }
    let options = compilation.options
    compilation.solution = Solver(compilation.module, inferred).run { options.progress("solve", $0) }
  }

  /// With data. What the model computes stays as it is.
  static let rotate = Pass(name: "rotate", summary: "turn the dims inside heads so that the last ones are worth least") {
    (compilation: inout Compilation) throws(Diagnostic) in
    let options = compilation.options
    guard let solution = compilation.solution, let asked = options.compensation, asked.rotates, options.plan == nil,
      compilation.plan == nil, options.choice.budget != .ratio(0) || !options.choice.ratios.isEmpty
    else { return }
    let candidates = Chooser(solution: solution, scores: Scores(byGroup: []), options: options.choice).candidates()
    let rotator = HeadRotator(solution, candidates: Set(candidates), options: asked)
    let (heads, module) = try rotator.run { options.progress("rotate", $0) }
    compilation.rotated = heads
    compilation.module = module
    compilation.solution = solution.with(module: module)
  }

  /// With data. Scores are only wanted here where a criterion was asked for: otherwise what goes is what the data say.
  static let compensate = Pass(
    name: "compensate", summary: "choose by what calibration data say can be made up for, and fit the weights to what is left"
  ) {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, let asked = compilation.options.compensation, compilation.options.plan == nil,
      compilation.plan == nil
    else {
      return
    }
    let options = compilation.options
    guard options.choice.scope == .local else {
      throw Diagnostic(
        .usage,
        "--scope says who competes by score, but with --data sizes follow from what the data say; leave one of them out, "
          + "or choose by scores alone with --criterion NAME --compensate none")
    }
    let chooser = Chooser(
      solution: solution, scores: compilation.scores ?? Scores(byGroup: []), options: compilation.budgetForWhatIsLeft(solution),
      measured: try compilation.measuredBudget(solution))
    let rotated = compilation.rotated ?? RotatedHeads(byConsumer: [:], groups: [])
    let outcome = try Compensator.run(chooser, rotated, options: asked) { options.progress($0, $1) }
    compilation.solution = outcome.solution
    compilation.module = outcome.solution.module
    compilation.plan = outcome.plan
    compilation.compensated = outcome.report
  }

  static let score = Pass(name: "score", summary: "give every index of every group a worth") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, compilation.options.plan == nil, compilation.plan == nil else { return }
    let options = compilation.options
    if let compensation = options.compensation, !compensation.wantsScores { return }
    let candidates = Chooser(solution: solution, scores: Scores(byGroup: []), options: options.choice).candidates()
    var statistics: GradientStatistics?
    if options.criterion.basis == .inputs { throw options.criterion.needsData }
    if options.criterion.needsGradients {
      guard let source = options.gradients else {
        throw options.criterion.needsData
      }
      statistics = try GradientStatistics(solution, criterion: options.criterion, groups: Set(candidates), source: source) {
        options.progress("gradients", $0)
      }
    }
    compilation.scores = Scores(
      solution.judged(by: options.judges), criterion: options.criterion, aggregation: options.aggregation,
      normalisation: options.normalisation,
      seed: options.seed, groups: Set(candidates), gradients: statistics
    ) { options.progress("score", $0) }
  }

  static let choose = Pass(name: "choose", summary: "decide which indices stay, by budget and worth, or by a given plan") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, compilation.plan == nil else { return }
    if let file = compilation.options.plan {
      compilation.plan = try file.plan(for: solution)
    } else if let scores = compilation.scores {
      let options = compilation.budgetForWhatIsLeft(solution)
      let measured = try compilation.measuredBudget(solution)
      compilation.plan = try Chooser(solution: solution, scores: scores, options: options, measured: measured).plan()
    }
  }

  static let shrink = Pass(name: "shrink", summary: "slice every parameter and correct every number that stands for an extent") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, let plan = compilation.plan else { return }
    let shrinker = Shrinker(solution: solution, plan: plan)
    compilation.module = try shrinker.run(editLimit: compilation.options.editLimit)
  }

  /// Last, and by other means than shrink's own: a fault here is a fault of prunec, and nothing is written.
  static let verify = Pass(name: "verify-dimensions", summary: "infer every type of the smaller model from scratch and compare") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let fault = VerifyDimensions.run(compilation.module).first else { return }
    throw Diagnostic(
      .refused,
      "the smaller model would not fit together: \(fault.message). This is a fault of prunec, nothing is written; please report it",
      at: fault.place)
  }

  /// After everything else, on what will be written: a budget of time or memory is kept or it is not.
  static let measure = Pass(name: "measure", summary: "measure what a budget of time or memory came to") {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, let budget = try compilation.measuredBudget(solution) else { return }
    let share = try budget.share(of: compilation.module)
    compilation.measured = share
    guard case .latency = compilation.options.choice.budget, share > 1, compilation.plan?.prunedGroups.isEmpty == false else {
      return
    }
    throw Diagnostic(
      .refused,
      "the smaller model takes \(Int((share * 100).rounded())) % of the original's time, so it is not faster; nothing is written. "
        + "Ask for less, or give a budget of parameters or multiply-adds instead")
  }
}
