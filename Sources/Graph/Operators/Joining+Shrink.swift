extension Joining {
  /// What follows when the tensors shrink: sizes of pieces, bounds of cuts, lengths of borders.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .concat, .quantisedConcat: break
    case .pad: try Self.shrinkPad(&context)
    case .slice: try Self.shrinkSlice(&context)
    case .split: try Self.shrinkSplit(&context)
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  // MARK: Split

  /// Pieces that were given stay given; pieces that were implied become explicit where they are no longer what is implied.
  private static func shrinkSplit(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldInput(0), let new = context.newInput(0), old.isRanked else { return }
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: old.rank)
    let count = context.node.outputs.count
    let fromOperand = context.opset >= 13 && context.oldInput(1) != nil
    let given = fromOperand ? context.known(1)?.entries : context.attributes.ints(.split)?.map { .whole(Extent($0)) }
    let isExplicit = fromOperand || context.attributes.ints(.split) != nil
    if isExplicit && given.map({ $0.count != count }) ?? false { throw context.failure("the sizes are not one per result") }

    var before: [Extent?] = given?.map(\.whole) ?? Array(repeating: nil, count: count)
    if !isExplicit, let extent = old.shape[axis].constant { before = impliedSizes(extent, count) }
    var after: [Extent?] = []
    var position: Int? = 0
    for index in 0..<count {
      let size = before[index]?.constant ?? ShrinkContext.extent(context.oldOutput(index), axis)?.constant
      let end = position.flatMap { start in size.map { start + $0 } }
      if let extent = ShrinkContext.extent(context.newOutput(index), axis) {
        after.append(extent)
      } else if context.isWhole(input: 0, axis: axis) {
        after.append(before[index])
      } else if let start = position, let end {
        after.append(
          Extent(context.countKept(input: 0, axis: axis, before: end) - context.countKept(input: 0, axis: axis, before: start)))
      } else {
        after.append(nil)
      }
      position = end
    }

    if isExplicit {
      let entries = (0..<count).map { index -> KnownValue.Entry in
        let was = ShrinkContext.extent(context.oldOutput(index), axis) ?? before[index]
        return was == after[index] ? given?[index] ?? .unknown : after[index].map { .whole($0) } ?? .unknown
      }
      if fromOperand {
        if given == nil && !entries.contains(where: { $0 != .unknown }) { return }
        if let value = KnownValue(shape: [count], entries: entries) { context.require(input: 1, value) }
      } else if let sizes = KnownValue(shape: [count], entries: entries)?.numbers {
        if sizes != context.attributes.ints(.split) { context.set(.split, .ints(sizes)) }
      } else {
        throw context.failure("the sizes of the pieces are not known in numbers")
      }
      return
    }
    guard !context.isWhole(input: 0, axis: axis) else { return }
    if let extent = new.shape[axis].constant {
      if extent.isMultiple(of: count) || context.opset >= 18, impliedSizes(extent, count) == after { return }
    } else if after.allSatisfy({ $0 != nil && $0 == after.first }) {
      return
    }
    var sizes: [Extent] = []
    for size in after {
      guard let size else { throw context.failure("the sizes of the pieces are not known") }
      sizes.append(size)
    }
    if context.opset >= 13 {
      context.require(input: 1, list: sizes)
      if context.attributes[.numOutputs] != nil { context.remove(.numOutputs) }
    } else {
      let numbers = sizes.compactMap(\.constant)
      guard numbers.count == count else { throw context.failure("the sizes of the pieces are not known in numbers") }
      context.set(.split, .ints(numbers))
    }
  }

  /// Equal pieces, the last one smaller.
  private static func impliedSizes(_ extent: Int, _ count: Int) -> [Extent?] {
    guard count > 0, extent >= 0 else { return [] }
    let size = extent / count + (extent.isMultiple(of: count) ? 0 : 1)
    return (0..<count).map { Extent(Swift.max(0, Swift.min(size, extent - $0 * size))) }
  }

  // MARK: Slice

  /// New bounds that take exactly the kept ones of the positions that were taken. Bounds of axes that are as they were are
  /// positions and stay; negative bounds and "to the end" keep their form where they still mean the same.
  private static func shrinkSlice(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldInput(0), let new = context.newInput(0), old.isRanked, old.rank == new.rank else { return }
    guard let starts = context.known(1), let ends = context.known(2), starts.entries.count == ends.entries.count else {
      for axis in 0..<old.rank where !context.isWhole(input: 0, axis: axis) && !isPassedThrough(context, axis) {
        throw context.failure("axis \(axis) shrinks, but the bounds are not known")
      }
      context.requireOld(input: 1)
      return context.requireOld(input: 2)
    }
    let axes = context.oldInput(3) == nil ? Array(0..<starts.entries.count) : context.known(3)?.numbers
    guard let axes, axes.count == starts.entries.count else { throw context.failure("which axes are cut is not known") }
    var newStarts = starts.entries
    var newEnds = ends.entries
    for (place, given) in axes.enumerated() {
      let axis = try context.axis(given, rank: old.rank)
      if context.isWhole(input: 0, axis: axis) && context.isWhole(axis: axis) { continue }
      let steps = context.oldInput(4) == nil ? 1 : context.known(4)?.entries[place].whole?.constant
      if old.shape[axis].constant == nil {
        if starts.entries[place].whole == 0 && ends.entries[place].whole == Extent(Int.max) && steps == 1 { continue }
        throw context.failure("axis \(axis) has a symbolic extent and shrinks; it cannot be cut")
      }
      guard let extent = old.shape[axis].constant, let start = starts.entries[place].whole?.constant,
        let end = ends.entries[place].whole?.constant, let step = steps, step != 0
      else { throw context.failure("axis \(axis) shrinks, but the bounds are not known in numbers") }
      let bounds = try newBounds(
        context, axis: axis, taken: Bounds(start: start, end: end), step: step, extent: extent,
        left: new.shape[axis].constant ?? extent)
      newStarts[place] = .whole(Extent(bounds.start))
      newEnds[place] = .whole(Extent(bounds.end))
    }
    if let value = KnownValue(shape: starts.shape, entries: newStarts) { context.require(input: 1, value) }
    if let value = KnownValue(shape: ends.shape, entries: newEnds) { context.require(input: 2, value) }
  }

  /// True when a result's axis keeps what the operand's axis keeps.
  private static func isPassedThrough(_ context: ShrinkContext, _ axis: Int) -> Bool {
    ShrinkContext.extent(context.oldInput(0), axis) == ShrinkContext.extent(context.oldOutput(), axis)
      && ShrinkContext.extent(context.newInput(0), axis) == ShrinkContext.extent(context.newOutput(), axis)
      && context.kept(input: 0, axis: axis) == context.kept(axis: axis)
  }

  private struct Bounds {
    let start: Int
    let end: Int

    /// The positions that a slice of an axis takes, as ONNX clamps them.
    func positions(of extent: Int, step: Int) -> StrideTo<Int> {
      let from = start < 0 ? start &+ extent : start
      let to = end < 0 ? end &+ extent : end
      return step > 0
        ? stride(from: min(max(from, 0), extent), to: min(max(to, 0), extent), by: step)
        : stride(from: min(max(from, -1), extent - 1), to: min(max(to, -1), extent - 1), by: step)
    }
  }

  private static func newBounds(
    _ context: ShrinkContext, axis: Int, taken: Bounds, step: Int, extent: Int, left: Int
  ) throws(Diagnostic) -> Bounds {
    let kept = context.kept(input: 0, axis: axis)
    let ranks = try context.ranks(input: 0, axis: axis)
    let positions = Array(taken.positions(of: extent, step: step))
    let wanted = positions.compactMap { position in ranks.map { $0[position] } ?? position }
    let survivors =
      context.kept(axis: axis).map { list in list.filter(positions.indices.contains).map { positions[$0] } } ?? positions
    guard wanted.count == survivors.count, survivors.allSatisfy({ position in ranks.map { $0[position] != nil } ?? true })
    else { throw context.failure("axis \(axis): the kept positions before and after the cut disagree") }

    func before(_ position: Int) -> Int { kept.map { list in list.prefix { $0 < position }.count } ?? position }
    var starts: [Int] = taken.start < 0 || taken.start > extent ? [taken.start] : []
    var ends: [Int] = taken.end < 0 || taken.end > extent ? [taken.end] : []
    let first = wanted.first ?? before(min(max(taken.start < 0 ? taken.start &+ extent : taken.start, 0), extent))
    starts += (taken.start < 0 ? [first - left] : []) + [first]
    let bound = min(max(taken.end < 0 ? taken.end &+ extent : taken.end, -1), extent)
    if step > 0 {
      let near = (wanted.last ?? first - 1) + 1
      for end in [before(max(bound, 0)), near] {
        if taken.end < 0 && end < left { ends.append(end - left) }
        ends.append(end)
      }
    } else {
      let near = (wanted.last ?? first) - (wanted.isEmpty ? 0 : 1)
      for end in [before(bound + 1) - 1, near] { ends.append(end < 0 ? -left - 1 : end) }
    }
    for start in starts {
      for end in ends {
        let bounds = Bounds(start: start, end: end)
        if bounds.positions(of: left, step: step).elementsEqual(wanted) { return bounds }
      }
    }
    throw context.failure("axis \(axis): the positions that stay, \(list(wanted)), are no slice with step \(step) any more")
  }

  private static func list(_ numbers: [Int]) -> String {
    numbers.prefix(8).map(String.init).joined(separator: ", ") + (numbers.count > 8 ? ", …" : "")
  }

  // MARK: Pad

  /// A border is as long as what is kept of it.
  private static func shrinkPad(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldInput(0), let oldOut = context.oldOutput(), let newOut = context.newOutput(), old.isRanked,
      old.rank == oldOut.rank, old.rank == newOut.rank
    else { return }
    let isAttribute = context.oldInput(1) == nil
    let pads = isAttribute ? context.attributes.ints(.pads)?.map { .whole(Extent($0)) } : context.known(1)?.entries
    let axes = context.oldInput(3) == nil ? Array(0..<old.rank) : context.known(3)?.numbers
    guard let pads, let axes, pads.count == 2 * axes.count else {
      for axis in 0..<old.rank where !context.isWhole(axis: axis) && !isPassedThrough(context, axis) {
        throw context.failure("axis \(axis) shrinks, but how it is padded is not known")
      }
      return context.requireOld(input: 1)
    }
    let isConstant = (context.attributes.string(.mode) ?? "constant") == "constant"
    var entries = pads
    for (place, given) in axes.enumerated() {
      let axis = try context.axis(given, rank: old.rank)
      guard !context.isWhole(axis: axis) || !context.isWhole(input: 0, axis: axis) else { continue }
      if pads[place].whole == 0 && pads[place + axes.count].whole == 0 { continue }
      guard isConstant else { throw context.failure("axis \(axis) shrinks, but its border repeats what it holds") }
      guard let leading = pads[place].whole?.constant, let trailing = pads[place + axes.count].whole?.constant, leading >= 0,
        trailing >= 0, let extent = old.shape[axis].constant, let kept = context.kept(axis: axis)
      else { throw context.failure("axis \(axis) shrinks, but its border is not known in numbers") }
      entries[place] = .whole(Extent(kept.prefix { $0 < leading }.count))
      entries[place + axes.count] = .whole(Extent(kept.reversed().prefix { $0 >= leading + extent }.count))
    }
    if isAttribute {
      let numbers = entries.compactMap { $0.whole?.constant }
      if numbers != context.attributes.ints(.pads) { context.set(.pads, .ints(numbers)) }
    } else if let value = KnownValue(shape: [entries.count], entries: entries) {
      context.require(input: 1, value)
    }
  }
}
