extension Reshaping {
  /// Numbers move as they are: factors of the axes are regrouped, permuted or repeated.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    solver.keepSettings()
    solver.carryCodomain()
    switch self {
    case .reshape, .flatten: relateReshape(solver)
    case .squeeze: relateSqueeze(solver, node)
    case .unsqueeze: relateUnsqueeze(solver, node)
    case .transpose: relateTranspose(solver, node)
    case .expand: relateExpand(solver)
    case .tile: relateTile(solver)
    case .depthToSpace: relateDepthToSpace(solver, node)
    case .spaceToDepth: relateSpaceToDepth(solver, node)
    }
  }

  private func relateReshape(_ solver: some AxisSolver) {
    guard let result = solver.type(ofOutput: 0) else { return }
    solver.give(solver.regroup(solver.axes(ofInput: 0), solver.shape(ofInput: 0), to: result.shape))
  }

  private func listedAxes(_ solver: some AxisSolver, _ node: Node) -> [Int]? {
    solver.has(1) ? solver.numbers(ofInput: 1) : node.attributes.ints(.axes)
  }

  private func relateSqueeze(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    guard let gone = listedAxes(solver, node).flatMap({ solver.normalised($0, rank: axes.count) }) else {
      return relateReshape(solver)
    }
    for at in gone where solver.extent(axes[at]) != 1 { solver.freeze(axes[at], .dynamic) }
    solver.give(axes.indices.filter { !gone.contains($0) }.map { axes[$0] })
  }

  private func relateUnsqueeze(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    guard let listed = listedAxes(solver, node), let new = solver.normalised(listed, rank: axes.count + listed.count),
      Set(new).count == new.count
    else { return relateReshape(solver) }
    var rest = axes.makeIterator()
    var result: [Layout] = []
    for at in 0..<axes.count + new.count {
      if !new.contains(at), let layout = rest.next() { result.append(layout) } else { result.append(solver.fixed(1, .structure)) }
    }
    solver.give(result)
  }

  private func relateTranspose(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    let order = node.attributes.ints(.perm) ?? axes.indices.reversed()
    guard order.count == axes.count, let order = solver.normalised(order, rank: axes.count), Set(order).count == order.count
    else {
      return solver.freezeNode(.unsupported("a transpose whose order is none"))
    }
    solver.give(order.map { axes[$0] })
  }

  /// 1 to n is a new group of n; new leading axes likewise.
  private func relateExpand(_ solver: some AxisSolver) {
    guard let result = solver.type(ofOutput: 0) else { return }
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let added = result.rank - axes.count
    guard added >= 0, shape.count == axes.count else { return solver.freezeNode(.incomparable) }
    solver.give(
      result.shape.enumerated().map { at, extent in
        if at >= added {
          if shape[at - added] == extent { return axes[at - added] }
          if shape[at - added] != 1 {
            solver.freeze(axes[at - added], .dynamic)
            return solver.fixed(extent, .dynamic)
          }
        }
        return repeated(solver, extent)
      })
  }

  private func repeated(_ solver: some AxisSolver, _ extent: Extent) -> Layout {
    guard extent.isConstant else { return solver.fixed(extent, .dynamic) }
    let layout = solver.fresh(extent)
    if extent != 1 { solver.note(.repeated, layout) }
    return layout
  }

  /// Repeating an axis r times: product(r, axis).
  private func relateTile(_ solver: some AxisSolver) {
    guard let result = solver.type(ofOutput: 0) else { return }
    let axes = solver.axes(ofInput: 0)
    let repeats = solver.known(ofInput: 1)?.entries
    guard result.rank == axes.count, repeats == nil || repeats?.count == axes.count else {
      return solver.freezeNode(.incomparable)
    }
    solver.give(
      axes.enumerated().map { at, layout in
        let extent = result.shape[at]
        let count = repeats?[at].whole
        if count == 1 { return layout }
        if solver.extent(layout) == 1 { return repeated(solver, extent) }
        guard let count, let number = count.constant, number > 1, count * solver.extent(layout) == extent else {
          solver.freeze(layout, .dynamic)
          return solver.fixed(extent, .dynamic)
        }
        return solver.product([repeated(solver, count), layout])
      })
  }

  /// DCR: channel = (b b C); CRD: channel = (C b b).
  private func relateDepthToSpace(_ solver: some AxisSolver, _ node: Node) {
    let block = node.attributes.int(.blocksize) ?? 0
    let isColumnFirst = node.attributes.string(.mode) == "CRD"
    let rule = isColumnFirst ? Self.columnFirstRule : Self.depthFirstRule
    rule.apply(to: solver, sizes: ["b": block, "d": block])
  }

  private func relateSpaceToDepth(_ solver: some AxisSolver, _ node: Node) {
    let block = node.attributes.int(.blocksize) ?? 0
    guard block > 0, let result = solver.type(ofOutput: 0), result.rank == 4, solver.axes(ofInput: 0).count == 4 else {
      return solver.freezeNode(.neighbourhood)
    }
    let rule = node.attributes.string(.mode) == "CRD" ? Self.columnFirstSpaceRule : Self.spaceRule
    rule.apply(to: solver, sizes: ["b": block, "d": block])
  }

  static let depthFirstRule: AxisRule = "n (#b #d c) !h !w -> n c !y !x"
  static let columnFirstRule: AxisRule = "n (c #b #d) !h !w -> n c !y !x"
  static let spaceRule: AxisRule = "n c !h !w -> n (#b #d c) !y !x"
  static let columnFirstSpaceRule: AxisRule = "n c !h !w -> n (c #b #d) !y !x"
}
