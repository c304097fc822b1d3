extension Convolution {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .conv: .chain(Self.forward)
    case .convTranspose: .chain(Self.backward)
    case .fusedConv:
      .pieces { context throws(Diagnostic) in
        let kept: [AttributeName] = [.autoPad, .dilations, .group, .kernelShape, .pads, .strides]
        let entries = context.attributes.entries.filter { kept.contains($0.name) }
        let operands = [try context.input(0), try context.input(1), context.optional(2)]
        var result = context.writer.node(.convolution(.conv), operands[2] == nil ? Array(operands.prefix(2)) : operands, entries)
        if let summand = context.optional(3) { result = result + summand }
        context.set(0, try context.activated(result))
      }
    case .deformConv: .none("it samples at places that another layer computes, and its rule is not written")
    case .convInteger: .flat
    case .quantisedConv: .none("it computes with quantised numbers")
    }
  }

  /// y = x ∗ w: every number of x gets back what the windows over it gave, every weight what it saw at all positions.
  private static func forward(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, w, g) = (try context.input(0), try context.input(1), try context.gradient())
    let window = try ConvolutionWindow(context, data: x, weight: w, positions: g)
    if context.isWanted(0) { context.give(0, window.spread(g, w, like: x)) }
    if context.isWanted(1) { context.give(1, window.weight(data: x, positions: g, like: w)) }
    context.give(2, g.sum([0] + Array(2..<g.rank), keep: false))
  }

  /// The transposed convolution is what a convolution does with gradients, so its own gradient is that convolution.
  private static func backward(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, w, g) = (try context.input(0), try context.input(1), try context.gradient())
    let window = try ConvolutionWindow(context, data: g, weight: w, positions: x)
    if context.isWanted(0) { context.give(0, window.slid(g, w, like: x)) }
    if context.isWanted(1) { context.give(1, window.weight(data: g, positions: x, like: w)) }
    context.give(2, g.sum([0] + Array(2..<g.rank), keep: false))
  }
}

/// A window that slides over data and stands at positions, its pads settled. All of it is made of pads, cuts, products and convolutions, for
/// which there are kernels.
private struct ConvolutionWindow {
  let group: Int
  let strides: [Int]
  let dilations: [Int]
  let before: [Int]
  let after: [Int]
  let kernel: [Int]

  /// `data` is what the window slides over, `positions` has a number for each place where it stands.
  init(_ context: GradientContext, data: Term, weight: Term, positions: Term) throws(Diagnostic) {
    let window = try context.inference().window(kernel: Array(weight.shape.dropFirst(2)))
    kernel = window.kernel.compactMap(\.constant)
    guard kernel.count == window.rank, data.shape[1].isConstant, positions.shape[1].isConstant else {
      throw context.failure("its window or its channels are of unknown extent; fix the shapes of the inputs with --dim")
    }
    var (before, after) = (window.before, window.after)
    let stated = context.attributes.ints(.outputShape) ?? []
    if window.padding == .sameUpper || window.padding == .sameLower || !stated.isEmpty {
      let added = context.attributes.ints(.outputPadding) ?? []
      let isTransposed = context.node.operation == .convolution(.convTranspose)
      for axis in 0..<window.rank {
        let span = (positions.shape[axis + 2] - 1) * Extent(window.strides[axis]) + window.reach(axis)
        let extra = isTransposed && added.indices.contains(axis) ? added[axis] : 0
        guard let total = (span + Extent(extra) - data.shape[axis + 2]).constant.map({ max(0, $0) }) else {
          throw context.failure("its pads depend on lengths that are not known; fix the shapes of the inputs with --dim")
        }
        // The odd pad is at the end for `SAME_UPPER`, else at the beginning.
        before[axis] = window.padding == .sameUpper ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
      }
    }
    group = context.attributes.int(.group) ?? 1
    (strides, dilations) = (window.strides, window.dilations)
    (self.before, self.after) = (before, after)
  }

  private func convolution(_ data: Term, _ weight: Term, strides: [Int], pads: [Int]) -> Term {
    data.writer.node(
      .convolution(.conv), [data, weight],
      [
        .init(.dilations, .ints(dilations)), .init(.group, .int(group)), .init(.pads, .ints(pads)),
        .init(.strides, .ints(strides)),
      ])
  }

  /// The convolution of `data` with `weight`, cut to the spatial extents of `target`.
  func slid(_ data: Term, _ weight: Term, like target: Term) -> Term {
    convolution(data, weight, strides: strides, pads: before + after).cut(like: target)
  }

