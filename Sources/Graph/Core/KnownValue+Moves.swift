/// Moving known numbers about, as operators do that read none of them.
extension KnownValue {
  /// How many numbers a shape holds; nil for more than `limit`, or for a negative extent.
  public static func count(_ shape: [Int]) -> Int? {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      count = product
    }
    return count <= limit ? count : nil
  }

  /// Distance between neighbours along each axis of a row-major tensor.
  static func strides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] &* shape[axis + 1] }
    return strides
  }

  /// A tensor whose entries are made from their indices, in order; nil for more than `limit`.
  static func made(_ shape: [Int], _ entry: (_ index: [Int]) -> Entry) -> KnownValue? {
    guard let count = count(shape) else { return nil }
    var entries: [Entry] = []
    entries.reserveCapacity(count)
    var index = [Int](repeating: 0, count: shape.count)
    for _ in 0..<count {
      entries.append(entry(index))
      for axis in shape.indices.reversed() {
        index[axis] += 1
        if index[axis] < shape[axis] { break }
        index[axis] = 0
      }
    }
    return KnownValue(shape: shape, entries: entries)
  }

  /// A tensor of one entry repeated; nil for more than `limit`.
  static func filled(_ shape: [Int], with entry: Entry) -> KnownValue? {
    guard let count = count(shape) else { return nil }
    return KnownValue(shape: shape, entries: Array(repeating: entry, count: count))
  }

  /// The entry at an index; unknown outside the tensor.
  func entry(at index: [Int]) -> Entry {
    var position = 0
    for axis in shape.indices {
      guard index.indices.contains(axis), (0..<shape[axis]).contains(index[axis]) else { return .unknown }
      position = position * shape[axis] + index[axis]
    }
    return entries[position]
  }

  /// The same entries in another shape; nil when it holds another number of them.
  func reshaped(_ shape: [Int]) -> KnownValue? { KnownValue(shape: shape, entries: entries) }

  /// Axis i of the result is axis `permutation[i]` of this.
  func transposed(_ permutation: [Int]) -> KnownValue? {
    let strides = Self.strides(shape)
    return Self.made(permutation.map { shape[$0] }) { index in
      entries[zip(index, permutation).reduce(0) { $0 + $1.0 * strides[$1.1] }]
    }
  }

  /// Axes aligned from the right, those of extent 1 repeated; nil where extents do not agree.
  func broadcast(_ target: [Int]) -> KnownValue? {
    if shape == target { return self }
    if entries.count == 1, shape.count <= target.count { return Self.filled(target, with: entries[0]) }
    let offset = target.count - shape.count
    guard offset >= 0, shape.indices.allSatisfy({ shape[$0] == 1 || shape[$0] == target[$0 + offset] }) else { return nil }
    let strides = Self.strides(shape)
    return Self.made(target) { index in
      entries[shape.indices.reduce(0) { $0 + (shape[$1] == 1 ? 0 : index[$1 + offset] * strides[$1]) }]
    }
  }

  /// Each axis repeated as a whole.
  func tiled(_ repeats: [Int]) -> KnownValue? {
    guard repeats.count == shape.count, repeats.allSatisfy({ $0 >= 0 }), repeats.allSatisfy({ $0 <= Self.limit }) else {
      return nil
    }
    return Self.made(zip(shape, repeats).map { $0 &* $1 }) { index in entry(at: zip(index, shape).map { $0 % max($1, 1) }) }
  }

  /// Per axis the position of the first entry, how many, and the distance between them.
  func cut(_ ranges: [(first: Int, count: Int, step: Int)]) -> KnownValue? {
    Self.made(ranges.map(\.count)) { index in entry(at: zip(index, ranges).map { $1.first + $0 * $1.step }) }
  }

  /// Entries along one axis.
  func cut(axis: Int, from first: Int, count: Int) -> KnownValue? {
    cut(shape.indices.map { $0 == axis ? (first, count, 1) : (0, shape[$0], 1) })
  }

  /// Tensors one after the other along an axis; nil when their other extents differ.
  static func concatenated(_ parts: [KnownValue], axis: Int) -> KnownValue? {
    guard let first = parts.first, first.shape.indices.contains(axis) else { return nil }
    if first.shape.count == 1 {
      guard parts.allSatisfy({ $0.shape.count == 1 }) else { return nil }
      let entries = parts.flatMap(\.entries)
      return entries.count <= limit ? KnownValue(shape: [entries.count], entries: entries) : nil
    }
    func others(_ part: KnownValue) -> [Int] {
      var shape = part.shape
      if shape.indices.contains(axis) { shape[axis] = 0 }
      return shape
    }
    guard parts.allSatisfy({ others($0) == others(first) }) else { return nil }
    var shape = first.shape
    shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    return made(shape) { index in
      var inside = index
      for part in parts {
        if inside[axis] < part.shape[axis] { return part.entry(at: inside) }
        inside[axis] -= part.shape[axis]
      }
      return .unknown
    }
  }
}
