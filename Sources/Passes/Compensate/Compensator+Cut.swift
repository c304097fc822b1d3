import Graph
import Runtime

/// The cut itself, site by site.
extension Compensator {
  func cut(_ sizes: [Int], _ removals: [Int: Removal]) throws(Diagnostic) -> Plan {
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    let pruned = candidates.sorted().filter { sizes[$0] < solution.groups[$0].extent }
    let touched = sites.filter { site in
      site.groups.contains(where: pruned.contains)
        || rotated.byConsumer[site.node]?.scoreDims.map { rotated.groups.contains($0) && pruned.contains($0) } ?? false
    }
    // Groups of several sites are chosen once, for all of them; the others when their site is reached.
    var waiting: Swift.Set<Int> = []
    for group in pruned {
      if rotated.groups.contains(group) || touched.filter({ $0.groups.contains(group) }).count == 1 {
        waiting.insert(group)
      } else {
        plan.kept[group] = removals[group]?.kept(sizes[group])
      }
    }
    let batches = options.data.batchCount
    let (original, present) = (Stream(batches: batches), Stream(batches: batches))
    for batch in 0..<batches {
      try original.set(batch, calibration.given(batch))
      try present.set(batch, calibration.given(batch))
    }
    let producers = solution.module.producers()
    for (index, site) in touched.enumerated() {
      progress("compensate", Double(index) / Double(touched.count))
      let end = max(site.node, producers[site.sum.index] ?? site.node)
      let alive = solution.module.alive(after: end)
      let known = original.known
      let whole = calibration.segment(solution.module, known, alive + [site.sum])
      // What the site makes of the present stream before anything of its own is cut, and of what is left of queries and keys.
      let uncut = calibration.segment(try module(plan), known, [site.data, site.result, site.sum])
      var reached: Segment?
      if let head = rotated.byConsumer[site.node], let group = head.scoreDims, waiting.contains(group),
        rotated.groups.contains(group)
      {
        for own in head.heads { head.query?.clear(Array(own.query.dropFirst(sizes[group])), &working) }
        if !site.groups.contains(group) {
          plan.kept[group] = Array(0..<sizes[group])
          waiting.remove(group)
        }
        reached = calibration.segment(try module(plan), known, [site.data, site.result])
      }
      let statistics = SiteStatistics(site, hasDrift: !site.isScattered && (options.drift > 0 || reached != nil))
      for batch in 0..<batches {
        let before = try calibration.values(whole, try original.values(batch))
        let reachedBefore = try present.values(batch)
        let full = try calibration.values(uncut, reachedBefore)
        var target = drift(site, before[site.sum], full[site.sum])
        var now = full
        if let reached {
          now = try calibration.values(reached, reachedBefore)
          target = sum(target, full[site.result], now[site.result])
        }
        try calibration.add(statistics, now, before, batch, drift: target)
        try original.set(batch, before.filter { alive.contains($0.key) })
      }
      try fit(site, statistics, sizes, &waiting, &plan)
      let next = calibration.segment(try module(plan), known, alive)
      for batch in 0..<batches {
        try present.set(batch, try calibration.values(next, try present.values(batch)).filter { alive.contains($0.key) })
      }
    }
    return plan
  }

  /// drift + full − now, number by number.
  private func sum(_ drift: Tensor?, _ full: Tensor?, _ now: Tensor?) -> Tensor? {
    guard let full, let now, full.shape == now.shape else { return drift }
    let count = full.count
    let data = TensorData(count: count * 4) { bytes in
      let target = bytes.bindMemory(to: Float.self)
      full.withSingles { full in now.withSingles { now in for index in 0..<count { target[index] = full[index] - now[index] } } }
      drift?.withSingles { drift in for index in 0..<count { target[index] += drift[index] } }
    }
    return Tensor(.f32, full.shape, data: data)
  }

  /// The model as far as it is cut: weights of cut columns are zero, which is all that most groups need; where members of a cut group take part in
  /// something common, such as a norm, they are masked.
  func module(_ plan: Plan) throws(Diagnostic) -> Module {
    guard plan.prunedGroups.contains(where: { mixing.contains($0) || !reachesSite($0) && !rotated.groups.contains($0) }) else {
      return working.module
    }
    let solution = solution.with(module: working.module)
    return try MaskedGraph.make(solution, KeptIndices(solution: solution, plan: plan))
  }

