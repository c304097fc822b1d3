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

  /// relu(x·w) squared, with a node in the middle that lets nothing pass.
  private func chain(_ operation: Operator) throws -> (module: Module, loss: ValueID) {
    var module = Module(name: "chain", opsets: ["": 21])
    let x = module.add(Value(name: "x", type: TensorType(.f64, [2, 3])))
    module.inputs = [x]
    let y = module.add(Value(name: "y", type: TensorType(.f64, [2, 3])))
    module.nodes = [Node(operation, inputs: [x], outputs: [y], name: "middle")]
    let writer = try GraphWriter(module)
    let loss = (Term(writer, y).squared + Term(writer, x).squared).total
    try writer.check()
    return (writer.module, loss.value)
  }

  @Test("An operator that lets no gradient pass is refused by name, with its reason")
  func refused() throws {
    let opaque = Operator.opaque(Opaque(domain: "own", type: "Mystery"))
    for (operation, text) in [
      (opaque, "own::Mystery: no gradient passes: prunec does not know the operator"),
      (.generation(.bernoulli), "bernoulli: no gradient passes: it draws at random"),
    ] {
      let (module, loss) = try chain(operation)
      let error = #expect(throws: Diagnostic.self) { try Differentiate.run(module, of: loss, by: module.inputs) }
      #expect(error?.kind == .unsupported && "\(error.map { "\($0)" } ?? "")".contains("node middle: \(text)"))
    }
  }

  @Test("Where no gradient has to pass it, the same operator is none of differentiation's business")
  func notOnTheWay() throws {
    var (module, _) = try chain(.generation(.bernoulli))
    let writer = try GraphWriter(module)
    let w = writer.input("w", TensorType(.f64, [3]))
    let loss = (Term(writer, ValueID(1)) * w).total
    module = writer.module
    let gradient = try Differentiate.run(module, of: loss.value, by: [w.value])
    #expect(gradient.nodes.contains { $0.operation == .generation(.bernoulli) })
  }

  @Test("What is flat lets nothing pass, and what goes around it is all there is")
  func flat() throws {
    let (module, loss) = try chain(.elementwise(.round))
    let gradient = try Differentiate.run(module, of: loss, by: module.inputs)
    let x = Tensor(reals: [1.2, -0.7, 3.4, 0.2, 5, -6], .f64, [2, 3])
    #expect(try PlainRunner(gradient).run([.tensor(x)]).first?.tensor?.reals == x.reals.map { 2 * $0 })
  }

  @Test("A fused product is written out as the product and the activation that it is")
  func fused() throws {
    let trial = GradientCase(
      operation: .matrixProduct(.fusedGemm), operands: [.real([3, 4]), .real([4, 2]), .real([2])],
      attributes: [.init(.activation, .string("Tanh"))])
    let (module, loss, _) = try trial.module(seed: 1)
    let written = try Differentiate.writtenOut(module, towards: loss, from: module.inputs)
    let operations = written.nodes.map(\.operation.textName)
    #expect(operations.starts(with: ["matmul", "add", "tanh", "identity"]))
  }
}
