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
    _ = try await Self.prove("random graphs") { RandomGraphTests.randomPlan($0, seed: $1) }
  }

  @Test("random graphs whose heads and groups of channels keep indices of their own are proved")
  func randomGraphsThatVary() async throws {
    let tally = try await Self.prove("random graphs with plans that vary") { VariedPlans.random($0, seed: $1, share: 1) }
    print("\(tally.varied) groups varied, in \(tally.varying) graphs")
    #expect(tally.varying * 100 >= tally.proved * 15, "the generator must reach what the test is about")
  }

  /// Proves as many random graphs as were asked for, by plans of their solutions and seeds.
  static func prove(_ what: String, plan: @escaping @Sendable (Solution, UInt64) -> Plan) async throws -> Tally {
    let count = UInt64(testCount("PRUNEC_PROOFS", default: 2000))
    let pieces = stride(from: 0, to: count, by: 25).map { $0..<min(count, $0 + 25) }
    let sum = try await withThrowingTaskGroup(of: Tally.self) { group in
      for piece in pieces { group.addTask { try Self.prove(piece, plan) } }
      return try await group.reduce(into: Tally()) { $0.add($1) }
    }
    let skipped = sum.skipped.sorted { $0.value > $1.value }.map { "\($0.value) times \($0.key)" }
    print("\(sum.proved) of \(count) \(what) proved; not executed: \(skipped.prefix(8).joined(separator: "; "))")
    #expect(sum.proved * 100 >= count * 95)
    return sum
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

  /// The proof of a model whose parameters' axis 0 of `%rows` are positions that are pruned.
  private func rows(_ text: String, keep: [[Int]]) throws -> Proof {
    let module = RandomWeights.filling(try ModuleParser.parse("module rows {\n\(text)\n}\n"), seed: 0)
    let model = try CompiledModel(module) { solution in
      var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
      for (index, kept) in keep.enumerated() {
        let value = try #require(module.values.firstIndex { $0.name == "rows\(index)" })
        plan.kept[try #require(solution.groups(in: solution.axes[value][0]).first)] = kept
      }
      return plan
    }
    return try model.proof(seed: 0)
  }

  @Test("a norm over groups of channels sees the kept positions alone")
  func groupNormOverPositions() throws {
    let proof = try rows(
      """
        opset 21
        param %rows0 : f32[5, 4]
        param %scale : f32[4]
        param %bias : f32[4]
        param %down : f32[5, 3]
        func (%x: f32[2, 4, 4]) -> (%y: f32[2, 4, 3]) {
          %turned = transpose %rows0 perm=[1, 0] : f32[4, 5]
          %positions = matmul %x, %turned : f32[2, 4, 5]
          %norm = group_norm %positions, %scale, %bias num_groups=2 : f32[2, 4, 5]
          %y = matmul %norm, %down : f32[2, 4, 3]
        }
      """, keep: [[0, 2, 3]])
    #expect(proof.isProved, "\(proof.faults.map(\.summary))")
  }

  @Test("attention looks at the kept keys alone, remembered and new ones", arguments: [[[1, 2]], [[0, 1, 2, 3], [2]]])
  func attentionOverKeys(_ keep: [[Int]]) throws {
    let proof = try rows(
      """
        opset 23
        param %rows0 : f32[4, 1, 6]
        param %rows1 : f32[3, 1, 6]
        param %mask : f32[1, 2, 2, 7]
        param %split : i64[4] = [3, 1, 2, 3]
        param %three : i64[1] = [3]
        func (%x: f32[1, 2, 6]) -> (%y: f32[1, 2, 6], %scores: f32[1, 2, 2]) {
          %keys = transpose %rows0 perm=[1, 0, 2] : f32[1, 4, 6]
          %parts = reshape %rows1, %split : f32[3, 1, 2, 3]
          %past = transpose %parts perm=[1, 2, 0, 3] : f32[1, 2, 3, 3]
          %y, %k, %v, %s = attention %x, %keys, %keys, %mask, %past, %past q_num_heads=2 kv_num_heads=2 : f32[1, 2, 6], f32[1, 2, 7, 3], f32[1, 2, 7, 3], f32[1, 2, 2, 7]
          %scores = reduce_max %s, %three keepdims=0 : f32[1, 2, 2]
        }
      """, keep: keep)
    #expect(proof.isProved, "\(proof.faults.map(\.summary))")
  }

  @Test("values on axes such as batch*heads are compared one by one, by the lengths of the inputs")
  func symbols() throws {
    let model = try CompiledModel(golden: "cases/heads_in_batch", keep: ["qkv.heads": [1, 2]])
    let proof = try model.proof(seed: 0, extents: ["b": 3, "s": 7])
    #expect(proof.isProved)
    // Every value, also what only moves numbers; outputs are compared twice.
    let makers = model.smaller.nodes.filter { node in
      node.outputs.contains { $0.map { model.smaller[$0].type.element.isFloat } ?? false }
    }
    #expect(proof.compared == makers.count + model.smaller.outputs.count)
  }

  /// What some seeds showed.
  struct Tally: Sendable {
    var proved: UInt64 = 0
    /// Groups that kept other indices for others, and graphs with such.
    var varied = 0
    var varying: UInt64 = 0
    /// How often a graph was not executed, by what was said of it.
    var skipped: [String: Int] = [:]

    mutating func add(_ other: Tally) {
      proved += other.proved
      varied += other.varied
      varying += other.varying
      skipped.merge(other.skipped, uniquingKeysWith: +)
    }
  }

  static func prove(_ seeds: Range<UInt64>, _ plan: (Solution, UInt64) -> Plan) throws -> Tally {
    var tally = Tally()
    for seed in seeds {
      do {
        let model = try CompiledModel(try RandomGraphs.module(seed: seed)) { plan($0, seed) }
        tally.varied += model.plan.varied.count
        tally.varying += model.plan.varied.isEmpty ? 0 : 1
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
