import Graph

/// How many indices each group keeps when every group's error is known for every size: the sizes with the least sum of errors whose cost is
/// within the budget.
///
/// A multiplier μ prices what is kept; every set of groups that share an axis takes its minimum of error + μ · cost, and μ is bisected to the
/// budget (Everett, "Generalized Lagrange multiplier method", 1963). What is left of the budget goes, step by step, to where it removes most
/// error. Sets whose costs hang on one another are gone over again until nothing changes.
struct Allocation {
  private let solution: Solution
  private let chooser: Chooser
  private let removals: [Int: Removal]
  /// Groups that are decided together, each with the sizes to choose from; groups that must be equal are decided as one.
  private let sets: [Set]
  private let full: [Int]

  private struct Set {
    /// Groups by variable: those of one variable keep equally many.
    let variables: [[Int]]
    let options: [[Int]]
    /// Parameters and nodes whose cost depends on the set.
    let parameters: [Int]
    let nodes: [Int]
    /// True where no other set's groups touch them.
    let isAlone: Bool
  }

  init(_ chooser: Chooser, _ removals: [Int: Removal], candidates: [Int]) {
    solution = chooser.solution
    self.chooser = chooser
    self.removals = removals
    full = chooser.solution.groups.map(\.extent)
    sets = Self.sets(chooser, candidates)
  }

  // MARK: Sets

  private static func sets(_ chooser: Chooser, _ candidates: [Int]) -> [Set] {
    let solution = chooser.solution
    let isCandidate = Swift.Set(candidates)
    var root = Array(solution.groups.indices)
    func find(_ index: Int) -> Int { root[index] == index ? index : find(root[index]) }
    let classes = chooser.options.isUniform ? chooser.alike(candidates) : candidates.map { [$0] }
    for alike in classes { for index in alike.dropFirst() { root[find(index)] = find(alike[0]) } }
    for layouts in solution.axes {
      for layout in layouts {
        let together = solution.groups(in: layout).filter(isCandidate.contains)
        for index in together.dropFirst() { root[find(index)] = find(together[0]) }
      }
    }
    var members: [Int: [[Int]]] = [:]
    for alike in classes { members[find(alike[0]), default: []].append(alike) }
    var result: [Set] = []
    for key in members.keys.sorted() {
      let variables = members[key] ?? []
      // What is too much to be tried together is tried group by group.
      let joint = variables.count <= 3 ? [variables] : variables.map { [$0] }
      for variables in joint {
        let options = variables.map { sizes(chooser, $0[0], isJoint: variables.count > 1) }
        let groups = Swift.Set(variables.flatMap(\.self))
        func touches(_ value: ValueID?) -> Bool {
          value.map { value in solution.axes[value.index].contains { solution.groups(in: $0).contains(where: groups.contains) } }
            ?? false
        }
        let parameters = solution.module.parameters.indices.filter { touches(solution.module.parameters[$0].value) }
        let nodes = solution.module.nodes.indices.filter { index in
          let node = solution.module.nodes[index]
          return node.inputs.contains(where: touches) || node.outputs.contains(where: touches)
        }
        let values =
          parameters.map { solution.module.parameters[$0].value }
          + nodes.flatMap { (solution.module.nodes[$0].inputs + solution.module.nodes[$0].outputs).compactMap(\.self) }
        let others = Swift.Set(values.flatMap { solution.axes[$0.index].flatMap { solution.groups(in: $0) } })
        result.append(
          Set(
            variables: variables, options: options, parameters: parameters, nodes: nodes,
            isAlone: others.intersection(isCandidate).subtracting(groups).isEmpty))
      }
    }
    return result
  }

  /// Sizes to choose from: at most 48 of one group, 12 where groups are chosen together.
  private static func sizes(_ chooser: Chooser, _ index: Int, isJoint: Bool) -> [Int] {
    if let given = chooser.givenSize(index) { return [given] }
    let extent = chooser.solution.groups[index].extent
    let most = isJoint ? 12 : 48
    let step = max(Chooser.rounding(chooser.solution.groups[index], chooser.options), (extent + most - 1) / most)
    let counts = stride(from: step, through: extent, by: step) + [extent]
    return Swift.Set(counts.map { chooser.count(index, $0) }).sorted()
  }

