import Tracing

/// Depth of a residual network (He et al. 2015).
public struct ResNetConfiguration: Sendable {
  /// Blocks at each of the four resolutions.
  public var blocks = [2, 2, 2, 2]
  /// Blocks narrow to a quarter of their width and widen again (ResNet-50 and deeper).
  public var isBottleneck = false
  /// Channels of the first resolution; each next one has twice as many.
  public var width = 64
  /// Classes.
  public var classes = 1000

  /// ResNet-18.
  public init() {}
}

/// Convolutions beside a shortcut.
struct ResidualBlock: Layer {
  let conv1: Convolution
  let bn1: BatchNorm
  let conv2: Convolution
  let bn2: BatchNorm
  let conv3: Convolution?
  let bn3: BatchNorm?
  let downsample: Downsample?

  init(_ inputs: Int, _ width: Int, stride: Int, isBottleneck: Bool) {
    let outputs = isBottleneck ? 4 * width : width
    conv1 =
      isBottleneck
      ? Convolution(inputs, width, kernel: 1, bias: false)
      : Convolution(inputs, width, kernel: 3, stride: stride, padding: 1, bias: false)
    bn1 = BatchNorm(width)
    conv2 = Convolution(width, width, kernel: 3, stride: isBottleneck ? stride : 1, padding: 1, bias: false)
    bn2 = BatchNorm(width)
    conv3 = isBottleneck ? Convolution(width, outputs, kernel: 1, bias: false) : nil
    bn3 = isBottleneck ? BatchNorm(outputs) : nil
    downsample = stride != 1 || inputs != outputs ? Downsample(inputs, outputs, stride: stride) : nil
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    var y = bn2(conv2(bn1(conv1(x)).relu()))
    if let conv3, let bn3 { y = bn3(conv3(y.relu())) }
    return (y + (downsample?(x) ?? x)).relu()
  }
}

/// The shortcut where resolution or width change.
struct Downsample: Layer {
  let convolution: Convolution
  let norm: BatchNorm

  static let names = ["convolution": "0", "norm": "1"]

  init(_ inputs: Int, _ outputs: Int, stride: Int) {
    convolution = Convolution(inputs, outputs, kernel: 1, stride: stride, bias: false)
    norm = BatchNorm(outputs)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { norm(convolution(x)) }
}

/// A residual network: `x` [batch, 3, height, width] to `logits` [batch, classes]. Height and width are free, from 32 on.
public struct ResNet: Layer {
  let conv1: Convolution
  let bn1: BatchNorm
  let layer1: [ResidualBlock]
  let layer2: [ResidualBlock]
  let layer3: [ResidualBlock]
  let layer4: [ResidualBlock]
  let classifier: Linear

  /// As torchvision calls them.
  public static let names = ["classifier": "fc"]

  /// A model of the given depth; missing numbers of blocks count as 1.
  public init(_ configuration: ResNetConfiguration) {
    let c = configuration
    var channels = c.width
    func stage(_ index: Int) -> [ResidualBlock] {
      let width = c.width << index
      let count = c.blocks.indices.contains(index) ? c.blocks[index] : 1
      return (0..<count).map { block in
        defer { channels = c.isBottleneck ? 4 * width : width }
        return ResidualBlock(channels, width, stride: block == 0 && index > 0 ? 2 : 1, isBottleneck: c.isBottleneck)
      }
    }
    conv1 = Convolution(3, c.width, kernel: 7, stride: 2, padding: 3, bias: false)
    bn1 = BatchNorm(c.width)
    layer1 = stage(0)
    layer2 = stage(1)
    layer3 = stage(2)
    layer4 = stage(3)
    classifier = Linear(channels, c.classes)
  }

  func callAsFunction(_ image: Tensor) -> Tensor {
    var x = bn1(conv1(image)).relu().maxPooled([3, 3], stride: [2, 2], padding: [1, 1])
    for block in layer1 + layer2 + layer3 + layer4 { x = block(x) }
    return classifier(x.globalAveragePooled().flattened(from: 1))
  }
}

extension ResNet: ZooModel {
  /// Traces the model for images of any height and width.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    try trace(name, self, weights: weights) { trace in
      let image = trace.input("x", [Extent.symbol("batch"), 3, Extent.symbol("height"), Extent.symbol("width")])
      trace.output("logits", self(image))
    }
  }

  /// The model that a configuration names: `architecture` (`resnet18`, `resnet34`, `resnet50`), `num_classes`, and `model_args` with
  /// `layers` and `width`.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> ResNet {
    let stated = try configuration.text("architecture")
    let name = stated ?? "resnet18"
    guard var c = published.first(where: { $0.name == name })?.configuration else {
      throw Diagnostic(.unsupported, "'architecture' is '\(name)', which is no ResNet that is known", file: configuration.name)
    }
    c.classes = try configuration.count("num_classes", default: c.classes)
    if let arguments = try configuration.object("model_args") {
      if let blocks = try arguments.counts("layers") {
        try arguments.require(
          blocks.count == 4 && blocks.allSatisfy { (1...1000).contains($0) },
          "'layers' is \(blocks), where four counts are expected")
        c.blocks = blocks
      }
      c.width = try arguments.count("width", default: c.width)
      try arguments.require(c.width <= 1 << 20, "'width' is \(c.width), which is absurd")
    }
    return ResNet(c)
  }

  private static let published: [(name: String, summary: String, configuration: ResNetConfiguration)] = {
    var thirtyFour = ResNetConfiguration()
    thirtyFour.blocks = [3, 4, 6, 3]
    var fifty = thirtyFour
    fifty.isBottleneck = true
    return [
      ("resnet18", "ResNet-18 with 11.7 million parameters", ResNetConfiguration()),
      ("resnet34", "ResNet-34 with 21.8 million parameters", thirtyFour),
      ("resnet50", "ResNet-50 with 25.6 million parameters: bottleneck blocks", fifty),
    ]
  }()

  /// ResNets in their published sizes.
  static let entries: [ZooEntry] = published.map { published in
    ZooEntry(name: published.name, summary: published.summary) { ResNet(published.configuration) }
  }
}
