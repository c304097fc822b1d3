import Graph
import Runtime

/// What the cutting of rotated scores costs.
extension Compensator {
  /// The error at the consumer when so many of the last dims of queries and keys are gone: the attention is run without them, at some sizes, and
  /// what lies between is interpolated.
  func scoreErrors(_ head: HeadSite, _ statistics: SiteStatistics) throws(Diagnostic) -> [Double] {
    guard let group = head.scoreDims else { return [] }
    let dims = solution.groups[group].extent
    let sizes = Array(Swift.Set((1...8).map { max(1, dims * $0 / 8) })).sorted()
    let trial = HeadTrial(head, solution.module)
    let known = Swift.Set(solution.module.inputs)
    let rest = calibration.segment(trial.module, trial.independent(of: head.queryOperand), [head.site.data])
    let first = calibration.segment(
      solution.module, known, rest.inputs.filter { $0 != trial.mask } + [head.queryOperand, head.site.data, head.site.sum])
    let errors = sizes.map { _ in Moments(width: head.site.columns) }
    for batch in 0..<options.data.batchCount {
      let values = try calibration.values(first, calibration.given(batch))
      guard let context = values[head.site.data], let sum = values[head.site.sum] else { continue }
      let weights = head.site.weights(data: context, sum: sum, mask: options.data.mask(batch: batch))
      for (index, size) in sizes.enumerated() where size < dims {
        let mask = Tensor(reals: (0..<dims).map { $0 < size ? 1 : 0 }, .f32, [dims])
        guard let made = try rest.run(values.merging([trial.mask: mask]) { $1 })[head.site.data], made.shape == context.shape
        else {
          continue
        }
        let difference = made.subtracting(context)
        errors[index].add(
          difference.withSingles { Rows(width: head.site.columns, source: $0, weights: weights) }, pool: calibration.pool)
      }
    }
    guard let tensor = working.tensor(head.site.weight.parameter) else { return [] }
    let weights = head.site.weight.matrix(tensor, block: 0)
    let factors = statistics.factors(block: 0)
    for row in 0..<weights.rows { for column in 0..<weights.columns { weights[row, column] *= factors[column] } }
    let isCentred = if case .none = head.site.bias { false } else { true }
    let measured = sizes.enumerated().map { index, size -> Double in
      if size >= dims { return 0 }
      let second = errors[index].covariance(isCentred: isCentred) * weights
      var sum = 0.0
      for index in 0..<weights.rows * weights.columns { sum += second.numbers[index] * weights.numbers[index] }
      return statistics.level * sum
    }
    return (0...dims).map { gone in
      let left = Double(max(dims - gone, sizes[0]))
      guard let upper = sizes.firstIndex(where: { Double($0) >= left }), upper > 0 else { return measured[0] }
      let (low, high) = (Double(sizes[upper - 1]), Double(sizes[upper]))
      let share = (left - low) / (high - low)
      return measured[upper - 1] * (1 - share) + measured[upper] * share
    }
  }
}

/// An attention whose queries are multiplied, dim by dim, with a mask before they meet the keys.
private struct HeadTrial {
  let module: Module
  /// One number for each dim, as an input.
  let mask: ValueID

  init(_ head: HeadSite, _ original: Module) {
    var module = original
    let query = head.queryOperand
    mask = module.add(Value(name: "//trial.mask", type: .unranked(.f32)))
    module.inputs.append(mask)
    let masked = module.add(Value(name: "//trial.queries", type: module[query].type))
    let first = module.nodes.firstIndex { $0.inputs.contains(query) } ?? module.nodes.count
    for index in first..<module.nodes.count {
      module.nodes[index].inputs = module.nodes[index].inputs.map { $0 == query ? masked : $0 }
    }
    module.nodes.insert(Node(.elementwise(.mul), inputs: [query, mask], outputs: [masked]), at: first)
    self.module = module
  }

  /// Values that do not follow from a value, and the value itself.
  func independent(of value: ValueID) -> Set<ValueID> {
    var following: Set<ValueID> = []
    var result = Set(module.inputs + [value])
    for node in module.nodes {
      let follows = (node.inputs.compactMap(\.self) + node.captures).contains { $0 == value || following.contains($0) }
      for case let output? in node.outputs where output != value {
        if follows { following.insert(output) } else { result.insert(output) }
      }
    }
    return result
  }
}

extension Tensor {
  /// Number by number, in single precision.
  fileprivate func subtracting(_ other: Tensor) -> Tensor {
    let count = count
    let data = TensorData(count: count * 4) { bytes in
      let target = bytes.bindMemory(to: Float.self)
      withSingles { own in other.withSingles { other in for index in 0..<count { target[index] = own[index] - other[index] } } }
    }
    return Tensor(.f32, shape, data: data) ?? self
  }
}
