/// What the families' `shrink` rules share: extents that changed, positions that are renumbered, heads that are counted.
extension ShrinkContext {
  /// An entry of an operand that names an extent: as it was where the extent is as it was, else the new extent.
  func follow(_ entry: KnownValue.Entry, from old: Extent, to new: Extent) -> KnownValue.Entry {
    old == new ? entry : .whole(new)
  }

  /// Requires the numbers that an operand had, where any are known.
  mutating func requireOld(input index: Int) {
    if let known = known(index) { require(input: index, known) }
  }

  /// Requires a list with one entry per extent: `entries` where an extent is as it was, else the new extent. Entries that are not
  /// known and may stay are left to the graph.
  mutating func requireExtents(input index: Int, from old: [Extent], to new: [Extent]) {
    guard oldInput(index) != nil, old.count == new.count else { return }
    let entries = known(index).flatMap { $0.entries.count == new.count ? $0.entries : nil }
    if entries == nil && old == new { return }
    let list = new.indices.map { follow(entries?[$0] ?? .unknown, from: old[$0], to: new[$0]) }
    if let value = KnownValue(shape: [new.count], entries: list) { require(input: index, value) }
  }

  /// Sets a whole-number attribute when its value, or `implied` where it is left out, is another.
  mutating func follow(_ name: AttributeName, implied: Int? = nil, to value: Int) {
    if attributes.int(name) ?? implied != value { set(name, .int(value)) }
  }

  /// True when an operand's axis is as it was.
  func isWhole(input index: Int, axis: Int) -> Bool {
    kept(input: index, axis: axis) == nil && Self.extent(oldInput(index), axis) == Self.extent(newInput(index), axis)
  }

  /// True when a result's axis is as it was.
  func isWhole(output index: Int = 0, axis: Int) -> Bool {
    kept(output: index, axis: axis) == nil && Self.extent(oldOutput(index), axis) == Self.extent(newOutput(index), axis)
  }

  /// An extent of a type; nil outside its rank.
  static func extent(_ type: TensorType?, _ axis: Int) -> Extent? {
    guard let type, type.shape.indices.contains(axis) else { return nil }
    return type.shape[axis]
  }

  /// What an operand's positions along an axis become: nil where all are kept. Throws where the axis shrinks and nobody knows
  /// how.
  func ranks(input index: Int, axis: Int) throws(Diagnostic) -> [Int: Int]? {
    guard let kept = kept(input: index, axis: axis) else {
      if isWhole(input: index, axis: axis) { return nil }
      throw failure("axis \(axis) of operand \(index) shrinks, but which positions stay is not known")
    }
    return Dictionary(zip(kept, kept.indices), uniquingKeysWith: { first, _ in first })
  }

  /// A node's axis attribute or operand entry, counted from the front.
  func axis(_ axis: Int, rank: Int) throws(Diagnostic) -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw failure("axis \(axis) is outside a tensor of \(rank) axes") }
    return positive
  }

  /// Whole numbers of an operand: what is known of them, else what a parameter stores.
  func storedNumbers(_ index: Int) -> (shape: [Int], numbers: [Int])? {
    if let known = known(index) {
      return known.numbers.map { (known.shape, $0) }
    }
    guard let content = content(index) else { return nil }
    let data = content.materialized()
    switch content.element {
    case .i64: return (content.shape, data.numbers(as: Int64.self).map { Int($0) })
    case .i32: return (content.shape, data.numbers(as: Int32.self).map { Int($0) })
    case .f32, .f64, .f16, .bf16, .i8, .i16, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .f8e4m3fn, .f8e4m3fnuz,
      .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return nil
    }
  }

  /// How many blocks of `size` positions lose not all of theirs, and how many each of them keeps, among the positions in `range`.
  /// Throws when blocks keep different numbers: then no attribute can say it.
  func blocks(kept: [Int]?, in range: Range<Int>, size: Int, of what: String) throws(Diagnostic) -> (count: Int, size: Int) {
    guard size > 0, range.count.isMultiple(of: size) else { throw failure("\(what) do not divide \(range.count) channels") }
    guard let kept else { return (range.count / size, size) }
    var counts: [Int: Int] = [:]
    for position in kept where range.contains(position) { counts[(position - range.lowerBound) / size, default: 0] += 1 }
    let sizes = Set(counts.values)
    guard sizes.count == 1, let left = sizes.first else {
      throw failure(
        "some \(what) would keep more channels than others; all must keep the same number"
      )
    }
    return (counts.count, left)
  }
}

/// Arithmetic of `multiplyAdds`: symbols count as 1, what is missing as nothing.
enum Work {
  /// An extent as a real number.
  static func size(_ extent: Extent?) -> Double { extent.flatMap { $0.evaluated { _ in 1 } }.map(Double.init) ?? 0 }

  /// The product of extents.
  static func product(_ extents: some Sequence<Extent>) -> Double { extents.reduce(1.0) { $0 * size($1) } }

  /// Numbers in a tensor; 0 when it is missing.
  static func count(_ type: TensorType?) -> Double { type.map { $0.isRanked ? product($0.shape) : 0 } ?? 0 }
}
