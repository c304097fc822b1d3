extension Quantisation {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .dequantizeLinear: .pieces(Self.scaled)
    // Rounding is constant between jumps.
    case .quantizeLinear, .dynamicQuantizeLinear: .flat
    }
  }

  /// (x − zero point) · scale, so that the scale gets its gradient.
  private static func scaled(_ context: inout PiecesContext) throws(Diagnostic) {
    let (x, scale) = (try context.input(0), try context.input(1))
    guard (context.attributes.int(.blockSize) ?? 0) == 0 else { throw context.failure("scales of blocks have no rule here") }
    let axis = x.rank == 1 ? 0 : try context.axis(context.attributes.int(.axis) ?? 1, rank: max(x.rank, 1))
    func placed(_ term: Term) -> Term {
      if term.rank == 0 || term.type.elementCount == Extent(1) { return term.reshaped([]) }
      var shape = [Extent](repeating: 1, count: x.rank)
      shape[axis] = term.shape[0]
      return term.reshaped(shape)
    }
    let zero = context.optional(2).map { placed($0.cast(to: scale.element)) }
    let centred = zero.map { x.cast(to: scale.element) - $0 } ?? x.cast(to: scale.element)
    context.set(0, centred * placed(scale))
  }
}
