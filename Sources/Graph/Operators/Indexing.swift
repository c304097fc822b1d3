/// Reads or writes at positions that another tensor holds.
public enum Indexing: String, CaseIterable, Sendable, Hashable {
  case compress = "Compress"
  case gather = "Gather"
  case gatherElements = "GatherElements"
  case gatherND = "GatherND"
  case nonMaxSuppression = "NonMaxSuppression"
  case nonZero = "NonZero"
  case oneHot = "OneHot"
  case reverseSequence = "ReverseSequence"
  case scatterElements = "ScatterElements"
  case scatterND = "ScatterND"
  case trilu = "Trilu"
  case unique = "Unique"
}

extension Indexing: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
