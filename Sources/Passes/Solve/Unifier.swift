import Graph

/// Makes layouts equal, as types are made equal: `unify(a, b)` binds groups until both denote the same indices. What cannot be made equal
/// is frozen with a reason, so unification never fails; at worst less can be pruned.
///
///     unify(g, product(h, d))               g := product(h, d)          a reshape splits a group
///     unify(product(h, d), product(3, k))   h and k split, or frozen    segments with equal prefix products, innermost first
///     unify(sum(a, b), sum(c, d))           cut at all boundaries       concats and splits
///     unify(sum(a, b), product(x, y))       parts in runs of whole y    concats that are reshaped
struct Unifier {
  var table = LayoutTable()
  /// Index of the node whose rule is running, for causes.
  var node: Int?

  // MARK: Making layouts

  mutating func fixed(_ extent: Extent, _ reason: Reason) -> Layout {
    table.fixed(extent, cause: table.intern(LayoutTable.Cause(reason: reason, node: node)))
  }

  /// A new group; what has one index, none, or a number of them known only at run time is fixed.
  mutating func fresh(_ extent: Extent) -> Layout {
    guard let number = extent.constant else { return fixed(extent, .dynamic) }
    return number > 1 ? table.newGroup(number) : fixed(extent, .structure)
  }

  // MARK: Freezing

  /// Keeps all indices of a layout, for a reason of the present node.
  mutating func freeze(_ layout: Layout, _ reason: Reason) {
    freeze(layout, cause: table.intern(LayoutTable.Cause(reason: reason, node: node)))
  }

  private mutating func freeze(_ layout: Layout, cause: Int32) {
    let layout = table.resolve(layout)
    switch table.form(layout) {
    case .fixed: break
    case .group(let group): table.bind(group, to: table.fixed(table.extent(layout), cause: cause), by: node)
    case .product(let children), .sum(let children):
      for child in children { freeze(child, cause: cause) }
    }
  }

  // MARK: Unifying

  mutating func unify(_ a: Layout, _ b: Layout) {
    let a = table.resolve(a)
    let b = table.resolve(b)
    if a == b { return }
    guard table.extent(a) == table.extent(b) else {
      freeze(a, .incomparable)
      return freeze(b, .incomparable)
    }
    switch (table.form(a), table.form(b)) {
    case (.fixed(let cause), _): freeze(b, cause: cause)
    case (_, .fixed(let cause)): freeze(a, cause: cause)
    case (.group(let x), .group(let y)): x < y ? table.bind(y, to: a, by: node) : table.bind(x, to: b, by: node)
    case (.group(let x), _): bind(x, a, to: b)
    case (_, .group(let y)): bind(y, b, to: a)
    case (.product(let factors), .product(let others)): unifyProducts(factors, others)
    case (.sum(let parts), .sum(let others)): unifySums(parts, others)
    case (.sum(let parts), .product(let factors)): unifySum(parts, product: factors)
    case (.product(let factors), .sum(let parts)): unifySum(parts, product: factors)
    }
  }

  private mutating func bind(_ group: Int32, _ layout: Layout, to structure: Layout) {
    // A group inside a structure of its own extent can only stand beside empty parts, which normal form has dropped.
    guard !table.leaves(structure).contains(group) else { return freeze(structure, .doesNotFactor) }
    table.bind(group, to: structure, by: node)
  }

  /// Segments end where the products of the factors so far agree; each is unified by itself, from its innermost factors.
  private mutating func unifyProducts(_ a: [Layout], _ b: [Layout]) {
    var i = 0
    var j = 0
    var segmentA: [Layout] = []
    var segmentB: [Layout] = []
    var prefixA = Extent(1)
    var prefixB = Extent(1)
    var pending: [([Layout], [Layout])] = []
    while i < a.count || j < b.count {
      if i < a.count && (j == b.count || segmentA.isEmpty || (!segmentB.isEmpty && isBehind(prefixA, prefixB))) {
        prefixA = prefixA * table.extent(a[i])
        segmentA.append(a[i])
        i += 1
      } else {
        prefixB = prefixB * table.extent(b[j])
        segmentB.append(b[j])
        j += 1
      }
      if prefixA == prefixB && !segmentA.isEmpty && !segmentB.isEmpty {
        pending.append((segmentA, segmentB))
        (segmentA, segmentB) = ([], [])
      }
    }
    if !segmentA.isEmpty || !segmentB.isEmpty { pending.append((segmentA, segmentB)) }
    for (x, y) in pending { unifySegment(x, y) }
  }

  /// True when the first of two prefix products must grow next for the two to meet.
  private func isBehind(_ a: Extent, _ b: Extent) -> Bool {
    if b.dividedExactly(by: a) != nil { return true }
    if a.dividedExactly(by: b) != nil { return false }
    return a.isLess(than: b) ?? true
  }

