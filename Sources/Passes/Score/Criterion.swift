import Graph

/// What makes an index worth keeping: a figure of its slice of each weight that carries it. w are the weights of the slice, g their gradients.
///
/// Not here: criteria of what flows through the model (`activation`, `fluctuation`) and of inputs' Gram matrices (`obs`).
public enum Criterion: String, Sendable, CaseIterable, Codable {
  /// Drawn at random, from a seed: what every other criterion must beat.
  case random
  /// Σ|w| (Li et al. 2017, "Pruning Filters for Efficient ConvNets").
  case l1
  /// √Σw², the Euclidean norm.
  case l2
  /// max|w|.
  case linf
  /// |γ| of the batch norms on the channel (Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming"). A
  /// group without a batch norm is scored by l2.
  case bnScale = "bn-scale"
  /// Σⱼ‖wᵢ − wⱼ‖: how far the slice lies from the others; what lies at their geometric median can be replaced by them (He et al. 2019, "Filter
  /// Pruning via Geometric Median").
  case fpgm
  /// Σw² / Σ over slices at least as large of Σw²: the share that a slice has of what would be left with it (Lee et al. 2021, "Layer-adaptive
  /// Sparsity for the Magnitude-based Pruning", for slices).
  case lamp
  /// How many of the slice's weights are not zero: for weights that a mask has thinned out.
  case remain
  /// |Σ w·g|, g over all data: by how much the loss would change to first order (Molchanov et al. 2019, "Importance Estimation for Neural
  /// Network Pruning").
  case taylor
  /// Σ|w·g|, g over all data (Lee et al. 2019, "SNIP").
  case saliency
  /// Σ over batches of (Σ w·g)²: by how much the loss would change to second order, the Hessian by Fisher's information (Theis et al. 2018,
  /// "Faster gaze prediction with dense networks and Fisher pruning"; Liu et al. 2021, "Group Fisher Pruning").
  case fisher

  /// True where gradients, and so data, are needed.
  public var needsGradients: Bool {
    switch self {
    case .random, .l1, .l2, .linf, .bnScale, .fpgm, .lamp, .remain: false
    case .taylor, .saliency, .fisher: true
    }
  }
}

/// How the figures that an index has in several weights become one.
public enum ScoreAggregation: String, Sendable, CaseIterable, Codable {
  case mean, sum, max, product
  /// Those of the first weight, in order of execution.
  case first
}

/// How the figures of a group are made comparable with those of others.
public enum ScoreNormalisation: String, Sendable, CaseIterable, Codable {
  /// Not at all.
  case none
  /// Divided by their mean.
  case mean
  /// Divided by the largest.
  case max
  /// Divided by their sum.
  case sum
  /// Less their mean, divided by their standard deviation.
  case gaussian

  /// The figures of one group; as they are where there is nothing to divide by.
  func applied(to figures: [Double]) -> [Double] {
    let sum = figures.reduce(0, +)
    let mean = sum / Double(Swift.max(1, figures.count))
    func divided(_ by: Double) -> [Double] { by > 0 && by.isFinite ? figures.map { $0 / by } : figures }
    switch self {
    case .none: return figures
    case .mean: return divided(mean)
    case .max: return divided(figures.max() ?? 0)
    case .sum: return divided(sum)
    case .gaussian:
      let variance = figures.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(Swift.max(1, figures.count))
      let centred = figures.map { $0 - mean }
      return variance > 0 && variance.isFinite ? centred.map { $0 / variance.squareRoot() } : centred
    }
  }
}

/// One figure per index of every group: higher is worth more. Each weight that carries the group gives every index the figure of its slice;
/// these are aggregated over the weights and normalised over the group.
public struct Scores: Sendable {
  /// Figures by group, in the order of `Solution.groups`.
  public let byGroup: [[Double]]
  /// Of groups that vary, figures by list of the variation. A group that is missing keeps the same indices everywhere.
  public let byList: [Int: [[Double]]]

  /// Given figures. `byList`: one row for each of `Variation.listCount`, one figure per index.
  public init(byGroup: [[Double]], byList: [Int: [[Double]]] = [:]) {
    self.byGroup = byGroup
    self.byList = byList
  }

  /// Scores all groups of a solution. Only weights count (and what the criterion names): tables, masks and states would distort a mean; a
  /// group that no weight carries is scored by all of its parameters. `gradients` are what criteria of gradients go by; without, their
  /// figures are 0.
  public init(
    _ solution: Solution, criterion: Criterion, aggregation: ScoreAggregation = .mean, normalisation: ScoreNormalisation = .mean,
    seed: UInt64, groups: Set<Int>, gradients: GradientStatistics? = nil, progress: (Double) -> Void = { _ in }
  ) {
    if criterion == .random {
      var generator = SplitMix(seed: seed)
      byGroup = solution.groups.map { group in (0..<group.extent).map { _ in generator.unit() } }
      var own: [Int: [[Double]]] = [:]
      for (index, group) in solution.groups.enumerated() {
        guard let variation = solution.variations[index] else { continue }
        own[index] = (0..<variation.listCount).map { _ in (0..<group.extent).map { _ in generator.unit() } }
      }
      byList = own
      return
    }
    var slices = SliceFigures(solution, gradients: gradients)
    var result = solution.groups.map { [Double](repeating: 0, count: $0.extent) }
    for index in groups.sorted() {
      let group = solution.groups[index]
      let (counted, used) = Self.counted(group, criterion, solution)
      let figures = counted.map { slices.figures(of: group, at: $0, criterion: used) }
      result[index] = normalisation.applied(to: Self.combined(figures, aggregation, count: group.extent))
      progress(Double(index) / Double(solution.groups.count))
    }
    byGroup = result
    // Heads are judged one by one by their norms; by any other figure they keep the same indices.
    var own: [Int: [[Double]]] = [:]
    if criterion == .l1 || criterion == .l2, aggregation == .mean, normalisation == .mean {
      let contents = Dictionary(
        solution.module.parameters.map { ($0.value.index, $0.content) }, uniquingKeysWith: { first, _ in first })
      for index in groups.sorted() where solution.variations[index] != nil {
        let isSquared = criterion == .l2
        own[index] =
          ListScores(solution, group: index, contents: contents, squared: isSquared) {
            slices.sums(of: $0, axis: $1, squared: isSquared)
          }?.figures
      }
    }
    byList = own
  }

  /// The places that count for a group, and the criterion they are looked at by.
  private static func counted(
    _ group: Group, _ criterion: Criterion, _ solution: Solution
  ) -> (places: [Group.Occurrence], criterion: Criterion) {
    let weights = group.occurrences.filter(\.isWeight)
    let all = weights.isEmpty ? group.occurrences : weights
    guard criterion == .bnScale else { return (all, criterion) }
    var scales: Set<ValueID> = []
    for node in solution.module.nodes where node.operation == .normalisation(.batchNorm) {
      if node.inputs.count > 1, let scale = node.inputs[1] { scales.insert(scale) }
    }
    let found = group.occurrences.filter { scales.contains($0.value) }
    return found.isEmpty ? (all, .l2) : (found, .l1)
  }

  private static func combined(_ figures: [[Double]], _ aggregation: ScoreAggregation, count: Int) -> [Double] {
    (0..<count).map { member in
      let all = figures.map { $0[member] }
      return switch aggregation {
      case .mean: all.reduce(0) { $0 + $1 / Double(all.count) }
      case .sum: all.reduce(0, +)
      case .max: all.max() ?? 0
      case .product: all.reduce(1, *)
      case .first: all.first ?? 0
      }
    }
  }
}
