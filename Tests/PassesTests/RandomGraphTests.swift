import Formats
import Foundation
import Graph
import TestSupport
import Testing

@testable import Passes

/// Random graphs with random plans: dimensions verify, and what is kept of every value agrees with an oracle that follows elements.
///
/// `PRUNEC_RANDOM=10000 swift test --filter RandomGraphTests` goes round more often, from seed `PRUNEC_RANDOM_SEED`.
@Suite struct RandomGraphTests {
  static let seeds: Range<UInt64> = {
    let first = UInt64(testCount("PRUNEC_RANDOM_SEED", default: 0))
    return first..<first + UInt64(testCount("PRUNEC_RANDOM", default: 300))
  }()

  /// What one seed showed.
  struct Outcome {
    var fault: String?
    var operators: Set<String> = []
    var groups = 0
    var pruned = 0
  }

  @Test func randomPlansOverRandomGraphsShrinkAsElementsSay() {
    var operators: Set<String> = []
    var withGroups = 0
    var pruned = 0
    var faults = 0
    for seed in Self.seeds {
      let outcome = Self.outcome(seed)
      operators.formUnion(outcome.operators)
      withGroups += outcome.groups > 0 ? 1 : 0
      pruned += outcome.pruned
      if let fault = outcome.fault {
        faults += 1
        Issue.record("seed \(seed): \(fault)")
        if faults >= 20 { break }
      }
    }
    let count = Self.seeds.count
    print("\(count) random graphs: \(operators.count) operators, \(Double(pruned) / Double(count)) groups pruned on average")
    let missing = Set(Operator.all.map(\.textName)).subtracting(operators).sorted()
    print("never drawn: \(missing.joined(separator: " "))")
    // The generator must reach what the test is about.
    #expect(withGroups * 10 >= count * 8)
    #expect(pruned >= 2 * count)
    if count >= 200 { #expect(operators.count >= 80, "only \(operators.sorted())") }
  }

  @Test func theOracleNoticesOneWrongIndexOnOneAxis() throws {
    var lies = 0
    var noticed = 0
    for seed in Self.seeds.prefix(100) {
      var compilation = Compilation(try RandomGraphs.module(seed: seed), options: CompileOptions())
      for pass in Pipeline.solve { try pass.run(&compilation) }
      let solution = try #require(compilation.solution)
      let plan = Self.randomPlan(solution, seed: seed)
      var dice = Dice(seed: seed)
      // Where two axes carry a group, they cannot keep different indices.
      let shared = plan.prunedGroups.filter { solution.groups[$0].occurrences.count > 1 }
      guard !shared.isEmpty else { continue }
      let place = dice.pick(solution.groups[dice.pick(shared)].occurrences)
      var check = RandomPlanCheck(solution: solution, plan: plan, smaller: nil)
      guard let kept = check.positions(solution.axes[place.value.index][place.axis]) else { continue }
      let extent = solution.module[place.value].type.shape[place.axis].constant ?? 0
      let removed = Set(0..<extent).subtracting(kept).sorted()
      var wrong = kept
      wrong[dice.int(0...kept.count - 1)] = dice.pick(removed)
      check.lie = (place.value, place.axis, wrong.sorted())
      lies += 1
      noticed += check.fault() == nil ? 0 : 1
    }
    print("\(noticed) of \(lies) wrong lists noticed")
    #expect(lies >= 40 && noticed == lies)
  }

  @Test func nothingRemovedGivesTheSameModule() throws {
    for seed in Self.seeds {
      let module = try RandomGraphs.module(seed: seed)
      var compilation = Compilation(module, options: CompileOptions())
      for pass in Pipeline.solve { try pass.run(&compilation) }
      let solution = try #require(compilation.solution)
      compilation.plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
      for pass in [Pipeline.shrink, Pipeline.verify] { try pass.run(&compilation) }
      let differences = differences(module, compilation.module)
      #expect(differences.isEmpty, "seed \(seed): \(differences.prefix(3))")
      if !differences.isEmpty { break }
    }
  }

  @Test func textAndFilesGiveTheSameModuleAgain() throws {
    for seed in Self.seeds.prefix(150) {
      let module = try RandomGraphs.module(seed: seed)
      let text = ModulePrinter.print(module)
      #expect(ModulePrinter.print(try ModuleParser.parse(text)) == text, "seed \(seed)")
      // A file lists constants that are nodes after the others, so the second reading is compared with the first.
      let once = try Self.throughOnnx(module)
      #expect(Set(once.parameters.map { once[$0.value].name }) == Set(module.parameters.map { module[$0.value].name }))
      let differences = differences(once, try Self.throughOnnx(once))
      #expect(differences.isEmpty, "seed \(seed): \(differences.prefix(3))")
    }
  }

  static func throughOnnx(_ module: Module) throws -> Module {
    try Importer.module(from: OnnxDocument(bytes: OnnxWriter.bytes(Exporter.model(of: module), patching: nil)).model)
  }

  @Test(arguments: Scope.allCases) func whatIsKeptAtHalfIsPartOfWhatIsKeptAtTwoThirds(_ scope: Scope) throws {
    var smaller = 0
    for seed in Self.seeds.prefix(100) {
      let module = try RandomGraphs.module(seed: seed)
      var plans: [Plan] = []
      for ratio in [0.33, 0.5] {
        var options = CompileOptions()
        options.choice.budget = .ratio(ratio)
        options.choice.scope = scope
        var compilation = Compilation(module, options: options)
        for pass in Pipeline.compile { try pass.run(&compilation) }
        let (plan, solution) = (try #require(compilation.plan), try #require(compilation.solution))
        let fault = RandomPlanCheck(solution: solution, plan: plan, smaller: compilation.module).fault()
        #expect(fault == nil, "seed \(seed) at \(ratio)")
        plans.append(plan)
      }
      for (more, less) in zip(plans[0].kept, plans[1].kept) {
        guard let more else { continue }
        let less = try #require(less, "seed \(seed) keeps all at one half, not at a third")
        #expect(Set(less).isSubset(of: more), "seed \(seed)")
        smaller += less.count < more.count ? 1 : 0
      }
    }
    #expect(smaller > 20)
  }

  static func outcome(_ seed: UInt64) -> Outcome {
    var outcome = Outcome()
    let module: Module
    do {
      module = try RandomGraphs.module(seed: seed)
    } catch {
      outcome.fault = "the generator: \(error)"
      return outcome
    }
    do {
      outcome.operators = Set(module.nodes.map(\.operation.textName))
      var compilation = Compilation(module, options: CompileOptions())
      for pass in Pipeline.solve { try pass.run(&compilation) }
      guard let solution = compilation.solution else { return outcome }
      outcome.groups = solution.groups.count
      let plan = randomPlan(solution, seed: seed)
      outcome.pruned = plan.prunedGroups.count
      compilation.plan = plan
      let smaller: Module
      do {
        for pass in [Pipeline.shrink, Pipeline.verify] { try pass.run(&compilation) }
        smaller = compilation.module
      } catch {
        outcome.fault = "\(error)\n\(describe(solution, plan))\nsmaller: \(ModulePrinter.print(compilation.module))"
        // What the oracle says of the layouts tells whether they or the rewriting are wrong.
        if let fault = RandomPlanCheck(solution: solution, plan: plan, smaller: nil).fault() {
          outcome.fault? += "\noracle: \(fault)"
        }
        return outcome
      }
      if let fault = RandomPlanCheck(solution: solution, plan: plan, smaller: smaller).fault() {
        outcome.fault = "\(fault)\n\(describe(solution, plan))"
      }
    } catch {
      outcome.fault = "before shrinking: \(error)\n\(ModulePrinter.print(module))"
    }
    return outcome
  }

  /// Keeps random indices of random groups of every kind.
  static func randomPlan(_ solution: Solution, seed: UInt64) -> Plan {
    var dice = Dice(seed: seed ^ 0x706c_616e)
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    let share = dice.pick([0.3, 0.7, 1.0])
    for (index, group) in solution.groups.enumerated() where group.least < group.extent && dice.chance(share) {
      let count = dice.int(max(1, group.least)...group.extent - 1)
      plan.kept[index] = Array(dice.shuffled(Array(0..<group.extent)).prefix(count)).sorted()
    }
    return plan
  }

  static func describe(_ solution: Solution, _ plan: Plan) -> String {
    var text = ModulePrinter.print(solution.module)
    for (group, kept) in zip(solution.groups, plan.kept) {
      if let kept { text += "keep \(group.name) of \(group.extent): \(kept)\n" }
    }
    for node in solution.module.nodes {
      for case let output? in node.outputs {
        text += "  \(solution.module[output].name): \(solution.axes[output.index].map { solution.text($0) })\n"
      }
    }
    return text
  }
}

/// Compares a plan's effect with what the oracle says.
struct RandomPlanCheck {
  let solution: Solution
  let plan: Plan
  let smaller: Module?
  /// A parameter's axis that the oracle is told something else about.
  var lie: (value: ValueID, axis: Int, kept: [Int])?
  /// How long symbolic axes are; what depends on data is taken to be of three.
  static func length(_ symbol: String) -> Int? { ["batch": 2, "seq": 3][symbol] ?? (symbol.hasPrefix("?") ? 3 : nil) }

  /// The first thing that is wrong; nil when all is well.
  func fault() -> String? {
    var lists = solution.axes.map { $0.map { positions($0) } }
    if let lie { lists[lie.value.index][lie.axis] = lie.kept }
    var oracle = ElementOracle(solution.module, numbers: solution.inferred.numbers, length: Self.length) { lists[$0.index][$1] }
    do throws(ElementOracle.Fault) {
      try oracle.run()
    } catch {
      return "oracle: \(error)"
    }
    var inSmaller: [String: TensorType] = [:]
    if let smaller { for value in smaller.values { inSmaller[value.name] = value.type } }
    for (index, value) in solution.module.values.enumerated() {
      let id = ValueID(index)
      guard let shape = oracle.keptShape(id) else { continue }
      for axis in shape.indices where oracle.kept(id, axis) != lists[index][axis].flatMap({ whole($0, value.type.shape[axis]) }) {
        return
          "axis \(axis) of \(value.name): the oracle keeps \(text(oracle.kept(id, axis))), the solver \(text(lists[index][axis]))"
      }
      guard smaller != nil else { continue }
      guard let type = inSmaller[value.name] else {
        if isCopy(id) { continue }
        return "\(value.name) is missing in the smaller graph"
      }
      let extents = type.shape.map { $0.evaluated(Self.length) }
      if extents != shape.map({ $0 }) { return "\(value.name) is \(type) in the smaller graph, the oracle says \(shape)" }
    }
    return nil
  }

  /// Kept positions of an axis, symbols filled in; nil where all are kept.
  func positions(_ layout: Layout) -> [Int]? {
    let table = solution.table
    func length(_ layout: Layout) -> Int { table.extent(layout).evaluated(Self.length) ?? 0 }
    func all(_ layout: Layout) -> [Int] {
      switch table.form(layout) {
      case .fixed: return Array(0..<length(layout))
      case .group(let leaf): return solution.index(of: leaf).flatMap { plan.kept[$0] } ?? Array(0..<length(layout))
      case .product(let factors):
        return factors.reduce([0]) { outer, factor in outer.flatMap { place in all(factor).map { place * length(factor) + $0 } } }
      case .sum(let parts):
        var start = 0
        return parts.flatMap { part in
          defer { start += length(part) }
          return all(part).map { start + $0 }
        }
      }
    }
    let result = all(layout)
    return result.count == length(layout) ? nil : result
  }

  private func whole(_ kept: [Int], _ extent: Extent) -> [Int]? { kept.count == extent.evaluated(Self.length) ? nil : kept }
  private func text(_ kept: [Int]?) -> String { kept.map { "\($0)" } ?? "all" }
  private func isCopy(_ id: ValueID) -> Bool {
    solution.module.clones[id] != nil || solution.module.parameters.contains { $0.value == id && $0.copyOf != nil }
  }
}