  private mutating func unifySegment(_ a: [Layout], _ b: [Layout]) {
    if a.count == 1 || b.count == 1, !a.isEmpty, !b.isEmpty {
      let x = table.product(a)
      let y = table.product(b)
      // Normal form may have merged what was several factors; only a true single factor ends the segment in one step.
      switch (table.form(x), table.form(y)) {
      case (.product, .product): break
      case (.fixed, _), (.group, _), (.sum, _), (_, .fixed), (_, .group), (_, .sum): return unify(x, y)
      }
    }
    var left = a
    var right = b
    while let x = popInnermost(&left), let y = popInnermost(&right) {
      let n = table.extent(x)
      let m = table.extent(y)
      if n == m {
        unify(x, y)
      } else if let split = splitInner(x, inner: m) {
        unify(split.inner, y)
        left.append(split.outer)
      } else if let split = splitInner(y, inner: n) {
        unify(x, split.inner)
        right.append(split.outer)
      } else {
        left.append(x)
        right.append(y)
        for rest in left + right { freeze(rest, .doesNotFactor) }
        return
      }
    }
    for rest in left + right { freeze(rest, .doesNotFactor) }
  }

  /// Takes the innermost factor; one that turned out to be a product since then is flattened first, factors of one index are skipped.
  private mutating func popInnermost(_ factors: inout [Layout]) -> Layout? {
    while let last = factors.popLast() {
      let last = table.resolve(last)
      if table.extent(last) == 1 { continue }
      guard case .product(let inner) = table.form(last) else { return last }
      factors.append(contentsOf: inner)
    }
    return nil
  }

  /// Splits a factor whose extent is a proper multiple of `inner`; nil when it is not, or cannot be.
  private mutating func splitInner(_ layout: Layout, inner: Extent) -> (outer: Layout, inner: Layout)? {
    guard let outer = table.extent(layout).dividedExactly(by: inner), outer != 1 else { return nil }
    switch table.form(layout) {
    case .fixed(let cause):
      return (table.fixed(outer, cause: cause), table.fixed(inner, cause: cause))
    case .group(let group):
      guard outer.isConstant, inner.isConstant else { return nil }
      let parts = (outer: fresh(outer), inner: fresh(inner))
      table.bind(group, to: table.product([parts.outer, parts.inner]), by: node)
      return parts
    case .sum:
      guard outer.isConstant, inner.isConstant else { return nil }
      let parts = (outer: fresh(outer), inner: fresh(inner))
      unify(layout, table.product([parts.outer, parts.inner]))
      return parts
    case .product:
      return nil
    }
  }

  /// Cuts both sides at the union of their boundaries.
  private mutating func unifySums(_ a: [Layout], _ b: [Layout]) {
    var left = Array(a.reversed())
    var right = Array(b.reversed())
    while let x = popFirst(&left) {
      guard let y = popFirst(&right) else {
        for rest in left + [x] { freeze(rest, .incomparable) }
        return
      }
      let n = table.extent(x)
      let m = table.extent(y)
      if n == m {
        unify(x, y)
      } else if n.isLess(than: m) == true, let pieces = cut(y, at: n) {
        unify(x, pieces.0)
        right.append(pieces.1)
      } else if m.isLess(than: n) == true, let pieces = cut(x, at: m) {
        unify(pieces.0, y)
        left.append(pieces.1)
      } else {
        for rest in left + right + [x, y] { freeze(rest, .incomparable) }
        return
      }
    }
    for rest in right { freeze(rest, .incomparable) }
  }

  /// Takes the first part of a reversed list; one that turned out to be a sum since then is flattened first.
  private mutating func popFirst(_ parts: inout [Layout]) -> Layout? {
    while let part = parts.popLast() {
      let part = table.resolve(part)
      if table.extent(part) == 0 { continue }
      guard case .sum(let inner) = table.form(part) else { return part }
      parts.append(contentsOf: inner.reversed())
    }
    return nil
  }

  /// A concatenation against blocks: parts are taken in runs that end at whole blocks. A run of one part is split into (count, block);
  /// a run of several is cut at every block and its count of blocks stays.
  private mutating func unifySum(_ parts: [Layout], product factors: [Layout]) {
    let outermost = factors[0]
    let block = table.product(Array(factors[1...]))
    let size = table.extent(block)
    var counts: [Layout] = []
    var rest = Array(parts.reversed())
    while let first = popFirst(&rest) {
      if let count = table.extent(first).dividedExactly(by: size) {
        if count == 1 {
          unify(first, block)
          counts.append(fixed(1, .structure))
        } else if let split = splitWhole(first, outer: count, inner: size) {
          unify(split.inner, block)
          counts.append(split.outer)
        } else {
          freeze(first, .doesNotFactor)
          freeze(block, .doesNotFactor)
          counts.append(fixed(count, .doesNotFactor))
        }
        continue
      }
      var run = [first]
      var length = table.extent(first)
      while length.dividedExactly(by: size) == nil, let next = popFirst(&rest) {
        run.append(next)
        length = length + table.extent(next)
      }
      guard let count = length.dividedExactly(by: size)?.constant, let step = size.constant else {
        for part in run + rest + [outermost, block] { freeze(part, .doesNotFactor) }
        return
      }
      for piece in cut(table.sum(run), every: step, count: count) { unify(piece, block) }
      counts.append(fixed(Extent(count), .runOfParts))
    }
    unify(outermost, table.sum(counts))
  }

