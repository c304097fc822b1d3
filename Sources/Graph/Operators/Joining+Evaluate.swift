extension Joining {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) { throw context.unsupported("is not evaluated") }
}
