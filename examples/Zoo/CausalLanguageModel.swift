import Tracing

/// Sizes and habits of a decoder of the Llama family: Llama, Mistral, Qwen2, Qwen3, Gemma, and those with experts.
public struct CausalConfiguration: Sendable {
  /// Tokens in the vocabulary.
  public var vocabulary = 32_000
  /// Width of the stream.
  public var width = 4096
  /// Width inside the MLP.
  public var hidden = 11_008
  /// Layers.
  public var layers = 32
  /// Heads of queries.
  public var heads = 32
  /// Heads of keys and values; each serves heads / keyValueHeads heads of queries.
  public var keyValueHeads = 32
  /// Dims of a head; width / heads unless the model says otherwise.
  public var headSize = 128
  /// Added to the mean square in norms.
  public var epsilon = 1e-6
  /// Positions.
  public var rotary = RotaryEmbedding()
  /// The function in the MLP.
  public var activation = Activation.silu
  /// The output layer is the embedding's table.
  public var isTied = false
  /// Queries, keys and values have biases.
  public var hasAttentionBias = false
  /// The attention's output has a bias.
  public var hasOutputBias = false
  /// The MLP's layers have biases.
  public var hasMlpBias = false
  /// Queries and keys are normalised per head (Qwen3).
  public var normalisesHeads = false
  /// Without the output layer: the model gives `last_hidden_state`, and names lack `model.` at their beginning.
  public var isHeadless = false
  /// Norms scale by 1 + w, and embeddings by √width (Gemma).
  public var isGemma = false
  /// Experts of a layer; 0 where all layers have one MLP.
  public var experts = 0
  /// Experts that a token meets.
  public var expertsPerToken = 2
  /// Width inside an expert.
  public var expertHidden = 768
  /// The shares of a token's experts add up to 1.
  public var normalisesExperts = false
  /// Layers that have one MLP although others have experts.
  public var denseLayers: Set<Int> = []
  /// Experts are called as in Mixtral.
  public var isMixtral = false
  /// By layer, how far back a token sees; nil: all the way.
  public var windows: [Int?] = []

  /// Llama 2 with 7 billion parameters.
  public init() {}
}

/// Attention with grouped queries and rotary positions.
struct CausalAttention: Layer {
  let queries: Linear
  let keys: Linear
  let values: Linear
  let output: Linear
  let queryNorm: RMSNorm?
  let keyNorm: RMSNorm?
  let heads: Int
  let groups: Int
  let size: Int

  static let names = [
    "queries": "q_proj", "keys": "k_proj", "values": "v_proj", "output": "o_proj", "queryNorm": "q_norm", "keyNorm": "k_norm",
  ]
  // Frequencies that early checkpoints of Llama hold; they follow from the configuration.
  static let ignored = ["rotary_emb.inv_freq"]

  init(_ c: CausalConfiguration) {
    queries = Linear(c.width, c.heads * c.headSize, bias: c.hasAttentionBias)
    keys = Linear(c.width, c.keyValueHeads * c.headSize, bias: c.hasAttentionBias)
    values = Linear(c.width, c.keyValueHeads * c.headSize, bias: c.hasAttentionBias)
    output = Linear(c.heads * c.headSize, c.width, bias: c.hasOutputBias)
    queryNorm = c.normalisesHeads ? RMSNorm(c.headSize, epsilon: c.epsilon) : nil
    keyNorm = c.normalisesHeads ? RMSNorm(c.headSize, epsilon: c.epsilon) : nil
    (heads, groups, size) = (c.heads, c.keyValueHeads, c.headSize)
  }

  /// x [batch, sequence, width]; the mask says which keys [sequence] each query [sequence] sees.
  func callAsFunction(_ x: Tensor, _ rotation: Rotation, mask: Tensor) -> Tensor {
    let (batch, sequence) = (x.shape[0], x.shape[1])
    func split(_ x: Tensor, _ heads: Int, _ norm: RMSNorm?) -> Tensor {
      let apart = x.reshaped(to: [batch, sequence, heads, size])
      return (norm?(apart) ?? apart).transposed(1, 2)
    }
    let q = rotation(split(queries(x), heads, queryNorm))
    let k = rotation(split(keys(x), groups, keyNorm)).repeated(heads / groups, axis: 1)
    let v = split(values(x), groups, nil).repeated(heads / groups, axis: 1)
    let mixed = q.attention(keys: k, values: v, mask: mask)
    return output(mixed.transposed(1, 2).reshaped(to: [batch, sequence, heads * size]))
  }
}

/// down(activation(gate x) · up x).
struct GatedMlp: Layer {
  let gate: Linear
  let up: Linear
  let down: Linear
  let activation: Activation

  static let names = ["gate": "gate_proj", "up": "up_proj", "down": "down_proj"]

