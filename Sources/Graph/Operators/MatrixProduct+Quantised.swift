extension MatrixProduct {
  /// One rule per combination of transA, transB, transBatchA, transBatchB (in this order, the last one lowest).
  static let fusedRules: [AxisRule] = {
    let left = ["*b m k", "m *b k", "*b k m", "k *b m"]
    let right = ["*b k n", "k *b n", "*b n k", "n *b k"]
    var rules: [AxisRule] = []
    for transA in 0...1 {
      for transB in 0...1 {
        for batchA in 0...1 {
          for batchB in 0...1 {
            rules.append(AxisRule(stringLiteral: "\(left[transA * 2 + batchA]), \(right[transB * 2 + batchB]) -> *b m n"))
          }
        }
      }
    }
    return rules
  }()

  /// Batch axes of a transposed operand stand between its two last ones when `transBatch` is set.
  func relateFused(_ solver: some AxisSolver, _ node: Node) {
    guard solver.shape(ofInput: 0).count > 1, solver.shape(ofInput: 1).count > 1 else {
      return MatrixProduct.matMul.relate(solver)
    }
    func bit(_ name: AttributeName, _ value: Int) -> Int { node.attributes.flag(name) ? value : 0 }
    let at = bit(.transA, 8) + bit(.transB, 4) + bit(.transBatchA, 2) + bit(.transBatchB, 1)
    if let names = Self.fusedRules[at].apply(to: solver) { noteRoles(solver, names, left: 0, right: 1) }
  }

  static let integerRule: AxisRule = "*b m k, *b k n, *_, *_ -> *b m n"

  /// A product of whole numbers, with zero points perhaps per row of A and per column of B.
  func relateInteger(_ solver: some AxisSolver) {
    guard let names = Self.integerRule.apply(to: solver) else { return }
    relateScale(solver, input: 2, with: 0, isColumn: false)
    relateScale(solver, input: 3, with: 1, isColumn: true)
    noteRoles(solver, names, left: 0, right: 1)
  }

  static let quantisedRule: AxisRule = "*b m k, *_, *_, *b k n, *_, *_, *_, *_ -> *b m n"

  /// A product of scaled whole numbers: a, its scale and zero point, b, its scale and zero point, the result's.
  func relateQuantised(_ solver: some AxisSolver) {
    guard let names = Self.quantisedRule.apply(to: solver) else { return }
    for input in [1, 2] { relateScale(solver, input: input, with: 0, isColumn: false) }
    for input in [4, 5] { relateScale(solver, input: input, with: 3, isColumn: true) }
    for input in [6, 7] { relateScale(solver, input: input, with: 0, isColumn: false) }
    noteRoles(solver, names, left: 0, right: 3)
  }

  static let quantisedGemmRules: [AxisRule] = [
    "m k, *_, *_, k n, *_, *_, ?m n, *_, *_ -> m n", "m k, *_, *_, n k, *_, *_, ?m n, *_, *_ -> m n",
    "k m, *_, *_, k n, *_, *_, ?m n, *_, *_ -> m n", "k m, *_, *_, n k, *_, *_, ?m n, *_, *_ -> m n",
  ]

  /// As `quantisedMatMul` of matrices that may be transposed, with a bias.
  func relateQuantisedGemm(_ solver: some AxisSolver, _ node: Node) {
    let (transA, transB) = (node.attributes.flag(.transA), node.attributes.flag(.transB))
    guard let names = Self.quantisedGemmRules[(transA ? 2 : 0) + (transB ? 1 : 0)].apply(to: solver) else { return }
    for input in [1, 2] { relateScale(solver, input: input, with: 0, isColumn: transA) }
    for input in [4, 5] { relateScale(solver, input: input, with: 3, isColumn: !transB) }
    solver.keepSettings([7, 8])
    noteRoles(solver, names, left: 0, right: 3)
  }

  static let dynamicRule: AxisRule = "*b m k, *b k n, *_, *_, ?*b m n -> *b m n"
  static let integerToFloatRule: AxisRule = "*b m k, *b k n, *_, *_, *_, *_, ?*b m n -> *b m n"

  /// A product with a real result and a bias; scales and zero points perhaps per row of A and per column of B.
  func relateScaled(_ solver: some AxisSolver, _ rule: AxisRule, ofLeft: [Int], ofRight: [Int]) {
    guard let names = rule.apply(to: solver) else { return }
    for input in ofLeft where solver.has(input) { relateScale(solver, input: input, with: 0, isColumn: false) }
    for input in ofRight where solver.has(input) { relateScale(solver, input: input, with: 1, isColumn: true) }
    noteRoles(solver, names, left: 0, right: 1)
  }

  /// Ties a scale or zero point with the rows (A) or columns (B) of its matrix: a list of that length, or the matrix' shape with 1s.
  private func relateScale(_ solver: some AxisSolver, input: Int, with matrix: Int, isColumn: Bool) {
    let shape = solver.shape(ofInput: input)
    let axes = solver.axes(ofInput: input)
    let matrixAxes = solver.axes(ofInput: matrix)
    let matrixShape = solver.shape(ofInput: matrix)
    solver.escape(input: input)
    guard !shape.isEmpty, axes.count == shape.count, matrixAxes.count == matrixShape.count else { return }
    if shape.count == 1 {
      let at = matrixAxes.count - (isColumn ? 1 : 2)
      if shape[0] != 1, matrixAxes.indices.contains(at) { solver.tie(axes[0], matrixAxes[at]) }
      return
    }
    guard axes.count == matrixAxes.count else { return solver.freezeInput(input, .encoded) }
    for at in axes.indices where shape[at] != 1 { solver.tie(axes[at], matrixAxes[at]) }
  }

  static let packedRule: AxisRule = "*b k, n c ^_, *_, *_, ^*_, n -> *b n"

  /// B is stored as [N, blocks, bytes] with scales and zero points per block: whole blocks of K may go, bytes may not.
  func relatePacked(_ solver: some AxisSolver, _ node: Node) {
    solver.escapeAll()
    guard let names = Self.packedRule.apply(to: solver), let rows = names["n"], let blocks = names["c"], let columns = names["k"]
    else {
      return
    }
    let size = node.attributes.int(.blockSize) ?? 0
    // Zero points of fewer than eight bits share bytes across blocks, and an index per column names blocks by number.
    let zeroPointsAreWhole =
      !solver.has(3) || solver.shape(ofInput: 3).reduce(1, *) == solver.extent(rows) * solver.extent(blocks)
    if size > 0, solver.extent(blocks) * Extent(size) == solver.extent(columns), zeroPointsAreWhole, !solver.has(4) {
      solver.tie(columns, solver.product([blocks, solver.fixed(Extent(size), .encoded)]))
    } else {
      solver.freeze(columns, .encoded)
      solver.freeze(blocks, .encoded)
    }
    relateBlocks(solver, input: 2, rows: rows, blocks: blocks)
    relateBlocks(solver, input: 3, rows: rows, blocks: blocks)
    solver.note(.linearInput, columns)
    solver.note(.linearOutput, rows)
  }

  /// Scales or zero points, as [N, blocks] or flat.
  private func relateBlocks(_ solver: some AxisSolver, input: Int, rows: Layout, blocks: Layout) {
    let shape = solver.shape(ofInput: input)
    let axes = solver.axes(ofInput: input)
    guard let first = axes.first, axes.count == shape.count else { return }
    if axes.count == 1 {
      let outer = solver.extent(rows)
      guard let inner = shape[0].dividedExactly(by: outer) else { return solver.freezeInput(input, .encoded) }
      let rest = inner == solver.extent(blocks) ? blocks : solver.fixed(inner, .encoded)
      solver.tie(first, solver.product([rows, rest]))
    } else {
      solver.tie(first, rows)
      for (at, axis) in axes.enumerated().dropFirst() {
        if shape[at] == solver.extent(blocks) { solver.tie(axis, blocks) } else { solver.freeze(axis, .encoded) }
      }
    }
  }
}
