import Formats
import Foundation
import Graph
import Passes

/// What a call of `compile` asks for, checked as far as it can be before a model is read.
struct CompileRequest {
  let model: String
  /// Where the smaller model goes; nil for a dry run without.
  let output: String?
  var choice = ChoiceOptions()
  var depth = DepthOptions()
  var criterion = Criterion.l2
  /// False where nobody asked for a criterion.
  let isCriterionGiven: Bool
  var aggregation = ScoreAggregation.mean
  var normalisation = ScoreNormalisation.mean
  /// What criteria of gradients differentiate, and which output it is of.
  var loss: Loss?
  var lossOutput: String?
  var seed: UInt64 = 0
  /// What is done for layers that lose inputs; nil where nothing is said.
  var compensation: Compensation?
  /// Weights that decide scores; empty for all.
  var judges: [Glob] = []
  /// Whether what adds nothing goes, and that alone.
  let removesZeros: Bool
  /// Where the plan goes.
  let planOutput: String?
  /// Where the report for people goes.
  let report: String?
  /// The plan to carry out.
  let planInput: String?
  /// Whether original and result are run and compared.
  let check: CheckMode
  let isStrict: Bool
  let isDryRun: Bool
  let isTimed: Bool
  /// Corrections of shape numbers after which shrinking stops.
  let editLimit: Int?
  /// Passes after which the module is shown.
  let shownPasses: Set<String>

  init(_ invocation: Invocation) throws(Diagnostic) {
    model = try invocation.model()
    isDryRun = invocation.has(.dryRun)
    isStrict = invocation.has(.strict)
    removesZeros = invocation.has(.removeZeros)
    if invocation.has(.check), invocation.has(.noCheck) {
      throw Diagnostic(.usage, "--check and --no-check contradict each other; choose one")
    }
    check = invocation.has(.check) || invocation.has(.inputs) ? .always : invocation.has(.noCheck) ? .never : .usually
    isTimed = invocation.has(.timing)
    output = invocation.text(.output)
    planOutput = invocation.text(.plan)
    planInput = invocation.text(.apply)
    report = invocation.text(.report)
    if let report { try ReportFile.check(report, [(output, "-o"), (planOutput, "--plan")]) }
    if output == nil, !isDryRun {
      if invocation.verb == .masks { throw Diagnostic(.usage, "-o is missing: prunec masks \(quoted(model)) -o M.safetensors") }
      throw Diagnostic(.usage, "-o is missing: prunec \(quoted(model)) -o SMALLER (or --dry-run, to write nothing)")
    }
    if let output {
      if invocation.verb == .compile, FileManager.default.fileExists(atPath: model), !CheckpointFolder.isFolder(model) {
        _ = try ModelFile.outputFormat(of: output)
      }
      if output == planOutput {
        throw Diagnostic(.usage, "-o and --plan name the same file; the plan needs one of its own", file: output)
      }
    }
    shownPasses = try Self.shownPasses(invocation)
    editLimit = try invocation.number(.stopAfterEdit, least: 0)
    try Self.checkConflicts(invocation)
    choice = try Self.choice(invocation)
    depth = try Self.depth(invocation)
    // Who asks for blocks alone gets nothing else.
    if depth.isActive || removesZeros, !Self.isBudgetGiven(invocation) { choice.budget = .ratio(0) }
    compensation = try invocation.word(.compensate, as: Compensation.self)
    criterion = try Self.criterion(invocation)
    isCriterionGiven = invocation.has(.criterion)
    judges = try invocation.list(.scoreBy).map(Glob.init)
    aggregation = try invocation.word(.aggregate, as: ScoreAggregation.self) ?? .mean
    normalisation = try invocation.word(.normalise, as: ScoreNormalisation.self) ?? .mean
    loss = try DifferentiateVerb.loss(invocation)
    lossOutput = invocation.text(.of)
    try Self.checkScoring(invocation, criterion, normalisation, choice.scope)
    if let text = invocation.text(.seed) {
      guard let number = UInt64(text) else {
        throw Diagnostic(.usage, "--seed \(text): a whole number from 0 to \(UInt64.max) is expected")
      }
      seed = number
    }
  }

  private static func shownPasses(_ invocation: Invocation) throws(Diagnostic) -> Set<String> {
    guard let wanted = invocation.text(.printAfter) else { return [] }
    let passes = Pipeline.compile.map(\.name)
    if invocation.has(.json) { throw Diagnostic(.usage, "--print-after and --json both write to standard output; choose one") }
    if wanted == "all" { return Set(passes) }
    guard passes.contains(wanted) else {
      throw Diagnostic(
        .usage,
        "--print-after \(wanted): no such pass\(meant(wanted, among: passes) ?? "; they are \(passes.joined(separator: ", "))")")
    }
    return [wanted]
  }

