/// Numbers that products are summed in: whole ones wrap.
protocol Summable: BitwiseCopyable, Sendable {
  static var zero: Self { get }
  static func sum(_ sum: Self, _ a: Self, times b: Self) -> Self
}

extension Double: Summable {
  @inline(__always) static func sum(_ sum: Double, _ a: Double, times b: Double) -> Double { sum + a * b }
}

extension Int: Summable {
  @inline(__always) static func sum(_ sum: Int, _ a: Int, times b: Int) -> Int { sum &+ a &* b }
}

/// The product of row-major matrices, for all evaluations that come down to one.
enum MatrixKernel {
  /// Adds [rows, inner] · [inner, columns] to `result`; all begin at the given numbers of their arrays.
  static func add<Number: Summable>(
    _ left: [Number], from leftStart: Int = 0, _ right: [Number], from rightStart: Int = 0, rows: Int, inner: Int, columns: Int,
    to result: inout [Number], from resultStart: Int = 0
  ) {
    guard rows > 0, inner > 0, columns > 0 else { return }
    precondition(leftStart >= 0 && leftStart + rows * inner <= left.count, "the left matrix lies inside its array")
    precondition(rightStart >= 0 && rightStart + inner * columns <= right.count, "the right matrix lies inside its array")
    precondition(resultStart >= 0 && resultStart + rows * columns <= result.count, "the result lies inside its array")
    left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        result.withUnsafeMutableBufferPointer { result in
          guard let a = left.baseAddress, let b = right.baseAddress, let c = result.baseAddress else { return }
          add(a + leftStart, b + rightStart, rows, inner, columns, c + resultStart)
        }
      }
    }
  }

  /// Columns in panels whose rows stay in the nearest cache while four rows of the result grow.
  private static func add<Number: Summable>(
    _ a: UnsafePointer<Number>, _ b: UnsafePointer<Number>, _ rows: Int, _ inner: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Number>
  ) {
    let panel = 512
    for first in stride(from: 0, to: columns, by: panel) {
      let width = min(panel, columns - first)
      var row = 0
      while row + 4 <= rows {
        let (a0, a1, a2, a3) = (a + row * inner, a + (row + 1) * inner, a + (row + 2) * inner, a + (row + 3) * inner)
        let c0 = c + row * columns + first
        let (c1, c2, c3) = (c0 + columns, c0 + 2 * columns, c0 + 3 * columns)
        for k in 0..<inner {
          let line = b + k * columns + first
          let (x0, x1, x2, x3) = (a0[k], a1[k], a2[k], a3[k])
          for j in 0..<width {
            let y = line[j]
            c0[j] = Number.sum(c0[j], x0, times: y)
            c1[j] = Number.sum(c1[j], x1, times: y)
            c2[j] = Number.sum(c2[j], x2, times: y)
            c3[j] = Number.sum(c3[j], x3, times: y)
          }
        }
        row += 4
      }
      while row < rows {
        let target = c + row * columns + first
        for k in 0..<inner {
          let line = b + k * columns + first
          let x = a[row * inner + k]
          for j in 0..<width { target[j] = Number.sum(target[j], x, times: line[j]) }
        }
        row += 1
      }
    }
  }

  /// numpy's `matmul`: batch axes broadcast, a list counts as a row on the left and as a column on the right. Shapes must fit.
  static func product<Number: Summable>(_ left: [Number], _ leftShape: [Int], _ right: [Number], _ rightShape: [Int]) -> [Number]
  {
    let a = leftShape.count == 1 ? [1] + leftShape : leftShape
    let b = rightShape.count == 1 ? rightShape + [1] : rightShape
    let (rows, inner, columns) = (a[a.count - 2], a[a.count - 1], b[b.count - 1])
    let (leftBatch, rightBatch) = (Array(a.dropLast(2)), Array(b.dropLast(2)))
    let rank = max(leftBatch.count, rightBatch.count)
    let padded = [leftBatch, rightBatch].map { Array(repeating: 1, count: rank - $0.count) + $0 }
    let batch = zip(padded[0], padded[1]).map { $0 == 1 ? $1 : $0 }
    let lefts = Tensor.broadcastPositions(leftBatch, to: batch)
    let rights = Tensor.broadcastPositions(rightBatch, to: batch)
    var result = [Number](repeating: .zero, count: lefts.count * rows * columns)
    for (at, (x, y)) in zip(lefts, rights).enumerated() {
      add(
        left, from: x * rows * inner, right, from: y * inner * columns, rows: rows, inner: inner, columns: columns, to: &result,
        from: at * rows * columns)
    }
    return result
  }

  /// [rows, columns] → [columns, rows].
  static func transposed<Number>(_ numbers: [Number], rows: Int, columns: Int) -> [Number] {
    [Number](unsafeUninitializedCapacity: numbers.count) { target, count in
      for row in 0..<rows {
        for column in 0..<columns { target.initializeElement(at: column * rows + row, to: numbers[row * columns + column]) }
      }
      count = numbers.count
    }
  }
}
