import Graph
import Testing

@testable import Passes

/// How many indices stay, and which. Modules are chains of linear layers, so that groups are `fc0.hidden`, `fc1.hidden`, … in order.
@Suite struct ChooserTests {
  /// A chain through hidden layers of these many units, from 3 inputs to 5 outputs.
  static func chain(_ hidden: [Int]) throws -> Solution {
    let sizes = [3] + hidden + [5]
    var text = "module chain {\n"
    for (index, pair) in zip(sizes, sizes.dropFirst()).enumerated() {
      text += "param %fc\(index).weight : f32[\(pair.0), \(pair.1)]\n"
    }
    text += "func (%x: f32[7, 3]) -> (%y: f32[7, 5]) {\n"
    var last = "%x"
    for (index, size) in sizes.dropFirst().enumerated() {
      let result = index == hidden.count ? "%y" : "%h\(index)"
      text += "\(result) = matmul \(last), %fc\(index).weight : f32[7, \(size)]\n"
      last = result
    }
    return try solve(text + "}\n}\n")
  }

  static func solve(_ text: String) throws -> Solution {
    var compilation = Compilation(try ModuleParser.parse(text), options: CompileOptions())
    try Pipeline.run(Pipeline.solve, on: &compilation)
    return try #require(compilation.solution)
  }

  /// Scores that make index i of every group worth i + 1.
  static func ascending(_ solution: Solution) -> Scores {
    Scores(byGroup: solution.groups.map { (1...$0.extent).map(Double.init) })
  }

  static func random(_ solution: Solution, seed: UInt64) -> Scores {
    var generator = SplitMix(seed: seed)
    return Scores(byGroup: solution.groups.map { group in (0..<group.extent).map { _ in generator.unit() } })
  }

  /// What is kept of every group: all where the plan says nothing.
  static func kept(_ solution: Solution, _ scores: Scores? = nil, _ set: (inout ChoiceOptions) -> Void) -> [[Int]] {
    var options = ChoiceOptions()
    options.rounding = 1
    set(&options)
    guard let plan = try? Chooser(solution: solution, scores: scores ?? ascending(solution), options: options).plan() else {
      return []
    }
    return zip(plan.kept, solution.groups).map { $0 ?? Array(0..<$1.extent) }
  }

  static func counts(_ hidden: [Int], _ set: (inout ChoiceOptions) -> Void) throws -> [Int] {
    kept(try chain(hidden), nil, set).map(\.count)
  }

  // MARK: How many

