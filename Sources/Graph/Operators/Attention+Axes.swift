extension AttentionFamily {
  static let flatRule: AxisRule = """
    b s (k r d), b t (k d), b t (k e), ?b (k r) s u, b k p d, b k p e, b \
    -> b s (k r e), b k u d, b k u e, b (k r) s u
    """
  static let headedRule: AxisRule = """
    b (k r) s d, b k t d, b k t e, ?b (k r) s u, b k p d, b k p e, b \
    -> b (k r) s e, b k u d, b k u e, b (k r) s u
    """

  /// Heads are product(key-value heads k, queries r of each); query and key share their dims d, the value has its own, e.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .attention: relateAttention(solver, node)
    case .rotaryEmbedding, .microsoftRotaryEmbedding: relateRotary(solver, node)
    case .microsoftAttention, .quantisedAttention: relatePacked(solver, node)
    case .groupQueryAttention: relateGroupQuery(solver, node)
    case .multiHeadAttention: relateMultiHead(solver, node)
    }
  }

  private func relateAttention(_ solver: some AxisSolver, _ node: Node) {
    let isFlat = solver.shape(ofInput: 0).count == 3
    var sizes: [String: Int] = [:]
    if isFlat {
      let keys = max(1, node.attributes.int(.kvNumHeads) ?? 1)
      sizes = ["k": keys, "r": max(1, (node.attributes.int(.qNumHeads) ?? keys) / keys)]
    }
    let keyAxes = solver.axes(ofInput: 1)
    let pastAxes = solver.axes(ofInput: 4)
    let at = isFlat ? 1 : 2
    guard keyAxes.count > at else { return failed(solver) }
    // Keys that are remembered stand before the new ones.
    let keys = pastAxes.count == 4 ? solver.sum([pastAxes[2], keyAxes[at]]) : keyAxes[at]
    guard let names = (isFlat ? Self.flatRule : Self.headedRule).apply(to: solver, sizes: sizes, given: ["u": [keys]]) else {
      return
    }
    let isOrdered =
      node.attributes.flag(.isCausal) || solver.has(6) || (node.attributes.int(.leftWindowSize) ?? -1) >= 0
      || (node.attributes.int(.rightWindowSize) ?? -1) >= 0
    for name in ["s", "t", "p"] where isOrdered { if let axis = names[name] { solver.freeze(axis, .order) } }
    noteRoles(solver, names)
    if let queries = names["s"] { solver.note(.freeOfActivations, queries) }
    if let keys = names["t"] { solver.note(.contractedActivations, keys) }
  }

  private func failed(_ solver: some AxisSolver) {
    solver.escapeAll()
    solver.freezeNode(.unsupported("the shapes of this attention are not supported"))
  }

  private func noteRoles(_ solver: some AxisSolver, _ names: AxisRule.Binding) {
    for name in ["k", "r", "h"] { if let heads = names[name] { solver.note(.batchOfActivations, heads) } }
    if let queries = names["r"], solver.extent(queries) != 1 { solver.note(.repeated, queries) }
    if let dims = names["d"] { solver.note(.contractedActivations, dims) }
    if let dims = names["e"] ?? names["d"] { solver.note(.freeOfActivations, dims) }
  }

  // MARK: operators of com.microsoft

  /// By rank of the key and of the value (0: packed with the key).
  static let multiHeadRules: [[AxisRule]] = {
    let keys = [3: "b ^t (h d)", 4: "b h ^t d", 5: "b ^t h 2 d"]
    return (3...5).map { key in
      [0, 3, 4].map { value in
        let e = value == 0 ? "d" : "e"
        return AxisRule(
          stringLiteral: """
            b ^s (h d), \(keys[key] ?? ""), \(value == 4 ? "b h ^t e" : "b ^t (h \(e))"), (h d | h d | h \(e)), ^*_, ?b h ^s ^_, \
            b h ^_ d, b h ^_ \(e), ^*_, ^*_ -> b s (h \(e)), b h #u d, b h #u \(e), b h s #u
            """)
      }
    }
  }()
  static let packedMultiHeadRule: AxisRule = """
    b ^s h 3 d, *_, *_, (3 h d), ^*_, ?b h ^s ^_, b h ^_ d, b h ^_ d, ^*_, ^*_ -> b s (h d), b h #u d, b h #u d, b h s #u
    """

  private func relateMultiHead(_ solver: some AxisSolver, _ node: Node) {
    let heads = max(1, node.attributes.int(.numHeads) ?? 1)
    let rule: AxisRule
    if solver.shape(ofInput: 0).count == 5 {
      rule = Self.packedMultiHeadRule
    } else {
      let key = solver.shape(ofInput: 1).count - 3
      let value = solver.has(2) ? solver.shape(ofInput: 2).count - 2 : 0
      guard Self.multiHeadRules.indices.contains(key), (0...2).contains(value) else { return failed(solver) }
      rule = Self.multiHeadRules[key][value]
    }
    if let names = rule.apply(to: solver, sizes: ["h": heads]) { noteRoles(solver, names) }
  }

  private static func groupQueryRule(_ query: String, cache: String) -> AxisRule {
    AxisRule(
      stringLiteral: """
        b ^s \(query), b ^t (k d), b ^t (k d), b k ^_ \(cache), b k ^_ \(cache), b, *_, ^_ p, ^_ p, ^*_, ?b (k r) ^s ^_, (k r), \
        ^*_, ^*_ -> b s (k r d), b k #u \(cache == "d" ? "d" : "#c"), b k #u \(cache == "d" ? "d" : "#c"), b (k r) s #u
        """)
  }
  static let groupQueryRule = groupQueryRule("(k r d)", cache: "d")
  static let packedGroupQueryRule = groupQueryRule("(k r d | k d | k d)", cache: "d")
  /// Keys and values that are remembered in another type, packed.
  static let encodedCacheRule = groupQueryRule("(k r d)", cache: "^_")
  static let packedEncodedCacheRule = groupQueryRule("(k r d | k d | k d)", cache: "^_")

  /// Query, key and value have dims of one size here. The operator may rotate query and key by tables of half a head's dims. ONNX
  /// Runtime wants dims, and pairs where it rotates, in multiples of eight: they go by blocks of eight.
  private func relateGroupQuery(_ solver: some AxisSolver, _ node: Node) {
    let keys = max(1, node.attributes.int(.kvNumHeads) ?? 1)
    let heads = max(keys, node.attributes.int(.numHeads) ?? keys)
    let isPacked = !solver.has(1)
    let parts = isPacked ? heads + 2 * keys : heads
    guard heads % keys == 0, let hidden = solver.shape(ofInput: 0).last?.constant, hidden % parts == 0 else {
      return failed(solver)
    }
    let size = hidden / parts
    var given: [String: [Layout]] = [:]
    if let pairs = solver.axes(ofInput: 7).last {
      let isInterleaved = node.attributes.flag(.rotaryInterleaved)
      solver.tie(pairs, inEights(solver, solver.extent(pairs)))
      given = ["p": [pairs], "d": [rotated(solver, pairs, size: size, isInterleaved: isInterleaved, rest: inEights)]]
      freezeRows(solver, tables: [7, 8])
    }
    let stored = (solver.type(ofInput: 3) ?? solver.type(ofOutput: 1))?.shape.last
    let isEncoded = stored != nil && stored != Extent(size)
    let rule =
      switch (isPacked, isEncoded) {
      case (false, false): Self.groupQueryRule
      case (true, false): Self.packedGroupQueryRule
      case (false, true): Self.encodedCacheRule
      case (true, true): Self.packedEncodedCacheRule
      }
    let sizes = ["k": keys, "r": heads / keys]
    if given["d"] == nil { given["d"] = [inEights(solver, Extent(size))] }
    guard let names = rule.apply(to: solver, sizes: sizes, given: given) else { return }
    if isEncoded, let dims = names["d"] { solver.freeze(dims, .encoded) }
    noteRoles(solver, names)
  }

  /// A new axis of blocks of eight, as far as the extent allows.
  private func inEights(_ solver: some AxisSolver, _ extent: Extent) -> Layout {
    guard let blocks = extent.dividedExactly(by: 8) else { return solver.fresh(extent) }
    return solver.product([solver.fresh(blocks), solver.fixed(8, .structure)])
  }

  static let packedRule: AxisRule = """
    b ^s i, i (h d | h d | h e), (h d | h d | h e), ^*_, 2 b h ^_ d, ?b h ^s ^_, ^*_ -> b s (h e), 2 b h #u d
    """
  /// Keys and values in one tensor, and quantised weights, have dims of one size.
  static let packedCacheRule: AxisRule = """
    b ^s i, i (3 h d), (3 h d), ^*_, 2 b h ^_ d, ?b h ^s ^_, ^*_ -> b s (h d), 2 b h #u d
    """
  static let quantisedRule: AxisRule = """
    b ^s i, i (3 h d), (3 h d), ?1, ?(3 h d), ^*_, ?1, ?(3 h d), 2 b h ^_ d -> b s (h d), 2 b h #u d
    """

  /// The weight makes query, key and value of the input at once.
  private func relatePacked(_ solver: some AxisSolver, _ node: Node) {
    var sizes = ["h": max(1, node.attributes.int(.numHeads) ?? 1)]
    let heads = sizes["h"] ?? 1
    let given = node.attributes.ints(.qkvHiddenSizes) ?? []
    let isQuantised = self == .quantisedAttention
    let remembers = solver.has(4) || solver.type(ofOutput: 1) != nil
    let isUniform = given.count != 3 || given[1] == given[2]
    guard let columns = solver.shape(ofInput: 1).last?.constant else { return failed(solver) }
    let rule: AxisRule
    if isQuantised || remembers {
      guard isUniform else { return failed(solver) }
      rule = isQuantised ? Self.quantisedRule : Self.packedCacheRule
    } else {
      let query = given.count == 3 ? given[0] : columns / 3
      let value = given.count == 3 ? given[2] : columns / 3
      guard query > 0, value > 0, query % heads == 0, value % heads == 0 else { return failed(solver) }
      sizes["d"] = query / heads
      sizes["e"] = value / heads
      rule = Self.packedRule
    }
    guard let names = rule.apply(to: solver, sizes: sizes) else { return }
    if node.attributes.flag(.doRotary), let dims = names["d"] {
      // Angles are computed from a dim's place inside the operator.
      solver.freeze(dims, .structure)
    }
    if let input = names["i"] { solver.note(.linearInput, input) }
    for name in ["h", "d", "e"] { if let part = names[name] { solver.note(.linearOutput, part) } }
    noteRoles(solver, names)
  }

  // MARK: rotary embedding

  /// By form of the input (heads inside the last axis, heads apart) and of the tables (per position, per row that positions pick).
  static let rotaryRules: [[AxisRule]] = [
    ["b s (h d), b s p, b s p -> b s (h d)", "b s (h d), ^_ p, ^_ p, b s -> b s (h d)"],
    ["b h s d, b s p, b s p -> b h s d", "b h s d, ^_ p, ^_ p, b s -> b h s d"],
  ]
  /// The same for com.microsoft, whose positions come before the tables: one per token, or one for all.
  static let microsoftRotaryRules: [[AxisRule]] = [
    ["b ^s (h d), *_, ^_ p, ^_ p -> b s (h d)", "b s (h d), b s, ^_ p, ^_ p -> b s (h d)"],
    ["b h ^s d, *_, ^_ p, ^_ p -> b h s d", "b h s d, b s, ^_ p, ^_ p -> b h s d"],
  ]

  private func relateRotary(_ solver: some AxisSolver, _ node: Node) {
    let isStandard = self == .rotaryEmbedding
    let shape = solver.shape(ofInput: 0)
    let tables = isStandard ? [1, 2] : [2, 3]
    guard shape.count == 3 || shape.count == 4, let hidden = shape.last?.constant,
      let pairs = solver.axes(ofInput: tables[0]).last,
      let count = solver.shape(ofInput: tables[0]).last?.constant
    else { return failed(solver) }
    var heads = node.attributes.int(.numHeads) ?? 0
    if shape.count == 4 { heads = 1 }
    // Without a count of heads, all dims of a head are rotated.
    if heads <= 0 { heads = count > 0 ? hidden / (2 * count) : 0 }
    guard heads > 0, hidden % heads == 0 else { return failed(solver) }
    let form = shape.count == 4 ? 1 : 0
    let rule: AxisRule
    if isStandard {
      rule = Self.rotaryRules[form][solver.has(3) ? 1 : 0]
      if solver.has(3) { freezeRows(solver, tables: tables) }
    } else {
      rule = Self.microsoftRotaryRules[form][solver.shape(ofInput: 1).count == 2 ? 1 : 0]
      freezeRows(solver, tables: tables)
    }
    let dims = rotated(solver, pairs, size: hidden / heads, isInterleaved: node.attributes.flag(.interleaved))
    rule.apply(to: solver, sizes: form == 0 ? ["h": heads] : [:], given: ["p": [pairs], "d": [dims]])
  }

  /// Dims of a head that is rotated in pairs (all halves first, or interleaved), of which the last may stay as they are.
  private func rotated<Solver: AxisSolver>(
    _ solver: Solver, _ pairs: Layout, size: Int, isInterleaved: Bool, rest: (Solver, Extent) -> Layout = { $0.fresh($1) }
  ) -> Layout {
    let two = solver.fixed(2, .structure)
    let turning = solver.product(isInterleaved ? [pairs, two] : [two, pairs])
    guard let width = solver.extent(turning).constant, width <= size else {
      solver.freeze(pairs, .incomparable)
      return solver.fixed(Extent(size), .incomparable)
    }
    return width == size ? turning : solver.sum([turning, rest(solver, Extent(size - width))])
  }

  private func freezeRows(_ solver: some AxisSolver, tables: [Int]) {
    for table in tables { if let rows = solver.axes(ofInput: table).first { solver.freeze(rows, .indexedByData) } }
  }
}
