extension AttentionFamily {
  /// What follows when the tensors shrink: counts of heads, sizes of packed parts, and a scale that was implied by the size of a
  /// head.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard !context.isUnchanged else { return }
    switch self {
    case .attention: try Self.shrinkAttention(&context)
    case .multiHeadAttention: try Self.shrinkMultiHead(&context)
    case .groupQueryAttention: try Self.shrinkGroupQuery(&context)
    case .microsoftAttention, .quantisedAttention: try shrinkPacked(&context)
    case .rotaryEmbedding, .microsoftRotaryEmbedding: try Self.shrinkRotary(&context)
    }
  }

  /// Heads of one operand, or of one part of a packed one: how many there are, and how many channels each has.
  private typealias Heads = (count: Int, size: Int)

  /// Heads among the channels in `range` of an operand's axis, before and after.
  private static func heads(
    _ context: ShrinkContext, input index: Int, axis: Int, range: Range<Int>? = nil, count: Int
  ) throws(Diagnostic) -> (old: Heads, new: Heads) {
    guard count > 0, let extent = ShrinkContext.extent(context.oldInput(index), axis)?.constant, range?.upperBound ?? 0 <= extent
    else {
      throw context.failure("how operand \(index) is made of heads is not known")
    }
    let range = range ?? 0..<extent
    guard range.count.isMultiple(of: count) else { throw context.failure("\(count) heads do not divide \(range.count) channels") }
    if context.kept(input: index, axis: axis) == nil && !context.isWhole(input: index, axis: axis) {
      throw context.failure("axis \(axis) of operand \(index) shrinks, but which positions stay is not known")
    }
    let size = range.count / count
    return ((count, size), try context.blocks(kept: context.kept(input: index, axis: axis), in: range, size: size, of: "heads"))
  }

  /// A scale of 1/√(head size) that nobody wrote down stays what it was when heads lose channels.
  private static func keepScale(_ context: inout ShrinkContext, old: Int, new: Int) {
    let given = context.attributes.float(.scale)
    if old != new && old > 0 && (given == nil || given == 0) { context.set(.scale, .float(1 / Float(old).squareRoot())) }
  }

  /// Query, key and value with heads on an axis of their own (rank 4) or inside the last axis (rank 3).
  private static func shrinkAttention(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let query = context.oldInput(0), let key = context.oldInput(1), query.isRanked, key.isRanked else { return }
    if query.rank == 4 {
      if let old = query.shape[3].constant, let new = ShrinkContext.extent(context.newInput(0), 3)?.constant {
        keepScale(&context, old: old, new: new)
      }
      return
    }
    guard let queryHeads = context.attributes.int(.qNumHeads), let keyHeads = context.attributes.int(.kvNumHeads) else { return }
    let query0 = try heads(context, input: 0, axis: 2, count: queryHeads)
    let key0 = try heads(context, input: 1, axis: 2, count: keyHeads)
    let value0 = try heads(context, input: 2, axis: 2, count: keyHeads)
    try agree(context, query0.new, key0.new, value0.new, isGrouped: true)
    context.follow(.qNumHeads, to: query0.new.count)
    context.follow(.kvNumHeads, to: key0.new.count)
    keepScale(&context, old: query0.old.size, new: query0.new.size)
  }

  private static func agree(
    _ context: ShrinkContext, _ query: Heads, _ key: Heads?, _ value: Heads?, isGrouped: Bool
  ) throws(Diagnostic) {
    if let key {
      guard key.size == query.size else {
        throw context.failure("queries keep \(query.size) channels a head and keys \(key.size)")
      }
      guard isGrouped ? query.count.isMultiple(of: key.count) : query.count == key.count else {
        throw context.failure("\(query.count) query heads cannot share \(key.count) key heads")
      }
    }
    if let key, let value, key.count != value.count {
      throw context.failure("\(key.count) key heads stay and \(value.count) value heads")
    }
  }

  /// Query alone, query with packed key and value [b, n, heads, 2, size], all packed [b, n, heads, 3, size], or three operands.
  private static func shrinkMultiHead(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let query = context.oldInput(0), query.isRanked, let count = context.attributes.int(.numHeads) else { return }
    if query.rank == 5 {
      guard let new = context.newInput(0), let heads = new.shape[2].constant, let size = new.shape[4].constant,
        let before = query.shape[4].constant
      else { return }
      context.follow(.numHeads, to: heads)
      return keepScale(&context, old: before, new: size)
    }
    let queries = try heads(context, input: 0, axis: 2, count: count)
    var keys: Heads?
    if let key = context.newInput(1) {
      switch key.rank {
      case 3: keys = try heads(context, input: 1, axis: 2, count: count).new
      case 4: keys = pair(key.shape[1], key.shape[3])
      case 5: keys = pair(key.shape[2], key.shape[4])
      default: break
      }
    }
    var values: Heads?
    if let value = context.newInput(2) {
      values =
        value.rank == 3
        ? try heads(context, input: 2, axis: 2, count: count).new : value.rank == 4 ? pair(value.shape[1], value.shape[3]) : nil
    }
    try agree(context, queries.new, keys, values, isGrouped: false)
    context.follow(.numHeads, to: queries.new.count)
    keepScale(&context, old: queries.old.size, new: queries.new.size)
  }

  private static func pair(_ count: Extent, _ size: Extent) -> Heads? {
    count.constant.flatMap { count in size.constant.map { (count, $0) } }
  }

  /// Query heads, then key heads, then value heads, in one operand or three.
  private static func shrinkGroupQuery(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let queryHeads = context.attributes.int(.numHeads), let keyHeads = context.attributes.int(.kvNumHeads) else { return }
    let queries: (old: Heads, new: Heads)
    let keys: Heads
    let values: Heads
    if context.oldInput(1) == nil {
      guard let extent = ShrinkContext.extent(context.oldInput(0), 2)?.constant, queryHeads > 0, keyHeads > 0,
        extent.isMultiple(of: queryHeads + 2 * keyHeads)
      else { throw context.failure("how queries, keys and values are packed is not known") }
      let size = extent / (queryHeads + 2 * keyHeads)
      let first = queryHeads * size
      let second = first + keyHeads * size
      queries = try heads(context, input: 0, axis: 2, range: 0..<first, count: queryHeads)
      keys = try heads(context, input: 0, axis: 2, range: first..<second, count: keyHeads).new
      values = try heads(context, input: 0, axis: 2, range: second..<extent, count: keyHeads).new
    } else {
      queries = try heads(context, input: 0, axis: 2, count: queryHeads)
      keys = try heads(context, input: 1, axis: 2, count: keyHeads).new
      values = try heads(context, input: 2, axis: 2, count: keyHeads).new
    }
    try agree(context, queries.new, keys, values, isGrouped: true)
    guard values.size == queries.new.size else {
      throw context.failure(
        "queries keep \(queries.new.size) channels a head and values \(values.size); all must keep the same number")
    }
    context.follow(.numHeads, to: queries.new.count)
    context.follow(.kvNumHeads, to: keys.count)
    keepScale(&context, old: queries.old.size, new: queries.new.size)
  }

  /// A projection whose columns are queries, keys and values.
  private func shrinkPacked(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let count = context.attributes.int(.numHeads), let columns = ShrinkContext.extent(context.oldInput(1), 1)?.constant
    else { return }
    let given = context.attributes.ints(.qkvHiddenSizes)
    guard let sizes = given ?? (columns.isMultiple(of: 3) ? Array(repeating: columns / 3, count: 3) : nil), sizes.count == 3,
      sizes.allSatisfy({ $0 > 0 && $0 <= columns }), sizes.reduce(0, +) == columns
    else { throw context.failure("how queries, keys and values share \(columns) columns is not known") }
    let queries = try Self.heads(context, input: 1, axis: 1, range: 0..<sizes[0], count: count)
    let keys = try Self.heads(context, input: 1, axis: 1, range: sizes[0]..<sizes[0] + sizes[1], count: count).new
    let values = try Self.heads(context, input: 1, axis: 1, range: sizes[0] + sizes[1]..<columns, count: count).new
    try Self.agree(context, queries.new, keys, values, isGrouped: false)
    let left = [queries.new, keys, values].map { $0.count * $0.size }
    if given != nil || Set(left).count > 1 {
      if self == .quantisedAttention {
        throw context.failure("queries, keys and values must keep equally many channels, not \(left)")
      }
      if left != given { context.set(.qkvHiddenSizes, .ints(left)) }
    }
    context.follow(.numHeads, to: queries.new.count)
    Self.keepScale(&context, old: queries.old.size, new: queries.new.size)
    if context.attributes.flag(.doRotary) {
      Self.followRotaryWidth(&context, kept: context.kept(input: 1, axis: 1), size: queries.old.size)
    }
  }

  /// Heads inside the last axis of an operand of rank 3, and how much of each head is rotated.
  private static func shrinkRotary(_ context: inout ShrinkContext) throws(Diagnostic) {
    guard let old = context.oldInput(0), old.isRanked, let last = old.shape.last?.constant,
      !context.isWhole(input: 0, axis: old.rank - 1) || old.rank == 4
    else { return }
    let count = context.attributes.int(.numHeads) ?? 0
    if old.rank == 4 {
      if let left = ShrinkContext.extent(context.newInput(0), 1)?.constant, count > 0 { context.follow(.numHeads, to: left) }
      return followRotaryWidth(&context, kept: context.kept(input: 0, axis: 3), size: last)
    }
    guard count > 0 else { return }
    let parts = try heads(context, input: 0, axis: 2, count: count)
    context.follow(.numHeads, to: parts.new.count)
    followRotaryWidth(&context, kept: context.kept(input: 0, axis: 2), size: parts.old.size)
  }

  /// Where only the first channels of a head are rotated: as many as stay of them in the first head that stays.
  private static func followRotaryWidth(_ context: inout ShrinkContext, kept: [Int]?, size: Int) {
    guard let width = context.attributes.int(.rotaryEmbeddingDim), width > 0, size > 0, let kept, let first = kept.first else {
      return
    }
    let head = first / size
    context.follow(.rotaryEmbeddingDim, to: kept.filter { $0 / size == head && $0 % size < width }.count)
  }

  /// Multiply-adds of one run: queries by keys, shares by values, and the projection where it is part of the operator.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double {
    func input(_ index: Int) -> TensorType? { inputs.indices.contains(index) ? inputs[index] : nil }
    func extent(_ type: TensorType?, _ axis: Int) -> Double { Work.size(ShrinkContext.extent(type, axis)) }
    /// Positions along the axis of keys: those given, and those remembered.
    func positions(_ type: TensorType?, past: Int) -> Double {
      extent(type, type?.rank == 4 ? 2 : 1) + extent(input(past), 2)
    }
    switch self {
    case .rotaryEmbedding, .microsoftRotaryEmbedding: return 0
    case .attention:
      guard let query = input(0), let value = input(2) else { return 0 }
      let ratio = query.rank == 4 ? 1 : Double(attributes.int(.qNumHeads) ?? 1) / Double(max(attributes.int(.kvNumHeads) ?? 1, 1))
      let values = query.rank == 4 ? extent(query, 1) * extent(value, 3) : extent(value, 2) * ratio
      let queries = query.rank == 4 ? extent(query, 1) * extent(query, 3) : extent(query, 2)
      return extent(query, 0) * extent(query, query.rank == 4 ? 2 : 1) * positions(input(1), past: 4) * (queries + values)
    case .multiHeadAttention:
      guard let query = input(0) else { return 0 }
      if query.rank == 5 {
        return 2 * extent(query, 0) * extent(query, 1) * extent(query, 1) * extent(query, 2) * extent(query, 4)
      }
      let result = extent(outputs.first ?? nil, 2)
      return extent(query, 0) * extent(query, 1) * positions(input(1) ?? query, past: 6) * (extent(query, 2) + result)
    case .groupQueryAttention:
      guard let query = input(0) else { return 0 }
      return 2 * extent(query, 0) * extent(query, 1) * positions(input(1) ?? query, past: 3) * extent(outputs.first ?? nil, 2)
    case .microsoftAttention, .quantisedAttention:
      guard let sequence = input(0), let weight = input(1) else { return 0 }
      let tokens = extent(sequence, 0) * extent(sequence, 1)
      let result = extent(outputs.first ?? nil, 2)
      let queries = max(0, (extent(weight, 1) - result) / 2)
      return tokens * Work.count(weight) + tokens * extent(sequence, 1) * (queries + result)
    }
  }
}
