/// Scales by statistics of the data itself, or turns scores into shares.
public enum Normalisation: String, CaseIterable, Sendable, Hashable {
  case batchNorm = "BatchNormalization"
  case groupNorm = "GroupNormalization"
  case hardmax = "Hardmax"
  case instanceNorm = "InstanceNormalization"
  case localResponseNorm = "LRN"
  case layerNorm = "LayerNormalization"
  case logSoftmax = "LogSoftmax"
  case lpNorm = "LpNormalization"
  case meanVarianceNorm = "MeanVarianceNormalization"
  case rmsNorm = "RMSNormalization"
  case simplifiedLayerNorm = "SimplifiedLayerNormalization"
  case softmax = "Softmax"
  case embedLayerNorm = "com.microsoft.EmbedLayerNormalization"
  case skipLayerNorm = "com.microsoft.SkipLayerNormalization"
  case skipSimplifiedLayerNorm = "com.microsoft.SkipSimplifiedLayerNormalization"
}

extension Normalisation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
