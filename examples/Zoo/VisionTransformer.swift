import Tracing

/// Sizes and habits of a vision transformer: ViT, DeiT, DINO, DINOv2.
public struct VisionConfiguration: Sendable {
  /// How the fused layer's result becomes queries, keys and values. The three give the same numbers, and are pruned alike.
  public enum Split: Sendable, CaseIterable {
    /// Reshaped to [3, batch, heads, tokens, size], then `qkv[0]`, `qkv[1]`, `qkv[2]`.
    case indexed
    /// The same, unbound along its first axis.
    case unbound
    /// Cut in three along the last axis, then each reshaped.
    case chunked
  }

  /// Height and width of an image.
  public var image = 224
  /// Height and width of a patch.
  public var patch = 16
  /// Colours.
  public var channels = 3
  /// Classes; 0 gives the features before the last layer.
  public var classes = 1000
  /// Width of the stream.
  public var width = 768
  /// Blocks.
  public var depth = 12
  /// Heads.
  public var heads = 12
  /// Width inside the MLP; of a gated one, gate and value together.
  public var hidden = 3072
  /// Each block's result is multiplied by numbers of its own (DINOv2).
  public var hasLayerScale = false
  /// Further tokens that belong to no patch (DINOv2 with registers).
  public var registers = 0
  /// The class token and registers have no position.
  public var positionsPatchesOnly = false
  /// The MLP is silu(gate) · value.
  public var isGated = false
  /// How queries, keys and values come apart.
  public var split = Split.indexed

  /// ViT base with patches of 16.
  public init() {}
}

/// Attention between all tokens, from one fused layer.
struct VisionAttention: Layer {
  let qkv: Linear
  let projection: Linear
  let heads: Int
  let split: VisionConfiguration.Split

  static let names = ["projection": "proj"]

  init(_ c: VisionConfiguration) {
    qkv = Linear(c.width, 3 * c.width)
    projection = Linear(c.width, c.width)
    (heads, split) = (c.heads, c.split)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (batch, tokens) = (x.shape[0], x.shape[1])
    let parts: (queries: Tensor, keys: Tensor, values: Tensor)
    switch split {
    case .indexed:
      let all = qkv(x).reshaped(to: [batch, tokens, 3, heads, -1]).permuted([2, 0, 3, 1, 4])
      parts = (all[0], all[1], all[2])
    case .unbound:
      let all = qkv(x).reshaped(to: [batch, tokens, 3, heads, -1]).permuted([2, 0, 3, 1, 4]).unbound(axis: 0, count: 3)
      parts = (all[0], all[1], all[2])
    case .chunked:
      let all = qkv(x).chunked(3, axis: -1).map { $0.reshaped(to: [batch, tokens, heads, -1]).transposed(1, 2) }
      parts = (all[0], all[1], all[2])
    }
    let mixed = parts.queries.attention(keys: parts.keys, values: parts.values)
    return projection(mixed.transposed(1, 2).flattened(from: 2))
  }
}

/// Two linear layers with a function between them.
struct VisionMlp: Layer {
  let first: Linear
  let second: Linear
  let isGated: Bool

  static let names = ["first": "fc1", "second": "fc2"]

  init(_ c: VisionConfiguration) {
    first = Linear(c.width, c.hidden)
    second = Linear(c.isGated ? c.hidden / 2 : c.hidden, c.width)
    isGated = c.isGated
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    guard isGated else { return second(first(x).gelu()) }
    let halves = first(x).chunked(2, axis: -1)
    return second(halves[0].silu() * halves[1])
  }
}

/// Numbers that a block's result is multiplied by.
struct LayerScale: Layer {
  let gamma: Parameter

  init(_ width: Int) { gamma = Parameter([width], .constant(1e-5)) }

  func callAsFunction(_ x: Tensor) -> Tensor { x * gamma.tensor }
}

/// x + attention(norm x), then x + mlp(norm x).
struct VisionBlock: Layer {
  let norm1: LayerNorm
  let attention: VisionAttention
  let scale1: LayerScale?
  let norm2: LayerNorm
  let mlp: VisionMlp
  let scale2: LayerScale?

  static let names = ["attention": "attn", "scale1": "ls1", "scale2": "ls2"]

  init(_ c: VisionConfiguration) {
    norm1 = LayerNorm(c.width, epsilon: 1e-6)
    attention = VisionAttention(c)
    scale1 = c.hasLayerScale ? LayerScale(c.width) : nil
    norm2 = LayerNorm(c.width, epsilon: 1e-6)
    mlp = VisionMlp(c)
    scale2 = c.hasLayerScale ? LayerScale(c.width) : nil
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let attended = attention(norm1(x))
    let seen = x + (scale1?(attended) ?? attended)
    let thought = mlp(norm2(seen))
    return seen + (scale2?(thought) ?? thought)
  }
}

/// A vision transformer (Dosovitskiy et al. 2020): `x` [batch, channels, image, image] to `logits` [batch, classes], or to `features`
/// [batch, width] without classes.
public struct VisionTransformer: Layer {
  let classToken: Parameter
  let registerTokens: Parameter?
  let positions: Parameter
  let patches: Convolution
  let blocks: [VisionBlock]
  let norm: LayerNorm
  let head: Linear?
  let configuration: VisionConfiguration

  /// As timm calls them.
  public static let names = [
    "classToken": "cls_token", "registerTokens": "reg_token", "positions": "pos_embed", "patches": "patch_embed.proj",
  ]

