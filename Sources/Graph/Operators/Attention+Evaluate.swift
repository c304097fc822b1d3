extension AttentionFamily {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .attention: try Self.evaluateAttention(&context)
    case .rotaryEmbedding, .microsoftRotaryEmbedding: try evaluateRotary(&context)
    case .microsoftAttention, .quantisedAttention: try evaluatePacked(&context)
    case .multiHeadAttention: try Self.evaluateMultiHead(&context)
    case .groupQueryAttention: try Self.evaluateGroupQuery(&context)
    }
  }

  // MARK: - The standard operator

  /// An operand of attention as [batch, heads, positions, size].
  private struct Heads {
    let batch: Int
    let heads: Int
    let positions: Int
    let size: Int
    let numbers: [Double]

    init(_ tensor: Tensor, heads count: Int?, _ context: EvaluationContext) throws(Diagnostic) {
      batch = tensor.shape[0]
      if tensor.rank == 4 {
        (heads, positions, size) = (tensor.shape[1], tensor.shape[2], tensor.shape[3])
        numbers = tensor.reals
        return
      }
      guard let count, count > 0 else { throw context.failure("the head counts are missing") }
      (heads, positions, size) = (count, tensor.shape[1], tensor.shape[2] / count)
      numbers = HeadLayout.split(tensor.reals, batch: batch, positions: positions, heads: heads, size: size)
    }
  }

  private static func evaluateAttention(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let q = try Heads(try context.input(0), heads: attributes.int(.qNumHeads), context)
    let k = try Heads(try context.input(1), heads: attributes.int(.kvNumHeads), context)
    let v = try Heads(try context.input(2), heads: attributes.int(.kvNumHeads), context)
    let past = context.optional(4)?.shape[2] ?? 0
    let total = past + k.positions
    var (key, value) = (k.numbers, v.numbers)
    if let pastKey = context.optional(4), let pastValue = context.optional(5) {
      let lines = k.batch * k.heads
      key = HeadLayout.append(pastKey.reals, key, lines: lines, past: past, new: k.positions, size: k.size)
      value = HeadLayout.append(pastValue.reals, value, lines: lines, past: past, new: k.positions, size: v.size)
    } else if context.optional(4) != nil || context.optional(5) != nil {
      throw context.failure("of the past key and the past value only one is given")
    }
    let bias = try StandardBias(context, batch: q.batch, heads: q.heads, queries: q.positions, keys: total, past: past)
    let core = HeadAttention(
      batch: q.batch, heads: q.heads, keyHeads: k.heads, queries: q.positions, keys: total, size: q.size, valueSize: v.size,
      query: q.numbers, key: key, value: value,
      scale: attributes.float(.scale).map(Double.init) ?? 1 / Double(q.size).squareRoot(),
      softcap: Double(attributes.float(.softcap) ?? 0),
      unseen: attributes.int(.unseenKeys).flatMap { UnseenKeys(rawValue: $0) } ?? .zero)
    let stage: HeadAttention.Stage
    switch attributes.int(.qkMatmulOutputMode) ?? 0 {
    case 0: stage = .raw
    case 1: stage = .capped
    case 2: stage = .biased
    case 3: stage = .shares
    case let other: throw context.failure("qk_matmul_output_mode is \(other), which is none of 0, 1, 2, 3")
    }
    let (result, scores) = core.run(context.isWanted(3) ? stage : nil) { bias.rows($0, $1) }
    let flat = try context.input(0).rank == 3
    try context.setReals(
      flat ? HeadLayout.merge(result, batch: q.batch, positions: q.positions, heads: q.heads, size: v.size) : result)
    try context.setReals(key, at: 1)
    try context.setReals(value, at: 2)
    if context.isWanted(3) { try context.setReals(scores, at: 3) }
  }

  /// What is added to the scores: the mask, causality, the window, and the lengths of the keys.
  private struct StandardBias {
    let heads: Int
    let queries: Int
    let keys: Int
    let mask: [Double]?
    let lengths: [Int]?
    let past: Int
    let isCausal: Bool
    let left: Int
    let right: Int

    init(
      _ context: EvaluationContext, batch: Int, heads: Int, queries: Int, keys: Int, past: Int
    ) throws(Diagnostic) {
      (self.heads, self.queries, self.keys, self.past) = (heads, queries, keys, past)
      isCausal = context.attributes.flag(.isCausal)
      left = context.attributes.int(.leftWindowSize) ?? -1
      right = context.attributes.int(.rightWindowSize) ?? -1
      lengths = context.optional(6)?.wholes
      if let lengths, lengths.count != batch { throw context.failure("\(lengths.count) valid lengths for a batch of \(batch)") }
      if let length = lengths?.first(where: { !(0...keys).contains($0) }) {
        throw context.failure("the valid length \(length) is outside \(keys) keys")
      }
      guard let tensor = context.optional(3), tensor.rank > 0 else {
        mask = nil
        return
      }
      // A mask may end before the keys do: what it does not cover is masked.
      let covered = tensor.shape[tensor.rank - 1]
      let numbers = tensor.element == .bool ? tensor.truths.map { $0 ? 0 : -Double.infinity } : tensor.reals
      var shape = tensor.shape
      var padded = numbers
      if covered < keys {
        shape[tensor.rank - 1] = keys
        padded = []
        for line in 0..<tensor.shape.dropLast().reduce(1, *) {
          padded += numbers[line * covered..<(line + 1) * covered]
          padded += Array(repeating: -.infinity, count: keys - covered)
        }
      }
      let target = [batch, heads, queries, keys]
      try context.requireBroadcast(shape, to: target, "the mask")
      mask = Tensor.broadcastPositions(shape, to: target).map { padded[$0] }
    }

    func rows(_ image: Int, _ head: Int) -> [Double] {
      let count = queries * keys
      let base = (image * heads + head) * count
      var bias = mask.map { Array($0[base..<base + count]) } ?? Array(repeating: 0, count: count)
      let length = lengths?[image]
      // Where the cache lies outside, the queries are the last of the valid positions.
      let offset = past > 0 || length == nil ? past : (length ?? 0) - queries
      for i in 0..<queries {
        for j in 0..<keys {
          let distance = i + offset - j
          let isOutside =
            isCausal && distance < 0 || left >= 0 && distance > left || right >= 0 && -distance > right || j >= length ?? keys
          if isOutside { bias[i * keys + j] = -.infinity }
        }
      }
      return bias
    }
  }

  // MARK: - Rotary embeddings

  private func evaluateRotary(_ context: inout EvaluationContext) throws(Diagnostic) {
    let standard = self == .rotaryEmbedding
    let data = try context.input(0)
    let (cosine, sine) = (try context.input(standard ? 1 : 2), try context.input(standard ? 2 : 3))
    let attributes = context.attributes
    guard let pairs = cosine.shape.last, cosine.count == sine.count else {
      throw context.failure("the tables are of different sizes")
    }
    let (batch, length) = (data.shape[0], data.shape[data.rank == 4 ? 2 : 1])
    let size: Int
    let heads: Int
    if data.rank == 4 {
      (heads, size) = (data.shape[1], data.shape[3])
    } else if let count = attributes.int(.numHeads), count > 0 {
      (heads, size) = (count, data.shape[2] / count)
    } else {
      size = max(1, 2 * pairs)
      heads = data.shape[2] / size
    }
    guard 2 * pairs <= size else { throw context.failure("the tables turn \(2 * pairs) numbers of a head of \(size)") }
    let table = RotaryTable(
      cosines: cosine.reals, sines: sine.reals, pairs: pairs, interleaved: attributes.flag(.interleaved))
    let listed = context.optional(standard ? 3 : 1)
    let indices = listed?.wholes
    if let indices, ![1, batch * length].contains(indices.count) {
      throw context.failure("\(indices.count) positions for a batch of \(batch) and a length of \(length)")
    }
    let isOffset = !standard && listed?.rank == 1 && indices?.count == 1
    var numbers = data.reals
    for image in 0..<batch {
      for step in 0..<length {
        let place = image * length + step
        let position: Int
        if let indices {
          position = isOffset ? (indices.first ?? 0) &+ step : indices[indices.count == 1 ? 0 : place]
        } else {
          // Without positions the tables hold a row for each place; one image's rows may serve all.
          position = table.positions == batch * length ? place : step
        }
        guard (0..<table.positions).contains(position) else {
          throw context.failure("position \(position) is outside tables of \(table.positions) positions")
        }
        for head in 0..<heads {
          let start = data.rank == 4 ? ((image * heads + head) * length + step) * size : (place * heads + head) * size
          table.rotate(&numbers, at: start, position: position)
        }
      }
    }
    try context.setReals(numbers)
  }
}