  init(_ width: Int, _ hidden: Int, _ activation: Activation, bias: Bool = false) {
    gate = Linear(width, hidden, bias: bias)
    up = Linear(width, hidden, bias: bias)
    down = Linear(hidden, width, bias: bias)
    self.activation = activation
  }

  func callAsFunction(_ x: Tensor) -> Tensor { down(activation(gate(x)) * up(x)) }
}

/// One layer: x + attention(norm x), then x + mlp(norm x).
struct CausalLayer: Layer {
  let attention: CausalAttention
  let mlp: GatedMlp?
  let experts: MixtureOfExperts?
  let mixtral: MixtralExperts?
  let attentionNorm: RMSNorm
  let mlpNorm: RMSNorm

  static let names = [
    "attention": "self_attn", "attentionNorm": "input_layernorm", "mlpNorm": "post_attention_layernorm",
    "experts": "mlp", "mixtral": "block_sparse_moe",
  ]

  init(_ c: CausalConfiguration, index: Int) {
    let isDense = c.experts == 0 || c.denseLayers.contains(index)
    attention = CausalAttention(c)
    mlp = isDense ? GatedMlp(c.width, c.hidden, c.activation, bias: c.hasMlpBias) : nil
    experts = !isDense && !c.isMixtral ? MixtureOfExperts(c) : nil
    mixtral = !isDense && c.isMixtral ? MixtralExperts(c) : nil
    attentionNorm = RMSNorm(c.width, epsilon: c.epsilon, offset: c.isGemma)
    mlpNorm = RMSNorm(c.width, epsilon: c.epsilon, offset: c.isGemma)
  }

  func callAsFunction(_ x: Tensor, _ rotation: Rotation, mask: Tensor) -> Tensor {
    let seen = x + attention(attentionNorm(x), rotation, mask: mask)
    let x = mlpNorm(seen)
    return seen + (mlp?(x) ?? experts?(x) ?? mixtral?(x) ?? x)
  }
}

/// A decoder that says what token comes next: `input_ids` [batch, sequence] to `logits` [batch, sequence, vocabulary].
public struct CausalLanguageModel: Layer {
  let embedding: Embedding
  let layers: [CausalLayer]
  let norm: RMSNorm
  let head: Linear?
  let configuration: CausalConfiguration

  /// As transformers calls them.
  public static let names = [
    "embedding": "model.embed_tokens", "layers": "model.layers", "norm": "model.norm", "head": "lm_head",
  ]

  /// A model of the given sizes.
  public init(_ configuration: CausalConfiguration) {
    let c = configuration
    embedding = Embedding(c.vocabulary, c.width, deviation: 0.02)
    layers = (0..<c.layers).map { CausalLayer(c, index: $0) }
    norm = RMSNorm(c.width, epsilon: c.epsilon, offset: c.isGemma)
    head = c.isTied || c.isHeadless ? nil : Linear(c.width, c.vocabulary, bias: false)
    self.configuration = c
  }

  func callAsFunction(_ tokens: Tensor, _ trace: Trace) -> Tensor {
    let sequence = tokens.shape[1]
    let rotation = configuration.rotary.tables(trace, length: sequence, size: configuration.headSize)
    var masks: [Int?: Tensor] = [:]
    var x = embedding(tokens)
    if configuration.isGemma { x = x * Double(configuration.width).squareRoot() }
    for (index, layer) in layers.enumerated() {
      let window = configuration.windows.indices.contains(index) ? configuration.windows[index] : nil
      let mask = masks[window] ?? trace.causalMask(sequence, window: window)
      masks[window] = mask
      x = layer(x, rotation, mask: mask)
    }
    x = norm(x)
    if configuration.isHeadless { return x }
    return head?(x) ?? x.linear(embedding.weight.tensor)
  }
}

extension CausalLanguageModel: ZooModel {
  /// `input_ids` [batch, sequence] to `logits`.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    let isHeadless = configuration.isHeadless
    func stored(_ name: String) -> String {
      isHeadless && name.hasPrefix("model.") ? String(name.dropFirst("model.".count)) : name
    }
    return try trace(name, self, weights: weights, renaming: stored) { trace in
      let tokens = trace.input("input_ids", [Extent.symbol("batch"), Extent.symbol("sequence")], element: .i64)
      trace.output(isHeadless ? "last_hidden_state" : "logits", self(tokens, trace))
    }
  }
}

// MARK: - From config.json

extension CausalConfiguration {
  /// Members of the family that a `config.json` may name.
  enum Family: String, CaseIterable {
    case llama, mistral, qwen2, qwen3, gemma, mixtral
    case qwen3Moe = "qwen3_moe"
  }

