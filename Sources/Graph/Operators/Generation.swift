/// Makes numbers from shapes, or from nothing.
public enum Generation: String, CaseIterable, Sendable, Hashable {
  case bernoulli = "Bernoulli"
  case constantOfShape = "ConstantOfShape"
  case eyeLike = "EyeLike"
  case multinomial = "Multinomial"
  case randomNormal = "RandomNormal"
  case randomNormalLike = "RandomNormalLike"
  case randomUniform = "RandomUniform"
  case randomUniformLike = "RandomUniformLike"
  case range = "Range"
  case shape = "Shape"
  case size = "Size"
}

extension Generation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
