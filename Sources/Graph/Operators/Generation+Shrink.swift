extension Generation {
  /// What follows when the tensors shrink: what is made must have the extents that its users expect.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .constantOfShape:
      if let old = context.oldOutput()?.shape, let new = context.newOutput()?.shape {
        context.requireExtents(input: 0, from: old, to: new)
      }
    case .randomNormal, .randomUniform:
      guard context.oldOutput() != context.newOutput() else { return }
      guard let shape = context.newOutput()?.staticShape else { throw context.failure("the new shape is not known in numbers") }
      context.set(.shape, .ints(shape))
    case .range: try Self.shrinkRange(&context)
    case .bernoulli, .eyeLike, .multinomial, .randomNormalLike, .randomUniformLike, .shape, .size: break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  /// Start, limit and step are numbers and stay; a range that stands for positions along an axis that shrinks gets a nearer
  /// limit.
  private static func shrinkRange(_ context: inout ShrinkContext) throws(Diagnostic) {
    for operand in 0..<3 { context.requireOld(input: operand) }
    guard let old = context.oldOutput()?.shape.first, let new = context.newOutput()?.shape.first, old != new else { return }
    guard let start = context.known(0), let first = start.wholes?.first, let step = context.known(2)?.wholes?.first else {
      throw context.failure("the range shrinks, but where it starts is not known")
    }
    let shape = context.known(1)?.shape ?? start.shape
    if let limit = KnownValue(shape: shape, entries: [.whole(first + step * new)]) { context.require(input: 1, limit) }
  }
}
