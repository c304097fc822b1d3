extension Pooling {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .averagePool: .pieces(Self.average)
    case .lpPool:
      .pieces { context throws(Diagnostic) in
        let p = Double(context.attributes.int(.p) ?? 2)
        let sum = try PoolWindow(context).sum(of: try context.input(0).magnitude.power(p))
        context.set(0, p == 2 ? sum.squareRoot : sum.power(1 / p))
      }
    case .globalAveragePool:
      .pieces { context throws(Diagnostic) in
        let x = try context.input(0)
        context.set(0, x.mean(Array(2..<x.rank)))
      }
    case .globalMaxPool:
      .pieces { context throws(Diagnostic) in
        let x = try context.input(0)
        context.set(0, x.largest(Array(2..<x.rank)))
      }
    case .globalLpPool:
      .pieces { context throws(Diagnostic) in
        let x = try context.input(0)
        let (p, axes) = (Double(context.attributes.int(.p) ?? 2), Array(2..<x.rank))
        context.set(0, p == 2 ? x.length(axes) : x.magnitude.power(p).sum(axes).power(1 / p))
      }
    case .maxPool: .chain(Self.largest)
    case .maxUnpool: .chain(Self.unpooled)
    case .resize, .upsample: .pieces(resized)
    case .gridSample: .pieces(Self.sampled)
    case .affineGrid: .pieces(Self.mapped)
    case .roiAlign, .maxRoiPool: .none("it samples regions that another layer computes, and its rule is not written")
    case .dft, .stft: .none("its rule is not written")
    case .quantisedAveragePool, .quantisedGlobalAveragePool: .none("it computes with quantised numbers")
    }
  }

  /// A sum over the window, by how many numbers count.
  private static func average(_ context: inout PiecesContext) throws(Diagnostic) {
    let window = try PoolWindow(context)
    let sum = try window.sum(of: try context.input(0))
    context.set(0, sum / window.counts(sum, countsPads: context.attributes.flag(.countIncludePad)))
  }

  /// The place of the largest number gets the gradient; of those that tie, the first.
  private static func largest(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, g) = (try context.input(0), try context.gradient())
    let entries = context.attributes.entries.filter { $0.name != .storageOrder }
    let isRowMajor = !context.attributes.flag(.storageOrder)
    let places =
      isRowMajor ? try context.secondResult() : x.writer.nodes(context.node.operation, [x], entries, results: 2)[1]
    let flat = x.reshaped([-1])
    context.give(0, g.reshaped([-1]).scattered(axis: 0, places.reshaped([-1]), like: flat).reshaped(like: x))
  }

  private static func unpooled(_ context: inout GradientContext) throws(Diagnostic) {
    guard context.optional(2) == nil else { throw context.failure("with a stated output shape its rule is not written") }
    let (x, g) = (try context.input(0), try context.gradient())
    context.give(0, g.reshaped([-1]).gathered(axis: 0, try context.input(1).reshaped([-1])).reshaped(like: x))
  }

  /// Axis by axis: the nearest number is gathered, a mean of several is a product with a matrix of shares.
  private func resized(_ context: inout PiecesContext) throws(Diagnostic) {
    var x = try context.input(0)
    for (axis, shares) in try resizeShares(context) {
      let matrix = Tensor(reals: shares.joined().map { $0 }, .f64, [shares.count, shares.first?.count ?? 0])
      let nearest = shares.map { row in row.filter { $0 != 0 }.count == 1 ? row.firstIndex(of: 1) : nil }.compactMap(\.self)
      if nearest.count == shares.count {
        x = x.gathered(axis: axis, context.writer.list(nearest))
      } else {
        let weights = context.writer.constant(Tensor(reals: matrix.reals, x.element, matrix.shape))
        // [T, L] · [L, rest] with the axis in front of the last, or behind it.
        let moved = x.moving(axis: axis, to: x.rank - 1).times(weights.transposed)
        x = moved.moving(axis: x.rank - 1, to: axis)
      }
    }
    context.set(0, x)
  }
}

/// A window of a pool, its pads settled.
private struct PoolWindow {
  let window: SpatialWindow
  let before: [Int]
  /// Pads at the end, as stated, and as far as the last window reaches.
  let after: [Int]
  let reach: [Int]
  let extents: [Extent]
  let positions: [Extent]
  let element: ElementType

  init(_ context: PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    guard let kernel = context.attributes.ints(.kernelShape) else { throw context.failure("kernel_shape is missing") }
    window = try context.inference().window(kernel: kernel.map { Extent($0) })
    extents = Array(x.shape.dropFirst(2))
    positions = Array(try context.shape().dropFirst(2))
    element = x.element
    var (before, after, reach) = (window.before, window.after, window.after)
    for axis in 0..<window.rank {
      let span = (positions[axis] - 1) * Extent(window.strides[axis]) + window.reach(axis)
      let isSettled = window.padding == .valid || window.padding == .explicit
      if let overhang = (span - extents[axis]).constant {
        if !isSettled {
          let total = max(0, overhang)
          before[axis] = window.padding == .sameUpper ? total / 2 : total - total / 2
          after[axis] = total - before[axis]
        }
        reach[axis] = max(after[axis], overhang - before[axis])
      } else if !isSettled || context.attributes.flag(.ceilMode) {
        throw context.failure("its pads depend on lengths that are not known; fix the shapes of the inputs with --dim")
      }
    }
    (self.before, self.after, self.reach) = (before, after, reach)
  }

  /// The sum of the numbers under the window, at every position: a convolution of each channel with ones.
  func sum(of x: Term) throws(Diagnostic) -> Term {
    guard let channels = x.shape[1].constant else {
      throw Diagnostic(
        .unsupported, "a pool over unknown channels lets no gradient pass; fix the shapes of the inputs with --dim")
    }
    let kernel = window.kernel.compactMap(\.constant)
    let ones = Array(repeating: 1.0, count: kernel.reduce(channels, *))
    let weight = x.writer.constant(Tensor(reals: ones, x.element, [channels, 1] + kernel))
    return x.writer.node(
      .convolution(.conv), [x, weight],
      [
        .init(.dilations, .ints(window.dilations)), .init(.group, .int(channels)), .init(.pads, .ints(before + reach)),
        .init(.strides, .ints(window.strides)),
      ])
  }

  /// How many numbers count at each position: those on the axis, or with the pads.
  func counts(_ sum: Term, countsPads: Bool) -> Term {
    var counts = sum.number(1)
    for axis in 0..<window.rank {
      let (points, stride, dilation) = (window.kernel[axis].constant ?? 1, window.strides[axis], window.dilations[axis])
      guard let extent = extents[axis].constant, let count = positions[axis].constant else {
        counts = counts * Double(points)
        continue
      }
      let inside = countsPads ? -before[axis]..<extent + after[axis] : 0..<extent
      let list = (0..<count).map { position in
        max(1, (0..<points).count { inside.contains(position * stride - before[axis] + $0 * dilation) })
      }
      var shape = [Int](repeating: 1, count: window.rank)
      shape[axis] = count
      counts = counts * sum.writer.constant(Tensor(reals: list.map(Double.init), element, shape))
    }
    return counts
  }
}
