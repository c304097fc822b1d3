/// What the axis rules of several families need.
extension AxisSolver {
  /// True when an operand is given.
  func has(_ index: Int) -> Bool { type(ofInput: index) != nil }

  /// Extents of an operand's axes; empty when it is left out.
  func shape(ofInput index: Int) -> [Extent] { type(ofInput: index)?.shape ?? [] }

  /// An operand's whole numbers, where all are known and fixed.
  func numbers(ofInput index: Int) -> [Int]? { known(ofInput: index)?.numbers }

  /// The only number of an operand, where it is known and fixed.
  func number(ofInput index: Int) -> Int? {
    guard let numbers = numbers(ofInput: index), numbers.count == 1 else { return nil }
    return numbers.first
  }

  /// An axis counted from the front; nil where it is outside the rank.
  func normalised(_ axis: Int, rank: Int) -> Int? {
    let positive = axis < 0 ? axis &+ rank : axis
    return (0..<rank).contains(positive) ? positive : nil
  }

  /// Axes counted from the front; nil where one is outside the rank.
  func normalised(_ axes: [Int], rank: Int) -> [Int]? {
    var result: [Int] = []
    for axis in axes {
      guard let axis = normalised(axis, rank: rank) else { return nil }
      result.append(axis)
    }
    return result
  }

  /// Says that an operand's numbers are used as numbers: if they are positions along an axis, that axis keeps all its indices.
  func escape(input index: Int) {
    if let codomain = codomain(ofInput: index) { freeze(codomain, .positionsEscape) }
  }

  /// Says that an operand holds settings, such as a shape, scales or bounds: none of its numbers may go.
  func keepSettings(_ indices: some Sequence<Int>) {
    for index in indices where has(index) {
      escape(input: index)
      freezeInput(index, .structure)
    }
  }

  /// `keepSettings` for all operands but the first.
  func keepSettings() { keepSettings(node.inputs.indices.dropFirst()) }

  /// `escape` for every operand.
  func escapeAll() {
    for index in node.inputs.indices { escape(input: index) }
  }

  /// Says that results hold the same positions as an operand.
  func carryCodomain(from input: Int = 0) {
    guard let codomain = codomain(ofInput: input) else { return }
    for output in node.outputs.indices where type(ofOutput: output) != nil { setCodomain(ofOutput: output, codomain) }
  }

  /// Makes two layouts the same; keeps all indices of both where their extents differ.
  func tie(_ a: Layout, _ b: Layout) {
    if a == b { return }
    if extent(a) == extent(b) { return unify(a, b) }
    freeze(a, .incomparable)
    freeze(b, .incomparable)
  }

  /// Gives a result its axes, if somebody asked for it. An axis whose layout has another extent than its type keeps all its indices.
  func give(_ layouts: [Layout], output index: Int = 0) {
    guard let type = type(ofOutput: index) else { return }
    guard layouts.count == type.rank else {
      for layout in layouts { freeze(layout, .incomparable) }
      return setFixed(output: index, .incomparable)
    }
    var result = layouts
    for (at, layout) in layouts.enumerated() where extent(layout) != type.shape[at] {
      freeze(layout, .incomparable)
      result[at] = fixed(type.shape[at], .incomparable)
    }
    setAxes(ofOutput: index, result)
  }

  /// Gives a result axes that keep all their indices, if somebody asked for it.
  func setFixedIfAsked(output index: Int, _ reason: Reason) {
    if type(ofOutput: index) != nil { setFixed(output: index, reason) }
  }

  /// Gives a result the axes of an operand.
  func pass(input: Int = 0, output: Int = 0) { give(axes(ofInput: input), output: output) }

  /// Unifies axes of several tensors aligned from the right and returns the unified axes. Axes of extent one next to longer ones take
  /// part in nothing.
  func broadcast(_ operands: [Int]) -> [Layout] {
    if operands.count == 1 { return axes(ofInput: operands[0]) }
    let shapes = operands.map { shape(ofInput: $0) }
    let layouts = operands.map { axes(ofInput: $0) }
    let rank = layouts.map(\.count).max() ?? 0
    var result: [Layout] = []
    result.reserveCapacity(rank)
    for place in stride(from: rank - 1, through: 0, by: -1) {
      var single: Layout?
      var full: Layout?
      for (axes, shape) in zip(layouts, shapes) where axes.count > place && shape.count == axes.count {
        let at = axes.count - 1 - place
        if shape[at] == 1 {
          single = single ?? axes[at]
        } else if let full {
          tie(full, axes[at])
        } else {
          full = axes[at]
        }
      }
      result.append(full ?? single ?? fixed(1, .structure))
    }
    return result
  }

