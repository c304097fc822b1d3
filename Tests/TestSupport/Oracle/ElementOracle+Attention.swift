import Graph

/// Attention in one operator: heads and dims inside the last axis.
extension ElementOracle {
  mutating func attention(_ operation: AttentionFamily) throws(Fault) {
    try demandNoPositions()
    switch operation {
    case .attention: _ = try separate(current.attributes.int(.qNumHeads) ?? 1, current.attributes.int(.kvNumHeads) ?? 1)
    case .multiHeadAttention: _ = try separate(current.attributes.int(.numHeads) ?? 1, current.attributes.int(.numHeads) ?? 1)
    case .microsoftAttention: try packed(current.attributes.int(.numHeads) ?? 1)
    case .rotaryEmbedding: try rotation(tables: [1, 2])
    case .microsoftRotaryEmbedding: try rotation(tables: [2, 3])
    case .groupQueryAttention:
      let (heads, groups) = (current.attributes.int(.numHeads) ?? 1, current.attributes.int(.kvNumHeads) ?? 1)
      let kept = try separate(heads, groups)
      let size = try operand(1).shape[2] / groups
      for index in 3...4 {
        let past = try operand(index)
        if past.axes[1] != kept.groups.nilIfWhole || past.axes[3] != kept.dims.nilIfWhole {
          throw fault("what is remembered differs")
        }
      }
      for index in 1...2 { if let next = result(index) { try store(next, axes: [nil, kept.groups, nil, kept.dims]) } }
      if kept.dims.count != size { throw fault("heads have other sizes") }
    case .quantisedAttention: throw fault("the oracle does not know it")
    }
  }

  /// Query, key and value as three operands of three axes. Returns which key-value heads stay, and which dims of values.
  private mutating func separate(_ queryHeads: Int, _ keyHeads: Int) throws(Fault) -> (groups: [Bool], dims: [Bool]) {
    let (query, key, value) = (try operand(0), try operand(1), try operand(2))
    let isPlain = current.operation == .attention(.groupQueryAttention) || (optional(3) == nil && current.outputs.count == 1)
    guard query.shape.count == 3, isPlain, let output = result(0) else {
      throw fault("the oracle does not know this form")
    }
    if key.axes[1] != value.axes[1] { throw fault("positions of keys and values differ") }
    let size = query.shape[2] / queryHeads
    let values = try blocks(value.axes[2], outer: keyHeads, inner: value.shape[2] / keyHeads)
    let mixed = try mixed(
      try blocks(query.axes[2], outer: queryHeads, inner: size), try blocks(key.axes[2], outer: keyHeads, inner: size), values,
      times: queryHeads / keyHeads)
    try store(output, axes: [query.axes[0], query.axes[1], mixed])
    return (values.outer, zip(values.outer, values.inner).first { $0.0 }?.1 ?? [])
  }

  /// One weight makes query, key and value.
  private mutating func packed(_ heads: Int) throws(Fault) {
    let (x, weight) = (try operand(0), try operand(1))
    guard let output = result(0), current.outputs.count == 1 else { throw fault("the oracle does not know this form") }
    if x.axes[2] != weight.axes[0] { throw fault("inputs \(text(x.axes[2])), weights \(text(weight.axes[0]))") }
    if let bias = optional(2), bias.axes[0] != weight.axes[1] { throw fault("biases differ from their weights") }
    try demandWhole(x, 1, "it counts positions")
    let size = weight.shape[1] / 3 / heads
    let all = try blocks(weight.axes[1], outer: 3, inner: heads * size).inner
    let parts = try all.map { (flags) throws(Fault) in try blocks(flags, outer: heads, inner: size) }
    try store(output, axes: [x.axes[0], nil, try mixed(parts[0], parts[1], parts[2], times: 1)])
  }

  /// What the result keeps: heads of the query, dims of the value.
  private func mixed(_ queries: Blocks, _ keys: Blocks, _ values: Blocks, times: Int) throws(Fault) -> [Bool] {
    if keys.outer != values.outer { throw fault("heads of keys \(text(keys.outer)), of values \(text(values.outer))") }
    let dims = Set(zip(queries.outer + keys.outer, queries.inner + keys.inner).filter(\.0).map(\.1))
    if dims.count > 1 { throw fault("heads of queries and keys keep different dims: \(dims.map { text($0) })") }
    let valueDims = Set(zip(values.outer, values.inner).filter(\.0).map(\.1))
    guard valueDims.count == 1, let inner = valueDims.first else { throw fault("heads of values keep different dims") }
    let served = try blocks(queries.outer, outer: keys.outer.count, inner: times)
    try demandEven(served, "queries of key-value groups")
    if served.outer != keys.outer { throw fault("queries ask for heads \(text(served.outer)), there are \(text(keys.outer))") }
    return queries.outer.flatMap { isKept in inner.map { isKept && $0 } }
  }

  /// Dims turn in pairs, neighbours or halves: both of a pair stay, and the tables have a column for each pair.
  private mutating func rotation(tables: [Int]) throws(Fault) {
    let x = try operand(0)
    let pairs = try operand(tables[0])
    let count = pairs.shape[pairs.shape.count - 1]
    guard x.shape.count == 3, let output = result(0) else { throw fault("the oracle does not know this form") }
    let heads = x.shape[2] / (2 * count)
    let isInterleaved = current.attributes.flag(.interleaved)
    for table in tables {
      let kept = try operand(table)
      if kept.axes[kept.shape.count - 1] != pairs.axes[pairs.shape.count - 1] { throw fault("tables differ") }
      try demandWhole(kept, 0, "it is indexed by data")
    }
    let columns = pairs.axes[pairs.shape.count - 1] ?? [Bool](repeating: true, count: count)
    let turning = isInterleaved ? columns.flatMap { [$0, $0] } : columns + columns
    let all = try blocks(x.axes[2], outer: heads, inner: 2 * count)
    for (isKept, inner) in zip(all.outer, all.inner) where isKept && inner != turning {
      throw fault("a head keeps \(text(inner)), the tables turn \(text(turning))")
    }
    try store(output, axes: x.axes)
  }
}
