/// Reads or writes at positions that another tensor holds.
public enum Indexing: String, CaseIterable, Sendable, Hashable {
  case compress = "Compress"
  case gather = "Gather"
  case gatherElements = "GatherElements"
  case gatherND = "GatherND"
  case nonMaxSuppression = "NonMaxSuppression"
  case nonZero = "NonZero"
  case oneHot = "OneHot"
  case reverseSequence = "ReverseSequence"
  case scatterElements = "ScatterElements"
  case scatterND = "ScatterND"
  case trilu = "Trilu"
  case unique = "Unique"
}

extension Indexing: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .compress, .gather, .gatherElements, .gatherND, .reverseSequence: Signature(2)
    case .nonMaxSuppression: Signature(2...5)
    case .nonZero: Signature(1)
    case .oneHot, .scatterElements, .scatterND: Signature(3)
    case .trilu: Signature(1...2)
    case .unique: Signature(1...1, outputs: 1...4)
    }
  }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .compress: try Self.compress(&context)
    case .gather: try Self.gather(&context)
    case .gatherElements: try Self.gatherElements(&context)
    case .gatherND: try Self.gatherND(&context)
    case .nonMaxSuppression: try Self.nonMaxSuppression(&context)
    case .nonZero: try Self.nonZero(&context)
    case .oneHot: try Self.oneHot(&context)
    case .reverseSequence, .trilu:
      let input = try context.type(0)
      try context.require(rankAtLeast: 2, of: input, "the input")
      context.set(0, input)
    case .scatterElements: try Self.scatterElements(&context)
    case .scatterND: try Self.scatterND(&context)
    case .unique: try Self.unique(&context)
    }
  }
}

// MARK: - Reading

extension Indexing {
  private static func gather(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let indices = try context.type(1)
    try context.require(rankAtLeast: 1, of: data, "the data")
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    context.set(0, data.element, Array(data.shape[..<axis]) + indices.shape + Array(data.shape[(axis + 1)...]))
    guard let positions = context.known(1) else { return }
    if let extent = data.shape[axis].constant {
      for case let number? in positions.entries.map({ $0.whole?.constant }) where !(-extent..<extent).contains(number) {
        throw context.failure("index \(number) is outside axis \(axis) of \(data)")
      }
    }
    guard let known = context.known(0) else { return }
    let extent = known.shape[axis]
    let inner = KnownValue.strides(known.shape)[axis]
    context.setKnown(
      0,
      KnownValue.made(Array(known.shape[..<axis]) + positions.shape + Array(known.shape[(axis + 1)...])) { index in
        let place = Array(index[axis..<(axis + positions.shape.count)])
        guard let number = positions.entry(at: place).whole?.constant else { return .unknown }
        let row = number < 0 ? number + extent : number
        let before = zip(index[..<axis], known.shape).reduce(0) { $0 * $1.1 + $1.0 }
        let after = zip(index[(axis + positions.shape.count)...], known.shape[(axis + 1)...]).reduce(0) { $0 * $1.1 + $1.0 }
        return known.entries[(before * extent + row) * inner + after]
      })
  }

  private static func gatherElements(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let indices = try context.type(1)
    try context.require(data.rank == indices.rank, "the data is \(data), the indices \(indices): their ranks differ")
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    context.set(0, data.element, indices.shape)
    guard let known = context.known(0), let positions = context.known(1) else { return }
    context.setKnown(
      0,
      KnownValue.made(positions.shape) { index in
        guard let number = positions.entry(at: index).whole?.constant else { return .unknown }
        var source = index
        source[axis] = number < 0 ? number &+ known.shape[axis] : number
        return known.entry(at: source)
      })
  }

