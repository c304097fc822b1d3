import Formats
import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// Masked equivalence on every case that a solver must get right, and on every trap of the design: the golden files, with random weights.
@Suite("Proofs of all cases") struct CaseProofTests {
  /// Goldens whose models are pruned.
  static let all = Golden.all.filter { $0.name.hasPrefix("cases/") || $0.name.hasPrefix("traps/") || $0.name.hasPrefix("vary/") }

  /// How much goes.
  enum Share: CaseIterable {
    case half, halfOfAllKinds, almostEverything, randomly, randomlyAgain, varied, variedAgain

    /// Index i of every group has the score i + 1, so the upper ones stay, unless the plan is random.
    func plan(_ solution: Solution) throws -> Plan {
      switch self {
      case .half: try Self.plan(solution, ratio: 0.5, kinds: nil)
      case .halfOfAllKinds: try Self.plan(solution, ratio: 0.5, kinds: Set(GroupKind.allCases))
      case .almostEverything: try Self.plan(solution, ratio: 0.99, kinds: Set(GroupKind.allCases))
      case .randomly: RandomGraphTests.randomPlan(solution, seed: 0)
      case .randomlyAgain: RandomGraphTests.randomPlan(solution, seed: 1)
      case .varied: VariedPlans.random(solution, seed: 2, share: 1)
      case .variedAgain: VariedPlans.random(solution, seed: 3, share: 1)
      }
    }

    private static func plan(_ solution: Solution, ratio: Double, kinds: Set<GroupKind>?) throws -> Plan {
      var options = CompileOptions()
      options.choice.budget = .ratio(ratio)
      options.choice.rounding = 1
      options.choice.kinds = kinds
      var compilation = Compilation(solution.module, options: options)
      compilation.inferred = solution.inferred
      compilation.solution = solution
      compilation.scores = Scores(byGroup: solution.groups.map { group in (1...group.extent).map(Double.init) })
      let choose = try #require(Pipeline.compile.first { $0.name == "choose" })
      try choose.run(&compilation)
      return try #require(compilation.plan)
    }
  }

  /// Cases that are not executed, with what is said of them.
  static let notExecuted = [
    "cases/opaque_op": "ai.onnx.ml::Normalizer: prunec cannot execute this operator",
    // Its parameters decide a length that stands as a number in the graph: nothing of it is pruned, and random weights do not fit.
    "traps/24-counts-of-the-example": "",
  ]

  @Test("halves of default and of all kinds, almost everything, random plans, and such that vary", arguments: all.map(\.name))
  func proved(_ name: String) throws {
    var module = RandomWeights.filling(try ModuleParser.parse(try CompiledModel.text(ofGolden: name)), seed: 0)
    var source: NamedModel?
    // Subgraphs are executed from a file.
    if name == "cases/control_flow" {
      let file = try OnnxDocument(bytes: OnnxWriter.bytes(Exporter.model(of: module), patching: nil)).model
      (module, source) = (try Importer.module(from: file), file)
    }
    for (seed, share) in Share.allCases.enumerated() {
      let model = try CompiledModel(module, source: source, plan: share.plan)
      if let message = Self.notExecuted[name] {
        if message.isEmpty {
          #expect(model.solution.groups.isEmpty)
        } else {
          let error = #expect(throws: Diagnostic.self) { _ = try model.proof(seed: UInt64(seed)) }
          #expect(error?.kind == .unsupported && error?.message == message)
        }
        continue
      }
      let proof = try model.proof(seed: UInt64(seed), extents: ["s": 7])
      #expect(proof.isProved, "\(share): \(proof.faults.map(\.summary))")
      #expect(proof.outputs.allSatisfy { $0.error <= proof.tolerance })
    }
  }
}
