/// Reads windows or sampled places of spatial axes.
public enum Pooling: String, CaseIterable, Sendable, Hashable {
  case affineGrid = "AffineGrid"
  case averagePool = "AveragePool"
  case dft = "DFT"
  case globalAveragePool = "GlobalAveragePool"
  case globalLpPool = "GlobalLpPool"
  case globalMaxPool = "GlobalMaxPool"
  case gridSample = "GridSample"
  case lpPool = "LpPool"
  case maxPool = "MaxPool"
  case maxRoiPool = "MaxRoiPool"
  case maxUnpool = "MaxUnpool"
  case resize = "Resize"
  case roiAlign = "RoiAlign"
  case stft = "STFT"
  case upsample = "Upsample"
  case quantisedAveragePool = "com.microsoft.QLinearAveragePool"
  case quantisedGlobalAveragePool = "com.microsoft.QLinearGlobalAveragePool"
}

extension Pooling: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .affineGrid, .gridSample, .maxRoiPool: Signature(2)
    case .averagePool, .globalAveragePool, .globalLpPool, .globalMaxPool, .lpPool: Signature(1)
    case .quantisedAveragePool, .quantisedGlobalAveragePool: Signature(4...5)
    case .dft: Signature(1...3)
    case .maxPool: Signature(1...1, outputs: 1...2)
    case .maxUnpool: Signature(2...3)
    case .resize: Signature(1...4)
    case .roiAlign: Signature(3)
    case .stft: Signature(2...4)
    case .upsample: Signature(1...2)
    }
  }

  /// Types of the results: batch and channels pass, spatial axes follow from the window, the scale or the sampled places.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    switch self {
    case .averagePool, .lpPool, .maxPool: try Self.inferWindow(data, &context)
    case .quantisedAveragePool, .quantisedGlobalAveragePool:
      guard !context.attributes.flag(.channelsLast) else { return context.set(0, .unranked(data.element)) }
      if self == .quantisedAveragePool {
        try Self.inferWindow(data, &context)
      } else {
        context.set(0, data.element, data.shape.prefix(2) + Array(repeating: Extent(1), count: max(0, data.rank - 2)))
      }
    case .globalAveragePool, .globalLpPool, .globalMaxPool:
      try context.require(rankAtLeast: 2, of: data, "the input")
      context.set(0, data.element, data.shape.prefix(2) + Array(repeating: Extent(1), count: data.rank - 2))
    case .maxUnpool: try Self.inferUnpool(data, &context)
    case .maxRoiPool, .roiAlign: try inferRegions(data, &context)
    case .gridSample: try Self.inferGridSample(data, &context)
    case .affineGrid: try Self.inferAffineGrid(data, &context)
    case .dft: try Self.inferFourier(data, &context)
    case .stft: try Self.inferShortTimeFourier(data, &context)
    case .resize, .upsample: context.set(0, data.element, try resizedShape(data, context))
    }
  }

  /// The extents of the window, which every pool but a global one must state.
  static func kernel(_ data: TensorType, _ context: InferenceContext) throws(Diagnostic) -> [Extent] {
    try context.require(rankAtLeast: 3, of: data, "the input")
    guard let kernel = context.attributes.ints(.kernelShape) else {
      throw context.failure("the attribute kernel_shape is missing")
    }
    try context.require(
      kernel.count == data.rank - 2, "kernel_shape \(kernel) does not fit the \(data.rank - 2) spatial axes of \(data)")
    try context.require(kernel.allSatisfy { $0 > 0 }, "kernel_shape \(kernel) is not positive")
    return kernel.map { Extent($0) }
  }

  private static func inferWindow(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let window = try context.window(kernel: try kernel(data, context))
    let spatial = try context.spatialExtents(
      Array(data.shape.dropFirst(2)), window, ceiling: context.attributes.flag(.ceilMode))
    let shape = Array(data.shape.prefix(2)) + spatial
    context.set(0, data.element, shape)
    context.set(1, .i64, shape)
  }

  private static func inferUnpool(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let window = try context.window(kernel: try kernel(data, context))
    _ = try context.broadcast(operands: 0...1)
    if context.has(2) {
      let stated = context.wholes(operand: 2)
      try context.require((stated?.count ?? data.rank) == data.rank, "output_shape has another number of axes than \(data)")
      return context.set(0, data.element, stated ?? data.shape.indices.map { context.unknownExtent(axis: $0) })
    }
    let spatial = data.shape.dropFirst(2).enumerated().map { axis, extent in
      (extent - 1) * Extent(window.strides[axis]) + window.kernel[axis] - Extent(window.before[axis]) - Extent(window.after[axis])
    }
    context.set(0, data.element, Array(data.shape.prefix(2)) + spatial)
  }

  private func inferRegions(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rank: 4, of: data, "the input")
    let regions = try context.type(1)
    try context.require(rank: 2, of: regions, "the regions")
    let width = self == .roiAlign ? 4 : 5
    try context.agree(regions.shape[1], Extent(width)) { "the regions have \($0) numbers each where \($1) are expected" }
    let size: [Int]
    if self == .roiAlign {
      _ = try context.type(2)
      try context.requireList(2, of: regions.shape[0], "the batch indices")
      size = [context.attributes.int(.outputHeight) ?? 1, context.attributes.int(.outputWidth) ?? 1]
    } else {
      size = context.attributes.ints(.pooledShape) ?? []
      try context.require(size.count == 2, "pooled_shape \(size) is not a height and a width")
    }
    try context.require(size.allSatisfy { $0 > 0 }, "the pooled height and width \(size) are not positive")
    context.set(0, data.element, [regions.shape[0], data.shape[1]] + size.map { Extent($0) })
  }

  private static func inferGridSample(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let grid = try context.type(1)
    try context.require(rankAtLeast: 3, of: data, "the input")
    try context.require(rank: data.rank, of: grid, "the grid")
    try context.agree(grid.shape[grid.rank - 1], Extent(data.rank - 2)) {
      "the grid has \($0) coordinates, the input \($1) spatial axes"
    }
    let batch = try context.agree(data.shape[0], grid.shape[0]) { "the input has \($0) images, the grid \($1)" }
    context.set(0, data.element, [batch, data.shape[1]] + grid.shape[1..<grid.rank - 1])
  }

  private static func inferAffineGrid(_ theta: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rank: 3, of: theta, "theta")
    guard let count = try context.type(1).elementCount.constant ?? context.wholes(operand: 1)?.count else {
      return context.set(0, .unranked(theta.element))
    }
    try context.require(count == 4 || count == 5, "the size has \(count) numbers where 4 or 5 are expected")
    try context.agree(theta.shape[1], Extent(count - 2)) { "theta has \($0) rows where \($1) are expected" }
    try context.agree(theta.shape[2], Extent(count - 1)) { "theta has \($0) columns where \($1) are expected" }
    let entries = context.known(1)?.entries.map(\.whole) ?? Array(repeating: nil, count: count)
    let spatial = (2..<count).map { (entries.indices.contains($0) ? entries[$0] : nil) ?? context.unknownExtent(axis: $0 - 1) }
    context.set(0, theta.element, [theta.shape[0]] + spatial + [Extent(count - 2)])
  }

  /// The last axis holds real and imaginary parts. A transform of real numbers may give half the spectrum, and back.
  private static func inferFourier(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rankAtLeast: 2, of: data, "the input")
    // Since version 20 the axis is an operand.
    let choice = try context.axes(attribute: .axis, operand: 2, rank: data.rank)
    let axis: Int
    switch choice {
    case .absent: axis = try context.axis(context.opset < 20 ? 1 : -2, rank: data.rank)
    case .known(let axes):
      guard let first = axes.first, axes.count == 1 else { throw context.failure("the axis is not one number") }
      axis = first
    case .unknown:
      let shape = data.shape.indices.map { context.unknownExtent(axis: $0) }
      return context.set(0, data.element, shape)
    }
    try context.require(axis < data.rank - 1, "axis \(axis) is the last one, which holds real and imaginary parts")
    let half = context.attributes.flag(.onesided)
    let back = context.attributes.flag(.inverse)
    let length: Extent
    if context.has(1) {
      length = context.wholes(operand: 1)?.first ?? context.unknownExtent(axis: axis)
    } else {
      length = half && back ? (data.shape[axis] - 1) * 2 : data.shape[axis]
    }
    var shape = data.shape
    shape[axis] = half && !back ? length.floorDivided(by: 2) + 1 : length
    shape[data.rank - 1] = half && back ? 1 : 2
    context.set(0, data.element, shape)
  }

  private static func inferShortTimeFourier(_ signal: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rank: 3, of: signal, "the signal")
    let step = context.wholes(operand: 1)?.first
    if let number = step?.constant { try context.require(number > 0, "frame_step is \(number), which is not positive") }
    let window = context.optionalType(2)
    if let window { try context.require(rank: 1, of: window, "the window") }
    var length = window?.shape.first ?? signal.shape[1]
    if context.has(3) {
      let stated = context.wholes(operand: 3)?.first
      if let stated, window != nil {
        length = try context.agree(stated, length) { "frame_length is \($0), the window has \($1) numbers" }
      } else if window == nil {
        length = stated ?? context.unknownExtent(axis: 2)
      }
    }
    let frames = step.map { (signal.shape[1] - length).floorDivided(by: $0) + 1 } ?? context.unknownExtent(axis: 1)
    let bins = context.attributes.flag(.onesided, default: true) ? length.floorDivided(by: 2) + 1 : length
    context.set(0, signal.element, [signal.shape[0], frames, bins, 2])
  }
}
