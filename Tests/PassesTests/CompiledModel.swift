import Foundation
import Graph
import Runtime
import Testing

@testable import Passes
@testable import TestSupport

/// A solved model with a plan, and what the plan makes of it.
struct CompiledModel {
  let solution: Solution
  let plan: Plan
  var smaller: Module
  /// The file the model came from, where it needs one to be executed.
  private let source: NamedModel?

  /// Solves a module and shrinks it by the plan that is made of the solution.
  init(_ module: Module, source: NamedModel? = nil, plan: (Solution) throws -> Plan) throws {
    self.source = source
    var compilation = Compilation(module, options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    solution = try #require(compilation.solution)
    self.plan = try plan(solution)
    smaller = try Shrinker(solution: solution, plan: self.plan).run()
  }

  /// A model given as text, by plan `keep`: the kept indices of some groups, by name.
  init(_ text: String, keep: [String: [Int]]) throws {
    let module = RandomWeights.filling(try ModuleParser.parse(text), seed: 1)
    try self.init(module) { try Self.plan($0, keep) }
  }

  /// The model of a golden file, by plan `keep`.
  init(golden: String, keep: [String: [Int]]) throws {
    try self.init(try Self.text(ofGolden: golden), keep: keep)
  }

  /// The text of the model in a golden file.
  static func text(ofGolden name: String) throws -> String {
    Golden.input(of: try String(contentsOfFile: "\(Golden.folder)/\(name).ir", encoding: .utf8))
  }

  /// The plan that keeps some indices of the groups named; all others keep all.
  static func plan(_ solution: Solution, _ keep: [String: [Int]]) throws -> Plan {
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    for (name, kept) in keep {
      let group = try #require(
        solution.groups.firstIndex { $0.name == name }, "no group \(name) in \(solution.groups.map(\.name))")
      plan.kept[group] = kept
    }
    return plan
  }

  /// The proof on random inputs, symbolic extents of inputs being 2 (or what `extents` says); of another plan where one is given.
  func proof(seed: UInt64, of plan: Plan? = nil, extents given: [String: Int] = [:]) throws -> Proof {
    let symbols = Set(solution.module.inputs.flatMap { solution.module[$0].type.shape.flatMap(\.symbols) })
    let extents = Dictionary(uniqueKeysWithValues: symbols.map { ($0, 2) }).merging(given) { $1 }
    let inputs = try RandomInputs.values(of: solution.module, extents: extents, seed: seed)
    return try Proof.run(
      solution: solution, plan: plan ?? self.plan, smaller: smaller, sources: (source, source), inputs: inputs, threads: 1)
  }

  /// Takes a parameter of the smaller model anew from the original, with other kept indices on one axis than the plan's.
  mutating func retake(_ name: String, axis: Int, _ change: (inout [Int]) -> Void) throws {
    let original = try #require(solution.module.parameters.first { solution.module[$0.value].name == name })
    let index = try #require(smaller.parameters.firstIndex { smaller[$0.value].name == name })
    let tensor = try #require(Tensor(original.content))
    let kept = KeptIndices(solution: solution, plan: plan)
    var lists = zip(solution.axes[original.value.index], tensor.shape).map { kept.positions($0) ?? Array(0..<$1) }
    change(&lists[axis])
    let positions = zip(lists, Tensor.strides(tensor.shape)).reduce([0]) { outer, axis in
      outer.flatMap { start in axis.0.map { start + $0 * axis.1 } }
    }
    let shape = lists.map(\.count)
    #expect(shape == smaller.parameters[index].content.shape, "a corruption must not show in the shape")
    let taken = tensor.picking(positions, shape: shape)
    smaller.parameters[index].content = TensorContent(taken.data, element: taken.element, shape: shape)
  }
}
