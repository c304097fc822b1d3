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

  /// y = x ∗ w: x is found again by the transposed convolution of ẏ with w, and ẇ is the convolution of x with ẏ, batch and channels
  /// exchanged.
  private static func forward(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, w, g) = (try context.input(0), try context.input(1), try context.gradient())
    let window = try Window(context, data: x, weight: w, positions: g)
    context.give(0, context.isWanted(0) ? window.transposed(g, w, like: x) : g)
    context.give(1, context.isWanted(1) ? window.weight(data: x, gradient: g, like: w) : g)
    context.give(2, g.sum([0] + Array(2..<g.rank), keep: false))
  }

  /// The transposed convolution is the gradient of a convolution, so its gradient is that convolution.
  private static func backward(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, w, g) = (try context.input(0), try context.input(1), try context.gradient())
    let window = try Window(context, data: g, weight: w, positions: x)
    context.give(0, context.isWanted(0) ? window.forward(g, w, like: x) : x)
    context.give(1, context.isWanted(1) ? window.weight(data: g, gradient: x, like: w) : x)
    context.give(2, g.sum([0] + Array(2..<g.rank), keep: false))
  }
}

/// A window that slides over data and stands at positions, its pads settled.
private struct Window {
  let group: Int
  let strides: [Int]
  let dilations: [Int]
  let before: [Int]
  let after: [Int]
  let rank: Int

  /// `data` is what the window slides over, `positions` has a number for each place where it stands.
  init(_ context: GradientContext, data: Term, weight: Term, positions: Term) throws(Diagnostic) {
    let kernel = Array(weight.shape.dropFirst(2))
    let window = try context.inference().window(kernel: kernel)
    var (before, after) = (window.before, window.after)
    let stated = context.attributes.ints(.outputShape) ?? []
    if window.padding == .sameUpper || window.padding == .sameLower || !stated.isEmpty {
      let added = context.attributes.ints(.outputPadding) ?? Array(repeating: 0, count: window.rank)
      // A transposed convolution puts the odd pad where a convolution does not, but for `SAME_UPPER`.
      let isTransposed = context.node.operation == .convolution(.convTranspose)
      for axis in 0..<window.rank {
        let span = (positions.shape[axis + 2] - 1) * Extent(window.strides[axis]) + window.reach(axis)
        let extra = isTransposed && added.indices.contains(axis) ? added[axis] : 0
        guard let total = (span + Extent(extra) - data.shape[axis + 2]).constant.map({ max(0, $0) }) else {
          throw context.failure("its pads depend on lengths that are not known; fix the shapes of the inputs with --dim")
        }
        let isUpper = window.padding == .sameUpper
        before[axis] = isUpper || (!isTransposed && window.padding != .sameLower) ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
      }
    }
    group = context.attributes.int(.group) ?? 1
    (strides, dilations, rank) = (window.strides, window.dilations, window.rank)
    (self.before, self.after) = (before, after)
  }

  private func entries(strides: [Int], dilations: [Int], pads: [Int]?, group: Int) -> [Attributes.Entry] {
    [.init(.dilations, .ints(dilations)), .init(.group, .int(group)), .init(.strides, .ints(strides))]
      + (pads.map { [.init(.pads, .ints($0))] } ?? [])
  }

  /// The convolution of `data` with `weight`, cut to the spatial extents of `target`.
  func forward(_ data: Term, _ weight: Term, like target: Term) -> Term {
    let made = data.writer.node(
      .convolution(.conv), [data, weight], entries(strides: strides, dilations: dilations, pads: before + after, group: group))
    return made.cut(like: target)
  }

  /// Every position's number times the window, added up where the window stood: in the spatial extents of `target`.
  func transposed(_ positions: Term, _ weight: Term, like target: Term) -> Term {
    var added: [Int] = []
    for axis in 0..<rank {
      let reach = (weight.shape[axis + 2] - 1) * Extent(dilations[axis]) + 1
      let made = (positions.shape[axis + 2] - 1) * Extent(strides[axis]) + reach - Extent(before[axis] + after[axis])
      // The last numbers may be under no window; what is left over at the end is less than a stride.
      guard let missing = (target.shape[axis + 2] - made).constant, missing >= 0 else {
        return transposedByShape(positions, weight, like: target)
      }
      added.append(missing)
    }
    var attributes = entries(strides: strides, dilations: dilations, pads: before + after, group: group)
    let isValid = zip(added, strides).allSatisfy { $0 < $1 }
    if isValid, added.contains(where: { $0 > 0 }) { attributes.append(.init(.outputPadding, .ints(added))) }
    let made = positions.writer.node(.convolution(.convTranspose), [positions, weight], attributes)
    return isValid ? made : made.padded(Array(repeating: 0, count: target.rank), [0, 0] + added)
  }

  /// The same where only running the model tells the extents: over the padded axis, with room at the end, then cut.
  private func transposedByShape(_ positions: Term, _ weight: Term, like target: Term) -> Term {
    let made = positions.writer.node(
      .convolution(.convTranspose), [positions, weight],
      entries(strides: strides, dilations: dilations, pads: nil, group: group))
    let room = strides.indices.map { strides[$0] - 1 + max(0, after[$0]) }
    let none = Array(repeating: 0, count: target.rank)
    return made.padded([0, 0] + before.map { -$0 }, none).padded(none, [0, 0] + room).cut(like: target)
  }

  /// What each point of the window saw at all positions together: data [N, G·I, …] and positions [N, G·O, …] give [G·O, I, window].
  ///
  /// As a convolution in G groups, with images as channels, strides and dilations exchanged: [I, G·N, …] ∗ [G·O, N, …] = [I, G·O, window].
  func weight(data: Term, gradient: Term, like weight: Term) -> Term {
    let (images, groups) = (data.shape[0], Extent(group))
    let inner = data.shape[1].floorDivided(by: groups)
    let spatial = Array(2..<data.rank)
    let images0 = data.shape[0].isConstant ? images : Extent(-1)
    let turned: Term
    if group == 1 {
      turned = data.transposed([1, 0] + spatial)
    } else {
      // [N, G, I, …] → [I, G, N, …]
      let apart = data.reshaped([images0, groups, inner] + data.shape.dropFirst(2))
      let joined = images.constant.map { Extent($0 * group) } ?? Extent(-1)
      turned = apart.transposed([2, 1, 0] + spatial.map { $0 + 1 }).reshaped([inner, joined] + data.shape.dropFirst(2))
    }
    let made = data.writer.node(
      .convolution(.conv), [turned, gradient.transposed([1, 0] + spatial)],
      entries(strides: dilations, dilations: strides, pads: before + after, group: group))
    return made.transposed([1, 0] + spatial).cut(like: weight)
  }
}

extension Term {
  /// The first numbers of each spatial axis, as many as another term has.
  fileprivate func cut(like target: Term) -> Term {
    var result = self
    for axis in 2..<rank where shape[axis] != target.shape[axis] {
      if let end = target.shape[axis].constant {
        result = result.sliced(axis: axis, from: 0, to: end)
      } else {
        let end = target.dimensions.sliced(axis: 0, from: axis, to: axis + 1)
        result = result.sliced(axis: axis, from: writer.list([0]), to: end)
      }
    }
    return result
  }
}
