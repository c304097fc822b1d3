/// What ONNX Runtime's attention adds to the scores: key masks of several forms, causality, and a bias.
private struct KeyMask {
  let batch: Int
  let heads: Int
  let queries: Int
  let keys: Int
  /// Keys that were there before the queries.
  let past: Int
  let isCausal: Bool
  /// [batch, queries, keys].
  private var mask: [Double]
  private let bias: [Double]?

  /// `mask` and `bias` are the indices of their operands.
  init(
    _ context: EvaluationContext, mask index: Int, bias biasIndex: Int, batch: Int, heads: Int, queries: Int, keys: Int, past: Int
  ) throws(Diagnostic) {
    (self.batch, self.heads, self.queries, self.keys, self.past) = (batch, heads, queries, keys, past)
    isCausal = context.attributes.flag(.unidirectional)
    mask = Array(repeating: 0, count: batch * queries * keys)
    bias =
      context.optional(biasIndex) == nil
      ? nil : try context.broadcastReals(biasIndex, to: [batch, heads, queries, keys], "the attention bias")
    guard let tensor = context.optional(index) else { return }
    let hidden = Double(context.attributes.float(.maskFilterValue) ?? -10000)
    let numbers = tensor.wholes
    func fill(_ isHidden: (Int, Int, Int) -> Bool) {
      for image in 0..<batch {
        for i in 0..<queries {
          for j in 0..<keys where isHidden(image, i, j) { mask[(image * queries + i) * keys + j] = hidden }
        }
      }
    }
    switch (tensor.rank, tensor.count) {
    case (1, batch): fill { image, _, j in j >= numbers[image] }
    case (1, 2 * batch): fill { image, _, j in j >= numbers[image] || j < numbers[batch + image] }
    case (1, 3 * batch + 2):
      throw context.unsupported("the form of the mask with the sums of the lengths is not covered")
    case (2, batch * keys): fill { image, _, j in numbers[image * keys + j] <= 0 }
    case (3, batch * queries * keys): fill { image, i, j in numbers[(image * queries + i) * keys + j] <= 0 }
    case _:
      throw context.unsupported("a mask of shape \(tensor.shape) for \(batch) by \(queries) by \(keys) scores is not covered")
    }
  }

  func rows(_ image: Int, _ head: Int) -> [Double] {
    let count = queries * keys
    var result = Array(mask[image * count..<(image + 1) * count])
    if let bias { for at in 0..<count { result[at] += bias[(image * heads + head) * count + at] } }
    if isCausal {
      // The last query sees all keys, whatever their number.
      for i in 0..<max(0, queries - 1) { for j in 0..<keys where j > past + i { result[i * keys + j] = -.infinity } }
    }
    return result
  }
}

extension AttentionFamily {
  /// Attention and QAttention: one weight makes query, key and value.
  func evaluatePacked(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let quantised = self == .quantisedAttention
    guard !attributes.flag(.pastPresentShareBuffer) else { throw context.unsupported("a shared buffer of keys is not covered") }
    guard !attributes.flag(.doRotary) else { throw context.unsupported("do_rotary is not covered") }
    let (data, weight) = (try context.input(0), try context.input(1))
    let (batch, length, all) = (data.shape[0], data.shape[1], weight.shape[1])
    let heads = attributes.int(.numHeads) ?? 1
    let sizes = attributes.ints(.qkvHiddenSizes).flatMap { $0.count == 3 ? $0 : nil } ?? Array(repeating: all / 3, count: 3)
    let (size, valueSize) = (sizes[0] / heads, sizes[2] / heads)
    let (numbers, weights) = quantised ? try Self.dequantised(context, data, weight) : (data.reals, weight.reals)
    var product = MatrixKernel.product(numbers, data.shape, weights, weight.shape)
    if let bias = try context.reals(2, count: all, "the bias") {
      for at in product.indices { product[at] += bias[at % all] }
    }
    func part(_ first: Int, _ size: Int) -> [Double] {
      let strides = [length * all, size, all, 1]
      return Tensor.positions([batch, heads, length, size], strides: strides, start: first).map { product[$0] }
    }
    let query = part(0, size)
    var (key, value) = (part(sizes[0], size), part(sizes[0] + sizes[1], valueSize))
    var past = 0
    if let tensor = context.optional(quantised ? 8 : 4) {
      past = tensor.shape[3]
      let (lines, half) = (batch * heads, tensor.count / 2)
      let cache = tensor.reals
      key = HeadLayout.append(Array(cache[..<half]), key, lines: lines, past: past, new: length, size: size)
      value = HeadLayout.append(Array(cache[half...]), value, lines: lines, past: past, new: length, size: valueSize)
    }
    let keys = past + length
    let mask = try KeyMask(
      context, mask: quantised ? 5 : 3, bias: quantised ? -1 : 5, batch: batch, heads: heads, queries: length, keys: keys,
      past: past)
    let core = HeadAttention(
      batch: batch, heads: heads, keyHeads: heads, queries: length, keys: keys, size: size, valueSize: valueSize, query: query,
      key: key, value: value, scale: Self.scale(context, size))
    let result = core.run(nil) { mask.rows($0, $1) }.result
    try context.setReals(HeadLayout.merge(result, batch: batch, positions: length, heads: heads, size: valueSize))
    if context.isWanted(1) {
      guard size == valueSize else {
        throw context.unsupported("the present of keys and values of different sizes is not covered")
      }
      try context.setReals(key + value, at: 1)
    }
  }

  /// The attribute `scale`, one over the root of the head size where it is left out or zero.
  private static func scale(_ context: EvaluationContext, _ size: Int) -> Double {
    let stated = Double(context.attributes.float(.scale) ?? 0)
    return stated == 0 ? 1 / Double(size).squareRoot() : stated
  }

