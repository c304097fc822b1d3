import Formats
import Foundation
import Graph
import Testing

@testable import prunec

/// Layers of a folder's model are dropped: those that follow have other numbers, in the names of tensors and in config.json's lists.
extension CheckpointTests {
  private static let listing = configuration.replacingOccurrences(
    of: "\"vocab_size\": 11,",
    with: "\"vocab_size\": 11, \"layer_types\": [\"a\", \"b\", \"c\"], \"eos_token_id\": [7, 8, 9],")

  private func tensors(_ folder: String) throws -> [String: [UInt8]] {
    try CheckpointFolder.read(runner.path(folder)).contents().mapValues { $0.materialized().numbers(as: UInt8.self) }
  }

  @Test("a layer goes: the others move up with their numbers and their place in lists by layer, and nothing else changes")
  func layerGone() throws {
    try write(Self.listing)
    let outcome = try runner.run("m", "-o", "s", "--drop-blocks", "L1", "--plan", "p.json")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("Proved: the original, dropped blocks bypassed"))
    let sizes = try configuration("s")
    #expect(sizes["num_hidden_layers"] as? Int == 2)
    #expect(sizes["layer_types"] as? [String] == ["a", "c"])
    // As many as layers, but not one by layer.
    #expect(sizes["eos_token_id"] as? [Int] == [7, 8, 9])
    let (before, after) = (try tensors("m"), try tensors("s"))
    for (name, numbers) in after {
      #expect(numbers == before[name.replacingOccurrences(of: "model.layers.1.", with: "model.layers.2.")], "\(name)")
    }
    #expect(after.count == before.count - before.keys.filter { $0.hasPrefix("model.layers.1.") }.count)
    #expect(!after.keys.contains { $0.hasPrefix("model.layers.2.") })
    #expect(try runner.run("verify", "m", "s", "--plan", "p.json").code == 0)
    // Another layer dropped is another model.
    #expect(try runner.run("m", "-o", "t", "--drop-blocks", "L0", "-q").code == 0)
    #expect(try runner.run("verify", "m", "t", "--plan", "p.json").code == 1)
  }

  @Test("a layer goes and the rest becomes smaller, shard by shard")
  func layerGoneAndPruned() throws {
    try writeShards()
    let outcome = try runner.run("m", "-o", "s", "--keep-depth", "2", "--ratio", "0.5", "--round-to", "1", "-q")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let sizes = try configuration("s")
    #expect(sizes["num_hidden_layers"] as? Int == 2 && sizes["intermediate_size"] as? Int == 12)
    #expect(try runner.run("run", "s", "-q").code == 0)
  }

  @Test("half a layer is refused: config.json counts whole ones; ONNX holds it")
  func halfLayer() throws {
    try write()
    let blocks = try runner.run("groups", "m", "--blocks").output
    #expect(blocks.hasPrefix("m: 6 residual blocks"))
    #expect(try complaint("--drop-blocks", "2").contains("config.json of a llama cannot say this result: "))
    #expect(try runner.run("m", "-o", "s.onnx", "--drop-blocks", "2", "-q").code == 0)
  }
}
