/// Attention and rotary embeddings as one operator.
public enum AttentionFamily: String, CaseIterable, Sendable, Hashable {
  case attention = "Attention"
  case rotaryEmbedding = "RotaryEmbedding"
  case microsoftAttention = "com.microsoft.Attention"
  case groupQueryAttention = "com.microsoft.GroupQueryAttention"
  case multiHeadAttention = "com.microsoft.MultiHeadAttention"
  case quantisedAttention = "com.microsoft.QAttention"
  case microsoftRotaryEmbedding = "com.microsoft.RotaryEmbedding"
}

extension AttentionFamily: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .attention: Signature(3...7, outputs: 1...4)
    case .rotaryEmbedding: Signature(3...4)
    case .microsoftAttention: Signature(2...7, outputs: 1...2)
    case .groupQueryAttention: Signature(7...16, outputs: 1...4)
    case .multiHeadAttention: Signature(1...10, outputs: 1...4)
    case .quantisedAttention: Signature(5...9, outputs: 1...2)
    case .microsoftRotaryEmbedding: Signature(4)
    }
  }

  /// Types of the results: what the heads make, and the keys and values to carry on with.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .attention: try Self.inferAttention(&context)
    case .rotaryEmbedding, .microsoftRotaryEmbedding: try inferRotary(&context)
    case .microsoftAttention, .quantisedAttention: try inferPacked(&context)
    case .groupQueryAttention: try Self.inferGroupQuery(&context)
    case .multiHeadAttention: try Self.inferMultiHead(&context)
    }
  }

  /// A head count that an attribute must give, positive.
  private static func heads(_ name: AttributeName, _ context: InferenceContext) throws(Diagnostic) -> Int {
    guard let heads = context.attributes.int(name) else { throw context.failure("the attribute \(name.rawValue) is missing") }
    try context.require(heads > 0, "\(name.rawValue) is \(heads), which is not positive")
    return heads
  }

  /// Throws unless each query head finds its key and value head.
  private static func requireGroups(_ queries: Extent, _ keys: Extent, _ context: InferenceContext) throws(Diagnostic) {
    guard let q = queries.constant, let kv = keys.constant else { return }
    try context.require(kv > 0 && q % kv == 0, "\(q) query heads are not a multiple of \(kv) key and value heads")
  }
}

// MARK: - The standard operator

extension AttentionFamily {
  /// [batch, heads, positions, head size] of an operand of either form.
  private struct Heads {
    let batch: Extent
    let heads: Extent
    let positions: Extent
    let size: Extent

    init(_ type: TensorType, _ count: AttributeName, _ what: String, _ context: InferenceContext) throws(Diagnostic) {
      try context.require(rank: 3, 4, of: type, what)
      batch = type.shape[0]
      if type.rank == 4 {
        (heads, positions, size) = (type.shape[1], type.shape[2], type.shape[3])
      } else {
        let number = try AttentionFamily.heads(count, context)
        heads = Extent(number)
        positions = type.shape[1]
        size = try context.divide(type.shape[2], into: number, "hidden numbers of \(what)", count.rawValue)
      }
    }
  }

  private static func inferAttention(_ context: inout InferenceContext) throws(Diagnostic) {
    let query = try context.type(0)
    let q = try Heads(query, .qNumHeads, "the query", context)
    let k = try Heads(try context.type(1), .kvNumHeads, "the key", context)
    let v = try Heads(try context.type(2), .kvNumHeads, "the value", context)
    let size = try context.agree(q.size, k.size) { "heads of the query have \($0) numbers, those of the key \($1)" }
    let kvHeads = try context.agree(k.heads, v.heads) { "the key has \($0) heads, the value \($1)" }
    let positions = try context.agree(k.positions, v.positions) { "the key has \($0) positions, the value \($1)" }
    let batch = try context.agree(
      try context.agree(q.batch, k.batch) { "the query has a batch of \($0), the key \($1)" }, v.batch
    ) {
      "the query has a batch of \($0), the value \($1)"
    }
    try requireGroups(q.heads, kvHeads, context)
    var total = positions
    if let past = context.optionalType(4) {
      try context.require(rank: 4, of: past, "the past key")
      try context.require(shape: [batch, kvHeads, past.shape[2], size], of: past, "the past key")
      if let value = context.optionalType(5) {
        try context.require(shape: [batch, kvHeads, past.shape[2], v.size], of: value, "the past value")
      }
      total = past.shape[2] + positions
    }
    let scores = [batch, q.heads, q.positions, total]
    if let mask = context.optionalType(3), let last = mask.shape.last {
      // A mask may be shorter than the keys it covers; the rest counts as masked.
      try context.requireBroadcast(mask.shape.dropLast() + [1], to: scores, "the mask")
      try context.require(total.isLess(than: last) != true, "the mask \(mask) covers \(last) positions of \(total)")
    }
    try context.requireList(6, of: batch, "the valid lengths")
    let flat = query.rank == 3
    context.set(0, query.element, flat ? [batch, q.positions, q.heads * v.size] : [batch, q.heads, q.positions, v.size])
    context.set(1, try context.type(1).element, [batch, kvHeads, total, size])
    context.set(2, try context.type(2).element, [batch, kvHeads, total, v.size])
    context.set(3, query.element, scores)
  }

