import Graph

/// Attention in the ways that exporters leave it.
extension GraphBuilder {
  /// What an attention is made of.
  private struct Heads {
    /// Heads of the query; key and value have `groups` of them.
    let count: Int
    let groups: Int
    /// Dims of query and key, and of the value.
    let size: Int
    let valueSize: Int
  }

  /// Multi-head attention, from [batch, positions, width] to the same.
  mutating func attention(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let count = dice.int(2...4)
    let groups = dice.chance(0.3) ? dice.pick((1...count).filter { count % $0 == 0 }) : count
    let size = dice.pick([2, 4, 6])
    let heads = Heads(count: count, groups: groups, size: size, valueSize: dice.chance(0.2) ? dice.int(2...5) : size)
    if dice.chance(0.12) { return try linear(try fused(x, heads), width, "proj") }
    if dice.chance(0.1) { return try linear(try separable(x, heads), width, "proj") }
    var (query, key, value) = try projections(x, heads)
    if dice.chance(0.2) { (query, key) = (try rootMeanSquare(query, "q_norm"), try rootMeanSquare(key, "k_norm")) }
    if dice.chance(0.35), extent(of: x, 1).isConstant { (query, key) = try rotated(query, key, heads) }
    let mixed: ValueID
    if groups < count, dice.chance(0.4) {
      mixed = try groupedProduct(x, query, key, value, heads)
    } else {
      if groups < count {
        key = try repeated(key, heads)
        value = try repeated(value, heads)
      }
      mixed = try product(query, key, value, heads)
    }
    let joined = try reshape(
      try transpose(mixed, [0, 2, 1, 3]), [extent(of: x, 0), extent(of: x, 1), Extent(count * heads.valueSize)])
    return try linear(joined, width, "proj")
  }

  /// [batch, positions, heads·dims] to [batch, heads, positions, dims].
  private mutating func headed(_ x: ValueID, _ count: Int, _ size: Int) throws(Diagnostic) -> ValueID {
    let view = try reshape(x, [extent(of: x, 0), extent(of: x, 1), Extent(count), Extent(size)])
    return try transpose(view, [0, 2, 1, 3])
  }

  private mutating func projections(_ x: ValueID, _ heads: Heads) throws(Diagnostic) -> (ValueID, ValueID, ValueID) {
    let (h, g, d, e) = (heads.count, heads.groups, heads.size, heads.valueSize)
    let isUniform = h == g && d == e
    let front = Array(shape(x).prefix(2))
    switch dice.int(0...6) {
    case 0 where isUniform, 1 where isUniform:
      // [batch, positions, 3, heads, dims], permuted, then taken apart.
      let view = try reshape(try linear(x, 3 * h * d, "qkv"), front + [3, Extent(h), Extent(d)])
      let turned = try transpose(view, [2, 0, 3, 1, 4])
      if dice.chance(0.3) {
        let parts = try split(turned, [1, 1, 1], 0)
        return (try squeeze(parts[0], [0]), try squeeze(parts[1], [0]), try squeeze(parts[2], [0]))
      }
      return (try select(turned, 0, 0), try select(turned, 0, 1), try select(turned, 0, 2))
    case 2 where isUniform:
      // Each head has its query, key and value side by side.
      if dice.chance(0.5) {
        let view = try reshape(try linear(x, 3 * h * d, "qkv"), front + [Extent(h), Extent(3 * d)])
        let parts = try pieces(try transpose(view, [0, 2, 1, 3]), [d, d, d], 3)
        return (parts[0], parts[1], parts[2])
      }
      let view = try reshape(try linear(x, 3 * h * d, "qkv"), front + [Extent(h), 3, Extent(d)])
      let turned = try transpose(view, [0, 2, 3, 1, 4])
      return (try select(turned, 2, 0), try select(turned, 2, 1), try select(turned, 2, 2))
    case 3, 4:
      let parts = try pieces(try linear(x, h * d + g * d + g * e, "qkv"), [h * d, g * d, g * e], 2)
      return (try headed(parts[0], h, d), try headed(parts[1], g, d), try headed(parts[2], g, e))
    case 5:
      let width = try extent(x, -1)
      return (
        try einsum("btc,chd->bhtd", x, weight("q.weight", [width, h, d])),
        try einsum("btc,chd->bhtd", x, weight("k.weight", [width, g, d])),
        try einsum("btc,hcd->bhtd", x, weight("v.weight", [g, width, e]))
      )
    default:
      return (
        try headed(try linear(x, h * d, "q"), h, d), try headed(try linear(x, g * d, "k"), g, d),
        try headed(try linear(x, g * e, "v"), g, e)
      )
    }
  }

