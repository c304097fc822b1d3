extension Reduction {
  /// What follows when the tensors shrink: how many are picked, where that is more than stay; axes are no extents.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .topK: try Self.shrinkTopK(&context)
    case .argMax, .argMin, .cumSum, .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin,
      .reduceProd, .reduceSum, .reduceSumSquare:
      break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  /// As many are picked as the result has room for, which is never more than stay.
  private static func shrinkTopK(_ context: inout ShrinkContext) throws(Diagnostic) {
    let outputs = context.node.outputs.indices.filter { context.oldOutput($0) != nil && context.newOutput($0) != nil }
    guard let index = outputs.first, let old = context.oldOutput(index), let new = context.newOutput(index), old.isRanked,
      old.rank == new.rank
    else { return }
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: old.rank)
    if let picked = new.shape[axis].constant, let left = ShrinkContext.extent(context.newInput(0), axis)?.constant, left < picked
    {
      throw context.failure("\(picked) are picked of axis \(axis), but only \(left) stay; keep at least \(picked)")
    }
    context.requireExtents(input: 1, from: [old.shape[axis]], to: [new.shape[axis]])
  }
}
