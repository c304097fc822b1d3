import Graph
import Runtime

/// What calibration knows of one site: the moments of its inputs, per block of channels, and how much an error counts.
final class SiteStatistics {
  let site: Site
  let moments: [Moments]
  /// True where moments beside the input are taken of what the sum has drifted.
  let hasDrift: Bool
  /// Σ weight over the rows that count, how many these are, and the energy of the sum where errors are measured by that.
  private var weight = 0.0
  private var rows = 0
  private var sums: [Double] = []
  private var squares = 0.0
  /// Vectors of the sum that these were taken of.
  private var measured = 0

  init(_ site: Site, hasDrift: Bool) {
    self.site = site
    self.hasDrift = hasDrift
    moments = (0..<site.blocks).map { _ in Moments(width: site.columns, beside: hasDrift ? site.outputs : 0) }
  }

  /// Adds a batch. `sum` is the original's; `drift`, one number for each of the result's, is what the result should have more.
  func add(
    data: Tensor, sum: Tensor, drift: Tensor? = nil, mask: Tensor?, attributes: Attributes, pool: WorkPool
  ) throws(Diagnostic) {
    let weights = site.weights(data: data, sum: sum, mask: mask)
    for weight in weights where weight > 0 {
      self.weight += Double(weight)
      rows += 1
    }
    if case .whole = site.metric { measure(sum, weights) }
    let rows = try site.rows(data, weights: weights, attributes: attributes, result: sum.shape)
    let beside = drift.map { site.vectors($0, weights: weights) }
    for (block, rows) in rows.enumerated() {
      moments[block].add(rows, beside: beside.map { part($0, block) } ?? [], pool: pool)
    }
  }

  /// The results of one block of channels out of rows of all results.
  private func part(_ vectors: [Float], _ block: Int) -> [Float] {
    if site.blocks == 1 { return vectors }
    let width = site.outputs * site.blocks
    return stride(from: block * site.outputs, to: vectors.count, by: width).flatMap { vectors[$0..<$0 + site.outputs] }
  }

  private func measure(_ sum: Tensor, _ weights: [Float]) {
    let width = site.isScattered ? sum.shape[1] : site.outputs * site.blocks
    let vectors = site.vectors(sum, weights: weights)
    measured += vectors.count / max(1, width)
    if sums.isEmpty { sums = Array(repeating: 0, count: width) }
    vectors.withUnsafeBufferPointer { vectors in
      for start in stride(from: 0, to: vectors.count, by: width) {
        for index in 0..<width {
          let number = Double(vectors[start + index])
          sums[index] += number
          squares += number * number
        }
      }
    }
  }

  /// Rows that count.
  var rowCount: Int { rows }

  /// What a unit of squared error of a result counts: errors are shares of the variance of the sum.
  var level: Double {
    guard rows > 0 else { return 0 }
    switch site.metric {
    case .normalised: return weight / Double(rows) / Double(site.outputs * site.blocks)
    case .whole:
      guard measured > 0 else { return 0 }
      let energy = squares - sums.reduce(0) { $0 + $1 * $1 } / Double(measured)
      return energy > 0 ? Double(rows) / energy : 0
    }
  }

  /// The factor of each result of a block before its square counts.
  func factors(block: Int) -> [Double] {
    let range = block * site.outputs..<(block + 1) * site.outputs
    var factors = [Double](repeating: 1, count: site.outputs)
    if let gain = site.gain { factors = zip(factors, gain[range]).map(*) }
    if case .normalised(let norm?) = site.metric, norm.count == site.outputs * site.blocks {
      factors = zip(factors, norm[range]).map(*)
    }
    return factors.map(abs)
  }
}

/// The moments of one block of a site, ready to be solved: A = G + λ · mean(diag G) · I, and the right-hand side of the fit around the weights
/// that stand there, C + λ · mean(diag G) · W.
struct BlockFit {
  let regularised: Matrix
  /// What was added to the diagonal.
  let ridge: Double
  let right: Matrix
  let weights: Matrix
  let mean: [Double]
  /// What the mean result should be, its constant part left out.
  let meanResult: [Double]
  let isCentred: Bool

