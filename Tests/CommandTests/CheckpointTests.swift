import Formats
import Foundation
import Graph
import Testing
import Tracing
import Zoo

@testable import prunec

/// Checkpoint folders are read strictly, pruned, and written back with a config.json that says what was done. The story behind it: a loader
/// that fills in what is missing makes a model that speaks gibberish, and nobody is told.
@Suite("Checkpoint folders")
struct CheckpointTests {
  typealias Tensors = [String: TensorContent]
  let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  // MARK: Making folders

  static let configuration = """
    {
      "architectures": ["LlamaForCausalLM"],
      "model_type": "llama",
      "hidden_size": 16,
      "intermediate_size": 24,
      "num_hidden_layers": 3,
      "num_attention_heads": 4,
      "num_key_value_heads": 2,
      "head_dim": 4,
      "vocab_size": 11,
      "rms_norm_eps": 1e-06,
      "tie_word_embeddings": false
    }
    """

  /// The tensors of that model, filled at random.
  static func tensors() throws -> Tensors {
    let model = try Zoo.model(configuration: try Configuration(json: configuration.utf8))
    let module = try model.module(named: "llama", weights: .random(seed: 1))
    let weights = module.parameters.map { (module[$0.value].name, $0.content) }.filter { $0.0.hasSuffix(".weight") }
    return Dictionary(weights, uniquingKeysWith: { first, _ in first })
  }

  func named(_ tensors: Tensors) -> [NamedTensor] {
    tensors.sorted { $0.key < $1.key }.map { name, content in
      NamedTensor(name: name, type: TensorType(content.element, content.shape.map { Extent($0) }), content: content)
    }
  }

  /// Writes a folder `m` of one file.
  func write(
    _ configuration: String = Self.configuration, _ change: (inout Tensors) -> Void = { _ in }
  ) throws {
    var tensors = try Self.tensors()
    change(&tensors)
    try FileManager.default.createDirectory(atPath: runner.path("m"), withIntermediateDirectories: true)
    try runner.write(configuration, "m/config.json")
    try Safetensors.write(named(tensors), metadata: ["format": "pt"], to: runner.path("m/model.safetensors"))
  }

  /// Writes a folder `m` of two shards and an index, which `change` may spoil.
  func writeShards(_ change: (inout String) -> Void = { _ in }) throws {
    let all = named(try Self.tensors())
    try FileManager.default.createDirectory(atPath: runner.path("m"), withIntermediateDirectories: true)
    try runner.write(Self.configuration, "m/config.json")
    var lines: [String] = []
    for (shard, part) in [all.prefix(9), all.dropFirst(9)].enumerated() {
      let name = "model-0000\(shard + 1)-of-00002.safetensors"
      try Safetensors.write(Array(part), metadata: ["format": "pt"], to: runner.path("m/\(name)"))
      lines += part.map { "    \"\($0.name)\": \"\(name)\"" }
    }
    var index = "{\n  \"metadata\": { \"total_size\": 1 },\n  \"weight_map\": {\n\(lines.joined(separator: ",\n"))\n  }\n}\n"
    change(&index)
    try runner.write(index, "m/model.safetensors.index.json")
  }

  /// The one line that a compile complains with; nothing is written.
  func complaint(_ arguments: String...) throws -> String {
    let outcome = try runner.run(CommandRunner.command, ["m", "-o", "s"] + arguments)
    #expect([1, 3, 4].contains(outcome.code))
    #expect(outcome.output == "")
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(!runner.exists("s"))
    let left = try FileManager.default.contentsOfDirectory(atPath: runner.folder.path).filter { $0.hasPrefix(".prunec") }
    #expect(left == [])
    return outcome.errors
  }