  private static func gatherND(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let indices = try context.type(1)
    let batch = context.attributes.int(.batchDims) ?? 0
    try context.require(rankAtLeast: 1, of: indices, "the indices")
    try context.require(batch >= 0 && batch < indices.rank, "batch_dims \(batch) does not fit indices \(indices)")
    guard let depth = indices.shape[indices.rank - 1].constant else { return context.set(0, .unranked(data.element)) }
    try context.require(depth >= 1 && depth <= data.rank - batch, "indices of \(depth) numbers do not fit data \(data)")
    context.set(0, data.element, Array(indices.shape.dropLast()) + Array(data.shape[(batch + depth)...]))
    guard batch == 0, let known = context.known(0), let positions = context.known(1) else { return }
    let outer = Array(positions.shape.dropLast())
    context.setKnown(
      0,
      KnownValue.made(outer + Array(known.shape[depth...])) { index in
        guard let place = position(positions, at: Array(index[..<outer.count]), depth: depth, in: known.shape) else {
          return .unknown
        }
        return known.entry(at: place + Array(index[outer.count...]))
      })
  }

  /// The index of `depth` numbers that stands at a place of an index tensor, counted from the front; nil where it is not known.
  private static func position(_ indices: KnownValue, at place: [Int], depth: Int, in shape: [Int]) -> [Int]? {
    var result: [Int] = []
    for at in 0..<depth {
      guard let number = indices.entry(at: place + [at]).whole?.constant else { return nil }
      result.append(number < 0 ? number &+ shape[at] : number)
    }
    return result
  }

  private static func compress(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let taken = context.numbers(operand: 1).map { Extent($0.filter { $0 != 0 }.count) }
    guard let given = context.attributes.int(.axis) else {
      return context.set(0, input.element, [taken ?? context.unknownExtent(axis: 0)])
    }
    let axis = try context.axis(given, rank: input.rank)
    var shape = input.shape
    shape[axis] = taken ?? context.unknownExtent(axis: axis)
    context.set(0, input.element, shape)
  }

  private static func oneHot(_ context: inout InferenceContext) throws(Diagnostic) {
    let indices = try context.type(0)
    let values = try context.type(2)
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: indices.rank + 1)
    let depth = context.known(1)?.entries.first?.exactWhole ?? context.unknownExtent(axis: axis)
    try context.require(depth.constant.map { $0 >= 0 } ?? true, "the depth \(depth) is negative")
    var shape = indices.shape
    shape.insert(depth, at: axis)
    context.set(0, values.element, shape)
  }
}

// MARK: - Searching

extension Indexing {
  private static func nonZero(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let rank = max(input.rank, 1)
    if let known = context.known(0), let numbers = allNumbers(known) {
      let strides = KnownValue.strides(known.shape)
      let found = numbers.indices.filter { numbers[$0] != 0 }
      context.set(0, .i64, [Extent(rank), Extent(found.count)])
      guard input.rank > 0 else { return }
      return context.setKnown(
        0,
        KnownValue.made([rank, found.count]) { index in
          .whole(Extent(found[index[1]] / strides[index[0]] % known.shape[index[0]]))
        })
    }
    context.set(0, .i64, [Extent(rank), context.unknownExtent(axis: 1)])
  }

  private static func allNumbers(_ known: KnownValue) -> [Double]? {
    let numbers = known.entries.compactMap(\.number)
    return numbers.count == known.entries.count ? numbers : nil
  }

  private static func nonMaxSuppression(_ context: inout InferenceContext) throws(Diagnostic) {
    let boxes = try context.type(0)
    let scores = try context.type(1)
    try context.require(rank: 3, of: boxes, "the boxes")
    try context.require(rank: 3, of: scores, "the scores")
    try context.agree(boxes.shape[2], 4) { box, _ in "the boxes have \(box) numbers each, not 4" }
    try context.agree(boxes.shape[1], scores.shape[2]) { "there are \($0) boxes, but scores of \($1)" }
    context.set(0, .i64, [context.unknownExtent(axis: 0), 3])
  }

