extension Normalisation {
  /// What follows when the tensors shrink: how many groups of channels are normalised together.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .groupNorm:
      guard !context.isWhole(input: 0, axis: 1), let groups = context.attributes.int(.numGroups), groups > 0,
        let channels = ShrinkContext.extent(context.oldInput(0), 1)?.constant
      else { return }
      guard channels.isMultiple(of: groups) else { throw context.failure("\(groups) groups do not divide \(channels) channels") }
      let left = try context.blocks(
        kept: context.kept(input: 0, axis: 1), in: 0..<channels, size: channels / groups, of: "groups")
      context.follow(.numGroups, to: left.count)
    case .batchNorm, .hardmax, .instanceNorm, .localResponseNorm, .layerNorm, .logSoftmax, .lpNorm, .meanVarianceNorm, .rmsNorm,
      .simplifiedLayerNorm, .softmax, .quantisedSoftmax, .embedLayerNorm, .skipLayerNorm, .skipSimplifiedLayerNorm:
      break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }
}
