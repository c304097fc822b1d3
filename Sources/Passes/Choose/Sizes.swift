import Graph

/// How many indices each group keeps, in the order of `Solution.groups`; extents, parameters and multiply-adds follow by evaluation,
/// without rebuilding the graph.
struct SizeModel {
  let solution: Solution

  /// The length of an axis with this layout when groups keep `kept` indices each.
  func extent(_ layout: Layout, _ kept: [Int]) -> Extent {
    switch solution.table.form(layout) {
    case .fixed: solution.table.extent(layout)
    case .group(let leaf): solution.index(of: leaf).map { Extent(kept[$0]) } ?? solution.table.extent(layout)
    case .product(let factors): factors.reduce(Extent(1)) { $0 * extent($1, kept) }
    case .sum(let parts): parts.reduce(Extent(0)) { $0 + extent($1, kept) }
    }
  }

  /// The type of a value when groups keep `kept` indices each.
  func type(_ value: ValueID, _ kept: [Int]) -> TensorType {
    let type = solution.inferred.types[value.index]
    guard type.isRanked else { return type }
    return TensorType(type.element, solution.axes[value.index].map { extent($0, kept) })
  }

  /// Numbers in data parameters. Copies of one original count once where they keep the same.
  func parameters(_ kept: [Int]) -> Int { parameters(kept, among: Array(solution.module.parameters.indices)) }

  /// Multiply-adds of one run; every symbol counts as 1.
  func multiplyAdds(_ kept: [Int]) -> Double { multiplyAdds(kept, among: Array(solution.module.nodes.indices)) }

  /// Numbers in some of the parameters, by their places in the module.
  func parameters(_ kept: [Int], among indices: [Int]) -> Int {
    var total = 0
    for index in indices {
      let parameter = solution.module.parameters[index]
      guard parameter.content.element.isData else { continue }
      if let original = parameter.copyOf, solution.agree(original, parameter.value) { continue }
      total += type(parameter.value, kept).elementCount.constant ?? 0
    }
    return total
  }

  /// Multiply-adds of some of the nodes.
  func multiplyAdds(_ kept: [Int], among indices: [Int]) -> Double {
    var total = 0.0
    for index in indices {
      let node = solution.module.nodes[index]
      guard let rules = node.operation.rules else { continue }
      total += rules.multiplyAdds(
        inputs: node.inputs.map { $0.map { type($0, kept) } }, outputs: node.outputs.map { $0.map { type($0, kept) } },
        attributes: node.attributes)
    }
    return total
  }
}
