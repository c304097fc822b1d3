extension AttentionFamily {
  /// Keys and values of a cache followed by new ones; every image has a length of its own.
  static func evaluateGroupQuery(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let tensor = try context.input(0)
    let (heads, keyHeads) = (attributes.int(.numHeads) ?? 1, attributes.int(.kvNumHeads) ?? 1)
    let (batch, length) = (tensor.shape[0], tensor.shape[1])
    for (name, what) in [(AttributeName.keyQuantisation, "key"), (.valueQuantisation, "value")] {
      let kind = attributes.string(name) ?? "NONE"
      guard kind == "NONE" || kind.isEmpty else { throw context.unsupported("a quantised \(what) cache is not covered") }
    }
    guard !attributes.flag(.slidingWindowCache) else { throw context.unsupported("a sliding cache is not covered") }
    for index in 12..<16 where context.optional(index) != nil {
      throw context.unsupported("operand \(index) is not covered")
    }
    var query: [Double]
    var key: [Double]
    let value: [Double]
    let size: Int
    if let keyTensor = context.optional(1) {
      size = tensor.shape[2] / heads
      guard keyTensor.shape[1] == length else {
        throw context.unsupported("keys of another length than the queries are not covered")
      }
      query = HeadLayout.split(tensor.reals, batch: batch, positions: length, heads: heads, size: size)
      key = HeadLayout.split(keyTensor.reals, batch: batch, positions: length, heads: keyHeads, size: size)
      value = HeadLayout.split(try context.reals(2), batch: batch, positions: length, heads: keyHeads, size: size)
    } else {
      let all = heads + 2 * keyHeads
      size = tensor.shape[2] / all
      let numbers = tensor.reals
      func part(_ first: Int, _ heads: Int) -> [Double] {
        let strides = [length * all * size, size, all * size, 1]
        return Tensor.positions([batch, heads, length, size], strides: strides, start: first * size).map { numbers[$0] }
      }
      (query, key, value) = (part(0, heads), part(heads, keyHeads), part(heads + keyHeads, keyHeads))
    }
    let shape = try context.presentShape(batch: batch, heads: keyHeads, size: size)
    let room = shape[2]
    let lengths = try context.cacheLengths(batch: batch, length: length, room: room)
    let pasts = lengths.map { $0.past }
    if attributes.flag(.doRotary) {
      try rotate(context, &query, &key, batch: batch, length: length, heads: heads, keyHeads: keyHeads, size: size, pasts)
    }
    let stored = context.optional(3)?.shape[2] ?? 0
    func grown(_ past: Tensor?, _ new: [Double]) -> [Double] {
      let cache = past?.reals ?? []
      var present = [Double](repeating: 0, count: batch * keyHeads * room * size)
      for line in 0..<batch * keyHeads {
        let (past, fresh) = lengths[line / keyHeads]
        if past > 0 {
          // Of a longer cache only what was filled goes on.
          let from = line * stored * size
          present.replaceSubrange(line * room * size..<(line * room + past) * size, with: cache[from..<from + past * size])
        }
        let to = (line * room + past) * size
        present.replaceSubrange(to..<to + fresh * size, with: new[line * length * size..<(line * length + fresh) * size])
      }
      return present
    }
    let (presentKey, presentValue) = (grown(context.optional(3), key), grown(context.optional(4), value))
    let total = try context.input(6).scalarWhole ?? room
    let bias = try context.optional(10).map { (tensor) throws(Diagnostic) -> [Double] in
      let target = [batch, heads, length, total]
      try context.requireBroadcast(tensor.shape, to: target, "the attention bias")
      return tensor.broadcast(to: target).reals
    }
    let window = attributes.int(.localWindowSize) ?? -1
    var core = HeadAttention(
      batch: batch, heads: heads, keyHeads: keyHeads, queries: length, keys: room, size: size, valueSize: size, query: query,
      key: presentKey, value: presentValue,
      scale: attributes.float(.scale).map(Double.init).flatMap { $0 == 0 ? nil : $0 } ?? 1 / Double(size).squareRoot(),
      softcap: Double(attributes.float(.softcap) ?? 0))
    if let sinks = try context.reals(11, count: heads, "the head sinks") {
      core.sinks = sinks
    } else if attributes.int(.smoothSoftmax) == 1 {
      core.sinks = Array(repeating: 0, count: heads)
    }
    let stage: HeadAttention.Stage? =
      switch attributes.int(.queryKeyOutput) ?? 0 {
      case 1: .biased
      case 2: .shares
      case _: nil
      }
    func isHidden(_ image: Int, _ i: Int, _ j: Int) -> Bool {
      let (past, fresh) = lengths[image]
      return j > past + i || j >= past + fresh || window > 0 && j <= past + i - window
    }
    let (result, scores) = core.run(context.isWanted(3) ? stage : nil) { image, head in
      var rows = [Double](repeating: 0, count: length * room)
      for i in 0..<length {
        for j in 0..<room {
          let summand = j < total ? bias?[((image * heads + head) * length + i) * total + j] ?? 0 : 0
          rows[i * room + j] = isHidden(image, i, j) ? -.infinity : summand
        }
      }
      return rows
    }
    try context.setReals(HeadLayout.merge(result, batch: batch, positions: length, heads: heads, size: size))
    if context.isWanted(1) { context.set(1, Tensor(reals: presentKey, try context.outputElement(1), shape)) }
    if context.isWanted(2) { context.set(2, Tensor(reals: presentValue, try context.outputElement(2), shape)) }
    if context.isWanted(3), stage != nil {
      // Scores of keys that a query does not see are given out as zero.
      var visible: [Double] = []
      for line in 0..<batch * heads * length {
        for j in 0..<total { visible.append(isHidden(line / length / heads, line % length, j) ? 0 : scores[line * room + j]) }
      }
      try context.setReals(visible, at: 3)
    }
  }

  private static func rotate(
    _ context: EvaluationContext, _ query: inout [Double], _ key: inout [Double], batch: Int, length: Int, heads: Int,
    keyHeads: Int,
    size: Int, _ pasts: [Int]
  ) throws(Diagnostic) {
    let (cosine, sine) = (try context.input(7), try context.input(8))
    guard let pairs = cosine.shape.last, cosine.shape == sine.shape, 2 * pairs <= size else {
      throw context.failure("the tables of shape \(cosine.shape) and \(sine.shape) do not fit heads of \(size) numbers")
    }
    let table = RotaryTable(
      cosines: cosine.reals, sines: sine.reals, pairs: pairs, interleaved: context.attributes.flag(.rotaryInterleaved))
    let listed = context.optional(9)?.wholes
    if let listed, listed.count != batch * length {
      throw context.failure("\(listed.count) positions for \(batch * length) places")
    }
    for image in 0..<batch {
      for step in 0..<length {
        let position = listed?[image * length + step] ?? pasts[image] + step
        guard (0..<table.positions).contains(position) else {
          throw context.failure("position \(position) is outside tables of \(table.positions) positions")
        }
        for head in 0..<heads { table.rotate(&query, at: ((image * heads + head) * length + step) * size, position: position) }
        for head in 0..<keyHeads {
          table.rotate(&key, at: ((image * keyHeads + head) * length + step) * size, position: position)
        }
      }
    }
  }
}

