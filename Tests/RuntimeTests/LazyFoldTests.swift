import TestSupport
import Testing

@testable import Graph
@testable import Runtime

/// Weights that are cast and transposed take memory only while they are read; tables are widened after rows are picked.
@Suite("Lazy folds") struct LazyFoldTests {
  private func module(_ parameters: String, _ input: String, _ body: String, output: String) throws -> Module {
    RandomWeights.filling(
      try ModuleParser.parse(
        """
        module m {
          opset 21
          \(parameters)
          func (\(input)) -> (\(output)) {
            \(body)
          }
        }
        """), seed: 3)
  }

  private static let product = """
    %c = cast %w to=1 : f32[96, 200]
    %t = transpose %c perm=[1, 0] : f32[200, 96]
    %p = matmul %x, %t : f32[3, 96]
    %y = matmul %p, %c : f32[3, 200]
    """

  private func bytes(_ values: [RuntimeValue]) -> [[UInt8]] { values.map { $0.tensor?.data.numbers(as: UInt8.self) ?? [] } }

  private func inputs(_ module: Module) throws -> [RuntimeValue] {
    try RandomInputs.values(of: module, extents: [:], seed: 5)
  }

  private func lowered(_ module: Module, _ passes: [LoweringPass] = Lowering.passes) throws -> Module {
    try Lowering.lower(module, inputs: try inputs(module).compactMap { $0.tensor?.type }, passes: passes)
  }

  @Test("the same numbers, bit for bit, as weights that were cast and transposed before", arguments: [ElementType.bf16, .f16])
  func equal(_ element: ElementType) throws {
    let lazy = try module("param %w : \(element.rawValue)[96, 200]", "%x: f32[3, 200]", Self.product, output: "%y: f32[3, 200]")
    let eager = try module(
      "param %c : f32[96, 200]\n  param %t : f32[200, 96]", "%x: f32[3, 200]",
      Self.product.split(separator: "\n").suffix(2).joined(separator: "\n"), output: "%y: f32[3, 200]")
    let weight = try #require(lazy.parameters.first.flatMap { RuntimeTensor($0.content) })
    let wide = RuntimeTensor(reals: weight.reals, .f32, weight.shape)
    var filled = eager
    for (index, tensor) in [wide, wide.transposed([1, 0])].enumerated() { filled.parameters[index].content = tensor.content }
    let inputs = try inputs(lazy)
    let folded = try lowered(lazy)
    #expect(folded.nodes.map(\.operation.textName) == ["matmul", "matmul"])
    #expect(folded.parameters.count == 2 && folded.parameters.allSatisfy { $0.content.data.store.isResting })
    #expect(bytes(try Session(lazy).run(inputs)) == bytes(try Session(filled).run(inputs)))
    #expect(bytes(try PlainRunner(folded).run(inputs)) == bytes(try PlainRunner(try lowered(filled)).run(inputs)))
    var step = try Stepper(lazy, source: nil, inputs: inputs, threads: 2)
    var other = try Stepper(filled, source: nil, inputs: inputs, threads: 2)
    #expect(bytes(try step.outputs()) == bytes(try other.outputs()))
  }

  @Test("once a program holds its packed weights, what they were packed from rests")
  func packed() throws {
    let folded = try lowered(
      try module("param %w : bf16[96, 200]", "%x: f32[3, 200]", Self.product, output: "%y: f32[3, 200]"))
    let program = try ProgramBuilder.build(folded, threads: 1)
    let frame = Frame(program, pool: WorkPool(threads: 1))
    frame.hold(program.constants.indices)
    #expect(folded.parameters.allSatisfy { $0.content.data.store.isLazy && $0.content.data.store.isResting })
  }

  @Test("a weight that a kernel reads where it lies is held as a copy")
  func dense() throws {
    let module = try module(
      "param %w : bf16[200, 100]", "%x: f32[200, 100]", "%c = cast %w to=1 : f32[200, 100]\n %y = add %x, %c : f32[200, 100]",
      output: "%y: f32[200, 100]")
    let inputs = try inputs(module)
    let session = Session(module)
    let first = bytes(try session.run(inputs))
    #expect(first == bytes(try PlainRunner(module).run(inputs)))
    #expect(first == bytes(try session.run(inputs)))
  }

  @Test("small results are computed at once")
  func small() throws {
    let folded = try lowered(
      try module(
        "param %w : bf16[10, 20]", "%x: f32[10, 20]", "%c = cast %w to=1 : f32[10, 20]\n %y = add %x, %c : f32[10, 20]",
        output: "%y: f32[10, 20]"))
    #expect(folded.parameters.count == 1 && folded.parameters.allSatisfy { !$0.content.data.store.isLazy })
  }

  // MARK: Tables