  /// The result has the first operand's type; the tables hold one number per pair of the rotated part of a head.
  private func inferRotary(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    try context.require(rank: 3, 4, of: data, "the input")
    let standard = self == .rotaryEmbedding
    let cosine = try context.type(standard ? 1 : 2)
    let sine = try context.type(standard ? 2 : 3)
    guard let pairs = cosine.shape.last, cosine.rank == sine.rank else {
      throw context.failure("the cosine table is \(cosine), the sine table \(sine)")
    }
    try requireTables(cosine, sine, positions: context.optionalType(standard ? 3 : 1), context)
    let count = context.attributes.int(.numHeads) ?? 0
    let head: Extent?
    if data.rank == 4 {
      head = data.shape[3]
    } else if count != 0 {
      head = try context.divide(data.shape[2], into: count, "hidden numbers of the input", "num_heads")
    } else {
      try context.require(!standard, "an input of three axes needs num_heads")
      head = nil
    }
    let rotated = context.attributes.int(.rotaryEmbeddingDim) ?? 0
    if rotated != 0 {
      try context.require(rotated > 0 && rotated % 2 == 0, "rotary_embedding_dim is \(rotated), which is not positive and even")
      if let size = head?.constant { try context.require(rotated <= size, "\(rotated) numbers are rotated of a head of \(size)") }
      try context.agree(pairs, Extent(rotated / 2)) { "the tables hold \($0) pairs, rotary_embedding_dim makes \($1)" }
    } else if let head {
      try context.agree(pairs * 2, head) { "the tables rotate \($0) numbers, a head has \($1)" }
    } else if let hidden = data.shape[2].constant, let size = (pairs * 2).constant {
      try context.require(
        size > 0 && hidden % size == 0, "hidden numbers are \(hidden), not a multiple of the \(size) that the tables rotate")
    }
    context.set(0, data)
  }

  private func requireTables(
    _ cosine: TensorType, _ sine: TensorType, positions: TensorType?, _ context: InferenceContext
  ) throws(Diagnostic) {
    let indexed = self == .microsoftRotaryEmbedding || positions != nil
    try context.require(rank: indexed ? 2 : 3, of: cosine, "the cosine table")
    for (a, b) in zip(cosine.shape, sine.shape) {
      try context.agree(a, b) { _, _ in "the cosine table is \(cosine), the sine table \(sine)" }
    }
  }
}

// MARK: - Operators of com.microsoft

extension AttentionFamily {
  /// The weight makes query, key and value of the input at once.
  private func inferPacked(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let weight = try context.type(1)
    try context.require(rank: 3, of: data, "the input")
    try context.require(rank: 2, of: weight, "the weight")
    try context.agree(data.shape[2], weight.shape[0]) { "the input has \($0) hidden numbers, the weight expects \($1)" }
    let heads = try Self.heads(.numHeads, context)
    let value: Extent
    let key: Extent
    if let sizes = context.attributes.ints(.qkvHiddenSizes), !sizes.isEmpty {
      try context.require(
        sizes.count == 3 && sizes[0] == sizes[1], "qkv_hidden_sizes \(sizes) are not three, the first two equal")
      try context.require(sizes.allSatisfy { $0 > 0 }, "qkv_hidden_sizes \(sizes) are not positive")
      let sum = sizes.reduce(Extent(0)) { $0 + Extent($1) }
      try context.agree(weight.shape[1], sum) { "the weight makes \($0) numbers, qkv_hidden_sizes \(sizes) sum up to \($1)" }
      (key, value) = (Extent(sizes[1]), Extent(sizes[2]))
    } else {
      value = try context.divide(weight.shape[1], into: 3, "numbers that the weight makes", "three:")
      key = value
    }
    _ = try context.divide(key, into: heads, "hidden numbers of the key", "num_heads")
    let size = try context.divide(value, into: heads, "hidden numbers of the value", "num_heads")
    try context.requireList(2, of: weight.shape[1], "the bias")
    let quantised = self == .quantisedAttention
    let element = quantised ? try context.type(2).element : data.element
    context.set(0, element, [data.shape[0], data.shape[1], value])
    var length = data.shape[1]
    if let past = context.optionalType(quantised ? 8 : 4) {
      try context.require(rank: 5, of: past, "the past")
      length = context.attributes.flag(.pastPresentShareBuffer) ? past.shape[3] : past.shape[3] + length
      let expected = [2, data.shape[0], Extent(heads), past.shape[3], size]
      try context.require(shape: expected, of: past, "the past")
    }
    context.set(1, element, [2, data.shape[0], Extent(heads), length, size])
  }

