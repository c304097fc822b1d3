import Graph
import Runtime

/// How many whole layers stay.
public enum DepthBudget: Sendable, Equatable {
  /// This share of them, rounded down, at least one.
  case share(Double)
  /// So many.
  case count(Int)

  /// How many of `total` stay.
  func kept(of total: Int) -> Int {
    switch self {
    case .share(let share): max(1, Int((Double(total) * share + 1e-9).rounded(.down)))
    case .count(let count): min(total, max(0, count))
    }
  }
}

/// Which residual blocks go.
public struct DepthOptions: Sendable {
  /// Blocks by number (`7`), range (`3-7`), layer (`L2`, `L2-L4`), or glob over the names of sums.
  public var dropped: [String] = []
  /// How many whole layers stay; the ones that change the stream least go first.
  public var kept: DepthBudget?
  /// Values for the model's inputs, to see how blocks change the stream; without, random ones are used (see `DepthScores`).
  public var data: [RuntimeValue]?
  /// The model that the module was imported from, which control flow needs to be executed.
  public var source: NamedModel?
  /// Bytes of weights up to which a model without `data` is run once for each layer, that layer bypassed.
  public var largestBypassed = Proof.usualLimit
  /// Threads to compute scores with.
  public var threads = 1

  /// Nothing is dropped.
  public init() {}

  /// True where something is asked for.
  public var isActive: Bool { !dropped.isEmpty || kept != nil }
}

/// What was dropped from a module, and why.
public struct Depth: Sendable {
  /// The blocks of the module before.
  public let blocks: ResidualBlocks
  /// Blocks that were dropped, without those inside others of them.
  public let dropped: [ResidualBlock]
  /// Worth of each whole layer, where it was asked for: `ResidualBlocks.units`, and how it was measured.
  public let scores: DepthScores?

  /// The dropped blocks as a plan lists them.
  public var entries: [PlanFile.DroppedBlock] {
    let module = blocks.module
    return dropped.map { block in
      PlanFile.DroppedBlock(
        sum: blocks.name(of: block), stream: module[block.stream].name, parameters: block.parameters.map { module[$0].name })
    }
  }

  /// Adds whatever `dropped` says and the least useful units beyond it, as far as the options ask for.
  init(_ blocks: ResidualBlocks, options: DepthOptions, seed: UInt64) throws(Diagnostic) {
    var ids: [Int] = []
    for pattern in options.dropped { ids += try blocks.matching(pattern) }
    var scores: DepthScores?
    if let budget = options.kept {
      let units = blocks.units
      guard !units.isEmpty else {
        throw Diagnostic(.refused, "has no residual blocks, so there is no depth to reduce; leave --keep-depth out")
      }
      if case .count(let count) = budget, count > units.count {
        throw Diagnostic(
          .usage, "--keep-depth \(count): the model has \(units.count) layers; 'prunec groups MODEL --blocks' lists them")
      }
      // Blocks that go anyway count as gone.
      let gone = Set(ids)
      let left = units.indices.filter { !units[$0].allSatisfy(gone.contains) }
      let excess = left.count - budget.kept(of: units.count)
      if excess > 0 {
        let measured = try DepthScores(blocks, units: units, options: options, seed: seed)
        let order = left.sorted { (measured.worth[$0], $0) < (measured.worth[$1], $1) }
        ids += order.prefix(excess).flatMap { units[$0] }
        scores = measured
      }
    }
    self.blocks = blocks
    self.scores = scores
    dropped = blocks.outermost(ids)
  }

  /// The blocks that a plan drops, by the names of their sums.
  init(_ blocks: ResidualBlocks, plan: PlanFile) throws(Diagnostic) {
    let module = blocks.module
    var dropped: [Int] = []
    for entry in plan.blocks {
      guard let block = blocks.blocks.first(where: { blocks.name(of: $0) == entry.sum }) else {
        let near = Suggestion.nearest(to: entry.sum, among: blocks.blocks.map(blocks.name(of:))).map { "; did you mean '\($0)'?" }
        throw Diagnostic(.invalid, "block '\(entry.sum)' is not in this model\(near ?? "")")
      }
      if let stream = entry.stream, stream != module[block.stream].name {
        throw Diagnostic(
          .invalid,
          "block '\(entry.sum)' adds to '\(module[block.stream].name)' in this model, the plan says '\(stream)'")
      }
      dropped.append(block.id)
    }
    self.blocks = blocks
    scores = nil
    self.dropped = blocks.outermost(dropped)
  }
}

extension ResidualBlocks {
  /// Blocks that an entry of `--drop-blocks` means; throws `usage` where it means none.
  func matching(_ pattern: String) throws(Diagnostic) -> [Int] {
    if let range = try range(pattern) { return range }
    let glob = Glob(pattern)
    let found = blocks.filter { glob.matches(name(of: $0)) || glob.matches(module.nodes[$0.sum].name) }
    guard found.isEmpty else { return found.map(\.id) }
    if blocks.isEmpty { throw Diagnostic(.usage, "--drop-blocks \(pattern): the model has no residual blocks") }
    let names = blocks.map(name(of:))
    let near = Suggestion.nearest(to: pattern, among: names).map { "; did you mean '\($0)'?" }
    throw Diagnostic(
      .usage,
      "--drop-blocks \(pattern): no block has a sum of that name\(near ?? "; 'prunec groups MODEL --blocks' lists them")")
  }

  /// `7`, `3-7`, `L2`, `L2-4`, `L2-L4`; nil for what is no such thing.
  private func range(_ text: String) throws(Diagnostic) -> [Int]? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count <= 2, let head = ends.first else { return nil }
    let isLayer = head.hasPrefix("L")
    let numbers = ends.map { end in Int(isLayer && end.hasPrefix("L") ? end.dropFirst() : end) }
    guard let first = numbers.first ?? nil, let last = numbers.last ?? nil, first >= 0, last >= 0 else { return nil }
    let (count, noun) = isLayer ? (layers.count, "layer") : (blocks.count, "block")
    guard last < count else {
      let have = count == 0 ? "the model has no \(noun)s" : "\(noun)s are numbered from 0 to \(count - 1)"
      throw Diagnostic(.usage, "--drop-blocks \(text): \(have); 'prunec groups MODEL --blocks' lists them")
    }
    guard first <= last else {
      throw Diagnostic(.usage, "--drop-blocks \(text): the range is empty; write the smaller number first")
    }
    return isLayer ? layers[first...last].flatMap(\.blocks) : Array(first...last)
  }
}
