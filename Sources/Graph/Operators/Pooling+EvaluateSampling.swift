extension Pooling {
  func evaluateResize(_ context: inout EvaluationContext) throws(Diagnostic) { throw context.unsupported("is not evaluated") }
  static func evaluateRoiAlign(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
  static func evaluateMaxRoiPool(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
  static func evaluateGridSample(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
  static func evaluateAffineGrid(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
  static func evaluateFourier(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
  static func evaluateShortTimeFourier(_ context: inout EvaluationContext) throws(Diagnostic) {
    throw context.unsupported("is not evaluated")
  }
}
