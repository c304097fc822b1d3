import Graph

extension PlanFile {
  /// The plan over a solution's groups; throws where a group is unknown, of another extent, keeps what it does not have, or varies over what
  /// it cannot vary over.
  public func plan(for solution: Solution) throws(Diagnostic) -> Plan {
    let index = Dictionary(solution.groups.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    let factors = Dictionary(solution.factors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    var listed: Set<String> = []
    for entry in groups {
      if let factor = factors[entry.name], index[entry.name] == nil {
        try check(entry, solution.factors[factor])
      } else {
        guard let at = index[entry.name] else {
          let near =
            Suggestion.nearest(to: entry.name, among: solution.groups.map(\.name)).map { "; did you mean '\($0)'?" } ?? ""
          throw Diagnostic(.invalid, "group '\(entry.name)' is not in this model\(near)")
        }
        let group = solution.groups[at]
        if let extent = entry.extent, extent != group.extent {
          throw Diagnostic(.invalid, "group '\(entry.name)' has \(group.extent) indices in this model, the plan says \(extent)")
        }
        let over = entry.over ?? []
        if over.isEmpty {
          let kept = try indices(entry.kept, of: group)
          plan.kept[at] = kept.count < group.extent ? kept : nil
        } else {
          let lists = try lists(of: entry, group: at, over: over, listed: listed, solution, plan)
          if let first = lists.first, first.count < group.extent { plan.vary(at, lists: lists) }
        }
      }
      listed.insert(entry.name)
    }
    return plan
  }

  private func check(_ entry: Entry, _ factor: FixedFactor) throws(Diagnostic) {
    if let extent = entry.extent, extent != factor.extent {
      throw Diagnostic(.invalid, "'\(entry.name)' is a factor of \(factor.extent) in this model, the plan says \(extent)")
    }
    guard entry.kept == .indices(Array(0..<factor.extent)), entry.over?.isEmpty ?? true else {
      throw Diagnostic(
        .invalid, "'\(entry.name)' is a fixed factor, all of which stays: its 'kept' must list 0 to \(factor.extent - 1)")
    }
  }

  private func indices(_ kept: KeptLists, of group: Group) throws(Diagnostic) -> [Int] {
    guard case .indices(let kept) = kept else {
      throw Diagnostic(.invalid, "group '\(group.name)' has lists of kept indices, but no 'over' that says what each is for")
    }
    if kept.isEmpty { throw Diagnostic(.invalid, "group '\(group.name)' keeps nothing; at least one index must stay") }
    if let wrong = kept.first(where: { !(0..<group.extent).contains($0) }) {
      throw Diagnostic(.invalid, "group '\(group.name)' keeps index \(wrong), but has indices 0 to \(group.extent - 1)")
    }
    if zip(kept, kept.dropFirst()).contains(where: { $0 >= $1 }) {
      throw Diagnostic(.invalid, "group '\(group.name)' keeps indices that are not in ascending order, each once")
    }
    if kept.count < group.least {
      throw Diagnostic(
        .invalid, "group '\(group.name)' keeps \(kept.count) indices, but a top-k over it needs at least \(group.least)")
    }
    return kept
  }

  // MARK: Groups that vary

  /// One list per tuple of everything the group varies over, of which the file may name only some, in any order.
  private func lists(
    of entry: Entry, group at: Int, over: [String], listed: Set<String>, _ solution: Solution, _ plan: Plan
  ) throws(Diagnostic) -> [[Int]] {
    let group = solution.groups[at]
    let outers = solution.variations[at]?.outers ?? []
    var slots: [Int] = []
    for name in over {
      guard listed.contains(name) else {
        let reason =
          groups.contains { $0.name == name } && name != entry.name
          ? "which is listed after it; list it first"
          : "which is not listed before it\(advice(name, solution))"
        throw Diagnostic(.invalid, "group '\(group.name)' varies over '\(name)', \(reason)")
      }
      guard let slot = outers.firstIndex(where: { solution.name(of: $0) == name }) else {
        let can = outers.isEmpty ? "nothing" : outers.map { "'\(solution.name(of: $0))'" }.joined(separator: " and ")
        throw Diagnostic(
          .invalid,
          "group '\(group.name)' cannot vary over '\(name)' (it can over \(can)): 'prunec explain' names the tensor that forbids it"
        )
      }
      if slots.contains(slot) { throw Diagnostic(.invalid, "group '\(group.name)' varies over '\(name)' twice") }
      slots.append(slot)
    }
    let extents = slots.map { solution.extent(of: outers[$0]) }
    let given = try flattened(entry.kept, of: group, over: over, extents: extents)
    if let other = given.first(where: { $0.count != given[0].count }) {
      throw Diagnostic(
        .invalid,
        "group '\(group.name)' keeps \(given[0].count) indices in one list and \(other.count) in another; all must be equally long"
      )
    }
    let all = outers.map { solution.extent(of: $0) }
    let lists = (0..<all.reduce(1, *)).map { tuple -> [Int] in
      let numbers = Self.numbers(tuple, all)
      return given[zip(slots, extents).reduce(0) { $0 * $1.1 + numbers[$1.0] }]
    }
    try checkSame(lists, at, all, solution, plan)
    return lists
  }

  private func advice(_ name: String, _ solution: Solution) -> String {
    if solution.factors.contains(where: { $0.name == name }) { return "; list a fixed factor as a group that keeps all" }
    if solution.groups.contains(where: { $0.name == name }) { return "; list it, with all its indices where it keeps all" }
    let known = solution.groups.map(\.name) + solution.factors.map(\.name)
    return Suggestion.nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
  }

  private func flattened(
    _ kept: KeptLists, of group: Group, over: [String], extents: [Int]
  ) throws(Diagnostic) -> [[Int]] {
    guard let extent = extents.first, let outer = over.first else { return [try indices(kept, of: group)] }
    // An empty list of lists reads as a list of no indices.
    guard case .lists(let lists) = kept else {
      throw Diagnostic(
        .invalid, "group '\(group.name)' varies over '\(outer)', so 'kept' must hold one list for each of its \(extent) indices")
    }
    guard lists.count == extent else {
      throw Diagnostic(
        .invalid, "group '\(group.name)' has \(lists.count) lists of kept indices for the \(extent) indices of '\(outer)'")
    }
    var result: [[Int]] = []
    for list in lists {
      result += try flattened(list, of: group, over: Array(over.dropFirst()), extents: Array(extents.dropFirst()))
    }
    return result
  }

  private static func numbers(_ tuple: Int, _ extents: [Int]) -> [Int] {
    var rest = tuple
    var numbers: [Int] = []
    for extent in extents.reversed() {
      numbers.append(rest % extent)
      rest /= extent
    }
    return numbers.reversed()
  }

  /// Tuples whose indices meet keep the same; what is said of outer indices that go counts for nothing.
  private func checkSame(_ lists: [[Int]], _ at: Int, _ extents: [Int], _ solution: Solution, _ plan: Plan) throws(Diagnostic) {
    guard let variation = solution.variations[at], variation.listCount < lists.count else { return }
    var first: [Int: Int] = [:]
    for (tuple, number) in variation.listOfTuple.enumerated() {
      let numbers = Self.numbers(tuple, extents)
      let stays = zip(variation.outers, numbers).allSatisfy { outer, index in
        switch outer {
        case .group(let group): plan.kept[group]?.contains(index) ?? true
        case .factor: true
        }
      }
      guard stays else { continue }
      guard let known = first[number] else {
        first[number] = tuple
        continue
      }
      if lists[known] == lists[tuple] { continue }
      let others = Self.numbers(known, extents)
      let differing = numbers.indices.first { numbers[$0] != others[$0] } ?? 0
      throw Diagnostic(
        .invalid,
        "group '\(solution.groups[at].name)' keeps other indices for \(others[differing]) than for \(numbers[differing]) of "
          + "'\(solution.name(of: variation.outers[differing]))'; these meet, and must be the same")
    }
  }
}
