/// Concatenates, cuts and pads along axes.
public enum Joining: String, CaseIterable, Sendable, Hashable {
  case concat = "Concat"
  case pad = "Pad"
  case slice = "Slice"
  case split = "Split"
}

extension Joining: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
