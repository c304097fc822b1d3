/// Makes numbers from shapes, or from nothing.
public enum Generation: String, CaseIterable, Sendable, Hashable {
  case bernoulli = "Bernoulli"
  case constantOfShape = "ConstantOfShape"
  case eyeLike = "EyeLike"
  case multinomial = "Multinomial"
  case randomNormal = "RandomNormal"
  case randomNormalLike = "RandomNormalLike"
  case randomUniform = "RandomUniform"
  case randomUniformLike = "RandomUniformLike"
  case range = "Range"
  case shape = "Shape"
  case size = "Size"
}

extension Generation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .randomNormal, .randomUniform: Signature(0)
    case .range: Signature(3)
    case .bernoulli, .constantOfShape, .eyeLike, .multinomial, .randomNormalLike, .randomUniformLike, .shape, .size: Signature(1)
    }
  }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .bernoulli, .randomNormalLike, .randomUniformLike:
      let input = try context.type(0)
      context.set(0, try context.element(attribute: .dataType) ?? input.element, input.shape)
    case .eyeLike:
      let input = try context.type(0)
      try context.require(rank: 2, of: input, "the input")
      context.set(0, try context.element(attribute: .dataType) ?? input.element, input.shape)
    case .multinomial:
      let input = try context.type(0)
      try context.require(rank: 2, of: input, "the input")
      let count = context.attributes.int(.sampleSize) ?? 1
      try context.require(count > 0, "sample_size is \(count), which is not positive")
      context.set(0, try context.element(attribute: .dataType) ?? .i32, [input.shape[0], Extent(count)])
    case .randomNormal, .randomUniform:
      guard let shape = context.attributes.ints(.shape) else { throw context.failure("has no shape") }
      try context.require(shape.allSatisfy { $0 >= 0 }, "the shape \(shape) has a negative extent")
      context.set(0, try context.element(attribute: .dataType) ?? .f32, shape.map { Extent($0) })
    case .constantOfShape: try Self.constantOfShape(&context)
    case .range: try Self.range(&context)
    case .shape: try Self.shape(&context)
    case .size:
      let count = try context.type(0).elementCount
      context.set(0, .i64, [])
      context.setKnown(0, KnownValue(scalar: count))
    }
  }
}

extension Generation {
  private static func constantOfShape(_ context: inout InferenceContext) throws(Diagnostic) {
    var element = ElementType.f32
    var entry = KnownValue.Entry.real(0)
    if let value = context.attributes[.value] {
      guard case .tensor(let type, let data) = value, let shape = type.staticShape, type.elementCount == Extent(1) else {
        throw context.failure("value is no tensor of one number")
      }
      element = type.element
      entry = KnownValue(TensorContent(data, element: element, shape: shape))?.entries.first ?? .unknown
    }
    guard let entries = try context.extentEntries(0) else { return context.set(0, .unranked(element)) }
    var shape: [Extent] = []
    for (axis, entry) in entries.enumerated() {
      let extent = entry.whole ?? context.unknownExtent(axis: axis)
      try context.require(extent.constant.map { $0 >= 0 } ?? true, "axis \(axis) is to have the negative extent \(extent)")
      shape.append(extent)
    }
    context.set(0, element, shape)
    if let numbers = TensorType(element, shape).staticShape { context.setKnown(0, KnownValue.filled(numbers, with: entry)) }
  }

  private static func shape(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    func bound(_ number: Int) -> Int { min(max(number < 0 ? number + input.rank : number, 0), input.rank) }
    let start = bound(context.attributes.int(.start) ?? 0)
    let end = max(start, bound(context.attributes.int(.end) ?? input.rank))
    context.set(0, .i64, [Extent(end - start)])
    context.setKnown(0, KnownValue(list: Array(input.shape[start..<end])))
  }

  private static func range(_ context: inout InferenceContext) throws(Diagnostic) {
    let element = try context.type(0).element
    let bounds = [context.known(0), context.known(1), context.known(2)].map { $0?.entries.count == 1 ? $0?.entries[0] : nil }
    if let start = bounds[0]?.exactWhole, let limit = bounds[1]?.exactWhole, let delta = bounds[2]?.exactWhole {
      try context.require(delta != Extent(0), "the step is 0")
      let count = Self.count(from: start, to: limit, by: delta) ?? context.unknownExtent(axis: 0)
      context.set(0, element, [count])
      guard let number = count.constant, number <= KnownValue.limit else { return }
      let entries = (0..<number).map { at in
        let entry = start + delta * Extent(at)
        return entry.constant.flatMap { element.isFloat ? .real(Double($0)) : nil } ?? KnownValue.Entry.whole(entry)
      }
      return context.setKnown(0, KnownValue(shape: [number], entries: entries))
    }
    if let start = bounds[0]?.number, let limit = bounds[1]?.number, let delta = bounds[2]?.number {
      try context.require(delta != 0, "the step is 0")
      let count = ((limit - start) / delta).rounded(.up)
      if count.isFinite, count < 0x1p52 { return context.set(0, element, [Extent(max(0, Int(count)))]) }
    }
    context.set(0, element, [context.unknownExtent(axis: 0)])
  }

  /// How many steps there are; nil where that is not decided by the symbols' names alone.
  private static func count(from start: Extent, to limit: Extent, by delta: Extent) -> Extent? {
    guard let step = delta.constant, step != Int.min else { return nil }
    let way = step > 0 ? limit - start : start - limit
    if way.isLess(than: 1) == true { return 0 }
    let size = Extent(abs(step))
    return way.dividedExactly(by: size) ?? (way + size - 1).floorDivided(by: size)
  }
}

extension KnownValue.Entry {
  /// The number, when no symbol takes part.
  public var number: Double? {
    switch self {
    case .whole(let extent): extent.constant.map { Double($0) }
    case .real(let number): number
    case .unknown: nil
    }
  }

  /// The whole number that a whole or real entry stands for, where that is exact.
  public var exactWhole: Extent? {
    switch self {
    case .whole(let extent): extent
    case .real(let number): Int(exactly: number).map { Extent($0) }
    case .unknown: nil
    }
  }
}
