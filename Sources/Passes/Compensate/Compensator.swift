import Graph
import Runtime

/// Chooses what goes by what the data say can be made up for, and makes up for it: layer after layer, in order of execution, on the stream of
/// the layers that are already cut.
///
/// 1. One sweep over the data takes the moments of every site's input on the original.
/// 2. Every group gets its curve: the error when so many of its members are gone, and the weights fitted anew.
/// 3. The budget is allocated over these curves.
/// 4. Site by site, what goes is chosen again on the stream as it has become, and the site's weights are fitted to make of it what the original
///    made, and half of what has drifted.
final class Compensator {
  let solution: Solution
  let options: CompensationOptions
  let calibration: Calibration
  let candidates: Swift.Set<Int>
  let sites: [Site]
  /// Attentions whose dims are rotated.
  let rotated: RotatedHeads
  /// The original, its parameters replaced one after the other.
  var working: WorkingModel
  let chooser: Chooser
  var mode: Compensation
  let algebra: LinearAlgebra
  let mixing: MixedGroups
  var fitted = 0
  var biased = 0
  /// Rows and columns of the widest layer so far that was fitted.
  var widest: (rows: Int, columns: Int)?
  /// What cutting scores costs, by the node of their consumer: the same for every mode.
  private var knownScoreErrors: [Int: [Double]] = [:]
  let progress: (String, Double) -> Void

  /// What came of it.
  struct Outcome {
    let solution: Solution
    let plan: Plan
    var report: CompensationReport
  }

  init(
    _ chooser: Chooser, _ rotated: RotatedHeads, options: CompensationOptions, mode: Compensation,
    progress: @escaping (String, Double) -> Void
  ) {
    solution = chooser.solution
    self.chooser = chooser
    self.rotated = rotated
    self.options = options
    self.mode = mode
    self.progress = progress
    calibration = Calibration(chooser.solution, options)
    algebra = LinearAlgebra(pool: calibration.pool)
    let candidates = Swift.Set(chooser.candidates())
    self.candidates = candidates
    mixing = MixedGroups(chooser.solution)
    working = WorkingModel(chooser.solution.module)
    sites = SiteFinder(chooser.solution).sites(of: candidates)
  }

  /// Runs all of it.
  func run() throws(Diagnostic) -> Outcome {
    let statistics = try measure()
    return try outcome(statistics)
  }

  /// The relative squared error of the model's outputs on other samples, for each of some modes.
  func errors(of modes: [Compensation], on other: CalibrationData) throws(Diagnostic) -> [Double] {
    let statistics = try measure()
    var errors: [Double] = []
    for mode in modes {
      self.mode = mode
      working = WorkingModel(solution.module)
      let plan = try outcome(statistics).plan
      errors.append(try distortion(plan, on: other))
    }
    return errors
  }

  private func outcome(_ statistics: [SiteStatistics]) throws(Diagnostic) -> Outcome {
    (fitted, biased, widest) = (0, 0, nil)
    let removals = try curves(statistics)
    let sizes = try sizes(removals)
    let plan = try cut(sizes, removals)
    var report = CompensationReport(mode: mode, samples: options.data.count, layers: fitted, biased: biased, widest: widest)
    report.curves = removals.keys.sorted().compactMap { group in removals[group].map { .init(group: group, errors: $0.errors) } }
    return Outcome(solution: solution.with(module: working.module), plan: plan, report: report)
  }

  /// Σ‖y − y'‖² / Σ‖y‖² over the outputs of real numbers, each output by itself, then their mean; infinite where there is none.
  private func distortion(_ plan: Plan, on data: CalibrationData) throws(Diagnostic) -> Double {
    let outputs = solution.module.outputs.filter { solution.inferred.types[$0.index].element.isFloat }
    let known = Swift.Set(solution.module.inputs)
    let whole = calibration.segment(solution.module, known, outputs)
    let cut = calibration.segment(try module(plan), known, outputs)
    var sums = [(error: Double, energy: Double)](repeating: (0, 0), count: outputs.count)
    for batch in 0..<data.batchCount {
      let given = calibration.given(batch, of: data)
      let (before, after) = (try calibration.values(whole, given), try calibration.values(cut, given))
      for (place, output) in outputs.enumerated() {
        guard let one = before[output], let other = after[output], one.shape == other.shape else { continue }
        let weights = weights(one, data.mask(batch: batch))
        let each = one.count / max(1, weights.count)
        one.withSingles { one in
          other.withSingles { other in
            for index in 0..<weights.count * each where weights[index / each] {
              let difference = Double(one[index] - other[index])
              sums[place].error += difference * difference
              sums[place].energy += Double(one[index]) * Double(one[index])
            }
          }
        }
      }
    }
    let shares = sums.filter { $0.energy > 0 }.map { $0.error / $0.energy }
    return shares.isEmpty ? .infinity : shares.reduce(0, +) / Double(shares.count)
  }

