extension Reshaping {
  /// The plain evaluation: numbers move, whatever their type.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    switch self {
    case .flatten, .reshape, .squeeze, .unsqueeze:
      let shape = try context.outputShape()
      guard Tensor.count(shape) == input.count else {
        throw context.failure("\(input.type) of \(input.count) numbers cannot take the shape \(shape)")
      }
      context.set(0, input.reshaped(shape))
    case .transpose:
      context.set(0, input.transposed(context.attributes.ints(.perm) ?? Array((0..<input.rank).reversed())))
    case .expand: context.set(0, input.broadcast(to: try context.outputShape()))
    case .tile:
      let shape = try context.outputShape()
      let repeats = try context.input(1).wholes
      let strides = Tensor.strides(input.shape)
      let doubled = input.shape.indices.flatMap { [repeats[$0], input.shape[$0]] }
      context.set(0, input.strided(doubled, strides: strides.flatMap { [0, $0] }).reshaped(shape))
    case .depthToSpace:
      let shape = try context.outputShape()
      let size = context.attributes.int(.blocksize) ?? 1
      let (batch, height, width) = (input.shape[0], input.shape[2], input.shape[3])
      let isColumnFirst = context.attributes.string(.mode) == "CRD"
      let split = isColumnFirst ? [batch, shape[1], size, size, height, width] : [batch, size, size, shape[1], height, width]
      let moved = input.reshaped(split).transposed(isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
      context.set(0, moved.reshaped(shape))
    case .spaceToDepth:
      let shape = try context.outputShape()
      let size = context.attributes.int(.blocksize) ?? 1
      let split = [input.shape[0], input.shape[1], shape[2], size, shape[3], size]
      let isColumnFirst = context.attributes.string(.mode) == "CRD"
      let moved = input.reshaped(split).transposed(isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4])
      context.set(0, moved.reshaped(shape))
    }
  }
}
