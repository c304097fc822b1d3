/// Scales by statistics of the data itself, or turns scores into shares.
public enum Normalisation: String, CaseIterable, Sendable, Hashable {
  case batchNorm = "BatchNormalization"
  case groupNorm = "GroupNormalization"
  case hardmax = "Hardmax"
  case instanceNorm = "InstanceNormalization"
  case localResponseNorm = "LRN"
  case layerNorm = "LayerNormalization"
  case logSoftmax = "LogSoftmax"
  case lpNorm = "LpNormalization"
  case meanVarianceNorm = "MeanVarianceNormalization"
  case rmsNorm = "RMSNormalization"
  case simplifiedLayerNorm = "SimplifiedLayerNormalization"
  case softmax = "Softmax"
  case quantisedSoftmax = "com.microsoft.QLinearSoftmax"
  case embedLayerNorm = "com.microsoft.EmbedLayerNormalization"
  case skipLayerNorm = "com.microsoft.SkipLayerNormalization"
  case skipSimplifiedLayerNorm = "com.microsoft.SkipSimplifiedLayerNormalization"
}

extension Normalisation: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .batchNorm: Signature(5...5, outputs: 1...5)
    case .groupNorm, .instanceNorm: Signature(3)
    case .hardmax, .localResponseNorm, .logSoftmax, .lpNorm, .meanVarianceNorm, .softmax: Signature(1)
    case .quantisedSoftmax: Signature(4...5)
    case .layerNorm: Signature(2...3, outputs: 1...3)
    case .rmsNorm: Signature(2)
    case .simplifiedLayerNorm: Signature(2...2, outputs: 1...2)
    case .embedLayerNorm: Signature(7...9, outputs: 1...3)
    case .skipLayerNorm: Signature(3...5, outputs: 1...4)
    case .skipSimplifiedLayerNorm: Signature(3...4, outputs: 1...4)
    }
  }

  /// Types of the results: the first operand's, and statistics over the axes that are not normalised.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    switch self {
    case .batchNorm: try Self.inferBatchNorm(data, &context)
    case .groupNorm:
      try context.require(rankAtLeast: 2, of: data, "the input")
      guard let groups = context.attributes.int(.numGroups) else { throw context.failure("the attribute num_groups is missing") }
      _ = try context.divide(data.shape[1], into: groups, "channels of the input", "num_groups")
      // Until version 21 one scale served a whole group.
      let length = context.opset < 21 ? Extent(groups) : data.shape[1]
      try context.requireList(1, of: length, "the scale")
      try context.requireList(2, of: length, "the bias")
      context.set(0, data)
    case .instanceNorm:
      try context.require(rankAtLeast: 2, of: data, "the input")
      try context.requireList(1, of: data.shape[1], "the scale")
      try context.requireList(2, of: data.shape[1], "the bias")
      context.set(0, data)
    case .localResponseNorm:
      try context.require(rankAtLeast: 2, of: data, "the input")
      context.set(0, data)
    case .hardmax, .logSoftmax, .softmax:
      _ = try context.axis(Self.softmaxAxis(context), rank: data.rank)
      context.set(0, data)
    case .quantisedSoftmax:
      _ = try context.axis(context.attributes.int(.axis) ?? -1, rank: data.rank)
      context.set(0, context.optionalType(4)?.element ?? data.element, data.shape)
    case .lpNorm:
      _ = try context.axis(context.attributes.int(.axis) ?? -1, rank: data.rank)
      context.set(0, data)
    case .meanVarianceNorm:
      _ = try context.axes(context.attributes.ints(.axes) ?? [0, 2, 3], rank: data.rank)
      context.set(0, data)
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm: try inferTrailing(data, &context)
    case .embedLayerNorm: try Self.inferEmbedding(data, &context)
    case .skipLayerNorm, .skipSimplifiedLayerNorm: try inferSkip(data, &context)
    }
  }

  /// The attribute `axis` of softmax and its kin, defaults filled in: 1 before version 13, when all axes from there on were one, and
  /// −1 since.
  static func softmaxAxis(_ context: InferenceContext) -> Int {
    context.attributes.int(.axis) ?? (context.opset < 13 ? 1 : -1)
  }

  private static func inferBatchNorm(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rankAtLeast: 1, of: data, "the input")
    let channels = data.rank > 1 ? data.shape[1] : 1
    for (index, what) in [(1, "the scale"), (2, "the bias"), (3, "the mean"), (4, "the variance")] {
      _ = try context.type(index)
      try context.requireList(index, of: channels, what)
    }
    context.set(0, data)
    let statistics = try context.type(3).element
    for index in 1...4 { context.set(index, statistics, [channels]) }
  }

  /// Norms over all axes from `axis` on, with a scale and perhaps a bias of their shape.
  private func inferTrailing(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: data.rank)
    let scale = try context.type(1)
    try context.requireBroadcast(scale.shape, to: data.shape, "the scale")
    if let bias = context.optionalType(2) { try context.requireBroadcast(bias.shape, to: data.shape, "the bias") }
    // The results of the norms without a mean have the scale's type, which may be wider than the input's.
    context.set(0, self == .layerNorm ? data.element : scale.element, data.shape)
    let stash = try context.element(attribute: .stashType) ?? .f32
    let statistics = Array(data.shape[..<axis]) + Array(repeating: Extent(1), count: data.rank - axis)
    context.set(1, stash, statistics)
    context.set(2, stash, statistics)
  }

  private func inferSkip(_ data: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rank: 2, 3, of: data, "the input")
    let width = data.shape[data.rank - 1]
    try context.requireBroadcast(try context.type(1).shape, to: data.shape, "the skip")
    _ = try context.type(2)
    try context.requireList(2, of: width, "gamma")
    if self == .skipLayerNorm {
      try context.requireList(3, of: width, "beta")
      try context.requireList(4, of: width, "the bias")
    } else {
      try context.requireList(3, of: width, "the bias")
    }
    context.set(0, data)
    let statistics = data.shape.dropLast() + [1]
    context.set(1, .f32, Array(statistics))
    context.set(2, .f32, Array(statistics))
    context.set(3, data)
  }

  private static func inferEmbedding(_ ids: TensorType, _ context: inout InferenceContext) throws(Diagnostic) {
    try context.require(rank: 2, of: ids, "the word ids")
    let words = try context.type(2)
    try context.require(rank: 2, of: words, "the word embedding")
    var width = words.shape[1]
    for (index, what) in [(3, "the position embedding"), (4, "the segment embedding")] {
      guard let table = context.optionalType(index) else { continue }
      try context.require(rank: 2, of: table, what)
      width = try context.agree(table.shape[1], width) { "\(what) is \($0) wide, the word embedding \($1)" }
    }
    try context.requireList(5, of: width, "gamma")
    try context.requireList(6, of: width, "beta")
    for (index, what) in [(1, "the segment ids"), (7, "the mask"), (8, "the position ids")] {
      if let type = context.optionalType(index) { try context.requireBroadcast(type.shape, to: ids.shape, what) }
    }
    let shape = ids.shape + [width]
    context.set(0, words.element, shape)
    context.set(1, .i32, [ids.shape[0]])
    context.set(2, words.element, shape)
  }
}