  private func reachesSite(_ group: Int) -> Bool { sites.contains { $0.groups.contains(group) } }

  /// The part of what the sum has drifted that the site is to make up for, in units of its result.
  private func drift(_ site: Site, _ original: Tensor?, _ present: Tensor?) -> Tensor? {
    guard options.drift > 0, !site.isScattered, let original, let present, original.shape == present.shape else { return nil }
    let width = site.outputs * site.blocks
    let places: Int = if case .window = site.geometry { original.shape.dropFirst(2).reduce(1, *) } else { 1 }
    let count = original.count
    let share = Float(options.drift)
    // A result that hardly reaches the sum cannot make up for what it drifted.
    let largest = site.gain?.map(abs).max() ?? 1
    let factors: [Float] = (site.gain ?? Array(repeating: 1, count: width)).map { gain in
      abs(gain) > 1e-3 * largest ? share / Float(gain) : 0
    }
    let data = TensorData(count: count * 4) { bytes in
      let target = bytes.bindMemory(to: Float.self)
      original.withSingles { original in
        present.withSingles { present in
          for index in 0..<count { target[index] = factors[index / places % width] * (original[index] - present[index]) }
        }
      }
    }
    return Tensor(.f32, original.shape, data: data)
  }

  /// Chooses what of the site's own groups goes, and fits its weights to the rest.
  private func fit(
    _ site: Site, _ statistics: SiteStatistics, _ sizes: [Int], _ waiting: inout Swift.Set<Int>, _ plan: inout Plan
  ) throws(Diagnostic) {
    let fits = try fits(statistics)
    let own = site.groups.filter(waiting.contains)
    if !own.isEmpty { try choose(own, site, statistics, fits, sizes, &plan) }
    waiting.subtract(own)
    guard let tensor = working.tensor(site.weight.parameter) else { return }
    var reals = tensor.reals
    var constant: [Double] = []
    for (block, fit) in fits.enumerated() {
      let kept = keptColumns(site, block, plan)
      guard let (weights, own) = mode.isFitted ? fit.fitted(keeping: kept, algebra) : fit.cut(keeping: kept) else {
        throw singular(site)
      }
      site.weight.write(weights, block: block, to: &reals)
      constant += mode == .none ? Array(repeating: 0, count: own.count) : own
    }
    working.set(site.weight.parameter, reals)
    fitted += 1
    if site.columns > widest?.columns ?? 0 { widest = (statistics.rowCount, site.columns) }
    if fits.allSatisfy(\.isCentred) { biased += 1 }
    switch site.bias {
    case .parameter(let bias): working.add(bias, site.shares(constant))
    case .mean(let mean): working.add(mean, site.shares(constant).map { -$0 })
    case .none: break
    }
  }

  /// Decides which members of the groups of a site stay: whole heads before what is inside of them.
  private func choose(
    _ groups: [Int], _ site: Site, _ statistics: SiteStatistics, _ fits: [BlockFit], _ sizes: [Int], _ plan: inout Plan
  ) throws(Diagnostic) {
    let costs = try self.costs(statistics, fits)
    for group in site.groups {
      guard let kept = plan.kept[group].map(Swift.Set.init) else { continue }
      for (cost, columns) in zip(costs, columns(group, site)) {
        cost.remove(columns.indices.filter { !kept.contains($0) }.flatMap { columns[$0] })
      }
    }
    let isInside = { (group: Int) in self.solution.groups[group].kind == .headDims }
    for group in groups.filter({ !isInside($0) }) + groups.filter(isInside) {
      let extent = solution.groups[group].extent
      let columns = columns(group, site)
      let order = order(group, [(statistics, fits)])
      let removal = Removal(costs, columns: columns, count: extent, going: extent - sizes[group], order: order)
      plan.kept[group] = removal.kept(sizes[group])
    }
  }

  private func keptColumns(_ site: Site, _ block: Int, _ plan: Plan) -> [Int] {
    var stays = [Bool](repeating: true, count: site.columns)
    for group in site.groups {
      guard let kept = plan.kept[group].map(Swift.Set.init) else { continue }
      for (member, columns) in columns(group, site)[block].enumerated() where !kept.contains(member) {
        for column in columns { stays[column] = false }
      }
    }
    return stays.indices.filter { stays[$0] }
  }
}