  /// Turned in pairs: the second half against the first, or neighbours.
  private mutating func rotated(_ query: ValueID, _ key: ValueID, _ heads: Heads) throws(Diagnostic) -> (ValueID, ValueID) {
    let size = heads.size
    let count = try extent(query, 2)
    let isInterleaved = dice.chance(0.4)
    let angles = weight("rotary", [count, size / 2], spread: 1)
    let table: ValueID
    if isInterleaved {
      let doubled = try concat([try unsqueeze(angles, [2]), try unsqueeze(angles, [2])], 2)
      table = try reshape(doubled, [Extent(count), Extent(size)])
    } else {
      table = try concat([angles, angles], 1)
    }
    let cosine = try apply(.cos, table)
    let sine = try apply(.sin, table)
    func turn(_ builder: inout GraphBuilder, _ x: ValueID) throws(Diagnostic) -> ValueID {
      let other: ValueID
      if isInterleaved {
        let even = try builder.slice(x, 3, 0, Int(Int64.max), step: 2)
        let odd = try builder.apply(.neg, try builder.slice(x, 3, 1, Int(Int64.max), step: 2))
        let pair = try builder.concat([try builder.unsqueeze(odd, [4]), try builder.unsqueeze(even, [4])], 4)
        other = try builder.reshape(pair, builder.shape(x))
      } else {
        let halves = try builder.pieces(x, [size / 2, size / 2], 3)
        other = try builder.concat([try builder.apply(.neg, halves[1]), halves[0]], 3)
      }
      return try builder.apply(.add, try builder.apply(.mul, x, cosine), try builder.apply(.mul, other, sine))
    }
    return (try turn(&self, query), try turn(&self, key))
  }

  /// Each key-value group for the queries that share it.
  private mutating func repeated(_ x: ValueID, _ heads: Heads) throws(Diagnostic) -> ValueID {
    let shape = shape(x)
    let times = heads.count / heads.groups
    if heads.groups == 1, dice.chance(0.5) { return x }
    let wide = try expand(try unsqueeze(x, [2]), [shape[0], shape[1], Extent(times), shape[2], shape[3]])
    return try reshape(wide, [shape[0], Extent(heads.count), shape[2], shape[3]])
  }

  /// The factor that keeps products of moderate size: a constant, or a root of the length of the dims as a shape says it.
  private mutating func scaled(_ x: ValueID, size: Int) throws(Diagnostic) -> ValueID {
    switch dice.int(0...3) {
    case 0: return try apply(.mul, x, real(1 / Float(size).squareRoot()))
    case 1:
      let length = try length(x, -1, asList: false)
      let root = try apply(.sqrt, try add(.elementwise(.cast), [length], [.int(.to, 1)]))
      return try apply(.div, x, root)
    default: return try apply(.div, x, real(Float(size).squareRoot()))
    }
  }

  private mutating func product(
    _ query: ValueID, _ key: ValueID, _ value: ValueID, _ heads: Heads
  ) throws(Diagnostic) -> ValueID {
    let isSingle = heads.groups == 1 && extent(of: key, 1) == 1 && heads.count > 1
    if !isSingle, dice.chance(0.2) {
      let scores = try einsum("bhqd,bhkd->bhqk", try scaled(query, size: heads.size), key)
      return try einsum("bhqk,bhkd->bhqd", try softmax(try biasedScores(scores, heads), 3), value)
    }
    if extent(of: key, 1) == extent(of: query, 1), extent(of: value, 1) == extent(of: query, 1), dice.chance(0.15) {
      return try batched(query, key, value, heads)
    }
    let scores = try matMul(try scaled(query, size: heads.size), try turned(key))
    return try matMul(try softmax(try biasedScores(scores, heads), -1), value)
  }

