/// Attention and rotary embeddings as one operator.
public enum AttentionFamily: String, CaseIterable, Sendable, Hashable {
  case attention = "Attention"
  case rotaryEmbedding = "RotaryEmbedding"
  case microsoftAttention = "com.microsoft.Attention"
  case groupQueryAttention = "com.microsoft.GroupQueryAttention"
  case multiHeadAttention = "com.microsoft.MultiHeadAttention"
  case quantisedAttention = "com.microsoft.QAttention"
  case microsoftRotaryEmbedding = "com.microsoft.RotaryEmbedding"
}

extension AttentionFamily: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
