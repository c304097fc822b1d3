import Graph

/// Finds what every group can vary over, and what forbids it.
///
/// Two steps: which outers stand beside the group wherever it is carried, from the layouts alone; then, for those few, whether each node
/// keeps to it, by looking at the node by itself (`NodeProbe`).
struct VariationFinder {
  let solution: Solution
  let context: NodeProbe.Context
  private var cache = PartsCache()
  private var probes: [Int: NodeProbe.Classes?] = [:]
  /// Places that carry the groups of interest, by leaf, in order of values.
  private var places: [Int32: [PartPlace]] = [:]
  private var nodesOf: [ValueID: [Int]] = [:]
  /// Values whose numbers are positions, by the groups that these are of.
  private var positionsAlong: [Int32: ValueID] = [:]
  /// Names that are taken.
  var names: Set<String> = []
  var ghosts = UnionFind<PartPlace>()

  /// What was found, by group.
  struct Result {
    var variations: [Variation?]
    var factors: [FixedFactor]
    var obstacles: [[VariationObstacle]]
  }

  /// An outer that a group can vary over by itself.
  struct Candidate {
    let outer: Variation.Outer
    let owners: [PartPlace: Variation.Owner]
    /// For every index of the outer the first one that must keep the same; the index itself where it is free.
    let representatives: [Int]
  }

  init(_ solution: Solution, _ context: NodeProbe.Context) {
    self.solution = solution
    self.context = context
  }

  /// Indices in all lists of a group together are no more than this: nothing real has more, and a damaged file could claim any number.
  static let mostIndices = 1 << 22

  mutating func run() -> Result {
    let groups = solution.groups
    var result = Result(
      variations: groups.map { _ in nil }, factors: [], obstacles: groups.map { _ in [] })
    let beside = standingBeside()
    let interesting = groups.indices.filter { !(beside.always[$0].isEmpty && beside.sameAxis[$0].isEmpty && !beside.fixed[$0]) }
    if interesting.isEmpty { return result }
    names = Set(groups.map(\.name))
    for (id, codomain) in solution.codomains.enumerated() {
      guard let codomain else { continue }
      for leaf in solution.table.leaves(codomain) where positionsAlong[leaf] == nil { positionsAlong[leaf] = ValueID(id) }
    }
    collectPlaces(of: Set(interesting.map { groups[$0].leaf }))
    var candidates: [Int: [Candidate]] = [:]
    var factorOf: [PartPlace: Int] = [:]
    for index in interesting {
      var found: [Candidate] = []
      for outer in beside.always[index].union(beside.sameAxis[index]).sorted() where groups[outer].extent <= Self.mostIndices {
        let isBesideEverywhere = beside.always[index].contains(outer)
        switch isBesideEverywhere ? check(index, over: outer) : .failure(lacking(index, outer)) {
        case .success(let candidate): found.append(candidate)
        case .failure(let reason):
          if beside.sameAxis[index].contains(outer) {
            result.obstacles[index].append(VariationObstacle(outer: .group(outer), reason: reason))
          }
        }
      }
      if beside.fixed[index] { findFactors(index, &found, &result, &factorOf) }
      if !found.isEmpty { candidates[index] = found }
    }
    settle(candidates, &result)
    return result
  }

  // MARK: - What stands beside

  private struct Beside {
    /// Groups that stand beside the group wherever it is carried, by group.
    var always: [Set<Int>]
    /// Groups around it on one axis somewhere: factors of a product with it, further out.
    var sameAxis: [Set<Int>]
    /// True where a fixed factor is multiplied with it on an axis of a parameter.
    var fixed: [Bool]
  }

