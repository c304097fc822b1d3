/// A change of basis inside one head: x' = T · x for some of the numbers of a row.
struct HeadRotation {
  /// Which numbers.
  let columns: [Int]
  let forward: Matrix
  let inverse: Matrix

  /// T⁻ᵀ · W for the rows of a weight that stand for the columns, so that Wᵀ · x stays what it was.
  func apply(toWeights weights: Matrix) {
    let turned = inverse.transposed * weights.picking(rows: columns)
    for (at, column) in columns.enumerated() {
      (weights.numbers + column * weights.columns).update(from: turned.numbers + at * turned.columns, count: weights.columns)
    }
  }

  /// Bases in which values lose least when their last dims go, for heads that share values or do not: with C the covariance of a head's
  /// context and W its consumer, scaled by how much an error of each result counts, W·C^½ = U·S·Vᵀ and T = Vᵀ·C^−½.
  ///
  /// `heads`: columns of each head that has its values from the same channels.
  static func values(_ heads: [[Int]], second: Matrix, weights: Matrix, factors: [Double]) -> [HeadRotation] {
    guard let dims = heads.first?.count, dims > 0 else { return [] }
    let common = Matrix(dims, dims)
    for columns in heads {
      let own = second.picking(rows: columns, columns: columns)
      for index in 0..<dims * dims { common.numbers[index] += own.numbers[index] / Double(heads.count) }
    }
    let root = common.power(0.5)
    let results = weights.columns
    let stacked = Matrix(max(dims, results * heads.count), dims)
    for (place, columns) in heads.enumerated() {
      let own = root * weights.picking(rows: columns)
      for result in 0..<results {
        for dim in 0..<dims { stacked[place * results + result, dim] = own[dim, result] * factors[result] }
      }
    }
    let right = SingularValues(stacked).right
    let forward = right.transposed * common.power(-0.5)
    let inverse = root * right
    return heads.map { HeadRotation(columns: $0, forward: forward, inverse: inverse) }
  }

  /// Bases in which scores lose least when the last dims of queries and keys go: with Cq = E[q·qᵀ] and Ck = Cov(k) (what is the same for all keys
  /// is lost in the softmax), Cq^½·Ck^½ = U·S·Vᵀ, q' = S^½·Uᵀ·Cq^−½·q and k' = S^½·Vᵀ·Ck^−½·k.
  static func scores(query: Matrix, key: Matrix) -> (query: Matrix, key: Matrix) {
    let parts = SingularValues(query.power(0.5) * key.power(0.5))
    let least = max((parts.values.first ?? 0) * 1e-9, .leastNormalMagnitude)
    func scaled(_ basis: Matrix, _ whitening: Matrix) -> Matrix {
      let result = basis.transposed * whitening
      for row in 0..<result.rows {
        for column in 0..<result.columns { result[row, column] *= max(parts.values[row], least).squareRoot() }
      }
      return result
    }
    return (scaled(parts.left, query.power(-0.5)), scaled(parts.right, key.power(-0.5)))
  }
}
