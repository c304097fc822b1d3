import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Masked equivalence: the original, run on the kept indices only, computes what the smaller model computes.
///
/// `PRUNEC_PROOFS=100000 swift test -c release -Xswiftc -enable-testing --filter ProofTests` proves more random graphs.
@Suite("Proof") struct ProofTests {
  @Test("random graphs with random plans are proved")
  func randomGraphs() async throws {
    let count = UInt64(testCount("PRUNEC_PROOFS", default: 2000))
    let pieces = stride(from: 0, to: count, by: 25).map { $0..<min(count, $0 + 25) }
    let sum = try await withThrowingTaskGroup(of: Tally.self) { group in
      for piece in pieces { group.addTask { try Self.prove(piece) } }
      return try await group.reduce(into: Tally()) { $0.add($1) }
    }
    let skipped = sum.skipped.sorted { $0.value > $1.value }.map { "\($0.value) times \($0.key)" }
    print("\(sum.proved) of \(count) random graphs proved; not executed: \(skipped.prefix(8).joined(separator: "; "))")
    #expect(sum.proved * 100 >= count * 95)
  }

  @Test(
    "numbers drawn at random are the same ones in both models",
    arguments: ["random_uniform_like %h", "random_normal_like %h", "bernoulli %p", "dropout %h, %half, %training"])
  func drawn(_ operation: String) throws {
    let text = """
      module noisy {
        param %up : f32[3, 6]
        param %down : f32[6, 2]
        param %half : f32[] = 0.5
        param %training : bool[] = true
        func (%x: f32[4, 3]) -> (%y: f32[4, 2]) {
          %h = matmul %x, %up : f32[4, 6]
          %p = sigmoid %h : f32[4, 6]
          %noise = \(operation) : f32[4, 6]
          %sum = add %p, %noise : f32[4, 6]
          %again = random_uniform_like %sum : f32[4, 6]
          %last = mul %sum, %again : f32[4, 6]
          %y = matmul %last, %down : f32[4, 2]
        }
      }
      """
    let model = try CompiledModel(RandomWeights.filling(ModuleParser.parse(text), seed: 0)) { _ in Plan(kept: [[0, 3, 4]]) }
    #expect(model.solution.groups.map(\.extent) == [6])
    let proof = try model.proof(seed: 0)
    #expect(proof.isProved, "\(proof.faults.map(\.summary))")
    // Seven values, and the output again.
    #expect(proof.compared == 8)
  }

  @Test("values on axes such as batch*heads are compared one by one, by the lengths of the inputs")
  func symbols() throws {
    let model = try CompiledModel(golden: "cases/heads_in_batch", keep: ["qkv.heads": [1, 2]])
    let proof = try model.proof(seed: 0, extents: ["b": 3, "s": 7])
    #expect(proof.isProved)
    // A reshape makes no numbers of its own; outputs are compared twice.
    let makers = model.smaller.nodes.filter { node in
      node.operation != .reshaping(.reshape)
        && node.outputs.contains { $0.map { model.smaller[$0].type.element.isFloat } ?? false }
    }
    #expect(proof.compared == makers.count + model.smaller.outputs.count)
  }

  /// What some seeds showed.
  struct Tally: Sendable {
    var proved: UInt64 = 0
    /// How often a graph was not executed, by what was said of it.
    var skipped: [String: Int] = [:]

    mutating func add(_ other: Tally) {
      proved += other.proved
      skipped.merge(other.skipped, uniquingKeysWith: +)
    }
  }

  static func prove(_ seeds: Range<UInt64>) throws -> Tally {
    var tally = Tally()
    for seed in seeds {
      let model = try CompiledModel(try RandomGraphs.module(seed: seed)) { RandomGraphTests.randomPlan($0, seed: seed) }
      do {
        let proof = try model.proof(seed: seed)
        tally.proved += proof.isProved ? 1 : 0
        if !proof.isProved { Issue.record("seed \(seed): \(proof.faults.map(\.summary))") }
      } catch let error as Diagnostic {
        // What has no rule, or cannot be executed, is said to be so; nothing else may end a proof.
        if error.kind != .unsupported { Issue.record("seed \(seed): \(error)") }
        tally.skipped[error.message, default: 0] += 1
      }
    }
    return tally
  }
}
