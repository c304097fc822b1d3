import Graph
import Runtime
import Testing

@testable import Passes
@testable import TestSupport

/// A test of layouts alone: when the indices of every group are permuted in all parameters alike, the outputs stay what they were.
@Suite("Permuted groups leave the outputs unchanged") struct PermutationTests {
  /// The solved module with the indices of its groups permuted; `apart`: the first parameter that carries a group by another
  /// permutation than the rest. Nil where no group has two indices.
  static func permuted(_ solution: Solution, seed: UInt64, apart: Bool = false) -> Module? {
    var module = solution.module
    let lists = (0..<2).map { turn in
      var dice = Dice(seed: seed &+ UInt64(turn) &* 7919)
      let plan = Plan(kept: solution.groups.map { dice.shuffled(Array(0..<$0.extent)) })
      return KeptIndices(solution: solution, plan: plan)
    }
    // Whole numbers are positions or counts, unless they are quantised weights.
    let quantised = module.nodes.flatMap { node -> [ValueID] in
      if case .quantisation = node.operation { return node.inputs.compactMap { $0 } }
      return []
    }
    let codes = Set(quantised)
    var isFirst = true
    for index in module.parameters.indices {
      let (value, content) = (module.parameters[index].value, module.parameters[index].content)
      let axes = solution.axes[value.index]
      guard content.element.isFloat || codes.contains(value) || [.i8, .u8].contains(content.element),
        let tensor = Tensor(content),
        axes.contains(where: { !solution.groups(in: $0).isEmpty })
      else { continue }
      let order = lists[apart && isFirst ? 1 : 0]
      isFirst = false
      let kept = zip(axes, tensor.shape).map { order.positions($0) ?? Array(0..<$1) }
      let positions = zip(kept, Tensor.strides(tensor.shape)).reduce([0]) { outer, axis in
        outer.flatMap { start in axis.0.map { start + $0 * axis.1 } }
      }
      let moved = tensor.picking(positions, shape: tensor.shape)
      module.parameters[index].content = TensorContent(moved.data, element: moved.element, shape: moved.shape)
    }
    return isFirst ? nil : module
  }

  /// The largest relative difference of the outputs; nil where the model cannot be executed.
  static func difference(_ solution: Solution, _ other: Module, seed: UInt64) throws -> Double? {
    let symbols = Set(solution.module.inputs.flatMap { solution.module[$0].type.shape.flatMap(\.symbols) })
    let extents = Dictionary(uniqueKeysWithValues: symbols.map { ($0, $0 == "s" ? 7 : 2) })
    let inputs = try RandomInputs.values(of: solution.module, extents: extents, seed: seed)
    let (want, have): ([RuntimeValue], [RuntimeValue])
    do throws(Diagnostic) {
      want = try Session(solution.module).run(inputs)
      have = try Session(other).run(inputs)
    } catch {
      if error.kind == .unsupported { return nil }
      throw error
    }
    let errors = zip(want, have).compactMap { want, have -> Double? in
      guard let want = want.tensor, let have = have.tensor else { return nil }
      return want.shape == have.shape ? Proof.relativeError(want, have) : .nan
    }
    return errors.contains { $0.isNaN } ? .nan : errors.max() ?? 0
  }

  static func solution(_ module: Module) throws -> Solution {
    var compilation = Compilation(module, options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    return try #require(compilation.solution)
  }

  @Test("every case", arguments: CaseProofTests.all.map(\.name))
  func cases(_ name: String) throws {
    let solution = try Self.solution(RandomWeights.filling(ModuleParser.parse(CompiledModel.text(ofGolden: name)), seed: 5))
    guard let other = Self.permuted(solution, seed: 5), let difference = try Self.difference(solution, other, seed: 5) else {
      return
    }
    #expect(difference <= 1e-4)
  }

  @Test("random graphs; and a parameter permuted by itself is noticed")
  func randomGraphs() throws {
    var (tried, noticed) = (0, 0)
    for seed in 0..<UInt64(testCount("PRUNEC_PERMUTED", default: 150)) {
      let solution = try Self.solution(RandomGraphs.module(seed: seed))
      // Numbers drawn at random do not follow a permutation.
      let isDrawn = solution.module.nodes.contains { node in
        ["random", "bernoulli", "multinomial"].contains { node.operation.textName.hasPrefix($0) }
      }
      if isDrawn { continue }
      guard let other = Self.permuted(solution, seed: seed), let wrong = Self.permuted(solution, seed: seed, apart: true),
        let difference = try Self.difference(solution, other, seed: seed)
      else { continue }
      #expect(difference <= 1e-4, "seed \(seed)")
      tried += 1
      if let difference = try Self.difference(solution, wrong, seed: seed), !(difference <= 1e-4) { noticed += 1 }
    }
    print("\(tried) random graphs permuted; one parameter apart noticed in \(noticed)")
    #expect(tried >= 50 && noticed * 10 >= tried * 7)
  }
}
