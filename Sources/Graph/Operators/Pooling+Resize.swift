extension Pooling {
  /// The shape that Resize and Upsample make of `data`: `sizes` name extents, `scales` multiply them, both for all axes or for those of
  /// the attribute `axes`.
  func resizedShape(_ data: TensorType, _ context: InferenceContext) throws(Diagnostic) -> [Extent] {
    let axes = try context.attributes.ints(.axes).map { (listed) throws(Diagnostic) in try context.axes(listed, rank: data.rank) }
    let named = axes ?? Array(0..<data.rank)
    if let sizes = context.optionalType(3), sizes.elementCount != Extent(0) {
      try requireCount(sizes, named, "sizes", context)
      return try resized(data.shape, named, to: context.known(3)?.entries.map(\.whole), context)
    }
    let operand = self == .upsample || context.opset < 11 ? 1 : 2
    guard let scales = context.optionalType(operand), scales.elementCount != Extent(0) else {
      throw context.failure("neither scales nor sizes are given")
    }
    try requireCount(scales, named, "scales", context)
    let factors = context.reals(operand: operand) ?? []
    var shape = data.shape
    for (at, axis) in named.enumerated() {
      guard factors.indices.contains(at), let factor = factors[at] else {
        shape[axis] = context.unknownExtent(axis: axis)
        continue
      }
      try context.require(factor > 0, "scales name \(factor) for axis \(axis), which is not positive")
      // The region of tf_crop_and_resize changes what is sampled; no runtime lets it change how much.
      shape[axis] = Self.scaled(shape[axis], by: Float(factor))
    }
    return shape
  }

  /// floor(extent · factor), the product of numbers rounded to 32 bits as runtimes do. A symbol is multiplied by the factor's fraction
  /// p/q, q up to 64; a factor that is none gives a symbol named by the expression.
  static func scaled(_ extent: Extent, by factor: Float) -> Extent {
    if factor == 1 { return extent }
    if let number = extent.constant {
      let product = (Float(number) * factor).rounded(.down)
      return Int(exactly: product).map { Extent($0) } ?? .function("floor", extent, "*", .symbol("\(factor)"))
    }
    for q in 1...64 {
      let p = (factor * Float(q)).rounded()
      if p / Float(q) == factor, let p = Int(exactly: p), p < 1 << 20 { return (extent * Extent(p)).floorDivided(by: Extent(q)) }
    }
    return .function("floor", extent, "*", .symbol("\(factor)"))
  }

  private func requireCount(_ list: TensorType, _ axes: [Int], _ what: String, _ context: InferenceContext) throws(Diagnostic) {
    try context.agree(list.elementCount, Extent(axes.count)) { "\(what) has \($0) numbers for \($1) axes" }
  }

  /// Extents that `sizes` name; with a policy other than `stretch` one scale serves all named axes, the smallest (`not_larger`) or the
  /// largest (`not_smaller`).
  private func resized(
    _ shape: [Extent], _ axes: [Int], to sizes: [Extent?]?, _ context: InferenceContext
  ) throws(Diagnostic) -> [Extent] {
    let policy = context.attributes.string(.keepAspectRatioPolicy) ?? "stretch"
    try context.require(
      ["stretch", "not_larger", "not_smaller"].contains(policy),
      "keep_aspect_ratio_policy is \(policy), which is none of stretch, not_larger, not_smaller")
    var result = shape
    if policy == "stretch" {
      for (at, axis) in axes.enumerated() {
        result[axis] = sizes.flatMap { $0.indices.contains(at) ? $0[at] : nil } ?? context.unknownExtent(axis: axis)
        if let number = result[axis].constant { try context.require(number > 0, "sizes name \(number) for axis \(axis)") }
      }
      return result
    }
    let wanted = (sizes ?? []).compactMap { $0?.constant }
    let extents = axes.compactMap { shape[$0].constant }
    guard wanted.count == axes.count, extents.count == axes.count, !extents.contains(0) else {
      for axis in axes { result[axis] = context.unknownExtent(axis: axis) }
      return result
    }
    let factors = zip(wanted, extents).map { Float($0) / Float($1) }
    let factor = (policy == "not_larger" ? factors.min() : factors.max()) ?? 1
    for (axis, extent) in zip(axes, extents) {
      result[axis] =
        Int(exactly: (factor * Float(extent) + 0.5).rounded(.down)).map { Extent($0) } ?? context.unknownExtent(axis: axis)
    }
    return result
  }
}