  /// The axes of a row-major tensor seen with another shape of as many elements. Axes that correspond one to one are matched directly;
  /// between them segments are found where the products of extents agree.
  func regroup(_ layouts: [Layout], _ from: [Extent], to: [Extent]) -> [Layout] {
    var result = to.map { _ in Layout?.none }
    guard layouts.count == from.count, !from.contains(0), !to.contains(0) else {
      for layout in layouts { freeze(layout, .incomparable) }
      return to.map { fixed($0, .structure) }
    }
    if let agreed = regroupAgreed(layouts, from, to: to) { return agreed }
    let old = from.indices.filter { from[$0] != 1 }
    let new = to.indices.filter { to[$0] != 1 }
    var head = 0
    while head < old.count, head < new.count, from[old[head]] == to[new[head]] {
      result[new[head]] = layouts[old[head]]
      head += 1
    }
    var oldEnd = old.count
    var newEnd = new.count
    while oldEnd > head, newEnd > head, from[old[oldEnd - 1]] == to[new[newEnd - 1]] {
      oldEnd -= 1
      newEnd -= 1
      result[new[newEnd]] = layouts[old[oldEnd]]
    }
    var oldAt = head
    var newAt = head
    while oldAt < oldEnd || newAt < newEnd {
      let (oldNext, newNext) = segmentEnd(from, old, oldAt, oldEnd, to, new, newAt, newEnd)
      let sources = old[oldAt..<oldNext].map { layouts[$0] }
      let targets = Array(new[newAt..<newNext])
      for (target, layout) in zip(targets, segment(sources, to: targets.map { to[$0] })) { result[target] = layout }
      oldAt = oldNext
      newAt = newNext
    }
    return zip(result, to).map { $0 ?? fixed($1, .structure) }
  }

  /// As `regroup` where the counts differ by the spelling of one length: a tracer that wrote 7 for a sequence of `s` made a model that
  /// runs for 7 positions only, so `s` is 7 here. Nil where counts agree, or differ by more.
  private func regroupAgreed(_ layouts: [Layout], _ from: [Extent], to: [Extent]) -> [Layout]? {
    let (whole, wanted) = (from.reduce(1, *), to.reduce(1, *))
    if whole == wanted { return nil }
    func length(_ at: Int, of extents: [Extent], toReach count: Extent) -> Extent? {
      if extents[at].isConstant { return nil }
      return extents.indices.reduce(Extent?(count)) { $1 == at ? $0 : $0?.dividedExactly(by: extents[$1]) }
    }
    for at in from.indices {
      guard let agreed = length(at, of: from, toReach: wanted) else { continue }
      var (sources, extents) = (layouts, from)
      freeze(layouts[at], .dynamic)
      (sources[at], extents[at]) = (fixed(agreed, .dynamic), agreed)
      return regroup(sources, extents, to: to)
    }
    for at in to.indices {
      guard let agreed = length(at, of: to, toReach: whole) else { continue }
      var extents = to
      extents[at] = agreed
      var result = regroup(layouts, from, to: extents)
      freeze(result[at], .dynamic)
      result[at] = fixed(to[at], .dynamic)
      return result
    }
    return nil
  }

