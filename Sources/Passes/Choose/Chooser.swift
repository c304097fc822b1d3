import Graph

/// How many indices are asked for.
public enum Budget: Sendable, Equatable {
  /// Remove this share of every group's indices.
  case ratio(Double)
  /// Keep this share of the numbers in data parameters.
  case parameters(Double)
  /// Keep this share of the multiply-adds.
  case multiplyAdds(Double)
  /// Keep this share of the time that a run takes on this machine.
  case latency(Double)
  /// Keep this share of the memory that a run takes: weights, and what lies between the nodes.
  case memory(Double)

  /// The share that is to stay; nil for a ratio.
  public var share: Double? {
    switch self {
    case .ratio: nil
    case .parameters(let share), .multiplyAdds(let share), .latency(let share), .memory(let share): share
    }
  }
}

/// Among whom indices compete.
public enum Scope: String, Sendable, CaseIterable {
  /// Each group by itself.
  case local
  /// All groups together, by score per cost.
  case global
  /// Groups of the same structure together.
  case isomorphic
}

/// What the user asks of the choice.
public struct ChoiceOptions: Sendable {
  /// How much goes.
  public var budget: Budget = .ratio(0.5)
  /// Ratios for groups or tensors whose name matches a glob, first match wins.
  public var ratios: [(pattern: Glob, ratio: Double)] = []
  /// No group loses a larger share than this.
  public var largestRatio = 1.0
  /// Among whom indices compete.
  public var scope = Scope.local
  /// Counts are rounded to multiples of this; nil: 8 for channels, hidden and width groups of 64 indices or more, else 1.
  public var rounding: Int?
  /// No group keeps fewer indices than this (or than it has).
  public var least = 1
  /// Kinds to prune; nil for the default choice of groups.
  public var kinds: Set<GroupKind>?
  /// True when groups may keep indices of their own for every index of what they vary over.
  public var varies = true
  /// True when groups of the same structure must keep equally many indices, as a configuration file says one number for all layers.
  public var isUniform = false
  /// Globs of group or tensor names: only groups that match one are pruned. Empty for all.
  public var only: [Glob] = []
  /// Globs of group or tensor names: groups that match one are not pruned.
  public var ignored: [Glob] = []

  /// The defaults: half of every group that is pruned by default, each by itself.
  public init() {}

  /// The same, of groups of all kinds unless some are named.
  var ofAllKinds: ChoiceOptions {
    var options = self
    options.kinds = kinds ?? Set(GroupKind.allCases)
    return options
  }
}

/// Decides how many indices of each group stay, and which: those with the highest scores, ties by lower index. Because a group's indices
/// are ranked once, what is kept at 50 % is part of what is kept at 30 %.
struct Chooser {
  let solution: Solution
  let scores: Scores
  let options: ChoiceOptions
  /// What a budget counts.
  let costs: any CostModel
  /// Where the budget is one that is measured.
  let measured: MeasuredBudget?

  init(solution: Solution, scores: Scores, options: ChoiceOptions, measured: MeasuredBudget? = nil) {
    self.solution = solution
    self.scores = scores
    self.options = options
    self.measured = measured
    let sizes = SizeModel(solution: solution)
    costs =
      switch options.budget {
      case .ratio, .parameters: measured?.costs ?? ParameterCost(sizes: sizes)
      case .multiplyAdds: MultiplyAddCost(sizes: sizes)
      case .latency, .memory: measured?.costs ?? MultiplyAddCost(sizes: sizes)
      }
  }

  /// Groups that may lose indices under the options.
  func candidates() -> [Int] {
    solution.groups.indices.filter { index in
      let group = solution.groups[index]
      let wanted = options.kinds.map { $0.contains(group.kind) } ?? group.isDefault
      return wanted && (options.only.isEmpty || matches(group, options.only)) && !matches(group, options.ignored)
    }
  }

  private func matches(_ group: Group, _ globs: [Glob]) -> Bool {
    globs.contains { glob in
      glob.matches(group.name) || group.occurrences.contains { glob.matches(solution.module[$0.value].name) }
    }
  }

  func plan() throws(Diagnostic) -> Plan {
    let candidates = candidates()
    let sizes = try sizes(candidates)
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    for index in candidates where sizes[index] < solution.groups[index].extent {
      plan.kept[index] = Array(ranked(index).prefix(sizes[index])).sorted()
      if options.varies, let variation = solution.variations[index], let own = scores.byList[index] {
        let lists = own.map { Array(Self.ranked($0).prefix(sizes[index])).sorted() }
        plan.vary(index, lists: variation.listOfTuple.map { lists[$0] })
      }
    }
    return plan
  }

