/// Reduces, ranks or accumulates along axes.
public enum Reduction: String, CaseIterable, Sendable, Hashable {
  case argMax = "ArgMax"
  case argMin = "ArgMin"
  case cumSum = "CumSum"
  case reduceL1 = "ReduceL1"
  case reduceL2 = "ReduceL2"
  case reduceLogSum = "ReduceLogSum"
  case reduceLogSumExp = "ReduceLogSumExp"
  case reduceMax = "ReduceMax"
  case reduceMean = "ReduceMean"
  case reduceMin = "ReduceMin"
  case reduceProd = "ReduceProd"
  case reduceSum = "ReduceSum"
  case reduceSumSquare = "ReduceSumSquare"
  case topK = "TopK"
}

extension Reduction: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .argMax, .argMin: Signature(1)
    case .cumSum: Signature(2)
    case .topK: Signature(2...2, outputs: 1...2)
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      Signature(1...2)
    }
  }

  /// Types of the results. Reduced axes disappear, or stay with an extent of 1 (`keepdims`, the default).
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    switch self {
    case .argMax, .argMin:
      let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
      context.set(0, .i64, Self.reduced(data.shape, [axis], keep: context.attributes.flag(.keepDims, default: true)))
    case .cumSum:
      if let axes = context.numbers(operand: 1) { _ = try context.axes(axes, rank: data.rank) }
      context.set(0, data)
    case .topK: try Self.inferTopK(data, &context)
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      try Self.inferReduce(data, &context)
      foldNumbers(&context)
    }
  }

  /// The axes that a Reduce operator reduces: an attribute, or since version 13 (sum) and 18 (the others) the second operand. None
  /// named means all of them, or none at all with `noop_with_empty_axes`.
  static func reducedAxes(_ context: InferenceContext, rank: Int) throws(Diagnostic) -> AxisChoice {
    switch try context.axes(operand: 1, rank: rank) {
    case .known(let axes) where !axes.isEmpty: .known(axes)
    case .unknown(let count) where count != 0: .unknown(count: count)
    case .absent, .known, .unknown: .known(context.attributes.flag(.noopWithEmptyAxes) ? [] : Array(0..<rank))
    }
  }

  private static func reduced(_ shape: [Extent], _ axes: [Int], keep: Bool) -> [Extent] {
    let gone = Set(axes)
    if keep { return shape.enumerated().map { gone.contains($0.offset) ? 1 : $0.element } }
    return shape.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
  }

  private static func inferReduce(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let keep = context.attributes.flag(.keepDims, default: true)
    switch try reducedAxes(context, rank: data.rank) {
    case .known(let axes): context.set(0, data.element, reduced(data.shape, axes, keep: keep))
    case .absent: context.set(0, data)
    case .unknown(let count):
      guard let rank = keep ? data.rank : count.map({ data.rank - $0 }) else { return context.set(0, .unranked(data.element)) }
      try context.require(rank >= 0, "\(data.rank - rank) axes are to be reduced of \(data)")
      context.set(0, data.element, (0..<rank).map { context.unknownExtent(axis: $0) })
    }
  }

  private static func inferTopK(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: data.rank)
    try context.agree(try context.type(1).elementCount, 1) { count, _ in "k holds \(count) numbers where one is expected" }
    var shape = data.shape
    shape[axis] = context.wholes(operand: 1)?.first ?? context.unknownExtent(axis: axis)
    if let k = shape[axis].constant, let extent = data.shape[axis].constant {
      try context.require((0...extent).contains(k), "the \(k) largest are asked of an axis of extent \(extent)")
    }
    context.set(0, data.element, shape)
    context.set(1, .i64, shape)
  }
}