  /// Where the products of extents from the given places on agree first; the ends where they never do.
  private func segmentEnd(
    _ from: [Extent], _ old: [Int], _ oldStart: Int, _ oldEnd: Int, _ to: [Extent], _ new: [Int], _ newStart: Int, _ newEnd: Int
  ) -> (Int, Int) {
    guard oldStart < oldEnd, newStart < newEnd else { return (oldEnd, newEnd) }
    var oldAt = oldStart + 1
    var newAt = newStart + 1
    var left = from[old[oldStart]]
    var right = to[new[newStart]]
    while left != right {
      let leftIsShorter: Bool
      if let x = left.constant, let y = right.constant {
        leftIsShorter = x < y
      } else if right.dividedExactly(by: left) != nil {
        leftIsShorter = true
      } else if left.dividedExactly(by: right) != nil {
        leftIsShorter = false
      } else if let less = left.isLess(than: right) {
        leftIsShorter = less
      } else {
        return (oldEnd, newEnd)
      }
      if leftIsShorter {
        guard oldAt < oldEnd else { return (oldEnd, newEnd) }
        left = left * from[old[oldAt]]
        oldAt += 1
      } else {
        guard newAt < newEnd else { return (oldEnd, newEnd) }
        right = right * to[new[newAt]]
        newAt += 1
      }
    }
    return (oldAt, newAt)
  }

  /// The axes of one segment: one axis takes all factors as they are; several are new, and their product is what the factors make.
  private func segment(_ sources: [Layout], to extents: [Extent]) -> [Layout] {
    let whole = sources.count == 1 ? sources[0] : product(sources)
    if extents.count == 1 {
      if extent(whole) == extents[0] { return [whole] }
      freeze(whole, .dynamic)
      return [fixed(extents[0], .dynamic)]
    }
    var rest = sources.map { extent($0) }
    let targets = extents.map { target in
      let parts = take(target, from: &rest)
      if target.isConstant { return fresh(target) }
      return product(parts.map { $0.isConstant ? fresh($0) : fixed($0, .dynamic) })
    }
    if !targets.isEmpty || !sources.isEmpty { tie(whole, targets.count == 1 ? targets[0] : product(targets)) }
    return targets
  }

  /// What an axis of a length known only at run time is made of, outermost first: `4*b` in front of (b, 24) is b and 4 of the 24, which
  /// can be a group. The length itself where it does not factor so; `rest` is what is left for the axes behind it.
  private func take(_ length: Extent, from rest: inout [Extent]) -> [Extent] {
    var parts: [Extent] = []
    var missing = length
    while missing != 1, let next = rest.first {
      if let left = missing.dividedExactly(by: next) {
        if next != 1 { parts.append(next) }
        missing = left
        rest.removeFirst()
      } else if let left = next.dividedExactly(by: missing) {
        parts.append(missing)
        missing = 1
        rest[0] = left
      } else {
        break
      }
    }
    if missing == 1 { return parts }
    rest = []
    return [length]
  }

  /// The indices `range` of an axis, which is cut there.
  func piece(of layout: Layout, _ range: Range<Int>) -> Layout {
    guard let length = extent(layout).constant, range.lowerBound >= 0, range.upperBound <= length else {
      freeze(layout, .dynamic)
      return fixed(Extent(range.count), .dynamic)
    }
    if range.isEmpty { return fixed(0, .structure) }
    if range.count == length { return layout }
    let positions = [range.lowerBound, range.upperBound].filter { $0 > 0 && $0 < length }
    let pieces = cut(layout, at: positions)
    let at = range.lowerBound > 0 ? 1 : 0
    return pieces.indices.contains(at) ? pieces[at] : fixed(Extent(range.count), .structure)
  }

  /// Every `step`-th index of an axis from `start` on, `count` of them: the outer factor where blocks of `step` line up.
  func strided(_ layout: Layout, start: Int, step: Int, count: Int) -> Layout {
    guard let length = extent(layout).constant, count > 0 else {
      if count != 0 { freeze(layout, .dynamic) }
      return fixed(Extent(max(0, count)), .dynamic)
    }
    if count == 1 || step == 1 { return piece(of: layout, start..<start + count) }
    let (span, overflow) = step.multipliedReportingOverflow(by: count)
    guard step > 1, !overflow else {
      freeze(layout, .order)
      return fixed(Extent(count), .order)
    }
    let aligned = start / step * step
    let low = aligned + span <= length ? aligned : length - span
    guard low >= 0, (0..<step).contains(start - low) else {
      freeze(layout, .selected)
      return fixed(Extent(count), .selected)
    }
    let blocks = piece(of: layout, low..<low + span)
    let outer = fresh(Extent(count))
    unify(blocks, product([outer, fixed(Extent(step), .structure)]))
    return outer
  }
}