  /// Whether each leading position of an output counts: padding does not.
  private func weights(_ output: Tensor, _ mask: Tensor?) -> [Bool] {
    guard let mask, output.rank >= 2, Array(output.shape.prefix(2)) == mask.shape else { return [true] }
    return mask.truths
  }

  // MARK: 1. Moments

  private func measure() throws(Diagnostic) -> [SiteStatistics] {
    let module = solution.module
    let groups = Swift.Set(curved)
    let sites = sites.filter { $0.groups.contains(where: groups.contains) }
    if sites.isEmpty { return [] }
    let whole = calibration.segment(module, Swift.Set(module.inputs), sites.flatMap { [$0.data, $0.sum] })
    let statistics = sites.map { SiteStatistics($0, hasDrift: false) }
    for batch in 0..<options.data.batchCount {
      progress("calibrate", Double(batch) / Double(options.data.batchCount))
      let values = try calibration.values(whole, calibration.given(batch))
      for entry in statistics { try calibration.add(entry, values, values, batch) }
    }
    return statistics
  }

  // MARK: 2. Curves

  func fits(_ statistics: SiteStatistics) throws(Diagnostic) -> [BlockFit] {
    let site = statistics.site
    guard let tensor = working.tensor(site.weight.parameter) else {
      throw Diagnostic(.invalid, "the numbers are not in the file", at: .tensor(solution.module[site.weight.parameter].name))
    }
    // What is constant in scattered results differs from place to place of the window, which no bias can hold: the weights are to make it.
    let isCentred = if case .none = site.bias { false } else { !(site.isScattered && mode.isFitted) }
    return (0..<site.blocks).map { block in
      BlockFit(
        statistics.moments[block], weights: site.weight.matrix(tensor, block: block), isCentred: isCentred,
        strength: options.strength, algebra)
    }
  }

  /// What columns cost at a site, one for each block of channels: with the weights of the others fitted anew, or not.
  func costs(_ statistics: SiteStatistics, _ fits: [BlockFit]) throws(Diagnostic) -> [any ColumnCost] {
    var costs: [any ColumnCost] = []
    for (block, fit) in fits.enumerated() {
      let factors = statistics.factors(block: block)
      func scaled(_ weights: Matrix) -> Matrix {
        for row in 0..<weights.rows { for column in 0..<weights.columns { weights[row, column] *= factors[column] } }
        return weights
      }
      if mode.isFitted {
        guard let (weights, inverse) = fit.whole(algebra) else { throw singular(statistics.site) }
        costs.append(Surgeon(inverse: inverse, weights: scaled(weights), level: statistics.level, pool: calibration.pool))
      } else {
        costs.append(PlainLoss(second: fit.second, weights: scaled(fit.weights.copy), level: statistics.level))
      }
    }
    return costs
  }

  func singular(_ site: Site) -> Diagnostic {
    Diagnostic(
      .invalid, "the moments of its inputs are singular, so nothing can be fitted; give more, or more varied, samples",
      at: .tensor(solution.module[site.weight.parameter].name))
  }

  /// Per block of channels of a site, per member of a group, the columns that go with it.
  func columns(_ group: Int, _ site: Site) -> [[[Int]]] {
    let members = site.members(of: solution.groups[group].leaf, in: solution)
    return members.map { members in
      var columns = [[Int]](repeating: [], count: solution.groups[group].extent)
      for (column, member) in members.enumerated() where member >= 0 { columns[Int(member)].append(column) }
      return columns
    }
  }

  private var isAllocated: Bool { chooser.options.budget.share != nil }

  /// Groups whose curves are needed. Where sizes are given, a group that one site consumes is chosen when the site is reached.
  private var curved: [Int] {
    candidates.sorted().filter { group in
      isAllocated || sites.filter { $0.groups.contains(group) }.count != 1 && !rotated.groups.contains(group)
    }
  }

  private func curves(_ statistics: [SiteStatistics]) throws(Diagnostic) -> [Int: Removal] {
    var removals: [Int: Removal] = [:]
    let wanted = curved
    for (done, group) in wanted.enumerated() {
      progress("curves", Double(done) / Double(wanted.count))
      var own: [(SiteStatistics, [BlockFit])] = []
      for entry in statistics where entry.site.groups.contains(group) { own.append((entry, try fits(entry))) }
      if !own.isEmpty { removals[group] = try removal(group, own) }
    }
    for statistics in statistics where isAllocated {
      guard let head = rotated.byConsumer[statistics.site.node], let group = head.scoreDims, rotated.groups.contains(group) else {
        continue
      }
      progress("curves", 1)
      let known = knownScoreErrors[statistics.site.node]
      let errors = known == nil ? try scoreErrors(head, statistics) : known ?? []
      knownScoreErrors[statistics.site.node] = errors
      removals[group] =
        removals[group].map { Removal(order: $0.order, errors: zip($0.errors, errors).map(+)) }
        ?? Removal(order: Array((0..<solution.groups[group].extent).reversed()), errors: errors)
    }
    let others = Swift.Set(wanted).filter { removals[$0] == nil }
    if !others.isEmpty { removals.merge(magnitudes(others)) { $1 } }
    return removals
  }

