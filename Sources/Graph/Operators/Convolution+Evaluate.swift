extension Convolution {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .conv, .fusedConv: try evaluateReal(&context)
    case .convInteger: try Self.evaluateInteger(&context)
    case .quantisedConv: try Self.evaluateQuantised(&context)
    case .convTranspose: try Self.evaluateTransposed(&context)
    case .deformConv: try Self.evaluateDeformed(&context)
    }
  }

  private func evaluateReal(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, weight) = (try context.input(0), try context.input(1))
    let shape = try context.outputShape()
    var result = try Self.slide(context, data.reals, data.shape, weight.reals, weight.shape, shape)
    if let bias = try context.reals(2, count: shape[1], "the bias") { Self.add(bias, to: &result, shape) }
    if self == .fusedConv {
      if context.optional(3) != nil {
        let summand = try context.broadcastReals(3, to: shape, "the summand")
        for at in result.indices { result[at] += summand[at] }
      }
      try Self.activate(&result, context)
    }
    try context.setReals(result)
  }

  /// The activation that FusedConv ends with.
  private static func activate(_ numbers: inout [Double], _ context: EvaluationContext) throws(Diagnostic) {
    guard let name = context.attributes.string(.activation), !name.isEmpty else { return }
    let given = (context.attributes.floats(.activationParameters) ?? []).map(Double.init)
    let activation: Activation
    switch name {
    case "Clip": activation = .clip(given.first ?? -.infinity, given.count > 1 ? given[1] : .infinity)
    case let other:
      guard let known = Activation(other, alpha: given.first, beta: given.count > 1 ? given[1] : nil) else {
        throw context.unsupported("the activation \(other) is not known")
      }
      activation = known
    }
    for at in numbers.indices { numbers[at] = activation(numbers[at]) }
  }

  /// Adds one number per channel to [batch, channels, …].
  static func add(_ bias: [Double], to numbers: inout [Double], _ shape: [Int]) {
    let inner = shape.dropFirst(2).reduce(1, *)
    guard inner > 0, !bias.isEmpty else { return }
    for line in 0..<numbers.count / inner {
      let summand = bias[line % bias.count]
      for at in line * inner..<(line + 1) * inner { numbers[at] += summand }
    }
  }

  /// The convolution itself: a product of the weight with the windows laid out as columns, a group and some positions at a time.
  static func slide<Number: Summable>(
    _ context: EvaluationContext, _ data: [Number], _ dataShape: [Int], _ weight: [Number], _ weightShape: [Int], _ shape: [Int]
  ) throws(Diagnostic) -> [Number] {
    let plan = try WindowPlan(
      context, kernel: Array(weightShape.dropFirst(2)), extents: Array(dataShape.dropFirst(2)),
      positions: Array(shape.dropFirst(2)))
    let groups = context.attributes.int(.group) ?? 1
    let (channels, results) = (dataShape[1] / groups, shape[1] / groups)
    let (points, positions, extent) = (plan.points, plan.positionCount, plan.extentCount)
    let inner = channels * points
    var result = [Number](repeating: .zero, count: shape.reduce(1, *))
    guard inner > 0, positions > 0, results > 0 else { return result }
    let chunk = min(positions, max(64, (1 << 20) / inner))
    var columns = [Number](repeating: .zero, count: inner * chunk)
    var sources = [Int](repeating: 0, count: chunk)
    var sums = [Number](repeating: .zero, count: results * chunk)
    for start in stride(from: 0, to: positions, by: chunk) {
      let width = min(chunk, positions - start)
      for image in 0..<dataShape[0] {
        for group in 0..<groups {
          let base = (image * dataShape[1] + group * channels) * extent
          for point in 0..<points {
            plan.sources(point: point, start..<start + width, into: &sources)
            for channel in 0..<channels {
              let line = (channel * points + point) * width
              let from = base + channel * extent
              for at in 0..<width { columns[line + at] = sources[at] < 0 ? .zero : data[from + sources[at]] }
            }
          }
          for at in 0..<results * width { sums[at] = .zero }
          MatrixKernel.add(
            weight, from: group * results * inner, columns, rows: results, inner: inner, columns: width, to: &sums)
          for row in 0..<results {
            let to = (image * shape[1] + group * results + row) * positions + start
            for at in 0..<width { result[to + at] = sums[row * width + at] }
          }
        }
      }
    }
    return result
  }

  // MARK: - Quantised

  /// Numbers less their zero points, of which there is one, or one per index of the first axis.
  private static func centred(_ context: EvaluationContext, _ index: Int, zero: Int) throws(Diagnostic) -> [Double] {
    let tensor = try context.input(index)
    var numbers = tensor.reals
    guard let zeros = context.optional(zero)?.reals else { return numbers }
    guard zeros.count == 1 || zeros.count == tensor.shape[0] else {
      throw context.failure("\(zeros.count) zero points do not fit the weight of shape \(tensor.shape)")
    }
    let inner = tensor.shape.dropFirst().reduce(1, *)
    for at in numbers.indices { numbers[at] -= zeros.count == 1 ? zeros[0] : zeros[at / inner] }
    return numbers
  }

  private static func evaluateInteger(_ context: inout EvaluationContext) throws(Diagnostic) {
    if let zero = context.optional(2), zero.count != 1 { throw context.failure("the input has \(zero.count) zero points") }
    try context.requireWholes(0..<4)
    let (data, weight) = (try centred(context, 0, zero: 2), try centred(context, 1, zero: 3))
    let result = try slide(
      context, data.map { Int($0) }, try context.input(0).shape, weight.map { Int($0) }, try context.input(1).shape,
      try context.outputShape())
    try context.setWholes(result)
  }

  private static func evaluateQuantised(_ context: inout EvaluationContext) throws(Diagnostic) {
    if let zero = context.optional(2), zero.count != 1 { throw context.failure("the input has \(zero.count) zero points") }
    let (data, weight) = (try centred(context, 0, zero: 2), try centred(context, 3, zero: 5))
    let shape = try context.outputShape()
    var result = try slide(context, data, try context.input(0).shape, weight, try context.input(3).shape, shape)
    if let bias = try context.reals(8, count: shape[1], "the bias") { add(bias, to: &result, shape) }
    let scale = try context.realScalar(1, default: 1) / context.realScalar(6, default: 1)
    let zero = try context.realScalar(7, default: 0)
    let scales = try context.reals(4)
    guard scales.count == 1 || scales.count == shape[1] else { throw context.failure("the weight has \(scales.count) scales") }
    let element = try context.outputElement()
    let inner = shape.dropFirst(2).reduce(1, *)
    for at in result.indices {
      let channel = scales.count == 1 ? 0 : at / inner % shape[1]
      result[at] = QuantisedNumbers.quantised(result[at] * scale * scales[channel], zero: zero, element)
    }
    try context.setReals(result)
  }
}

