extension AxisRule {
  /// What the names of a rule stood for at one node.
  public struct Binding {
    fileprivate let names: [String]
    fileprivate let single: [Layout?]
    fileprivate let runs: [[Layout?]]

    /// The layout of a name; nil where all operands that have it are left out.
    public subscript(_ name: String) -> Layout? { names.firstIndex(of: name).flatMap { single[$0] } }

    /// The layouts of a run of axes, outermost first; those that every operand broadcasts are left out.
    public func run(_ name: String) -> [Layout] {
      guard let slot = names.firstIndex(of: name) else { return [] }
      return runs[slot].reversed().compactMap { $0 }
    }
  }

  /// Unifies the axes of the solver's node as the rule says and gives all results their axes.
  ///
  /// `sizes` are extents of names that follow from attributes (for a run: how many axes it has), `given` layouts that names stand for
  /// from the start. Extents of all other factors follow from the operands. Positions that operands carry are used as numbers here.
  /// Returns nil, with everything the node touches frozen, when the shapes do not fit the rule.
  @discardableResult
  public func apply(to solver: some AxisSolver, sizes: [String: Int] = [:], given: [String: [Layout]] = [:]) -> Binding? {
    var application = Application(rule: self, solver: solver, node: solver.node)
    application.prepare(sizes: sizes, given: given)
    guard application.bindInputs(), let results = application.results() else {
      solver.freezeNode(.unsupported("the shapes do not fit the axis rule \(self)"))
      return nil
    }
    for (index, output) in results.enumerated() {
      if let output { solver.give(output, output: index) }
    }
    return Binding(names: names, single: application.single, runs: application.runs)
  }
}

/// One use of a rule at one node.
private struct Application<Solver: AxisSolver> {
  let rule: AxisRule
  let solver: Solver
  let node: Node
  /// Layout and extent by name.
  var single: [Layout?]
  var extents: [Extent?]
  /// Layouts and extents by run, innermost axis first.
  var runs: [[Layout?]]
  var runExtents: [[Extent]]
  var runLengths: [Int?]

  init(rule: AxisRule, solver: Solver, node: Node) {
    self.rule = rule
    self.solver = solver
    self.node = node
    single = Array(repeating: nil, count: rule.names.count)
    extents = Array(repeating: nil, count: rule.names.count)
    runs = Array(repeating: [], count: rule.names.count)
    runExtents = Array(repeating: [], count: rule.names.count)
    runLengths = Array(repeating: nil, count: rule.names.count)
  }

  mutating func prepare(sizes: [String: Int], given: [String: [Layout]]) {
    for (name, size) in sizes {
      guard let slot = rule.names.firstIndex(of: name) else { continue }
      extents[slot] = Extent(size)
      runLengths[slot] = size
    }
    for (name, layouts) in given {
      guard let slot = rule.names.firstIndex(of: name) else { continue }
      runs[slot] = layouts.reversed()
      runExtents[slot] = runs[slot].map { $0.map(solver.extent) ?? 1 }
      single[slot] = layouts.first
      extents[slot] = layouts.first.map(solver.extent)
    }
  }

  /// Per axis of a tensor of that rank its term, and its place in a run counted from the right. Nil when the rank does not fit.
  private func align(_ operand: AxisRule.Operand, rank: Int) -> [(term: AxisRule.Term, place: Int)]? {
    var taken = 0
    var open = false
    for term in operand.terms {
      switch (term.isRun, length(term)) {
      case (false, _): taken += 1
      case (true, let length?): taken += length
      case (true, nil):
        if open { return nil }
        open = true
      }
    }
    if rank < taken && !operand.mayLackLeadingAxes || rank > taken && !open { return nil }
    var result: [(term: AxisRule.Term, place: Int)] = []
    result.reserveCapacity(rank)
    for term in operand.terms {
      let count = term.isRun ? length(term) ?? max(0, rank - taken) : 1
      for place in stride(from: count - 1, through: 0, by: -1) { result.append((term, place)) }
    }
    return result.count > rank ? Array(result.suffix(rank)) : result
  }

  private func length(_ term: AxisRule.Term) -> Int? {
    if case .name(let slot) = term.expression { runLengths[slot] } else { nil }
  }

