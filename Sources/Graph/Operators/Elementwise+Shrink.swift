extension Elementwise {
  /// What follows when the tensors shrink: nothing, since every number is made by itself.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {}

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }
}
