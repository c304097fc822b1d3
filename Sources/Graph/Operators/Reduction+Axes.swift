extension Reduction {
  /// Reduced axes disappear or become one; reducing runs over the kept indices, so it freezes nothing.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    solver.escape(input: 0)
    solver.keepSettings()
    switch self {
    case .argMax, .argMin: relateArgument(solver, node)
    case .topK: relateTopK(solver, node)
    case .cumSum: relateCumulative(solver)
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      relateReduction(solver, node)
    }
  }

  private func relateReduction(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    let listed: [Int]?
    if solver.has(1) { listed = solver.numbers(ofInput: 1) } else { listed = node.attributes.ints(.axes) ?? [] }
    guard let listed, let reduced = solver.normalised(listed, rank: axes.count) else { return solver.freezeNode(.dynamic) }
    if reduced.isEmpty, node.attributes.flag(.noopWithEmptyAxes) { return solver.pass() }
    let gone = reduced.isEmpty ? Set(axes.indices) : Set(reduced)
    solver.give(remaining(solver, axes, without: gone, keepsAxes: node.attributes.flag(.keepDims, default: true)))
  }

  private func remaining(_ solver: some AxisSolver, _ axes: [Layout], without gone: Set<Int>, keepsAxes: Bool) -> [Layout] {
    var result: [Layout] = []
    for (at, layout) in axes.enumerated() {
      if !gone.contains(at) {
        result.append(layout)
      } else if keepsAxes {
        result.append(solver.fixed(1, .structure))
      }
    }
    return result
  }

  /// The result's numbers are positions along the reduced axis.
  private func relateArgument(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? 0, rank: axes.count) else {
      return solver.freezeNode(.unsupported("an axis outside the tensor"))
    }
    solver.give(remaining(solver, axes, without: [axis], keepsAxes: node.attributes.flag(.keepDims, default: true)))
    solver.note(.codomain, axes[axis])
    if solver.type(ofOutput: 0) != nil { solver.setCodomain(ofOutput: 0, axes[axis]) }
  }

  /// Values and positions have an axis of k; the positions range over the axis that was searched.
  private func relateTopK(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? -1, rank: axes.count) else {
      return solver.freezeNode(.unsupported("an axis outside the tensor"))
    }
    for output in 0...1 {
      guard let type = solver.type(ofOutput: output), type.shape.indices.contains(axis) else { continue }
      var result = axes
      result[axis] = solver.fixed(type.shape[axis], .structure)
      solver.give(result, output: output)
    }
    solver.note(.codomain, axes[axis])
    if solver.type(ofOutput: 1) != nil { solver.setCodomain(ofOutput: 1, axes[axis]) }
  }

  private func relateCumulative(_ solver: some AxisSolver) {
    let axes = solver.axes(ofInput: 0)
    if let axis = solver.number(ofInput: 1).flatMap({ solver.normalised($0, rank: axes.count) }) {
      solver.freeze(axes[axis], .order)
    } else {
      solver.freezeInput(0, .order)
    }
    solver.pass()
  }
}
