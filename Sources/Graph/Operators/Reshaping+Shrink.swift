extension Reshaping {
  /// What follows when the tensors shrink: targets and repeats name extents; axes and permutations do not.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .reshape: try Self.shrinkReshape(&context)
    case .expand: Self.shrinkExpand(&context)
    case .tile: try Self.shrinkTile(&context)
    case .depthToSpace, .flatten, .spaceToDepth, .squeeze, .transpose, .unsqueeze: break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  /// −1 stays, 0 stays where it still copies the right extent, and an extent that is as it was keeps its entry.
  private static func shrinkReshape(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldOutput()?.shape, let new = context.newOutput()?.shape, old.count == new.count else { return }
    guard let known = context.known(1), known.entries.count == new.count else {
      if old != new { context.require(input: 1, list: try definiteTarget(context, new)) }
      return
    }
    let zeroCopies = !context.attributes.flag(.allowzero)
    let input = context.newInput(0)?.shape ?? []
    var entries: [KnownValue.Entry] = []
    for (axis, entry) in known.entries.enumerated() {
      switch entry {
      case .whole(let extent):
        if extent == -1 {
          entries.append(entry)
        } else if extent == 0 && zeroCopies {
          entries.append(input.indices.contains(axis) && input[axis] == new[axis] ? entry : .whole(new[axis]))
        } else {
          entries.append(context.follow(entry, from: old[axis], to: new[axis]))
        }
      case .real, .unknown:
        if old[axis] != new[axis] && new[axis].constant == nil {
          return context.require(input: 1, list: try definiteTarget(context, new))
        }
        entries.append(context.follow(.unknown, from: old[axis], to: new[axis]))
      }
    }
    if let value = KnownValue(shape: [entries.count], entries: entries) { context.require(input: 1, value) }
  }

  /// A target without symbols, for a target of which too little is known to correct it: 0 where the operand has the extent at the
  /// same place, −1 for the one symbolic extent left.
  private static func definiteTarget(_ context: ShrinkContext, _ new: [Extent]) throws(Diagnostic) -> [Extent] {
    let zeroCopies = !context.attributes.flag(.allowzero)
    let input = context.newInput(0)?.shape ?? []
    var target: [Extent] = []
    var inferred = 0
    for (axis, extent) in new.enumerated() {
      if extent.isConstant {
        target.append(extent)
      } else if zeroCopies && input.indices.contains(axis) && input[axis] == extent {
        target.append(0)
      } else {
        inferred += 1
        target.append(-1)
      }
    }
    guard inferred <= 1 else { throw context.failure("the target shape is computed in a way that cannot be followed") }
    return target
  }

  /// 1 (the operand decides) and what is below stay; entries are aligned from the right.
  private static func shrinkExpand(_ context: inout ShrinkContext) {
    guard let old = context.oldOutput()?.shape, let new = context.newOutput()?.shape, old.count == new.count else { return }
    guard let known = context.known(1), known.shape.count == 1, known.entries.count <= new.count else {
      return context.requireExtents(input: 1, from: old, to: new)
    }
    let skipped = new.count - known.entries.count
    let entries = known.entries.enumerated().map { at, entry -> KnownValue.Entry in
      if let number = entry.whole?.constant, number <= 1 { return entry }
      return context.follow(entry, from: old[skipped + at], to: new[skipped + at])
    }
    if let value = KnownValue(shape: known.shape, entries: entries) { context.require(input: 1, value) }
  }

  /// Repeats are what is left of the result over what is left of the operand.
  private static func shrinkTile(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let oldIn = context.oldInput(0)?.shape, let newIn = context.newInput(0)?.shape, let oldOut = context.oldOutput()?.shape,
      let newOut = context.newOutput()?.shape, oldIn.count == oldOut.count, newIn.count == newOut.count,
      oldIn.count == newIn.count
    else { return }
    let known = context.known(1).flatMap { $0.entries.count == newOut.count ? $0.entries : nil }
    if known == nil && oldIn == newIn && oldOut == newOut { return }
    var entries: [KnownValue.Entry] = []
    for axis in newOut.indices {
      if oldIn[axis] == newIn[axis] && oldOut[axis] == newOut[axis] {
        entries.append(known?[axis] ?? .unknown)
      } else if let repeats = newOut[axis].dividedExactly(by: newIn[axis]) {
        let before = oldOut[axis].dividedExactly(by: oldIn[axis])
        entries.append(before == repeats ? known?[axis] ?? .whole(repeats) : .whole(repeats))
      } else {
        throw context.failure("axis \(axis) would repeat \(newIn[axis]) indices to \(newOut[axis]), which is no multiple")
      }
    }
    if let value = KnownValue(shape: [entries.count], entries: entries) { context.require(input: 1, value) }
  }
}
