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
public let models: [ZooEntry] = causalModels

/// The entry of a name; throws, with the nearest names, where there is none.
public func entry(named name: String) throws(Diagnostic) -> ZooEntry {
  if let entry = models.first(where: { $0.name == name }) { return entry }
  throw Diagnostic(.usage, "there is no model '\(name)'; prunec trace --list names them all")
}

/// The model that a checkpoint folder's `config.json` describes: its parameters are called exactly as the tensors of the folder's
/// safetensors files.
///
/// `modelType` is `config.json`'s `model_type`; nil reads it from the configuration, as are `architectures`. Throws `unsupported` for
/// models that the zoo does not know, `invalid` for sizes that make no model.
public func model(modelType: String? = nil, configuration: Configuration) throws(Diagnostic) -> any ZooModel {
  let stated = try configuration.text("model_type")
  guard let type = modelType ?? stated else {
    throw Diagnostic(.invalid, "has no 'model_type', so it is not known which model it describes", file: configuration.name)
  }
  let architecture = try configuration.texts("architectures")?.first
  guard let kind = ModelKind(rawValue: type) else {
    let known = ModelKind.allCases.map(\.rawValue).joined(separator: ", ")
    throw Diagnostic(.unsupported, "'model_type' is '\(type)', which is not known; known are \(known)", file: configuration.name)
  }
  if let architecture, !kind.architectures.contains(architecture) {
    throw Diagnostic(
      .unsupported, "'architectures' names \(architecture); of '\(type)' only \(kind.architectures.joined(separator: ", ")) is known",
      file: configuration.name)
  }
  return try kind.make(configuration, architecture)
}

/// Values of `model_type` that the zoo knows.
enum ModelKind: String, CaseIterable {
  case llama, mistral, qwen2, qwen3, gemma

  /// Classes of transformers whose checkpoints have the names that the model gives its parameters.
  var architectures: [String] {
    switch self {
    case .llama: ["LlamaForCausalLM"]
    case .mistral: ["MistralForCausalLM"]
    case .qwen2: ["Qwen2ForCausalLM"]
    case .qwen3: ["Qwen3ForCausalLM"]
    case .gemma: ["GemmaForCausalLM"]
    }
  }

  func make(_ configuration: Configuration, _ architecture: String?) throws(Diagnostic) -> any ZooModel {
    switch self {
    case .llama: CausalLanguageModel(try CausalConfiguration(configuration, .llama))
    case .mistral: CausalLanguageModel(try CausalConfiguration(configuration, .mistral))
    case .qwen2: CausalLanguageModel(try CausalConfiguration(configuration, .qwen2))
    case .qwen3: CausalLanguageModel(try CausalConfiguration(configuration, .qwen3))
    case .gemma: CausalLanguageModel(try CausalConfiguration(configuration, .gemma))
    }
  }
}
