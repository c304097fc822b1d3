/// Reads windows or sampled places of spatial axes.
public enum Pooling: String, CaseIterable, Sendable, Hashable {
  case affineGrid = "AffineGrid"
  case averagePool = "AveragePool"
  case dft = "DFT"
  case globalAveragePool = "GlobalAveragePool"
  case globalLpPool = "GlobalLpPool"
  case globalMaxPool = "GlobalMaxPool"
  case gridSample = "GridSample"
  case lpPool = "LpPool"
  case maxPool = "MaxPool"
  case maxRoiPool = "MaxRoiPool"
  case maxUnpool = "MaxUnpool"
  case resize = "Resize"
  case roiAlign = "RoiAlign"
  case stft = "STFT"
  case upsample = "Upsample"
}

extension Pooling: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