  /// A group's indices, best first.
  func ranked(_ index: Int) -> [Int] { Self.ranked(scores.byGroup[index]) }

  private static func ranked(_ scores: [Double]) -> [Int] {
    scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
  }

  // MARK: How many

  /// How many indices each group keeps.
  func sizes(_ candidates: [Int]) throws(Diagnostic) -> [Int] {
    switch options.budget {
    case .ratio(let ratio): return sizes(candidates, ratio: ratio)
    case .parameters(let share), .multiplyAdds(let share): return search(candidates, goal: total * share)
    case .latency(let share), .memory(let share):
      guard let measured else { return search(candidates, goal: total * share) }
      return try measured.sizes(keeping: share) { search(candidates, goal: $0) }
    }
  }

  /// The cost when nothing is removed.
  private var total: Double { cost(solution.groups.map(\.extent)) }

  /// Sizes at one ratio. Ratios by pattern stand above the general one, and do not move with a budget.
  private func sizes(_ candidates: [Int], ratio: Double) -> [Int] {
    var result = solution.groups.map(\.extent)
    var free: [Int] = []
    for index in candidates {
      if let given = givenSize(index) {
        result[index] = given
      } else {
        free.append(index)
      }
    }
    for pool in pools(free) {
      for (index, size) in zip(pool, poolSizes(pool, ratio: ratio)) { result[index] = count(index, size) }
    }
    return options.isUniform ? evened(result, candidates) : result
  }

  /// The size of a group that has a ratio of its own, by a pattern.
  func givenSize(_ index: Int) -> Int? {
    let own = options.ratios.first { matches(solution.groups[index], [$0.pattern]) }
    return own.map { count(index, Self.keptCount(of: solution.groups[index].extent, ratio: $0.ratio)) }
  }

  /// Sizes where groups of the same structure keep as many as they do on average.
  private func evened(_ sizes: [Int], _ candidates: [Int]) -> [Int] {
    var result = sizes
    for alike in alike(candidates) {
      let mean = alike.reduce(0) { $0 + sizes[$1] } / alike.count
      for index in alike { result[index] = count(index, mean) }
    }
    return result
  }

  /// max(1, ⌊n·(1 − ratio)⌋), safe against 10·(1 − 0.8) being 1.9999999999999996.
  static func keptCount(of extent: Int, ratio: Double) -> Int {
    max(1, Int((Double(extent) * (1 - ratio) + 1e-9).rounded(.down)))
  }

  /// A count within all bounds: rounded to a multiple, upwards at the half and never to none; no fewer than the bounds allow.
  func count(_ index: Int, _ size: Int) -> Int {
    let group = solution.groups[index]
    let step = Self.rounding(group, options)
    let rounded = step > 1 ? max(step, (size + step / 2) / step * step) : size
    let most = Self.keptCount(of: group.extent, ratio: options.largestRatio)
    return min(group.extent, max(rounded, group.least, options.least, options.largestRatio < 1 ? most : 1))
  }

  /// The multiple that a group's count is rounded to.
  static func rounding(_ group: Group, _ options: ChoiceOptions) -> Int {
    if let asked = options.rounding { return asked }
    switch group.kind {
    case .channels, .hidden, .width: return group.extent >= 64 ? 8 : 1
    case .heads, .queries, .headDims, .groups, .normGroups, .experts, .tokens: return 1
    }
  }

  private func pools(_ candidates: [Int]) -> [[Int]] {
    switch options.scope {
    case .local: return candidates.map { [$0] }
    case .global: return candidates.isEmpty ? [] : [candidates]
    case .isomorphic: return alike(candidates)
    }
  }

  /// Groups of the same structure together.
  func alike(_ candidates: [Int]) -> [[Int]] {
    var order: [String] = []
    var pools: [String: [Int]] = [:]
    for index in candidates {
      let signature = signature(index)
      if pools[signature] == nil { order.append(signature) }
      pools[signature, default: []].append(index)
    }
    return order.compactMap { pools[$0] }
  }

  /// Kind, extent, and the shapes and places of the weights that carry the group: equal for groups of the same structure.
  private func signature(_ index: Int) -> String {
    let group = solution.groups[index]
    let places = group.occurrences.filter(\.isWeight).map { "\($0.axis)\(solution.module[$0.value].type)" }.sorted()
    return "\(group.kind.rawValue) \(group.extent) \(places.joined(separator: " "))"
  }

  private func cost(_ sizes: [Int]) -> Double { costs.total(sizes, of: solution.module) }

