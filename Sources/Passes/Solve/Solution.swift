import Graph

/// What a group is, from the structure of the graph alone.
public enum GroupKind: String, Sendable, Hashable, CaseIterable, Codable {
  /// Attention heads, or key-value groups of grouped queries.
  case heads
  /// Queries that share a key-value group.
  case queries
  /// Dims inside a head: contracted between queries and keys, or carried by values.
  case headDims = "head-dims"
  /// Units between two linear layers, or of a recurrence.
  case hidden
  /// The channel axis of a residual stream or a layer norm.
  case width
  /// Groups of a grouped convolution or a block-diagonal product.
  case groups
  /// Groups of a group norm.
  case normGroups = "norm-groups"
  /// Experts that a router picks from.
  case experts
  /// Positions and registers.
  case tokens
  /// Any other channel.
  case channels

  /// The kinds that are pruned when nobody asks for others.
  public static let onByDefault: Set<GroupKind> = [.heads, .queries, .headDims, .hidden, .width, .normGroups, .channels]
}

/// A dependency group: indices that go or stay together wherever they occur.
public struct Group: Sendable, Hashable {
  /// Its number in the layout table: `Solution.index(of:)` finds the group of a leaf.
  public let leaf: Int32
  /// Name after its first parameter and the part it plays there; unique.
  public let name: String
  /// What it is.
  public let kind: GroupKind
  /// How many indices it has.
  public let extent: Int
  /// Fewest indices that may stay (the k of a top-k over it), at least 1.
  public let least: Int
  /// Pruned when nobody asks for other kinds.
  public let isDefault: Bool
  /// Where parameters carry it: every (parameter, axis).
  public let occurrences: [Occurrence]

  /// The same group with other occurrences counted as weights.
  func weighing(_ isWeight: (Occurrence) -> Bool) -> Group {
    let places = occurrences.map { Occurrence(value: $0.value, axis: $0.axis, isWeight: isWeight($0)) }
    return Group(leaf: leaf, name: name, kind: kind, extent: extent, least: least, isDefault: isDefault, occurrences: places)
  }

  /// An axis of a parameter that carries a group.
  public struct Occurrence: Sendable, Hashable {
    /// The parameter.
    public let value: ValueID
    /// Which axis.
    public let axis: Int
    /// True where the parameter is a weight of a contraction, convolution, embedding or recurrence: these decide scores.
    public let isWeight: Bool
  }
}

/// The layouts of all values of a module, and its groups.
public struct Solution: Sendable {
  /// The module that was solved.
  public private(set) var module: Module
  /// Its types and shape arithmetic.
  public let inferred: InferredModule
  /// All layouts.
  public let table: LayoutTable
  /// Layouts of every value's axes, resolved; empty for a value of unknown rank.
  public let axes: [[Layout]]
  /// Groups that parameters carry, in order of first occurrence.
  public private(set) var groups: [Group]
  /// What the numbers of integer values range over, resolved.
  public let codomains: [Layout?]
  /// By group, what it varies over; nil where its indices are the same everywhere.
  public private(set) var variations: [Variation?]
  /// By group, what it is multiplied with on some axis, but does not vary over, and why.
  public private(set) var obstacles: [[VariationObstacle]]
  /// Fixed factors that groups vary over.
  public private(set) var factors: [FixedFactor]
  private let groupOfLeaf: [Int32: Int]

  init(
    module: Module, inferred: InferredModule, table: LayoutTable, layouts: [[Layout]], codomains: [Layout?], notes: [Solver.Note],
    dependence: [Solver.Dependence]
  ) {
    var table = table
    let axes = layouts.map { $0.map { table.resolve($0) } }
    let resolvedCodomains = codomains.map { codomain in
      guard let codomain else { return nil as Layout? }
      return table.resolve(codomain)
    }
    let resolvedNotes = notes.map { Solver.Note(role: $0.role, layout: table.resolve($0.layout), node: $0.node) }
    self.module = module
    self.inferred = inferred
    self.axes = axes
    self.codomains = resolvedCodomains
    self.table = table
    groups = GroupFinder(
      module: module, inferred: inferred, table: table, axes: axes, codomains: resolvedCodomains, notes: resolvedNotes,
      dependence: dependence
    ).groups()
    groupOfLeaf = Dictionary(groups.enumerated().map { ($1.leaf, $0) }, uniquingKeysWith: { first, _ in first })
    variations = groups.map { _ in nil }
    obstacles = groups.map { _ in [] }
    factors = []
    var finder = VariationFinder(
      self,
      NodeProbe.Context(
        module: module, inferred: inferred, table: table, axes: axes, codomains: resolvedCodomains, dependence: dependence,
        parameters: Set(module.parameters.map(\.value))))
    let found = finder.run()
    (variations, obstacles, factors) = (found.variations, found.obstacles, found.factors)
  }

