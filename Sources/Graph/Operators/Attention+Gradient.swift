extension AttentionFamily {
  /// How a gradient passes through each operator of the family: all are written out as products and shares.
  public var gradient: GradientRule {
    switch self {
    case .attention: .pieces(Self.standard)
    case .rotaryEmbedding, .microsoftRotaryEmbedding: .pieces(rotary)
    case .microsoftAttention: .pieces(Self.packed)
    case .multiHeadAttention: .pieces(Self.multiHead)
    case .groupQueryAttention: .pieces(Self.groupQuery)
    case .quantisedAttention: .none("it computes with quantised numbers")
    }
  }

  // MARK: - The standard operator

  private static func standard(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    func heads(_ index: Int, _ name: AttributeName) throws(Diagnostic) -> Term {
      let term = try context.input(index)
      return term.rank == 4 ? term : term.heads(Extent(attributes.int(name) ?? 1))
    }
    let query = try heads(0, .qNumHeads)
    var (key, value) = (try heads(1, .kvNumHeads), try heads(2, .kvNumHeads))
    var past = Extent(0)
    if let pastKey = context.optional(4), let pastValue = context.optional(5) {
      past = pastKey.shape[2]
      key = .concatenated([pastKey, key], axis: 2)
      value = .concatenated([pastValue, value], axis: 2)
    }
    var core = Core(query: query, key: key, value: value)
    core.scale = attributes.float(.scale).map(Double.init)
    core.softcap = Double(attributes.float(.softcap) ?? 0)
    if let mask = context.optional(3), mask.rank > 0 { core.cover(mask) }
    let lengths = context.optional(6).map { $0.reshaped([$0.shape[0], 1, 1, 1]).cast(to: .i64) }
    let (rows, columns) = (query.counting(axis: 2).reshaped([query.shape[2], 1]), key.counting(axis: 2))
    if let lengths { core.show(columns < lengths) }
    // Where the cache lies outside, the queries are the last of the valid positions.
    var own = past == Extent(0) ? rows : rows + query.writer.length(past)
    if past == Extent(0), let lengths { own = rows + (lengths - query.writer.length(query.shape[2])) }
    let distance = own - columns
    if attributes.flag(.isCausal) { core.show(distance > -1) }
    if let left = attributes.int(.leftWindowSize), left >= 0 { core.show(distance < Double(left) + 1) }
    if let right = attributes.int(.rightWindowSize), right >= 0 { core.show(distance > -Double(right) - 1) }
    let (result, stages) = core.run()
    context.set(0, try context.input(0).rank == 3 ? result.sideBySide : result)
    context.set(1, key)
    context.set(2, value)
    let stage = attributes.int(.qkMatmulOutputMode) ?? 0
    if context.isWanted(3), stages.indices.contains(stage) { context.set(3, stages[stage]) }
  }

  // MARK: - Rotary embeddings

  private func rotary(_ context: inout PiecesContext) throws(Diagnostic) {
    let isStandard = self == .rotaryEmbedding
    let x = try context.input(0)
    var tables = [try context.input(isStandard ? 1 : 2), try context.input(isStandard ? 2 : 3)]
    let length = x.shape[x.rank == 4 ? 2 : 1]
    if let positions = context.optional(isStandard ? 3 : 1) {
      var places = positions
      if !isStandard, positions.rank == 1 {
        // One number: the first position of all.
        places = (x.counting(axis: x.rank == 4 ? 2 : 1).cast(to: positions.element) + positions).unsqueezed([0])
      }
      tables = tables.map { $0.gathered(axis: 0, places) }
    }
    // [batch or 1, 1, length, pairs]
    tables = tables.map { $0.rank == 2 ? $0.sliced(axis: 0, from: $0.writer.list([0]), to: $0.writer.length(length)) : $0 }
    tables = tables.map { $0.rank == 2 ? $0.unsqueezed([0, 1]) : $0.unsqueezed([1]) }
    guard let pairs = tables[0].shape.last else { throw context.failure("the tables have no axes") }
    var heads = x
    if x.rank == 3 {
      let count = context.attributes.int(.numHeads) ?? 0
      heads = x.heads(count > 0 ? Extent(count) : x.shape[2].floorDivided(by: pairs * 2))
    }
    let turned = try Self.turned(heads, tables, isInterleaved: context.attributes.flag(.interleaved), context)
    context.set(0, x.rank == 3 ? turned.sideBySide : turned)
  }

  /// Pairs (x, y) of each head become (x·c − y·s, x·s + y·c); what the tables do not cover stays.
  private static func turned(
    _ heads: Term, _ tables: [Term], isInterleaved: Bool, _ context: PiecesContext
  ) throws(Diagnostic) -> Term {
    guard let pairs = tables[0].shape.last?.constant, let size = heads.shape[3].constant, 2 * pairs <= size else {
      throw context.failure("the tables do not fit the heads")
    }
    func part(_ from: Int, _ to: Int, _ step: Int = 1) -> Term { heads.sliced(axis: 3, from: from, to: to, step: step) }
    let x = isInterleaved ? part(0, 2 * pairs, 2) : part(0, pairs)
    let y = isInterleaved ? part(1, 2 * pairs, 2) : part(pairs, 2 * pairs)
    let (cosine, sine) = (tables[0].cast(to: heads.element), tables[1].cast(to: heads.element))
    let (first, second) = (x * cosine - y * sine, x * sine + y * cosine)
    var result: Term
    if isInterleaved {
      let woven = Term.concatenated([first.unsqueezed([4]), second.unsqueezed([4])], axis: 4)
      result = woven.reshaped(Array(heads.shape.prefix(3)) + [Extent(2 * pairs)])
    } else {
      result = Term.concatenated([first, second], axis: 3)
    }
    if 2 * pairs < size { result = Term.concatenated([result, part(2 * pairs, size)], axis: 3) }
    return result
  }

  // MARK: - Operators of com.microsoft

  /// Key masks of the forms [batch], [2·batch] and [batch, keys] and [batch, queries, keys]; causality; a bias.
  private static func cover(
    _ core: inout Core, _ context: PiecesContext, mask index: Int, bias: Int, past: Extent
  ) throws(Diagnostic) {
    let (batch, columns) = (core.query.shape[0], core.key.counting(axis: 2))
    if let mask = context.optional(index) {
      let numbers = mask.cast(to: .i64)
      let isSeen: Term
      switch mask.rank {
      case 1 where mask.shape[0] == batch: isSeen = columns < numbers.reshaped([batch, 1, 1, 1])
      case 2: isSeen = (numbers > 0).unsqueezed([1, 2])
      case 3: isSeen = (numbers > 0).unsqueezed([1])
      case _: throw context.failure("a mask of shape \(InferenceContext.text(mask.shape)) has no rule here")
      }
      let hidden = Double(context.attributes.float(.maskFilterValue) ?? -10000)
      core.add(isSeen.choosing(core.query.number(0), core.query.number(hidden)))
    }
    if let term = context.optional(bias) { core.add(term) }
    if context.attributes.flag(.unidirectional) {
      let rows = core.query.counting(axis: 2).reshaped([core.query.shape[2], 1])
      core.show((past == Extent(0) ? rows : rows + core.query.writer.length(past)) - columns > -1)
    }
  }

  /// One weight makes query, key and value.
  private static func packed(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    guard context.optional(4) == nil, !attributes.flag(.doRotary) else {
      throw context.failure("with a cache or a rotary embedding its rule is not written")
    }
    let weight = try context.input(1)
    var product = try context.input(0).times(weight)
    if let bias = context.optional(2) { product = product + bias }
    guard let all = weight.shape[1].constant, let heads = attributes.int(.numHeads) else {
      throw context.failure("the weight's width is not known")
    }
    let sizes = attributes.ints(.qkvHiddenSizes).flatMap { $0.count == 3 ? $0 : nil } ?? Array(repeating: all / 3, count: 3)
    let parts = product.split(axis: 2, sizes.map { Extent($0) }).map { $0.heads(Extent(heads)) }
    var core = Core(query: parts[0], key: parts[1], value: parts[2])
    core.scale = attributes.float(.scale).flatMap { $0 == 0 ? nil : Double($0) }
    try cover(&core, context, mask: 3, bias: 5, past: 0)
    context.set(0, core.run().result.sideBySide)
    context.set(1, Term.concatenated([parts[1].unsqueezed([0]), parts[2].unsqueezed([0])], axis: 0))
  }

  private static func multiHead(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    var query = try context.input(0)
    guard query.rank == 3, context.optional(6) == nil, let key = context.optional(1), let value = context.optional(2),
      key.rank == value.rank, key.rank < 5
    else { throw context.failure("with packed operands or a cache its rule is not written") }
    let heads = Extent(attributes.int(.numHeads) ?? 1)
    var parts = [key, value]
    if let bias = context.optional(3) {
      let widths = [query.shape[2], query.shape[2], bias.shape[0] - query.shape[2] * 2]
      let biases = bias.split(axis: 0, widths)
      query = query + biases[0]
      if key.rank == 3 { parts = [key + biases[1], value + biases[2]] }
    }
    parts = parts.map { $0.rank == 3 ? $0.heads(heads) : $0 }
    var core = Core(query: query.heads(heads), key: parts[0], value: parts[1])
    core.scale = attributes.float(.scale).flatMap { $0 == 0 ? nil : Double($0) }
    try cover(&core, context, mask: 4, bias: 5, past: 0)
    let (result, stages) = core.run()
    context.set(0, result.sideBySide)
    context.set(1, parts[0])
    context.set(2, parts[1])
    context.set(3, stages[2])
  }

  /// A prompt without a cache: causal, each image as long as its `seqlens_k` says.
  private static func groupQuery(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    let packed = try context.input(0)
    let pastLength = context.optional(3).map { $0.shape[2] } ?? 0
    guard pastLength == Extent(0), (10..<16).allSatisfy({ context.optional($0) == nil }),
      let count = attributes.int(.numHeads), let keyCount = attributes.int(.kvNumHeads)
    else { throw context.failure("with a cache, a bias or sinks its rule is not written") }
    var parts: [Term]
    if let key = context.optional(1), let value = context.optional(2) {
      parts = [packed.heads(Extent(count)), key.heads(Extent(keyCount)), value.heads(Extent(keyCount))]
    } else {
      let size = packed.shape[2].floorDivided(by: Extent(count + 2 * keyCount))
      let widths = [Extent(count) * size, Extent(keyCount) * size, Extent(keyCount) * size]
      parts = zip(packed.split(axis: 2, widths), [count, keyCount, keyCount]).map { $0.heads(Extent($1)) }
    }
    let length = packed.shape[1]
    if attributes.flag(.doRotary) {
      let places = context.optional(9)
      var tables = [try context.input(7), try context.input(8)]
      tables = tables.map { table in
        places.map { table.gathered(axis: 0, $0).unsqueezed([1]) }
          ?? table.sliced(axis: 0, from: table.writer.list([0]), to: table.writer.length(length)).unsqueezed([0, 1])
      }
      let isInterleaved = attributes.flag(.rotaryInterleaved)
      for index in 0..<2 { parts[index] = try turned(parts[index], tables, isInterleaved: isInterleaved, context) }
    }
    var core = Core(query: parts[0], key: parts[1], value: parts[2])
    core.scale = attributes.float(.scale).flatMap { $0 == 0 ? nil : Double($0) }
    core.softcap = Double(attributes.float(.softcap) ?? 0)
    let (rows, columns) = (packed.counting(axis: 1).reshaped([length, 1]), packed.counting(axis: 1))
    let ends = try context.input(5).cast(to: .i64)
    core.show(columns < ends.reshaped([-1, 1, 1, 1]) + 1)
    core.show(rows - columns > -1)
    if let window = attributes.int(.localWindowSize), window > 0 { core.show(rows - columns < Double(window)) }
    context.set(0, core.run().result.sideBySide)
    context.set(1, parts[1])
    context.set(2, parts[2])
  }
}