  private static func isBudgetGiven(_ invocation: Invocation) -> Bool {
    invocation.texts(.ratio).contains { !$0.contains("=") }
      || [.keepParams, .keepFlops, .keepLatency, .keepMemory].contains(where: invocation.has)
  }

  private static func depth(_ invocation: Invocation) throws(Diagnostic) -> DepthOptions {
    var depth = DepthOptions()
    depth.dropped = try invocation.list(.dropBlocks)
    if let text = invocation.text(.keepDepth) {
      if let count = Int(text), count >= 1 {
        depth.kept = .count(count)
      } else if let share = Double(text), text.contains("."), share > 0, share <= 1 {
        depth.kept = .share(share)
      } else {
        throw Diagnostic(
          .usage, "--keep-depth \(text): a number of layers (12), or a share of them above 0 and up to 1 (0.75), is expected")
      }
    }
    return depth
  }

  /// Combinations of a criterion and options that make no sense.
  private static func checkScoring(
    _ invocation: Invocation, _ criterion: Criterion, _ normalisation: ScoreNormalisation, _ scope: Scope
  ) throws(Diagnostic) {
    let name = criterion.rawValue
    if criterion.basis != .weights, !invocation.has(.data) { throw criterion.needsData }
    let compensation = try invocation.word(.compensate, as: Compensation.self)
    if invocation.has(.criterion), let compensation, (criterion == .obs) != (compensation == .obs), compensation != .auto {
      throw Diagnostic(
        .usage,
        criterion == .obs
          ? "--criterion obs is what --compensate obs chooses by; with --compensate \(compensation.rawValue) give another, or none"
          : "--compensate obs chooses what goes by itself, so --criterion \(name) has nothing to choose; leave one out")
    }
    if compensation != nil, !invocation.has(.data) {
      throw Diagnostic(
        .usage, "--compensate fits weights to what the model sees, so it needs --data X.npz; add that, or leave it out")
    }
    if !criterion.needsGradients, let option = [Option.loss, .of].first(where: invocation.has) {
      throw Diagnostic(
        .usage, "\(option.entry.name) is differentiated by criteria of gradients; \(name) is none; leave it out, or choose taylor"
      )
    }
    if invocation.has(.data), !invocation.has(.criterion) || criterion.basis == .inputs,
      let option = [Option.aggregate, .normalise].first(where: invocation.has)
    {
      throw Diagnostic(
        .usage,
        "\(option.entry.name) works on scores, but with --data what flows through the model decides; leave it out, or add "
          + "--criterion l2 or another of weights or gradients")
    }
    if criterion == .random, let option = [Option.aggregate, .normalise].first(where: invocation.has) {
      throw Diagnostic(.usage, "\(option.entry.name) has no figures to work on: --criterion random draws them; leave it out")
    }
    if normalisation == .gaussian, scope == .global {
      throw Diagnostic(
        .usage, "--normalise gaussian gives figures below 0, which --scope global cannot weigh by cost; choose another of the two"
      )
    }
  }

  private static func checkConflicts(_ invocation: Invocation) throws(Diagnostic) {
    let isRatio = invocation.texts(.ratio).contains { !$0.contains("=") }
    let budgets = [
      isRatio ? Option.ratio : nil, invocation.has(.keepParams) ? .keepParams : nil,
      invocation.has(.keepFlops) ? .keepFlops : nil, invocation.has(.keepLatency) ? .keepLatency : nil,
      invocation.has(.keepMemory) ? .keepMemory : nil,
    ]
    .compactMap { $0?.entry.name }
    if budgets.count > 1 {
      throw Diagnostic(.usage, "\(budgets.joined(separator: " and ")) say the same thing twice; give one budget")
    }
    try checkRemoveZeros(invocation)
    guard invocation.has(.apply) else { return }
    let choosing: [Option] = [
      .ratio, .maxRatio, .keepParams, .keepFlops, .keepLatency, .keepMemory, .roundTo, .minKeep, .uniform, .scope, .criterion,
      .seed, .only, .ignore, .kinds, .noVary, .dropBlocks, .keepDepth, .data, .compensate, .scoreBy, .aggregate, .normalise,
      .loss, .of,
    ]
    if let other = choosing.first(where: invocation.has) {
      throw Diagnostic(
        .usage, "--apply carries out a plan as it is, so \(other.entry.name) has nothing to choose; leave one of them out")
    }
  }