  @Test(
    "kept = max(1, ⌊n·(1 − ratio)⌋), where 10·(1 − 0.8) is 2, whatever floating point makes of it",
    arguments: [
      (12, 0.3, 8), (10, 0.8, 2), (6, 0.5, 3), (7, 0.5, 3), (3, 0.99, 1), (1, 0.5, 1), (10, 0, 10), (10, 1, 1), (100, 0.9, 10),
      (1000, 0.7, 300), (3, 1.0 / 3, 2),
    ] as [(Int, Double, Int)])
  func ratio(extent: Int, ratio: Double, kept: Int) throws {
    #expect(Chooser.keptCount(of: extent, ratio: ratio) == kept)
    if extent > 1 { #expect(try Self.counts([extent]) { $0.budget = .ratio(ratio) } == [kept]) }
  }

  @Test(
    "counts are rounded to a multiple, halves upwards, never to none and never beyond what there is",
    arguments: [
      (100, 0.5, 8, 48), (104, 0.5, 8, 56), (100, 0.97, 8, 8), (6, 0.5, 8, 6), (20, 0.5, 4, 12), (20, 0.6, 4, 8), (9, 0.5, 1, 4),
      (10, 0.5, 2, 6),
    ] as [(Int, Double, Int, Int)])
  func rounding(extent: Int, ratio: Double, step: Int, kept: Int) throws {
    let counts = try Self.counts([extent]) {
      $0.budget = .ratio(ratio)
      $0.rounding = step
    }
    #expect(counts == [kept])
  }

  @Test("when nobody says otherwise, channels, hidden units and widths of 64 and more are rounded to 8, and nothing else is")
  func roundingByDefault() throws {
    let counts = try Self.counts([63, 64, 150]) {
      $0.rounding = nil
      $0.budget = .ratio(0.3)
    }
    #expect(counts == [44, 48, 104])
    let solution = try Self.chain([64])
    let group = try #require(solution.groups.first)
    for kind in GroupKind.allCases {
      let other = Group(
        leaf: group.leaf, name: group.name, kind: kind, extent: 64, least: 1, isDefault: true, occurrences: group.occurrences)
      #expect(Chooser.rounding(other, ChoiceOptions()) == ([.channels, .hidden, .width].contains(kind) ? 8 : 1), "\(kind)")
    }
  }

  @Test("no group keeps fewer than --min-keep, nor more than it has")
  func leastKept() throws {
    let counts = try Self.counts([4, 10, 40]) {
      $0.budget = .ratio(0.9)
      $0.least = 6
    }
    #expect(counts == [4, 6, 6])
  }

  @Test("no group loses more than --max-ratio takes, however unequal the scores are; it takes nothing by itself")
  func largestRatio() throws {
    let solution = try Self.chain([10, 10])
    let scores = Scores(byGroup: [Array(repeating: 0.001, count: 10), Array(repeating: 1, count: 10)])
    func counts(_ largest: Double) -> [Int] {
      Self.kept(solution, scores) {
        $0.scope = .global
        $0.largestRatio = largest
      }.map(\.count)
    }
    #expect(counts(1) == [1, 9])
    #expect(counts(0.6).first == 4)
    #expect(counts(0.6)[1] < 10)
    #expect(Self.kept(solution, scores) { ($0.budget, $0.largestRatio) = (.ratio(0), 0.6) }.map(\.count) == [10, 10])
  }

  @Test("a top-k keeps at least k, at any ratio")
  func topK() throws {
    let solution = try Self.solve(
      """
      module router {
        param %router : f32[4, 8]
        param %experts : f32[8, 6]
        param %k : i64[1] = [3]
        func (%x: f32[7, 4]) -> (%y: f32[7, 3, 6]) {
          %logits = matmul %x, %router : f32[7, 8]
          _, %best = top_k %logits, %k axis=1 : _, i64[7, 3]
          %y = gather %experts, %best axis=0 : f32[7, 3, 6]
        }
      }
      """)
    #expect(solution.groups.map(\.kind) == [.experts])
    #expect(Self.kept(solution) { $0.kinds = [.experts] } == [[4, 5, 6, 7]])
    #expect(Self.kept(solution) { ($0.kinds, $0.budget) = ([.experts], .ratio(0.9)) } == [[5, 6, 7]])
    #expect(Self.kept(solution) { $0.budget = .ratio(0.9) } == [Array(0..<8)], "experts are pruned on request only")
  }

  // MARK: Which

  @Test("the highest scores stay, in the order of their indices; of equal ones the first")
  func ranking() throws {
    let solution = try Self.chain([6, 6])
    let scores = Scores(byGroup: [[3, 9, 1, 7, 2, 8], [5, 5, 5, 5, 5, 5]])
    #expect(Self.kept(solution, scores) { _ in } == [[1, 3, 5], [0, 1, 2]])
  }

  @Test("what is kept at a higher ratio is part of what is kept at a lower one", arguments: Scope.allCases)
  func nested(scope: Scope) throws {
    let solution = try Self.chain([20, 20, 70, 33])
    for seed in 0..<5 as Range<UInt64> {
      let scores = Self.random(solution, seed: seed)
      var before = solution.groups.map { Set(0..<$0.extent) }
      for step in stride(from: 5, through: 95, by: 5) {
        let now = Self.kept(solution, scores) { ($0.scope, $0.budget, $0.rounding) = (scope, .ratio(Double(step) / 100), nil) }
        for (index, list) in now.enumerated() {
          #expect(before[index].isSuperset(of: list), "group \(index) at \(step) %, seed \(seed)")
          #expect(!list.isEmpty)
          #expect(list == list.sorted())
        }
        before = now.map { Set($0) }
      }
    }
  }

  // MARK: Among whom

  @Test("local: every group by itself; global: all compete, and the worthless group pays; isomorphic: like with like")
  func scopes() throws {
    let solution = try Self.chain([8, 8, 8, 12])
    // Middle groups, of equal structure, differ in worth; the first and the last stand for themselves.
    let worth = [1.0, 1, 4, 1]
    let scores = Scores(
      byGroup: zip(worth, solution.groups).map { worth, group in (0..<group.extent).map { worth * (1 + Double($0) / 100) } })
    func counts(_ scope: Scope) -> [Int] { Self.kept(solution, scores) { $0.scope = scope }.map(\.count) }
    #expect(counts(.local) == [4, 4, 4, 6])
    let global = counts(.global)
    #expect(global.reduce(0, +) == 18)
    #expect(global[2] > 4)
    #expect(global.allSatisfy { $0 >= 1 })
    // fc1 [8, 8] carries groups 0 and 1, fc2 [8, 8] groups 1 and 2: only group 1 has a square weight on both sides.
    #expect(counts(.isomorphic) == [4, 4, 4, 6])
  }

  @Test("isomorphic: layers of one structure share their budget, another structure keeps its own")
  func isomorphic() throws {
    let text = """
      module branches {
        param %a1 : f32[3, 8]
        param %a2 : f32[8, 5]
        param %b1 : f32[3, 8]
        param %b2 : f32[8, 5]
        param %c1 : f32[3, 8]
        param %c2 : f32[8, 6]
        func (%x: f32[7, 3]) -> (%ya: f32[7, 5], %yb: f32[7, 5], %yc: f32[7, 6]) {
          %a = matmul %x, %a1 : f32[7, 8]
          %ya = matmul %a, %a2 : f32[7, 5]
          %b = matmul %x, %b1 : f32[7, 8]
          %yb = matmul %b, %b2 : f32[7, 5]
          %c = matmul %x, %c1 : f32[7, 8]
          %yc = matmul %c, %c2 : f32[7, 6]
        }
      }
      """
    let solution = try Self.solve(text)
    let scores = Scores(byGroup: [Array(repeating: 1, count: 8), Array(repeating: 9, count: 8), Array(repeating: 0.01, count: 8)])
    #expect(Self.kept(solution, scores) { $0.scope = .isomorphic }.map(\.count) == [1, 7, 4])
    #expect(Self.kept(solution, scores) { $0.scope = .local }.map(\.count) == [4, 4, 4])
    #expect(Self.kept(solution, scores) { $0.scope = .global }.map(\.count) == [3, 8, 1])
  }

  // MARK: Which groups

  @Test("--only and --ignore take names of groups and of tensors, as globs; a plain name means all below it")
  func globs() throws {
    func pruned(_ set: (inout ChoiceOptions) -> Void) throws -> [Int] {
      try Self.counts([10, 10, 10], set).enumerated().filter { $0.element < 10 }.map(\.offset)
    }
    #expect(try pruned { $0.only = [Glob("fc1")] } == [0, 1])
    #expect(try pruned { $0.only = [Glob("fc1.hidden")] } == [1])
    #expect(try pruned { $0.only = [Glob("fc?.hidden")] } == [0, 1, 2])
    #expect(try pruned { $0.only = [Glob("*2.weight")] } == [1, 2])
    #expect(try pruned { $0.ignored = [Glob("fc0.weight")] } == [1, 2])
    #expect(try pruned { ($0.only, $0.ignored) = ([Glob("fc*")], [Glob("fc0"), Glob("*3.*")]) } == [1])
    #expect(try pruned { $0.ignored = [Glob("fc")] } == [0, 1, 2], "fc0 is not below fc")
    #expect(try pruned { $0.only = [Glob("")] } == [])
  }

  @Test("--kinds asks for kinds, also for those that are off by default")
  func kinds() throws {
    #expect(try Self.counts([10]) { $0.kinds = [.hidden] } == [5])
    #expect(try Self.counts([10]) { $0.kinds = [.heads, .width] } == [10])
    #expect(try Self.counts([10]) { $0.kinds = [] } == [10])
  }

  @Test("a ratio by pattern stands above the general one, the first that matches counts, and a budget does not move it")
  func ratiosByPattern() throws {
    let own: [(pattern: Glob, ratio: Double)] = [(Glob("fc1.hidden"), 0.2), (Glob("fc*.hidden"), 0.9)]
    #expect(try Self.counts([10, 10, 10]) { ($0.budget, $0.ratios) = (.ratio(0.5), own) } == [1, 8, 1])
    #expect(try Self.counts([10, 10, 10]) { ($0.budget, $0.ratios) = (.ratio(0.5), [own[0]]) } == [5, 8, 5])
    for share in [0.9, 0.6, 0.4] {
      #expect(try Self.counts([10, 10, 10]) { ($0.budget, $0.ratios) = (.parameters(share), [own[0]]) }[1] == 8, "\(share)")
    }
  }

  // MARK: Budgets

  @Test("--keep-params and --keep-flops come within one index of the most expensive group", arguments: Scope.allCases)
  func budgets(scope: Scope) throws {
    let solution = try Self.chain([40, 25, 64, 9])
    let model = SizeModel(solution: solution)
    let full = solution.groups.map(\.extent)
    let costs: [(budget: (Double) -> Budget, cost: ([Int]) -> Double)] = [
      (Budget.parameters, { Double(model.parameters($0)) }), (Budget.multiplyAdds, { model.multiplyAdds($0) }),
    ]
    for (budget, cost) in costs {
      let dearest = full.indices.map { index in
        var fewer = full
        fewer[index] -= 1
        return cost(full) - cost(fewer)
      }.max()
      for percent in stride(from: 10, through: 95, by: 5) {
        let goal = cost(full) * Double(percent) / 100
        let sizes = Self.kept(solution, Self.random(solution, seed: 7)) {
          ($0.scope, $0.budget) = (scope, budget(Double(percent) / 100))
        }.map(\.count)
        #expect(abs(cost(sizes) - goal) <= dearest ?? 0, "\(percent) %: \(sizes)")
      }
    }
  }

  @Test("budgets beyond reach stop at one index of every group; a budget of everything removes nothing")
  func extremeBudgets() throws {
    #expect(try Self.counts([10, 20]) { $0.budget = .parameters(0.0001) } == [1, 1])
    #expect(try Self.counts([10, 20]) { $0.budget = .parameters(1) } == [10, 20])
    #expect(try Self.counts([10, 20]) { $0.budget = .multiplyAdds(1) } == [10, 20])
  }
}
