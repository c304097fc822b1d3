import Formats
import Foundation
import Graph
import Passes
import Testing
import Tracing
import Zoo

/// Models that lie beside the project on some machines.
private enum Shared {
  static func path(_ name: String) -> String? {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let places = ["../../../shared/models", "../../../../shared/models"].map {
      tests.appendingPathComponent($0).standardizedFileURL.path
    }
    let chosen = ProcessInfo.processInfo.environment["PRUNEC_MODELS"].map { [$0] } ?? places
    return chosen.map { "\($0)/\(name).onnx" }.first { FileManager.default.fileExists(atPath: $0) }
  }

  static let names = [
    "vit_tiny", "dino_index", "dino_unbind", "dino_chunk", "dinov2", "bert", "llama_gqa", "qwen3", "gpt2",
  ]
  static var present: [String] { names.filter { path($0) != nil } }

  /// The same model in Swift.
  static func model(_ name: String) -> any ZooModel {
    var c = VisionConfiguration()
    (c.image, c.patch, c.classes) = (32, 8, 10)
    switch name {
    case "vit_tiny":
      (c.width, c.depth, c.heads, c.hidden) = (48, 3, 3, 144)
      return VisionTransformer(c)
    case "dinov2":
      (c.image, c.patch, c.width, c.depth, c.heads, c.hidden) = (28, 7, 48, 2, 4, 256)
      (c.hasLayerScale, c.registers, c.positionsPatchesOnly, c.isGated) = (true, 2, true, true)
      return VisionTransformer(c)
    case "bert":
      var b = BertConfiguration()
      (b.vocabulary, b.width, b.layers, b.heads, b.hidden, b.positions) = (160, 48, 2, 4, 96, 32)
      return Bert(b)
    case "gpt2":
      var g = Gpt2Configuration()
      (g.vocabulary, g.positions, g.width, g.layers, g.heads, g.hidden) = (160, 32, 48, 2, 4, 192)
      return Gpt2(g)
    case "llama_gqa", "qwen3":
      var l = CausalConfiguration()
      (l.vocabulary, l.width, l.hidden, l.layers, l.heads, l.keyValueHeads, l.headSize) = (128, 48, 96, 2, 6, 2, 8)
      if name == "qwen3" { (l.headSize, l.isTied, l.normalisesHeads) = (12, true, true) }
      return CausalLanguageModel(l)
    default:
      (c.width, c.depth, c.heads, c.hidden) = (40, 2, 4, 160)
      c.split = name == "dino_chunk" ? .chunked : name == "dino_unbind" ? .unbound : .indexed
      return VisionTransformer(c)
    }
  }
}

@Suite("A model traced from Swift solves to the groups of its export by PyTorch")
struct SharedGroupTests {
  /// Every group as its kind, extent, and the axes of weights that carry it. Exporters fold transposes into weights and rename them, so a
  /// weight stands for the lengths of its axes in any order; two or more of them, since vectors are added and folded at will. A tied
  /// embedding is two tensors in an export, so a table of the vocabulary counts once.
  private func signature(_ module: Module) throws -> [String] {
    let solution = try solved(module)
    return solution.groups.map { group in
      let carried = group.occurrences.filter { solution.module[$0.value].type.rank >= 2 && $0.isWeight }.map { occurrence in
        let shape = solution.module[occurrence.value].type.staticShape ?? []
        return "\(shape.sorted())@\(shape.indices.contains(occurrence.axis) ? shape[occurrence.axis] : 0)"
      }
      let tables = Set(carried.filter { $0.contains("128]") || $0.contains("160]") })
      let others = carried.filter { !tables.contains($0) } + tables
      return "\(group.kind.rawValue) \(group.extent) default=\(group.isDefault): \(others.sorted().joined(separator: " "))"
    }.sorted()
  }

  @Test(
    "Same kinds, extents and tied weights", .enabled(if: !Shared.present.isEmpty, "the shared models are not here"),
    arguments: Shared.present)
  func groups(name: String) throws {
    let path = try #require(Shared.path(name))
    let exported = try signature(try ModelFile.read(path).module)
    let traced = try signature(try Shared.model(name).module(named: name, weights: .random(seed: 0)))
    #expect(traced == exported)
  }
}
