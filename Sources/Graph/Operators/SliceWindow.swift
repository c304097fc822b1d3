/// What a slice takes of one axis.
public struct SliceWindow: Sendable, Hashable {
  /// Position of the first index taken, where it is a number.
  public let first: Int?
  /// How many indices are taken; nil where nothing can be said.
  public let count: Extent?

  /// Bounds from here on mean "to the end" of any axis, whatever its extent; exporters write Int.max, or the largest 32-bit number.
  private static let far = 1_000_000_000

  /// What `start..<end` by `step` takes of an axis, bounds as ONNX counts them: from the end where negative, outside the axis cut off.
  ///
  /// Where it cannot be decided whether a bound lies inside a symbolic axis, it is taken to do so if what comes out depends on a symbol
  /// (`x[1:-1]` of `seq` is `seq-2`). A fixed number never follows from that (`x[:5]` of `seq` may have fewer): such a length is a
  /// symbol of its own, the same for the same slice of the same extent.
  public init(of extent: Extent, from start: Extent, to end: Extent, step: Int) {
    if let extent = extent.constant, let start = start.constant, let end = end.constant, step != 0, step != Int.min {
      (first, count) = Self.exact(extent, start, end, step)
      return
    }
    guard step > 0 else {
      // Of the backward ones only the whole axis.
      let fromEnd = start == Extent(-1) || (start.constant ?? 0) >= Self.far
      guard step < 0, step != Int.min, fromEnd, (end.constant ?? 0) <= -Self.far else {
        (first, count) = (nil, nil)
        return
      }
      (first, count) = (nil, Self.ceilDivided(extent, by: -step))
      return
    }
    let from = Self.inside(start, extent)
    let to = Self.inside(end, extent)
    first = from.isCertain ? from.bound.constant : nil
    let length = to.bound - from.bound
    let isCertain = from.isCertain && to.isCertain
    if length.isLess(than: 1) == true {
      count = isCertain ? 0 : Self.symbol(extent, start, end, step)
    } else {
      let steps = Self.ceilDivided(length, by: step)
      count = isCertain || !steps.isConstant ? steps : Self.symbol(extent, start, end, step)
    }
  }

  private static func exact(_ extent: Int, _ start: Int, _ end: Int, _ step: Int) -> (first: Int?, count: Extent?) {
    func counted(_ bound: Int) -> Int { bound < 0 ? bound + extent : bound }
    if step > 0 {
      let from = min(max(counted(start), 0), extent)
      let to = min(max(counted(end), 0), extent)
      return (from, Extent(to > from ? (to - from - 1) / step + 1 : 0))
    }
    let from = min(max(counted(start), 0), extent - 1)
    let to = min(max(counted(end), -1), extent - 1)
    return (from, Extent(from > to ? (from - to - 1) / -step + 1 : 0))
  }

  /// A bound counted from the front and cut off at the ends of the axis, and whether that could be decided.
  private static func inside(_ bound: Extent, _ extent: Extent) -> (bound: Extent, isCertain: Bool) {
    if let number = bound.constant {
      if number >= far { return (extent, true) }
      if number <= -far { return (0, true) }
    }
    if bound.isLess(than: 0) == true {
      let counted = extent + bound
      switch counted.isLess(than: 0) {
      case true?: return (0, true)
      case false?: return (counted, true)
      case nil: return (counted, false)
      }
    }
    let isPositive = bound.isLess(than: 0) == false
    switch extent.isLess(than: bound) {
    case true?: return (extent, isPositive)
    case false?: return (bound, isPositive)
    case nil: return (bound, false)
    }
  }

  private static func ceilDivided(_ extent: Extent, by step: Int) -> Extent {
    extent.dividedExactly(by: Extent(step)) ?? (extent + Extent(step - 1)).floorDivided(by: Extent(step))
  }

  private static func symbol(_ extent: Extent, _ start: Extent, _ end: Extent, _ step: Int) -> Extent {
    let last = (end.constant ?? 0) >= far ? "" : "\(end)"
    return .symbol("?slice(\(extent),\(start):\(last)\(step == 1 ? "" : ":\(step)"))")
  }
}
