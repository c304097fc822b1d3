import Graph
import Runtime

/// Attentions whose dims inside heads are rotated.
public struct RotatedHeads: Sendable {
  /// By the node of what consumes their result.
  let byConsumer: [Int: HeadSite]
  /// Groups of dims that are sorted by worth: the last ones go first.
  let groups: Set<Int>
}

/// Rotates the dims inside heads that only meet inside attention: values and their consumer, and queries and keys where no rotary embedding, norm
/// or anything else but movement lies between. The model computes what it did, and the last dims of every head are worth least.
///
///     %q = matmul %x, %wq        %q = matmul %x, %wq·Aᵀ       A, B: of each head, so that scores without the last dims err least;
///     %k = matmul %x, %wk        %k = matmul %x, %wk·Bᵀ       Aᵀ·B = 1
///     %v = matmul %x, %wv        %v = matmul %x, %wv·Tᵀ       T: of each head, so that the consumer without the last dims errs least
///     …                          …
///     %y = matmul %c, %wo        %y = matmul %c, T⁻ᵀ·%wo
struct HeadRotator {
  private let solution: Solution
  private let candidates: Set<Int>
  private let calibration: Calibration

  init(_ solution: Solution, candidates: Set<Int>, options: CompensationOptions) {
    self.solution = solution
    self.candidates = candidates
    calibration = Calibration(solution, options)
  }

  /// The rotated heads, and the module with their weights. `progress` hears the share that is done.
  func run(_ progress: (Double) -> Void) throws(Diagnostic) -> (heads: RotatedHeads, module: Module) {
    let found = try heads()
    let (scores, values) = (found.filter(isScoreRotatable), found.filter(isValueRotatable))
    let (products, contexts) = try measured(scores, values, progress)
    var working = WorkingModel(solution.module)
    // What several attentions share, weights and dims, is rotated for the first of them, which is as exact for the others.
    var (ofScores, ofValues): (Set<Int>, Set<Int>) = ([], [])
    for (head, moments) in zip(scores, products) {
      if let group = head.scoreDims, ofScores.insert(group).inserted { rotate(head, moments, &working) }
    }
    for (head, statistics) in zip(values, contexts) {
      if let group = head.valueDims, ofValues.insert(group).inserted { rotate(head, statistics, &working) }
    }
    let groups = ofScores.union(ofValues)
    let rotated = found.filter { head in [head.scoreDims, head.valueDims].contains { $0.map(groups.contains) ?? false } }
    let byConsumer = Dictionary(rotated.map { ($0.site.node, $0) }, uniquingKeysWith: { first, _ in first })
    return (RotatedHeads(byConsumer: byConsumer, groups: groups), working.module)
  }

  // MARK: What may be rotated

  /// Attentions whose dims are to be cut.
  private func heads() throws(Diagnostic) -> [HeadSite] {
    guard candidates.contains(where: { solution.groups[$0].kind == .headDims }) else { return [] }
    let data = calibration.options.data
    let given = calibration.given(0, of: data.isFixedSize ? data : data.part(0..<1))
    let finder = HeadFinder(solution, SiteFinder(solution), given: given, source: calibration.options.source)
    let producers = solution.module.producers()
    var found: [HeadSite] = []
    // Queries that were computed before an earlier site's sum cannot be computed otherwise once that site is cut.
    var passed = -1
    for site in SiteFinder(solution).sites(of: candidates) {
      if site.groups.contains(where: { solution.groups[$0].kind == .headDims }) {
        let head = try finder.heads(site) { (value) throws(Diagnostic) in
          try calibration.segment(solution.module, Set(solution.module.inputs), [value]).run(given)[value]?.shape
        }
        if let head, head.query.map({ $0.node > passed }) ?? true { found.append(head) }
      }
      passed = max(passed, site.node, producers[site.sum.index] ?? site.node)
    }
    return found
  }

  /// True where the dims of queries and keys only meet in the product of scores, and are to be cut.
  private func isScoreRotatable(_ head: HeadSite) -> Bool {
    guard let group = head.scoreDims, candidates.contains(group), let query = head.query, let key = head.key,
      head.heads.allSatisfy({ $0.query.count == $0.key.count && !$0.query.isEmpty })
    else { return false }
    // Dims that queries, keys and values share are rotated for all of them or for none.
    if group == head.valueDims {
      return head.value != nil && carries(group, [query, key, head.value], head.site) && fillsColumns(head)
    }
    return carries(group, [query, key], nil)
  }

  /// True where the dims of values only meet in the consumer, and are to be cut.
  private func isValueRotatable(_ head: HeadSite) -> Bool {
    guard let group = head.valueDims, candidates.contains(group), head.value != nil, fillsColumns(head) else { return false }
    return group == head.scoreDims ? isScoreRotatable(head) : carries(group, [head.value], head.site)
  }

  private func fillsColumns(_ head: HeadSite) -> Bool { head.heads.allSatisfy { $0.value.count == $0.columns.count } }

  /// True where all parameters that carry a group are those of some layers and the consumer.
  private func carries(_ group: Int, _ layers: [HeadSite.Projection?], _ site: Site?) -> Bool {
    let layers = layers.compactMap(\.self)
    let parameters = layers.map(\.weight.parameter) + layers.compactMap(\.bias) + [site?.weight.parameter].compactMap(\.self)
    return solution.groups[group].occurrences.allSatisfy { parameters.contains($0.value) }
  }

  // MARK: Moments

  /// Moments of the queries and keys of one attention, all heads together.
  private struct ScoreMoments {
    let query: Moments
    let key: Moments

