extension Elementwise {
  /// How the axes of operands and results belong together.
  private enum Shape {
    /// The first operand alone decides; others are scalars.
    case first
    /// All operands broadcast.
    case all
    /// The operands at these places broadcast; the others are scales and zero points of whole tensors.
    case scaled([Int])
  }

  private var shape: Shape {
    switch self {
    case .abs, .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitwiseNot, .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh,
      .dropout,
      .elu, .erf, .exp, .floor, .gelu, .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .log, .mish, .neg,
      .not,
      .reciprocal, .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan, .tanh,
      .thresholdedRelu, .microsoftGelu, .quickGelu:
      .first
    case .add, .and, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .div, .equal, .greater, .greaterOrEqual, .less,
      .lessOrEqual,
      .max, .mean, .min, .mod, .mul, .or, .pow, .prelu, .sub, .sum, .choose, .xor, .biasGelu, .fastGelu:
      .all
    case .quantisedAdd, .quantisedMul: .scaled([0, 3])
    case .quantisedLeakyRelu, .quantisedSigmoid: .scaled([0])
    case .quantisedWhere: .scaled([0, 1, 4])
    }
  }

  /// Operands are aligned from the right; an axis of extent one that is broadcast takes part in nothing.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch shape {
    case .first:
      if carriesPositions, solver.type(ofOutput: 0)?.element.isInteger ?? true {
        solver.carryCodomain()
      } else {
        solver.escape(input: 0)
      }
      for index in node.outputs.indices { solver.pass(output: index) }
    case .all, .scaled:
      solver.escapeAll()
      var operands = node.inputs.indices.filter { solver.has($0) }
      if case .scaled(let places) = shape {
        solver.keepSettings(operands.filter { !places.contains($0) })
        operands = operands.filter { places.contains($0) }
      }
      let layouts = solver.broadcast(operands)
      solver.give(layouts)
      if isAddition { noteResidual(operands, layouts, solver) }
    }
  }

  /// True where numbers come out as they went in.
  private var carriesPositions: Bool { self == .cast || self == .castLike || self == .identity }

  private var isAddition: Bool { self == .add || self == .sub || self == .sum || self == .quantisedAdd }

  /// Two activations of one shape that are added make a residual stream.
  private func noteResidual(_ operands: [Int], _ layouts: [Layout], _ solver: some AxisSolver) {
    let activations = operands.filter { !solver.isParameterOnly(input: $0) }
    guard activations.count >= 2, let shape = activations.first.map({ solver.shape(ofInput: $0) }),
      activations.allSatisfy({ solver.shape(ofInput: $0) == shape })
    else { return }
    for (layout, extent) in zip(layouts.suffix(shape.count), shape) where extent != 1 { solver.note(.residual, layout) }
  }
}
