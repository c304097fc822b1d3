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
  /// The one number that the attribute `value` holds, and its type; a zero of 32 bits where it is left out.
  private static func filler(_ context: InferenceContext) throws(Diagnostic) -> (ElementType, KnownValue.Entry) {
    guard let value = context.attributes[.value] else { return (.f32, .real(0)) }
    guard case .tensor(let type, let data) = value, let shape = type.staticShape, type.elementCount == Extent(1) else {
      throw context.failure("value is no tensor of one number")
    }
    let content = TensorContent(data, element: type.element, shape: shape)
    return (type.element, KnownValue(content)?.entries.first ?? .unknown)
  }

  private static func constantOfShape(_ context: inout InferenceContext) throws(Diagnostic) {
    let (element, filler) = try Self.filler(context)
    guard let entries = try context.extentEntries(0) else { return context.set(0, .unranked(element)) }
    let shape = entries.indices.map { entries[$0].whole ?? context.unknownExtent(axis: $0) }
    for axis in shape.indices {
      if let number = shape[axis].constant, number < 0 {
        throw context.failure("axis \(axis) is to have the negative extent \(number)")
      }
    }
    context.set(0, element, shape)
    if let numbers = TensorType(element, shape).staticShape { context.setKnown(0, KnownValue.filled(numbers, with: filler)) }
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
    let bounds = (0..<3).map { context.known($0)?.entries.first ?? .unknown }
    if bounds[2].number == 0 { throw context.failure("the step is 0") }
    let wholes = bounds.compactMap(\.exactWhole)
    if wholes.count == 3 {
      let count = count(from: wholes[0], to: wholes[1], by: wholes[2])
      context.set(0, element, [count ?? context.unknownExtent(axis: 0)])
      if let number = count?.constant { context.setKnown(0, steps(number, from: wholes[0], by: wholes[2], element)) }
      return
    }
    context.set(0, element, [count(of: bounds.compactMap(\.number)) ?? context.unknownExtent(axis: 0)])
  }

  /// How many steps real bounds give; nil where not all are known.
  private static func count(of bounds: [Double]) -> Extent? {
    guard bounds.count == 3 else { return nil }
    let count = ((bounds[1] - bounds[0]) / bounds[2]).rounded(.up)
    return count.isFinite && count < 0x1p52 ? Extent(Int(max(0, count))) : nil
  }

  private static func steps(_ count: Int, from start: Extent, by delta: Extent, _ element: ElementType) -> KnownValue? {
    guard count <= KnownValue.limit else { return nil }
    let entries = (0..<count).map { at -> KnownValue.Entry in
      let whole = start + delta * Extent(at)
      if element.isFloat, let number = whole.constant { return .real(Double(number)) }
      return .whole(whole)
    }
    return KnownValue(shape: [count], entries: entries)
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
