extension Normalisation {
  /// How a gradient passes through each operator of the family: shares have a rule of their own, norms are written out.
  public var gradient: GradientRule {
    switch self {
    case .softmax, .logSoftmax: .chain(shares)
    case .hardmax: .flat
    case .batchNorm: .pieces(Self.batch)
    case .groupNorm:
      .pieces { context throws(Diagnostic) in
        guard let groups = context.attributes.int(.numGroups) else { throw context.failure("num_groups is missing") }
        try Self.groups(&context, Extent(groups))
      }
    case .instanceNorm: .pieces { context throws(Diagnostic) in try Self.groups(&context, try context.input(0).shape[1]) }
    case .localResponseNorm: .pieces(Self.response)
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm: .pieces(trailing)
    case .skipLayerNorm, .skipSimplifiedLayerNorm: .pieces(skip)
    case .embedLayerNorm: .pieces(Self.embedding)
    case .lpNorm:
      .pieces { context throws(Diagnostic) in
        let x = try context.input(0)
        let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: x.rank)
        let norm = (context.attributes.int(.p) ?? 2) == 1 ? x.magnitude.sum([axis]) : x.length([axis])
        context.set(0, x / norm.equals(0).choosing(norm.number(1), norm))
      }
    case .meanVarianceNorm:
      .pieces { context throws(Diagnostic) in
        let x = try context.input(0)
        var axes: [Int] = []
        for axis in context.attributes.ints(.axes) ?? [0, 2, 3] { axes.append(try context.axis(axis, rank: x.rank)) }
        let distance = x - x.mean(axes.sorted())
        context.set(0, distance / (distance.squared.mean(axes.sorted()).squareRoot + 1e-9))
      }
    case .quantisedSoftmax: .none("it computes with quantised numbers")
    }
  }

  /// y = softmax x: ẋ = y·(ẏ − Σ ẏ·y); of its logarithm: ẋ = ẏ − eʸ·Σ ẏ.
  private func shares(_ context: inout GradientContext) throws(Diagnostic) {
    let (y, g) = (try context.output(), try context.gradient())
    let inference = context.inference()
    let axis = try inference.axis(Self.softmaxAxis(inference), rank: y.rank)
    // Until version 13 all axes from there on were one.
    let axes = context.opset < 13 ? Array(axis..<y.rank) : [axis]
    context.give(0, self == .softmax ? y * (g - (g * y).sum(axes)) : g - y.exp * g.sum(axes))
  }

  private static func epsilon(_ context: PiecesContext, default value: Double = 1e-5) -> Double {
    context.attributes.float(.epsilon).map(Double.init) ?? value
  }

  /// (x − mean) · scale / √(variance + ε) + bias, with the statistics of the batch where the node trains.
  private static func batch(_ context: inout PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    let axes = (0..<x.rank).filter { $0 != 1 }
    func placed(_ term: Term) -> Term {
      x.rank > 1 ? term.reshaped([1, term.shape[0]] + Array(repeating: 1, count: x.rank - 2)) : term
    }
    let (scale, bias) = (placed(try context.input(1)), placed(try context.input(2)))
    var (mean, variance) = (placed(try context.input(3)), placed(try context.input(4)))
    // Until version 14 the node trained where it had the results of training.
    let isTraining = context.opset < 14 ? (1...4).contains { context.isWanted($0) } : context.attributes.flag(.trainingMode)
    if isTraining {
      mean = x.mean(axes)
      variance = (x - mean).squared.mean(axes)
    }
    context.set(0, (x - mean) * (scale / (variance + epsilon(context)).squareRoot) + bias)
  }

  /// Norms over groups of channels with all their spatial numbers.
  private static func groups(_ context: inout PiecesContext, _ groups: Extent) throws(Diagnostic) {
    let x = try context.input(0)
    let (scale, bias) = (try context.input(1), try context.input(2))
    let lines = x.reshaped([x.shape[0], groups, -1])
    let distance = lines - lines.mean([2])
    var normal = distance / (distance.squared.mean([2]) + epsilon(context)).squareRoot
    // Until version 21 one scale served a whole group.
    if scale.shape[0] == groups {
      normal = normal * scale.unsqueezed([1]) + bias.unsqueezed([1])
      return context.set(0, normal.reshaped(like: x))
    }
    let places = Array(1..<x.rank - 1)
    context.set(0, normal.reshaped(like: x) * scale.unsqueezed(places) + bias.unsqueezed(places))
  }

  /// x / (bias + α/size · Σ x²)^β, the sum over neighbouring channels.
  private static func response(_ context: inout PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    guard let size = context.attributes.int(.size), (1...4096).contains(size), let channels = x.shape[1].constant else {
      throw context.failure("its size, or the number of channels, is not known")
    }
    func attribute(_ name: AttributeName, _ value: Double) -> Double { context.attributes.float(name).map(Double.init) ?? value }
    let squares = x.squared
    let none = Array(repeating: 0, count: x.rank - 2)
    let padded = squares.padded([0, (size - 1) / 2] + none, [0, size / 2] + none)
    let sum = (1..<size).reduce(padded.sliced(axis: 1, from: 0, to: channels)) {
      $0 + padded.sliced(axis: 1, from: $1, to: $1 + channels)
    }
    context.set(0, x / (sum * (attribute(.alpha, 1e-4) / Double(size)) + attribute(.bias, 1)).power(attribute(.beta, 0.75)))
  }

  // MARK: - Layer norms

  /// A norm over some axes, the mean taken away or not; with the mean and one over the spread.
  private static func normalised(
    _ x: Term, _ axes: [Int], epsilon: Double, centred: Bool
  ) -> (result: Term, mean: Term?, inverse: Term) {
    let mean = centred ? x.mean(axes) : nil
    let distance = mean.map { x - $0 } ?? x
    let inverse = 1 / (distance.squared.mean(axes) + epsilon).squareRoot
    return (distance * inverse, mean, inverse)
  }

  private func trailing(_ context: inout PiecesContext) throws(Diagnostic) {
    let x = try context.input(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: x.rank)
    let (normal, mean, inverse) = Self.normalised(
      x, Array(axis..<x.rank), epsilon: Self.epsilon(context), centred: self == .layerNorm)
    let scale = try context.input(1)
    var result = normal.cast(to: scale.element) * scale
    if let bias = context.optional(2) { result = result + bias }
    context.set(0, self == .layerNorm ? result.cast(to: x.element) : result)
    let stash = try context.inference().element(attribute: .stashType) ?? .f32
    context.set(1, (mean ?? inverse).cast(to: stash))
    context.set(2, inverse.cast(to: stash))
  }

  private func skip(_ context: inout PiecesContext) throws(Diagnostic) {
    let isCentred = self == .skipLayerNorm
    var sum = try context.input(0) + context.input(1)
    if let bias = context.optional(isCentred ? 4 : 3) { sum = sum + bias }
    let (normal, mean, inverse) = Self.normalised(
      sum, [sum.rank - 1], epsilon: Self.epsilon(context, default: 1e-12), centred: isCentred)
    var result = normal * (try context.input(2))
    if isCentred, let beta = context.optional(3) { result = result + beta }
    context.set(0, result)
    if let mean { context.set(1, mean.cast(to: .f32)) }
    context.set(2, inverse.cast(to: .f32))
    context.set(3, sum)
  }

  private static func embedding(_ context: inout PiecesContext) throws(Diagnostic) {
    let (ids, positions) = (try context.input(0), try context.input(3))
    let places = context.optional(8).map { $0.expanded(like: ids) } ?? ids.counting(axis: 1)
    var sum = try context.input(2).gathered(axis: 0, ids) + positions.gathered(axis: 0, places)
    if let table = context.optional(4), let kinds = context.optional(1) { sum = sum + table.gathered(axis: 0, kinds) }
    let (normal, _, _) = normalised(sum, [2], epsilon: epsilon(context, default: 1e-12), centred: true)
    context.set(0, normal * (try context.input(5)) + (try context.input(6)))
    context.set(2, sum)
  }
}

extension Term {
  /// √Σx² over some axes.
  func length(_ axes: [Int]) -> Term {
    let kept: [Attributes.Entry] = [.init(.keepDims, .int(1))]
    if writer.module.opset >= 18 { return writer.node(.reduction(.reduceL2), [self, writer.list(axes)], kept) }
    return writer.node(.reduction(.reduceL2), [self], [.init(.axes, .ints(axes))] + kept)
  }
}
