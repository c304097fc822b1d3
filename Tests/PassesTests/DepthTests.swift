import Foundation
import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Depth: which layers are worth least, plans that drop blocks, and what a proof of a drop finds.
@Suite("Depth") struct DepthTests {
  /// Three blocks x + relu(x·up)·down on a stream of 4; `scales` multiply the numbers of each `down`.
  private func stack(scales: [Double]) throws -> Module {
    var lines: [String] = []
    var nodes = ["%x0 = matmul %x, %stem : f32[3, 4]"]
    for at in scales.indices {
      lines += ["param %up\(at) : f32[4, 6]", "param %down\(at) : f32[6, 4]"]
      nodes += [
        "%h\(at) = matmul %x\(at), %up\(at) : f32[3, 6]", "%r\(at) = relu %h\(at) : f32[3, 6]",
        "%b\(at) = matmul %r\(at), %down\(at) : f32[3, 4]", "%x\(at + 1) = add %x\(at), %b\(at) : f32[3, 4]",
      ]
    }
    nodes.append("%y = matmul %x\(scales.count), %head : f32[3, 2]")
    let text = """
      module stack {
        param %stem : f32[4, 4]
        \(lines.joined(separator: "\n  "))
        param %head : f32[4, 2]
        func (%x: f32[3, 4]) -> (%y: f32[3, 2]) {
          \(nodes.joined(separator: "\n    "))
        }
      }
      """
    var module = RandomWeights.filling(try ModuleParser.parse(text), seed: 3)
    for index in module.parameters.indices {
      let name = module[module.parameters[index].value].name
      guard name.hasPrefix("down"), let at = Int(name.dropFirst(4)), let tensor = Tensor(module.parameters[index].content) else {
        continue
      }
      let scaled = Tensor(reals: tensor.reals.map { $0 * scales[at] }, .f32, tensor.shape)
      module.parameters[index].content = TensorContent(scaled.data, element: .f32, shape: scaled.shape)
    }
    return module
  }

  private func compiled(_ module: Module, _ change: (inout CompileOptions) -> Void) throws -> Compilation {
    var options = CompileOptions()
    options.choice.budget = .ratio(0)
    change(&options)
    var compilation = Compilation(module, options: options)
    try Pipeline.run(Pipeline.compile, on: &compilation)
    return compilation
  }

  @Test("the layers that do least go first, measured either way", arguments: [true, false])
  func least(hasData: Bool) throws {
    let module = try stack(scales: [1, 0.001, 0.5, 0.01])
    let data = try RandomInputs.values(of: module, extents: [:], seed: 5)
    for (count, expected) in [(3, [1]), (2, [1, 3])] {
      let compilation = try compiled(module) {
        $0.depth.kept = .count(count)
        if hasData { $0.depth.data = data }
      }
      let depth = try #require(compilation.depth)
      #expect(depth.dropped.map(\.id) == expected)
      #expect(depth.scores?.measure == (hasData ? .influence : .outputChange))
      #expect(compilation.module.nodes.count == module.nodes.count - 4 * expected.count)
    }
  }

  @Test("models above a size are measured by influence in one run; others are not")
  func large() throws {
    let module = try stack(scales: [1, 0.001, 0.5, 0.01])
    let bytes = module.parameters.reduce(0) { $0 + $1.content.byteCount }
    for (limit, measure) in [(bytes - 1, DepthScores.Measure.randomInfluence), (bytes, .outputChange)] {
      let compilation = try compiled(module) {
        $0.depth.kept = .count(2)
        $0.depth.largestBypassed = limit
      }
      let depth = try #require(compilation.depth)
      #expect(depth.scores?.measure == measure)
      #expect(depth.dropped.map(\.id) == [1, 3])
    }
  }

  @Test("a block that adds nothing has no influence, one that turns the stream has")
  func influence() throws {
    let module = try stack(scales: [0, 1])
    var options = DepthOptions()
    options.data = try RandomInputs.values(of: module, extents: [:], seed: 5)
    let scores = try DepthScores(ResidualBlocks(of: module), units: [[0], [1]], options: options, seed: 0)
    #expect(abs(scores.worth[0]) < 1e-6)
    #expect(scores.worth[1] > 1e-3)
  }

  @Test("shares are of whole layers, rounded down, and one stays")
  func budgets() {
    #expect([0.5, 0.75, 0.99, 1, 0.01].map { DepthBudget.share($0).kept(of: 8) } == [4, 6, 7, 8, 1])
    #expect(DepthBudget.share(0.7).kept(of: 10) == 7)
    #expect(DepthBudget.count(3).kept(of: 8) == 3)
    #expect(DepthBudget.count(9).kept(of: 8) == 8)
  }

