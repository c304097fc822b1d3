/// Moves or repeats numbers without reading them.
public enum Reshaping: String, CaseIterable, Sendable, Hashable {
  case depthToSpace = "DepthToSpace"
  case expand = "Expand"
  case flatten = "Flatten"
  case reshape = "Reshape"
  case spaceToDepth = "SpaceToDepth"
  case squeeze = "Squeeze"
  case tile = "Tile"
  case transpose = "Transpose"
  case unsqueeze = "Unsqueeze"
}

extension Reshaping: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .depthToSpace, .flatten, .spaceToDepth, .transpose: Signature(1)
    case .squeeze, .unsqueeze: Signature(1...2)
    case .expand, .reshape, .tile: Signature(2)
    }
  }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .depthToSpace: try Self.depthToSpace(&context)
    case .spaceToDepth: try Self.spaceToDepth(&context)
    case .expand: try Self.expand(&context)
    case .flatten: try Self.flatten(&context)
    case .reshape: try Self.reshape(&context)
    case .squeeze: try Self.squeeze(&context)
    case .tile: try Self.tile(&context)
    case .transpose: try Self.transpose(&context)
    case .unsqueeze: try Self.unsqueeze(&context)
    }
  }
}

extension InferenceContext {
  /// Entries of an operand that lists extents, unknown ones included; nil where even their number is not known.
  func extentEntries(_ index: Int) throws(Diagnostic) -> [KnownValue.Entry]? {
    let type = try type(index)
    try require(rank: 1, of: type, "the list of extents")
    guard let count = type.shape[0].constant else { return nil }
    try require(count <= 1024, "asks for \(count) axes")
    if let known = known(index), known.entries.count == count { return known.entries }
    return Array(repeating: .unknown, count: count)
  }

  /// A shape of which only the number of axes is known.
  func unknownShape(output: Int = 0, rank: Int) -> [Extent] { (0..<rank).map { unknownExtent(output: output, axis: $0) } }

  /// Hands the first operand's known numbers on in the result's shape.
  mutating func keepNumbers() {
    guard let known = known(0), let type = outputTypes.first, let shape = type?.staticShape else { return }
    setKnown(0, known.reshaped(shape))
  }
}

extension Reshaping {
  private static func reshape(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    guard let entries = try context.extentEntries(1) else { return context.set(0, .unranked(input.element)) }
    let copiesZero = !context.attributes.flag(.allowzero)
    var shape: [Extent] = []
    var inferred: Int?
    var unknown: [Int] = []
    for (axis, entry) in entries.enumerated() {
      guard let whole = entry.whole else {
        unknown.append(axis)
        shape.append(1)
        continue
      }
      switch whole.constant {
      case .some(-1):
        try context.require(inferred == nil, "the target has two axes of extent −1")
        inferred = axis
        shape.append(1)
      case 0? where copiesZero:
        try context.require(axis < input.rank, "axis \(axis) of the target copies an axis that \(input) does not have")
        shape.append(input.shape[axis])
      case let number?:
        try context.require(number >= 0, "axis \(axis) of the target has the negative extent \(number)")
        shape.append(whole)
      case nil: shape.append(whole)
      }
    }
    let total = input.elementCount
    let rest = shape.reduce(1, *)
    func mismatch() -> Diagnostic {
      let target = zip(shape, shape.indices).map { $1 == inferred ? Extent(-1) : $0 }
      return context.failure("\(input) of \(total) numbers cannot take the shape \(InferenceContext.text(target))")
    }
    if let inferred, unknown.isEmpty {
      if let known = rest.constant, let all = total.constant, known == 0 ? all != 0 : all % known != 0 { throw mismatch() }
      shape[inferred] = rest == Extent(0) ? context.unknownExtent(axis: inferred) : total.floorDivided(by: rest)
    } else if inferred == nil, unknown.count == 1 {
      shape[unknown[0]] = total.dividedExactly(by: rest) ?? context.unknownExtent(axis: unknown[0])
    } else {
      for axis in unknown + (inferred.map { [$0] } ?? []) { shape[axis] = context.unknownExtent(axis: axis) }
      if unknown.isEmpty, let known = rest.constant, let all = total.constant, known != all { throw mismatch() }
    }
    context.set(0, input.element, shape)
    context.keepNumbers()
  }

  private static func flatten(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let given = context.attributes.int(.axis) ?? 1
    let axis = given < 0 ? given + input.rank : given
    try context.require((0...input.rank).contains(axis), "axis \(given) is outside a tensor of \(input.rank) axes")
    context.set(0, input.element, [input.shape[..<axis].reduce(1, *), input.shape[axis...].reduce(1, *)])
    context.keepNumbers()
  }

  private static func transpose(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let permutation = context.attributes.ints(.perm) ?? Array((0..<input.rank).reversed())
    try context.require(
      permutation.count == input.rank && Set(permutation) == Set(0..<input.rank),
      "perm \(permutation) does not order the \(input.rank) axes of \(input)")
    context.set(0, input.element, permutation.map { input.shape[$0] })
    context.setKnown(0, context.known(0)?.transposed(permutation))
  }

