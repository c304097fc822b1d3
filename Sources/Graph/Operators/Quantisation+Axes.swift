extension Quantisation {
  static let dynamicRule: AxisRule = "*a -> *a"

  /// Numbers keep their axes. A scale or zero point per index goes with its axis; one per block with the count of blocks, since a block
  /// keeps its size.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    solver.escapeAll()
    switch self {
    case .dequantizeLinear, .quantizeLinear:
      for input in [1, 2] { relateScale(solver, node, input: input) }
      solver.pass()
    case .dynamicQuantizeLinear: relateDynamic(solver, node)
    }
  }

  private func relateDynamic(_ solver: some AxisSolver, _ node: Node) {
    solver.pass()
    for index in node.outputs.indices.dropFirst() { solver.setFixedIfAsked(output: index, .structure) }
  }

  private func relateScale(_ solver: some AxisSolver, _ node: Node, input: Int) {
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let scale = solver.axes(ofInput: input)
    let scaleShape = solver.shape(ofInput: input)
    guard scale.count == scaleShape.count, axes.count == shape.count, scaleShape.contains(where: { $0 != 1 }) else { return }
    let axis = solver.normalised(node.attributes.int(.axis) ?? 1, rank: axes.count)
    if scale.count == 1, axes.count != 1 || (node.attributes.int(.blockSize) ?? 0) == 0 {
      let along = axes.count == 1 ? 0 : axis
      guard let along else { return solver.freezeInput(input, .encoded) }
      return solver.tie(scale[0], axes[along])
    }
    guard scale.count == axes.count else {
      solver.freezeInput(0, .encoded)
      return solver.freezeInput(input, .encoded)
    }
    let block = node.attributes.int(.blockSize) ?? 0
    for at in axes.indices {
      if at == axis, block > 0, scaleShape[at] != shape[at] {
        relateBlocks(solver, axes[at], scale[at], shape[at], scaleShape[at], block)
      } else if scaleShape[at] != 1 {
        solver.tie(scale[at], axes[at])
      }
    }
  }

  /// Whole blocks may go; where the last one is not full, none may.
  private func relateBlocks(
    _ solver: some AxisSolver, _ axis: Layout, _ blocks: Layout, _ length: Extent, _ count: Extent, _ block: Int
  ) {
    guard count * Extent(block) == length else {
      solver.freeze(axis, .encoded)
      return solver.freeze(blocks, .encoded)
    }
    solver.unify(axis, solver.product([blocks, solver.fixed(Extent(block), .encoded)]))
  }
}
