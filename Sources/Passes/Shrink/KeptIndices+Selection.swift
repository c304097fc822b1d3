import Graph

extension KeptIndices {
  /// What each axis of a value keeps, groups that vary included.
  ///
  /// `amongKept`: lists that hang on other axes are counted by what these keep; else by all of their indices, as the original has them.
  func selection(_ value: ValueID, amongKept: Bool = true) -> TensorSelection {
    let axes = solution.axes[value.index]
    return TensorSelection(axes.indices.map { selected(value, $0, amongKept: amongKept) })
  }

  /// What one axis of a value keeps; nil where it is all.
  private func selected(_ value: ValueID, _ axis: Int, amongKept: Bool) -> TensorSelection.Axis? {
    let layout = solution.axes[value.index][axis]
    let varies = !plan.varied.isEmpty && solution.groups(in: layout).contains { plan.varied[$0] != nil }
    let isListed = length(solution.table.extent(layout)).map { $0 <= Self.longest } ?? false
    guard varies, isListed, let entries = AxisEntries(layout, solution, plan, length: length) else {
      return positions(layout).map { TensorSelection.Axis($0) }
    }
    let owners = entries.terms.map { term in
      solution.variations[term.group]?.owners[PartPlace(value: value, axis: axis, part: term.part)] ?? []
    }
    var others: Set<Int> = []
    for case .part(let at, _) in owners.joined() where at != axis { others.insert(at) }
    let over = others.sorted()
    var deciding: [AxisEntries] = []
    for other in over {
      // What decides does not vary itself.
      let all = AxisEntries(solution.axes[value.index][other], solution, amongKept ? plan : nil, length: length)
      guard let all else { return positions(layout).map { TensorSelection.Axis($0) } }
      deciding.append(all)
    }
    var lists: [[Int]] = []
    var places = over.map { _ in 0 }
    func index(_ owner: Variation.Owner, _ entry: Int) -> Int {
      switch owner {
      case .index(let index): return index
      case .part(let at, let part):
        if at == axis { return entries.indices[part]?[entry] ?? -1 }
        guard let slot = over.firstIndex(of: at) else { return -1 }
        return deciding[slot].indices[part]?[places[slot]] ?? -1
      }
    }
    func list() -> [Int] {
      var result = entries.base
      for (term, owners) in zip(entries.terms, owners) {
        guard let lists = plan.varied[term.group], let outers = solution.variations[term.group]?.outers else { continue }
        for entry in result.indices where term.places[entry] >= 0 {
          var tuple = 0
          for (owner, outer) in zip(owners, outers) { tuple = tuple * solution.extent(of: outer) + max(0, index(owner, entry)) }
          result[entry] += lists[tuple][term.places[entry]] * term.strides[entry]
        }
      }
      return result
    }
    func visit(_ slot: Int) {
      if slot == over.count { return lists.append(list()) }
      for place in 0..<deciding[slot].count {
        places[slot] = place
        visit(slot + 1)
      }
    }
    visit(0)
    return TensorSelection.Axis(over: over, lists: lists)
  }
}