  private mutating func standingBeside() -> Beside {
    let count = solution.groups.count
    var always: [Set<Int>?] = Array(repeating: nil, count: count)
    var result = Beside(
      always: [], sameAxis: Array(repeating: [], count: count), fixed: Array(repeating: false, count: count))
    var seen: Set<[Layout]> = []
    for (id, axes) in solution.axes.enumerated() {
      let isParameter = context.parameters.contains(ValueID(id))
      // The same layouts say the same again.
      if !isParameter, !seen.insert(axes).inserted { continue }
      let parts = axes.map { cache.parts($0, in: solution.table).parts }
      for (axis, own) in parts.enumerated() {
        for (number, part) in own.enumerated() {
          guard let leaf = part.group, let group = solution.index(of: leaf) else { continue }
          var outers: Set<Int> = []
          for other in part.around {
            if let outer = own[other].group.flatMap(solution.index(of:)) {
              if outer != group { outers.insert(outer) }
              if outer != group, other < number { result.sameAxis[group].insert(outer) }
            } else if isParameter, own[other].group == nil {
              result.fixed[group] = true
            }
          }
          for (at, others) in parts.enumerated() where at != axis {
            for other in others where other.spansAxis {
              if let outer = other.group.flatMap(solution.index(of:)), outer != group { outers.insert(outer) }
            }
          }
          always[group] = always[group].map { $0.intersection(outers) } ?? outers
        }
      }
    }
    result.always = always.map { $0 ?? [] }
    return result
  }

  private mutating func collectPlaces(of leaves: Set<Int32>) {
    for (id, axes) in solution.axes.enumerated() {
      let value = ValueID(id)
      var carries = false
      for (axis, layout) in axes.enumerated() {
        for (part, one) in cache.parts(layout, in: solution.table).parts.enumerated() {
          guard let leaf = one.group, leaves.contains(leaf) else { continue }
          places[leaf, default: []].append(PartPlace(value: value, axis: axis, part: part))
          carries = true
        }
      }
      if carries { nodesOf[value] = [] }
    }
    for (index, node) in solution.module.nodes.enumerated() {
      for case let id? in node.inputs + node.outputs where nodesOf[id]?.last.map({ $0 != index }) ?? (nodesOf[id] != nil) {
        nodesOf[id]?.append(index)
      }
    }
  }

  func places(of group: Int) -> [PartPlace] { places[solution.groups[group].leaf] ?? [] }

  /// Nodes that touch a value which carries the group, in order.
  func nodes(of group: Int) -> [Int] { Set(places(of: group).flatMap { nodesOf[$0.value] ?? [] }).sorted() }

  mutating func parts(_ value: ValueID, _ axis: Int) -> [LayoutParts.Part] {
    cache.parts(solution.axes[value.index][axis], in: solution.table).parts
  }

  mutating func probe(_ node: Int) -> NodeProbe.Classes? {
    if let known = probes[node] { return known }
    let result = NodeProbe.classes(of: node, in: context)
    probes[node] = .some(result)
    return result
  }

  // MARK: - Owners

  enum Lookup {
    case found(axis: Int, part: Int)
    case none, several
  }

  /// The part that decides at a place: one that it is multiplied with on its own axis, else one that spans another axis.
  /// Which of its indices stands where must be known before the model runs.
  mutating func owner(at place: PartPlace, where matches: (PartPlace, LayoutParts.Part) -> Bool) -> Lookup {
    let shape = solution.inferred.types[place.value.index].shape
    func isKnown(_ axis: Int) -> Bool { shape.indices.contains(axis) && !shape[axis].dependsOnData }
    func isMatch(_ axis: Int, _ part: Int, _ one: LayoutParts.Part) -> Bool {
      matches(PartPlace(value: place.value, axis: axis, part: part), one)
    }
    let own = parts(place.value, place.axis)
    let near = own[place.part].around.filter { isMatch(place.axis, $0, own[$0]) }
    if near.count > 1 { return .several }
    if let part = near.first { return isKnown(place.axis) ? .found(axis: place.axis, part: part) : .several }
    var far: [(axis: Int, part: Int)] = []
    for axis in solution.axes[place.value.index].indices where axis != place.axis {
      for (part, one) in parts(place.value, axis).enumerated() where one.spansAxis && isMatch(axis, part, one) {
        far.append((axis, part))
      }
    }
    if far.count > 1 { return .several }
    return far.first.map { isKnown($0.axis) ? .found(axis: $0.axis, part: $0.part) : .several } ?? .none
  }

  /// The value that is told of when a group lacks an outer: a parameter before others.
  private mutating func lacking(_ group: Int, _ outer: Int) -> VariationObstacle.Reason {
    let leaf = solution.groups[outer].leaf
    var first: ValueID?
    for place in places(of: group) {
      switch owner(at: place, where: { $1.group == leaf }) {
      case .found, .several: continue
      case .none:
        if context.parameters.contains(place.value) { return .lacking(place.value) }
        first = first ?? place.value
      }
    }
    return .lacking(first ?? solution.groups[group].occurrences[0].value)
  }

