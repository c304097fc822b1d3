extension Pooling {
  /// What follows when the tensors shrink: only an operator that is told its whole result's extents names a channel count.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .resize: try Self.shrinkResize(&context)
    case .maxUnpool:
      if let old = context.oldOutput()?.shape, let new = context.newOutput()?.shape {
        context.requireExtents(input: 2, from: old, to: new)
      }
    case .affineGrid: context.requireOld(input: 1)
    case .averagePool, .dft, .globalAveragePool, .globalLpPool, .globalMaxPool, .gridSample, .lpPool, .maxPool, .maxRoiPool,
      .roiAlign,
      .stft, .upsample, .quantisedAveragePool, .quantisedGlobalAveragePool:
      break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  /// Sizes of axes that shrink are the new extents; factors stay.
  private static func shrinkResize(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldOutput(), let new = context.newOutput(), old.isRanked, old.rank == new.rank else { return }
    guard let named = context.attributes.ints(.axes) else {
      return context.requireExtents(input: 3, from: old.shape, to: new.shape)
    }
    var axes: [Int] = []
    for axis in named { axes.append(try context.axis(axis, rank: old.rank)) }
    context.requireExtents(input: 3, from: axes.map { old.shape[$0] }, to: axes.map { new.shape[$0] })
  }
}
