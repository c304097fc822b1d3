extension Pooling {
  static let globalRule: AxisRule = "n c *s -> n c *1"
  static let windowRule: AxisRule = "n c *_ -> n c *t, n c *t"
  static let quantisedGlobalRule: AxisRule = "n c *s, ^*_, ^*_, ^*_, ^*_ -> n c *1"
  static let quantisedWindowRule: AxisRule = "n c *_, ^*_, ^*_, ^*_, ^*_ -> n c *t"
  static let sampleRule: AxisRule = "n c !*_, n !*_ -> n c !*t"
  static let regionRule: AxisRule = "^n c !h !w, r ^_ -> r c !y !x"
  static let alignedRegionRule: AxisRule = "^n c !h !w, r ^_, r -> r c !y !x"
  static let unpoolRule: AxisRule = "n c !*_, n c !*_, #*_ -> n c !*t"
  static let gridRule: AxisRule = "n !*_, ^_ -> n !*t"
  static let frameRule: AxisRule = "b ^*_, ^*_, ^*_, ^*_ -> b ^*t"

  /// Batch and channel pass; spatial axes keep all their indices, except where the window is one.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .averagePool, .lpPool, .maxPool: relateWindows(solver, node)
    case .quantisedAveragePool, .quantisedGlobalAveragePool:
      solver.keepSettings()
      guard !node.attributes.flag(.channelsLast) else {
        return solver.freezeNode(.unsupported("a pool whose channels come last"))
      }
      if self == .quantisedAveragePool { return relateWindows(solver, node) }
      Self.quantisedGlobalRule.apply(to: solver)
    case .globalAveragePool, .globalLpPool, .globalMaxPool: Self.globalRule.apply(to: solver)
    case .gridSample: Self.sampleRule.apply(to: solver)
    case .maxRoiPool: Self.regionRule.apply(to: solver)
    case .roiAlign: Self.alignedRegionRule.apply(to: solver)
    case .maxUnpool: Self.unpoolRule.apply(to: solver)
    case .affineGrid: Self.gridRule.apply(to: solver)
    case .resize, .upsample: relateResize(solver, node)
    case .dft: relateTransform(solver, node)
    case .stft: Self.frameRule.apply(to: solver)
    }
  }

  private func relateWindows(_ solver: some AxisSolver, _ node: Node) {
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let kernel = node.attributes.ints(.kernelShape) ?? []
    let result = (solver.type(ofOutput: 0) ?? solver.type(ofOutput: 1))?.shape ?? []
    guard axes.count >= 2, shape.count == axes.count, result.count == axes.count, kernel.count == axes.count - 2 else {
      solver.escapeAll()
      return solver.freezeNode(.neighbourhood)
    }
    let windows = Windows(node.attributes, kernel: kernel.map { Extent($0) })
    let rule = self == .quantisedAveragePool ? Self.quantisedWindowRule : Self.windowRule
    rule.apply(to: solver, given: ["t": windows.spatialAxes(solver, axes: axes, shape: shape, result: result)])
  }

  /// An axis that keeps its length and is scaled by one passes; others are interpolated.
  private func relateResize(_ solver: some AxisSolver, _ node: Node) {
    solver.escape(input: 0)
    solver.keepSettings()
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    guard let result = solver.type(ofOutput: 0), result.rank == axes.count, shape.count == axes.count else { return }
    let passing = passingAxes(solver, node, rank: axes.count)
    solver.give(
      axes.enumerated().map { at, layout in
        if passing[at], shape[at] == result.shape[at] { return layout }
        solver.freeze(layout, .neighbourhood)
        return solver.fixed(result.shape[at], .neighbourhood)
      })
  }

  /// Axes that are known to be scaled by one where the result is as long as the operand.
  private func passingAxes(_ solver: some AxisSolver, _ node: Node, rank: Int) -> [Bool] {
    var result = Array(repeating: true, count: rank)
    let axes = node.attributes.ints(.axes).flatMap { solver.normalised($0, rank: rank) } ?? Array(0..<rank)
    let cropsRegion = node.attributes.string(.coordinateTransformationMode) == "tf_crop_and_resize"
    // Operator set 10 has (x, scales), later ones (x, region, scales, sizes).
    let scalesInput = self == .upsample || solver.opset < 11 ? 1 : 2
    let sizesGiven = self == .resize && (solver.type(ofInput: 3).map { $0.elementCount != 0 } ?? false)
    let stretches = (node.attributes.string(.keepAspectRatioPolicy) ?? "stretch") == "stretch"
    let known = solver.known(ofInput: scalesInput)?.entries
    for (at, axis) in axes.enumerated() {
      let isOne: Bool
      if sizesGiven {
        isOne = stretches
      } else if let known, known.indices.contains(at) {
        switch known[at] {
        case .real(let scale): isOne = scale == 1
        case .whole(let scale): isOne = scale == 1
        case .unknown: isOne = false
        }
      } else {
        isOne = false
      }
      result[axis] = isOne && !cropsRegion
    }
    return result
  }

  /// A Fourier transform mixes its signal axis and the pair of real and imaginary parts.
  private func relateTransform(_ solver: some AxisSolver, _ node: Node) {
    solver.escape(input: 0)
    solver.keepSettings()
    let axes = solver.axes(ofInput: 0)
    guard let result = solver.type(ofOutput: 0), result.rank == axes.count else { return }
    let axis = solver.has(2) ? solver.number(ofInput: 2) : node.attributes.int(.axis) ?? (solver.opset < 20 ? 1 : -2)
    guard let signal = axis.flatMap({ solver.normalised($0, rank: axes.count) }) else {
      solver.freezeInput(0, .order)
      return solver.setFixed(output: 0, .order)
    }
    solver.give(
      axes.enumerated().map { at, layout in
        guard at == signal || at == axes.count - 1 else { return layout }
        solver.freeze(layout, .order)
        return solver.fixed(result.shape[at], .order)
      })
  }
}
