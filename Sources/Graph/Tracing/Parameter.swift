import Graph

/// What makes two parameters the same one.
final class ParameterIdentity: Hashable, Sendable {
  static func == (a: ParameterIdentity, b: ParameterIdentity) -> Bool { a === b }
  func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A tensor of a model that has stored numbers: a weight, or a buffer such as the mean of a batch norm.
///
/// It has a shape and says how it is filled at random; its numbers come from the `Weights` of a trace. Copies are the same parameter: to
/// share one between layers, hand it on. Its name is the path of the first property that leads to it.
public struct Parameter: Sendable {
  /// How random numbers are drawn.
  public enum Initialiser: Sendable, Hashable {
    /// All the same.
    case constant(Double)
    /// Uniform between −bound and bound.
    case uniform(Double)
    /// Normal with mean 0.
    case normal(deviation: Double)

    /// Zeros.
    public static var zeros: Initialiser { .constant(0) }
    /// Ones.
    public static var ones: Initialiser { .constant(1) }
    /// Uniform within 1/√inputs, as PyTorch fills linear layers and convolutions.
    public static func scaled(inputs: Int) -> Initialiser { .uniform(1 / Double(Swift.max(inputs, 1)).squareRoot()) }
  }

  /// Lengths of the axes.
  public let shape: [Int]
  /// The type it is computed with. Numbers stored in another type of floats are kept as they are and converted when the model runs.
  public let element: ElementType
  /// How random numbers are drawn.
  public let initialiser: Initialiser
  let identity = ParameterIdentity()

  /// A parameter of a shape.
  public init(_ shape: [Int], element: ElementType = .f32, _ initialiser: Initialiser = .normal(deviation: 0.02)) {
    self.shape = shape
    self.element = element
    self.initialiser = initialiser
  }

  /// Its tensor in the trace that is being made.
  public var tensor: Tensor {
    if let builder = TraceBuilder.current, let stored = builder.tensor(of: identity) {
      guard stored.element != element else { return stored }
      let wide = stored.made(.elementwise(.cast), [], [.init(.to, .int(element.onnxCode))], .parameter)
      builder.bind(identity, to: wide)
      return wide
    }
    let builder = TraceBuilder.current ?? .none
    builder.fail(
      Diagnostic(
        .invalid,
        "a parameter of shape \(shape) is read that no property of the traced model leads to; hold it in a property of a Layer"))
    return builder.poisoned(.parameter)
  }
}