// MARK: - Transposed and deformed

extension Convolution {
  private static func evaluateTransposed(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, weight) = (try context.input(0), try context.input(1))
    let shape = try context.outputShape()
    let (kernel, extents, spatial) = (Array(weight.shape.dropFirst(2)), Array(data.shape.dropFirst(2)), Array(shape.dropFirst(2)))
    // The window slides over the result; its positions are the numbers of the input.
    var plan = try WindowPlan(context, kernel: kernel, extents: spatial, positions: extents)
    plan = try Self.repadded(plan, context)
    let groups = context.attributes.int(.group) ?? 1
    let (channels, results) = (data.shape[1] / groups, weight.shape[1])
    let (points, positions, extent) = (plan.points, plan.positionCount, plan.extentCount)
    let rows = results * points
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    let (numbers, weights) = (data.reals, weight.reals)
    if rows > 0, positions > 0 {
      let chunk = min(positions, max(64, (1 << 20) / rows))
      var sources = [Int](repeating: 0, count: chunk)
      for group in 0..<groups {
        let turned = MatrixKernel.transposed(
          Array(weights[group * channels * rows..<(group + 1) * channels * rows]), rows: channels, columns: rows)
        for image in 0..<data.shape[0] {
          for start in stride(from: 0, to: positions, by: chunk) {
            let width = min(chunk, positions - start)
            var columns = [Double](repeating: 0, count: channels * width)
            for channel in 0..<channels {
              let from = (image * data.shape[1] + group * channels + channel) * positions + start
              for at in 0..<width { columns[channel * width + at] = numbers[from + at] }
            }
            var sums = [Double](repeating: 0, count: rows * width)
            MatrixKernel.add(turned, columns, rows: rows, inner: channels, columns: width, to: &sums)
            for point in 0..<points {
              plan.sources(point: point, start..<start + width, into: &sources)
              for row in 0..<results {
                let to = (image * shape[1] + group * results + row) * extent
                let line = (row * points + point) * width
                for at in 0..<width where sources[at] >= 0 { result[to + sources[at]] += sums[line + at] }
              }
            }
          }
        }
      }
    }
    if let bias = try context.reals(2, count: shape[1], "the bias") { add(bias, to: &result, shape) }
    try context.setReals(result)
  }

  /// Pads of a transposed convolution that follow from the result's shape, where they are not given.
  private static func repadded(_ plan: WindowPlan, _ context: EvaluationContext) throws(Diagnostic) -> WindowPlan {
    let automatic = context.attributes.string(.autoPad) ?? "NOTSET"
    let stated = context.attributes.ints(.outputShape) ?? []
    let isSame = automatic == "SAME_UPPER" || automatic == "SAME_LOWER"
    guard !stated.isEmpty || isSame else { return plan }
    let added = context.attributes.ints(.outputPadding) ?? []
    var (before, after) = (plan.before, plan.after)
    for axis in plan.kernel.indices {
      let reach = (plan.kernel[axis] - 1) * plan.dilations[axis] + 1
      let extra = added.indices.contains(axis) ? added[axis] : 0
      guard extra.magnitude < 1 << 30 else { throw context.failure("output_padding \(added) is beyond reason") }
      let total = max(0, (plan.positions[axis] - 1) * plan.strides[axis] + extra + reach - plan.extents[axis])
      before[axis] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2
      after[axis] = total - before[axis]
    }
    return plan.padded(before: before, after: after)
  }

  /// Each point of the window is moved by an offset and read between the numbers around it; outside there are zeros.
  private static func evaluateDeformed(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, weight, offset) = (try context.input(0), try context.input(1), try context.input(2))
    let shape = try context.outputShape()
    let rank = data.rank - 2
    let plan = try WindowPlan(
      context, kernel: Array(weight.shape.dropFirst(2)), extents: Array(data.shape.dropFirst(2)),
      positions: Array(shape.dropFirst(2)))
    let groups = context.attributes.int(.group) ?? 1
    let offsetGroups = context.attributes.int(.offsetGroup) ?? 1
    let (channels, results) = (data.shape[1] / groups, shape[1] / groups)
    let perOffset = max(1, data.shape[1] / offsetGroups)
    let (points, positions, extent) = (plan.points, plan.positionCount, plan.extentCount)
    let (numbers, weights, offsets) = (data.reals, weight.reals, offset.reals)
    let mask = context.optional(4)?.reals
    let sampler = LinearSampler(extents: plan.extents)
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    for image in 0..<shape[0] {
      var columns = [Double](repeating: 0, count: data.shape[1] * points * positions)
      for offsetGroup in 0..<offsetGroups {
        for point in 0..<points {
          let at = WindowPlan.unravel(point, plan.kernel)
          for position in 0..<positions {
            let place = WindowPlan.unravel(position, plan.positions)
            let number = (image * offsetGroups + offsetGroup) * points + point
            let coordinates = (0..<rank).map {
              Double(plan.index($0, position: place[$0], point: at[$0])) + offsets[(number * rank + $0) * positions + position]
            }
            let share = mask?[number * positions + position] ?? 1
            let corners = sampler.corners(coordinates)
            for channel in offsetGroup * perOffset..<min((offsetGroup + 1) * perOffset, data.shape[1]) {
              let base = (image * data.shape[1] + channel) * extent
              let sum = corners.reduce(0.0) { $0 + $1.share * numbers[base + $1.index] }
              columns[(channel * points + point) * positions + position] = sum * share
            }
          }
        }
      }
      for group in 0..<groups {
        MatrixKernel.add(
          weights, from: group * results * channels * points, columns, from: group * channels * points * positions, rows: results,
          inner: channels * points, columns: positions, to: &result, from: (image * shape[1] + group * results) * positions)
      }
    }
    if let bias = try context.reals(3, count: shape[1], "the bias") { add(bias, to: &result, shape) }
    try context.setReals(result)
  }
}
