import Foundation

extension Pooling {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .maxPool: try Self.evaluateMax(&context)
    case .averagePool: try Self.evaluateAverage(&context)
    case .lpPool: try Self.evaluateLp(&context)
    case .globalAveragePool: try Self.evaluateGlobal(&context) { $0.reduce(0, +) / Double($0.count) }
    case .globalMaxPool: try Self.evaluateGlobal(&context) { Self.largest($0) }
    case .globalLpPool:
      let p = Double(context.attributes.int(.p) ?? 2)
      try Self.evaluateGlobal(&context) { Self.norm($0, p) }
    case .maxUnpool: try Self.evaluateUnpool(&context)
    case .resize, .upsample: try evaluateResize(&context)
    case .roiAlign: try Self.evaluateRoiAlign(&context)
    case .maxRoiPool: try Self.evaluateMaxRoiPool(&context)
    case .gridSample: try Self.evaluateGridSample(&context)
    case .affineGrid: try Self.evaluateAffineGrid(&context)
    case .dft: try Self.evaluateFourier(&context)
    case .stft: try Self.evaluateShortTimeFourier(&context)
    case .quantisedAveragePool, .quantisedGlobalAveragePool:
      throw context.unsupported("this quantised operator can be pruned, but not executed")
    }
  }

  /// (Σ |x|^p)^(1/p).
  private static func norm(_ numbers: some Collection<Double>, _ p: Double) -> Double {
    if p == 1 { return numbers.reduce(0) { $0 + abs($1) } }
    if p == 2 { return numbers.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    return pow(numbers.reduce(0) { $0 + pow(abs($1), p) }, 1 / p)
  }

  private static func largest(_ numbers: some Collection<Double>) -> Double {
    numbers.reduce(-.infinity) { $0 >= $1 || $0.isNaN ? $0 : $1 }
  }

  private static func evaluateGlobal(
    _ context: inout EvaluationContext, _ fold: (ArraySlice<Double>) -> Double
  ) throws(Diagnostic) {
    let data = try context.input(0)
    let numbers = data.reals
    let (lines, width) = (data.shape.prefix(2).reduce(1, *), data.shape.dropFirst(2).reduce(1, *))
    try context.setReals((0..<lines).map { fold(numbers[$0 * width..<($0 + 1) * width]) })
  }

  private static func plan(_ context: EvaluationContext, _ shape: [Int]) throws(Diagnostic) -> WindowPlan {
    guard let kernel = context.attributes.ints(.kernelShape) else {
      throw context.failure("the attribute kernel_shape is missing")
    }
    let extents = Array(try context.input(0).shape.dropFirst(2))
    return try WindowPlan(context, kernel: kernel, extents: extents, positions: Array(shape.dropFirst(2)))
  }

  private static func evaluateMax(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let shape = context.isWanted(0) ? try context.outputShape() : try context.outputShape(1)
    let plan = try plan(context, shape)
    let numbers = data.reals
    let (lines, positions, extent) = (shape.prefix(2).reduce(1, *), plan.positionCount, plan.extentCount)
    // A window over nothing but padding holds the least number there is.
    let least = QuantisedNumbers.range(data.element)?.lowerBound ?? -.infinity
    let columnMajor = context.attributes.flag(.storageOrder)
    var values = [Double](repeating: least, count: lines * positions)
    var indices = [Int](repeating: 0, count: context.isWanted(1) ? lines * positions : 0)
    for position in 0..<positions {
      var sources: [Int] = []
      plan.visit(position: position) { sources.append($0) }
      guard let first = sources.first else { continue }
      for line in 0..<lines {
        var (best, at) = (numbers[line * extent + first], first)
        for source in sources.dropFirst() {
          let number = numbers[line * extent + source]
          if number > best || number.isNaN && !best.isNaN { (best, at) = (number, source) }
        }
        values[line * positions + position] = best
        if !indices.isEmpty {
          indices[line * positions + position] = line * extent + (columnMajor ? turned(at, plan.extents) : at)
        }
      }
    }
    try context.setReals(values)
    try context.setWholes(indices, at: 1)
  }

  /// The flat index with the first spatial axis running fastest.
  private static func turned(_ flat: Int, _ extents: [Int]) -> Int {
    var (result, step) = (0, 1)
    for (index, extent) in zip(WindowPlan.unravel(flat, extents), extents) {
      result += index * step
      step *= extent
    }
    return result
  }

  private static func evaluateAverage(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let shape = try context.outputShape()
    let plan = try plan(context, shape)
    let numbers = data.reals
    let countsPads = context.attributes.flag(.countIncludePad)
    let (lines, positions, extent) = (shape.prefix(2).reduce(1, *), plan.positionCount, plan.extentCount)
    var result = [Double](repeating: 0, count: lines * positions)
    for position in 0..<positions {
      var sources: [Int] = []
      plan.visit(position: position) { sources.append($0) }
      let count = countsPads ? Self.pointsWithPads(plan, position) : sources.count
      for line in 0..<lines {
        var sum = 0.0
        for source in sources { sum += numbers[line * extent + source] }
        result[line * positions + position] = count == 0 ? 0 : sum / Double(count)
      }
    }
    try context.setReals(result)
  }

  /// Points of the window that lie inside the axes or their pads; those that hang over the last pad do not count.
  private static func pointsWithPads(_ plan: WindowPlan, _ position: Int) -> Int {
    let at = WindowPlan.unravel(position, plan.positions)
    return at.indices.reduce(1) { count, axis in
      let start = at[axis] * plan.strides[axis] - plan.before[axis]
      let room = plan.extents[axis] + plan.after[axis] - start
      return count * max(0, min(plan.kernel[axis], (room + plan.dilations[axis] - 1) / plan.dilations[axis]))
    }
  }

  private static func evaluateLp(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let shape = try context.outputShape()
    let plan = try plan(context, shape)
    let numbers = data.reals
    let p = Double(context.attributes.int(.p) ?? 2)
    let (lines, positions, extent) = (shape.prefix(2).reduce(1, *), plan.positionCount, plan.extentCount)
    var result = [Double](repeating: 0, count: lines * positions)
    for position in 0..<positions {
      var sources: [Int] = []
      plan.visit(position: position) { sources.append($0) }
      for line in 0..<lines { result[line * positions + position] = norm(sources.map { numbers[line * extent + $0] }, p) }
    }
    try context.setReals(result)
  }

  /// Puts each number where its index says; indices count through the shape that the window gives, which `output_shape` may enlarge.
  private static func evaluateUnpool(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, indices) = (try context.input(0), try context.wholes(1))
    let shape = try context.outputShape()
    let plan = try plan(context, data.shape)
    guard indices.count == data.count else { throw context.failure("\(indices.count) indices for \(data.count) numbers") }
    let inferred =
      data.shape.prefix(2)
      + plan.kernel.indices.map { axis in
        (data.shape[axis + 2] - 1) * plan.strides[axis] + plan.kernel[axis] - plan.before[axis] - plan.after[axis]
      }
    guard let count = Tensor.count(Array(inferred)), let total = Tensor.count(shape), total <= 1 << 33 else {
      throw context.failure("the window does not fit the input")
    }
    let strides = Tensor.strides(shape)
    let numbers = data.reals
    var result = [Double](repeating: 0, count: total)
    for (number, index) in zip(numbers, indices) {
      guard (0..<count).contains(index) else { throw context.failure("index \(index) is outside a result of \(count) numbers") }
      let place = WindowPlan.unravel(index, Array(inferred))
      guard zip(place, shape).allSatisfy({ $0 < $1 }) else {
        throw context.failure("index \(index) is outside the result of shape \(shape)")
      }
      result[zip(place, strides).reduce(0) { $0 + $1.0 * $1.1 }] = number
    }
    try context.setReals(result)
  }
}