  /// Splits any layout into (outer, inner), products included.
  private mutating func splitWhole(_ layout: Layout, outer: Extent, inner: Extent) -> (outer: Layout, inner: Layout)? {
    if case .product = table.form(layout) {
      guard outer.isConstant, inner.isConstant else { return nil }
      let parts = (outer: fresh(outer), inner: fresh(inner))
      unify(layout, table.product([parts.outer, parts.inner]))
      return (table.resolve(parts.outer), table.resolve(parts.inner))
    }
    return splitInner(layout, inner: inner)
  }

  /// Splits a layout into (outer, inner); freezes it where the extents do not divide.
  mutating func split(_ layout: Layout, inner: Int) -> (outer: Layout, inner: Layout) {
    let layout = table.resolve(layout)
    let size = Extent(inner)
    guard let outer = table.extent(layout).dividedExactly(by: size) else {
      freeze(layout, .doesNotFactor)
      return (fixed(table.extent(layout).floorDivided(by: size), .doesNotFactor), fixed(size, .doesNotFactor))
    }
    if outer == 1 { return (fixed(1, .structure), layout) }
    if inner == 1 { return (layout, fixed(1, .structure)) }
    if let parts = splitWhole(layout, outer: outer, inner: size) { return parts }
    freeze(layout, .doesNotFactor)
    return (fixed(outer, .doesNotFactor), fixed(size, .doesNotFactor))
  }

  // MARK: Cutting

  /// Cuts a layout at ascending positions inside it; one more piece than positions.
  mutating func cut(_ layout: Layout, at positions: [Int]) -> [Layout] {
    var pieces: [Layout] = []
    var rest = layout
    var start = 0
    for position in positions {
      if position == start {
        pieces.append(fixed(0, .structure))
        continue
      }
      let length = Extent(position - start)
      if length == table.extent(rest) {
        pieces.append(rest)
        rest = fixed(0, .structure)
      } else if let (left, right) = cut(rest, at: length) {
        pieces.append(left)
        rest = right
      } else {
        freeze(rest, .dynamic)
        pieces.append(fixed(length, .dynamic))
        rest = fixed(table.extent(rest) - length, .dynamic)
      }
      start = position
    }
    return pieces + [rest]
  }

  private mutating func cut(_ layout: Layout, every step: Int, count: Int) -> [Layout] {
    cut(layout, at: (1..<count).map { $0 * step })
  }

  /// Cuts a layout in two, `position` indices in the first part; nil where that cannot be compared with a symbolic length.
  private mutating func cut(_ layout: Layout, at position: Extent) -> (Layout, Layout)? {
    let layout = table.resolve(layout)
    let extent = table.extent(layout)
    switch table.form(layout) {
    case .fixed(let cause):
      guard position.isLess(than: extent) == true else { return nil }
      return (table.fixed(position, cause: cause), table.fixed(extent - position, cause: cause))
    case .group(let group):
      guard position.isConstant, position.isLess(than: extent) == true else { return nil }
      let pieces = (fresh(position), fresh(extent - position))
      table.bind(group, to: table.sum([pieces.0, pieces.1]), by: node)
      return pieces
    case .sum(let parts):
      return cut(parts: parts, at: position)
    case .product(let factors):
      return cut(factors: factors, at: position)
    }
  }

  private mutating func cut(parts: [Layout], at position: Extent) -> (Layout, Layout)? {
    var before: [Layout] = []
    var length = Extent(0)
    for (at, part) in parts.enumerated() {
      if length == position { return (table.sum(before), table.sum(Array(parts[at...]))) }
      let next = length + table.extent(part)
      if next == position || next.isLess(than: position) == true {
        before.append(part)
        length = next
        continue
      }
      guard position.isLess(than: next) == true, let pieces = cut(part, at: position - length) else { return nil }
      return (table.sum(before + [pieces.0]), table.sum([pieces.1] + parts[(at + 1)...]))
    }
    return length == position ? (table.sum(before), fixed(0, .structure)) : nil
  }

  /// Whole blocks: the outermost factor is cut. Inside a block: the outermost factor stays, and the block itself is cut.
  private mutating func cut(factors: [Layout], at position: Extent) -> (Layout, Layout)? {
    let outermost = factors[0]
    let block = table.product(Array(factors[1...]))
    let size = table.extent(block)
    if let blocks = position.dividedExactly(by: size) {
      guard let pieces = cut(outermost, at: blocks) else { return nil }
      return (table.product([pieces.0, block]), table.product([pieces.1, block]))
    }
    guard let at = position.constant, let step = size.constant, let count = table.extent(outermost).constant, at < count * step
    else {
      return nil
    }
    freeze(outermost, .cutInsideBlock)
    guard let (left, right) = cut(block, at: Extent(at % step)) else { return nil }
    let whole = table.sum([left, right])
    let before = table.product([fixed(Extent(at / step), .cutInsideBlock), whole])
    let after = table.product([fixed(Extent(count - at / step - 1), .cutInsideBlock), whole])
    return (table.sum([before, left]), table.sum([right, after]))
  }
}
