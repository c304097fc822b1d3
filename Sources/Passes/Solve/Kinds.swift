import Graph

/// Finds what each group is from the parts it plays at nodes.
struct KindFinder {
  let table: LayoutTable
  let notes: [Solver.Note]
  let module: Module
  let occurrences: [Int32: [Group.Occurrence]]

  func kinds(of leaves: [Int32]) -> [Int32: GroupKind] {
    var roles: [Int32: Set<AxisRole>] = [:]
    let groupNorms = nodes { $0 == .insideNormGroup }
    let blockDiagonals = nodes { $0 == .insideGroup || $0 == .linearInput || $0 == .linearOutput }
    for note in notes {
      if note.role == .normGroups && !groupNorms.contains(note.node) { continue }
      if note.role == .groups && !blockDiagonals.contains(note.node) { continue }
      for leaf in table.leaves(note.layout) { roles[leaf, default: []].insert(note.role) }
    }
    return Dictionary(uniqueKeysWithValues: leaves.map { ($0, kind(roles[$0] ?? [], occurrences[$0] ?? [])) })
  }

  /// Nodes with groups inside their groups. An instance norm whose channel axis merely carries channels normalises no groups of channels; a
  /// filter of its own for each channel, over positions that stay, is no block of a block-diagonal product.
  private func nodes(where isInside: (AxisRole) -> Bool) -> Set<Int> {
    Set(notes.filter { isInside($0.role) && !table.leaves($0.layout).isEmpty }.map(\.node))
  }

  private func kind(_ roles: Set<AxisRole>, _ occurrences: [Group.Occurrence]) -> GroupKind {
    let inWeight = occurrences.contains { $0.isWeight }
    let inAttention = roles.contains(.contractedActivations) || roles.contains(.freeOfActivations)
    let inContraction =
      !roles.isDisjoint(with: [
        .linearInput, .linearOutput, .convolutionInput, .convolutionOutput, .groups, .insideGroup, .recurrentHidden,
      ])
    if roles.contains(.tableRows) || !inWeight && (inAttention || roles.isEmpty) { return .tokens }
    if roles.contains(.codomain) { return .experts }
    if roles.contains(.batchOfActivations) && inWeight { return roles.contains(.repeated) ? .queries : .heads }
    if roles.contains(.groups) { return .groups }
    if inAttention && inContraction { return .headDims }
    if roles.contains(.normGroups) { return .normGroups }
    if roles.contains(.insideGroup) || roles.contains(.insideNormGroup) { return .channels }
    if roles.contains(.recurrentHidden) { return .hidden }
    if roles.contains(.residual) || roles.contains(.layerNormalised) { return .width }
    let convolutional = roles.contains(.convolutionInput) || roles.contains(.convolutionOutput)
    if roles.contains(.linearOutput) && roles.contains(.linearInput) && !convolutional { return .hidden }
    return .channels
  }
}

/// Which groups are pruned when nobody asks for kinds: of those multiplied on one axis the outermost whose kind is on by default, heads
/// before head-dims wherever they stand; and the inner one too where some weight carries it without the outer one.
struct DefaultChoice {
  let table: LayoutTable
  let kinds: [Int32: GroupKind]
  /// Axes of each weight of a contraction.
  let weights: [[Layout]]
  /// Axes of all values.
  let tensors: [[Layout]]

  func chosen() -> Set<Int32> {
    let on = Set(kinds.filter { GroupKind.onByDefault.contains($0.value) }.keys)
    var outer: [Int32: Set<Int32>] = [:]
    var seen: Set<Layout> = []
    for axis in tensors.joined() where seen.insert(axis).inserted { mark(axis, on, &outer) }
    // Dims stand beside heads on another axis where a weight is not flattened (einsum).
    for tensor in tensors where tensor.count > 1 {
      let leaves = tensor.flatMap(table.leaves).filter(on.contains)
      let heads = leaves.filter { kinds[$0] == .heads }
      if heads.isEmpty { continue }
      for leaf in leaves where kinds[leaf] == .headDims || kinds[leaf] == .queries { outer[leaf, default: []].formUnion(heads) }
    }
    var alone: Set<Int32> = []
    for weight in weights {
      for (index, axis) in weight.enumerated() {
        for leaf in leavesAlone(axis, on) {
          guard let outer = outer[leaf] else { continue }
          let isBesideOuter = weight.indices.contains {
            $0 != index && !outer.isDisjoint(with: table.leaves(weight[$0])) && !hasFixedPart(weight[$0], on)
          }
          if !isBesideOuter { alone.insert(leaf) }
        }
      }
    }
    return on.filter { outer[$0] == nil || alone.contains($0) }
  }

  /// Notes, of what stands behind another group of the same product, which group that is.
  private func mark(_ layout: Layout, _ on: Set<Int32>, _ outer: inout [Int32: Set<Int32>]) {
    switch table.form(layout) {
    case .fixed, .group: return
    case .sum(let parts): for part in parts { mark(part, on, &outer) }
    case .product(let factors):
      let leaves = factors.map { table.leaves($0).filter(on.contains) }
      let first = leaves.firstIndex { $0.contains { kinds[$0] == .heads } } ?? leaves.firstIndex { !$0.isEmpty }
      guard let first else { return }
      for (at, list) in leaves.enumerated() where at != first {
        for leaf in list { outer[leaf, default: []].formUnion(leaves[first]) }
      }
      for factor in factors { mark(factor, on, &outer) }
    }
  }

  /// Groups that the axis carries, in some part, with no other group around them.
  private func leavesAlone(_ layout: Layout, _ on: Set<Int32>) -> Set<Int32> {
    switch table.form(layout) {
    case .fixed: return []
    case .group(let leaf): return on.contains(leaf) ? [leaf] : []
    case .sum(let parts): return parts.reduce(into: []) { $0.formUnion(leavesAlone($1, on)) }
    case .product(let factors):
      var result: Set<Int32> = []
      for (at, factor) in factors.enumerated() {
        let othersCanBeFixed = factors.enumerated().allSatisfy { $0 == at || hasFixedPart($1, on) }
        if othersCanBeFixed { result.formUnion(leavesAlone(factor, on)) }
      }
      return result
    }
  }

  /// True when some part of a factor carries no group at all.
  private func hasFixedPart(_ layout: Layout, _ on: Set<Int32>) -> Bool {
    switch table.form(layout) {
    case .fixed: true
    case .group(let leaf): !on.contains(leaf)
    case .sum(let parts): parts.contains { hasFixedPart($0, on) }
    case .product(let factors): factors.allSatisfy { hasFixedPart($0, on) }
    }
  }
}