  /// Input and weight of QAttention as real numbers; the weight's scale and zero point may be one per column.
  private static func dequantised(
    _ context: EvaluationContext, _ data: Tensor, _ weight: Tensor
  ) throws(Diagnostic) -> ([Double], [Double]) {
    let scale = try context.realScalar(3, default: 1)
    let zero = try context.realScalar(6, default: 0)
    let columns = weight.shape[1]
    let scales = context.optional(4)?.reals ?? [1]
    let zeros = context.optional(7)?.reals ?? [0]
    guard [1, columns].contains(scales.count), [1, columns].contains(zeros.count) else {
      throw context.failure("\(scales.count) scales and \(zeros.count) zero points for a weight of \(columns) columns")
    }
    var weights = weight.reals
    for at in weights.indices {
      weights[at] = (weights[at] - zeros[zeros.count == 1 ? 0 : at % columns]) * scales[scales.count == 1 ? 0 : at % columns]
    }
    return (data.reals.map { ($0 - zero) * scale }, weights)
  }

  // MARK: - MultiHeadAttention

  static func evaluateMultiHead(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    guard context.optional(9) == nil else { throw context.unsupported("an indirection of the cache is not covered") }
    let tensor = try context.input(0)
    let heads = attributes.int(.numHeads) ?? 1
    let (batch, length) = (tensor.shape[0], tensor.shape[1])
    let size = tensor.rank == 5 ? tensor.shape[4] : tensor.shape[2] / heads
    let bias = context.optional(3)?.reals
    /// Numbers of an operand with the bias from `first` on, heads to the front.
    func split(_ numbers: [Double], _ positions: Int, _ size: Int, bias first: Int) -> [Double] {
      var numbers = numbers
      if let bias { for at in numbers.indices { numbers[at] += bias[first + at % (heads * size)] } }
      return HeadLayout.split(numbers, batch: batch, positions: positions, heads: heads, size: size)
    }
    /// One of `count` tensors that lie side by side in every head.
    func unpacked(_ tensor: Tensor, _ index: Int, of count: Int) -> [Double] {
      let numbers = tensor.reals
      let width = heads * size
      return (0..<tensor.count / count).map { at in
        let (row, rest) = (at / width, at % width)
        return numbers[(row * heads + rest / size) * count * size + index * size + rest % size]
      }
    }
    let query: [Double]
    var key: [Double]
    var value: [Double]
    var (keys, valueSize) = (length, size)
    if tensor.rank == 5 {
      query = split(unpacked(tensor, 0, of: 3), length, size, bias: 0)
      key = split(unpacked(tensor, 1, of: 3), length, size, bias: heads * size)
      value = split(unpacked(tensor, 2, of: 3), length, size, bias: 2 * heads * size)
    } else {
      query = split(tensor.reals, length, size, bias: 0)
      let given = try context.input(1)
      keys = given.shape[given.rank == 4 ? 2 : 1]
      switch given.rank {
      case 5:
        key = split(unpacked(given, 0, of: 2), keys, size, bias: heads * size)
        value = split(unpacked(given, 1, of: 2), keys, size, bias: 2 * heads * size)
      case 4:
        // Keys and values of an earlier run come without need of a bias.
        let values = try context.input(2)
        guard values.rank == 4 else { throw context.failure("the key has four axes, the value \(values.rank)") }
        (key, value, valueSize) = (given.reals, values.reals, values.shape[3])
      case _:
        let values = try context.input(2)
        guard values.rank == 3 else { throw context.failure("the key has three axes, the value \(values.rank)") }
        valueSize = values.shape[2] / heads
        key = split(given.reals, keys, size, bias: heads * size)
        value = split(values.reals, keys, valueSize, bias: 2 * heads * size)
      }
    }
    var past = 0
    var (presentKey, presentValue) = (key, value)
    if let pastKey = context.optional(6), let pastValue = context.optional(7) {
      let room = pastKey.shape[2]
      past = room
      if let operand = context.optional(8) {
        guard let number = operand.scalarWhole, number >= 0, number <= room - keys else {
          throw context.failure("the length of the past does not leave room for \(keys) keys in a buffer of \(room)")
        }
        past = number
      }
      let lines = batch * heads
      func grown(_ cache: [Double], _ new: [Double], _ size: Int, present: inout [Double]) -> [Double] {
        let filled = (0..<lines).flatMap { cache[$0 * room * size..<($0 * room + past) * size] }
        let all = HeadLayout.append(filled, new, lines: lines, past: past, new: keys, size: size)
        present = all
        if context.optional(8) != nil {
          present = cache
          for line in 0..<lines {
            present.replaceSubrange(
              (line * room + past) * size..<(line * room + past + keys) * size,
              with: new[line * keys * size..<(line + 1) * keys * size])
          }
        }
        return all
      }
      key = grown(pastKey.reals, key, size, present: &presentKey)
      value = grown(pastValue.reals, value, valueSize, present: &presentValue)
    }
    let total = past + keys
    let mask = try KeyMask(
      context, mask: 4, bias: 5, batch: batch, heads: heads, queries: length, keys: total, past: past)
    let core = HeadAttention(
      batch: batch, heads: heads, keyHeads: heads, queries: length, keys: total, size: size, valueSize: valueSize, query: query,
      key: key, value: value, scale: scale(context, size))
    let (result, scores) = core.run(context.isWanted(3) ? .biased : nil) { mask.rows($0, $1) }
    try context.setReals(HeadLayout.merge(result, batch: batch, positions: length, heads: heads, size: valueSize))
    try context.setReals(presentKey, at: 1)
    try context.setReals(presentValue, at: 2)
    if context.isWanted(3) { try context.setReals(scores, at: 3) }
  }
}
