extension Indexing {
  /// What follows when the tensors shrink: constant positions along an axis that shrinks are renumbered; positions found by data
  /// follow by themselves, since what they range over shrinks with the axis.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .gather: try Self.shrinkGather(&context)
    case .gatherElements: try Self.shrinkElements(&context, places: .result)
    case .scatterElements: try Self.shrinkElements(&context, places: .updates)
    case .gatherND: try Self.shrinkTuples(&context, places: .result, batchDims: context.attributes.int(.batchDims) ?? 0)
    case .scatterND: try Self.shrinkTuples(&context, places: .updates, batchDims: 0)
    case .oneHot: try Self.shrinkOneHot(&context)
    case .compress, .nonMaxSuppression, .nonZero, .reverseSequence, .trilu, .unique: break
    }
  }

  /// Multiply-adds of one run.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double { 0 }

  /// Which tensor's axes say which of the index tensor's places stay.
  private enum Places {
    case result
    case updates

    func kept(_ context: ShrinkContext, axis: Int) -> [Int]? {
      switch self {
      case .result: context.kept(axis: axis)
      case .updates: context.kept(input: 2, axis: axis)
      }
    }

    func isWhole(_ context: ShrinkContext, axis: Int) -> Bool {
      switch self {
      case .result: context.isWhole(axis: axis)
      case .updates: context.isWhole(input: 2, axis: axis)
      }
    }
  }

  private static func shrinkGather(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let data = context.oldInput(0), let indices = context.oldInput(1), data.isRanked, indices.isRanked else { return }
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    let places = (0..<indices.rank).map { axis + $0 }
    if context.isWhole(input: 0, axis: axis), places.allSatisfy({ context.isWhole(axis: $0) }) {
      return context.requireOld(input: 1)
    }
    let ranks = try context.ranks(input: 0, axis: axis)
    guard let stored = try constantPositions(context, renumbers: ranks != nil) else { return }
    let extent = data.shape[axis].constant
    let kept = places.map { context.kept(axis: $0) }
    let positions = try renumber(context, stored, kept: kept) { position, _ throws(Diagnostic) in
      try renumbered(position, ranks, extent, context)
    }
    context.require(input: 1, positions)
  }

  private static func shrinkElements(_ context: inout ShrinkContext, places: Places) throws(Diagnostic) {
    guard let data = context.oldInput(0), let indices = context.oldInput(1), data.isRanked, indices.rank == data.rank else {
      return
    }
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    if context.isWhole(input: 0, axis: axis), (0..<indices.rank).allSatisfy({ places.isWhole(context, axis: $0) }) {
      return context.requireOld(input: 1)
    }
    let ranks = try context.ranks(input: 0, axis: axis)
    guard let stored = try constantPositions(context, renumbers: ranks != nil) else { return }
    let extent = data.shape[axis].constant
    let positions = try renumber(context, stored, kept: (0..<indices.rank).map { places.kept(context, axis: $0) }) {
      position, _ throws(Diagnostic) in
      try renumbered(position, ranks, extent, context)
    }
    context.require(input: 1, positions)
  }

  private static func shrinkTuples(_ context: inout ShrinkContext, places: Places, batchDims: Int) throws(Diagnostic) {
    guard let data = context.oldInput(0), let indices = context.oldInput(1), data.isRanked, indices.rank >= 1,
      let width = indices.shape.last?.constant, width >= 0, batchDims >= 0, batchDims + width <= data.rank
    else { return }
    let outer = indices.rank - 1
    let indexed = batchDims..<batchDims + width
    if indexed.allSatisfy({ context.isWhole(input: 0, axis: $0) }), (0..<outer).allSatisfy({ places.isWhole(context, axis: $0) })
    {
      return context.requireOld(input: 1)
    }
    var ranks: [[Int: Int]?] = []
    for axis in indexed { ranks.append(try context.ranks(input: 0, axis: axis)) }
    let renumbers = ranks.contains { $0 != nil }
    guard let stored = try constantPositions(context, renumbers: renumbers), width > 0 else { return }
    let extents = indexed.map { data.shape[$0].constant }
    let kept = (0..<outer).map { places.kept(context, axis: $0) } + [nil]
    let positions = try renumber(context, stored, kept: kept) { position, flat throws(Diagnostic) in
      try renumbered(position, ranks[flat % width], extents[flat % width], context)
    }
    context.require(input: 1, positions)
  }

  /// Positions that are known before the model runs; nil where data decides, or where none is renumbered and only places go, which
  /// happens where the positions are made. A parameter's positions are always known.
  private static func constantPositions(
    _ context: ShrinkContext, renumbers: Bool
  ) throws(Diagnostic) -> (shape: [Int], numbers: [Int])? {
    if let stored = context.storedNumbers(1) { return stored }
    if renumbers, context.known(1) != nil || context.content(1) != nil {
      throw context.failure("the positions along an axis that shrinks are not all known in numbers")
    }
    return nil
  }

  /// A position among those that stay. What is as it was keeps its form; a position counted from the end is counted from the
  /// front.
  private static func renumbered(
    _ position: Int, _ ranks: [Int: Int]?, _ extent: Int?, _ context: ShrinkContext
  ) throws(Diagnostic) -> Int {
    guard let ranks else { return position }
    guard let extent, let rank = ranks[position < 0 ? position + extent : position] else {
      throw context.failure("position \(position) is read, but it does not stay")
    }
    return rank
  }

  /// The positions at the kept places of the index tensor, each renumbered; `number` is given the position and its flat place.
  private static func renumber(
    _ context: ShrinkContext, _ stored: (shape: [Int], numbers: [Int]), kept: [[Int]?],
    _ number: (Int, Int) throws(Diagnostic) -> Int
  ) throws(Diagnostic) -> KnownValue {
    guard stored.shape.count == kept.count else { throw context.failure("the positions have \(stored.shape.count) axes") }
    var places = [0]
    for (extent, list) in zip(stored.shape, kept) {
      let picks = list ?? Array(0..<extent)
      guard picks.last ?? 0 < Swift.max(extent, 1) else { throw context.failure("a place that stays is outside the positions") }
      places = places.flatMap { outer in picks.map { outer * extent + $0 } }
    }
    var entries: [KnownValue.Entry] = []
    entries.reserveCapacity(places.count)
    for place in places where stored.numbers.indices.contains(place) {
      entries.append(.whole(Extent(try number(stored.numbers[place], place))))
    }
    let shape = zip(stored.shape, kept).map { extent, list in list?.count ?? extent }
    guard let value = KnownValue(shape: shape, entries: entries) else {
      throw context.failure("the positions are not as many as their shape says")
    }
    return value
  }

  /// The depth is the extent of the axis that is made.
  private static func shrinkOneHot(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let output = context.oldOutput(), let new = context.newOutput(), output.isRanked, output.rank == new.rank,
      let depth = context.oldInput(1)
    else { return }
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: output.rank)
    if output.shape[axis] == new.shape[axis] { return context.requireOld(input: 1) }
    if let value = KnownValue(shape: Array(repeating: 1, count: depth.rank), entries: [.whole(new.shape[axis])]) {
      context.require(input: 1, value)
    }
  }
}
