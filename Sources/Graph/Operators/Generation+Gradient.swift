extension Generation {
  /// How a gradient passes through each operator of the family: what comes from shapes, or from nothing, carries none.
  public var gradient: GradientRule {
    switch self {
    case .constantOfShape, .eyeLike, .multinomial, .randomNormal, .randomNormalLike, .randomUniform, .randomUniformLike, .shape,
      .size:
      .flat
    case .bernoulli: .none("it draws at random with these chances")
    case .range:
      .chain { context throws(Diagnostic) in
        // start + index · step.
        let g = try context.gradient()
        let index = g.counting(axis: 0).cast(to: g.element)
        context.give(0, g.total)
        context.give(1, try context.input(1).zeros)
        context.give(2, (g * index).total)
      }
    }
  }
}
