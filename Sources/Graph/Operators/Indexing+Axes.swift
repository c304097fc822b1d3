extension Indexing {
  /// Axes that are indexed by data keep all their indices, unless it is known what the positions range over.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .gather: relateGather(solver, node)
    case .gatherElements: relateGatherElements(solver, node)
    case .gatherND: relateGatherND(solver, node)
    case .scatterElements: relateScatterElements(solver, node)
    case .scatterND: relateScatterND(solver, node)
    case .oneHot: relateOneHot(solver, node)
    case .trilu: relateTrilu(solver)
    case .reverseSequence: relateReverse(solver, node)
    case .compress, .unique: relateSelection(solver, node)
    case .nonZero:
      // Positions along every axis leave as numbers.
      solver.escapeAll()
      solver.freezeInput(0, .positionsEscape)
      solver.setFixedIfAsked(output: 0, .indexedByData)
    case .nonMaxSuppression:
      solver.escapeAll()
      solver.freezeNode(.indexedByData)
    }
  }

  // MARK: gather

  private func relateGather(_ solver: some AxisSolver, _ node: Node) {
    solver.carryCodomain()
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let indexAxes = solver.axes(ofInput: 1)
    let indexShape = solver.shape(ofInput: 1)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: axes.count), axes.count == shape.count,
      indexAxes.count == indexShape.count
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a gather along an axis outside its tensor"))
    }
    var gathered = indexAxes
    if let codomain = solver.codomain(ofInput: 1) {
      solver.tie(codomain, axes[axis])
    } else if let numbers = solver.numbers(ofInput: 1), let length = shape[axis].constant {
      let isTable = solver.isParameterOnly(input: 0) && !indexShape.isEmpty && axes.count > 1
      if isTable { solver.note(.tableRows, axes[axis]) }
      gathered = picked(solver, axes[axis], numbers, length: length, isTable: isTable, indexShape)
      for (index, result) in zip(indexAxes, gathered) { solver.tie(index, result) }
    } else {
      solver.freeze(axes[axis], solver.isParameterOnly(input: 1) ? .selected : shape[axis].isConstant ? .indexedByData : .dynamic)
      if solver.isParameterOnly(input: 0) { solver.note(.tableRows, axes[axis]) }
    }
    solver.give(axes[..<axis] + gathered + axes[(axis + 1)...])
  }

  /// The axes that a constant list of indices of any rank makes of an axis.
  private func picked(
    _ solver: some AxisSolver, _ layout: Layout, _ numbers: [Int], length: Int, isTable: Bool, _ indexShape: [Extent]
  ) -> [Layout] {
    let indices = numbers.map { $0 < 0 ? $0 &+ length : $0 }
    func frozen() -> [Layout] {
      solver.freeze(layout, .selected)
      return indexShape.map { solver.fixed($0, .selected) }
    }
    guard indices.allSatisfy({ (0..<length).contains($0) }) else { return frozen() }
    let runs = Self.runs(indices)
    if isTable {
      // Rows that are read stay; rows nobody reads are free.
      if runs.count == 1, let run = runs.first {
        solver.freeze(solver.piece(of: layout, run), .selected)
      } else {
        return frozen()
      }
      return indexShape.map { solver.fixed($0, .selected) }
    }
    let whole: Layout
    if runs.count <= 1 {
      whole = solver.piece(of: layout, runs.first ?? 0..<0)
    } else if let step = Self.commonStep(indices), step > 1 {
      whole = solver.strided(layout, start: indices[0], step: step, count: indices.count)
    } else {
      guard runs.count <= 64, runs.count * 2 <= indices.count || indices.count <= 8 else { return frozen() }
      whole = assembled(solver, layout, runs, length: length)
    }
    if indexShape.isEmpty { return [] }
    return solver.regroup([whole], [Extent(indices.count)], to: indexShape)
  }

  /// Contiguous ascending runs, in order.
  static func runs(_ indices: [Int]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for index in indices {
      if let last = result.last, last.upperBound == index {
        result[result.count - 1] = last.lowerBound..<index + 1
      } else {
        result.append(index..<index + 1)
      }
    }
    return result
  }

  /// The difference of all neighbours, where it is the same.
  private static func commonStep(_ indices: [Int]) -> Int? {
    guard indices.count > 1 else { return nil }
    let step = indices[1] - indices[0]
    return zip(indices, indices.dropFirst()).allSatisfy { $1 - $0 == step } ? step : nil
  }

  /// The runs of an axis in the order given, after it is cut at all their ends.
  private func assembled(_ solver: some AxisSolver, _ layout: Layout, _ runs: [Range<Int>], length: Int) -> Layout {
    let ends = Set(runs.flatMap { [$0.lowerBound, $0.upperBound] }).filter { $0 > 0 && $0 < length }.sorted()
    let pieces = solver.cut(layout, at: ends)
    let starts = [0] + ends
    guard pieces.count == starts.count else {
      solver.freeze(layout, .selected)
      return solver.fixed(Extent(runs.reduce(0) { $0 + $1.count }), .selected)
    }
    var parts: [Layout] = []
    for run in runs {
      for (piece, start) in zip(pieces, starts) where run.contains(start) { parts.append(piece) }
    }
    return solver.sum(parts)
  }

  // MARK: elements

  private func relateGatherElements(_ solver: some AxisSolver, _ node: Node) {
    solver.carryCodomain()
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let indexAxes = solver.axes(ofInput: 1)
    let indexShape = solver.shape(ofInput: 1)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: axes.count), indexAxes.count == axes.count,
      shape.count == axes.count, indexShape.count == axes.count
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a gather along an axis outside its tensor"))
    }
    relateIndexed(solver, axes[axis], isTable: solver.isParameterOnly(input: 0))
    for at in axes.indices where at != axis { alongside(solver, axes[at], shape[at], indexAxes[at], indexShape[at]) }
    solver.give(indexAxes)
  }

  private func relateScatterElements(_ solver: some AxisSolver, _ node: Node) {
    solver.escape(input: 0)
    solver.escape(input: 2)
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let indexAxes = solver.axes(ofInput: 1)
    let indexShape = solver.shape(ofInput: 1)
    let updates = solver.axes(ofInput: 2)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: axes.count), indexAxes.count == axes.count,
      updates.count == axes.count, shape.count == axes.count, indexShape.count == axes.count
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a scatter along an axis outside its tensor"))
    }
    relateIndexed(solver, axes[axis], isTable: false)
    // Where an update goes missing, what was there before stays: none may.
    solver.freeze(indexAxes[axis], .selected)
    for at in axes.indices {
      solver.tie(indexAxes[at], updates[at])
      if at != axis { alongside(solver, axes[at], shape[at], indexAxes[at], indexShape[at]) }
    }
    solver.pass()
  }

  /// The indexed axis is what the positions (operand 1) range over, if that is known, else it stays whole.
  private func relateIndexed(_ solver: some AxisSolver, _ layout: Layout, isTable: Bool) {
    if let codomain = solver.codomain(ofInput: 1) {
      solver.tie(codomain, layout)
    } else {
      solver.freeze(layout, solver.isParameterOnly(input: 1) ? .selected : .indexedByData)
      if isTable { solver.note(.tableRows, layout) }
    }
  }

  /// An axis that is not indexed runs along with the positions' axis; where fewer are visited, all stay.
  private func alongside(_ solver: some AxisSolver, _ data: Layout, _ extent: Extent, _ index: Layout, _ indexExtent: Extent) {
    if extent == indexExtent { return solver.tie(data, index) }
    solver.freeze(data, .selected)
    solver.freeze(index, .selected)
  }

  // MARK: others

  /// The new axis is what the positions range over.
  private func relateOneHot(_ solver: some AxisSolver, _ node: Node) {
    solver.keepSettings([1, 2])
    guard let result = solver.type(ofOutput: 0) else { return solver.escape(input: 0) }
    var layouts = solver.axes(ofInput: 0)
    guard layouts.count + 1 == result.rank, let axis = solver.normalised(node.attributes.int(.axis) ?? -1, rank: result.rank)
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a one-hot axis outside its tensor"))
    }
    let depth = result.shape[axis]
    if let codomain = solver.codomain(ofInput: 0), solver.extent(codomain) == depth {
      layouts.insert(codomain, at: axis)
    } else {
      solver.escape(input: 0)
      layouts.insert(solver.fixed(depth, .indexedByData), at: axis)
    }
    solver.give(layouts)
  }

  private func relateTrilu(_ solver: some AxisSolver) {
    solver.escapeAll()
    solver.keepSettings()
    for layout in solver.axes(ofInput: 0).suffix(2) { solver.freeze(layout, .order) }
    solver.pass()
  }

  private func relateReverse(_ solver: some AxisSolver, _ node: Node) {
    solver.escapeAll()
    let axes = solver.axes(ofInput: 0)
    let time = node.attributes.int(.timeAxis) ?? 0
    let batch = node.attributes.int(.batchAxis) ?? 1
    if let time = solver.normalised(time, rank: axes.count) { solver.freeze(axes[time], .order) }
    if let batch = solver.normalised(batch, rank: axes.count), let lengths = solver.axes(ofInput: 1).first {
      solver.tie(axes[batch], lengths)
    }
    solver.pass()
  }

  /// Some indices of an axis (without one: of the flattened tensor), decided by data.
  private func relateSelection(_ solver: some AxisSolver, _ node: Node) {
    solver.escapeAll()
    let axes = solver.axes(ofInput: 0)
    for index in node.outputs.indices.dropFirst() { solver.setFixedIfAsked(output: index, .indexedByData) }
    solver.freezeInput(1, .indexedByData)
    guard let axis = node.attributes.int(.axis).flatMap({ solver.normalised($0, rank: axes.count) }) else {
      solver.freezeInput(0, .indexedByData)
      return solver.setFixedIfAsked(output: 0, .indexedByData)
    }
    solver.freeze(axes[axis], .indexedByData)
    guard let result = solver.type(ofOutput: 0), result.rank == axes.count else { return }
    var layouts = axes
    layouts[axis] = solver.fixed(result.shape[axis], .indexedByData)
    solver.give(layouts)
  }
}