  private func gathered(_ body: String, table: String = "param %w : bf16[5000, 8]", output: String) throws -> Module {
    let module = try module(table + "\n  param %i : i64[3] = [1, 0, 1]", "%x: f32[1]", body, output: output)
    var free = module
    // Indices are known only when the model runs.
    let index = try #require(free.parameters.firstIndex { free[$0.value].name == "i" })
    free.inputs.append(free.parameters.remove(at: index).value)
    return free
  }

  private func run(_ module: Module) throws -> (before: [[UInt8]], after: Module, numbers: [[UInt8]]) {
    let inputs: [RuntimeValue] = [
      .tensor(RuntimeTensor(reals: [2], .f32, [1])), .tensor(RuntimeTensor(wholes: [4, 0, 49], .i64, [3])),
    ]
    let after = try Lowering.lower(module, inputs: inputs.compactMap { $0.tensor?.type }, passes: Lowering.plainPasses)
    return (bytes(try PlainRunner(module).run(inputs)), after, bytes(try Session(module).run(inputs)))
  }

  @Test("rows are picked from the table as it is stored, and widened then")
  func picks() throws {
    let (before, after, numbers) = try run(
      try gathered(
        "%c = cast %w to=1 : f32[5000, 8]\n %g = gather %c, %i axis=0 : f32[3, 8]\n %y = mul %g, %x : f32[3, 8]",
        output: "%y: f32[3, 8]"))
    #expect(after.nodes.map(\.operation.textName) == ["gather", "cast", "mul"])
    #expect(after.parameters.map { after[$0.value].type.element } == [.bf16])
    #expect(after.nodes.last?.inputs.first == after.nodes[1].outputs[0])
    #expect(before == numbers)
  }

  @Test("a table of a model that computes in bf16 is not widened for a few rows")
  func narrow() throws {
    let (_, after, _) = try run(
      try gathered("%g = gather %w, %i axis=0 : bf16[3, 8]\n %y = relu %g : bf16[3, 8]", output: "%y: bf16[3, 8]"))
    #expect(after.nodes.map(\.operation.textName) == ["gather", "cast", "relu", "cast"])
    #expect(after.parameters.map { after[$0.value].type.element } == [.bf16])
  }

  @Test("a table of which more is picked than there is, and one that is computed, are left as they are")
  func keeps() throws {
    let small = try gathered(
      "%c = cast %w to=1 : f32[2, 9000]\n %r = gather %c, %i axis=0 : f32[3, 9000]\n %y = mul %r, %x : f32[3, 9000]",
      table: "param %w : bf16[2, 9000]", output: "%y: f32[3, 9000]")
    let kept = try Lowering.lower(
      small, inputs: small.inputs.map { small[$0].type }, passes: [Lowering.widenGathered])
    #expect(kept.nodes.map(\.operation.textName) == ["cast", "gather", "mul"])
    let computed = try gathered(
      "%h = cast %x to=10 : f16[1]\n %m = mul %w, %h : f16[5000, 8]\n %c = cast %m to=1 : f32[5000, 8]\n"
        + " %y = gather %c, %i axis=0 : f32[3, 8]", table: "param %w : f16[5000, 8]", output: "%y: f32[3, 8]")
    let left = try Lowering.lower(
      computed, inputs: computed.inputs.map { computed[$0].type }, passes: [Lowering.widenGathered])
    #expect(left.nodes.map(\.operation.textName) == ["cast", "mul", "cast", "gather"])
  }

  // MARK: Steps

  @Test("a run for some values alone leaves out what they do not need, and gives the same numbers")
  func only() throws {
    let module = try module(
      "param %w : f32[4, 4]\n  param %v : f32[4, 4]", "%x: f32[2, 4]",
      "%a = matmul %x, %w : f32[2, 4]\n %b = relu %a : f32[2, 4]\n %n = neg %a : f32[2, 4]\n %y = matmul %b, %v : f32[2, 4]",
      output: "%y: f32[2, 4], %n: f32[2, 4]")
    let inputs = try inputs(module)
    func seen(_ names: Set<String>?) throws -> [String: [UInt8]] {
      var run = try Stepper(module, source: nil, inputs: inputs, threads: 1, only: names)
      var seen: [String: [UInt8]] = [:]
      while let step = try run.advance() {
        for name in run.names(madeBy: step) { seen[name] = try run.value(madeNow: name)?.data.numbers(as: UInt8.self) }
      }
      return seen
    }
    let all = try seen(nil)
    #expect(Set(all.keys) == ["a", "b", "n", "y"])
    let some = try seen(["a", "b", "x"])
    #expect(Set(some.keys) == ["a", "b"])
    for (name, bytes) in some { #expect(all[name] == bytes) }
    #expect(try seen(["x"]).isEmpty)
  }
}
