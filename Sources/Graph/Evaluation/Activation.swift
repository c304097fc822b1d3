import Foundation

/// A function of one number that recurrent cells and fused operators name.
enum Activation: Sendable {
  case relu
  case tanh
  case sigmoid
  case affine(Double, Double)
  case leakyRelu(Double)
  case thresholdedRelu(Double)
  case scaledTanh(Double, Double)
  case hardSigmoid(Double, Double)
  case elu(Double)
  case softsign
  case softplus
  case clip(Double, Double)

  /// The function with a name, letters of either case, and its numbers; those left out are ONNX's defaults. Nil for an unknown name.
  init?(_ name: String, alpha: Double? = nil, beta: Double? = nil) {
    switch name.lowercased() {
    case "relu": self = .relu
    case "tanh": self = .tanh
    case "sigmoid": self = .sigmoid
    case "affine": self = .affine(alpha ?? 1, beta ?? 0)
    case "leakyrelu": self = .leakyRelu(alpha ?? 0.01)
    case "thresholdedrelu": self = .thresholdedRelu(alpha ?? 1)
    case "scaledtanh": self = .scaledTanh(alpha ?? 1, beta ?? 1)
    case "hardsigmoid": self = .hardSigmoid(alpha ?? 0.2, beta ?? 0.5)
    case "elu": self = .elu(alpha ?? 1)
    case "softsign": self = .softsign
    case "softplus": self = .softplus
    case _: return nil
    }
  }

  /// How many numbers of `activation_alpha` and of `activation_beta` the function takes.
  var parameters: (alpha: Int, beta: Int) {
    switch self {
    case .relu, .tanh, .sigmoid, .softsign, .softplus, .clip: (0, 0)
    case .leakyRelu, .thresholdedRelu, .elu: (1, 0)
    case .affine, .scaledTanh, .hardSigmoid: (1, 1)
    }
  }

  /// The function's value.
  func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .relu: x < 0 ? 0 : x
    case .tanh: Foundation.tanh(x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .affine(let alpha, let beta): alpha * x + beta
    case .leakyRelu(let alpha): x < 0 ? alpha * x : x
    case .thresholdedRelu(let alpha): x > alpha ? x : 0
    case .scaledTanh(let alpha, let beta): alpha * Foundation.tanh(beta * x)
    case .hardSigmoid(let alpha, let beta): min(max(alpha * x + beta, 0), 1)
    case .elu(let alpha): x < 0 ? alpha * expm1(x) : x
    case .softsign: x / (1 + abs(x))
    case .softplus: x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))
    case .clip(let low, let high): min(max(x, low), high)
    }
  }
}
