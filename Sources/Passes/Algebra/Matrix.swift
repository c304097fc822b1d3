import Foundation
import Kernels
import Runtime

/// A dense matrix of doubles, row-major, in memory of its own. A value of this class is worked on by one owner at a time.
final class Matrix {
  let rows: Int
  let columns: Int
  let numbers: UnsafeMutablePointer<Double>

  /// Zeros.
  init(_ rows: Int, _ columns: Int) {
    self.rows = rows
    self.columns = columns
    numbers = .allocate(capacity: max(1, rows * columns))
    numbers.initialize(repeating: 0, count: max(1, rows * columns))
  }

  /// The given numbers, row by row.
  convenience init(_ rows: Int, _ columns: Int, _ numbers: [Double]) {
    precondition(numbers.count == rows * columns, "as many numbers as the matrix has")
    self.init(rows, columns)
    for (index, number) in numbers.enumerated() { self.numbers[index] = number }
  }

  deinit { numbers.deallocate() }

  subscript(row: Int, column: Int) -> Double {
    get { numbers[row * columns + column] }
    set { numbers[row * columns + column] = newValue }
  }

  /// The same numbers in other memory.
  var copy: Matrix {
    let copy = Matrix(rows, columns)
    copy.numbers.update(from: numbers, count: rows * columns)
    return copy
  }

  /// The rows and columns at these positions, in their order.
  func picking(rows: [Int], columns: [Int]) -> Matrix {
    let part = Matrix(rows.count, columns.count)
    for (at, row) in rows.enumerated() {
      let from = numbers + row * self.columns
      let to = part.numbers + at * part.columns
      for (place, column) in columns.enumerated() { to[place] = from[column] }
    }
    return part
  }

  /// The rows at these positions, in their order.
  func picking(rows: [Int]) -> Matrix {
    let part = Matrix(rows.count, columns)
    for (at, row) in rows.enumerated() { (part.numbers + at * columns).update(from: numbers + row * columns, count: columns) }
    return part
  }

  var transposed: Matrix {
    let result = Matrix(columns, rows)
    for row in 0..<rows { for column in 0..<columns { result[column, row] = self[row, column] } }
    return result
  }

  /// The mean of the diagonal.
  var meanDiagonal: Double { rows == 0 ? 0 : (0..<rows).reduce(0) { $0 + self[$1, $1] } / Double(rows) }

  /// A · B.
  static func * (a: Matrix, b: Matrix) -> Matrix {
    let product = Matrix(a.rows, b.columns)
    pk_double_update(a.rows, b.columns, a.columns, a.numbers, a.columns, 1, b.numbers, b.columns, product.numbers, b.columns)
    for index in 0..<a.rows * b.columns { product.numbers[index] = -product.numbers[index] }
    return product
  }
}

/// Factorisations in blocks, their larger parts shared out among threads. What they compute does not depend on the number of threads.
struct LinearAlgebra {
  let pool: WorkPool
  private static let block = 64

  /// Calls `body` with ranges of `count` rows.
  private func share(_ count: Int, from first: Int = 0, _ body: (Range<Int>) -> Void) {
    let size = Self.block
    let pieces = (count - first + size - 1) / size
    withoutActuallyEscaping(body) { body in
      pool.run(max(0, pieces)) { piece, _ in body(first + piece * size..<min(count, first + (piece + 1) * size)) }
    }
  }

  /// L of A = L · Lᵀ in place of A's lower triangle; what is above means nothing. False where A is not positive definite.
  func factor(_ a: Matrix) -> Bool {
    let (n, stride) = (a.rows, a.columns)
    for start in Swift.stride(from: 0, to: n, by: Self.block) {
      let size = min(Self.block, n - start)
      let corner = a.numbers + start * stride + start
      guard pk_cholesky_block(size, corner, stride) else { return false }
      let next = start + size
      if next == n { break }
      // The panel below, transposed: Lᵀ = L₁₁⁻¹ · Aᵀ.
      let panel = Matrix(size, n - next)
      for row in next..<n { for column in 0..<size { panel[column, row - next] = a.numbers[row * stride + start + column] } }
      pk_solve_lower(size, corner, stride, n - next, panel.numbers, panel.columns)
      for row in next..<n { for column in 0..<size { a.numbers[row * stride + start + column] = panel[column, row - next] } }
      share(n, from: next) { rows in
        pk_double_update(
          rows.count, rows.upperBound - next, size, a.numbers + rows.lowerBound * stride + start, stride, 1, panel.numbers,
          panel.columns, a.numbers + rows.lowerBound * stride + next, stride)
      }
    }
    return true
  }

