import Tracing

/// Decoders in their published sizes.
let causalModels: [ZooEntry] = [
  ZooEntry(name: "llama-2-7b", summary: "Llama 2 with 7 billion parameters") { CausalLanguageModel(CausalConfiguration()) },
  ZooEntry(name: "llama-3.2-1b", summary: "Llama 3.2 with 1.2 billion parameters: grouped queries, scaled rotary embedding, tied")
  {
    var c = CausalConfiguration()
    (c.vocabulary, c.width, c.hidden, c.layers) = (128_256, 2048, 8192, 16)
    (c.heads, c.keyValueHeads, c.headSize, c.epsilon, c.isTied) = (32, 8, 64, 1e-5, true)
    c.rotary = RotaryEmbedding(theta: 500_000, scaling: .llama3(factor: 32, low: 1, high: 4, trained: 8192))
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "mistral-7b", summary: "Mistral 7B v0.1: grouped queries and a sliding window") {
    var c = CausalConfiguration()
    (c.hidden, c.keyValueHeads, c.epsilon) = (14_336, 8, 1e-5)
    c.windows = Array(repeating: 4096, count: c.layers)
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "qwen2.5-0.5b", summary: "Qwen2.5 with 0.5 billion parameters: biases on queries, keys and values, tied") {
    var c = CausalConfiguration()
    (c.vocabulary, c.width, c.hidden, c.layers) = (151_936, 896, 4864, 24)
    (c.heads, c.keyValueHeads, c.headSize, c.isTied, c.hasAttentionBias) = (14, 2, 64, true, true)
    c.rotary = RotaryEmbedding(theta: 1_000_000)
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "qwen3-0.6b", summary: "Qwen3 with 0.6 billion parameters: norms on queries and keys, explicit head size, tied")
  {
    CausalLanguageModel(qwen3(width: 1024, hidden: 3072, layers: 28, heads: 16))
  },
  ZooEntry(name: "qwen3-1.7b", summary: "Qwen3 with 1.7 billion parameters") {
    CausalLanguageModel(qwen3(width: 2048, hidden: 6144, layers: 28, heads: 16))
  },
  ZooEntry(name: "qwen3-tiny", summary: "Qwen3's architecture with 54 thousand parameters, to play with") {
    var c = qwen3(width: 48, hidden: 96, layers: 2, heads: 6)
    (c.vocabulary, c.keyValueHeads, c.headSize) = (128, 2, 12)
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "gemma-2b", summary: "Gemma with 2.5 billion parameters: one head of keys, norms by 1 + w, scaled embeddings") {
    var c = CausalConfiguration()
    (c.vocabulary, c.width, c.hidden, c.layers) = (256_000, 2048, 16_384, 18)
    (c.heads, c.keyValueHeads, c.headSize, c.isTied, c.isGemma, c.activation) = (8, 1, 256, true, true, .tanhGelu)
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "mixtral-8x7b", summary: "Mixtral: 47 billion parameters, of which a token meets 2 of 8 experts") {
    var c = CausalConfiguration()
    (c.hidden, c.expertHidden, c.keyValueHeads, c.epsilon) = (14_336, 14_336, 8, 1e-5)
    (c.experts, c.normalisesExperts, c.isMixtral) = (8, true, true)
    c.rotary = RotaryEmbedding(theta: 1_000_000)
    return CausalLanguageModel(c)
  },
  ZooEntry(name: "qwen3-30b-a3b", summary: "Qwen3-MoE: 30 billion parameters, of which a token meets 8 of 128 experts") {
    var c = qwen3(width: 2048, hidden: 6144, layers: 48, heads: 32)
    (c.keyValueHeads, c.isTied, c.experts, c.expertsPerToken, c.normalisesExperts) = (4, false, 128, 8, true)
    return CausalLanguageModel(c)
  },
]

private func qwen3(width: Int, hidden: Int, layers: Int, heads: Int) -> CausalConfiguration {
  var c = CausalConfiguration()
  (c.vocabulary, c.width, c.hidden, c.layers) = (151_936, width, hidden, layers)
  (c.heads, c.keyValueHeads, c.headSize, c.isTied, c.normalisesHeads) = (heads, 8, 128, true, true)
  c.rotary = RotaryEmbedding(theta: 1_000_000)
  return c
}