  private static func inferMultiHead(_ context: inout InferenceContext) throws(Diagnostic) {
    let query = try context.type(0)
    try context.require(rank: 3, 5, of: query, "the query")
    let number = try heads(.numHeads, context)
    let count = Extent(number)
    let (batch, length) = (query.shape[0], query.shape[1])
    let size: Extent
    var keys = length
    var wide: Extent
    if query.rank == 5 {
      try context.require(shape: [batch, length, count, 3, query.shape[4]], of: query, "the packed query")
      size = query.shape[4]
      wide = size
    } else {
      size = try context.divide(query.shape[2], into: number, "hidden numbers of the query", "num_heads")
      wide = size
      let key = try context.type(1)
      try context.require(rank: 3, 4, 5, of: key, "the key")
      keys = key.shape[key.rank == 4 ? 2 : 1]
      switch key.rank {
      case 3: try context.require(shape: [batch, keys, count * size], of: key, "the key")
      case 4: try context.require(shape: [batch, count, keys, size], of: key, "the key")
      default: try context.require(shape: [batch, keys, count, 2, size], of: key, "the packed key")
      }
      if let value = context.optionalType(2) {
        try context.require(rank: 3, 4, of: value, "the value")
        wide =
          value.rank == 4
          ? value.shape[3] : try context.divide(value.shape[2], into: number, "hidden numbers of the value", "num_heads")
        try context.require(
          shape: value.rank == 4 ? [batch, count, keys, wide] : [batch, keys, count * wide], of: value, "the value")
      }
    }
    try context.requireList(3, of: count * (size * 2 + wide), "the bias")
    var total = keys
    if let past = context.optionalType(6) {
      try context.require(rank: 4, of: past, "the past key")
      try context.require(shape: [batch, count, past.shape[2], size], of: past, "the past key")
      // With a length beside it, the past is a buffer that the new keys are written into.
      total = context.has(8) ? past.shape[2] : past.shape[2] + keys
    }
    if let bias = context.optionalType(5) {
      try context.requireBroadcast(bias.shape.dropLast() + [1], to: [batch, count, length, total], "the attention bias")
    }
    context.set(0, query.element, [batch, length, count * wide])
    context.set(1, query.element, [batch, count, total, size])
    context.set(2, query.element, [batch, count, total, wide])
    context.set(3, query.element, [batch, count, length, total])
  }

  private static func inferGroupQuery(_ context: inout InferenceContext) throws(Diagnostic) {
    let query = try context.type(0)
    try context.require(rank: 3, of: query, "the query")
    let number = try heads(.numHeads, context)
    let keyNumber = try heads(.kvNumHeads, context)
    try requireGroups(Extent(number), Extent(keyNumber), context)
    let (batch, length) = (query.shape[0], query.shape[1])
    let size: Extent
    if context.has(1) {
      size = try context.divide(query.shape[2], into: number, "hidden numbers of the query", "num_heads")
      for (index, what) in [(1, "the key"), (2, "the value")] {
        let type = try context.type(index)
        try context.require(rank: 3, of: type, what)
        try context.require(shape: [batch, type.shape[1], Extent(keyNumber) * size], of: type, what)
      }
    } else {
      let (twice, overflow) = keyNumber.multipliedReportingOverflow(by: 2)
      let (all, more) = number.addingReportingOverflow(twice)
      try context.require(!overflow && !more, "the head counts are too large")
      size = try context.divide(query.shape[2], into: all, "hidden numbers of the packed query", "num_heads + 2·kv_num_heads:")
    }
    var cache = query.element
    let total = context.wholes(operand: 6)?.first
    var positions = total ?? context.unknownExtent(output: 1, axis: 2)
    var stored = size
    if let past = context.optionalType(3) {
      try context.require(rank: 4, of: past, "the past key")
      cache = past.element
      if cache != query.element { stored = past.shape[3] }
      try context.require(shape: [batch, Extent(keyNumber), past.shape[2], stored], of: past, "the past key")
      if let value = context.optionalType(4) {
        try context.require(shape: [batch, Extent(keyNumber), past.shape[2], stored], of: value, "the past value")
      }
      // Where past and present share a buffer it is longer than what is filled.
      switch total.map({ past.shape[2].isLess(than: $0) }) {
      case true??: break
      case false??: positions = past.shape[2]
      case nil, .some(nil): positions = context.unknownExtent(output: 1, axis: 2)
      }
    }
    context.set(0, query.element, [batch, length, Extent(number) * size])
    context.set(1, cache, [batch, Extent(keyNumber), positions, stored])
    context.set(2, cache, [batch, Extent(keyNumber), positions, stored])
    context.set(3, query.element, [batch, Extent(number), length, total ?? context.unknownExtent(output: 3, axis: 3)])
  }
}
