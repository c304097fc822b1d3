import Graph

/// The kept positions of one axis, one entry each, before it is known which list a group that varies takes.
struct AxisEntries {
  /// Positions, without what groups that vary add.
  private(set) var base: [Int]
  /// By part of the layout that does not vary: its index at every entry; −1 where the entry is none of its.
  private(set) var indices: [Int: [Int]] = [:]
  /// Groups that vary: at every entry the place in their list, −1 where the entry is none of theirs, and how far one index is.
  private(set) var terms: [Term] = []
  private var extent: Int

  /// A group that varies on an axis.
  struct Term {
    let group: Int
    let part: Int
    var places: [Int]
    var strides: [Int]
  }

  var count: Int { base.count }

  private init(extent: Int, base: [Int]) {
    self.extent = extent
    self.base = base
  }

  /// What the groups keep; all of it for `nil`. Nil where a length is not known.
  init?(_ layout: Layout, _ solution: Solution, _ plan: Plan?, length: (Extent) -> Int?) {
    var part = 0
    guard let made = Self.entries(layout, &part, solution, plan, length) else { return nil }
    self = made
  }

  private static func entries(
    _ layout: Layout, _ part: inout Int, _ solution: Solution, _ plan: Plan?, _ length: (Extent) -> Int?
  ) -> AxisEntries? {
    let table = solution.table
    switch table.form(layout) {
    case .fixed:
      guard let extent = length(table.extent(layout)) else { return nil }
      var result = AxisEntries(extent: extent, base: Array(0..<extent))
      if table.extent(layout).isConstant, extent > 1 {
        result.indices[part] = result.base
        part += 1
      }
      return result
    case .group(let leaf):
      guard let extent = length(table.extent(layout)) else { return nil }
      let own = part
      part += 1
      let group = solution.index(of: leaf)
      let kept = group.flatMap { plan?.kept[$0] } ?? Array(0..<extent)
      if let group, plan?.varied[group] != nil {
        var result = AxisEntries(extent: extent, base: Array(repeating: 0, count: kept.count))
        result.terms = [
          Term(group: group, part: own, places: Array(kept.indices), strides: Array(repeating: 1, count: kept.count))
        ]
        return result
      }
      var result = AxisEntries(extent: extent, base: kept)
      result.indices[own] = kept
      return result
    case .product(let factors): return combined(factors, &part, solution, plan, length) { $0.times($1) }
    case .sum(let parts): return combined(parts, &part, solution, plan, length) { $0.plus($1) }
    }
  }

  private static func combined(
    _ children: [Layout], _ part: inout Int, _ solution: Solution, _ plan: Plan?, _ length: (Extent) -> Int?,
    _ combine: (AxisEntries, AxisEntries) -> AxisEntries
  ) -> AxisEntries? {
    var result: AxisEntries?
    for child in children {
      guard let next = entries(child, &part, solution, plan, length) else { return nil }
      result = result.map { combine($0, next) } ?? next
    }
    return result
  }

  /// Row-major product with what is inside.
  private func times(_ inner: AxisEntries) -> AxisEntries {
    let (outerCount, innerCount) = (count, inner.count)
    func stretched(_ list: [Int]) -> [Int] { list.flatMap { Array(repeating: $0, count: innerCount) } }
    func repeated(_ list: [Int]) -> [Int] { (0..<outerCount).flatMap { _ in list } }
    var result = AxisEntries(extent: extent * inner.extent, base: [])
    result.base = base.flatMap { outer in inner.base.map { outer * inner.extent + $0 } }
    result.indices = indices.mapValues(stretched).merging(inner.indices.mapValues(repeated)) { first, _ in first }
    result.terms = terms.map { term in
      Term(
        group: term.group, part: term.part, places: stretched(term.places),
        strides: stretched(term.strides).map { $0 * inner.extent })
    }
    result.terms += inner.terms.map { term in
      Term(group: term.group, part: term.part, places: repeated(term.places), strides: repeated(term.strides))
    }
    return result
  }

  /// Concatenation with what follows.
  private func plus(_ after: AxisEntries) -> AxisEntries {
    func front(_ list: [Int]) -> [Int] { list + Array(repeating: -1, count: after.count) }
    func back(_ list: [Int]) -> [Int] { Array(repeating: -1, count: count) + list }
    var result = AxisEntries(extent: extent + after.extent, base: base + after.base.map { $0 + extent })
    result.indices = indices.mapValues(front).merging(after.indices.mapValues(back)) { first, _ in first }
    result.terms = terms.map { Term(group: $0.group, part: $0.part, places: front($0.places), strides: front($0.strides)) }
    result.terms += after.terms.map { Term(group: $0.group, part: $0.part, places: back($0.places), strides: back($0.strides)) }
    return result
  }
}
