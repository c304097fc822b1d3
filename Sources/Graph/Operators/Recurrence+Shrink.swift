extension Recurrence {
  /// What follows when the tensors shrink: the count of hidden units, as the recurrent weight has it.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let hidden = ShrinkContext.extent(context.newInput(2), 2)?.constant, context.attributes[.hiddenSize] != nil else {
      return
    }
    context.follow(.hiddenSize, to: hidden)
  }

  /// Multiply-adds of one run: every step multiplies the input and the state with the gates' weights, in each direction.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double {
    guard inputs.count > 2, let sequence = inputs[0], sequence.rank == 3 else { return 0 }
    return Work.product(sequence.shape.prefix(2)) * (Work.count(inputs[1]) + Work.count(inputs[2]))
  }
}