extension EvaluationContext {
  /// Shape of the cache that GroupQueryAttention gives out: as long as all keys, or as the buffer of the past where that is longer.
  fileprivate func presentShape(batch: Int, heads: Int, size: Int) throws(Diagnostic) -> [Int] {
    guard let total = try input(6).scalarWhole, total >= 0, total < 1 << 40 else {
      throw failure("total_sequence_length is not one number that is not negative")
    }
    return [batch, heads, max(total, optional(3)?.shape[2] ?? 0), size]
  }

  /// For every image, how many keys were there before, and how many of the new ones count.
  fileprivate func cacheLengths(batch: Int, length: Int, room: Int) throws(Diagnostic) -> [(past: Int, fresh: Int)] {
    let (ends, total) = (try wholes(5), try input(6).scalarWhole ?? 0)
    guard ends.count == batch || ends.count == 1 else { throw failure("\(ends.count) lengths for a batch of \(batch)") }
    // A prompt fills an empty cache, whatever its length.
    let isPrompt = length == total
    var result: [(past: Int, fresh: Int)] = []
    for image in 0..<batch {
      let end = ends[ends.count == 1 ? 0 : image]
      guard end >= 0, end < room else { throw failure("seqlens_k \(end) is outside a cache of \(room) keys") }
      let past = isPrompt ? 0 : end + 1 - length
      guard past >= 0, isPrompt ? end < length : past <= (optional(3)?.shape[2] ?? 0) else {
        throw failure("seqlens_k \(end) does not leave room for \(length) new keys")
      }
      result.append((past, isPrompt ? end + 1 : length))
    }
    return result
  }
}