  private static func unique(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let count: Extent
    let searched: Extent
    if let given = context.attributes.int(.axis) {
      let axis = try context.axis(given, rank: input.rank)
      count = context.unknownExtent(axis: axis)
      searched = input.shape[axis]
      var shape = input.shape
      shape[axis] = count
      context.set(0, input.element, shape)
    } else {
      count = context.unknownExtent(axis: 0)
      searched = input.elementCount
      context.set(0, input.element, [count])
    }
    context.set(1, .i64, [count])
    context.set(2, .i64, [searched])
    context.set(3, .i64, [count])
  }
}

// MARK: - Writing

extension Indexing {
  private static func scatterElements(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let indices = try context.type(1)
    let updates = try context.type(2)
    try context.require(
      data.rank == indices.rank && data.rank == updates.rank,
      "the data is \(data), the indices \(indices), the updates \(updates): their ranks differ")
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    for other in data.shape.indices {
      try context.agree(indices.shape[other], updates.shape[other]) {
        "the indices have extent \($0) on axis \(other), the updates \($1)"
      }
    }
    context.set(0, data)
    guard let known = context.known(0), let positions = context.known(1) else { return }
    let strides = KnownValue.strides(known.shape)
    var entries = known.entries
    var isKnown = true
    let visited = KnownValue.made(positions.shape) { index in
      guard isKnown, let number = positions.entry(at: index).whole?.constant else {
        isKnown = false
        return .unknown
      }
      var target = index
      target[axis] = number < 0 ? number &+ known.shape[axis] : number
      guard zip(target, known.shape).allSatisfy({ (0..<$1).contains($0) }) else {
        isKnown = false
        return .unknown
      }
      entries[zip(target, strides).reduce(0) { $0 + $1.0 * $1.1 }] = written(context, at: index)
      return .unknown
    }
    if isKnown, visited != nil { context.setKnown(0, KnownValue(shape: known.shape, entries: entries)) }
  }

  private static func scatterND(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let indices = try context.type(1)
    let updates = try context.type(2)
    try context.require(rankAtLeast: 1, of: indices, "the indices")
    context.set(0, data)
    guard let depth = indices.shape[indices.rank - 1].constant else { return }
    try context.require(depth >= 1 && depth <= data.rank, "indices of \(depth) numbers do not fit data \(data)")
    let wanted = Array(indices.shape.dropLast()) + Array(data.shape[depth...])
    try context.require(
      updates.rank == wanted.count, "the updates are \(updates), but \(InferenceContext.text(wanted)) is written")
    for axis in wanted.indices {
      try context.agree(updates.shape[axis], wanted[axis]) { "the updates have extent \($0) on axis \(axis), not \($1)" }
    }
    guard let known = context.known(0), let positions = context.known(1) else { return }
    let outer = Array(positions.shape.dropLast())
    let strides = KnownValue.strides(known.shape)
    var entries = known.entries
    var isKnown = true
    let visited = KnownValue.made(outer + Array(known.shape[depth...])) { index in
      guard isKnown, let place = position(positions, at: Array(index[..<outer.count]), depth: depth, in: known.shape),
        zip(place, known.shape).allSatisfy({ (0..<$1).contains($0) })
      else {
        isKnown = false
        return .unknown
      }
      let target = place + Array(index[outer.count...])
      entries[zip(target, strides).reduce(0) { $0 + $1.0 * $1.1 }] = written(context, at: index)
      return .unknown
    }
    // More updates than are followed leave nothing known.
    if isKnown, visited != nil { context.setKnown(0, KnownValue(shape: known.shape, entries: entries)) }
  }

  /// What a scatter writes: the update, unless it is combined with what was there.
  private static func written(_ context: InferenceContext, at index: [Int]) -> KnownValue.Entry {
    guard (context.attributes.string(.reduction) ?? "none") == "none" else { return .unknown }
    return context.known(2)?.entry(at: index) ?? .unknown
  }
}
