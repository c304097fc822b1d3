extension Recurrence {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .gru, .lstm, .rnn: .none("differentiation through a recurrence is not written; score such models by a criterion of weights")
    }
  }
}