  /// A model of the given sizes.
  public init(_ configuration: VisionConfiguration) {
    let c = configuration
    let side = c.image / max(c.patch, 1)
    let positioned = c.positionsPatchesOnly ? 0 : 1 + c.registers
    classToken = Parameter([1, 1, c.width])
    registerTokens = c.registers > 0 ? Parameter([1, c.registers, c.width]) : nil
    positions = Parameter([1, side.multipliedReportingOverflow(by: side).partialValue + positioned, c.width])
    patches = Convolution(c.channels, c.width, kernel: c.patch, stride: c.patch)
    blocks = (0..<c.depth).map { _ in VisionBlock(c) }
    norm = LayerNorm(c.width, epsilon: 1e-6)
    head = c.classes > 0 ? Linear(c.width, c.classes) : nil
    self.configuration = c
  }

  func callAsFunction(_ image: Tensor) -> Tensor {
    let batch = image.shape[0]
    var x = patches(image).flattened(from: 2).transposed(1, 2)
    if configuration.positionsPatchesOnly { x = x + positions.tensor }
    let others = [classToken.tensor] + (registerTokens.map { [$0.tensor] } ?? [])
    x = .concatenated(others.map { $0.expanded(to: [batch, -1, -1]) } + [x], axis: 1)
    if !configuration.positionsPatchesOnly { x = x + positions.tensor }
    for block in blocks { x = block(x) }
    let features = norm(x)[0..., 0]
    return head?(features) ?? features
  }
}

extension VisionTransformer: ZooModel {
  /// Traces the model.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    try trace(name, self, weights: weights) { trace in
      let c = configuration
      let image = trace.input("x", [Extent.symbol("batch"), c.channels, c.image, c.image])
      trace.output(head == nil ? "features" : "logits", self(image))
    }
  }

  /// The model that a `config.json` of timm describes: `architecture` names it, `model_args` and `num_classes` change it.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> VisionTransformer {
    let stated = try configuration.text("architecture")
    let name = stated ?? "vit_base_patch16_224"
    guard var c = VisionConfiguration.named(name) else {
      throw Diagnostic(
        .unsupported, "'architecture' is '\(name)', which is no vision transformer that is known", file: configuration.name)
    }
    c.classes = try configuration.count("num_classes", default: c.classes, least: 0)
    if let arguments = try configuration.object("model_args") { try c.change(arguments) }
    try configuration.require(c.image % c.patch == 0, "images of \(c.image) are not a whole number of patches of \(c.patch)")
    try configuration.require(c.width % c.heads == 0, "a width of \(c.width) is not a whole number of \(c.heads) heads")
    try configuration.require(!c.isGated || c.hidden % 2 == 0, "a gated MLP needs an even width, not \(c.hidden)")
    return VisionTransformer(c)
  }

  /// Vision transformers in their published sizes.
  static let entries: [ZooEntry] = VisionConfiguration.published.map { published in
    ZooEntry(name: published.name, summary: published.summary) { VisionTransformer(published.configuration) }
  }
}

extension VisionConfiguration {
  private init(_ width: Int, heads: Int, patch: Int = 16) {
    (self.width, self.heads, self.patch, hidden) = (width, heads, patch, 4 * width)
  }

  /// Published models by timm's names.
  static let published: [(name: String, summary: String, configuration: VisionConfiguration)] = {
    var dino = VisionConfiguration(384, heads: 6)
    dino.classes = 0
    var second = VisionConfiguration(384, heads: 6, patch: 14)
    (second.classes, second.image, second.hasLayerScale) = (0, 518, true)
    var registers = second
    (registers.registers, registers.positionsPatchesOnly) = (4, true)
    return [
      (
        "vit_tiny_patch16_224", "ViT with 5.7 million parameters; its qkv is reshaped and indexed",
        VisionConfiguration(192, heads: 3)
      ),
      ("vit_small_patch16_224", "ViT with 22 million parameters", VisionConfiguration(384, heads: 6)),
      ("vit_base_patch16_224", "ViT with 87 million parameters", VisionConfiguration()),
      ("deit_tiny_patch16_224", "DeiT, the same architecture as ViT", VisionConfiguration(192, heads: 3)),
      ("deit_small_patch16_224", "DeiT with 22 million parameters", VisionConfiguration(384, heads: 6)),
      ("vit_small_patch16_224.dino", "DINO: features without a classifier", dino),
      ("vit_small_patch14_dinov2", "DINOv2: patches of 14, layer scale", second),
      ("vit_small_patch14_reg4_dinov2", "DINOv2 with four registers", registers),
    ]
  }()

  /// A published one by timm's name, with or without the tag after the dot.
  static func named(_ name: String) -> VisionConfiguration? {
    let plain = name.split(separator: ".").first.map(String.init) ?? name
    return published.first { $0.name == name }?.configuration ?? published.first { $0.name == plain }?.configuration
  }

  /// What timm's `model_args` change.
  mutating func change(_ arguments: Configuration) throws(Diagnostic) {
    image = try arguments.count("img_size", default: image)
    patch = try arguments.count("patch_size", default: patch)
    channels = try arguments.count("in_chans", default: channels)
    classes = try arguments.count("num_classes", default: classes, least: 0)
    let ratio = try arguments.number("mlp_ratio", default: Double(hidden) / Double(width))
    width = try arguments.count("embed_dim", default: width)
    depth = try arguments.layers("depth", default: depth)
    heads = try arguments.count("num_heads", default: heads)
    try arguments.require(ratio > 0 && ratio <= 64, "'mlp_ratio' is \(ratio), which is not between 0 and 64")
    hidden = max(Int(Double(width) * ratio), 1)
    if arguments.value("init_values") != nil { hasLayerScale = true }
    registers = try arguments.count("reg_tokens", default: registers, least: 0)
    positionsPatchesOnly = try arguments.flag("no_embed_class", default: positionsPatchesOnly)
    isGated = try arguments.text("mlp_layer") == "SwiGLUPacked"
  }
}
