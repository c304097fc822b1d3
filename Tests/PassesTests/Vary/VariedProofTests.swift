import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// That the proof of plans that vary can fail: each model is right but for one list.
@Suite("Proofs of plans that vary") struct VariedProofTests {
  /// One golden's model, half of the dims or channels gone, every list another.
  private func model(_ golden: String, kinds: Set<GroupKind>) throws -> CompiledModel {
    let module = RandomWeights.filling(try ModuleParser.parse(try CompiledModel.text(ofGolden: golden)), seed: 1)
    return try CompiledModel(module) { solution in
      var options = ChoiceOptions()
      (options.rounding, options.kinds) = (1, kinds)
      let scores = Scores(
        byGroup: solution.groups.map { (1...$0.extent).map(Double.init) }, byList: GoldenCommand.turned(solution))
      return try Chooser(solution: solution, scores: scores, options: options).plan()
    }
  }

  @Test(
    "what each head keeps is proved, and no other head's list passes for it",
    arguments: [
      ("vary/heads-keep-own-dims", GroupKind.headDims), ("vary/groups-of-channels", .channels),
      ("vary/grouped-queries", .headDims), ("vary/not-through-a-shared-norm", .headDims), ("cases/mha_fused", .headDims),
      ("cases/einsum", .headDims), ("cases/heads_in_batch", .headDims),
    ])
  func wrongList(_ golden: String, _ kind: GroupKind) throws {
    let model = try model(golden, kinds: [kind])
    let proof = try model.proof(seed: 1, extents: ["s": 7])
    #expect(proof.isProved, "\(proof.faults.map(\.summary))")
    #expect(!model.plan.varied.isEmpty)
    for (group, lists) in model.plan.varied {
      var wrong = model.plan
      wrong.vary(group, lists: Array(lists.dropFirst() + lists.prefix(1)))
      #expect(wrong != model.plan)
      let proof = try model.proof(seed: 1, of: wrong, extents: ["s": 7])
      #expect(!proof.isProved, "the lists of \(model.solution.groups[group].name) turned by one are taken for right")
    }
  }

  @Test("a plain list in place of the heads' own does not pass for them, nor they for it")
  func plain() throws {
    let model = try model("vary/heads-keep-own-dims", kinds: [.headDims])
    var plain = Plan(kept: model.plan.kept)
    #expect(try !model.proof(seed: 1, of: plain).isProved)
    let dims = try VariedChoiceTests.dims(model.solution)
    plain.kept[dims] = [0, 2]
    let other = try CompiledModel(model.solution.module) { _ in plain }
    #expect(try other.proof(seed: 1).isProved)
    #expect(try !other.proof(seed: 1, of: model.plan).isProved)
  }

  @Test("every number of the smaller model is the original's, bit for bit, and parameters not cut are the same bytes")
  func bits() throws {
    let model = try model("vary/heads-keep-own-dims", kinds: [.headDims])
    let bias = try #require(model.smaller.parameters.first { model.smaller[$0.value].name == "qkv.bias" })
    #expect(bias.content.materialized().numbers(as: Int8.self) == [2, 3, 5, 6, 10, 11, 13, 14, 16, 17, 20, 23])
  }
}
