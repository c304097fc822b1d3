extension Generation {
  /// What is made from shapes has axes that stay; a tensor filled with one number has new groups, and what is made like another tensor
  /// has its axes.
  public func relate(_ solver: some AxisSolver) {
    switch self {
    case .shape, .size:
      // The shape of positions reads no positions.
      solver.setFixedIfAsked(output: 0, .structure)
    case .range, .randomNormal, .randomUniform:
      solver.keepSettings(solver.node.inputs.indices)
      giveKnown(solver) { solver.fixed($0, .structure) }
    case .constantOfShape:
      solver.keepSettings(solver.node.inputs.indices)
      giveKnown(solver) { solver.fresh($0) }
    case .eyeLike:
      solver.escapeAll()
      solver.freezeInput(0, .structure)
      solver.setFixedIfAsked(output: 0, .structure)
    case .bernoulli, .randomNormalLike, .randomUniformLike:
      solver.escapeAll()
      solver.pass()
    case .multinomial: relateSample(solver)
    }
  }

  /// Axes of a length that is known only when the model runs stay.
  private func giveKnown(_ solver: some AxisSolver, _ layout: (Extent) -> Layout) {
    guard let type = solver.type(ofOutput: 0) else { return }
    solver.give(type.shape.map { $0.isConstant ? layout($0) : solver.fixed($0, .dynamic) })
  }

  /// Classes are drawn by their number.
  private func relateSample(_ solver: some AxisSolver) {
    solver.escapeAll()
    let axes = solver.axes(ofInput: 0)
    for layout in axes.dropFirst() { solver.freeze(layout, .positionsEscape) }
    guard let result = solver.type(ofOutput: 0), let batch = axes.first, result.rank == 2 else {
      return solver.setFixedIfAsked(output: 0, .indexedByData)
    }
    solver.give([batch, solver.fixed(result.shape[1], .structure)])
  }
}
