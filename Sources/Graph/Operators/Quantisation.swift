/// Between real numbers and scaled whole numbers.
public enum Quantisation: String, CaseIterable, Sendable, Hashable {
  case dequantizeLinear = "DequantizeLinear"
  case dynamicQuantizeLinear = "DynamicQuantizeLinear"
  case quantizeLinear = "QuantizeLinear"
}

extension Quantisation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
