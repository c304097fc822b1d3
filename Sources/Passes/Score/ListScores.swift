import Graph

/// Figures of a group that varies: each weight gives every index the norm of its slice among what takes one list, so that every head is
/// judged by its own numbers.
struct ListScores {
  /// One row per list, one figure per index, divided by the mean of all.
  let figures: [[Double]]

  /// Nil where the group does not vary, or some list has no weight of its own. `sums`: what is known of sums over all other axes.
  init?(
    _ solution: Solution, group index: Int, contents: [Int: TensorContent], squared: Bool, sums: (ValueID, Int) -> [Float]?
  ) {
    guard let variation = solution.variations[index] else { return nil }
    let group = solution.groups[index]
    let weights = group.occurrences.filter(\.isWeight)
    var total = (0..<variation.listCount).map { _ in [Double](repeating: 0, count: group.extent) }
    var counts = [Int](repeating: 0, count: variation.listCount)
    for occurrence in weights.isEmpty ? group.occurrences : weights {
      guard let content = contents[occurrence.value.index],
        let slices = Self.slices(solution, variation, group, occurrence, content, squared: squared, sums)
      else { continue }
      for (list, slice) in slices {
        counts[list] += 1
        for member in slice.indices { total[list][member] += squared ? slice[member].squareRoot() : slice[member] }
      }
    }
    guard counts.allSatisfy({ $0 > 0 }) else { return nil }
    var figures = zip(total, counts).map { row, count in row.map { $0 / Double(count) } }
    let mean = figures.joined().reduce(0, +) / Double(max(1, figures.count * group.extent))
    if mean > 0, mean.isFinite { figures = figures.map { row in row.map { $0 / mean } } }
    self.figures = figures
  }

  /// By list, sums of one weight for every index; nil where it hangs on more than one other axis.
  private static func slices(
    _ solution: Solution, _ variation: Variation, _ group: Group, _ occurrence: Group.Occurrence, _ content: TensorContent,
    squared: Bool, _ sums: (ValueID, Int) -> [Float]?
  ) -> [Int: [Double]]? {
    let (value, axis) = (occurrence.value, occurrence.axis)
    let layouts = solution.axes[value.index]
    guard let entries = AxisEntries(layouts[axis], solution, nil, length: \.constant) else { return nil }
    let own = entries.indices.keys.sorted().filter { part in
      variation.owners[PartPlace(value: value, axis: axis, part: part)] != nil
    }
    var others: Set<Int> = []
    for part in own {
      for case .part(let at, _) in variation.owners[PartPlace(value: value, axis: axis, part: part)] ?? [] where at != axis {
        others.insert(at)
      }
    }
    guard others.count <= 1 else { return nil }
    let other = others.first
    let deciding = other.flatMap { AxisEntries(layouts[$0], solution, nil, length: \.constant) }
    let rows =
      other.map { AxisSums.sums(of: content, axis: axis, by: $0, squared: squared) }
      ?? [sums(value, axis) ?? AxisSums.sums(of: content, axis: axis, squared: squared)]
    var result: [Int: [Double]] = [:]
    for part in own {
      guard let owners = variation.owners[PartPlace(value: value, axis: axis, part: part)], let members = entries.indices[part]
      else { continue }
      for (row, figures) in rows.enumerated() {
        for (position, member) in members.enumerated() where member >= 0 && figures.indices.contains(position) {
          var tuple = 0
          for (owner, outer) in zip(owners, variation.outers) {
            let index: Int? =
              switch owner {
              case .index(let index): index
              case .part(let at, let part): at == axis ? entries.indices[part]?[position] : deciding?.indices[part]?[row]
              }
            tuple = tuple * solution.extent(of: outer) + max(0, index ?? 0)
          }
          result[variation.listOfTuple[tuple], default: Array(repeating: 0, count: group.extent)][member] += Double(
            figures[position])
        }
      }
    }
    return result
  }
}
