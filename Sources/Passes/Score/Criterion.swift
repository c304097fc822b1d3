import Graph

/// What makes an index worth keeping.
public enum Criterion: String, Sendable, CaseIterable, Codable {
  /// Sum of absolute weights of the index's slice: Σ|w|.
  case l1
  /// Euclidean norm of the index's slice: √Σw².
  case l2
  /// Count of numbers in the index's slice that are not zero: what a mask left.
  case remain
  /// Drawn at random, from a seed.
  case random
}

/// One figure per index of every group: higher is worth more. Each weight that carries the group gives every index the norm of its slice;
/// the group's figures are the mean over these weights, divided by the mean over its indices, so that groups can be compared.
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

  /// Scores all groups of a solution. Only weights count: tables, masks and states would distort a mean; a group that no weight
  /// carries is scored by all of its parameters.
  public init(_ solution: Solution, criterion: Criterion, seed: UInt64, groups: Set<Int>, progress: (Double) -> Void = { _ in }) {
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
    var contents: [Int: TensorContent] = [:]
    for parameter in solution.module.parameters { contents[parameter.value.index] = parameter.content }
    var sums: [Place: [Float]] = [:]
    var result = solution.groups.map { [Double](repeating: 0, count: $0.extent) }
    for index in groups.sorted() {
      let group = solution.groups[index]
      let weights = group.occurrences.filter(\.isWeight)
      let counted = weights.isEmpty ? group.occurrences : weights
      for occurrence in counted {
        guard let content = contents[occurrence.value.index] else { continue }
        let place = Place(value: occurrence.value.index, axis: occurrence.axis)
        let figures: [Float]
        if let known = sums[place] {
          figures = known
        } else {
          figures =
            criterion == .remain
            ? AxisSums.counts(of: content, axis: occurrence.axis)
            : AxisSums.sums(of: content, axis: occurrence.axis, squared: criterion == .l2)
          sums[place] = figures
        }
        let layout = solution.axes[occurrence.value.index][occurrence.axis]
        var slice = [Double](repeating: 0, count: group.extent)
        for (position, member) in solution.positions(of: group.leaf, in: layout).enumerated() where member >= 0 {
          slice[Int(member)] += Double(figures[position])
        }
        for member in slice.indices {
          result[index][member] += (criterion == .l2 ? slice[member].squareRoot() : slice[member]) / Double(counted.count)
        }
      }
      let mean = result[index].reduce(0, +) / Double(group.extent)
      if mean > 0, mean.isFinite { result[index] = result[index].map { $0 / mean } }
      progress(Double(index) / Double(solution.groups.count))
    }
    byGroup = result
    var own: [Int: [[Double]]] = [:]
    for index in groups.sorted() {
      own[index] =
        ListScores(solution, group: index, contents: contents, squared: criterion == .l2) { value, axis in
          sums[Place(value: value.index, axis: axis)]
        }?.figures
    }
    byList = own
  }

  private struct Place: Hashable {
    let value: Int
    let axis: Int
  }
}