  // MARK: Errors and costs

  /// The error of a set at given sizes. What happens inside heads counts by the share of the heads that stay.
  private func error(_ set: Set, _ sizes: [Int]) -> Double {
    var total = 0.0
    for group in set.variables.flatMap(\.self) {
      guard let removal = removals[group] else { continue }
      var error = removal.error(keeping: sizes[group])
      if solution.groups[group].kind == .headDims {
        for outer in outer(of: group) { error *= Double(sizes[outer]) / Double(full[outer]) }
      }
      total += error
    }
    return total
  }

  /// Heads that stand around the dims of a group.
  private func outer(of group: Int) -> [Int] {
    guard let place = solution.groups[group].occurrences.first else { return [] }
    return solution.groups(in: solution.axes[place.value.index][place.axis]).filter { index in
      switch solution.groups[index].kind {
      case .heads, .queries: true
      case .headDims, .hidden, .width, .groups, .normGroups, .experts, .tokens, .channels: false
      }
    }
  }

  private func cost(_ set: Set, _ sizes: [Int]) -> Double {
    chooser.costs.cost(sizes, parameters: set.parameters, nodes: set.nodes)
  }

  /// All combinations of a set's sizes, each with error and cost when the other groups keep what they keep now.
  private func table(_ set: Set, _ sizes: [Int]) -> [(sizes: [Int], error: Double, cost: Double)] {
    var combinations: [[Int]] = [[]]
    for options in set.options { combinations = combinations.flatMap { head in options.map { head + [$0] } } }
    return combinations.map { combination in
      var moved = sizes
      for (variable, size) in zip(set.variables, combination) { for group in variable { moved[group] = size } }
      return (combination, error(set, moved), cost(set, moved))
    }
  }

  // MARK: Search

  /// Sizes of all groups whose cost is within a budget.
  func sizes(budget: Double) -> [Int] {
    let total = { (sizes: [Int]) in self.chooser.costs.total(sizes, of: self.solution.module) }
    let tables = sets.map { $0.isAlone ? table($0, full) : nil }
    func chosen(_ multiplier: Double) -> [Int] {
      var sizes = full
      for round in 0..<(sets.allSatisfy(\.isAlone) ? 1 : 5) {
        let before = sizes
        for (index, set) in sets.enumerated() {
          let options = tables[index] ?? table(set, sizes)
          guard let best = options.min(by: { $0.error + multiplier * $0.cost < $1.error + multiplier * $1.cost }) else {
            continue
          }
          for (variable, size) in zip(set.variables, best.sizes) { for group in variable { sizes[group] = size } }
        }
        if round > 0, sizes == before { break }
      }
      return sizes
    }
    if total(full) <= budget { return full }
    var (low, high) = (0.0, 1e-12)
    while total(chosen(high)) > budget, high < 1e12 { high *= 4 }
    low = high / 4
    var best = chosen(high)
    for _ in 0..<50 {
      let middle = (low * high).squareRoot()
      let sizes = chosen(middle)
      if total(sizes) > budget {
        low = middle
      } else {
        high = middle
        best = sizes
      }
    }
    return spend(best, budget: budget, total: total)
  }

  /// Gives what is left of the budget to the groups where a step removes most error for its cost.
  private func spend(_ start: [Int], budget: Double, total: ([Int]) -> Double) -> [Int] {
    var sizes = start
    var spent = total(sizes)
    while true {
      var best: (sizes: [Int], worth: Double, cost: Double)?
      for set in sets {
        let (error, cost) = (error(set, sizes), cost(set, sizes))
        for variable in set.variables {
          let step = Chooser.rounding(solution.groups[variable[0]], chooser.options)
          let next = chooser.count(variable[0], sizes[variable[0]] + step)
          guard next > sizes[variable[0]], variable.allSatisfy({ chooser.givenSize($0) == nil }) else { continue }
          var moved = sizes
          for group in variable { moved[group] = next }
          let price = self.cost(set, moved) - cost
          guard price > 0, spent + price <= budget else { continue }
          let worth = (error - self.error(set, moved)) / price
          if worth > best?.worth ?? 0 { best = (moved, worth, price) }
        }
      }
      guard let best else { return sizes }
      sizes = best.sizes
      spent += best.cost
    }
  }
}
