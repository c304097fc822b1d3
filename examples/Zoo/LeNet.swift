import Tracing

/// A small network for 28×28 digits: two 3×3 convolutions with pooling, then three linear layers. `x` [batch, 1, 28, 28] to `logits`
/// [batch, 10].
public struct LeNet: Layer {
  let conv1 = Convolution(1, 6, kernel: 3)
  let conv2 = Convolution(6, 16, kernel: 3)
  let fc1 = Linear(400, 120)
  let fc2 = Linear(120, 84)
  let fc3 = Linear(84, 10)

  /// The network.
  public init() {}

  func callAsFunction(_ image: Tensor) -> Tensor {
    var x = conv1(image).relu().maxPooled([2, 2])
    x = conv2(x).relu().maxPooled([2, 2])
    x = x.flattened(from: 1)
    return fc3(fc2(fc1(x).relu()).relu())
  }
}

extension LeNet: ZooModel {
  /// Traces the network.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    try trace(name, self, weights: weights) { trace in
      trace.output("logits", self(trace.input("x", [Extent.symbol("batch"), 1, 28, 28])))
    }
  }

  /// The network; there is nothing to configure.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> LeNet { LeNet() }

  /// The network in its only size.
  static let entries = [
    ZooEntry(name: "lenet", summary: "LeNet: two convolutions and three linear layers, for digits") { LeNet() }
  ]
}
