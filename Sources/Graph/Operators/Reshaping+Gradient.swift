extension Reshaping {
  /// How a gradient passes through each operator of the family: numbers that were moved are moved back, repeated ones summed.
  public var gradient: GradientRule {
    switch self {
    case .flatten, .reshape, .squeeze, .unsqueeze:
      .chain { context throws(Diagnostic) in context.give(0, try context.gradient().reshaped(like: try context.input(0))) }
    case .expand:
      .chain { context throws(Diagnostic) in context.give(0, try context.gradient().summed(like: try context.input(0))) }
    case .transpose:
      .chain { context throws(Diagnostic) in
        let g = try context.gradient()
        let order = context.attributes.ints(.perm) ?? Array((0..<g.rank).reversed())
        var back = order
        for (place, axis) in order.enumerated() { back[axis] = place }
        context.give(0, g.transposed(back))
      }
    case .tile: .chain(Self.untiled)
    case .depthToSpace: .pieces(Self.spread)
    case .spaceToDepth: .pieces(Self.gathered)
    }
  }

  /// [r·n] is [r, n]: the sum over the repeats.
  private static func untiled(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, g) = (try context.input(0), try context.gradient())
    guard let repeats = context.writer.known(try context.input(1).value)?.wholes, repeats.count == x.rank else {
      throw context.failure("how often it repeats is computed when the model runs; fix the shapes of the inputs with --dim")
    }
    let apart = zip(repeats, x.shape).flatMap { [$0, $1] }
    context.give(0, g.reshaped(apart).sum((0..<x.rank).map { 2 * $0 }, keep: false).reshaped(like: x))
  }

  /// [N, C·b·b, H, W] to [N, C, H·b, W·b].
  private static func spread(_ context: inout PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    let (shape, size) = (x.shape, Extent(context.attributes.int(.blocksize) ?? 1))
    let channels = shape[1].floorDivided(by: size * size)
    let isColumnFirst = context.attributes.string(.mode) == "CRD"
    let apart = isColumnFirst ? [channels, size, size] : [size, size, channels]
    let order = isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
    let moved = x.reshaped([shape[0]] + apart + [shape[2], shape[3]]).transposed(order)
    context.set(0, moved.reshaped([shape[0], channels, shape[2] * size, shape[3] * size]))
  }

  /// [N, C, H·b, W·b] to [N, b·b·C, H, W].
  private static func gathered(_ context: inout PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    let (shape, size) = (x.shape, Extent(context.attributes.int(.blocksize) ?? 1))
    let (height, width) = (shape[2].floorDivided(by: size), shape[3].floorDivided(by: size))
    let moved = x.reshaped([shape[0], shape[1], height, size, width, size]).transposed([0, 3, 5, 1, 2, 4])
    context.set(0, moved.reshaped([shape[0], shape[1] * size * size, height, width]))
  }
}