/// Scaled dot-product attention over heads, written out.
private struct Core {
  /// [batch, heads, queries, size].
  let query: Term
  /// [batch, key heads, keys, size]; each serves some heads in a row.
  let key: Term
  /// [batch, key heads, keys, value size].
  let value: Term
  /// One over the root of the head size where nil.
  var scale: Double?
  /// 0 for none: otherwise scores become softcap·tanh(score / softcap).
  var softcap = 0.0
  /// What is added to the scores.
  private var bias: Term?
  /// Which keys each query sees.
  private var visible: Term?

  init(query: Term, key: Term, value: Term) { (self.query, self.key, self.value) = (query, key, value) }

  /// Adds to the scores.
  mutating func add(_ term: Term) { bias = bias.map { $0 + term } ?? term }

  /// Hides what is false.
  mutating func show(_ condition: Term) { visible = visible.map { $0.applying(.and, condition) } ?? condition }

  /// A mask of truth values, or of numbers to add, of which −∞ hides; it may end before the keys do.
  mutating func cover(_ mask: Term) {
    var covered = mask
    if let missing = (key.shape[2] - mask.shape[mask.rank - 1]).constant, missing > 0 {
      let none = Array(repeating: 0, count: mask.rank)
      var after = none
      after[mask.rank - 1] = missing
      covered =
        mask.element == .bool
        ? mask.cast(to: query.element).padded(none, after) > 0
        : mask.padded(none, after, with: -.infinity)
    }
    if mask.element == .bool { return show(covered) }
    let isFinite = covered.applying(.isInfinite).negated
    show(isFinite)
    add(isFinite.choosing(covered, covered.number(0)))
  }