  private static func squeeze(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let removed: Set<Int>
    switch try context.axes(operand: 1, rank: input.rank) {
    case .absent:
      // Whether a symbolic axis goes depends on what it stands for.
      guard input.staticShape != nil else { return context.set(0, .unranked(input.element)) }
      removed = Set(input.shape.indices.filter { input.shape[$0] == Extent(1) })
    case .known(let axes):
      for axis in axes {
        if let number = input.shape[axis].constant, number != 1 {
          throw context.failure("axis \(axis) of \(input) is \(number), not 1")
        }
      }
      removed = Set(axes)
    case .unknown(let count):
      guard let count, count <= input.rank else { return context.set(0, .unranked(input.element)) }
      return context.set(0, input.element, context.unknownShape(rank: input.rank - count))
    }
    context.set(0, input.element, input.shape.indices.filter { !removed.contains($0) }.map { input.shape[$0] })
    context.keepNumbers()
  }

  private static func unsqueeze(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let count = context.attributes.ints(.axes)?.count ?? context.optionalType(1)?.elementCount.constant
    guard let count else {
      try context.require(context.has(1), "neither an attribute nor an operand names the axes")
      return context.set(0, .unranked(input.element))
    }
    try context.require(count <= 1024, "asks for \(count) new axes")
    let rank = input.rank + count
    switch try context.axes(operand: 1, rank: rank) {
    case .absent, .unknown: context.set(0, input.element, context.unknownShape(rank: rank))
    case .known(let axes):
      let added = Set(axes)
      var rest = input.shape.makeIterator()
      context.set(0, input.element, (0..<rank).map { added.contains($0) ? 1 : rest.next() ?? 1 })
      context.keepNumbers()
    }
  }

  private static func expand(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    guard let entries = try context.extentEntries(1) else { return context.set(0, .unranked(input.element)) }
    let rank = max(input.rank, entries.count)
    var shape: [Extent] = []
    for axis in 0..<rank {
      let from = axis - (rank - input.rank)
      let to = axis - (rank - entries.count)
      let extent = from < 0 ? Extent(1) : input.shape[from]
      guard let target = to < 0 ? 1 : entries[to].whole else {
        // Whatever the number is, an axis of more than one index keeps its own.
        shape.append(extent.constant.map { $0 > 1 } == true ? extent : context.unknownExtent(axis: axis))
        continue
      }
      if let number = target.constant, number < 0 {
        throw context.failure("axis \(axis) of the target has the negative extent \(number)")
      }
      if let a = extent.constant, let b = target.constant, a != b, a != 1, b != 1 {
        throw context.failure("axis \(axis) of extent \(a) does not expand to \(b)")
      }
      shape.append(try context.broadcast(extent, target))
    }
    context.set(0, input.element, shape)
    if let known = context.known(0), let target = TensorType(input.element, shape).staticShape {
      context.setKnown(0, known.broadcast(target))
    }
  }

  private static func tile(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let repeats = context.known(1)?.entries.map(\.whole) ?? Array(repeating: nil, count: input.rank)
    try context.require(
      repeats.count == input.rank, "\(repeats.count) repeats are given for the \(input.rank) axes of \(input)")
    var shape: [Extent] = []
    for (axis, count) in repeats.enumerated() {
      try context.require(count?.constant.map { $0 >= 0 } ?? true, "axis \(axis) is to be repeated \(count ?? 0) times")
      shape.append(count.map { input.shape[axis] * $0 } ?? context.unknownExtent(axis: axis))
    }
    context.set(0, input.element, shape)
    let numbers = repeats.compactMap { $0?.constant }
    if numbers.count == repeats.count { context.setKnown(0, context.known(0)?.tiled(numbers)) }
  }

  private static func blockSize(_ context: InferenceContext) throws(Diagnostic) -> Int {
    guard let size = context.attributes.int(.blocksize) else { throw context.failure("has no blocksize") }
    try context.require((1...65536).contains(size), "blocksize \(size) is no size of a block")
    return size
  }

  private static func depthToSpace(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    try context.require(rank: 4, of: input, "the input")
    let size = try blockSize(context)
    let channels = try context.divide(input.shape[1], into: size * size, "the channels of \(input)", "the square of blocksize,")
    context.set(0, input.element, [input.shape[0], channels, input.shape[2] * Extent(size), input.shape[3] * Extent(size)])
  }

  private static func spaceToDepth(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    try context.require(rank: 4, of: input, "the input")
    let size = try blockSize(context)
    let height = try context.divide(input.shape[2], into: size, "the rows of \(input)", "blocksize")
    let width = try context.divide(input.shape[3], into: size, "the columns of \(input)", "blocksize")
    context.set(0, input.element, [input.shape[0], input.shape[1] * Extent(size * size), height, width])
  }
}
