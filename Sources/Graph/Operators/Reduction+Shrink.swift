extension Reduction {
  /// What follows when the tensors shrink.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }
}
