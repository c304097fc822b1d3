import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// Which indices each head keeps. The model has a qkv of 3 parts, 2 heads and 4 dims; queries and keys share their lists, so there are four:
/// 0 and 1 for the heads of queries and keys, 2 and 3 for those of values.
@Suite("Choosing indices for every head by itself") struct VariedChoiceTests {
  static func solution(seed: UInt64 = 1) throws -> Solution {
    let text = try CompiledModel.text(ofGolden: "vary/heads-keep-own-dims")
    var compilation = Compilation(RandomWeights.filling(try ModuleParser.parse(text), seed: seed), options: CompileOptions())
    try Pipeline.run(Pipeline.solve, on: &compilation)
    return try #require(compilation.solution)
  }

  static func dims(_ solution: Solution) throws -> Int {
    try #require(solution.groups.firstIndex { $0.kind == .headDims })
  }

  static func plan(_ solution: Solution, _ scores: Scores, ratio: Double = 0.5, varies: Bool = true) throws -> Plan {
    var options = ChoiceOptions()
    options.budget = .ratio(ratio)
    options.rounding = 1
    options.varies = varies
    options.kinds = [.headDims]
    return try Chooser(solution: solution, scores: scores, options: options).plan()
  }

  static func scores(_ solution: Solution, _ byList: [[Double]]) throws -> Scores {
    Scores(byGroup: solution.groups.map { (1...$0.extent).map(Double.init) }, byList: [try dims(solution): byList])
  }

  @Test("every head keeps the dims that are best for it; a query and the key it meets keep the same")
  func best() throws {
    let solution = try Self.solution()
    let scores = try Self.scores(solution, [[9, 8, 1, 1], [1, 9, 8, 1], [1, 1, 8, 9], [9, 1, 1, 8]])
    let plan = try Self.plan(solution, scores)
    let dims = try Self.dims(solution)
    #expect(plan.varied[dims] == [[0, 1], [1, 2], [0, 1], [1, 2], [2, 3], [0, 3]])
    #expect(plan.kept[dims]?.count == 2, "how many is one number for all")
  }

  @Test("with --no-vary, or where all heads agree, the plan is as plain as it was")
  func plain() throws {
    let solution = try Self.solution()
    let dims = try Self.dims(solution)
    let apart = try Self.scores(solution, [[9, 8, 1, 1], [1, 9, 8, 1], [1, 1, 8, 9], [9, 1, 1, 8]])
    let agreeing = try Self.scores(solution, Array(repeating: [1, 2, 3, 4], count: 4))
    for plan in try [Self.plan(solution, apart, varies: false), Self.plan(solution, agreeing)] {
      #expect(plan.varied.isEmpty)
      #expect(plan.kept[dims] == [2, 3])
    }
  }

  @Test("for every head, what is kept at a higher ratio is part of what is kept at a lower one")
  func nested() throws {
    let solution = try Self.solution()
    let dims = try Self.dims(solution)
    for seed in 0..<20 as Range<UInt64> {
      var generator = SplitMix(seed: seed)
      let scores = try Self.scores(solution, (0..<4).map { _ in (0..<4).map { _ in generator.unit() } })
      var before = Array(repeating: Set(0..<4), count: 6)
      for ratio in [0.25, 0.5, 0.75] {
        let plan = try Self.plan(solution, scores, ratio: ratio)
        #expect(try plan == Self.plan(solution, scores, ratio: ratio), "the same input makes the same plan")
        let now = plan.varied[dims] ?? Array(repeating: plan.kept[dims] ?? [], count: 6)
        for (list, known) in zip(now, before) { #expect(known.isSuperset(of: list)) }
        before = now.map { Set($0) }
      }
    }
  }

  @Test(
    "a head's dim is worth the mean, over the weights it stands in, of the norm of its own numbers",
    arguments: [Criterion.l1, .l2])
  func figures(_ criterion: Criterion) throws {
    let solution = try Self.solution()
    let dims = try Self.dims(solution)
    let scores = Scores(solution, criterion: criterion, seed: 0, groups: [dims])
    func numbers(_ name: String) throws -> [Double] {
      let parameter = try #require(solution.module.parameters.first { solution.module[$0.value].name == name })
      return try #require(Tensor(parameter.content)).reals
    }
    let (qkv, proj) = (try numbers("qkv.weight"), try numbers("proj.weight"))
    func norm(_ numbers: [Double]) -> Double {
      criterion == .l1 ? numbers.reduce(0) { $0 + abs($1) } : numbers.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    // qkv.weight is [6, (3, 2, 4)], proj.weight [(2, 4), 6].
    func column(_ part: Int, _ head: Int, _ dim: Int) -> [Double] { (0..<6).map { qkv[$0 * 24 + part * 8 + head * 4 + dim] } }
    func row(_ head: Int, _ dim: Int) -> [Double] { (0..<6).map { proj[(head * 4 + dim) * 6 + $0] } }
    var want: [[Double]] = []
    for head in 0..<2 { want.append((0..<4).map { norm(column(0, head, $0) + column(1, head, $0)) }) }
    for head in 0..<2 { want.append((0..<4).map { (norm(column(2, head, $0)) + norm(row(head, $0))) / 2 }) }
    let mean = want.joined().reduce(0, +) / 16
    let have = try #require(scores.byList[dims])
    for (have, want) in zip(have.joined(), want.joined()) { #expect(abs(have - want / mean) < 1e-5) }
    #expect(have.count == 4)
  }

  @Test("a weight with the groups on another axis counts row by row")
  func rows() throws {
    let text = try CompiledModel.text(ofGolden: "cases/grouped")
    var compilation = Compilation(RandomWeights.filling(try ModuleParser.parse(text), seed: 1), options: CompileOptions())
    try Pipeline.run(Pipeline.solve, on: &compilation)
    let solution = try #require(compilation.solution)
    let channels = try #require(solution.groups.firstIndex { $0.name == "reduce.channels" })
    let scores = Scores(solution, criterion: .l1, seed: 0, groups: [channels])
    func numbers(_ name: String) throws -> [Double] {
      let parameter = try #require(solution.module.parameters.first { solution.module[$0.value].name == name })
      return try #require(Tensor(parameter.content)).reals.map { abs($0) }
    }
    let (reduce, grouped) = (try numbers("reduce.weight"), try numbers("grouped.weight"))
    // reduce.weight is [(4, 6), 5, 1, 1], grouped.weight [(4, 6), 6, 3, 3]: its second axis is the input channel of the row's group.
    let want = (0..<4).map { group in
      (0..<6).map { channel in
        let row = (group * 6 + channel) * 5
        let first = reduce[row..<row + 5].reduce(0, +)
        let second = (0..<6).reduce(0.0) { sum, out in
          let start = ((group * 6 + out) * 6 + channel) * 9
          return sum + grouped[start..<start + 9].reduce(0, +)
        }
        return (first + second) / 2
      }
    }
    let mean = want.joined().reduce(0, +) / 24
    let have = try #require(scores.byList[channels])
    for (have, want) in zip(have.joined(), want.joined()) { #expect(abs(have - want / mean) < 1e-5) }
  }
}
