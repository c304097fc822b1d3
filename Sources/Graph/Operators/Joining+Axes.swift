extension Joining {
  /// Concatenation is a sum along one axis; splits and slices cut it; pads add parts.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .concat, .quantisedConcat: relateConcat(solver, node)
    case .split: relateSplit(solver, node)
    case .slice: relateSlice(solver, node)
    case .pad: relatePad(solver, node)
    }
  }

  private func relateConcat(_ solver: some AxisSolver, _ node: Node) {
    let operands = parts(count: node.inputs.count).filter { solver.has($0) }
    solver.keepSettings(node.inputs.indices.filter { !operands.contains($0) })
    joinCodomains(solver, operands)
    guard let first = operands.first, let result = solver.type(ofOutput: 0),
      let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: solver.shape(ofInput: first).count)
    else { return solver.freezeNode(.unsupported("a concatenation along an axis outside its tensors")) }
    var layouts: [Layout] = []
    var parts: [Layout] = []
    for operand in operands {
      let axes = solver.axes(ofInput: operand)
      let shape = solver.shape(ofInput: operand)
      guard axes.count == result.rank, shape.count == axes.count else { return solver.freezeNode(.incomparable) }
      if shape[axis] != 0 { parts.append(axes[axis]) }
      if layouts.isEmpty {
        layouts = axes
      } else {
        for at in axes.indices where at != axis { solver.tie(layouts[at], axes[at]) }
      }
    }
    layouts[axis] = parts.isEmpty ? solver.fixed(0, .structure) : parts.count == 1 ? parts[0] : solver.sum(parts)
    solver.give(layouts)
  }

  /// Positions stay positions only where all parts range over the same axis.
  private func joinCodomains(_ solver: some AxisSolver, _ operands: [Int]) {
    let codomains = operands.compactMap { solver.codomain(ofInput: $0) }
    guard let first = codomains.first else { return }
    guard codomains.count == operands.count else { return solver.escapeAll() }
    for other in codomains.dropFirst() { solver.tie(first, other) }
    if solver.type(ofOutput: 0) != nil { solver.setCodomain(ofOutput: 0, first) }
  }

  private func relateSplit(_ solver: some AxisSolver, _ node: Node) {
    solver.carryCodomain()
    solver.keepSettings()
    let axes = solver.axes(ofInput: 0)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: axes.count) else {
      return solver.freezeNode(.unsupported("a split along an axis outside its tensor"))
    }
    let results = node.outputs.indices.map { solver.type(ofOutput: $0) }
    let whole = solver.extent(axes[axis]).constant
    let sizes = whole.flatMap { splitSizes(solver, node, axis: axis, whole: $0, results: results) }
    var start = 0
    var positions: [Int] = []
    for size in (sizes ?? []).dropLast() {
      start += size
      if start > (positions.last ?? 0), start < whole ?? 0 { positions.append(start) }
    }
    var pieces: ArraySlice<Layout> = []
    if sizes == nil {
      solver.freeze(axes[axis], .dynamic)
    } else {
      pieces = positions.isEmpty ? [axes[axis]] : solver.cut(axes[axis], at: positions)[...]
    }
    for (index, type) in results.enumerated() {
      let piece = sizes.flatMap { $0[index] == 0 ? nil : pieces.popFirst() }
      guard let type, type.rank == axes.count else { continue }
      var layouts = axes
      layouts[axis] = piece ?? solver.fixed(type.shape[axis], sizes == nil ? .dynamic : .structure)
      solver.give(layouts, output: index)
    }
  }

  /// How long each piece is; nil where that is known only when the model runs.
  private func splitSizes(_ solver: some AxisSolver, _ node: Node, axis: Int, whole: Int, results: [TensorType?]) -> [Int]? {
    let count = results.count
    var sizes = solver.has(1) ? solver.numbers(ofInput: 1) : node.attributes.ints(.split)
    if sizes == nil {
      let seen = results.map { $0.flatMap { $0.shape.indices.contains(axis) ? $0.shape[axis].constant : nil } }
      sizes = seen.contains(nil) ? nil : seen.compactMap { $0 }
    }
    if sizes == nil, !solver.has(1), count > 0 {
      let each = (whole + count - 1) / count
      sizes = (0..<count).map { max(0, min(each, whole - $0 * each)) }
    }
    guard let sizes, sizes.count == count, sizes.allSatisfy({ (0...whole).contains($0) }), sizes.reduce(0, &+) == whole else {
      return nil
    }
    return sizes
  }

  private func relateSlice(_ solver: some AxisSolver, _ node: Node) {
    solver.carryCodomain()
    solver.keepSettings()
    var layouts = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    guard let result = solver.type(ofOutput: 0), result.rank == layouts.count, shape.count == layouts.count else { return }
    let slices = sliceBounds(solver, node, rank: layouts.count)
    guard let slices else {
      // Not even the axes are known.
      for at in layouts.indices {
        solver.freeze(layouts[at], .dynamic)
        layouts[at] = solver.fixed(result.shape[at], .dynamic)
      }
      return solver.give(layouts)
    }
    for slice in slices {
      layouts[slice.axis] = sliced(
        solver, layouts[slice.axis], slice, length: shape[slice.axis], result: result.shape[slice.axis])
    }
    solver.give(layouts)
  }

  private struct Bounds {
    let axis: Int
    let start: Extent?
    let end: Extent?
    let step: Int?
  }

  /// Bounds of every sliced axis, each number nil where it is not known; nil where the axes are not known.
  private func sliceBounds(_ solver: some AxisSolver, _ node: Node, rank: Int) -> [Bounds]? {
    if let starts = node.attributes.ints(.starts) {
      let ends = node.attributes.ints(.ends) ?? []
      guard starts.count == ends.count,
        let axes = solver.normalised(node.attributes.ints(.axes) ?? Array(starts.indices), rank: rank),
        axes.count == starts.count
      else { return nil }
      return axes.indices.map { Bounds(axis: axes[$0], start: Extent(starts[$0]), end: Extent(ends[$0]), step: 1) }
    }
    let count = solver.shape(ofInput: 1).first?.constant ?? 0
    let listed = solver.has(3) ? solver.numbers(ofInput: 3) : Array(0..<min(count, rank))
    guard let listed, listed.count == count, let axes = solver.normalised(listed, rank: rank), Set(axes).count == axes.count
    else {
      return nil
    }
    func entries(_ input: Int) -> [Extent?] {
      guard let entries = solver.known(ofInput: input)?.entries, entries.count == axes.count else { return axes.map { _ in nil } }
      return entries.map(\.whole)
    }
    let starts = entries(1)
    let ends = entries(2)
    let steps = solver.has(4) ? entries(4).map { $0?.constant } : axes.map { _ in 1 }
    return axes.indices.map { Bounds(axis: axes[$0], start: starts[$0], end: ends[$0], step: steps[$0]) }
  }

  private func sliced(_ solver: some AxisSolver, _ layout: Layout, _ bounds: Bounds, length: Extent, result: Extent) -> Layout {
    // A slice in steps of one that is as long as the axis is the axis.
    if bounds.step == 1, length == result { return layout }
    guard let step = bounds.step, let start = bounds.start, let end = bounds.end, length.isConstant, let count = result.constant,
      let first = SliceWindow(of: length, from: start, to: end, step: step).first
    else {
      solver.freeze(layout, .dynamic)
      return solver.fixed(result, .dynamic)
    }
    return solver.strided(layout, start: first, step: step, count: count)
  }

  private func relatePad(_ solver: some AxisSolver, _ node: Node) {
    solver.escape(input: 0)
    solver.keepSettings()
    let axes = solver.axes(ofInput: 0)
    guard let result = solver.type(ofOutput: 0), result.rank == axes.count else { return }
    guard let pads = padAmounts(solver, node, rank: axes.count) else {
      solver.freezeInput(0, .dynamic)
      return solver.setFixed(output: 0, .dynamic)
    }
    let isConstant = (node.attributes.string(.mode) ?? "constant") == "constant"
    solver.give(
      axes.enumerated().map { at, layout in
        guard let (before, after) = pads[at] else {
          solver.freeze(layout, .dynamic)
          return solver.fixed(result.shape[at], .dynamic)
        }
        if before == 0, after == 0 { return layout }
        guard isConstant, before >= 0, after >= 0, solver.extent(layout).isConstant else {
          solver.freeze(layout, .neighbourhood)
          return solver.fixed(result.shape[at], .neighbourhood)
        }
        let left = before > 0 ? [solver.fresh(Extent(before))] : []
        let right = after > 0 ? [solver.fresh(Extent(after))] : []
        return solver.sum(left + [layout] + right)
      })
  }

  /// Numbers before and after per axis, nil where not known; nil where not even the axes are known.
  private func padAmounts(_ solver: some AxisSolver, _ node: Node, rank: Int) -> [(Int, Int)?]? {
    let entries: [Int?]
    if let pads = node.attributes.ints(.pads) {
      entries = pads
    } else {
      guard let known = solver.known(ofInput: 1) else { return nil }
      entries = known.entries.map { $0.whole?.constant }
    }
    let listed = solver.has(3) ? solver.numbers(ofInput: 3) : Array(0..<rank)
    guard let listed, let axes = solver.normalised(listed, rank: rank), entries.count == 2 * axes.count else { return nil }
    var result: [(Int, Int)?] = Array(repeating: (0, 0), count: rank)
    for (at, axis) in axes.enumerated() {
      if let before = entries[at], let after = entries[at + axes.count] {
        result[axis] = (before, after)
      } else {
        result[axis] = nil
      }
    }
    return result
  }
}