  /// Throws where a pattern matches nothing: it is misspelt, most likely.
  func checkPatterns(_ solution: Solution) throws(Diagnostic) {
    var choice = choice
    choice.only += judges
    guard let glob = choice.patternsWithoutMatch(in: solution).first else { return }
    let known = solution.groups.map(\.name) + solution.module.parameters.map { solution.module[$0.value].name }
    throw Diagnostic(
      .usage,
      "the pattern '\(glob.pattern)' matches no group and no tensor\(meant(glob.pattern, among: known) ?? "; 'prunec groups' lists them")"
    )
  }

  /// Magnitude is what pruning without structure calls the sum of absolute weights.
  private static func criterion(_ invocation: Invocation) throws(Diagnostic) -> Criterion {
    guard let text = invocation.text(.criterion) else { return .l2 }
    if text == Option.magnitude { return .l1 }
    if let criterion = Criterion(rawValue: text) { return criterion }
    let words = Criterion.allCases.map(\.rawValue) + [Option.magnitude]
    throw Diagnostic(
      .usage,
      "--criterion \(text): no such choice\(meant(text, among: words) ?? "; it is one of \(words.joined(separator: ", "))")")
  }

  private static func checkRemoveZeros(_ invocation: Invocation) throws(Diagnostic) {
    guard invocation.has(.removeZeros) else { return }
    let choosing: [Option] = [
      .ratio, .maxRatio, .keepParams, .keepFlops, .roundTo, .minKeep, .uniform, .scope, .criterion, .scoreBy, .dropBlocks,
      .keepDepth, .data, .compensate, .apply,
    ]
    let isNothing = invocation.texts(.ratio).allSatisfy { Double($0) == 0 }
    guard let other = choosing.first(where: { invocation.has($0) && !($0 == .ratio && isNothing) }) else { return }
    throw Diagnostic(
      .usage,
      "--remove-zeros removes what adds nothing and that alone, so \(other.entry.name) has nothing to choose; "
        + "leave one of them out, or prune the result in a second call")
  }

  /// What the options on ratios, bounds and patterns ask for.
  static func choice(_ invocation: Invocation) throws(Diagnostic) -> ChoiceOptions {
    var choice = ChoiceOptions()
    var general: Double?
    for text in invocation.texts(.ratio) {
      if let equals = text.lastIndex(of: "=") {
        let pattern = trimmed(String(text[..<equals]))
        if pattern.isEmpty { throw Diagnostic(.usage, "--ratio \(text): a pattern is missing before '='") }
        let ratio = try ShareBounds.removed.read(String(text[text.index(after: equals)...]), shown: "--ratio \(text)")
        choice.ratios.append((pattern: Glob(pattern), ratio: ratio))
      } else if general == nil {
        general = try ShareBounds.removed.read(text, shown: "--ratio \(text)")
      } else {
        throw Diagnostic(.usage, "--ratio is given twice; only --ratio PATTERN=R may be repeated")
      }
    }
    if let general { choice.budget = .ratio(general) }
    if let share = try invocation.share(.keepParams, .kept) { choice.budget = .parameters(share) }
    if let share = try invocation.share(.keepFlops, .kept) { choice.budget = .multiplyAdds(share) }
    if let share = try invocation.share(.keepLatency, .kept) { choice.budget = .latency(share) }
    if let share = try invocation.share(.keepMemory, .kept) { choice.budget = .memory(share) }
    if let ratio = try invocation.share(.maxRatio, .removed) { choice.largestRatio = ratio }
    choice.rounding = try invocation.number(.roundTo, least: 1)
    if let least = try invocation.number(.minKeep, least: 1) { choice.least = least }
    choice.scope = try invocation.word(.scope, as: Scope.self) ?? .local
    choice.varies = !invocation.has(.noVary)
    choice.only = try invocation.list(.only).map(Glob.init)
    choice.ignored = try invocation.list(.ignore).map(Glob.init)
    let kinds = try invocation.list(.kinds)
    if kinds.contains("all") {
      choice.kinds = Set(GroupKind.allCases)
    } else if !kinds.isEmpty {
      var wanted: Set<GroupKind> = []
      for kind in kinds { wanted.insert(try Invocation.word(kind, .kinds, as: GroupKind.self)) }
      choice.kinds = wanted
    }
    return choice
  }
}
