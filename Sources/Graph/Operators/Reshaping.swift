/// Moves or repeats numbers without reading them.
public enum Reshaping: String, CaseIterable, Sendable, Hashable {
  case depthToSpace = "DepthToSpace"
  case expand = "Expand"
  case flatten = "Flatten"
  case reshape = "Reshape"
  case spaceToDepth = "SpaceToDepth"
  case squeeze = "Squeeze"
  case tile = "Tile"
  case transpose = "Transpose"
  case unsqueeze = "Unsqueeze"
}

extension Reshaping: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
