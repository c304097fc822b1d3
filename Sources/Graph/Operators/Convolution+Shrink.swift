extension Convolution {
  /// What follows when the tensors shrink: the count of groups.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    let weight = ShrinkContext.extent(context.newInput(weightOperand), 1)?.constant
    let channels = readsByGroup ? ShrinkContext.extent(context.newInput(0), 1) : ShrinkContext.extent(context.newOutput(), 1)
    guard let weight, let channels = channels?.constant, !context.isUnchanged else { return }
    let other = readsByGroup ? ShrinkContext.extent(context.newOutput(), 1) : ShrinkContext.extent(context.newInput(0), 1)
    guard weight > 0, channels.isMultiple(of: weight), other?.constant.map({ $0.isMultiple(of: channels / weight) }) ?? true
    else {
      throw context.failure("\(channels) channels cannot be groups of \(weight)")
    }
    context.follow(.group, implied: 1, to: channels / weight)
  }

  /// Multiply-adds of one run: each result (each operand, when transposed) meets one window of the weight.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double {
    guard inputs.indices.contains(weightOperand), let weight = inputs[weightOperand], weight.rank >= 2 else { return 0 }
    return Work.count(readsByGroup ? outputs.first ?? nil : inputs[0]) * Work.product(weight.shape.dropFirst())
  }

  /// True when the weight's second axis is the input channels of a group, false when it is the output channels of one.
  private var readsByGroup: Bool {
    switch self {
    case .convTranspose: false
    case .conv, .convInteger, .deformConv, .quantisedConv, .fusedConv: true
    }
  }
}
