extension Quantisation {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .quantizeLinear: try Self.quantise(&context)
    case .dequantizeLinear: try Self.dequantise(&context)
    case .dynamicQuantizeLinear: try Self.quantiseDynamically(&context)
    }
  }

  /// Which number of the scale belongs to a number of the data.
  private struct Places {
    let lines: AxisLines?
    let block: Int

    init(_ context: EvaluationContext, _ shape: [Int]) throws(Diagnostic) {
      let scale = try context.input(1)
      let size = context.attributes.int(.blockSize) ?? 0
      if scale.count == 1 && (size == 0 || shape.isEmpty) {
        (lines, block) = (nil, 0)
        return
      }
      let axis = shape.count == 1 ? 0 : try context.axis(context.attributes.int(.axis) ?? 1, rank: shape.count)
      let lines = AxisLines(shape, axis: axis)
      let wanted = size == 0 ? lines.length : lines.count * Self.blocks(lines.length, size)
      guard scale.count == wanted else {
        throw context.failure("the scale holds \(scale.count) numbers where \(wanted) are expected")
      }
      (self.lines, block) = (lines, size)
    }

    /// How many blocks of a size a line has, a last one that is not full included.
    private static func blocks(_ length: Int, _ size: Int) -> Int { length / size + (length % size == 0 ? 0 : 1) }

    subscript(_ position: Int) -> Int {
      guard let lines else { return 0 }
      let index = position / lines.inner % lines.length
      if block == 0 { return index }
      let blocks = Self.blocks(lines.length, block)
      return (position / lines.inner / lines.length * blocks + index / block) * lines.inner + position % lines.inner
    }
  }

  private static func zeros(_ context: EvaluationContext, _ scales: Int) throws(Diagnostic) -> [Double]? {
    guard let zeros = context.optional(2) else { return nil }
    guard zeros.count == scales else { throw context.failure("\(zeros.count) zero points for \(scales) scales") }
    return zeros.reals
  }

  private static func quantise(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, scale) = (try context.input(0), try context.input(1))
    let element = try context.outputElement()
    let places = try Places(context, data.shape)
    let (numbers, scales) = (data.reals, scale.reals)
    let zeros = try zeros(context, scales.count)
    // The quotient is rounded to the scale's type, or that of `precision`, before it is rounded to a whole number.
    let stated = context.attributes.int(.precision).flatMap { $0 == 0 ? nil : ElementType(onnxCode: $0) }
    let precision = stated ?? (scale.element.isFloat && scale.element != .f8e8m0 ? scale.element : .f32)
    let quotients = numbers.indices.map { numbers[$0] / scales[places[$0]] }
    let rounded = Tensor(reals: quotients, precision, data.shape).reals
    if let format = SmallFloat(element), element != .f4e2m1 {
      let saturates = context.attributes.flag(.saturate, default: true)
      let codes = rounded.map { format.code($0, saturates: saturates) }
      guard let tensor = Tensor(element, data.shape, data: TensorData(codes)) else {
        throw context.failure("the result has no shape")
      }
      return context.set(0, tensor)
    }
    try context.setReals(
      rounded.indices.map { QuantisedNumbers.quantised(rounded[$0], zero: zeros?[places[$0]] ?? 0, element) })
  }

  private static func dequantise(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let places = try Places(context, data.shape)
    let scales = try context.reals(1)
    let zeros = try zeros(context, scales.count)
    var numbers = data.reals
    for at in numbers.indices {
      let place = places[at]
      numbers[at] = (numbers[at] - (zeros?[place] ?? 0)) * scales[place]
    }
    try context.setReals(numbers)
  }

  /// In 32 bits throughout, as the operator is defined: ties depend on it.
  private static func quantiseDynamically(_ context: inout EvaluationContext) throws(Diagnostic) {
    let numbers = try context.reals(0).map { Float($0) }
    let low = numbers.reduce(0) { min($0, $1) }
    let high = numbers.reduce(0) { max($0, $1) }
    let scale = low == high ? 1 : (high - low) / 255
    let zero = Double(min(max(0 - low / scale, 0), 255).rounded(.toNearestOrEven))
    try context.setReals(numbers.map { QuantisedNumbers.quantised(Double($0 / scale), zero: zero, .u8) })
    try context.setReals([Double(scale)], at: 1)
    try context.setReals([zero], at: 2)
  }
}