  /// Groups that reach no weight that could be fitted: their error is taken to be the share of the squared weights that goes.
  private func magnitudes(_ groups: Swift.Set<Int>) -> [Int: Removal] {
    let scores = Scores(solution, criterion: .l2, seed: 0, groups: groups)
    var removals: [Int: Removal] = [:]
    for group in groups {
      let own = scores.byGroup[group]
      let order = own.indices.sorted { own[$0] != own[$1] ? own[$0] < own[$1] : $0 > $1 }
      let total = max(own.reduce(0) { $0 + $1 * $1 }, .leastNormalMagnitude)
      var errors = [0.0]
      for member in order { errors.append(errors[errors.count - 1] + own[member] * own[member] / total) }
      removals[group] = Removal(order: order, errors: errors)
    }
    return removals
  }

  /// The order in which a group's members go, with the errors at its sites.
  private func removal(_ group: Int, _ sites: [(SiteStatistics, [BlockFit])]) throws(Diagnostic) -> Removal {
    let count = solution.groups[group].extent
    let columns = sites.flatMap { self.columns(group, $0.0.site) }
    var costs: [any ColumnCost] = []
    for (statistics, fits) in sites { costs += try self.costs(statistics, fits) }
    return Removal(costs, columns: columns, count: count, order: order(group, sites))
  }

  /// The order in which a group's members go, where a criterion says it once and for all: the least worth first. Nil where each choice hangs on
  /// what is gone already.
  func order(_ group: Int, _ sites: [(SiteStatistics, [BlockFit])]) -> [Int]? {
    if rotated.groups.contains(group) { return lastFirst(group) }
    let criterion = options.criterion ?? mode.usualCriterion
    if criterion.basis != .inputs {
      let worth = chooser.scores.byGroup[group]
      return worth.indices.sorted { (worth[$0], -$0) < (worth[$1], -$1) }
    }
    if criterion == .obs { return nil }
    var worth = [Double](repeating: 0, count: solution.groups[group].extent)
    for (statistics, fits) in sites {
      for (block, columns) in columns(group, statistics.site).enumerated() {
        let own = fits[block].worth(factors: statistics.factors(block: block), ofFluctuation: criterion == .fluctuation)
        for member in columns.indices { worth[member] += statistics.level * columns[member].reduce(0) { $0 + own[$1] } }
      }
    }
    return worth.indices.sorted { (worth[$0], -$0) < (worth[$1], -$1) }
  }

  /// Dims that are rotated are sorted by worth.
  func lastFirst(_ group: Int) -> [Int] { Array((0..<solution.groups[group].extent).reversed()) }

  // MARK: 3. Sizes

  private func sizes(_ removals: [Int: Removal]) throws(Diagnostic) -> [Int] {
    let sorted = candidates.sorted()
    guard let share = chooser.options.budget.share else { return try chooser.sizes(sorted) }
    let allocation = Allocation(chooser, removals, candidates: sorted)
    if let measured = chooser.measured { return try measured.sizes(keeping: share) { allocation.sizes(budget: $0) } }
    return allocation.sizes(budget: chooser.costs.total(solution.groups.map(\.extent), of: solution.module) * share)
  }
}

extension Site {
  /// Per block of channels, the member of a group that each column stands for; −1 for none.
  func members(of leaf: Int32, in solution: Solution) -> [[Int32]] {
    let axes = solution.axes[data.index]
    switch geometry {
    case .lastAxis: return [axes.last.map { solution.positions(of: leaf, in: $0) } ?? []]
    case .window(let kernel, let groups):
      let channels = solution.positions(of: leaf, in: axes[1])
      let (taps, each) = (kernel.reduce(1, *), channels.count / groups)
      return (0..<groups).map { group in
        channels[group * each..<(group + 1) * each].flatMap { Array(repeating: $0, count: taps) }
      }
    case .scattered(let groups, _, _):
      let channels = solution.positions(of: leaf, in: axes[1])
      let each = channels.count / groups
      return (0..<groups).map { Array(channels[$0 * each..<($0 + 1) * each]) }
    }
  }
}

/// Groups whose members take part in something common before they reach a weight: a norm, a softmax, a sum over the axis.
struct MixedGroups {
  private let groups: Set<Int>

  init(_ solution: Solution) {
    var groups: Set<Int> = []
    for node in solution.module.nodes {
      switch node.operation {
      case .normalisation(.batchNorm): break
      case .normalisation, .reduction, .recurrence, .attention, .opaque:
        for case let input? in node.inputs {
          for layout in solution.axes[input.index] { groups.formUnion(solution.groups(in: layout)) }
        }
      case .elementwise, .matrixProduct, .convolution, .reshaping, .joining, .indexing, .pooling, .quantisation, .generation:
        break
      }
    }
    self.groups = groups
  }

  func contains(_ group: Int) -> Bool { groups.contains(group) }
}
