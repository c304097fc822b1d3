import Graph

extension VariationFinder {
  /// Fixed factors that a group varies over. A factor has no name of its own: it is the same wherever nodes make it so, followed from place
  /// to place among the values that carry the group.
  mutating func findFactors(
    _ group: Int, _ found: inout [Candidate], _ result: inout Result, _ factorOf: inout [PartPlace: Int]
  ) {
    for node in nodes(of: group) { joinFixedParts(at: node) }
    var seen: Set<PartPlace> = []
    for place in places(of: group) where context.parameters.contains(place.value) {
      let own = parts(place.value, place.axis)
      for beside in own[place.part].around where own[beside].group == nil && own[beside].extent <= Self.mostIndices {
        let root = ghosts.root(PartPlace(value: place.value, axis: place.axis, part: beside))
        guard seen.insert(root).inserted else { continue }
        let extent = own[beside].extent
        switch check(group, overFixed: root, extent: extent) {
        case .failure(let reason):
          let isKnown = result.obstacles[group].contains { $0.outer == .fixed(extent) }
          if beside < place.part, !isKnown {
            result.obstacles[group].append(VariationObstacle(outer: .fixed(extent), reason: reason))
          }
        case .success(let checked):
          let factor = factorOf[root] ?? result.factors.count
          if factor == result.factors.count {
            factorOf[root] = factor
            result.factors.append(
              FixedFactor(name: name(of: place.value), extent: extent))
          }
          found.append(
            Candidate(outer: .factor(factor), owners: checked.owners, representatives: checked.representatives))
        }
      }
    }
  }

  private mutating func name(of parameter: ValueID) -> String {
    let stem = GroupNames.stem(solution.module[parameter].name) + ".parts"
    var name = stem
    var count = 1
    while !names.insert(name).inserted {
      count += 1
      name = "\(stem)\(count)"
    }
    return name
  }

  /// Fixed factors that a node makes the same become one.
  private mutating func joinFixedParts(at node: Int) {
    guard let classes = probe(node) else { return }
    var first: [Int32: PartPlace] = [:]
    let slots = solution.module.nodes[node].inputs + solution.module.nodes[node].outputs
    for (slot, value) in slots.enumerated() {
      guard let value else { continue }
      for axis in solution.axes[value.index].indices {
        for (part, one) in parts(value, axis).enumerated() where one.group == nil {
          guard let number = Self.number(classes, slot, axis, part) else { continue }
          let place = PartPlace(value: value, axis: axis, part: part)
          if let known = first[number] { ghosts.join(known, place) } else { first[number] = place }
        }
      }
    }
  }

  private enum CheckedFactor {
    case success((owners: [PartPlace: Variation.Owner], representatives: [Int]))
    case failure(VariationObstacle.Reason)
  }

  private mutating func check(_ group: Int, overFixed root: PartPlace, extent: Int) -> CheckedFactor {
    var owners: [PartPlace: Variation.Owner] = [:]
    let ghosts = ghosts
    for place in places(of: group) {
      switch owner(at: place, where: { $1.group == nil && ghosts.root($0) == root }) {
      case .found(let axis, let part): owners[place] = .part(axis: axis, part: part)
      case .none: break
      case .several: return .failure(.ambiguous(place.value))
      }
    }
    if let value = positions(along: group) { return .failure(.positions(value)) }
    // Places that keep the same because a node makes them the same; what takes one index of the factor stands between two such sets.
    var components = UnionFind<PartPlace>()
    var taken: [(place: PartPlace, index: Int)] = []
    for node in nodes(of: group) {
      guard let members = members(of: group, at: node, { owners[$0] }), !mixes(members, at: node) else {
        return .failure(.meeting(node: node))
      }
      let isTakenApart = members.contains { $0.owner != nil && $0.ownerClass == nil }
      if isTakenApart {
        guard let indices = take(members, at: node, extent: extent) else { return .failure(.meeting(node: node)) }
        taken += indices
        joinWithinSlots(members, &components)
        continue
      }
      var owned: [Int32: Int32] = [:]
      var first: [Int32: PartPlace] = [:]
      for member in members {
        if let known = first[member.own] { components.join(known, member.place) } else { first[member.own] = member.place }
        guard let ownerClass = member.ownerClass else { continue }
        if let known = owned[member.own], known != ownerClass { return .failure(.meeting(node: node)) }
        owned[member.own] = ownerClass
      }
    }
    return settle(group, owners, components, taken, extent: extent)
  }

  private func joinWithinSlots(_ members: [Member], _ components: inout UnionFind<PartPlace>) {
    struct Key: Hashable {
      let slot: Int
      let own: Int32
    }
    var first: [Key: PartPlace] = [:]
    for member in members {
      let key = Key(slot: member.slot, own: member.own)
      if let known = first[key] { components.join(known, member.place) } else { first[key] = member.place }
    }
  }

