import Graph

/// A matrix product as einsum writes it: one label per axis of each factor and of the result. Labels that the result lacks are summed over.
struct Contraction {
  /// Labels of each factor's axes.
  let factors: [[Int]]
  /// Labels of the result's axes.
  let result: [Int]
  /// What the products are multiplied by.
  var scale = 1.0
  /// The operand that is added, and what it is multiplied by.
  var bias: (operand: Int, scale: Double)?
  /// True where the second factor may be a matrix [in, out] (or its transpose) that makes each row of the result from a row of the first.
  var isLinear = false

  /// The products of real numbers that can be written so; nil for others. `ranks` are those of the operands.
  init?(_ node: Node, product: MatrixProduct, ranks: [Int]) {
    let attributes = node.attributes
    func batch(_ count: Int) -> [Int] { (0..<max(0, count)).map { Self.batchLabels + max(0, count) - 1 - $0 } }
    let (m, k, n) = (1, 2, 3)
    switch product {
    case .matMul, .fusedMatMul:
      guard ranks.count == 2, ranks[0] > 0, ranks[1] > 0 else { return nil }
      // Moves of batch axes are rare enough to be left alone.
      if attributes.flag(.transBatchA) || attributes.flag(.transBatchB) { return nil }
      let left = attributes.flag(.transA) && ranks[0] > 1 ? [k, m] : [m, k]
      let right = attributes.flag(.transB) && ranks[1] > 1 ? [n, k] : [k, n]
      factors = [ranks[0] == 1 ? [k] : batch(ranks[0] - 2) + left, ranks[1] == 1 ? [k] : batch(ranks[1] - 2) + right]
      result = batch(max(ranks[0], ranks[1]) - 2) + (ranks[0] > 1 ? [m] : []) + (ranks[1] > 1 ? [n] : [])
      scale = product == .fusedMatMul ? Double(attributes.float(.alpha) ?? 1) : 1
      isLinear = ranks[1] == 2
    case .gemm:
      guard ranks.count >= 2 else { return nil }
      factors = [attributes.flag(.transA) ? [k, m] : [m, k], attributes.flag(.transB) ? [n, k] : [k, n]]
      result = [m, n]
      scale = Double(attributes.float(.alpha) ?? 1)
      bias = (2, Double(attributes.float(.beta) ?? 1))
      isLinear = true
    case .einsum:
      guard let text = attributes.string(.equation), let equation = EinsumEquation(text) else { return nil }
      var labels: [EinsumEquation.Label: Int] = [:]
      var terms: [[Int]] = []
      var covered = 0
      for index in ranks.indices {
        guard let term = equation.axes(ofOperand: index, rank: ranks[index]) else { return nil }
        let dots = term.filter { $0 == .ellipsis }.count
        covered = max(covered, dots)
        var seen = 0
        terms.append(
          term.map { label in
            guard label != .ellipsis else {
              seen += 1
              return Self.batchLabels + dots - seen
            }
            let next = labels[label] ?? labels.count
            labels[label] = next
            return next
          })
      }
      // The same letter twice in a term is a diagonal.
      guard terms.allSatisfy({ Set($0).count == $0.count }) else { return nil }
      factors = terms
      result = equation.result.flatMap { label in label == .ellipsis ? batch(covered) : [labels[label] ?? -1] }
    case .matMulInteger, .quantisedMatMul, .matMulNBits, .fusedGemm, .quantisedGemm, .dynamicMatMul, .integerToFloat: return nil
    }
  }

  private static let batchLabels = 1000
}
