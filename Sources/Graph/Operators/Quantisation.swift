/// Between real numbers and scaled whole numbers.
public enum Quantisation: String, CaseIterable, Sendable, Hashable {
  case dequantizeLinear = "DequantizeLinear"
  case dynamicQuantizeLinear = "DynamicQuantizeLinear"
  case quantizeLinear = "QuantizeLinear"
}

extension Quantisation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .quantizeLinear, .dequantizeLinear: Signature(2...3)
    case .dynamicQuantizeLinear: Signature(1...1, outputs: 1...3)
    }
  }

  /// Types of the results: the first operand's shape.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    switch self {
    case .dynamicQuantizeLinear:
      context.set(0, .u8, data.shape)
      context.set(1, .f32, [])
      context.set(2, .u8, [])
    case .quantizeLinear:
      try Self.requireScale(data, context)
      let stated = try context.element(attribute: .outputDataType)
      let zero = context.optionalType(2)?.element
      if let stated, let zero, zero != .unknown, stated != zero {
        throw context.failure("output_dtype is \(stated.rawValue), the zero point is \(zero.rawValue)")
      }
      context.set(0, zero ?? stated ?? .u8, data.shape)
    case .dequantizeLinear:
      try Self.requireScale(data, context)
      let scale = try context.type(1).element
      context.set(0, try context.element(attribute: .outputDataType) ?? scale, data.shape)
    }
  }

  /// The scale is one number, a list along `axis`, or of the input's rank with blocks along `axis`; the zero point has its shape.
  private static func requireScale(_ data: TensorType, _ context: InferenceContext) throws(Diagnostic) {
    let scale = try context.type(1)
    if let zero = context.optionalType(2) {
      try context.agree(zero.elementCount, scale.elementCount) {
        "the zero point is \(zero), the scale \(scale): \($0) numbers against \($1)"
      }
    }
    let block = context.attributes.int(.blockSize) ?? 0
    if block == 0 {
      if scale.elementCount == Extent(1) || scale.rank == 0 { return }
      try context.require(
        scale.rank == 1, "the scale is \(scale), neither one number nor a list; a scale of blocks needs block_size")
      let axis = data.rank == 1 ? 0 : try context.axis(context.attributes.int(.axis) ?? 1, rank: data.rank)
      try context.agree(scale.shape[0], data.shape[axis]) {
        "the scale holds \($0) numbers, axis \(axis) of the input \(data) has \($1)"
      }
      return
    }
    try context.require(block > 0, "block_size is \(block), which is not positive")
    try context.require(rank: data.rank, of: scale, "the scale")
    let axis = try context.axis(context.attributes.int(.axis) ?? 1, rank: data.rank)
    for (at, extent) in data.shape.enumerated() {
      let size = Extent(block)
      let wanted = at == axis ? (extent + size - 1).floorDivided(by: size) : extent
      try context.agree(scale.shape[at], wanted) {
        "the scale \(scale) has \($0) on axis \(at), the input \(data) in blocks of \(block) needs \($1)"
      }
    }
  }
}