  /// Sizes as `config.json` gives them; what it leaves out is as transformers has it.
  init(_ configuration: Configuration, _ family: Family) throws(Diagnostic) {
    let c = configuration
    vocabulary = try c.count("vocab_size")
    width = try c.count("hidden_size")
    hidden = try c.count("intermediate_size")
    layers = try c.layers("num_hidden_layers")
    heads = try c.count("num_attention_heads")
    keyValueHeads = try c.count("num_key_value_heads", default: heads)
    epsilon = try c.number("rms_norm_eps", default: 1e-6)
    activation = try c.activation("hidden_act", default: .silu)
    rotary = try c.rotaryEmbedding()
    isTied = try c.flag("tie_word_embeddings", default: family == .gemma)
    let usual: Int? =
      switch family {
      case .llama, .mistral, .qwen2, .mixtral, .qwen3Moe: nil
      case .qwen3: 128
      case .gemma: 256
      }
    headSize = try c.count("head_dim", default: usual ?? max(width / heads, 1))
    try c.require(headSize % 2 == 0, "'head_dim' is \(headSize); rotary embeddings need an even number")
    try c.require(
      heads % keyValueHeads == 0,
      "'num_attention_heads' is \(heads), which is no multiple of 'num_key_value_heads', \(keyValueHeads)")
    switch family {
    case .llama, .qwen3, .qwen3Moe:
      hasAttentionBias = try c.flag("attention_bias", default: false)
      hasOutputBias = hasAttentionBias
      if family == .llama { hasMlpBias = try c.flag("mlp_bias", default: false) }
      normalisesHeads = family != .llama
    case .mistral, .mixtral: break
    case .qwen2: hasAttentionBias = true
    case .gemma:
      hasAttentionBias = try c.flag("attention_bias", default: false)
      hasOutputBias = hasAttentionBias
      isGemma = true
      if activation == .gelu { activation = .tanhGelu }
    }
    isHeadless = try c.texts("architectures")?.first?.hasSuffix("Model") == true
    windows = try Self.windows(c, family, layers: layers)
    try readExperts(c, family)
  }

  private mutating func readExperts(_ c: Configuration, _ family: Family) throws(Diagnostic) {
    switch family {
    case .llama, .mistral, .qwen2, .qwen3, .gemma: return
    case .mixtral:
      experts = try c.count("num_local_experts", default: 8)
      expertsPerToken = try c.count("num_experts_per_tok", default: 2)
      (expertHidden, normalisesExperts, isMixtral) = (hidden, true, true)
    case .qwen3Moe:
      // Newer versions of transformers write the one, files of the models' makers have the other.
      experts = try c.count("num_experts", default: c.count("num_local_experts", default: 128, least: 0), least: 0)
      expertsPerToken = try c.count("num_experts_per_tok", default: 8)
      expertHidden = try c.count("moe_intermediate_size", default: 768)
      normalisesExperts = try c.flag("norm_topk_prob", default: false)
      let step = try c.count("decoder_sparse_step", default: 1)
      let stated = try c.counts("mlp_only_layers")
      denseLayers = Set((0..<layers).filter { ($0 + 1) % step != 0 }).union(stated ?? [])
    }
    try c.require(
      experts == 0 || expertsPerToken <= experts, "'num_experts_per_tok' is \(expertsPerToken), of only \(experts) experts")
  }

  /// By layer, the sliding window.
  private static func windows(_ c: Configuration, _ family: Family, layers: Int) throws(Diagnostic) -> [Int?] {
    switch family {
    case .llama, .gemma: return []
    case .mistral, .mixtral:
      let window = try c.optionalCount("sliding_window")
      return Array(repeating: window, count: layers)
    case .qwen2, .qwen3, .qwen3Moe:
      guard try c.flag("use_sliding_window", default: false) else { return [] }
      let window = try c.count("sliding_window", default: 4096)
      if family == .qwen3Moe { return Array(repeating: window, count: layers) }
      if let kinds = try c.texts("layer_types") {
        try c.require(kinds.count == layers, "'layer_types' has \(kinds.count) entries for \(layers) layers")
        return kinds.map { $0 == "sliding_attention" ? window : nil }
      }
      let first = try c.count("max_window_layers", default: 28, least: 0)
      return (0..<layers).map { $0 >= first ? window : nil }
    }
  }
}

extension CausalLanguageModel {
  /// The model that a `config.json` of Llama, Mistral, Qwen2, Qwen3, Gemma, Mixtral or Qwen3-MoE describes.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> CausalLanguageModel {
    var name = "llama"
    if let stated = try configuration.text("model_type") { name = stated }
    guard let family = CausalConfiguration.Family(rawValue: name) else {
      throw Diagnostic(.unsupported, "'model_type' is '\(name)', which is no model of the Llama family", file: configuration.name)
    }
    return CausalLanguageModel(try CausalConfiguration(configuration, family))
  }
}
