import Tracing

/// Sizes of GPT-2 (Radford et al. 2019).
public struct Gpt2Configuration: Sendable {
  /// Tokens in the vocabulary.
  public var vocabulary = 50_257
  /// Longest sequence.
  public var positions = 1024
  /// Width of the stream.
  public var width = 768
  /// Layers.
  public var layers = 12
  /// Heads.
  public var heads = 12
  /// Width inside the MLP.
  public var hidden = 3072
  /// The function in the MLP.
  public var activation = Activation.newGelu
  /// Added to the variance in norms.
  public var epsilon = 1e-5

  /// GPT-2 with 124 million parameters.
  public init() {}
}

/// x W + b: a linear layer whose weight is [inputs, outputs]. GPT-2's checkpoints call it Conv1D.
struct TransposedLinear: Layer {
  let weight: Parameter
  let bias: Parameter

  init(_ inputs: Int, _ outputs: Int) {
    weight = Parameter([inputs, outputs])
    bias = Parameter([outputs], .zeros)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { x.matmul(weight.tensor) + bias.tensor }
}

/// x + attention(norm x), then x + mlp(norm x).
struct Gpt2Layer: Layer {
  let norm1: LayerNorm
  let attention: Gpt2Attention
  let norm2: LayerNorm
  let widen: TransposedLinear
  let narrow: TransposedLinear
  let activation: Activation

  static let names = [
    "norm1": "ln_1", "attention": "attn", "norm2": "ln_2", "widen": "mlp.c_fc", "narrow": "mlp.c_proj",
  ]

  init(_ c: Gpt2Configuration) {
    norm1 = LayerNorm(c.width, epsilon: c.epsilon)
    attention = Gpt2Attention(c)
    norm2 = LayerNorm(c.width, epsilon: c.epsilon)
    widen = TransposedLinear(c.width, c.hidden)
    narrow = TransposedLinear(c.hidden, c.width)
    activation = c.activation
  }

  func callAsFunction(_ x: Tensor, mask: Tensor) -> Tensor {
    let seen = x + attention(norm1(x), mask: mask)
    return seen + narrow(activation(widen(norm2(seen))))
  }
}

/// Attention to what came before, from one fused layer.
struct Gpt2Attention: Layer {
  let qkv: TransposedLinear
  let output: TransposedLinear
  let heads: Int

  static let names = ["qkv": "c_attn", "output": "c_proj"]
  // The causal mask that older checkpoints hold.
  static let ignored = ["bias", "masked_bias"]

  init(_ c: Gpt2Configuration) {
    qkv = TransposedLinear(c.width, 3 * c.width)
    output = TransposedLinear(c.width, c.width)
    heads = c.heads
  }

  func callAsFunction(_ x: Tensor, mask: Tensor) -> Tensor {
    let parts = qkv(x).chunked(3, axis: -1).map { part in
      part.reshaped(to: [x.shape[0], x.shape[1], heads, -1]).transposed(1, 2)
    }
    return output(parts[0].attention(keys: parts[1], values: parts[2], mask: mask).transposed(1, 2).flattened(from: 2))
  }
}

/// GPT-2: `input_ids` [batch, sequence] to `logits` [batch, sequence, vocabulary].
public struct Gpt2: Layer {
  let tokens: Embedding
  let positions: Embedding
  let layers: [Gpt2Layer]
  let norm: LayerNorm
  let head: Linear?
  let isHeadless: Bool

  /// As transformers calls them.
  public static let names = [
    "tokens": "transformer.wte", "positions": "transformer.wpe", "layers": "transformer.h", "norm": "transformer.ln_f",
    "head": "lm_head",
  ]

  /// A model of the given sizes; without a head it gives `last_hidden_state` instead of `logits`.
  public init(_ configuration: Gpt2Configuration, tied: Bool = true, isHeadless: Bool = false) {
    let c = configuration
    tokens = Embedding(c.vocabulary, c.width, deviation: 0.02)
    positions = Embedding(c.positions, c.width, deviation: 0.02)
    layers = (0..<c.layers).map { _ in Gpt2Layer(c) }
    norm = LayerNorm(c.width, epsilon: c.epsilon)
    self.isHeadless = isHeadless
    head = tied || isHeadless ? nil : Linear(c.width, c.vocabulary, bias: false)
  }
}

extension Gpt2: ZooModel {
  /// Traces the model. Models without a head, and the first checkpoints of others, lack the beginning `transformer.` of all names.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    let isBare = isHeadless || weights.holds("wte.weight")
    func stored(_ name: String) -> String {
      isBare && name.hasPrefix("transformer.") ? String(name.dropFirst("transformer.".count)) : name
    }
    return try trace(name, self, weights: weights, renaming: stored) { trace in
      let ids = trace.input("input_ids", [Extent.symbol("batch"), Extent.symbol("sequence")], element: .i64)
      let mask = trace.causalMask(ids.shape[1])
      var x = tokens(ids) + positions.weight.tensor.prefix(ids.shape[1], axis: 0)
      for layer in layers { x = layer(x, mask: mask) }
      x = norm(x)
      if isHeadless { return trace.output("last_hidden_state", x) }
      trace.output("logits", head?(x) ?? x.linear(tokens.weight.tensor))
    }
  }

  /// The model that a `config.json` of GPT-2 describes.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> Gpt2 {
    let c = configuration
    var sizes = Gpt2Configuration()
    sizes.vocabulary = try c.count("vocab_size")
    sizes.positions = try c.count("n_positions", default: 1024)
    sizes.width = try c.count("n_embd")
    sizes.layers = try c.layers("n_layer")
    sizes.heads = try c.count("n_head")
    sizes.hidden = try c.count("n_inner", default: 4 * sizes.width)
    sizes.activation = try c.activation("activation_function", default: .newGelu)
    sizes.epsilon = try c.number("layer_norm_epsilon", default: 1e-5)
    try c.require(
      sizes.width % sizes.heads == 0, "'n_embd' is \(sizes.width), which is no multiple of 'n_head', \(sizes.heads)")
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
      try c.require(try !c.flag(key, default: false), "'\(key)' is true, which is not known here")
    }
    try c.require(try c.flag("scale_attn_weights", default: true), "'scale_attn_weights' is false, which is not known here")
    let isHeadless = try c.texts("architectures")?.first == "GPT2Model"
    return Gpt2(sizes, tied: try c.flag("tie_word_embeddings", default: true), isHeadless: isHeadless)
  }

  /// GPT-2 in its published sizes.
  static let entries: [ZooEntry] = [
    ZooEntry(name: "gpt2", summary: "GPT-2 with 124 million parameters: fused attention, weights of [inputs, outputs], tied") {
      Gpt2(Gpt2Configuration())
    }
  ]
}
