import Tracing

/// Sizes of a BERT encoder (Devlin et al. 2018).
public struct BertConfiguration: Sendable {
  /// Tokens in the vocabulary.
  public var vocabulary = 30_522
  /// Width of the stream.
  public var width = 768
  /// Layers.
  public var layers = 12
  /// Heads.
  public var heads = 12
  /// Width inside the MLP.
  public var hidden = 3072
  /// The function in the MLP.
  public var activation = Activation.gelu
  /// Longest sequence.
  public var positions = 512
  /// Kinds of tokens: first and second sentence.
  public var kinds = 2
  /// Added to the variance in norms.
  public var epsilon = 1e-12
  /// What stands on the encoder.
  public enum Head: Sendable, Hashable {
    /// Nothing: the stream and the pooled first token come out.
    case none
    /// The words that were masked.
    case masked
    /// So many classes, from the pooled first token.
    case classes(Int)
  }
  /// What stands on the encoder.
  public var head = Head.none
  /// Also gives `sentence_embedding`: the mean of the tokens that the mask shows, of length 1.
  public var hasSentenceHead = false

  /// BERT base, uncased.
  public init() {}
}

/// The sum of three embeddings, normalised.
struct BertEmbeddings: Layer {
  let words: Embedding
  let positions: Embedding
  let kinds: Embedding
  let norm: LayerNorm

  static let names = [
    "words": "word_embeddings", "positions": "position_embeddings", "kinds": "token_type_embeddings", "norm": "LayerNorm",
  ]
  // A list 0, 1, 2, … that older checkpoints hold.
  static let ignored = ["position_ids"]

  init(_ c: BertConfiguration) {
    words = Embedding(c.vocabulary, c.width, deviation: 0.02)
    positions = Embedding(c.positions, c.width, deviation: 0.02)
    kinds = Embedding(c.kinds, c.width, deviation: 0.02)
    norm = LayerNorm(c.width, epsilon: c.epsilon)
  }

  func callAsFunction(_ tokens: Tensor, kinds: Tensor) -> Tensor {
    norm(words(tokens) + self.kinds(kinds) + positions.weight.tensor.prefix(tokens.shape[1], axis: 0))
  }
}

/// A linear layer whose result is added to what went around it, and normalised.
struct BertOutput: Layer {
  let dense: Linear
  let norm: LayerNorm

  static let names = ["norm": "LayerNorm"]

  init(_ inputs: Int, _ c: BertConfiguration) {
    dense = Linear(inputs, c.width)
    norm = LayerNorm(c.width, epsilon: c.epsilon)
  }

  func callAsFunction(_ x: Tensor, around stream: Tensor) -> Tensor { norm(dense(x) + stream) }
}

/// Attention of every token to every token that the mask shows, then an MLP; each normalised after its sum.
struct BertLayer: Layer {
  let query: Linear
  let key: Linear
  let value: Linear
  let attentionOutput: BertOutput
  let intermediate: Linear
  let output: BertOutput
  let heads: Int
  let activation: Activation

  static let names = [
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "attentionOutput": "attention.output", "intermediate": "intermediate.dense",
  ]

  init(_ c: BertConfiguration) {
    query = Linear(c.width, c.width)
    key = Linear(c.width, c.width)
    value = Linear(c.width, c.width)
    attentionOutput = BertOutput(c.width, c)
    intermediate = Linear(c.width, c.hidden)
    output = BertOutput(c.hidden, c)
    (heads, activation) = (c.heads, c.activation)
  }

  func callAsFunction(_ x: Tensor, mask: Tensor) -> Tensor {
    func split(_ x: Tensor) -> Tensor { x.reshaped(to: [x.shape[0], x.shape[1], heads, -1]).transposed(1, 2) }
    let mixed = split(query(x)).attention(keys: split(key(x)), values: split(value(x)), mask: mask)
    let seen = attentionOutput(mixed.transposed(1, 2).flattened(from: 2), around: x)
    return output(activation(intermediate(seen)), around: seen)
  }
}

/// Embeddings and layers.
struct BertEncoder: Layer {
  let embeddings: BertEmbeddings
  let layers: [BertLayer]
  let pooler: Linear?

  static let names = ["layers": "encoder.layer", "pooler": "pooler.dense"]
  // A model that pools nothing may be stored with the pooler it was trained with.
  static let ignored = ["pooler.dense.weight", "pooler.dense.bias"]

  init(_ c: BertConfiguration) {
    embeddings = BertEmbeddings(c)
    layers = (0..<c.layers).map { _ in BertLayer(c) }
    pooler = c.head == .masked ? nil : Linear(c.width, c.width)
  }

  func callAsFunction(_ tokens: Tensor, kinds: Tensor, shown: Tensor) -> Tensor {
    let mask = shown.cast(to: .bool).unsqueezed(axis: 1).unsqueezed(axis: 1)
    return layers.reduce(embeddings(tokens, kinds: kinds)) { x, layer in layer(x, mask: mask) }
  }
}

/// What the masked words were: a linear layer, a norm, and the table of words.
struct BertWordHead: Layer {
  let dense: Linear
  let norm: LayerNorm
  let bias: Parameter
  let activation: Activation

  static let names = ["dense": "transform.dense", "norm": "transform.LayerNorm"]

  init(_ c: BertConfiguration) {
    dense = Linear(c.width, c.width)
    norm = LayerNorm(c.width, epsilon: c.epsilon)
    bias = Parameter([c.vocabulary], .zeros)
    activation = c.activation
  }

