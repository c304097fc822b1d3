import Graph

extension Lowering {
  /// Writes a transposed convolution as a convolution of stride one that makes, for every channel, the numbers of all phases of the stride; these
  /// are then interleaved.
  ///
  ///     %y = conv_transpose %x, 〈w : f32[8, 4, 2, 2]〉 strides=[2, 2] : f32[1, 4, 10, 10]     becomes
  ///     %c = conv %x, 〈w' : f32[16, 8, 1, 1]〉 : f32[1, 16, 5, 5];  %a = reshape %c : f32[1, 4, 2, 2, 5, 5]
  ///     %t = transpose %a : f32[1, 4, 5, 2, 5, 2];  %y = reshape %t
  ///
  /// Result u = s · i + k, before the pads are cut off, gathers x[i] · w[k]. With u = s · q + φ and k = s · t + φ that is
  /// Σ over t of x[q − t] · w[s · t + φ]: a convolution for every phase φ below the stride, whose window has ⌈K / s⌉ places.
  static let expandTransposed = LoweringPass(
    name: "expand-conv-transpose", summary: "a transposed convolution as a convolution that makes every phase of its stride"
  ) {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard case .convolution(.convTranspose) = node.operation, let input = node.inputs[0], let output = node.outputs[0],
        let from = rewriter.shape(input), let to = rewriter.shape(output), !from.contains(0), from.count > 2,
        let weight = rewriter.constant(node.inputs[1]), weight.element == .f32,
        let phases = Phases(node.attributes, from: from, to: to, kernel: Array(weight.shape.dropFirst(2)))
      else { return nil }
      let (rank, count) = (from.count - 2, phases.strides.reduce(1, *))
      let channels = to[1]
      var inputs = [input, rewriter.constant(like: output, phases.weight(weight, channels: channels))]
      if node.inputs.count > 2, let given = node.inputs[2] {
        guard let bias = rewriter.constant(given)?.reals else { return nil }
        let repeated = bias.flatMap { Array(repeating: $0, count: count) }
        inputs.append(rewriter.constant(like: output, repeated, [repeated.count]))
      }
      func list(_ numbers: [Int]) -> ValueID { rewriter.constant(like: output, Tensor(wholes: numbers, .i64, [numbers.count])) }
      let whole = zip(phases.lengths, phases.strides).map(*)
      let isCut = whole != Array(to.dropFirst(2))
      let apart = [from[0], channels] + phases.strides + phases.lengths
      let order = [0, 1] + (0..<rank).flatMap { [2 + rank + $0, 2 + $0] }
      let made = rewriter.value(like: output, .f32, [from[0], channels * count] + phases.lengths)
      let split = rewriter.value(like: output, .f32, apart)
      let turned = rewriter.value(like: output, .f32, order.map { apart[$0] })
      let joined = isCut ? rewriter.value(like: output, .f32, [from[0], channels] + whole) : output
      var nodes = [
        rewriter.node(
          .convolution(.conv), inputs, made, for: node,
          [
            Attributes.Entry(.group, .int(node.attributes.int(.group) ?? 1)), Attributes.Entry(.pads, .ints(phases.pads)),
          ]),
        rewriter.node(.reshaping(.reshape), [made, list(apart)], split, for: node),
        rewriter.node(.reshaping(.transpose), [split], turned, for: node, [Attributes.Entry(.perm, .ints(order))]),
        rewriter.node(.reshaping(.reshape), [turned, list([from[0], channels] + whole)], joined, for: node),
      ]
      if isCut {
        let ends = zip(phases.starts, to.dropFirst(2)).map(+)
        nodes.append(
          rewriter.node(
            .joining(.slice), [joined, list(phases.starts), list(ends), list(Array(2..<2 + rank))], output, for: node))
      }
      return nodes
    }
  }

  /// How a transposed convolution falls apart, an entry per spatial axis.
  private struct Phases {
    let strides: [Int]
    /// Places of the window of each phase.
    let taps: [Int]
    /// Numbers of each phase.
    let lengths: [Int]
    /// Pads of the convolution: all before, then all after.
    let pads: [Int]
    /// What is cut off before the result.
    let starts: [Int]

    /// Nil where the window has gaps or is much shorter than the stride, and where pads follow from the result's shape or would be negative.
    init?(_ attributes: Attributes, from: [Int], to: [Int], kernel: [Int]) {
      let rank = kernel.count
      let padding = attributes.string(.autoPad) ?? "NOTSET"
      guard padding == "NOTSET" || padding == "VALID", attributes.ints(.outputShape) ?? [] == [],
        (attributes.ints(.dilations) ?? []).allSatisfy({ $0 == 1 }), kernel.allSatisfy({ $0 > 0 })
      else { return nil }
      let strides = attributes.ints(.strides) ?? Array(repeating: 1, count: rank)
      let cut = padding == "VALID" ? nil : attributes.ints(.pads)
      let before = Array((cut ?? Array(repeating: 0, count: 2 * rank)).prefix(rank))
      // Where the stride is much longer than the window, most of what the phases hold would be zeros.
      guard strides.count == rank, before.count == rank, before.allSatisfy({ $0 >= 0 }),
        zip(kernel, strides).allSatisfy({ 1...4 * $0 ~= $1 })
      else { return nil }
      let taps = zip(kernel, strides).map { ($0 + $1 - 1) / $1 }
      // Phases hold numbers q from `first` up to `last`.
      let first = zip(before, strides).map { $0 / $1 }
      let last = (0..<rank).map { axis -> Int in (to[axis + 2] + before[axis] + strides[axis] - 1) / strides[axis] }
      let left = (0..<rank).map { taps[$0] - 1 - first[$0] }
      let right = (0..<rank).map { last[$0] - from[$0 + 2] }
      guard (left + right).allSatisfy({ $0 >= 0 }) else { return nil }
      (self.strides, self.taps, pads) = (strides, taps, left + right)
      lengths = zip(last, first).map(-)
      starts = zip(before, strides).map { $0 % $1 }
    }

    /// The weight of the convolution, channel by channel and in it phase by phase, of [channels in, channels out of a group, kernel…].
    func weight(_ weight: Tensor, channels: Int) -> Tensor {
      let kernel = Array(weight.shape.dropFirst(2))
      let (each, points) = (weight.shape[1], kernel.reduce(1, *))
      let inner = weight.shape[0] * each / max(1, channels)
      let (count, window) = (strides.reduce(1, *), taps.reduce(1, *))
      let old = weight.reals
      var new = [Double](repeating: 0, count: channels * count * inner * window)
      // Where each place of each phase lies in the old window; the last place of a phase comes first.
      let sources = (0..<count * window).map { index -> Int? in
        var (phase, place, point, stride) = (index / window, index % window, 0, 1)
        for axis in kernel.indices.reversed() {
          let at = strides[axis] * (taps[axis] - 1 - place % taps[axis]) + phase % strides[axis]
          guard at < kernel[axis] else { return nil }
          (place, phase) = (place / taps[axis], phase / strides[axis])
          (point, stride) = (point + at * stride, stride * kernel[axis])
        }
        return point
      }
      for channel in 0..<channels {
        for source in 0..<inner {
          let start = ((channel / each * inner + source) * each + channel % each) * points
          for (index, place) in sources.enumerated() {
            guard let place else { continue }
            let (phase, at) = (index / window, index % window)
            new[((channel * count + phase) * inner + source) * window + at] = old[start + place]
          }
        }
      }
      return Tensor(reals: new, .f32, [channels * count, inner] + taps)
    }
  }
}