  func configuration(_ folder: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(try runner.contents("\(folder)/config.json"))) as? [String: Any])
  }

  // MARK: What comes out

  @Test("half of the key-value groups and of the hidden units: config.json says so, and the folder is a model again")
  func halves() throws {
    try write()
    try runner.write("{}", "m/tokenizer.json")
    try runner.write("old weights", "m/pytorch_model.bin")
    let outcome = try runner.run("m", "-o", "s", "--ratio", "0.5", "--round-to", "1")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("Proved: "))
    let sizes = try configuration("s")
    #expect(sizes["intermediate_size"] as? Int == 12)
    #expect(sizes["num_key_value_heads"] as? Int == 1)
    #expect(sizes["num_attention_heads"] as? Int == 2)
    #expect(sizes["head_dim"] as? Int == 4)
    #expect(sizes["hidden_size"] as? Int == 16)
    #expect(try runner.contents("s/tokenizer.json") == runner.contents("m/tokenizer.json"))
    // Weights of the old size must not lie beside the new ones.
    #expect(!runner.exists("s/pytorch_model.bin"))
    #expect(try runner.run("s", "-o", "t", "--ratio", "0", "-q").code == 0)
    #expect(try runner.contents("t/model.safetensors") == runner.contents("s/model.safetensors"))
  }

  @Test("what nobody prunes comes back bit for bit, shard by shard")
  func roundTrip() throws {
    try writeShards()
    #expect(try runner.run("m", "-o", "s", "--ratio", "0", "-q").code == 0)
    let before = try CheckpointFolder.read(runner.path("m"))
    let after = try CheckpointFolder.read(runner.path("s"))
    #expect(after.shards.map { $0.name } == before.shards.map { $0.name })
    for (one, other) in zip(before.shards, after.shards) {
      #expect(one.metadata == other.metadata)
      #expect(one.tensors.map { $0.name } == other.tensors.map { $0.name })
      for (a, b) in zip(one.tensors, other.tensors) {
        #expect(a.content.materialized().hasSameBytes(as: b.content.materialized()))
      }
    }
    #expect(after.configuration == before.configuration)
  }

  @Test("half precision stays half precision")
  func precision() throws {
    try write { tensors in
      for (name, content) in tensors {
        guard let numbers = Graph.Tensor(content)?.reals else { continue }
        tensors[name] = TensorContent(
          Graph.Tensor(reals: numbers, .bf16, content.shape).data, element: .bf16, shape: content.shape)
      }
    }
    #expect(try runner.run("m", "-o", "s", "--ratio", "0.5", "-q").code == 0)
    let folder = try CheckpointFolder.read(runner.path("s"))
    #expect(folder.shards.flatMap { $0.tensors }.allSatisfy { $0.type.element == .bf16 })
  }

  @Test("an existing checkpoint is replaced whole; a folder of other things is not")
  func replacing() throws {
    try write()
    #expect(try runner.run("m", "-o", "s", "--ratio", "0.5", "-q").code == 0)
    #expect(try runner.run("m", "-o", "s", "--ratio", "0.25", "-q").code == 0)
    try FileManager.default.createDirectory(atPath: runner.path("letters"), withIntermediateDirectories: true)
    try runner.write("dear", "letters/a.txt")
    let outcome = try runner.run("m", "-o", "letters", "-q")
    #expect(outcome.code != 0)
    #expect(outcome.errors.contains("letters: is a folder that holds other things than a checkpoint; choose another name"))
    #expect(try runner.contents("letters/a.txt") == Array("dear".utf8))
    #expect(try runner.run("m", "-o", "m", "-q").errors.contains("m: would overwrite the input"))
  }

  @Test("pairs of weights and masks are what they mean")
  func masks() throws {
    let name = "model.layers.0.mlp.up_proj.weight"
    try write { tensors in
      guard let content = tensors.removeValue(forKey: name) else { return }
      let ones = Graph.Tensor(reals: (0..<content.elementCount).map { $0 % 2 == 0 ? 1 : 0 }, .f32, content.shape)
      tensors[name + "_orig"] = content
      tensors[name + "_mask"] = TensorContent(ones.data, element: .f32, shape: content.shape)
    }
    #expect(try runner.run("m", "-o", "s", "--ratio", "0", "-q").code == 0)
    let contents = try CheckpointFolder.read(runner.path("s")).contents()
    let kept = try #require(contents[name].flatMap { Graph.Tensor($0) }).reals
    #expect(kept.enumerated().allSatisfy { $0.offset % 2 == 0 || $0.element == 0 })
    #expect(kept.contains { $0 != 0 })
  }

  // MARK: What config.json cannot say

  @Test("layers of different sizes are refused, with the number that is one for all")
  func uneven() throws {
    try write()
    let text = try complaint("--only", "model.layers.1.mlp")
    #expect(text.contains("config.json of a llama cannot say this result: "))
    #expect(text.contains("intermediate_size is one number for all layers. Write .onnx or .ir instead"))
    #expect(try runner.run("m", "-o", "s.onnx", "--only", "model.layers.1.mlp", "-q").code == 0)
  }

  @Test("rotary pairs that are gone are refused: the frequencies that stay are not those of a smaller head")
  func rotary() throws {
    try write()
    #expect(try complaint("--kinds", "head-dims", "--ratio", "0.5", "--round-to", "1").contains("cannot say this result"))
  }

  @Test("one query head per group is the same model without the repetition of keys")
  func queries() throws {
    try write()
    let outcome = try runner.run("m", "-o", "s", "--kinds", "queries", "--ratio", "0.5", "-q")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(try configuration("s")["num_attention_heads"] as? Int == 2)
    #expect(try configuration("s")["num_key_value_heads"] as? Int == 2)
  }

  // MARK: Gibberish

  @Test("one tensor missing, one renamed, one too many, one transposed: one error that lists all of it")
  func wrongTensors() throws {
    try write { tensors in
      tensors["model.layers.1.mlp.up_proj.weight"] = nil
      tensors["model.layers.0.self_attn.query.weight"] = tensors.removeValue(forKey: "model.layers.0.self_attn.q_proj.weight")
      tensors["extra.weight"] = tensors["model.norm.weight"]
      tensors["model.layers.2.mlp.down_proj.weight"] = tensors["model.layers.2.mlp.up_proj.weight"]
    }
    let text = try complaint()
    #expect(
      text.contains("2 missing: model.layers.0.self_attn.q_proj.weight [16, 16], model.layers.1.mlp.up_proj.weight [24, 16]"))
    #expect(text.contains("2 that the model does not have: extra.weight, model.layers.0.self_attn.query.weight"))
    #expect(text.contains("model.layers.2.mlp.down_proj.weight is [24, 16] where the model has [16, 24], transposed"))
  }

  @Test("a shard that is missing")
  func missingShard() throws {
    try writeShards()
    try FileManager.default.removeItem(atPath: runner.path("m/model-00002-of-00002.safetensors"))
    #expect(try complaint().contains("a file of weights that the index names is missing: model-00002-of-00002.safetensors"))
  }

  @Test("an index that names a tensor twice, or in the wrong file, or not at all")
  func wrongIndex() throws {
    let line = "    \"model.norm.weight\": \"model-00002-of-00002.safetensors\""
    try writeShards { $0 = $0.replacingOccurrences(of: line, with: line + ",\n" + line) }
    #expect(try complaint().contains("model.safetensors.index.json names 'model.norm.weight' twice"))
    try writeShards { $0 = $0.replacingOccurrences(of: line, with: line.replacingOccurrences(of: "00002-of", with: "00001-of")) }
    #expect(
      try complaint().contains("the index has model.norm.weight in model-00001-of-00002.safetensors, but it is in model-00002"))
    try writeShards { $0 = $0.replacingOccurrences(of: line, with: line.replacingOccurrences(of: "norm", with: "other")) }
    let text = try complaint()
    #expect(text.contains("the index does not list model.norm.weight"))
    #expect(text.contains("the index has model.other.weight in model-00002-of-00002.safetensors, but it is in no file"))
  }

  @Test("a config.json that disagrees with the shapes, that is of an unknown model, or no JSON")
  func wrongConfiguration() throws {
    try write(Self.configuration.replacingOccurrences(of: "\"intermediate_size\": 24", with: "\"intermediate_size\": 32"))
    #expect(
      try complaint().contains("9 that do not fit: model.layers.0.mlp.gate_proj.weight is [24, 16] where the model has [32, 16]"))
    try write(Self.configuration.replacingOccurrences(of: "\"llama\"", with: "\"lama\""))
    #expect(try complaint().contains("'model_type' is 'lama', which is not known"))
    try write(Self.configuration.replacingOccurrences(of: "\"num_key_value_heads\": 2", with: "\"num_key_value_heads\": 3"))
    #expect(try complaint().contains("num_key_value_heads"))
    try write("{ \"model_type\": ")
    #expect(try complaint().contains("config.json"))
  }

  @Test("a folder without config.json, and one without weights")
  func noCheckpoint() throws {
    try FileManager.default.createDirectory(atPath: runner.path("m"), withIntermediateDirectories: true)
    #expect(try complaint().contains("m: is a folder without config.json, so no checkpoint; give an .onnx or .ir file"))
    try runner.write(Self.configuration, "m/config.json")
    try runner.write("?", "m/pytorch_model.bin")
    #expect(try complaint().contains("m: holds no weights as safetensors (it has pytorch_model.bin); save the model with"))
  }
}