  /// The same solution over a module whose parameters hold other numbers, and nothing else is different.
  func with(module: Module) -> Solution {
    var result = self
    result.module = module
    return result
  }

  /// The same, where only weights that match count as weights: they decide scores. A group of which no weight matches stays as it is.
  func judged(by globs: [Glob]) -> Solution {
    if globs.isEmpty { return self }
    let names = LayerNames(module).names
    func matches(_ value: ValueID) -> Bool {
      globs.contains { glob in glob.matches(module[value].name) || names[value].map(glob.matches) ?? false }
    }
    var result = self
    for index in groups.indices where groups[index].occurrences.contains(where: { $0.isWeight && matches($0.value) }) {
      result.groups[index] = groups[index].weighing { $0.isWeight && matches($0.value) }
    }
    return result
  }

  /// Index in `groups` of the group with a number of the layout table; nil where no parameter carries it.
  public func index(of leaf: Int32) -> Int? { groupOfLeaf[leaf] }

  /// True when all axes of two values are made of the same groups in the same way, so that whatever is kept they stay equal if they were.
  func agree(_ a: ValueID, _ b: ValueID) -> Bool {
    let (a, b) = (axes[a.index], axes[b.index])
    return a.count == b.count && zip(a, b).allSatisfy(table.agree)
  }

  /// Groups in a layout, as indices in `groups`, in order, without repetition.
  public func groups(in layout: Layout) -> [Int] {
    var seen: Set<Int> = []
    return table.leaves(layout).compactMap { groupOfLeaf[$0] }.filter { seen.insert($0).inserted }
  }

  /// For every position of an axis with this layout, the index of `group` it stands for; −1 where it stands for none.
  /// The layout must have a fixed extent.
  public func positions(of leaf: Int32, in layout: Layout) -> [Int32] {
    switch table.form(layout) {
    case .fixed: return Array(repeating: -1, count: table.extent(layout).constant ?? 0)
    case .group(let group):
      let count = table.extent(layout).constant ?? 0
      return group == leaf ? (0..<Int32(count)).map { $0 } : Array(repeating: -1, count: count)
    case .sum(let parts): return parts.flatMap { positions(of: leaf, in: $0) }
    case .product(let factors):
      var result: [Int32] = [-1]
      for factor in factors {
        let inner = positions(of: leaf, in: factor)
        result = result.flatMap { outer in inner.map { $0 >= 0 ? $0 : outer } }
      }
      return result
    }
  }

  /// A layout as text, with groups by name and groups that no parameter carries by extent: `product(3, blocks.0.attn.qkv.heads, 16)`.
  public func text(_ layout: Layout) -> String {
    switch table.form(layout) {
    case .fixed: return "\(table.extent(layout))"
    case .group(let leaf): return groupOfLeaf[leaf].map { groups[$0].name } ?? "\(table.extent(layout))"
    case .product(let factors): return "product(\(factors.map(text).joined(separator: ", ")))"
    case .sum(let parts): return "sum(\(parts.map(text).joined(separator: ", ")))"
    }
  }

  /// Why a layout, or a part of it, keeps all its indices: every fixed part of more than one index, with the cause.
  public func causes(in layout: Layout) -> [LayoutTable.Cause] {
    switch table.form(layout) {
    case .fixed(let cause): table.extent(layout) == 1 ? [] : [table.cause(cause)]
    case .group: []
    case .product(let children), .sum(let children): children.flatMap(causes)
    }
  }
}
