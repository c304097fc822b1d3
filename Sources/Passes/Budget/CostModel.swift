import Graph

/// What a budget counts, by the sizes that groups keep: a sum over parameters and nodes, so that a part of the model can be priced by itself.
protocol CostModel {
  /// The cost of some parameters and nodes, by their indices in the module, when groups keep `kept` indices each.
  func cost(_ kept: [Int], parameters: [Int], nodes: [Int]) -> Double
}

/// The cost of a whole model.
extension CostModel {
  func total(_ kept: [Int], of module: Module) -> Double {
    cost(kept, parameters: Array(module.parameters.indices), nodes: Array(module.nodes.indices))
  }
}

/// Numbers in data parameters.
struct ParameterCost: CostModel {
  let sizes: SizeModel

  func cost(_ kept: [Int], parameters: [Int], nodes: [Int]) -> Double { Double(sizes.parameters(kept, among: parameters)) }
}

/// Multiply-adds of one run.
struct MultiplyAddCost: CostModel {
  let sizes: SizeModel

  func cost(_ kept: [Int], parameters: [Int], nodes: [Int]) -> Double { sizes.multiplyAdds(kept, among: nodes) }
}

/// Bytes of weights, as the runtime holds them, and of what lies between the nodes, a value for as long as it is read: the sum of all values,
/// scaled to what the memory plan makes of them on the original.
struct MemoryCost: CostModel {
  let sizes: SizeModel
  let symbols: [String: Int]
  /// Bytes that the memory plan takes for a byte of all values.
  let share: Double

  func cost(_ kept: [Int], parameters: [Int], nodes: [Int]) -> Double {
    var values = 0.0
    for index in nodes {
      for case let output? in sizes.solution.module.nodes[index].outputs {
        values += Double(sizes.type(output, kept).elementCount.evaluated { symbols[$0] ?? 1 } ?? 0) * 4
      }
    }
    return Double(sizes.parameters(kept, among: parameters)) * 4 + values * share
  }
}

/// Seconds of one run, by the table of this machine.
struct LatencyCost: CostModel {
  let sizes: SizeModel
  let symbols: [String: Int]
  let table: CostTable

  func cost(_ kept: [Int], parameters: [Int], nodes: [Int]) -> Double {
    nodes.reduce(0) { $0 + seconds(sizes.solution.module.nodes[$1], kept) }
  }

  private func shape(_ value: ValueID?, _ kept: [Int]) -> [Double]? {
    guard let value, sizes.solution.inferred.types[value.index].isRanked else { return nil }
    return sizes.type(value, kept).shape.map { Double($0.evaluated { symbols[$0] ?? 1 } ?? 1) }
  }

  private func seconds(_ node: Node, _ kept: [Int]) -> Double {
    guard let result = shape(node.outputs.first ?? nil, kept), let data = shape(node.inputs.first ?? nil, kept) else { return 0 }
    let made = result.reduce(1, *)
    switch node.operation {
    case .matrixProduct:
      // Batches of small products are products of as many rows.
      guard let columns = result.last, columns > 0, !data.isEmpty else { return 0 }
      let isTransposed = node.attributes.int(.transA) ?? 0 != 0
      let contracted = isTransposed ? data[max(0, data.count - 2)] : data[data.count - 1]
      return table.seconds(rows: made / columns, contracted: contracted, columns: columns)
    case .convolution:
      guard let weight = shape(node.inputs.count > 1 ? node.inputs[1] : nil, kept), weight.count >= 3, result.count >= 2,
        result[1] > 0
      else { return 0 }
      let groups = Double(max(1, node.attributes.int(.group) ?? 1))
      let taps = weight[1...].reduce(1, *)
      // Each channel by itself is not a product: what it costs is to read and write.
      if weight[1] <= 1, groups > 1 { return table.seconds(numbers: (made + data.reduce(1, *)) * 2) }
      return groups * table.seconds(rows: made / result[1], contracted: taps, columns: result[1] / groups)
    case .attention:
      guard let key = shape(node.inputs.count > 1 ? node.inputs[1] : nil, kept), let dims = result.last, key.count >= 2 else {
        return 0
      }
      let keys = key[key.count - 2]
      return 2 * table.seconds(rows: made / dims, contracted: dims, columns: keys)
    case .elementwise, .normalisation, .reduction, .pooling, .joining, .indexing, .quantisation, .recurrence:
      return table.seconds(numbers: made + data.reduce(1, *))
    case .reshaping, .generation, .opaque: return 0
    }
  }
}