  /// Sizes of a pool: alone by the ratio; together by removing the indices with the least score per cost until that share of all is gone.
  private func poolSizes(_ pool: [Int], ratio: Double) -> [Int] {
    if pool.count == 1 { return [Self.keptCount(of: solution.groups[pool[0]].extent, ratio: ratio)] }
    let full = solution.groups.map(\.extent)
    let total = cost(full)
    var sizes = pool.map { solution.groups[$0].extent }
    var queue: [(worth: Double, member: Int)] = []
    for (member, index) in pool.enumerated() {
      var fewer = full
      fewer[index] -= 1
      let price = max(1, total - cost(fewer))
      let floor = count(index, 1)
      let removable = ranked(index).dropFirst(floor).map { scores.byGroup[index][$0] * total / price }
      queue += removable.map { ($0, member) }
    }
    queue.sort { $0.worth != $1.worth ? $0.worth < $1.worth : $0.member < $1.member }
    let goal = Int((Double(sizes.reduce(0, +)) * ratio + 1e-9).rounded(.down))
    for (_, member) in queue.prefix(goal) { sizes[member] -= 1 }
    return sizes
  }

  /// Sizes whose cost is the asked share of the original's, as near as one step of one group: first the ratio on either side of the goal
  /// by bisection, then groups one after the other from the larger sizes to the smaller, and last one group's own steps.
  private func search(_ candidates: [Int], goal: Double) -> [Int] {
    var low = 0.0
    var high = 1.0
    for _ in 0..<40 {
      let middle = (low + high) / 2
      if cost(sizes(candidates, ratio: middle)) > goal { low = middle } else { high = middle }
    }
    var result = sizes(candidates, ratio: low)
    let target = sizes(candidates, ratio: high)
    if options.isUniform { return abs(cost(result) - goal) < abs(cost(target) - goal) ? result : target }
    let moving = candidates.filter { result[$0] != target[$0] }
    var first = 0
    var last = moving.count
    func moved(_ count: Int) -> [Int] {
      var sizes = result
      for index in moving.prefix(count) { sizes[index] = target[index] }
      return sizes
    }
    while first < last {
      let middle = (first + last) / 2
      if cost(moved(middle)) > goal { first = middle + 1 } else { last = middle }
    }
    let after = moved(first)
    let before = moved(max(0, first - 1))
    if first > 0, abs(cost(before) - goal) < abs(cost(after) - goal) { result = before } else { result = after }
    return refined(result, candidates, goal: goal)
  }

  /// Moves single groups by one step while that comes nearer to the goal: a step of a cheap group makes up for what one of a dear group
  /// overshot. Ratios by pattern do not move.
  private func refined(_ start: [Int], _ candidates: [Int], goal: Double) -> [Int] {
    let movable = candidates.filter { givenSize($0) == nil }
    // One step of a small group is a large share of it.
    let large = movable.filter { solution.groups[$0].extent >= 16 * Self.rounding(solution.groups[$0], options) }
    let free = large.isEmpty ? movable : large
    // Every step costs an evaluation of the model; with so many groups, one index of one is a small part of the whole anyway.
    guard options.scope == .local, free.count * solution.module.nodes.count < 1_000_000 else { return start }
    var result = start
    var distance = abs(cost(start) - goal)
    for _ in 0..<32 where distance > goal * 1e-3 {
      var best: (index: Int, size: Int, distance: Double)?
      for index in free {
        let step = Self.rounding(solution.groups[index], options)
        for size in [result[index] - step, result[index] + step] where count(index, size) == size {
          var moved = result
          moved[index] = size
          let next = abs(cost(moved) - goal)
          if next < best?.distance ?? distance { best = (index, size, next) }
        }
      }
      guard let best else { break }
      result[best.index] = best.size
      distance = best.distance
    }
    return result
  }
}

/// A shell pattern over names: `*` any run of characters, `?` one.
public struct Glob: Sendable, Hashable {
  /// The pattern as given.
  public let pattern: String

  /// A pattern; without wildcards it matches the name itself and everything below it (`layer1` matches `layer1.conv.weight`).
  public init(_ pattern: String) { self.pattern = pattern }

  /// True when the whole name matches.
  public func matches(_ name: String) -> Bool {
    if !pattern.contains(where: { $0 == "*" || $0 == "?" }) { return name == pattern || name.hasPrefix(pattern + ".") }
    let pattern = Array(pattern.utf8)
    let name = Array(name.utf8)
    var (p, n, star, mark) = (0, 0, -1, 0)
    while n < name.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        (star, mark, p) = (p, n, p + 1)
      } else if p < pattern.count, pattern[p] == name[n] || pattern[p] == UInt8(ascii: "?") {
        (p, n) = (p + 1, n + 1)
      } else if star >= 0 {
        (p, mark) = (star + 1, mark + 1)
        n = mark
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