  /// Every set of places that keep the same either carries the factor throughout, or was taken from indices of it, which then keep the same.
  private func settle(
    _ group: Int, _ owners: [PartPlace: Variation.Owner], _ components: UnionFind<PartPlace>,
    _ taken: [(place: PartPlace, index: Int)], extent: Int
  ) -> CheckedFactor {
    var indexOf: [PartPlace: Int] = [:]
    var same = UnionFind<Int>()
    for (place, index) in taken {
      let root = components.root(place)
      if let known = indexOf[root] { same.join(min(known, index), max(known, index)) } else { indexOf[root] = index }
    }
    var result = owners
    let carrying = Set(owners.keys.map(components.root))
    var lacking: [ValueID] = []
    for place in places(of: group) {
      let root = components.root(place)
      if owners[place] != nil {
        if indexOf[root] != nil { lacking.append(place.value) }
      } else if let index = indexOf[root], !carrying.contains(root) {
        result[place] = .index(index)
      } else {
        lacking.append(place.value)
      }
    }
    if let value = lacking.first(where: context.parameters.contains) ?? lacking.first { return .failure(.lacking(value)) }
    // Roots are not always the smallest of their set.
    var smallest: [Int: Int] = [:]
    for index in (0..<extent).reversed() { smallest[same.root(index)] = index }
    let representatives = (0..<extent).map { smallest[same.root($0)] ?? $0 }
    if Set(representatives).count == 1 { return .failure(.same) }
    return .success((result, representatives))
  }

  // MARK: - Taking one index

  /// The places of results, and which index of the factor each was taken from; nil where the node does something else to the factor.
  private mutating func take(_ members: [Member], at index: Int, extent: Int) -> [(place: PartPlace, index: Int)]? {
    let node = solution.module.nodes[index]
    var axis: Int?
    for member in members where member.slot < node.inputs.count {
      guard member.slot == 0, case .part(let own, let part)? = member.owner, axis ?? own == own, part == 0 else { return nil }
      axis = own
    }
    guard let axis, let data = node.inputs.first.flatMap({ $0 }), parts(data, axis).first?.spansAxis ?? false,
      let length = solution.inferred.types[data.index].shape[axis].constant, length.isMultiple(of: extent)
    else { return nil }
    let block = length / extent
    var result: [(place: PartPlace, index: Int)] = []
    for member in members where member.slot >= node.inputs.count {
      guard member.owner == nil, let range = taken(node, output: member.slot - node.inputs.count, axis: axis, length: length),
        range.count == block, range.lowerBound.isMultiple(of: block)
      else { return nil }
      result.append((member.place, range.lowerBound / block))
    }
    return result
  }

  /// Which of the positions along an axis a result is made of, where they run on.
  private func taken(_ node: Node, output: Int, axis: Int, length: Int) -> Range<Int>? {
    func numbers(_ operand: Int) -> [Int]? {
      guard node.inputs.indices.contains(operand), let id = node.inputs[operand] else { return nil }
      return solution.inferred.numbers[id.index]?.numbers
    }
    guard let rank = node.inputs.first.flatMap({ $0 }).map({ solution.axes[$0.index].count }) else { return nil }
    func positive(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    switch node.operation {
    case .indexing(.gather):
      guard positive(node.attributes.int(.axis) ?? 0) == axis, let list = numbers(1), let first = list.first else { return nil }
      let start = first < 0 ? first + length : first
      guard list.enumerated().allSatisfy({ ($1 < 0 ? $1 + length : $1) == start + $0 }) else { return nil }
      return start..<start + list.count
    case .joining(.split):
      guard positive(node.attributes.int(.axis) ?? 0) == axis else { return nil }
      let seen = node.outputs.map { $0.flatMap { solution.inferred.types[$0.index].shape[axis].constant } }
      guard let sizes = numbers(1) ?? node.attributes.ints(.split) ?? (seen.contains(nil) ? nil : seen.compactMap { $0 }),
        sizes.indices.contains(output)
      else { return nil }
      let start = sizes[..<output].reduce(0, +)
      return start..<start + sizes[output]
    case .joining(.slice):
      let starts = node.attributes.ints(.starts) ?? numbers(1)
      let ends = node.attributes.ints(.ends) ?? numbers(2)
      guard let starts, let ends, starts.count == ends.count else { return nil }
      let axes = (node.attributes.ints(.axes) ?? numbers(3) ?? Array(starts.indices)).map(positive)
      let steps = numbers(4) ?? starts.map { _ in 1 }
      guard let at = axes.firstIndex(of: axis), starts.indices.contains(at), steps.indices.contains(at), steps[at] == 1
      else { return nil }
      let window = SliceWindow(of: Extent(length), from: Extent(starts[at]), to: Extent(ends[at]), step: 1)
      guard let first = window.first, let count = window.count?.constant, count > 0 else { return nil }
      return first..<first + count
    case .elementwise, .matrixProduct, .convolution, .reshaping, .joining, .reduction, .normalisation, .recurrence, .indexing,
      .attention, .quantisation, .pooling, .generation, .opaque:
      return nil
    }
  }
}