  // MARK: operands

  mutating func bindInputs() -> Bool {
    var places: [(axis: Int, layouts: [Layout], type: TensorType, terms: [(term: AxisRule.Term, place: Int)])] = []
    for index in rule.inputs.indices {
      guard let type = solver.type(ofInput: index) else { continue }
      solver.escape(input: index)
      guard let terms = align(rule.inputs[index], rank: type.rank) else { return false }
      places.append((index, solver.axes(ofInput: index), type, terms))
      note(terms, type)
    }
    for index in node.inputs.indices.dropFirst(rule.inputs.count) where solver.has(index) {
      solver.escape(input: index)
      solver.freezeInput(index, .unsupported("the axis rule says nothing of operand \(index)"))
    }
    for _ in 0..<4 {
      var isOpen = false
      for operand in places {
        for (at, item) in operand.terms.enumerated() where extent(of: item.term) == nil {
          isOpen = true
          if operand.type.shape[at] != 1 { guard solve(item.term, operand.type.shape[at]) else { return false } }
        }
      }
      if !isOpen { break }
    }
    for operand in places {
      for (at, item) in operand.terms.enumerated() where extent(of: item.term) == nil {
        if operand.type.shape[at] == 1 { close(item.term) } else { return false }
      }
    }
    for operand in places where operand.layouts.count == operand.terms.count {
      for (at, item) in operand.terms.enumerated() {
        bind(item.term, place: item.place, operand.layouts[at], extent: operand.type.shape[at])
      }
    }
    return true
  }

  /// Extents of plain names and of runs.
  private mutating func note(_ terms: [(term: AxisRule.Term, place: Int)], _ type: TensorType) {
    for (at, item) in terms.enumerated() {
      guard case .name(let slot) = item.term.expression else { continue }
      let extent = type.shape[at]
      if item.term.isRun {
        while runExtents[slot].count <= item.place {
          runExtents[slot].append(1)
          runs[slot].append(nil)
        }
        if runExtents[slot][item.place] == 1 { runExtents[slot][item.place] = extent }
      } else if (extents[slot] ?? 1) == 1 {
        extents[slot] = extent
      }
    }
  }

  /// The extent of a term where all its names have one.
  private func extent(of term: AxisRule.Term) -> Extent? {
    switch term.expression {
    case .name(let slot): return term.isRun ? 1 : extents[slot]
    case .number(let number): return Extent(number)
    case .ignored: return 1
    case .product(let factors):
      var result: Extent = 1
      for factor in factors {
        guard let extent = extent(of: factor) else { return nil }
        result = result * extent
      }
      return result
    case .sum(let parts):
      var result: Extent = 0
      for part in parts {
        guard let extent = extent(of: part) else { return nil }
        result = result + extent
      }
      return result
    }
  }

  /// Finds the extent of the one name that has none yet; false when the numbers do not fit.
  private mutating func solve(_ term: AxisRule.Term, _ whole: Extent) -> Bool {
    switch term.expression {
    case .name(let slot):
      if extents[slot] == nil { extents[slot] = whole }
      return true
    case .number, .ignored: return true
    case .product(let factors):
      var rest = whole
      var open: AxisRule.Term?
      for factor in factors {
        guard let known = extent(of: factor) else {
          if open != nil { return true }
          open = factor
          continue
        }
        guard let quotient = rest.dividedExactly(by: known) else { return false }
        rest = quotient
      }
      return open.map { solve($0, rest) } ?? true
    case .sum(let parts):
      var rest = whole
      var open: AxisRule.Term?
      for part in parts {
        guard let known = extent(of: part) else {
          if open != nil { return true }
          open = part
          continue
        }
        rest = rest - known
      }
      if let number = rest.constant, number < 0 { return false }
      return open.map { solve($0, rest) } ?? true
    }
  }

  /// Gives names without an extent, in an axis of extent one, the extent one.
  private mutating func close(_ term: AxisRule.Term) {
    switch term.expression {
    case .name(let slot): if extents[slot] == nil { extents[slot] = 1 }
    case .number, .ignored: break
    case .product(let terms), .sum(let terms): for term in terms { close(term) }
    }
  }

