import Graph

/// Why an index stays although a mask emptied something of it: removing it would change what the model computes, or nobody can say.
public struct KeptReason: Sendable, Hashable {
  /// What is in the way.
  public enum Cause: Sendable, Hashable {
    /// What the index carries depends on the model's inputs, or differs from place to place, and is used.
    case carriesSignal
    /// The index always carries the same number, which is not zero, and its use cannot be written into a bias.
    case constant(Double)
    /// A convolution with padding sees the constant inside and zeros beyond the border, so that no one bias can replace it.
    case constantAtBorders(Double)
    /// A norm, softmax, mean or maximum runs over the indices: one fewer changes all others.
    case mixed
    /// Positions along the axis are used as numbers.
    case positions
    /// It is not known here what the operator makes of a constant index.
    case noRule
    /// The group stands twice on one axis, as rows and columns of a matrix laid out in a row.
    case squared
    /// A tensor that carries the group holds numbers that are not finite.
    case notFinite
    /// A group keeps at least so many indices.
    case least(Int)
  }

  /// What is in the way.
  public let cause: Cause
  /// The node where that shows; empty where it is no node.
  public let node: String
}

extension KeptReason: CustomStringConvertible {
  /// A clause that completes "it stays: …".
  public var description: String {
    switch cause {
    case .carriesSignal: "what it brings to \(node) is not the same for all inputs and places"
    case .constant(let number): "it always carries \(number), which \(node) uses in a way that no bias can replace"
    case .constantAtBorders(let number):
      "it always carries \(number), and \(node) pads its input with zeros, so that its borders differ from its middle and no bias can replace it"
    case .mixed: "\(node) normalises, ranks or averages over all indices together, so one fewer changes the others"
    case .positions: "positions along the axis are used as numbers"
    case .noRule: "prunec has no rule for what \(node) makes of it"
    case .squared: "an axis is made of pairs of its indices"
    case .notFinite: "\(node) holds infinities or what is no number"
    case .least(let count): count == 1 ? "a group keeps at least one index" : "the group keeps at least \(count) indices"
    }
  }
}
