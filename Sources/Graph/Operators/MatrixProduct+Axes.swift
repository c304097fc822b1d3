extension MatrixProduct {
  static let matrixRule: AxisRule = "*b m k, *b k n -> *b m n"
  static let vectorMatrixRule: AxisRule = "k, *b k n -> *b n"
  static let matrixVectorRule: AxisRule = "*b m k, k -> *b m"
  static let vectorRule: AxisRule = "k, k ->"
  static let gemmRules: [AxisRule] = [
    "m k, k n, ?m n -> m n", "m k, n k, ?m n -> m n", "k m, k n, ?m n -> m n", "k m, n k, ?m n -> m n",
  ]

  /// Contracted axes unify, batch axes unify like elementwise, the rest pass through.
  public func relate(_ solver: some AxisSolver) {
    let node = solver.node
    switch self {
    case .matMul:
      let left = solver.shape(ofInput: 0).count
      let right = solver.shape(ofInput: 1).count
      let rule =
        switch (left == 1, right == 1) {
        case (false, false): Self.matrixRule
        case (true, false): Self.vectorMatrixRule
        case (false, true): Self.matrixVectorRule
        case (true, true): Self.vectorRule
        }
      if let names = rule.apply(to: solver) { noteRoles(solver, names, left: 0, right: 1) }
    case .gemm, .fusedGemm:
      let at = (node.attributes.flag(.transA) ? 2 : 0) + (node.attributes.flag(.transB) ? 1 : 0)
      if let names = Self.gemmRules[at].apply(to: solver) { noteRoles(solver, names, left: 0, right: 1) }
    case .einsum: relateEinsum(solver, node)
    case .matMulInteger: relateInteger(solver)
    case .quantisedMatMul: relateQuantised(solver)
    case .fusedMatMul: relateFused(solver, node)
    case .matMulNBits: relatePacked(solver, node)
    case .quantisedGemm: relateQuantisedGemm(solver, node)
    case .dynamicMatMul: relateScaled(solver, Self.dynamicRule, ofLeft: [], ofRight: [2, 3])
    case .integerToFloat: relateScaled(solver, Self.integerToFloatRule, ofLeft: [2, 4], ofRight: [3, 5])
    }
  }

  /// Kinds of the axes of a product: of two activations, or of an activation with a weight.
  func noteRoles(_ solver: some AxisSolver, _ names: AxisRule.Binding, left: Int, right: Int) {
    func list(_ name: String) -> [Layout] { names[name].map { [$0] } ?? [] }
    let leftIsWeight = solver.isParameterOnly(input: left)
    let rightIsWeight = solver.isParameterOnly(input: right)
    var batch = names.run("b")
    if leftIsWeight || rightIsWeight {
      // Of a stacked weight, only the axes that it has itself.
      let own = solver.shape(ofInput: rightIsWeight ? right : left).dropLast(2)
      batch = zip(batch.reversed(), own.reversed()).filter { $0.1 != 1 }.map(\.0)
    }
    noteProduct(
      solver, leftIsWeight: leftIsWeight, rightIsWeight: rightIsWeight, contracted: list("k"), batch: batch, leftFree: list("m"),
      rightFree: list("n"))
  }

  /// Kinds of the axes of a product. Beside a weight, `batch` are the axes the weight has as well.
  func noteProduct(
    _ solver: some AxisSolver, leftIsWeight: Bool, rightIsWeight: Bool, contracted: [Layout], batch: [Layout], leftFree: [Layout],
    rightFree: [Layout]
  ) {
    guard leftIsWeight || rightIsWeight else {
      for layout in batch { solver.note(.batchOfActivations, layout) }
      for layout in contracted { solver.note(.contractedActivations, layout) }
      for layout in leftFree + rightFree { solver.note(.freeOfActivations, layout) }
      return
    }
    for layout in contracted { solver.note(.linearInput, layout) }
    for layout in rightIsWeight ? rightFree : leftFree { solver.note(.linearOutput, layout) }
    for layout in batch { solver.note(.groups, layout) }
  }
}