  /// `weights`: columns × results, as they stand. `strength`: λ.
  init(_ moments: Moments, weights: Matrix, isCentred: Bool, strength: Double, _ algebra: LinearAlgebra) {
    self.isCentred = isCentred
    let second = moments.covariance(isCentred: isCentred)
    let cross = moments.beside > 0 ? moments.crossCovariance(isCentred: isCentred) : nil
    self.weights = weights
    mean = moments.mean
    // Where nothing varies any weight does as well; then the ones that stand there stay.
    ridge = max(strength * second.meanDiagonal, 1e-20)
    right = algebra.product(second, weights)
    for index in 0..<weights.rows * weights.columns { right.numbers[index] += ridge * weights.numbers[index] }
    var result = [Double](repeating: 0, count: weights.columns)
    for column in 0..<weights.rows {
      for output in 0..<weights.columns { result[output] += weights[column, output] * mean[column] }
    }
    if let cross {
      for index in 0..<right.rows * right.columns { right.numbers[index] += cross.numbers[index] }
      result = zip(result, moments.meanBeside).map(+)
    }
    meanResult = result
    for index in 0..<second.rows { second[index, index] += ridge }
    regularised = second
  }

  /// The moments themselves.
  var second: Matrix {
    let second = regularised.copy
    for index in 0..<second.rows { second[index, index] -= ridge }
    return second
  }

  /// ‖W‖² times the second moment, or the variance, of each column; W scaled by how much an error of each result counts.
  func worth(factors: [Double], ofFluctuation: Bool) -> [Double] {
    (0..<weights.rows).map { column in
      var size = 0.0
      for (result, factor) in factors.enumerated() { size += weights[column, result] * weights[column, result] * factor * factor }
      var moment = regularised[column, column] - ridge
      if isCentred, !ofFluctuation { moment += mean[column] * mean[column] }
      if !isCentred, ofFluctuation { moment -= mean[column] * mean[column] }
      return size * max(0, moment)
    }
  }

  /// The weights that fit best around those that stand there when all columns stay, and A⁻¹; nil where A is singular.
  func whole(_ algebra: LinearAlgebra) -> (weights: Matrix, inverse: Matrix)? {
    guard let inverse = algebra.inverse(regularised) else { return nil }
    return (algebra.product(inverse, right), inverse)
  }

  /// The weights of the columns that stay, zeros for the others, and what the constant part of the result should be; nil where the moments of
  /// what stays are singular.
  func fitted(keeping kept: [Int], _ algebra: LinearAlgebra) -> (weights: Matrix, constant: [Double])? {
    let part = regularised.picking(rows: kept, columns: kept)
    let solution = right.picking(rows: kept)
    guard algebra.factor(part) else { return nil }
    algebra.solve(part, solution)
    let fitted = Matrix(weights.rows, weights.columns)
    for (row, column) in kept.enumerated() {
      (fitted.numbers + column * fitted.columns).update(from: solution.numbers + row * solution.columns, count: fitted.columns)
    }
    return (fitted, constant(fitted))
  }

  /// The weights as they stand, zeros for the columns that go, and what the constant part should be.
  func cut(keeping kept: [Int]) -> (weights: Matrix, constant: [Double]) {
    let cut = Matrix(weights.rows, weights.columns)
    for column in kept {
      (cut.numbers + column * cut.columns).update(from: weights.numbers + column * cut.columns, count: cut.columns)
    }
    return (cut, constant(cut))
  }

  /// What is to be added so that the mean result is what it should be; zeros where nothing can be added.
  private func constant(_ weights: Matrix) -> [Double] {
    guard isCentred else { return Array(repeating: 0, count: weights.columns) }
    var constant = meanResult
    for column in 0..<weights.rows {
      for output in 0..<weights.columns { constant[output] -= weights[column, output] * mean[column] }
    }
    return constant
  }
}
