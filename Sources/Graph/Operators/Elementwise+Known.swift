extension Elementwise {
  /// What is known of the numbers of the result: entry by entry, where the result is small and operands are known.
  func foldNumbers(_ context: inout InferenceContext) {
    let inputs = context.inputCount
    guard inputs > 0, context.outputCount > 0, let type = context.outputTypes[0] else { return }
    if self == .dropout { return }
    // Where the condition is known, one of the two choices may be.
    let required = self == .choose ? 0..<1 : 0..<inputs
    for index in required where context.known(index) == nil && (self != .clip || context.has(index)) { return }
    guard let shape = type.staticShape, let count = KnownValue.count(shape) else { return }
    var operands: [KnownValue] = []
    for index in 0..<inputs {
      guard let known = context.known(index) ?? KnownValue.filled([], with: .unknown), let spread = known.broadcast(shape) else {
        return
      }
      operands.append(spread)
    }
    let source = context.optionalType(self == .choose ? 1 : 0)?.element ?? type.element
    let arithmetic = KnownArithmetic(
      operation: self, source: source, element: type.element, truncates: context.attributes.flag(.fmod),
      hasBounds: (context.has(1), context.has(2)))
    var isUseful = false
    let entries = (0..<count).map { at in
      let entry = arithmetic.entry(operands.map { $0.entries[at] })
      if entry != .unknown { isUseful = true }
      return entry
    }
    if isUseful || count == 0 { context.setKnown(0, KnownValue(shape: shape, entries: entries)) }
  }
}

extension Reduction {
  /// What is known of the numbers of a sum, product, maximum or minimum of small whole tensors.
  func foldNumbers(_ context: inout InferenceContext) {
    let operation: Elementwise
    switch self {
    case .reduceSum: operation = .add
    case .reduceProd: operation = .mul
    case .reduceMax: operation = .max
    case .reduceMin: operation = .min
    case .argMax, .argMin, .cumSum, .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMean, .reduceSumSquare, .topK:
      return
    }
    guard let known = context.known(0), let type = context.outputTypes.first, let element = type?.element,
      let shape = type?.staticShape, case .known(let axes)? = try? Self.reducedAxes(context, rank: known.shape.count)
    else { return }
    let arithmetic = KnownArithmetic(operation: operation, source: element, element: element, truncates: false)
    let gone = Set(axes)
    let kept = known.shape.indices.map { gone.contains($0) ? 1 : known.shape[$0] }
    var results: [KnownValue.Entry?] = Array(repeating: nil, count: KnownValue.count(kept) ?? 0)
    let strides = KnownValue.strides(kept)
    var at = 0
    _ = KnownValue.made(known.shape) { index in
      let target = index.indices.reduce(0) { gone.contains($1) ? $0 : $0 + index[$1] * strides[$1] }
      let entry = known.entries[at]
      at += 1
      // Sums of reals depend on their order; those of whole numbers do not.
      let isExact = !element.isFloat || operation == .max || operation == .min || entry.exactWhole != nil
      results[target] = isExact ? results[target].map { arithmetic.entry([$0, entry]) } ?? entry : .unknown
      return .unknown
    }
    let entries = results.map { ($0 ?? .unknown).limited(element) }
    if entries.contains(where: { $0 != .unknown }) { context.setKnown(0, KnownValue(shape: shape, entries: entries)) }
  }
}

extension KnownValue.Entry {
  /// Unknown where a sum of whole numbers is too large for a float type to hold every number below it.
  fileprivate func limited(_ element: ElementType) -> KnownValue.Entry {
    guard element.isFloat, let number else { return self }
    let largest: Double
    switch element {
    case .f64: largest = 0x1p53
    case .f32: largest = 0x1p24
    case .f16: largest = 0x1p11
    case .bf16: largest = 0x1p8
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2,
      .f8e5m2fnuz,
      .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return .unknown
    }
    return abs(number) <= largest ? self : .unknown
  }
}