  // MARK: - Groups

  private enum Checked {
    case success(Candidate)
    case failure(VariationObstacle.Reason)
  }

  private mutating func check(_ group: Int, over outer: Int) -> Checked {
    let leaf = solution.groups[outer].leaf
    var owners: [PartPlace: Variation.Owner] = [:]
    for place in places(of: group) {
      switch owner(at: place, where: { $1.group == leaf }) {
      case .found(let axis, let part): owners[place] = .part(axis: axis, part: part)
      case .none: return .failure(lacking(group, outer))
      case .several: return .failure(.ambiguous(place.value))
      }
    }
    if let value = positions(along: group) { return .failure(.positions(value)) }
    for node in nodes(of: group) {
      guard let members = members(of: group, at: node, { owners[$0] }) else { return .failure(.meeting(node: node)) }
      var owned: [Int32: Int32] = [:]
      for member in members {
        guard let ownerClass = member.ownerClass, owned[member.own] ?? ownerClass == ownerClass else {
          return .failure(.meeting(node: node))
        }
        owned[member.own] = ownerClass
      }
      if mixes(members, at: node) { return .failure(.meeting(node: node)) }
    }
    return .success(
      Candidate(outer: .group(outer), owners: owners, representatives: Array(0..<solution.groups[outer].extent)))
  }

  /// A place that carries the group, as an operand or a result of a node.
  struct Member {
    let place: PartPlace
    /// Operands first, then results.
    let slot: Int
    /// What the node makes the same has the same number.
    let own: Int32
    /// That of the owner; nil where the node takes it apart or keeps all of it.
    let ownerClass: Int32?
    let owner: Variation.Owner?
  }

  /// Places that carry a group at a node; nil where the node has no rule, or does something to the group that layouts do not say.
  mutating func members(of group: Int, at node: Int, _ owner: (PartPlace) -> Variation.Owner?) -> [Member]? {
    guard let classes = probe(node) else { return nil }
    let leaf = solution.groups[group].leaf
    let slots = solution.module.nodes[node].inputs + solution.module.nodes[node].outputs
    var members: [Member] = []
    for (slot, value) in slots.enumerated() {
      guard let value, nodesOf[value] != nil else { continue }
      for axis in solution.axes[value.index].indices {
        for (part, one) in parts(value, axis).enumerated() where one.group == leaf {
          let place = PartPlace(value: value, axis: axis, part: part)
          guard let own = Self.number(classes, slot, axis, part) else { return nil }
          let owner = owner(place)
          var ownerClass: Int32?
          if case .part(let axis, let part)? = owner { ownerClass = Self.number(classes, slot, axis, part) }
          members.append(Member(place: place, slot: slot, own: own, ownerClass: ownerClass, owner: owner))
        }
      }
    }
    return members
  }

  static func number(_ classes: NodeProbe.Classes, _ slot: Int, _ axis: Int, _ part: Int) -> Int32? {
    guard classes.slots.indices.contains(slot), classes.slots[slot].indices.contains(axis),
      classes.slots[slot][axis].indices.contains(part)
    else { return nil }
    return classes.slots[slot][axis][part]
  }

  /// A value whose numbers are positions along the group: they mean indices of all lists at once.
  func positions(along group: Int) -> ValueID? {
    if let value = positionsAlong[solution.groups[group].leaf] { return value }
    return places(of: group).map(\.value).first { solution.inferred.types[$0.index].element == .i64 }
  }

  /// True where the node works along the owner's axis as a whole, for one index of the group at a time: a softmax over heads. What it makes of
  /// one head then hangs on the same dim of the others. Also where it takes places by positions that carry the group themselves.
  func mixes(_ members: [Member], at index: Int) -> Bool {
    let node = solution.module.nodes[index]
    if case .indexing = node.operation, members.contains(where: { $0.slot == 1 }) { return true }
    guard let data = node.inputs.first.flatMap({ $0 }), let axes = normalisedAxes(node, rank: solution.axes[data.index].count)
    else { return false }
    return members.contains { member in
      guard member.slot == 0, case .part(let axis, _)? = member.owner else { return false }
      return axes.contains(axis) && !axes.contains(member.place.axis)
    }
  }

