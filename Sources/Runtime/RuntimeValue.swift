import Graph

/// What a name stands for while a model runs.
public enum RuntimeValue: Sendable {
  /// A tensor.
  case tensor(Tensor)
  /// Tensors in order.
  case sequence([Tensor], ElementType)
  /// An optional that holds nothing.
  case absent

  /// The tensor, where it is one.
  public var tensor: Tensor? {
    switch self {
    case .tensor(let tensor): tensor
    case .sequence, .absent: nil
    }
  }

  /// What messages call it: `f32[2, 3]`, `a sequence of 3 tensors`.
  public var summary: String {
    switch self {
    case .tensor(let tensor): tensor.type.description
    case .sequence(let tensors, _): "a sequence of \(tensors.count) tensors"
    case .absent: "nothing"
    }
  }
}
