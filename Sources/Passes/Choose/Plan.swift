import Graph

/// Which indices every group keeps.
///
/// Most groups keep the same indices everywhere: `kept`. A group that varies (`Solution.variations`) may keep others for every tuple of
/// outer indices: `varied` has its lists, and `kept` has the first of them, which says how many.
public struct Plan: Sendable, Equatable {
  /// By group, in the order of `Solution.groups`: kept indices, ascending; nil keeps all. Of a group in `varied` only the count counts.
  public var kept: [[Int]?]
  /// By group that varies, one list of kept indices per tuple of outer indices, row-major in the order of `Variation.outers`; all equally
  /// long. Lists of tuples whose outer indices do not stay are ignored.
  public private(set) var varied: [Int: [[Int]]] = [:]

  /// A plan of the given lists.
  public init(kept: [[Int]?]) { self.kept = kept }

  /// Groups that lose indices.
  public var prunedGroups: [Int] { kept.indices.filter { kept[$0] != nil } }

  /// Lets a group keep other indices for every tuple of outer indices. Where all lists are the same the group is as any other.
  ///
  /// `lists`: one per tuple of the group's variation, row-major, ascending, equally long and shorter than the group.
  public mutating func vary(_ group: Int, lists: [[Int]]) {
    kept[group] = lists.first
    varied[group] = lists.allSatisfy { $0 == lists.first } ? nil : lists
  }
}
