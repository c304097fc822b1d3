import Foundation

extension Normalisation {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let data = try context.input(0)
    switch self {
    case .batchNorm: try Self.evaluateBatchNorm(&context, data)
    case .groupNorm: try Self.evaluateGroups(&context, data, groups: attributes.int(.numGroups) ?? 1)
    case .instanceNorm: try Self.evaluateGroups(&context, data, groups: data.shape[1])
    case .softmax:
      let element = data.element
      let isHalf = element == .f16 || element == .bf16
      try Self.evaluateShares(&context, data) { isHalf ? Self.softmax($0, in: element) : Line.softmax($0) }
    case .logSoftmax: try Self.evaluateShares(&context, data, Line.logSoftmax)
    case .hardmax: try Self.evaluateShares(&context, data, Line.hardmax)
    case .localResponseNorm: try Self.evaluateResponse(&context, data)
    case .lpNorm:
      let axis = try context.axis(attributes.int(.axis) ?? -1, rank: data.rank)
      let absolute = (attributes.int(.p) ?? 2) == 1
      try context.setReals(
        AxisLines(data.shape, axis: axis).map(data.reals) { line in
          let norm = absolute ? line.reduce(0) { $0 + abs($1) } : line.reduce(0) { $0 + $1 * $1 }.squareRoot()
          return line.map { norm == 0 ? 0 : $0 / norm }
        })
    case .meanVarianceNorm: try Self.evaluateMeanVariance(&context, data)
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm: try evaluateTrailing(&context, data)
    case .skipLayerNorm, .skipSimplifiedLayerNorm: try evaluateSkip(&context, data)
    case .embedLayerNorm: try Self.evaluateEmbedding(&context, data)
    case .quantisedSoftmax:
      throw context.unsupported("this quantised operator can be pruned, but not executed")
    }
  }

  private static func evaluateShares(
    _ context: inout EvaluationContext, _ data: Tensor, _ shares: ([Double]) -> [Double]
  ) throws(Diagnostic) {
    let old = context.opset < 13
    let axis = try context.axis(context.attributes.int(.axis) ?? (old ? 1 : -1), rank: data.rank)
    // Until version 13 all axes from there on were one.
    let lines = AxisLines(data.shape, axes: axis..<(old ? data.rank : axis + 1))
    try context.setReals(lines.map(data.reals, shares))
  }

  /// Softmax as ONNX composes it, every step in a 16-bit type: with it and with its parts the result is the same.
  private static func softmax(_ line: [Double], in element: ElementType) -> [Double] {
    func rounded(_ numbers: [Double]) -> [Double] { Tensor(reals: numbers, element, [numbers.count]).reals }
    let largest = line.reduce(-.infinity) { $1.isNaN ? $1 : max($0, $1) }
    let powers = rounded(rounded(line.map { $0 - largest }).map { exp($0) })
    let sum = rounded([powers.reduce(0, +)]).reduce(0, +)
    return powers.map { $0 / sum }
  }

  private static func epsilon(_ context: EvaluationContext, default value: Double = 1e-5) -> Double {
    context.attributes.float(.epsilon).map(Double.init) ?? value
  }

  private static func evaluateBatchNorm(_ context: inout EvaluationContext, _ data: Tensor) throws(Diagnostic) {
    let channels = data.rank > 1 ? data.shape[1] : 1
    func list(_ index: Int, _ what: String) throws(Diagnostic) -> [Double] {
      guard let numbers = try context.reals(index, count: channels, what) else { throw context.failure("\(what) is missing") }
      return numbers
    }
    let (scale, bias) = (try list(1, "the scale"), try list(2, "the bias"))
    let (mean, variance) = (try list(3, "the mean"), try list(4, "the variance"))
    // Until version 14 the node trained where it had the results of training.
    let isTraining = context.opset < 14 ? (1...4).contains { context.isWanted($0) } : context.attributes.flag(.trainingMode)
    var numbers = data.reals
    let inner = data.shape.dropFirst(2).reduce(1, *)
    var (used, spread) = (mean, variance)
    if isTraining {
      var lines = [[Double]](repeating: [], count: channels)
      for at in numbers.indices { lines[at / inner % channels].append(numbers[at]) }
      let moments = lines.map { Line.moments($0) }
      (used, spread) = (moments.map(\.mean), moments.map(\.variance))
      let momentum = Double(context.attributes.float(.momentum) ?? 0.9)
      func running(_ old: [Double], _ new: [Double]) -> [Double] { zip(old, new).map { $0 * momentum + $1 * (1 - momentum) } }
      try context.setReals(running(mean, used), at: 1)
      try context.setReals(running(variance, spread), at: 2)
      try context.setReals(used, at: 3)
      try context.setReals(spread, at: 4)
    } else {
      for index in 1...4 where context.isWanted(index) { try context.setReals(index % 2 == 1 ? mean : variance, at: index) }
    }
    let epsilon = epsilon(context)
    let factors = zip(scale, spread).map { $0 / ($1 + epsilon).squareRoot() }
    if channels > 0 {
      for at in numbers.indices {
        let channel = at / inner % channels
        numbers[at] = (numbers[at] - used[channel]) * factors[channel] + bias[channel]
      }
    }
    try context.setReals(numbers)
  }

  /// Norms over groups of channels with all their spatial numbers; the scale has a number per group or per channel.
  private static func evaluateGroups(_ context: inout EvaluationContext, _ data: Tensor, groups: Int) throws(Diagnostic) {
    let (scale, bias) = (try context.reals(1), try context.reals(2))
    let channels = data.shape[1]
    let inner = data.shape.dropFirst(2).reduce(1, *)
    var numbers = data.reals
    if numbers.isEmpty { return try context.setReals(numbers) }
    guard scale.count == bias.count, scale.count == channels || scale.count == groups, groups > 0, channels % groups == 0 else {
      throw context.failure("\(scale.count) scales and \(bias.count) biases do not fit \(channels) channels in \(groups) groups")
    }
    let perGroup = channels / groups
    let epsilon = epsilon(context)
    for line in 0..<data.shape[0] * groups {
      let range = line * perGroup * inner..<(line + 1) * perGroup * inner
      let (mean, variance) = Line.moments(numbers[range])
      let factor = 1 / (variance + epsilon).squareRoot()
      for at in range {
        let channel = at / inner % channels
        let place = scale.count == channels ? channel : channel / perGroup
        numbers[at] = (numbers[at] - mean) * factor * scale[place] + bias[place]
      }
    }
    try context.setReals(numbers)
  }

  private static func evaluateResponse(_ context: inout EvaluationContext, _ data: Tensor) throws(Diagnostic) {
    guard let size = context.attributes.int(.size), size > 0 else { throw context.failure("size is missing or not positive") }
    let (alpha, beta) = (Double(context.attributes.float(.alpha) ?? 1e-4), Double(context.attributes.float(.beta) ?? 0.75))
    let bias = Double(context.attributes.float(.bias) ?? 1)
    let (below, above) = ((size - 1) / 2, size / 2)
    try context.setReals(
      AxisLines(data.shape, axis: 1).map(data.reals) { line in
        let last = line.count - 1
        return line.indices.map { channel in
          let first = below > channel ? 0 : channel - below
          let end = above > last - channel ? last : channel + above
          let sum = line[first...end].reduce(0) { $0 + $1 * $1 }
          return line[channel] / pow(bias + alpha / Double(size) * sum, beta)
        }
      })
  }

  private static func evaluateMeanVariance(_ context: inout EvaluationContext, _ data: Tensor) throws(Diagnostic) {
    var reduced = [Bool](repeating: false, count: data.rank)
    for axis in context.attributes.ints(.axes) ?? [0, 2, 3] { reduced[try context.axis(axis, rank: data.rank)] = true }
    let kept = data.shape.indices.filter { !reduced[$0] }
    let gone = data.shape.indices.filter { reduced[$0] }
    let strides = Tensor.strides(data.shape)
    let starts = Tensor.positions(kept.map { data.shape[$0] }, strides: kept.map { strides[$0] })
    let offsets = Tensor.positions(gone.map { data.shape[$0] }, strides: gone.map { strides[$0] })
    var numbers = data.reals
    for start in starts {
      let (mean, variance) = Line.moments(offsets.map { numbers[start + $0] })
      for offset in offsets { numbers[start + offset] = (numbers[start + offset] - mean) / (variance.squareRoot() + 1e-9) }
    }
    try context.setReals(numbers)
  }

  // MARK: - Layer norms

  /// Norm of every line of `width` numbers: the line itself, its mean, and one over its spread. Without `centred` the mean counts as zero.
  private static func normalised(
    _ numbers: [Double], width: Int, epsilon: Double, centred: Bool
  ) -> (numbers: [Double], means: [Double], inverses: [Double]) {
    var (result, means, inverses) = (numbers, [Double](), [Double]())
    guard width > 0 else { return (result, means, inverses) }
    for line in 0..<numbers.count / width {
      let range = line * width..<(line + 1) * width
      let mean = centred ? numbers[range].reduce(0, +) / Double(width) : 0
      let variance = numbers[range].reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      let inverse = 1 / (variance + epsilon).squareRoot()
      for at in range { result[at] = (numbers[at] - mean) * inverse }
      means.append(mean)
      inverses.append(inverse)
    }
    return (result, means, inverses)
  }

  private func evaluateTrailing(_ context: inout EvaluationContext, _ data: Tensor) throws(Diagnostic) {
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: data.rank)
    let width = data.shape[axis...].reduce(1, *)
    let isCentred = self == .layerNorm
    var (numbers, means, inverses) = Self.normalised(
      data.reals, width: width, epsilon: Self.epsilon(context), centred: isCentred)
    let scale = try context.broadcastReals(1, to: data.shape, "the scale")
    for at in numbers.indices { numbers[at] *= scale[at] }
    if context.optional(2) != nil {
      let bias = try context.broadcastReals(2, to: data.shape, "the bias")
      for at in numbers.indices { numbers[at] += bias[at] }
    }
    if width == 0 {
      (means, inverses) = (Array(repeating: .nan, count: data.shape[..<axis].reduce(1, *)), [])
      inverses = means
    }
    try context.setReals(numbers)
    if isCentred {
      try context.setReals(means, at: 1)
      try context.setReals(inverses, at: 2)
    } else {
      try context.setReals(inverses, at: 1)
    }
  }

  private func evaluateSkip(_ context: inout EvaluationContext, _ data: Tensor) throws(Diagnostic) {
    let isCentred = self == .skipLayerNorm
    let width = data.shape.last ?? 0
    var sum = data.reals
    let skip = try context.broadcastReals(1, to: data.shape, "the skip")
    let bias = try context.reals(isCentred ? 4 : 3, count: width, "the bias")
    for at in sum.indices { sum[at] += skip[at] + (bias?[at % width] ?? 0) }
    var (numbers, means, inverses) = Self.normalised(
      sum, width: width, epsilon: Self.epsilon(context, default: 1e-12), centred: isCentred)
    let gamma = try context.reals(2, count: width, "gamma") ?? []
    let beta = isCentred ? try context.reals(3, count: width, "beta") : nil
    for at in numbers.indices { numbers[at] = numbers[at] * gamma[at % width] + (beta?[at % width] ?? 0) }
    try context.setReals(numbers)
    try context.setReals(means, at: 1)
    try context.setReals(inverses, at: 2)
    try context.setReals(sum, at: 3)
  }

  private static func evaluateEmbedding(_ context: inout EvaluationContext, _ ids: Tensor) throws(Diagnostic) {
    let (words, positions) = (try context.input(2), try context.input(3))
    let (batch, length, width) = (ids.shape[0], ids.shape[1], words.shape[1])
    func rows(_ table: Tensor, _ indices: [Int], _ what: String) throws(Diagnostic) -> [Double] {
      let numbers = table.reals
      var result: [Double] = []
      result.reserveCapacity(indices.count * width)
      for index in indices {
        guard (0..<table.shape[0]).contains(index) else {
          throw context.failure("\(what) \(index) is outside a table of \(table.shape[0]) rows")
        }
        result += numbers[index * width..<(index + 1) * width]
      }
      return result
    }
    var sum = try rows(words, ids.wholes, "word id")
    var places = (0..<batch * length).map { $0 % length }
    if let listed = context.optional(8) {
      try context.requireBroadcast(listed.shape, to: ids.shape, "the position ids")
      places = listed.broadcast(to: ids.shape).wholes
    }
    for (at, number) in try rows(positions, places, "position id").enumerated() { sum[at] += number }
    if let table = context.optional(4), let segments = context.optional(1) {
      try context.requireBroadcast(segments.shape, to: ids.shape, "the segment ids")
      for (at, number) in try rows(table, segments.broadcast(to: ids.shape).wholes, "segment id").enumerated() {
        sum[at] += number
      }
    }
    var (numbers, _, _) = normalised(sum, width: width, epsilon: epsilon(context, default: 1e-12), centred: true)
    guard let gamma = try context.reals(5, count: width, "gamma"), let beta = try context.reals(6, count: width, "beta") else {
      throw context.failure("gamma or beta is missing")
    }
    for at in numbers.indices { numbers[at] = numbers[at] * gamma[at % width] + beta[at % width] }
    try context.setReals(numbers)
    let mask = context.optional(7)?.broadcast(to: ids.shape).wholes
    try context.setWholes(
      (0..<batch).map { row in mask.map { $0[row * length..<(row + 1) * length].count { $0 == 1 } } ?? 0 }, at: 1)
    try context.setReals(sum, at: 2)
  }
}