    init(_ head: HeadSite) {
      query = Moments(width: head.query?.weight.outputs ?? 0)
      key = head.key?.result == head.query?.result ? query : Moments(width: head.key?.weight.outputs ?? 0)
    }
  }

  /// In one sweep over the samples.
  private func measured(
    _ scores: [HeadSite], _ values: [HeadSite], _ progress: (Double) -> Void
  ) throws(Diagnostic) -> ([ScoreMoments], [SiteStatistics]) {
    let products = scores.map(ScoreMoments.init)
    let contexts = values.map { SiteStatistics($0.site, hasDrift: false) }
    let wanted =
      scores.flatMap { [$0.query?.result, $0.key?.result].compactMap(\.self) } + values.flatMap { [$0.site.data, $0.site.sum] }
    guard !wanted.isEmpty else { return ([], []) }
    let whole = calibration.segment(solution.module, Set(solution.module.inputs), wanted)
    let batches = calibration.options.data.batchCount
    for batch in 0..<batches {
      progress(Double(batch) / Double(batches))
      let made = try calibration.values(whole, calibration.given(batch))
      for statistics in contexts { try calibration.add(statistics, made, made, batch) }
      for (head, moments) in zip(scores, products) {
        add(head.query?.result, made, batch, to: moments.query)
        if moments.key !== moments.query { add(head.key?.result, made, batch, to: moments.key) }
      }
    }
    return (products, contexts)
  }

  private func add(_ value: ValueID?, _ made: [ValueID: Tensor], _ batch: Int, to moments: Moments) {
    guard let tensor = value.flatMap({ made[$0] }), moments.width > 0 else { return }
    var weights = [Float](repeating: 1, count: tensor.count / moments.width)
    if let mask = calibration.options.data.mask(batch: batch), tensor.rank == 3, Array(tensor.shape.prefix(2)) == mask.shape {
      for (row, isThere) in mask.reals.enumerated() where isThere == 0 { weights[row] = 0 }
    }
    moments.add(
      tensor.withSingles { Rows(width: moments.width, source: $0, weights: weights) }, pool: calibration.pool)
  }

  // MARK: Rotating

  /// Queries and keys; heads with the same keys share one basis.
  private func rotate(_ head: HeadSite, _ moments: ScoreMoments, _ working: inout WorkingModel) {
    let queries = moments.query.covariance(isCentred: false)
    let keys = moments.key.covariance(isCentred: true)
    var turnedQueries: [(channels: [Int], basis: Matrix)] = []
    var turnedKeys: [(channels: [Int], basis: Matrix)] = []
    for (key, sharing) in Dictionary(grouping: head.heads, by: \.key).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let second = Matrix(key.count, key.count)
      for own in sharing {
        let part = queries.picking(rows: own.query, columns: own.query)
        for index in 0..<key.count * key.count { second.numbers[index] += part.numbers[index] }
      }
      let basis = HeadRotation.scores(query: second, key: keys.picking(rows: key, columns: key))
      turnedKeys.append((key, basis.key))
      for query in Set(sharing.map(\.query)) { turnedQueries.append((query, basis.query)) }
    }
    head.query?.rotate(turnedQueries, &working)
    head.key?.rotate(turnedKeys, &working)
  }

  /// Values and their consumer; heads with the same values share one basis.
  private func rotate(_ head: HeadSite, _ statistics: SiteStatistics, _ working: inout WorkingModel) {
    guard let tensor = working.tensor(head.site.weight.parameter) else { return }
    let weights = head.site.weight.matrix(tensor, block: 0)
    let isCentred = if case .none = head.site.bias { false } else { true }
    let second = statistics.moments[0].covariance(isCentred: isCentred)
    var turned: [(channels: [Int], basis: Matrix)] = []
    for (value, sharing) in Dictionary(grouping: head.heads, by: \.value).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) })
    {
      let rotations = HeadRotation.values(
        sharing.map(\.columns), second: second, weights: weights, factors: statistics.factors(block: 0))
      for rotation in rotations { rotation.apply(toWeights: weights) }
      if let first = rotations.first { turned.append((value, first.forward)) }
    }
    head.value?.rotate(turned, &working)
    var reals = tensor.reals
    head.site.weight.write(weights, block: 0, to: &reals)
    working.set(head.site.weight.parameter, reals)
  }
}

extension HeadSite.Projection {
  /// Replaces channels of the layer by a matrix times them.
  func rotate(_ turned: [(channels: [Int], basis: Matrix)], _ working: inout WorkingModel) {
    change(&working) { numbers, start, stride in
      for (channels, basis) in turned {
        let old = channels.map { numbers[start + $0 * stride] }
        for (row, channel) in channels.enumerated() {
          numbers[start + channel * stride] = old.indices.reduce(0) { $0 + basis[row, $1] * old[$1] }
        }
      }
    }
  }

  /// Lets channels of the layer be zero.
  func clear(_ channels: [Int], _ working: inout WorkingModel) {
    change(&working) { numbers, start, stride in
      for channel in channels { numbers[start + channel * stride] = 0 }
    }
  }

  /// Hands out the weights of every input, and the biases: the numbers, where those of a layer's channels begin, and how far they are apart.
  private func change(_ working: inout WorkingModel, _ body: (inout [Double], Int, Int) -> Void) {
    if let tensor = working.tensor(weight.parameter) {
      var reals = tensor.reals
      for column in 0..<weight.columns { body(&reals, column * weight.columnStride, weight.outputStride) }
      working.set(weight.parameter, reals)
    }
    if let bias, let tensor = working.tensor(bias) {
      var reals = tensor.reals
      body(&reals, 0, 1)
      working.set(bias, reals)
    }
  }
}