  /// Axes that a norm or a softmax works along; nil for other nodes.
  private func normalisedAxes(_ node: Node, rank: Int) -> Set<Int>? {
    guard case .normalisation(let norm) = node.operation else { return nil }
    func positive(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    switch norm {
    case .batchNorm: return node.attributes.flag(.trainingMode) ? Set([0] + Array(2..<max(2, rank))) : []
    case .groupNorm, .localResponseNorm: return Set(1..<max(2, rank))
    case .hardmax, .logSoftmax, .softmax:
      let isNew = solution.module.opset >= 13
      let axis = positive(node.attributes.int(.axis) ?? (isNew ? -1 : 1))
      return isNew ? [axis] : Set(min(axis, rank)..<rank)
    case .quantisedSoftmax, .embedLayerNorm: return Set(0..<rank)
    case .instanceNorm: return Set(2..<max(2, rank))
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm:
      return Set(max(0, min(positive(node.attributes.int(.axis) ?? -1), rank))..<rank)
    case .skipLayerNorm, .skipSimplifiedLayerNorm: return [rank - 1]
    case .lpNorm: return [positive(node.attributes.int(.axis) ?? -1)]
    case .meanVarianceNorm: return Set((node.attributes.ints(.axes) ?? [0, 2, 3]).map(positive))
    }
  }

  // MARK: - All outers of a group

  /// Puts the outers of each group together. What varies itself is no outer: groups with the fewest outers come first, and of two that could
  /// vary over each other the one that is carried further in.
  private func settle(_ candidates: [Int: [Candidate]], _ result: inout Result) {
    var isOuter: Set<Int> = []
    for (group, found) in candidates.sorted(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) }) {
      var chosen: [Candidate] = []
      var tuples = 1
      for candidate in inOrder(found, of: group) {
        if case .group(let outer) = candidate.outer, result.variations[outer] != nil {
          result.obstacles[group].append(VariationObstacle(outer: .group(outer), reason: .varies))
          continue
        }
        let (next, overflow) = tuples.multipliedReportingOverflow(by: candidate.representatives.count)
        if overflow || next > Self.mostIndices / max(1, solution.groups[group].extent) { continue }
        tuples = next
        chosen.append(candidate)
      }
      if chosen.isEmpty || isOuter.contains(group) { continue }
      var lists = [[Int]()]
      for candidate in chosen { lists = lists.flatMap { tuple in candidate.representatives.map { tuple + [$0] } } }
      var numbers: [[Int]: Int] = [:]
      for tuple in lists where numbers[tuple] == nil { numbers[tuple] = numbers.count }
      var owners: [PartPlace: [Variation.Owner]] = [:]
      for place in places(of: group) { owners[place] = chosen.compactMap { $0.owners[place] } }
      for case .group(let outer) in chosen.map(\.outer) { isOuter.insert(outer) }
      result.variations[group] = Variation(
        outers: chosen.map(\.outer), listOfTuple: lists.map { numbers[$0] ?? 0 }, owners: owners)
    }
  }

  /// As they stand in the first parameter that carries the group.
  private func inOrder(_ candidates: [Candidate], of group: Int) -> [Candidate] {
    guard let first = places(of: group).first(where: { context.parameters.contains($0.value) }) else { return candidates }
    func isBefore(_ one: Candidate, _ other: Candidate) -> Bool {
      switch (one.owners[first], other.owners[first]) {
      case (.part(let a, let x)?, .part(let b, let y)?): (a, x) < (b, y)
      case (.index?, .part?), (nil, .part?): true
      case (_, .index?), (_, nil): false
      }
    }
    return candidates.enumerated().sorted {
      isBefore($0.element, $1.element) || !isBefore($1.element, $0.element) && $0.offset < $1.offset
    }.map(\.element)
  }
}

/// Sets that are joined.
struct UnionFind<Element: Hashable> {
  private var parents: [Element: Element] = [:]

  /// The member that stands for an element's set.
  func root(_ element: Element) -> Element {
    var element = element
    while let parent = parents[element] { element = parent }
    return element
  }

  /// Makes one set of those of two elements; that of the first keeps its root.
  mutating func join(_ one: Element, _ other: Element) {
    let (a, b) = (root(one), root(other))
    if a != b { parents[b] = a }
  }
}
