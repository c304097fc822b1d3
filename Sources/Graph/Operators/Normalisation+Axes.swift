extension Normalisation {
  static let passRule: AxisRule = "*a -> *a"
  static let quantisedPassRule: AxisRule = "*a, ^*_, ^*_, ^*_, ^*_ -> *a"
  static let batchRule: AxisRule = "n c *s, c, c, c, c -> n c *s, c, c, c, c"
  static let instanceRule: AxisRule = "n c *s, c, c -> n c *s"
  static let groupRule: AxisRule = "n (g k) *s, (g k), (g k) -> n (g k) *s"
  /// Until operator set 20, scale and bias are per group.
  static let groupwiseRule: AxisRule = "n (g k) *s, g, g -> n (g k) *s"
  static let localRule: AxisRule = "n !c *s -> n c *s"
  static let layerRule: AxisRule = "*b *d, ?*d, ?*d -> *b *d, *b *1, *b *1"
  static let skipRule: AxisRule = "*b d, *b d, d, d, d -> *b d, *b 1, *b 1, *b d"
  static let simplifiedSkipRule: AxisRule = "*b d, *b d, d, d -> *b d, *b 1, *b 1, *b d"
  static let embedRule: AxisRule = "b s, b s, ^v d, ^p d, ^t d, d, d, b s, ?b s -> b s d, b, b s d"

  /// Norms run over the kept indices, so their axes pass; scales and biases are tied.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .batchNorm: Self.batchRule.apply(to: solver)
    case .groupNorm: relateGroup(solver, node)
    case .hardmax, .logSoftmax, .lpNorm, .meanVarianceNorm, .softmax: Self.passRule.apply(to: solver)
    case .quantisedSoftmax: Self.quantisedPassRule.apply(to: solver)
    case .instanceNorm: relateInstance(solver)
    case .localResponseNorm: Self.localRule.apply(to: solver)
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm: relateLayer(solver, node)
    case .skipLayerNorm: relateSkip(solver, Self.skipRule)
    case .skipSimplifiedLayerNorm: relateSkip(solver, Self.simplifiedSkipRule)
    case .embedLayerNorm: relateEmbedding(solver)
    }
  }

  private func relateGroup(_ solver: some AxisSolver, _ node: Node) {
    let channels = solver.shape(ofInput: 0).dropFirst().first
    let groups = node.attributes.int(.numGroups) ?? 1
    let isPerGroup = solver.shape(ofInput: 1) == [Extent(groups)] && channels != Extent(groups)
    let rule = isPerGroup ? Self.groupwiseRule : Self.groupRule
    guard let names = rule.apply(to: solver, sizes: ["g": groups]), groups > 1 else { return }
    if let outer = names["g"] { solver.note(.normGroups, outer) }
    if let inner = names["k"] { solver.note(.insideNormGroup, inner) }
  }

  /// A group norm is exported as an instance norm of [N, G, −1]: then the spatial axis carries channels.
  private func relateInstance(_ solver: some AxisSolver) {
    guard let names = Self.instanceRule.apply(to: solver) else { return }
    if let channel = names["c"] { solver.note(.normGroups, channel) }
    for axis in names.run("s") { solver.note(.insideNormGroup, axis) }
  }

  private func relateLayer(_ solver: some AxisSolver, _ node: Node) {
    let rank = solver.shape(ofInput: 0).count
    guard let axis = solver.normalised(node.attributes.int(.axis) ?? -1, rank: rank) else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a norm over an axis outside its tensor"))
    }
    let names = Self.layerRule.apply(to: solver, sizes: ["d": rank - axis])
    for layout in names?.run("d") ?? [] { solver.note(.layerNormalised, layout) }
  }

  private func relateSkip(_ solver: some AxisSolver, _ rule: AxisRule) {
    guard let names = rule.apply(to: solver), let width = names["d"] else { return }
    solver.note(.layerNormalised, width)
    if !solver.isParameterOnly(input: 0), !solver.isParameterOnly(input: 1) {
      for layout in names.run("b") + [width] { solver.note(.residual, layout) }
    }
  }

  private func relateEmbedding(_ solver: some AxisSolver) {
    for table in [2, 3, 4] {
      if let rows = solver.axes(ofInput: table).first {
        solver.freeze(rows, .indexedByData)
        solver.note(.tableRows, rows)
      }
    }
    if let width = Self.embedRule.apply(to: solver)?["d"] { solver.note(.layerNormalised, width) }
  }
}
