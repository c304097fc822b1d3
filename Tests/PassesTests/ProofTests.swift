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
  func randomGraphs() throws {
    let count = testCount("PRUNEC_PROOFS", default: 200)
    var (proved, skipped): (Int, [String: Int]) = (0, [:])
    for seed in 0..<UInt64(count) {
      let compiled = try CompiledModel(try RandomGraphs.module(seed: seed)) { RandomGraphTests.randomPlan($0, seed: seed) }
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
}
