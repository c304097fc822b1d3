import Graph

/// What each axis keeps under a plan, by its layout; every layout is looked at once.
///
/// Of a group that varies, a layout alone says how many indices stay, not which: `selection` says that of a value.
final class KeptIndices {
  let solution: Solution
  let plan: Plan
  private let sizes: [Int]
  private let symbols: [String: Int]
  private var known: [Layout: [Int]?] = [:]
  private var extents: [Layout: Extent] = [:]
  /// Lists longer than this are not made: no tensor of a real model has such an axis, only a damaged file.
  static let longest = 1 << 26
  /// The length of an axis that was asked for and is too long to list.
  private(set) var overlong: Int?

  /// `symbols`: what symbolic extents are in one run; without it, axes that have some keep all as far as can be said.
  init(solution: Solution, plan: Plan, symbols: [String: Int] = [:]) {
    self.symbols = symbols
    self.solution = solution
    self.plan = plan
    sizes = solution.groups.indices.map { plan.kept[$0]?.count ?? solution.groups[$0].extent }
  }

  /// The length an extent has; nil where it hangs on symbols that have no number.
  func length(_ extent: Extent) -> Int? {
    extent.constant ?? extent.evaluated { symbols[$0] }.flatMap { $0 < 0 ? nil : $0 }
  }

  /// Kept positions of an axis with a known length, ascending; nil where all are kept. Groups that vary keep the first of their lists here:
  /// as many positions, in the same blocks, which is all that counts, bounds and renumbered positions need.
  func positions(_ layout: Layout) -> [Int]? {
    if let known = known[layout] { return known }
    let result = compute(layout)
    known[layout] = .some(result)
    return result
  }

  /// The new length.
  func extent(_ layout: Layout) -> Extent {
    if let known = extents[layout] { return known }
    let result = SizeModel(solution: solution).extent(layout, sizes)
    extents[layout] = result
    return result
  }

  private func compute(_ layout: Layout) -> [Int]? {
    let table = solution.table
    if let length = length(table.extent(layout)), length > Self.longest {
      overlong = length
      return nil
    }
    switch table.form(layout) {
    case .fixed: return nil
    case .group(let leaf): return solution.index(of: leaf).flatMap { plan.kept[$0] }
    case .sum(let parts):
      let lists = parts.map { positions($0) }
      if lists.allSatisfy({ $0 == nil }) { return nil }
      var result: [Int] = []
      var start = 0
      for (part, list) in zip(parts, lists) {
        guard let length = length(table.extent(part)) else { return nil }
        if let list { result += list.map { $0 + start } } else { result += start..<start + length }
        start += length
      }
      return result
    case .product(let factors):
      let lists = factors.map { positions($0) }
      if lists.allSatisfy({ $0 == nil }) { return nil }
      var result = [0]
      for (factor, list) in zip(factors, lists) {
        guard let length = length(table.extent(factor)) else { return nil }
        let inner = list ?? Array(0..<length)
        result = result.flatMap { outer in inner.map { outer * length + $0 } }
      }
      return result
    }
  }
}
