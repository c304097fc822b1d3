/// Slides a weight over spatial axes.
public enum Convolution: String, CaseIterable, Sendable, Hashable {
  case conv = "Conv"
  case convInteger = "ConvInteger"
  case convTranspose = "ConvTranspose"
  case deformConv = "DeformConv"
  case quantisedConv = "QLinearConv"
  case fusedConv = "com.microsoft.FusedConv"
}

extension Convolution: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .conv, .convTranspose: Signature(2...3)
    case .convInteger, .fusedConv: Signature(2...4)
    case .deformConv: Signature(3...5)
    case .quantisedConv: Signature(8...9)
    }
  }

  /// Which operand is the weight.
  public var weightOperand: Int {
    switch self {
    case .conv, .convInteger, .convTranspose, .deformConv, .fusedConv: 1
    case .quantisedConv: 3
    }
  }

  /// Which operand is the bias; nil where the operator takes none.
  public var biasOperand: Int? {
    switch self {
    case .conv, .convTranspose, .fusedConv: 2
    case .deformConv: 3
    case .quantisedConv: 8
    case .convInteger: nil
    }
  }

  /// Types of the results: [batch, channels, spatial axes].
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let weight = try context.type(weightOperand)
    try context.require(rankAtLeast: 3, of: data, "the input")
    try context.require(
      weight.rank == data.rank, "the input has \(data.rank) axes, the weight \(weight.rank): \(data) and \(weight)")
    try Self.requireKernel(weight, context)
    let shape = self == .convTranspose ? try transposed(data, weight, context) : try forward(data, weight, context)
    if let bias = biasOperand { try context.requireList(bias, of: shape[1], "the bias") }
    switch self {
    case .conv, .convTranspose: context.set(0, try context.sharedElement(operands: 0...2), shape)
    case .fusedConv:
      if let summand = context.optionalType(3) { try context.requireBroadcast(summand.shape, to: shape, "the summand") }
      context.set(0, try context.sharedElement(operands: 0...3), shape)
    case .convInteger: context.set(0, .i32, shape)
    case .quantisedConv:
      for (index, what) in [(4, "the weight's scale"), (5, "the weight's zero point")] {
        if let type = context.optionalType(index), type.rank == 1, type.shape[0] != Extent(1) {
          try context.requireList(index, of: shape[1], what)
        }
      }
      context.set(0, try context.type(7).element, shape)
    case .deformConv: context.set(0, try deformed(data, weight, shape, context), shape)
    }
  }

  private static func requireKernel(_ weight: TensorType, _ context: InferenceContext) throws(Diagnostic) {
    guard let stated = context.attributes.ints(.kernelShape), !stated.isEmpty else { return }
    try context.require(
      stated.count == weight.rank - 2, "kernel_shape \(stated) does not fit the spatial axes of the weight \(weight)")
    for (extent, number) in zip(weight.shape.dropFirst(2), stated) {
      try context.agree(extent, Extent(number)) { "kernel_shape \(stated) contradicts the weight \(weight): \($1) against \($0)" }
    }
  }

  /// Weight [results, channels / group, kernel].
  private func forward(_ data: TensorType, _ weight: TensorType, _ context: InferenceContext) throws(Diagnostic) -> [Extent] {
    let group = context.attributes.int(.group) ?? 1
    _ = try context.divide(data.shape[1], into: group, "channels of the input", "group")
    _ = try context.divide(weight.shape[0], into: group, "channels that the weight makes", "group")
    try context.agree(data.shape[1], weight.shape[1] * Extent(group)) {
      "channels of the input are \($0), the weight \(weight) expects \($1)" + (group == 1 ? "" : " in \(group) groups")
    }
    let window = try context.window(kernel: Array(weight.shape.dropFirst(2)))
    return [data.shape[0], weight.shape[0]] + (try context.spatialExtents(Array(data.shape.dropFirst(2)), window))
  }

  /// Weight [channels, results / group, kernel].
  private func transposed(_ data: TensorType, _ weight: TensorType, _ context: InferenceContext) throws(Diagnostic) -> [Extent] {
    let group = context.attributes.int(.group) ?? 1
    let channels = try context.agree(data.shape[1], weight.shape[0]) {
      "channels of the input are \($0), the weight \(weight) expects \($1)"
    }
    _ = try context.divide(channels, into: group, "channels of the input", "group")
    let window = try context.window(kernel: Array(weight.shape.dropFirst(2)))
    let added = try context.list(.outputPadding, count: window.rank, default: 0)
    let stated = context.attributes.ints(.outputShape) ?? []
    try context.require(
      [0, window.rank, data.rank].contains(stated.count),
      "output_shape \(stated) does not fit \(window.rank) spatial axes")
    var spatial: [Extent] = []
    for axis in 0..<window.rank {
      let extent = data.shape[axis + 2]
      let stride = Extent(window.strides[axis])
      let result: Extent
      if !stated.isEmpty {
        result = Extent(stated[stated.count - window.rank + axis])
      } else {
        let full = (extent - 1) * stride + Extent(added[axis]) + window.reach(axis)
        switch window.padding {
        case .explicit, .valid: result = full - Extent(window.before[axis]) - Extent(window.after[axis])
        // Cut to extent · stride; a window shorter than the stride leaves nothing to cut.
        case .sameUpper, .sameLower: result = full.isLess(than: extent * stride) == true ? full : extent * stride
        }
      }
      if let number = result.constant, number < 1, extent != Extent(0) {
        throw context.failure("spatial axis \(axis) of extent \(extent) would become \(number) long")
      }
      spatial.append(result)
    }
    return [data.shape[0], weight.shape[1] * Extent(group)] + spatial
  }

  /// Checks the offsets and the mask; gives the element type.
  private func deformed(
    _ data: TensorType, _ weight: TensorType, _ shape: [Extent], _ context: InferenceContext
  ) throws(Diagnostic) -> ElementType {
    let groups = context.attributes.int(.offsetGroup) ?? 1
    _ = try context.divide(data.shape[1], into: groups, "channels of the input", "offset_group")
    let points = weight.shape.dropFirst(2).reduce(Extent(groups), *)
    let wanted = [(2, "the offset", points * Extent(weight.rank - 2)), (4, "the mask", points)]
    for (index, what, channels) in wanted {
      guard let type = context.optionalType(index) else { continue }
      try context.require(shape: [shape[0], channels] + shape.dropFirst(2), of: type, what)
    }
    return try context.sharedElement(operands: 0...4)
  }
}
