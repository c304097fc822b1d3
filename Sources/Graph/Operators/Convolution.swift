/// Slides a weight over spatial axes.
public enum Convolution: String, CaseIterable, Sendable, Hashable {
  case conv = "Conv"
  case convInteger = "ConvInteger"
  case convTranspose = "ConvTranspose"
  case deformConv = "DeformConv"
  case quantisedConv = "QLinearConv"
  case fusedConv = "com.microsoft.FusedConv"
}

extension Convolution: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
