import Formats

/// Where a model type's `config.json` states the sizes that pruning changes.
struct SizeKeys {
  /// Channels of the residual stream.
  var width = "hidden_size"
  /// Units between the two layers of an MLP.
  var hidden = "intermediate_size"
  var heads = "num_attention_heads"
  /// Key-value groups of grouped queries; nil where every query head has its own.
  var groups: String?
  /// Dims of a head; nil where the width divided by the heads is taken for it.
  var headDims: String?
  var layers = "num_hidden_layers"
  /// Experts that a router picks from: the first of these keys that is there.
  var experts: [String] = []
  /// Units of an expert, where they have a size of their own.
  var expertHidden: String?
  /// Patterns of layers that are as wide inside as the residual stream.
  var boundToWidth: [String] = []

  /// The keys of a model type.
  init(modelType: String) {
    switch modelType {
    case "gpt2":
      (width, hidden, heads, layers) = ("n_embd", "n_inner", "n_head", "n_layer")
    case "llama", "mistral", "qwen2", "qwen3", "gemma", "mixtral", "qwen3_moe":
      (groups, headDims) = ("num_key_value_heads", "head_dim")
      if modelType == "mixtral" { experts = ["num_local_experts"] }
      if modelType == "qwen3_moe" { (experts, expertHidden) = (["num_experts", "num_local_experts"], "moe_intermediate_size") }
    case "bert": boundToWidth = ["*pooler.dense*"]
    case _: break
    }
  }
}
