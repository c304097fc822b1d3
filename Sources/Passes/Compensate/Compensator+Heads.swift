import Graph
import Runtime

/// Moments of the queries and keys of one attention, all heads together.
final class ScoreMoments {
  let query: Moments
  let key: Moments

  init(_ head: HeadSite) {
    query = Moments(width: head.query?.weight.outputs ?? 0)
    key = head.key?.result == head.query?.result ? query : Moments(width: head.key?.weight.outputs ?? 0)
  }
}

extension Compensator {
  // MARK: What may be rotated

  /// True where the dims of queries and keys only meet in the product of scores, so that they can be rotated, and the group is to be cut.
  func cutsScores(_ head: HeadSite) -> Bool {
    guard options.rotates, let group = head.scoreDims, candidates.contains(group), let query = head.query, let key = head.key
    else {
      return false
    }
    if group == head.valueDims, !canRotate(head.valueDims, [head.value, query, key], head.site) { return false }
    return head.heads.allSatisfy { $0.query.count == $0.key.count && !$0.query.isEmpty }
      && canRotate(
        group, [query, key] + (group == head.valueDims ? [head.value] : []), group == head.valueDims ? head.site : nil)
  }

  /// True where the dims of values only meet in the consumer, and the group is to be cut.
  func rotatesValues(_ head: HeadSite) -> Bool {
    guard options.rotates, let group = head.valueDims, candidates.contains(group), head.value != nil,
      head.heads.allSatisfy({ $0.value.count == $0.columns.count })
    else { return false }
    if group == head.scoreDims { return cutsScores(head) }
    return canRotate(group, [head.value], head.site)
  }

  /// True where all parameters that carry a group are the layers named and the consumer.
  private func canRotate(_ group: Int?, _ layers: [HeadSite.Projection?], _ site: Site?) -> Bool {
    guard let group else { return false }
    var allowed: Swift.Set<ValueID> = []
    for layer in layers {
      guard let layer else { return false }
      allowed.insert(layer.weight.parameter)
      if let bias = layer.bias { allowed.insert(bias) }
    }
    if let site { allowed.insert(site.weight.parameter) }
    return solution.groups[group].occurrences.allSatisfy { allowed.contains($0.value) }
  }

  /// True for dims that are rotated, so that the first ones are worth most.
  func isSorted(_ group: Int) -> Bool {
    heads.values.contains { $0.scoreDims == group && cutsScores($0) || $0.valueDims == group && rotatesValues($0) }
  }

  // MARK: Finding

  /// Follows queries, keys and values of every attention whose dims are to be cut.
  func findHeads() throws(Diagnostic) {
    guard options.rotates, candidates.contains(where: { solution.groups[$0].kind == .headDims }) else { return }
    let one = options.data.isFixedSize ? options.data : options.data.part(0..<1)
    let given = given(0, of: one)
    let finder = HeadFinder(solution, SiteFinder(solution), given: given, source: options.source)
    let producers = solution.module.producers()
    // The last node that has been run for good when a site is reached: what was computed before cannot be computed otherwise any more.
    var passed = -1
    for site in sites {
      if site.groups.contains(where: { solution.groups[$0].kind == .headDims }) {
        let head = try finder.heads(site) { (value) throws(Diagnostic) in
          try self.segment(self.solution.module, Swift.Set(self.solution.module.inputs), [value]).run(given)[value]?.shape
        }
        let layers = [head?.query, head?.key, head?.value].compactMap(\.self)
        if let head, layers.allSatisfy({ $0.node > passed }) { heads[site.node] = head }
      }
      passed = max(passed, site.node, producers[site.sum.index] ?? site.node)
    }
  }

  // MARK: Scores

  /// Adds queries and keys of a batch.
  func add(_ moments: ScoreMoments, _ node: Int, _ values: [ValueID: Tensor], _ batch: Int) throws(Diagnostic) {
    guard let head = heads[node] else { return }
    func rows(_ value: ValueID?, _ width: Int) -> Rows? {
      guard let tensor = value.flatMap({ values[$0] }), width > 0 else { return nil }
      var weights = [Float](repeating: 1, count: tensor.count / width)
      if let mask = options.data.mask(batch: batch), tensor.rank == 3, Array(tensor.shape.prefix(2)) == mask.shape {
        for (row, isThere) in mask.reals.enumerated() where isThere == 0 { weights[row] = 0 }
      }
      return tensor.withSingles { Rows(width: width, source: $0, weights: weights) }
    }
    if let own = rows(head.query?.result, moments.query.width) { moments.query.add(own, pool: pool) }
    if moments.key !== moments.query, let own = rows(head.key?.result, moments.key.width) { moments.key.add(own, pool: pool) }
  }