  /// B becomes A⁻¹ · B, A being given by its factor.
  func solve(_ factor: Matrix, _ b: Matrix) {
    let (n, stride) = (factor.rows, factor.columns)
    let width = 64
    let strips = (b.columns + width - 1) / width
    pool.run(strips) { strip, _ in
      let first = strip * width
      let count = min(width, b.columns - first)
      let numbers = b.numbers + first
      for start in Swift.stride(from: 0, to: n, by: Self.block) {
        let size = min(Self.block, n - start)
        pk_double_update(
          size, count, start, factor.numbers + start * stride, stride, 1, numbers, b.columns, numbers + start * b.columns,
          b.columns)
        pk_solve_lower(
          size, factor.numbers + start * stride + start, stride, count, numbers + start * b.columns, b.columns)
      }
      for start in Swift.stride(from: 0, to: n, by: Self.block).reversed() {
        let size = min(Self.block, n - start)
        let next = start + size
        pk_double_update(
          size, count, n - next, factor.numbers + next * stride + start, 1, stride, numbers + next * b.columns, b.columns,
          numbers + start * b.columns, b.columns)
        pk_solve_lower_transposed(
          size, factor.numbers + start * stride + start, stride, count, numbers + start * b.columns, b.columns)
      }
    }
  }

  /// A⁻¹ of a symmetric positive definite matrix; nil where it is not definite.
  func inverse(_ a: Matrix) -> Matrix? {
    let lower = a.copy
    guard factor(lower) else { return nil }
    let inverse = Matrix(a.rows, a.rows)
    for index in 0..<a.rows { inverse[index, index] = 1 }
    solve(lower, inverse)
    return inverse
  }

  /// A · B.
  func product(_ a: Matrix, _ b: Matrix) -> Matrix {
    let product = Matrix(a.rows, b.columns)
    share(a.rows) { rows in
      pk_double_update(
        rows.count, b.columns, a.columns, a.numbers + rows.lowerBound * a.columns, a.columns, 1, b.numbers, b.columns,
        product.numbers + rows.lowerBound * b.columns, b.columns)
      for index in rows.lowerBound * b.columns..<rows.upperBound * b.columns { product.numbers[index] = -product.numbers[index] }
    }
    return product
  }
}

/// The singular value decomposition of a small matrix with at least as many rows as columns: A = U · diag(values) · Vᵀ, values descending.
struct SingularValues {
  let left: Matrix
  let values: [Double]
  let right: Matrix

  init(_ a: Matrix) {
    precondition(a.rows >= a.columns, "at least as many rows as columns")
    let left = a.copy
    right = Matrix(a.columns, a.columns)
    var values = [Double](repeating: 0, count: a.columns)
    pk_singular_values(a.rows, a.columns, left.numbers, right.numbers, &values)
    let largest = values.first ?? 0
    for column in 0..<a.columns {
      let value = values[column]
      for row in 0..<a.rows { left[row, column] = value > largest * 1e-300 && value > 0 ? left[row, column] / value : 0 }
    }
    self.left = left
    self.values = values
  }
}

extension Matrix {
  /// A power of a symmetric matrix with eigenvalues of at least 0; eigenvalues below `floor` times the largest count as that.
  func power(_ exponent: Double, floor: Double = 1e-6) -> Matrix {
    let parts = SingularValues(self)
    let least = max((parts.values.first ?? 0) * floor, Double.leastNormalMagnitude)
    let scaled = parts.right.copy
    for row in 0..<rows {
      for column in 0..<columns { scaled[row, column] *= pow(max(parts.values[column], least), exponent) }
    }
    return scaled * parts.right.transposed
  }
}