  /// Every position's number times the window, added up where the window stood: a convolution with the window turned round, over the
  /// positions with zeros between them where the strides were. `target` has the extents of the data.
  func spread(_ positions: Term, _ weight: Term, like target: Term) -> Term {
    var apart = positions
    for axis in kernel.indices where strides[axis] > 1 {
      // [T] → [T, 1] → [T, s] → [T·s], without the last zeros.
      let none = Array(repeating: 0, count: apart.rank + 1)
      var added = none
      added[axis + 3] = strides[axis] - 1
      var wide = apart.shape
      wide[axis + 2] = -1
      apart = apart.unsqueezed([axis + 3]).padded(none, added).reshaped(wide)
        .sliced(axis: axis + 2, from: 0, to: 1 - strides[axis])
    }
    // [G·O, I, …] → [G·I, O, …], last points first.
    let (outer, inner) = (weight.shape[0].floorDivided(by: Extent(group)), weight.shape[1])
    let spatial = Array(weight.shape.dropFirst(2))
    let places = (0..<spatial.count).map { $0 + 3 }
    var turned = weight.reshaped([Extent(group), outer, inner] + spatial).transposed([0, 2, 1] + places)
      .reshaped([inner * Extent(group), outer] + spatial)
    for (axis, count) in kernel.enumerated() where count > 1 {
      turned = turned.sliced(axis: axis + 2, from: -1, to: Int.min + 1, step: -1)
    }
    var (ahead, behind): ([Int], [Int]) = ([], [])
    for axis in kernel.indices {
      let reach = (kernel[axis] - 1) * dilations[axis] + 1
      ahead.append(reach - 1 - before[axis])
      // The last numbers may be under no window; how many there are is less than a stride, and where it is not known the result is cut.
      let span = (positions.shape[axis + 2] - 1) * Extent(strides[axis]) + 1
      let rest = (target.shape[axis + 2] - span).constant ?? reach - 1 - before[axis] - after[axis] + strides[axis] - 1
      behind.append(rest - ahead[axis] + reach - 1)
    }
    // What would be cut away is cut beforehand.
    let negative = (ahead + behind).contains { $0 < 0 }
    let trimmed = negative ? apart.padded([0, 0] + ahead.map { min(0, $0) }, [0, 0] + behind.map { min(0, $0) }) : apart
    let pads = ahead.map { max(0, $0) } + behind.map { max(0, $0) }
    return convolution(trimmed, turned, strides: strides.map { _ in 1 }, pads: pads).cut(like: target)
  }

  /// What each point of the window saw at all positions together: the product of the positions' numbers with the windows laid out as columns,
  /// [G, O, N·T] · [G, N·T, I·K].
  func weight(data: Term, positions: Term, like weight: Term) -> Term {
    let groups = Extent(group)
    let (inner, outer) = (data.shape[1].floorDivided(by: groups), positions.shape[1].floorDivided(by: groups))
    let images = data.shape[0]
    let rows = positions.reshaped([images, groups, outer, -1]).transposed([1, 2, 0, 3]).reshaped([groups, outer, -1])
    let columns = columns(data, positions).reshaped([images, groups, inner * Extent(points), -1]).transposed([1, 0, 3, 2])
      .reshaped([groups, -1, inner * Extent(points)])
    return rows.times(columns).reshaped(like: weight)
  }

  private var points: Int { kernel.reduce(1, *) }

  /// [N, C, …] as [N, C, K, …]: for each point of the window, what it sees at the positions.
  private func columns(_ data: Term, _ positions: Term) -> Term {
    let padded = data.padded([0, 0] + before, [0, 0] + after)
    let seen = (0..<points).map { point -> Term in
      var (rest, view) = (point, padded)
      for axis in kernel.indices.reversed() {
        let from = rest % kernel[axis] * dilations[axis]
        rest /= kernel[axis]
        if let count = positions.shape[axis + 2].constant {
          let isWhole = from == 0 && strides[axis] == 1 && view.shape[axis + 2] == Extent(count)
          if !isWhole {
            view = view.sliced(axis: axis + 2, from: from, to: from + (count - 1) * strides[axis] + 1, step: strides[axis])
          }
        } else {
          view = view.sliced(axis: axis + 2, from: from, step: strides[axis], countOf: positions)
        }
      }
      return view.unsqueezed([2])
    }
    return .concatenated(seen, axis: 2)
  }
}

extension Term {
  /// The first numbers of each spatial axis, as many as another term has.
  fileprivate func cut(like target: Term) -> Term {
    var result = self
    for axis in 2..<rank where shape[axis] != target.shape[axis] {
      result = result.sliced(axis: axis, from: 0, step: 1, countOf: target)
    }
    return result.reshaped(like: target)
  }

  /// As many numbers of an axis as another term has on it, `step` apart.
  fileprivate func sliced(axis: Int, from: Int, step: Int, countOf other: Term) -> Term {
    if let count = other.shape[axis].constant {
      return sliced(axis: axis, from: from, to: from + (count - 1) * step + 1, step: step)
    }
    let last = other.dimensions.sliced(axis: 0, from: axis, to: axis + 1) - 1
    let end = last * Double(step) + Double(from + 1)
    let operands = [self, writer.list([from]), end, writer.list([axis]), writer.list([step])]
    // How many there are is known from the other, whatever is known of the arithmetic.
    return writer.node(.joining(.slice), operands)
  }
}
