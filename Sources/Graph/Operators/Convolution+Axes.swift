extension Convolution {
  static let convolutionRule: AxisRule = "n (g i) *_, (g o) i !*k, (g o) -> n (g o) *t"
  static let fusedRule: AxisRule = "n (g i) *_, (g o) i !*k, (g o), n (g o) *t -> n (g o) *t"
  static let transposedRule: AxisRule = "n (g i) *_, (g i) o !*k, (g o) -> n (g o) *t"
  /// Zero points of the input and, perhaps per channel, of the weight.
  static let integerRule: AxisRule = "n (g i) *_, (g o) i !*k, ?1, ?(g o) -> n (g o) *t"
  static let quantisedRule: AxisRule = "n (g i) *_, ?1, ?1, (g o) i !*k, ?(g o), ?(g o), ?1, ?1, (g o) -> n (g o) *t"
  /// Offsets and mask have a channel per place of the window.
  static let deformableRule: AxisRule = "n (g i) !*_, (g o) i !*k, n ^_ !*_, (g o), n ^_ !*_ -> n (g o) *t"

  /// Channels by groups: input = (g i), output = (g o). Spatial axes stay, except where the window is one.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    let weightIndex = self == .quantisedConv ? 3 : 1
    let group = node.attributes.int(.group) ?? 1
    guard group >= 1, let weight = solver.type(ofInput: weightIndex), weight.rank >= 2,
      let target = spatialAxes(solver, node, kernel: Array(weight.shape.dropFirst(2)))
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a convolution whose shapes do not fit"))
    }
    let rule =
      switch self {
      case .conv: Self.convolutionRule
      case .convInteger: Self.integerRule
      case .convTranspose: Self.transposedRule
      case .deformConv: Self.deformableRule
      case .quantisedConv: Self.quantisedRule
      case .fusedConv: Self.fusedRule
      }
    if self == .deformConv { keepOffsetGroups(solver, node) }
    guard let names = rule.apply(to: solver, sizes: ["g": group], given: ["t": target]) else { return }
    noteRoles(solver, names, group: group)
  }

  /// Offsets are per block of input channels; blocks stay, since the offsets' channels do.
  private func keepOffsetGroups(_ solver: some AxisSolver, _ node: Node) {
    let blocks = node.attributes.int(.offsetGroup) ?? 1
    let channels = solver.axes(ofInput: 0).dropFirst().first
    guard blocks > 1, let channels else { return }
    guard let size = solver.extent(channels).dividedExactly(by: Extent(blocks)) else {
      return solver.freeze(channels, .structure)
    }
    solver.tie(channels, solver.product([solver.fixed(Extent(blocks), .structure), solver.fresh(size)]))
  }

  /// Kinds of channels. A depthwise convolution (one input channel per group) has no groups: g is the channel.
  private func noteRoles(_ solver: some AxisSolver, _ names: AxisRule.Binding, group: Int) {
    guard let outer = names["g"], let input = names["i"], let output = names["o"] else { return }
    if group == 1 {
      solver.note(.convolutionInput, input)
      solver.note(.convolutionOutput, output)
    } else {
      let isDepthwise = solver.extent(input) == 1
      if !isDepthwise {
        solver.note(.groups, outer)
        solver.note(.insideGroup, input)
      }
      if solver.extent(output) != 1 { solver.note(.insideGroup, output) }
    }
  }

  /// The result's spatial axes: the operand's own where the window is one, else of fixed extent, and the operand's are frozen.
  private func spatialAxes(_ solver: some AxisSolver, _ node: Node, kernel: [Extent]) -> [Layout]? {
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    guard let result = solver.type(ofOutput: 0)?.shape, result.count == axes.count, axes.count >= 2, shape.count == axes.count,
      kernel.count == axes.count - 2
    else { return nil }
    let windows = Windows(node.attributes, kernel: kernel, allowed: self != .deformConv)
    return windows.spatialAxes(solver, axes: axes, shape: shape, result: result)
  }
}

/// Which spatial axes a window leaves as they are.
struct Windows {
  private let kernel: [Extent]
  private let strides: [Int]
  private let pads: [Int]
  private let outputPadding: [Int]
  private let allowed: Bool

  /// Windows of a convolution or pool. `allowed` false: no axis passes.
  init(_ attributes: Attributes, kernel: [Extent], allowed: Bool = true) {
    self.kernel = kernel
    strides = attributes.ints(.strides) ?? []
    pads = attributes.ints(.pads) ?? []
    outputPadding = attributes.ints(.outputPadding) ?? []
    self.allowed = allowed
  }

  /// True where kernel and stride are one and nothing is padded along a spatial axis.
  func isOne(_ axis: Int) -> Bool {
    func at(_ list: [Int], _ index: Int, _ missing: Int) -> Int { list.indices.contains(index) ? list[index] : missing }
    return allowed && kernel.indices.contains(axis) && kernel[axis] == 1 && at(strides, axis, 1) == 1 && at(pads, axis, 0) == 0
      && at(pads, axis + kernel.count, 0) == 0 && at(outputPadding, axis, 0) == 0
  }

  /// The spatial axes of the result, for an operand with two leading axes that are not spatial.
  func spatialAxes(_ solver: some AxisSolver, axes: [Layout], shape: [Extent], result: [Extent]) -> [Layout] {
    (2..<max(2, axes.count)).map { axis in
      if isOne(axis - 2), shape[axis] == result[axis] { return axes[axis] }
      solver.freeze(axes[axis], .neighbourhood)
      return solver.fixed(result[axis], .neighbourhood)
    }
  }
}
