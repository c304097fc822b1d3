import Tracing

/// A model that can be traced without further arguments: it knows its inputs and outputs.
public protocol ZooModel: Layer {
  /// Traces the model. Throws weights that do not fit, all in one message.
  func module(named name: String, weights: Weights) throws(Diagnostic) -> Module
}

/// A model of the zoo by name.
public struct ZooEntry: Sendable {
  /// What the command calls it: `qwen3-0.6b`.
  public let name: String
  /// What it is, in one line.
  public let summary: String
  /// Makes it in its well-known size.
  public let make: @Sendable () -> any ZooModel
}

/// All models of the zoo in their well-known sizes, and a few small ones to play with.
public let models: [ZooEntry] =
  LeNet.entries + ResNet.entries + VisionTransformer.entries + Bert.entries + Gpt2.entries + causalModels

/// The model that a checkpoint folder's `config.json` describes: its parameters are called exactly as the tensors of the folder's
/// safetensors files.
///
/// `modelType` is `config.json`'s `model_type`; nil reads it from the configuration, as are `architectures`. Throws `unsupported` for
/// models that the zoo does not know, `invalid` for sizes that make no model.
public func model(modelType: String? = nil, configuration: Configuration) throws(Diagnostic) -> any ZooModel {
  let stated = try configuration.text("model_type")
  let architecture = try configuration.text("architecture")
  if modelType == nil, stated == nil, let architecture { return try imageModel(architecture, configuration) }
  guard let type = modelType ?? stated else {
    throw Diagnostic(.invalid, "has no 'model_type', so it is not known which model it describes", file: configuration.name)
  }
  let className = try configuration.texts("architectures")?.first
  guard let kind = ModelKind(rawValue: type) else {
    let known = ModelKind.allCases.map(\.rawValue).joined(separator: ", ")
    throw Diagnostic(.unsupported, "'model_type' is '\(type)', which is not known; known are \(known)", file: configuration.name)
  }
  if let className, !kind.architectures.contains(className) {
    throw Diagnostic(
      .unsupported,
      "'architectures' names \(className); of '\(type)' only \(kind.architectures.joined(separator: ", ")) is known",
      file: configuration.name)
  }
  return try kind.make(configuration)
}

/// A model that `architecture` names as timm and torchvision do.
private func imageModel(_ architecture: String, _ configuration: Configuration) throws(Diagnostic) -> any ZooModel {
  if architecture == "lenet" { return try LeNet.make(from: configuration) }
  if architecture.hasPrefix("resnet") { return try ResNet.make(from: configuration) }
  return try VisionTransformer.make(from: configuration)
}

/// Values of `model_type` that the zoo knows.
enum ModelKind: String, CaseIterable {
  case bert, gpt2, llama, mistral, qwen2, qwen3, gemma, mixtral
  case qwen3Moe = "qwen3_moe"

  /// Classes of transformers whose checkpoints have the names that the model gives its parameters.
  var architectures: [String] {
    switch self {
    case .bert: ["BertModel", "BertForMaskedLM", "BertForSequenceClassification"]
    case .gpt2: ["GPT2LMHeadModel", "GPT2Model"]
    case .llama: ["LlamaForCausalLM", "LlamaModel"]
    case .mistral: ["MistralForCausalLM", "MistralModel"]
    case .qwen2: ["Qwen2ForCausalLM", "Qwen2Model"]
    case .qwen3: ["Qwen3ForCausalLM", "Qwen3Model"]
    case .gemma: ["GemmaForCausalLM", "GemmaModel"]
    case .mixtral: ["MixtralForCausalLM", "MixtralModel"]
    case .qwen3Moe: ["Qwen3MoeForCausalLM", "Qwen3MoeModel"]
    }
  }

  func make(_ configuration: Configuration) throws(Diagnostic) -> any ZooModel {
    switch self {
    case .bert: try Bert.make(from: configuration)
    case .gpt2: try Gpt2.make(from: configuration)
    case .llama: CausalLanguageModel(try CausalConfiguration(configuration, .llama))
    case .mistral: CausalLanguageModel(try CausalConfiguration(configuration, .mistral))
    case .qwen2: CausalLanguageModel(try CausalConfiguration(configuration, .qwen2))
    case .qwen3: CausalLanguageModel(try CausalConfiguration(configuration, .qwen3))
    case .gemma: CausalLanguageModel(try CausalConfiguration(configuration, .gemma))
    case .mixtral: CausalLanguageModel(try CausalConfiguration(configuration, .mixtral))
    case .qwen3Moe: CausalLanguageModel(try CausalConfiguration(configuration, .qwen3Moe))
    }
  }
}
