import Graph

/// The parts of a layout that cannot be taken apart further, in order: groups, and fixed factors of a known extent. Each knows which others
/// it is multiplied with.
struct LayoutParts: Sendable {
  /// One part.
  struct Part: Sendable {
    /// Its number in the layout table; nil for a fixed factor.
    let group: Int32?
    /// How many indices it has.
    let extent: Int
    /// Parts that are direct factors of a product with this one: every index of this part stands beside each of theirs.
    var around: [Int] = []
    /// True when the whole axis is this part, or a product of it and others: every index of the axis has an index of it.
    var spansAxis = false
  }

  private(set) var parts: [Part] = []

  init(_ layout: Layout, in table: LayoutTable) {
    visit(layout, table)
    switch table.form(layout) {
    case .fixed, .group: if !parts.isEmpty { parts[0].spansAxis = true }
    case .sum: break
    case .product(let factors):
      var at = 0
      for factor in factors {
        let count = Self.count(factor, table)
        if count == 1, Self.isPart(factor, table) { parts[at].spansAxis = true }
        at += count
      }
    }
  }

  private mutating func visit(_ layout: Layout, _ table: LayoutTable) {
    switch table.form(layout) {
    case .fixed:
      if let extent = Self.extentOfFixed(layout, table) { parts.append(Part(group: nil, extent: extent)) }
    case .group(let group): parts.append(Part(group: group, extent: table.extent(layout).constant ?? 0))
    case .sum(let children): for child in children { visit(child, table) }
    case .product(let factors):
      var ranges: [(range: Range<Int>, isPart: Bool)] = []
      for factor in factors {
        let start = parts.count
        visit(factor, table)
        ranges.append((start..<parts.count, Self.isPart(factor, table)))
      }
      for (at, outer) in ranges.enumerated() where outer.isPart {
        for (other, inner) in ranges.enumerated() where other != at {
          for part in inner.range { parts[part].around.append(outer.range.lowerBound) }
        }
      }
    }
  }

  private static func isPart(_ layout: Layout, _ table: LayoutTable) -> Bool {
    switch table.form(layout) {
    case .fixed: extentOfFixed(layout, table) != nil
    case .group: true
    case .product, .sum: false
    }
  }

  private static func extentOfFixed(_ layout: Layout, _ table: LayoutTable) -> Int? {
    table.extent(layout).constant.flatMap { $0 > 1 ? $0 : nil }
  }

  private static func count(_ layout: Layout, _ table: LayoutTable) -> Int {
    switch table.form(layout) {
    case .fixed: isPart(layout, table) ? 1 : 0
    case .group: 1
    case .product(let children), .sum(let children): children.reduce(0) { $0 + count($1, table) }
    }
  }
}

/// Parts of layouts, each looked at once.
struct PartsCache {
  private var known: [Layout: LayoutParts] = [:]

  mutating func parts(_ layout: Layout, in table: LayoutTable) -> LayoutParts {
    if let known = known[layout] { return known }
    let result = LayoutParts(layout, in: table)
    known[layout] = result
    return result
  }
}

/// Where a value carries a part: which of the parts of which of its axes.
struct PartPlace: Hashable, Sendable {
  let value: ValueID
  let axis: Int
  let part: Int
}
