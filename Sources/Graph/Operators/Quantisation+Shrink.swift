extension Quantisation {
  /// What follows when the tensors shrink: nothing, since scales and zero points are tensors like others and a block keeps its
  /// size.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {}

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }
}
