import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Masked equivalence: the original, run on the kept indices only, computes what the smaller model computes.
@Suite("Proof") struct ProofTests {
  /// A solved model with a plan, and what the plan makes of it.
  struct Compiled {
    let solution: Solution
    let plan: Plan
    var smaller: Module

    init(_ module: Module, seed: UInt64, plan given: Plan? = nil) throws {
      var compilation = Compilation(module, options: CompileOptions())
      for pass in Pipeline.solve { try pass.run(&compilation) }
      solution = try #require(compilation.solution)
      plan = given ?? RandomGraphTests.randomPlan(solution, seed: seed)
      smaller = try Shrinker(solution: solution, plan: plan).run()
    }

    func proof(seed: UInt64) throws -> Proof {
      let symbols = Set(solution.module.inputs.flatMap { solution.module[$0].type.shape.flatMap(\.symbols) })
      let extents = Dictionary(uniqueKeysWithValues: symbols.map { ($0, 2) })
      let inputs = try RandomInputs.values(of: solution.module, extents: extents, seed: seed)
      return try Proof.run(
        solution: solution, plan: plan, smaller: smaller, sources: (nil, nil), inputs: inputs, threads: 1)
    }
  }

  @Test("random graphs with random plans are proved")
  func randomGraphs() throws {
    let count = testCount("PRUNEC_PROOFS", default: 200)
    var (proved, skipped): (Int, [String: Int]) = (0, [:])
    for seed in 0..<UInt64(count) {
      let compiled = try Compiled(try RandomGraphs.module(seed: seed), seed: seed)
      do {
        let proof = try compiled.proof(seed: seed)
        #expect(proof.isProved, "seed \(seed): \(proof.faults.map(\.summary))")
        proved += 1
      } catch let error as Diagnostic {
        // What has no rule, or cannot be executed, is said to be so; nothing else may end a proof.
        if error.kind != .unsupported { Issue.record("seed \(seed): \(error)") }
        skipped[error.message, default: 0] += 1
      }
    }
    print("\(proved) of \(count) random graphs proved; not executed: \(skipped.sorted { $0.value > $1.value }.prefix(8))")
    #expect(proved * 10 >= count * 7)
  }

  /// A two-layer network whose hidden units are pruned to {0, 2}.
  private static let network = """
    module small {
      param %up : f32[3, 4] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
      param %down : f32[4, 2] = [1, -1, 2, -2, 3, -3, 4, -5]
      func (%x: f32[batch, 3]) -> (%y: f32[batch, 2]) {
        %hidden = matmul %x, %up : f32[batch, 4]
        %active = relu %hidden   : f32[batch, 4]
        %y = matmul %active, %down : f32[batch, 2]
      }
    }
    """

  @Test("a row taken from its neighbour is noticed")
  func oneRowOff() throws {
    var compiled = try Compiled(try ModuleParser.parse(Self.network), seed: 1, plan: Plan(kept: [[0, 2]]))
    try #require(compiled.solution.groups.count == 1)
    #expect(try compiled.proof(seed: 0).isProved)
    let index = try #require(compiled.smaller.parameters.firstIndex { compiled.smaller[$0.value].name == "down" })
    let content = compiled.smaller.parameters[index].content
    var numbers = try #require(Tensor(content)).reals
    numbers[0] += 1
    let wrong = Tensor(reals: numbers, .f32, content.shape)
    compiled.smaller.parameters[index].content = TensorContent(wrong.data, element: .f32, shape: wrong.shape)
    #expect(try !compiled.proof(seed: 0).isProved)
  }
}
