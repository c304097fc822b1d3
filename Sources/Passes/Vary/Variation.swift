import Graph

/// What a group varies over: only the *number* of its indices must agree between the indices of other groups, or of a fixed factor.
///
///     %w : [product(3, heads, dims), width]      dims vary over heads, and over the 3: each head keeps dims of its own, and its values
///     %q = select … 0;  %k = select … 1          others than its queries and keys, which meet and so keep the same: lists [0, 0, 1]
///
/// It is so when every value that carries the group also carries the outer one, or one index of it, and no node makes indices meet that
/// stand beside different indices of the outer one.
public struct Variation: Sendable {
  /// What a list of kept indices is for one index of.
  public enum Outer: Hashable, Sendable {
    /// A group, as an index in `Solution.groups`.
    case group(Int)
    /// A factor of fixed extent, as an index in `Solution.factors`.
    case factor(Int)
  }

  /// Where the index of an outer stands that decides which list holds at a place.
  enum Owner: Hashable, Sendable {
    /// A part of an axis of the same value.
    case part(axis: Int, part: Int)
    /// The value was taken from this one index.
    case index(Int)
  }

  /// What it varies over, outermost first. None of them varies itself.
  public let outers: [Outer]
  /// For every tuple of outer indices, row-major in the order of `outers`, the number of the list it takes. Tuples with the same number
  /// must keep the same indices.
  public let listOfTuple: [Int]
  /// By place that carries the group, one owner for each of `outers`.
  let owners: [PartPlace: [Owner]]

  /// How many lists there are.
  public var listCount: Int { (listOfTuple.max() ?? -1) + 1 }
}

/// A factor of fixed extent that a group varies over: the three of a query-key-value projection, the directions of a recurrence.
public struct FixedFactor: Sendable, Hashable {
  /// Name after the parameter that carries it; no group has it.
  public let name: String
  /// How many indices it has; all of them stay.
  public let extent: Int
}

/// Why a group does not vary over something that it is multiplied with.
public struct VariationObstacle: Sendable {
  /// What it could vary over, were it not for the reason.
  public enum Outer: Hashable, Sendable {
    /// A group, as an index in `Solution.groups`.
    case group(Int)
    /// A fixed factor of that extent.
    case fixed(Int)
  }

  /// The reason.
  public enum Reason: Hashable, Sendable {
    /// A value carries the group, but not the outer one nor an index of it.
    case lacking(ValueID)
    /// A value carries the outer one more than once, so that it is open which one decides.
    case ambiguous(ValueID)
    /// A node makes indices meet that stand beside different indices of the outer one, or mixes these.
    case meeting(node: Int)
    /// Positions along the group are numbers of this value.
    case positions(ValueID)
    /// All indices of the fixed factor meet, so that they keep the same.
    case same
    /// The outer one varies itself.
    case varies
  }

  /// What it could vary over.
  public let outer: Outer
  /// Why it does not.
  public let reason: Reason
}

extension Solution {
  /// How many indices an outer has.
  public func extent(of outer: Variation.Outer) -> Int {
    switch outer {
    case .group(let index): groups[index].extent
    case .factor(let index): factors[index].extent
    }
  }

  /// The name of an outer, as in a plan.
  public func name(of outer: Variation.Outer) -> String {
    switch outer {
    case .group(let index): groups[index].name
    case .factor(let index): factors[index].name
    }
  }
}