  /// The result [batch, heads, queries, value size], and the scores [batch, heads, queries, keys] as they are made, capped, biased, and
  /// as shares.
  func run() -> (result: Term, stages: [Term]) {
    let (heads, keyHeads) = (query.shape[1], key.shape[1])
    let repeats = heads.floorDivided(by: keyHeads)
    let isGrouped = repeats != Extent(1)
    /// [batch, key heads · repeats, …] to [batch, key heads, repeats, …], and back.
    func grouped(_ term: Term) -> Term {
      isGrouped ? term.reshaped([term.shape[0], keyHeads, repeats, term.shape[2], term.shape[3]]) : term
    }
    func flat(_ term: Term) -> Term {
      isGrouped ? term.reshaped([term.shape[0], heads, term.shape[3], term.shape[4]]) : term
    }
    let (key, value) = isGrouped ? (key.unsqueezed([2]), value.unsqueezed([2])) : (key, value)
    var raw = flat(grouped(query).times(key.transposed))
    if let scale {
      raw = raw * scale
    } else if let size = query.shape[3].constant {
      raw = raw * (1 / Double(size).squareRoot())
    } else {
      raw = raw / query.writer.length(query.shape[3]).cast(to: query.element).squareRoot
    }
    let capped = softcap > 0 ? (raw / softcap).tanh * softcap : raw
    var biased = bias.map { capped + $0 } ?? capped
    if let visible { biased = visible.choosing(biased, biased.number(biased.lowest)) }
    var shares = biased.writer.node(.normalisation(.softmax), [biased], [.init(.axis, .int(biased.rank - 1))])
    // A query that sees no key gives nothing.
    if let visible { shares = visible.choosing(shares, shares.number(0)) }
    return (flat(grouped(shares).times(value)), [raw, capped, biased, shares])
  }
}

extension Term {
  /// [batch, positions, heads · size] to [batch, heads, positions, size].
  fileprivate func heads(_ count: Extent) -> Term {
    reshaped([shape[0], shape[1], count, shape[2].floorDivided(by: count)]).transposed([0, 2, 1, 3])
  }

  /// [batch, heads, positions, size] to [batch, positions, heads · size].
  fileprivate var sideBySide: Term {
    transposed([0, 2, 1, 3]).reshaped([shape[0], shape[2], shape[1] * shape[3]])
  }

  /// A number that no score is below, and that can be subtracted.
  fileprivate var lowest: Double { element == .f16 ? -6e4 : -1e30 }
}
