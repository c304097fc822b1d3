import Graph

/// What a compile did, in numbers.
public struct CompileSummary: Sendable {
  /// Groups of one kind.
  public struct KindLine: Sendable {
    /// Which kind.
    public let kind: GroupKind
    /// How many groups there are.
    public let groups: Int
    /// How many of them are pruned when nobody asks for kinds.
    public let defaults: Int
    /// How many of them lost indices.
    public let pruned: Int
    /// Indices of all of them.
    public let indices: Int
    /// Indices that stayed.
    public let kept: Int
  }

  /// A number before and after.
  public struct Change: Sendable, Equatable {
    /// In the original.
    public let before: Double
    /// In the smaller model.
    public let after: Double
    /// What is left, as a share of the original; 1 of nothing.
    public var share: Double { before == 0 ? 1 : after / before }
  }

  /// One line per kind that occurs, in the order of `GroupKind.allCases`.
  public let kinds: [KindLine]
  /// Numbers in data parameters.
  public let parameters: Change
  /// Multiply-adds of one run, every symbol counted as 1.
  public let multiplyAdds: Change
  /// Indices of the groups that lost some.
  public let indices: Change
  /// Multiples that counts of the pruned groups were rounded to, ascending, 1 left out; empty for a given plan.
  public let roundings: [Int]
  /// True when a multiple was chosen by prunec.
  public let isRoundingChosen: Bool

  /// The numbers of a compile that has run; nil when it has not come as far as a plan.
  public init?(_ compilation: Compilation) {
    guard let solution = compilation.solution, let plan = compilation.plan else { return nil }
    var lines: [KindLine] = []
    let sizes = solution.groups.indices.map { plan.kept[$0]?.count ?? solution.groups[$0].extent }
    for kind in GroupKind.allCases {
      let members = solution.groups.indices.filter { solution.groups[$0].kind == kind }
      if members.isEmpty { continue }
      lines.append(
        KindLine(
          kind: kind, groups: members.count, defaults: members.filter { solution.groups[$0].isDefault }.count,
          pruned: members.filter { plan.kept[$0] != nil }.count, indices: members.reduce(0) { $0 + solution.groups[$1].extent },
          kept: members.reduce(0) { $0 + sizes[$1] }))
    }
    kinds = lines
    let full = solution.groups.map(\.extent)
    let model = SizeModel(solution: solution)
    let original = compilation.depth?.blocks.module
    parameters = Change(
      before: Double(original?.parameterCount ?? model.parameters(full)), after: Double(model.parameters(sizes)))
    multiplyAdds = Change(
      before: original?.multiplyAdds ?? model.multiplyAdds(full), after: model.multiplyAdds(sizes))
    let pruned = plan.prunedGroups
    indices = Change(
      before: Double(pruned.reduce(0) { $0 + full[$1] }), after: Double(pruned.reduce(0) { $0 + sizes[$1] }))
    let options = compilation.options
    let steps = options.plan == nil ? Set(pruned.map { Chooser.rounding(solution.groups[$0], options.choice) }) : []
    roundings = steps.filter { $0 > 1 }.sorted()
    isRoundingChosen = options.choice.rounding == nil
  }
}

extension ChoiceOptions {
  /// Patterns of the options that match no group and no parameter that carries one: misspelt, most likely, or meant for another model.
  public func patternsWithoutMatch(in solution: Solution) -> [Glob] {
    var names = solution.groups.map(\.name)
    names += solution.module.parameters.map { solution.module[$0.value].name }
    names += LayerNames(solution.module).names.values
    return (only + ignored + ratios.map(\.pattern)).filter { glob in !names.contains(where: glob.matches) }
  }
}