  /// Bases of queries and keys, per head; heads with the same keys share one.
  private func bases(_ head: HeadSite, _ moments: ScoreMoments) -> [(query: Matrix, key: Matrix)] {
    let queries = moments.query.covariance(isCentred: false)
    let keys = moments.key.covariance(isCentred: true)
    var known: [[Int]: (query: Matrix, key: Matrix)] = [:]
    return head.heads.map { own in
      if let basis = known[own.key] { return basis }
      let dims = own.query.count
      let second = Matrix(dims, dims)
      for sharing in head.heads where sharing.key == own.key {
        let part = queries.picking(rows: sharing.query, columns: sharing.query)
        for index in 0..<dims * dims { second.numbers[index] += part.numbers[index] }
      }
      let basis = HeadRotation.scores(query: second, key: keys.picking(rows: own.key, columns: own.key))
      known[own.key] = basis
      return basis
    }
  }

  /// The error at the consumer when so many dims of queries and keys are gone: the attention is run with what is left of them, at some sizes, and
  /// what lies between is interpolated.
  func scoreErrors(_ head: HeadSite, _ statistics: SiteStatistics) throws(Diagnostic) -> [Double] {
    guard let group = head.scoreDims, let moments = scoreMoments[head.site.node] else { return [] }
    let dims = solution.groups[group].extent
    let bases = bases(head, moments)
    let sizes = Array(Swift.Set((1...8).map { max(1, dims * $0 / 8) })).sorted()
    let trial = HeadTrial(head, solution.module)
    let known = Swift.Set(solution.module.inputs)
    let rest = segment(trial.module, trial.independent(of: head.queryOperand), [head.site.data])
    let first = segment(
      solution.module, known, rest.inputs.filter { $0 != trial.matrices } + [head.queryOperand, head.site.data, head.site.sum])
    let errors = sizes.map { _ in Moments(width: head.site.columns) }
    for batch in 0..<options.data.batchCount {
      let values = try values(first, given(batch))
      guard let query = values[head.queryOperand], let context = values[head.site.data], let sum = values[head.site.sum] else {
        continue
      }
      let weights = head.site.weights(sum: sum, mask: options.data.mask(batch: batch))
      for (index, size) in sizes.enumerated() where size < dims {
        let matrices = head.projections(bases.map { projection($0, size) }, leading: Array(query.shape.dropLast(2)))
        let cut = try rest.run(values.merging([trial.matrices: matrices]) { $1 })
        guard let made = cut[head.site.data] else { continue }
        let difference = made.subtracting(context)
        errors[index].add(
          difference.withSingles { Rows(width: head.site.columns, source: $0, weights: weights) }, pool: pool)
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

  /// What is left of a query when only the first dims of the rotated queries and keys are: B_rᵀ·A_r.
  private func projection(_ basis: (query: Matrix, key: Matrix), _ size: Int) -> Matrix {
    let rows = Array(0..<size)
    return basis.key.picking(rows: rows).transposed * basis.query.picking(rows: rows)
  }

  /// Rotates queries and keys on the present stream, and lets all but the first dims be zero.
  func cutScores(
    _ head: HeadSite, kept: Int, _ known: Swift.Set<ValueID>, _ present: Stream
  ) throws(Diagnostic) {
    guard let query = head.query, let key = head.key else { return }
    let moments = ScoreMoments(head)
    let reached = segment(working.module, known, [query.result, key.result])
    for batch in 0..<present.count { try add(moments, head.site.node, try values(reached, try present.values(batch)), batch) }
    var done: Swift.Set<[Int]> = []
    for (own, basis) in zip(head.heads, bases(head, moments)) {
      query.rotate(own.query, basis.query, kept: kept, &working)
      if done.insert(own.key).inserted { key.rotate(own.key, basis.key, kept: kept, &working) }
    }
  }
}

/// An attention whose queries are multiplied with a matrix of each head before they meet the keys.
private struct HeadTrial {
  let module: Module
  /// The matrices, as an input.
  let matrices: ValueID

  init(_ head: HeadSite, _ original: Module) {
    var module = original
    let query = head.queryOperand
    matrices = module.add(Value(name: "//trial.matrices", type: .unranked(.f32)))
    module.inputs.append(matrices)
    let turned = module.add(Value(name: "//trial.queries", type: module[query].type))
    let first = module.nodes.firstIndex { $0.inputs.contains(query) } ?? module.nodes.count
    for index in first..<module.nodes.count {
      module.nodes[index].inputs = module.nodes[index].inputs.map { $0 == query ? turned : $0 }
    }
    module.nodes.insert(Node(.matrixProduct(.matMul), inputs: [query, matrices], outputs: [turned]), at: first)
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

extension HeadSite {
  /// A matrix for every matrix of the query operand, transposed so that rows of queries are multiplied from the right.
  func projections(_ byHead: [Matrix], leading: [Int]) -> Tensor {
    let dims = byHead.first?.rows ?? 0
    let heads = byHead.count
    // Heads count within one sample; other samples have the same ones.
    let count = leading.reduce(1, *)
    var numbers: [Float] = []
    numbers.reserveCapacity(count * dims * dims)
    for matrix in 0..<count {
      let own = byHead[matrix % max(1, heads)]
      for row in 0..<dims { for column in 0..<dims { numbers.append(Float(own[column, row])) } }
    }
    let data = TensorData(numbers)
    return Tensor(.f32, leading + [dims, dims], data: data) ?? Tensor(reals: [], .f32, [0])
  }

  /// Rotations of the values of each head, in columns of the consumer.
  func valueRotations(second: Matrix, weights: Matrix, factors: [Double]) -> [HeadRotation] {
    var known: [[Int]: [HeadRotation]] = [:]
    var result: [HeadRotation] = []
    for head in heads where known[head.value] == nil {
      let sharing = heads.filter { $0.value == head.value }.map(\.columns)
      let rotations = HeadRotation.values(sharing, second: second, weights: weights, factors: factors)
      known[head.value] = rotations
      result += rotations
    }
    return result
  }

  /// Rotates the channels of the layer that makes values as its consumer's columns were.
  func rotateValues(_ rotations: [HeadRotation], _ working: inout WorkingModel) {
    guard let value else { return }
    var done: Set<[Int]> = []
    for rotation in rotations {
      guard let head = heads.first(where: { $0.columns == rotation.columns }), done.insert(head.value).inserted else { continue }
      value.rotate(head.value, rotation.forward, kept: head.value.count, &working)
    }
  }
}

extension HeadSite.Projection {
  /// Replaces some channels of the layer by a matrix times them; all but the first `kept` become zero.
  func rotate(_ channels: [Int], _ basis: Matrix, kept: Int, _ working: inout WorkingModel) {
    guard let tensor = working.tensor(weight.parameter) else { return }
    var reals = tensor.reals
    func turn(_ start: Int, _ stride: Int, _ numbers: inout [Double]) {
      let old = channels.map { numbers[start + $0 * stride] }
      for (at, channel) in channels.enumerated() {
        numbers[start + channel * stride] = at < kept ? old.indices.reduce(0) { $0 + basis[at, $1] * old[$1] } : 0
      }
    }
    for column in 0..<weight.columns { turn(column * weight.columnStride, weight.outputStride, &reals) }
    working.set(weight.parameter, reals)
    if let bias, let tensor = working.tensor(bias) {
      var reals = tensor.reals
      turn(0, 1, &reals)
      working.set(bias, reals)
    }
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

extension Compensator {
  /// Rotates the dims of every attention that may be, and cuts nothing: the model computes what it did.
  func rotateEverything() throws(Diagnostic) {
    try findHeads()
    let known = Swift.Set(solution.module.inputs)
    let batches = Stream(batches: options.data.batchCount)
    for batch in 0..<batches.count { try batches.set(batch, given(batch)) }
    for site in sites {
      guard let head = heads[site.node] else { continue }
      if cutsScores(head), let group = head.scoreDims { try cutScores(head, kept: solution.groups[group].extent, known, batches) }
      guard rotatesValues(head) else { continue }
      let reached = segment(working.module, known, [site.data, site.sum])
      let statistics = SiteStatistics(site, hasDrift: false)
      for batch in 0..<batches.count {
        let values = try values(reached, try batches.values(batch))
        try add(statistics, values, values, batch)
      }
      try rotate(site, head, statistics)
    }
  }
}
