import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("Linear algebra") struct LinearAlgebraTests {
  private let algebra = LinearAlgebra(pool: WorkPool(threads: 2))

  /// A symmetric positive definite matrix: X·Xᵀ and something on the diagonal.
  private func definite(_ count: Int, _ generator: inout SplitMix) -> Matrix {
    let x = random(count, count + 3, &generator)
    let product = x * x.transposed
    for index in 0..<count { product[index, index] += 0.5 }
    return product
  }

  private func random(_ rows: Int, _ columns: Int, _ generator: inout SplitMix) -> Matrix {
    Matrix(rows, columns, (0..<rows * columns).map { _ in generator.unit() * 2 - 1 })
  }

  private func difference(_ a: Matrix, _ b: Matrix) -> Double {
    (0..<a.rows * a.columns).map { abs(a.numbers[$0] - b.numbers[$0]) }.max() ?? 0
  }

  /// Sizes around those of blocks and of the kernel's tiles.
  @Test("A · X = B is solved, whatever the size", arguments: [1, 2, 7, 63, 64, 65, 129, 200])
  func solves(count: Int) throws {
    var generator = SplitMix(seed: UInt64(count))
    let a = definite(count, &generator)
    let x = random(count, 70, &generator)
    let b = a * x
    let factor = a.copy
    #expect(algebra.factor(factor))
    algebra.solve(factor, b)
    #expect(difference(b, x) < 1e-8)
    let inverse = try #require(algebra.inverse(a))
    let identity = inverse * a
    for row in 0..<count { for column in 0..<count { #expect(abs(identity[row, column] - (row == column ? 1 : 0)) < 1e-8) } }
  }

  @Test("a matrix that is not definite has no factor and no inverse")
  func refuses() {
    let singular = Matrix(3, 3, [1, 1, 0, 1, 1, 0, 0, 0, 1])
    #expect(!algebra.factor(singular.copy))
    #expect(algebra.inverse(singular) == nil)
    #expect(algebra.inverse(Matrix(1, 1, [.nan])) == nil)
  }

  @Test("singular values: A = U · S · Vᵀ, values descending", arguments: [(1, 1), (5, 3), (40, 32), (6, 6)])
  func decomposes(rows: Int, columns: Int) {
    var generator = SplitMix(seed: 5)
    let a = random(rows, columns, &generator)
    let parts = SingularValues(a)
    #expect(parts.values == parts.values.sorted(by: >))
    let scaled = parts.left.copy
    for row in 0..<rows { for column in 0..<columns { scaled[row, column] *= parts.values[column] } }
    #expect(difference(scaled * parts.right.transposed, a) < 1e-12)
  }

  @Test("a power of a matrix: its square root times itself is the matrix, and the inverse root undoes the root")
  func powers() {
    var generator = SplitMix(seed: 6)
    let a = definite(12, &generator)
    let root = a.power(0.5)
    #expect(difference(root * root, a) < 1e-9)
    let identity = root * a.power(-0.5)
    for index in 0..<12 { #expect(abs(identity[index, index] - 1) < 1e-9) }
  }

  /// The cost that downdates give is the least that any weights of what stays can reach, solved directly.
  @Test("surgery: the cost of several removals is the optimum's", arguments: [1, 4])
  func surgery(width: Int) throws {
    var generator = SplitMix(seed: UInt64(10 + width))
    let (count, outputs) = (24, 5)
    let a = definite(count, &generator)
    let weights = random(count, outputs, &generator)
    let inverse = try #require(algebra.inverse(a))
    let surgeon = Surgeon(inverse: inverse.copy, weights: weights.copy, level: 2, pool: algebra.pool)
    var gone: [Int] = []
    var cost = 0.0
    for start in [8, 0, 16, 12] {
      let columns = Array(start..<start + width)
      let expected = surgeon.cost(columns)
      let paid = surgeon.remove(columns)
      #expect(abs(expected - paid) < 1e-9)
      cost += paid
      gone += columns
      // min over W' without rows S of tr((W' − W)ᵀ·A·(W' − W)) = tr(W_Sᵀ · (H_SS)⁻¹ · W_S).
      let part = inverse.picking(rows: gone, columns: gone)
      let own = weights.picking(rows: gone)
      let solution = own.copy
      #expect(algebra.factor(part))
      algebra.solve(part, solution)
      let direct = 2 * (0..<own.rows * outputs).reduce(0) { $0 + own.numbers[$1] * solution.numbers[$1] }
      #expect(abs(cost - direct) < 1e-8 * max(1, direct))
    }
  }
}