  @Test("more layers than there are, and layers where there are none, are refused")
  func refused() throws {
    let module = try stack(scales: [1, 1])
    #expect(throws: Diagnostic.self) { try compiled(module) { $0.depth.kept = .count(3) } }
    let flat = RandomWeights.filling(
      try ModuleParser.parse(
        "module flat {\n param %w : f32[2, 2]\n func (%x: f32[1, 2]) -> (%y: f32[1, 2]) {\n %y = matmul %x, %w : f32[1, 2]\n }\n}\n"
      ),
      seed: 1)
    #expect(throws: Diagnostic.self) { try compiled(flat) { $0.depth.kept = .count(1) } }
  }

  @Test(
    "chains are cut into what they repeat",
    arguments: [
      ("amamam", [2, 2, 2]), ("aamaam", [3, 3]), ("cccc", [1, 1, 1, 1]), ("am", [2]), ("aam", [3]), ("ama", [2, 1]),
      ("macmmacm", [4, 4]), ("mam", [1, 2]), ("m", [1]), ("a", [1]),
    ])
  func pieces(_ kinds: String, _ lengths: [Int]) {
    let list: [BlockKind] = kinds.map { $0 == "a" ? .attention : $0 == "m" ? .mlp : .convolution }
    #expect(LayerFinder.pieces(list).map(\.count) == lengths)
  }

  @Test("a plan carries blocks there and back, and plans of the first format have none")
  func plans() throws {
    let module = try stack(scales: [1, 1, 1])
    let first = try compiled(module) {
      $0.depth.dropped = ["1"]
      $0.choice.budget = .ratio(0.5)
    }
    let (solution, plan) = (try #require(first.solution), try #require(first.plan))
    let survivors = Set(first.module.parameters.map { first.module[$0.value].name })
    let text = PlanFile.text(
      plan: plan, solution: solution, survivors: survivors, dropped: try #require(first.depth).entries, file: "m", digest: "")
    #expect(text.contains("\"format\": \"prunec-plan-2\""))
    #expect(text.contains("{ \"sum\": \"x2\", \"stream\": \"x1\", \"parameters\": [\"up1\", \"down1\"] }"))
    let file = try PlanFile(reading: Data(text.utf8))
    let second = try compiled(module) { $0.plan = file }
    #expect(ModulePrinter.print(second.module) == ModulePrinter.print(first.module))
    #expect(second.plan == plan)
    // A reader of the first format would leave the blocks in.
    #expect(throws: Diagnostic.self) { try PlanFile(reading: Data(text.replacing("plan-2", with: "plan-1").utf8)) }
    for (old, new) in [("\"x2\"", "\"x9\""), ("\"stream\": \"x1\"", "\"stream\": \"x0\"")] {
      let wrong = try PlanFile(reading: Data(text.replacing(old, with: new).utf8))
      #expect(throws: Diagnostic.self) { try compiled(module) { $0.plan = wrong } }
    }
    let bare = PlanFile.text(plan: plan, solution: solution, survivors: survivors, file: "m", digest: "")
    #expect(bare.contains("\"format\": \"prunec-plan-1\""))
    #expect(!bare.contains("blocks"))
  }

  @Test("a proof finds another block dropped, a block left in, and a weight that was touched")
  func wrongDrops() throws {
    let module = try stack(scales: [1, 1, 1])
    let compilation = try compiled(module) { $0.depth.dropped = ["1"] }
    let depth = try #require(compilation.depth)
    let right = try #require(compilation.remaining)
    let inputs = try RandomInputs.values(of: module, extents: [:], seed: 2)
    func proof(_ smaller: Module) throws -> Proof {
      try Proof.run(depth: depth, dropped: smaller, source: nil, inputs: inputs, threads: 1)
    }
    #expect(try proof(right).isProved)
    #expect(try !proof(module).isProved)
    #expect(try !proof(BlockDropper.run(depth.blocks, dropping: [2])).isProved)
    var touched = right
    let index = try #require(touched.parameters.firstIndex { touched[$0.value].name == "up0" })
    var numbers = try #require(Tensor(touched.parameters[index].content)).reals
    numbers[0] += 1e-6
    let tensor = Tensor(reals: numbers, .f32, [4, 6])
    touched.parameters[index].content = TensorContent(tensor.data, element: .f32, shape: tensor.shape)
    #expect(try !proof(touched).isProved)
  }

  @Test("a share of the parameters to keep counts what blocks took")
  func budgetOfTheOriginal() throws {
    let module = try stack(scales: [1, 1, 1, 1])
    let compilation = try compiled(module) {
      $0.depth.dropped = ["0", "1"]
      $0.choice.budget = .parameters(0.4)
      $0.choice.rounding = 1
    }
    let share = Double(compilation.module.parameterCount) / Double(module.parameterCount)
    #expect(abs(share - 0.4) < 0.06)
    let summary = try #require(CompileSummary(compilation))
    #expect(summary.parameters.before == Double(module.parameterCount))
    #expect(summary.parameters.after == Double(compilation.module.parameterCount))
  }
}
