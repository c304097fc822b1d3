extension Elementwise {
  /// What is known of the numbers of the result.
  func foldNumbers(_ context: inout InferenceContext) {}
}