  func callAsFunction(_ x: Tensor, words: Tensor) -> Tensor { norm(activation(dense(x))).linear(words) + bias.tensor }
}

/// BERT: `input_ids`, `attention_mask` and `token_type_ids` [batch, sequence] to `last_hidden_state` [batch, sequence, width] and
/// `pooler_output` [batch, width]; with a head to `logits`.
public struct Bert: Layer {
  let encoder: BertEncoder
  let words: BertWordHead?
  let classifier: Linear?
  let hasSentenceHead: Bool

  /// As transformers calls them.
  public static let names = ["encoder": "bert", "words": "cls.predictions"]
  /// The head that said whether one sentence follows the other.
  public static let ignored = ["cls.seq_relationship.weight", "cls.seq_relationship.bias"]

  /// A model of the given sizes.
  public init(_ configuration: BertConfiguration) {
    let c = configuration
    encoder = BertEncoder(c)
    words = c.head == .masked ? BertWordHead(c) : nil
    classifier = if case .classes(let count) = c.head { Linear(c.width, count) } else { nil }
    hasSentenceHead = c.hasSentenceHead
  }
}

extension Bert: ZooModel {
  /// Traces the model. An encoder alone is stored without `bert.` at the beginning of its names; old checkpoints call the weights of
  /// norms gamma and beta.
  public func module(named name: String, weights: Weights) throws(Diagnostic) -> Module {
    let isEncoder = words == nil && classifier == nil
    let isOld = weights.holds("bert.embeddings.LayerNorm.gamma") || weights.holds("embeddings.LayerNorm.gamma")
    func stored(_ name: String) -> String {
      var name = isEncoder && name.hasPrefix("bert.") ? String(name.dropFirst("bert.".count)) : name
      guard isOld else { return name }
      for (new, old) in [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")] where name.hasSuffix(new)
      {
        name = name.dropLast(new.count) + old
      }
      return name
    }
    return try trace(name, self, weights: weights, renaming: stored) { trace in
      let shape = [Extent.symbol("batch"), Extent.symbol("sequence")]
      let tokens = trace.input("input_ids", shape, element: .i64)
      let shown = trace.input("attention_mask", shape, element: .i64)
      let kinds = trace.input("token_type_ids", shape, element: .i64)
      let x = encoder(tokens, kinds: kinds, shown: shown)
      if let words { return trace.output("logits", words(x, words: encoder.embeddings.words.weight.tensor)) }
      guard let pooler = encoder.pooler else { return trace.output("last_hidden_state", x) }
      let pooled = pooler(x[0..., 0]).tanh()
      if let classifier { return trace.output("logits", classifier(pooled)) }
      trace.output("last_hidden_state", x)
      trace.output("pooler_output", pooled)
      if hasSentenceHead { trace.output("sentence_embedding", sentence(x, shown)) }
    }
  }

  /// The mean of the tokens that the mask shows, of length 1.
  private func sentence(_ x: Tensor, _ shown: Tensor) -> Tensor {
    let largest = Double(Float.greatestFiniteMagnitude)
    let weight = shown.cast(to: .f32).unsqueezed(axis: -1)
    let mean = (x * weight).sum([1]) / weight.sum([1]).clamped(1e-9...largest)
    return mean / mean.norm([1], keepingAxes: true).clamped(1e-12...largest)
  }

  /// The model that a `config.json` of BERT describes.
  public static func make(from configuration: Configuration) throws(Diagnostic) -> Bert {
    let c = configuration
    var sizes = BertConfiguration()
    sizes.vocabulary = try c.count("vocab_size")
    sizes.width = try c.count("hidden_size")
    sizes.layers = try c.layers("num_hidden_layers")
    sizes.heads = try c.count("num_attention_heads")
    sizes.hidden = try c.count("intermediate_size")
    sizes.activation = try c.activation("hidden_act", default: .gelu)
    sizes.positions = try c.count("max_position_embeddings", default: 512)
    sizes.kinds = try c.count("type_vocab_size", default: 2)
    sizes.epsilon = try c.number("layer_norm_eps", default: 1e-12)
    try c.require(
      sizes.width % sizes.heads == 0,
      "'hidden_size' is \(sizes.width), which is no multiple of 'num_attention_heads', \(sizes.heads)")
    if let kind = try c.text("position_embedding_type"), kind != "absolute" {
      throw Diagnostic(.unsupported, "'position_embedding_type' is '\(kind)'; only 'absolute' is known", file: c.name)
    }
    switch try c.texts("architectures")?.first {
    case "BertForMaskedLM": sizes.head = .masked
    case "BertForSequenceClassification": sizes.head = .classes(try c.object("id2label")?.values.count ?? 2)
    case _: break
    }
    try c.require(
      try c.flag("tie_word_embeddings", default: true) || sizes.head != .masked,
      "'tie_word_embeddings' is false, which is not known here")
    try c.require(try !c.flag("is_decoder", default: false), "'is_decoder' is true; only encoders are known")
    return Bert(sizes)
  }

  /// BERT in its published sizes.
  static let entries: [ZooEntry] = [
    ZooEntry(name: "bert-base", summary: "BERT base: 110 million parameters, with pooler") { Bert(BertConfiguration()) },
    ZooEntry(name: "minilm-l6", summary: "all-MiniLM-L6: 6 layers of width 384, with pooler and sentence embedding") {
      var c = BertConfiguration()
      (c.width, c.layers, c.hidden, c.hasSentenceHead) = (384, 6, 1536, true)
      return Bert(c)
    },
  ]
}
