import Tracing

/// Functions between layers, by the names that `hidden_act` gives them.
public enum Activation: String, Sendable {
  case relu, silu, swish, gelu, tanh
  case tanhGelu = "gelu_pytorch_tanh"
  case newGelu = "gelu_new"

  /// Applies it to every number.
  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .relu: x.relu()
    case .silu, .swish: x.silu()
    case .gelu: x.gelu()
    case .tanh: x.tanh()
    case .tanhGelu, .newGelu: x.gelu(.tanh)
    }
  }
}

extension Configuration {
  /// The activation under a key; throws for one that is not known.
  func activation(_ key: String, default fallback: Activation) throws(Diagnostic) -> Activation {
    guard let name = try text(key) else { return fallback }
    guard let known = Activation(rawValue: name) else {
      throw Diagnostic(.unsupported, "'\(key)' is '\(name)', an activation that is not known here", file: self.name)
    }
    return known
  }
}