  private mutating func bind(_ term: AxisRule.Term, place: Int, _ layout: Layout, extent: Extent) {
    switch term.expression {
    case .name(let slot):
      let full = term.isRun ? runExtents[slot][place] : extents[slot]
      if extent == 1, let full, full != 1 { return }
      let bound = term.isRun ? runs[slot][place] : single[slot]
      if let bound {
        solver.tie(bound, layout)
      } else if term.isRun {
        runs[slot][place] = layout
      } else {
        single[slot] = layout
      }
    case .number(let number):
      if number != 1 { solver.tie(layout, solver.fixed(Extent(number), .structure)) }
    case .ignored: break
    case .product(let factors):
      if extent == 1, self.extent(of: term) != 1 { return }
      var large: [AxisRule.Term] = []
      for factor in factors {
        if self.extent(of: factor) == 1 { _ = value(of: factor) } else { large.append(factor) }
      }
      if large.count == 1, let only = large.first {
        bind(only, place: 0, layout, extent: extent)
      } else if !large.isEmpty {
        solver.tie(layout, solver.product(large.map { value(of: $0) }))
      }
    case .sum(let parts):
      if extent == 1, self.extent(of: term) != 1 { return }
      solver.tie(layout, solver.sum(parts.map { value(of: $0) }))
    }
    if let reason = term.mark?.reason { solver.freeze(layout, reason) }
  }

  /// The layout of a term whose extent is known; names without a layout get a new one.
  private mutating func value(of term: AxisRule.Term) -> Layout {
    switch term.expression {
    case .name(let slot):
      if let bound = single[slot] {
        if let reason = term.mark?.reason { solver.freeze(bound, reason) }
        return bound
      }
      let extent = extents[slot] ?? 1
      let layout = term.mark?.reason.map { solver.fixed(extent, $0) } ?? solver.fresh(extent)
      single[slot] = layout
      return layout
    case .number(let number): return solver.fixed(Extent(number), .structure)
    case .ignored: return solver.fixed(1, .structure)
    case .product(let factors):
      var layouts: [Layout] = []
      for factor in factors {
        let layout = value(of: factor)
        if extent(of: factor) != 1 { layouts.append(layout) }
      }
      return layouts.count == 1 ? layouts[0] : solver.product(layouts)
    case .sum(let parts): return solver.sum(parts.map { value(of: $0) })
    }
  }

  // MARK: results

  /// The axes of every result somebody asked for; nil when a rank does not fit.
  mutating func results() -> [[Layout]?]? {
    for slot in runs.indices where runLengths[slot] == nil && !runs[slot].isEmpty { runLengths[slot] = runs[slot].count }
    var all: [[Layout]?] = []
    for index in node.outputs.indices {
      guard let type = solver.type(ofOutput: index) else {
        all.append(nil)
        continue
      }
      guard rule.outputs.indices.contains(index) else {
        all.append(type.shape.map { solver.fixed($0, .unsupported("the axis rule says nothing of result \(index)")) })
        continue
      }
      guard let terms = align(rule.outputs[index], rank: type.rank), terms.count == type.rank else { return nil }
      var layouts: [Layout] = []
      layouts.reserveCapacity(type.rank)
      for (at, item) in terms.enumerated() { layouts.append(result(item.term, place: item.place, type.shape[at])) }
      all.append(layouts)
    }
    return all
  }

  private mutating func result(_ term: AxisRule.Term, place: Int, _ extent: Extent) -> Layout {
    if let reason = term.mark?.reason { return solver.fixed(extent, reason) }
    if case .name(let slot) = term.expression {
      let bound = term.isRun ? (runs[slot].indices.contains(place) ? runs[slot][place] : nil) : single[slot]
      if let bound { return bound }
      let new = term.mark == .fresh ? solver.fresh(extent) : solver.fixed(extent, .structure)
      if !term.isRun {
        single[slot] = new
        extents[slot] = extent
      }
      return new
    }
    if self.extent(of: term) == nil { _ = solve(term, extent) }
    guard self.extent(of: term) == extent else { return solver.fixed(extent, .structure) }
    return value(of: term)
  }
}
