import Graph
import Runtime
import Testing

@testable import Passes

@Suite("Gradients") struct DifferentiateTests {
  private static let cases: [GradientCase] = Operator.all.flatMap { operation -> [GradientCase] in
    switch GradientTable.expectation(of: operation) {
    case .agrees(let cases): cases
    case .flat, .refused: []
    }
  }

  @Test("of every operator agree with central differences in f64; the gradient's module is one like any other", arguments: cases)
  func differences(trial: GradientCase) throws {
    for seed in 1...2 as ClosedRange<UInt64> {
      let (errors, module, inputs) = try trial.errors(seed: seed)
      #expect(!errors.isEmpty && errors.values.allSatisfy { $0 < 1e-5 }, "\(errors)")
      #expect(Verifier.check(module).isEmpty, "\(Verifier.check(module))")
      #expect(VerifyDimensions.run(module).isEmpty, "\(VerifyDimensions.run(module))")
      let values = inputs.map { RuntimeValue.tensor($0) }
      let (plain, fast) = (try PlainRunner(module).run(values), try Session(module).run(values))
      for (a, b) in zip(plain, fast) {
        let (a, b) = (try #require(a.tensor).reals, try #require(b.tensor).reals)
        #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-6 * (1 + abs($0)) })
      }
      let text = ModulePrinter.print(module)
      #expect(ModulePrinter.print(try ModuleParser.parse(text)) == text)
    }
  }

  @Test("An operator either agrees with differences in some case, or is flat, or says why not", arguments: Operator.all)
  func complete(operation: Operator) throws {
    let rule = try #require(operation.rules).gradient
    switch (GradientTable.expectation(of: operation), rule) {
    case (.agrees(let cases), .chain), (.agrees(let cases), .pieces): #expect(!cases.isEmpty)
    case (.flat, .flat): break
    case (.refused(let text), .none(let reason)): #expect(reason.contains(text))
    case (.agrees, _), (.flat, _), (.refused, _): Issue.record("the table and the rule say different things")
    }
  }
}
