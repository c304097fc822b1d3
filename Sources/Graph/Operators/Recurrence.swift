/// Runs a cell over a sequence.
public enum Recurrence: String, CaseIterable, Sendable, Hashable {
  case gru = "GRU"
  case lstm = "LSTM"
  case rnn = "RNN"
}

extension Recurrence: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
