extension EinsumEquation {
  /// What one axis of a tensor stands for.
  enum Axis: Hashable {
    case letter(Character)
    /// An axis of the ellipsis, counted from the right.
    case ellipsis(Int)
  }

  /// What the axes of a tensor with a term stand for; nil when the rank does not fit.
  static func axes(_ term: [Label], rank: Int) -> [Axis]? {
    let letters = term.count - (term.contains(.ellipsis) ? 1 : 0)
    guard rank == letters || rank > letters && term.contains(.ellipsis) else { return nil }
    var result: [Axis] = []
    for label in term {
      switch label {
      case .letter(let letter): result.append(.letter(letter))
      case .ellipsis: for place in stride(from: rank - letters - 1, through: 0, by: -1) { result.append(.ellipsis(place)) }
      }
    }
    return result
  }
}

extension MatrixProduct {
  /// Equal letters are the same axis. A letter twice in one operand is a diagonal, and keeps all its indices.
  func relateEinsum(_ solver: some AxisSolver, _ node: Node) {
    solver.escapeAll()
    guard let equation = node.attributes.string(.equation).flatMap(EinsumEquation.init), let result = solver.type(ofOutput: 0),
      let resultLabels = EinsumEquation.axes(equation.result, rank: result.rank)
    else { return solver.freezeNode(.unsupported("an einsum whose equation cannot be read")) }
    var layouts: [EinsumEquation.Axis: Layout] = [:]
    var single: [EinsumEquation.Axis: Layout] = [:]
    var operands: [[EinsumEquation.Axis]] = []
    for index in node.inputs.indices {
      let shape = solver.shape(ofInput: index)
      let axes = solver.axes(ofInput: index)
      guard equation.operands.indices.contains(index), axes.count == shape.count,
        let labels = EinsumEquation.axes(equation.operands[index], rank: shape.count)
      else { return solver.freezeNode(.unsupported("an einsum whose operands do not fit its equation")) }
      var seen: [EinsumEquation.Axis] = []
      for (at, label) in labels.enumerated() {
        if seen.contains(label) {
          solver.freeze(axes[at], .unsupported("it is part of a diagonal"))
          if let layout = layouts[label] { solver.freeze(layout, .unsupported("it is part of a diagonal")) }
        }
        if shape[at] == 1 {
          single[label] = axes[at]
          continue
        }
        seen.append(label)
        if let known = layouts[label] { solver.tie(known, axes[at]) } else { layouts[label] = axes[at] }
      }
      operands.append(seen)
    }
    solver.give(
      resultLabels.enumerated().map { at, label in layouts[label] ?? single[label] ?? solver.fixed(result.shape[at], .structure) }
    )
    if operands.count == 2 { noteEinsum(solver, layouts, operands[0], operands[1], Set(resultLabels)) }
  }

  private func noteEinsum(
    _ solver: some AxisSolver, _ layouts: [EinsumEquation.Axis: Layout], _ left: [EinsumEquation.Axis],
    _ right: [EinsumEquation.Axis],
    _ result: Set<EinsumEquation.Axis>
  ) {
    func list(_ axes: [EinsumEquation.Axis], shared: Bool, kept: Bool, with other: [EinsumEquation.Axis]) -> [Layout] {
      axes.filter { other.contains($0) == shared && result.contains($0) == kept }.compactMap { layouts[$0] }
    }
    noteProduct(
      solver, leftIsWeight: solver.isParameterOnly(input: 0), rightIsWeight: solver.isParameterOnly(input: 1),
      contracted: list(left, shared: true, kept: false, with: right), batch: list(left, shared: true, kept: true, with: right),
      leftFree: list(left, shared: false, kept: true, with: right), rightFree: list(right, shared: false, kept: true, with: left))
  }
}
