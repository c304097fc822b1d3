import Formats
import Foundation
import Graph
import Testing
import Tracing
import Zoo

@testable import prunec

/// Folders whose tensors are read as stacks, stored twice, or are of a size that config.json states elsewhere.
extension CheckpointTests {
  private static let mixture = """
    {
      "architectures": ["Qwen3MoeForCausalLM"],
      "model_type": "qwen3_moe",
      "hidden_size": 16,
      "intermediate_size": 24,
      "moe_intermediate_size": 24,
      "num_hidden_layers": 3,
      "num_attention_heads": 4,
      "num_key_value_heads": 2,
      "head_dim": 4,
      "num_experts": 6,
      "num_experts_per_tok": 2,
      "mlp_only_layers": [2],
      "vocab_size": 11
    }
    """

  private static let encoder = """
    {
      "architectures": ["BertForSequenceClassification"],
      "model_type": "bert",
      "hidden_size": 16,
      "intermediate_size": 24,
      "num_hidden_layers": 2,
      "num_attention_heads": 4,
      "max_position_embeddings": 12,
      "vocab_size": 11
    }
    """

  /// Writes a folder `m` of the model that a configuration describes, as the tensors that its checkpoints have.
  private func write(modelOf configuration: String, _ change: (inout Tensors) -> Void = { _ in }) throws {
    let model = try Zoo.model(configuration: try Configuration(json: configuration.utf8))
    let module = try model.module(named: "m", weights: .random(seed: 1))
    let names = Set(try model.namedParameters().map(\.name))
    let parts = module.parameters.filter { names.contains(module[$0.value].name) }
      .flatMap { NamedParameter.storedTensors(of: module[$0.value].name, $0.content) }
    var tensors = Dictionary(parts.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
    change(&tensors)
    try FileManager.default.createDirectory(atPath: runner.path("m"), withIntermediateDirectories: true)
    try runner.write(configuration, "m/config.json")
    try Safetensors.write(named(tensors), metadata: ["format": "pt"], to: runner.path("m/model.safetensors"))
  }

  private func contents(_ folder: String) throws -> [String: TensorContent] {
    try CheckpointFolder.read(runner.path(folder)).contents()
  }

  @Test("what nobody prunes of a mixture of experts comes back byte for byte")
  func mixtureRoundTrip() throws {
    try write(modelOf: Self.mixture)
    #expect(try runner.run("m", "-o", "s", "--ratio", "0", "-q").code == 0)
    #expect(try runner.contents("s/model.safetensors") == runner.contents("m/model.safetensors"))
  }

  @Test("experts go and the others are counted from 0 again; units of experts and of dense layers have numbers of their own")
  func experts() throws {
    try write(modelOf: Self.mixture)
    let outcome = try runner.run(
      "m", "-o", "s", "--kinds", "experts,hidden", "--ratio", "0.5", "--round-to", "1", "--plan", "p.json")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("Proved: "))
    let sizes = try configuration("s")
    #expect(sizes["num_experts"] as? Int == 3)
    #expect(sizes["moe_intermediate_size"] as? Int == 12 && sizes["intermediate_size"] as? Int == 12)
    let after = try contents("s")
    for layer in 0..<2 {
      let numbers = after.keys.compactMap { name -> Int? in
        name.hasPrefix("model.layers.\(layer).mlp.experts.") ? Int(name.split(separator: ".")[5]) : nil
      }
      #expect(Set(numbers) == [0, 1, 2])
    }
    #expect(after["model.layers.1.mlp.experts.2.down_proj.weight"]?.shape == [16, 12])
    #expect(after["model.layers.1.mlp.gate.weight"]?.shape == [3, 16])
    #expect(after["model.layers.2.mlp.up_proj.weight"]?.shape == [12, 16])
    #expect(try runner.run("verify", "m", "s", "--plan", "p.json").code == 0)
  }

  @Test("a token meets as many experts as before, so these must stay")
  func leastExperts() throws {
    try write(modelOf: Self.mixture)
    #expect(try runner.run("m", "-o", "s", "--kinds", "experts", "--ratio", "0.9", "--max-ratio", "0.9", "-q").code == 0)
    let sizes = try configuration("s")
    #expect(sizes["num_experts"] as? Int == 2 && sizes["num_experts_per_tok"] as? Int == 2)
  }

  @Test("a layer goes: experts move up with it, and layers without experts are still those")
  func mixtureLayerGone() throws {
    try write(modelOf: Self.mixture)
    #expect(try runner.run("m", "-o", "s", "--drop-blocks", "L0", "-q").code == 0)
    let sizes = try configuration("s")
    #expect(sizes["num_hidden_layers"] as? Int == 2 && sizes["mlp_only_layers"] as? [Int] == [1])
    let (before, after) = (try contents("m"), try contents("s"))
    let tail = "mlp.experts.5.up_proj.weight"
    let (moved, old) = (after["model.layers.0.\(tail)"], before["model.layers.1.\(tail)"])
    #expect(try #require(moved).data.hasSameBytes(as: try #require(old).data))
  }

  @Test("a table that is stored again as the last layer's weight is cut in both places; another weight in its place is refused")
  func storedTwice() throws {
    let tied = Self.configuration.replacingOccurrences(of: "embeddings\": false", with: "embeddings\": true")
    try write(tied) { $0["lm_head.weight"] = $0["model.embed_tokens.weight"] }
    let outcome = try runner.run("m", "-o", "s", "--kinds", "width,hidden", "--ratio", "0.5", "--round-to", "1", "-q")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let after = try contents("s")
    let (head, table) = (after["lm_head.weight"], after["model.embed_tokens.weight"])
    #expect(head?.shape == [11, 8])
    #expect(try #require(head).data.hasSameBytes(as: try #require(table).data))
    try FileManager.default.removeItem(atPath: runner.path("s"))
    try write(tied)
    #expect(try complaint().contains("lm_head.weight holds other numbers than model.embed_tokens.weight"))
  }

  @Test("a pooler is as wide as config.json says, so it loses units with the width and not by itself")
  func pooler() throws {
    try write(modelOf: Self.encoder)
    #expect(try runner.run("m", "-o", "s", "--ratio", "0.5", "--round-to", "1", "-q").code == 0)
    #expect(try contents("s")["bert.pooler.dense.weight"]?.shape == [16, 16])
    #expect(try configuration("s")["intermediate_size"] as? Int == 12)
    try FileManager.default.removeItem(atPath: runner.path("s"))
    #expect(try complaint("--kinds", "heads,width", "--ratio", "0.5", "--round-to", "1").contains("cannot say this result"))
    let narrow = try runner.run("m", "-o", "s", "--kinds", "heads,width,hidden", "--ratio", "0.5", "--round-to", "1", "-q")
    #expect(narrow.code == 0, "\(narrow.errors)")
    #expect(try contents("s")["bert.pooler.dense.weight"]?.shape == [8, 8])
    let sizes = try configuration("s")
    #expect(sizes["hidden_size"] as? Int == 8 && sizes["num_attention_heads"] as? Int == 2)
  }
}