  /// Heads and batch in one axis, as `bmm` wants them.
  private mutating func batched(
    _ query: ValueID, _ key: ValueID, _ value: ValueID, _ heads: Heads
  ) throws(Diagnostic) -> ValueID {
    func flat(_ builder: inout GraphBuilder, _ x: ValueID) throws(Diagnostic) -> ValueID {
      let shape = builder.shape(x)
      return try builder.reshape(x, [shape[0] * shape[1], shape[2], shape[3]])
    }
    let scores = try matMul(try flat(&self, query), try turned(try flat(&self, key)))
    let result = try matMul(try softmax(scores, -1), try flat(&self, value))
    let shape = shape(query)
    return try reshape(result, [shape[0], shape[1], shape[2], extent(of: value, 3)])
  }

  /// Masks, biases of relative positions, and mixing between heads.
  private mutating func biasedScores(_ scores: ValueID, _ heads: Heads) throws(Diagnostic) -> ValueID {
    guard let count = extent(of: scores, 2).constant, extent(of: scores, 3).constant == count else { return scores }
    let length = Extent(count)
    switch dice.int(0...7) {
    case 0: return try apply(.add, scores, weight("bias", [1, heads.count, count, count]))
    case 1:
      let table = weight("relative.table", [2 * count - 1, heads.count])
      let picks = (0..<count).flatMap { row in (0..<count).map { row - $0 + count - 1 } }
      let rows = try reshape(try gather(table, picks, 0), [length, length, Extent(heads.count)])
      return try apply(.add, scores, try unsqueeze(try transpose(rows, [2, 0, 1]), [0]))
    case 2:
      let lower = (0..<count).flatMap { row in (0..<count).map { Float($0 > row ? -10000 : 0) } }
      return try apply(.add, scores, parameter("mask", TensorData(lower), .f32, [1, 1, count, count]))
    case 3:
      let lower = (0..<count).flatMap { row in (0..<count).map { UInt8($0 > row ? 0 : 1) } }
      let mask = parameter("mask", TensorData(lower), .bool, [count, count])
      return try apply(.choose, mask, scores, real(-10000))
    case 4:
      let mixed = try linear(try transpose(scores, [0, 2, 3, 1]), heads.count, "talking")
      return try transpose(mixed, [0, 3, 1, 2])
    default: return scores
    }
  }

  /// Queries of one key-value group side by side, and the group broadcast over them.
  private mutating func groupedProduct(
    _ x: ValueID, _ query: ValueID, _ key: ValueID, _ value: ValueID, _ heads: Heads
  ) throws(Diagnostic) -> ValueID {
    let (batch, length) = (extent(of: x, 0), extent(of: x, 1))
    let times = heads.count / heads.groups
    let queries = try reshape(query, [batch, Extent(heads.groups), Extent(times), length, Extent(heads.size)])
    let scores = try matMul(try scaled(queries, size: heads.size), try turned(try unsqueeze(key, [2])))
    let result = try matMul(try softmax(scores, -1), try unsqueeze(value, [2]))
    return try reshape(result, [batch, Extent(heads.count), length, Extent(heads.valueSize)])
  }

  /// Linear attention: keys against values first.
  private mutating func separable(_ x: ValueID, _ heads: Heads) throws(Diagnostic) -> ValueID {
    let count = heads.count
    let query = try softmax(try headed(try linear(x, count * heads.size, "q"), count, heads.size), -1)
    let key = try softmax(try headed(try linear(x, count * heads.size, "k"), count, heads.size), -2)
    let value = try headed(try linear(x, count * heads.valueSize, "v"), count, heads.valueSize)
    let result = try matMul(query, try matMul(try turned(key), value))
    return try reshape(
      try transpose(result, [0, 2, 1, 3]), [extent(of: x, 0), extent(of: x, 1), Extent(count * heads.valueSize)])
  }

  /// One operator for all of it.
  private mutating func fused(_ x: ValueID, _ heads: Heads) throws(Diagnostic) -> ValueID {
    let (h, g, d, e) = (heads.count, heads.groups, heads.size, heads.valueSize)
    if opset >= 23, dice.chance(0.5) {
      return try add(
        .attention(.attention), [try linear(x, h * d, "q"), try linear(x, g * d, "k"), try linear(x, g * e, "v")],
        [.int(.qNumHeads, h), .int(.kvNumHeads, g)])
    }
    let operands = [try linear(x, h * d, "q"), try linear(x, h * d, "k"), try linear(x, h * e, "v")]
    return try add(.attention(.multiHeadAttention), operands, [.int(.numHeads, h)])
  }
}
