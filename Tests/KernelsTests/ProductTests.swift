import Foundation
import Kernels
import TestSupport
import Testing

/// Products of matrices against sums in double precision, for sizes that no tile or panel divides, and any way the operands lie.
@Suite struct ProductTests {
  private static let sizes: [(m: Int, n: Int, k: Int)] = [
    (1, 1, 1), (1, 17, 5), (2, 33, 16), (3, 1, 40), (5, 16, 1), (7, 31, 65), (13, 48, 9), (14, 49, 64), (15, 95, 33),
    (23, 97, 130),
    (24, 96, 257), (31, 200, 40), (64, 64, 64), (97, 129, 300),
  ]

  static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
  }

  /// A product with its operands, C larger than it need be by `gap` numbers a row.
  private struct Problem {
    let a: Memory<Float>, b: Memory<Float>, c: Memory<Float>, packed: Memory<Float>, scratch: Memory<Float>
    var gemm = pk_gemm()
    let (m, n, k): (Int, Int, Int)
    let stride: Int
    let transposed: (a: Bool, b: Bool)

    init(_ size: (m: Int, n: Int, k: Int), transposed: (a: Bool, b: Bool), gap: Int, seed: UInt64) {
      (m, n, k) = size
      self.transposed = transposed
      stride = n + gap
      a = Memory(numbers(m * k, seed: seed))
      b = Memory(numbers(k * n, seed: seed + 1))
      c = Memory((0..<(m - 1) * (n + gap) + n).map { _ in 7 })
      packed = Memory([Float](repeating: .nan, count: pk_packed_b_size(k, n)))
      (gemm.m, gemm.n, gemm.k) = (m, n, k)
      gemm.a = UnsafePointer(a.pointer)
      (gemm.a_row_stride, gemm.a_column_stride) = transposed.a ? (1, m) : (k, 1)
      gemm.packed_b = UnsafePointer(packed.pointer)
      gemm.c = c.pointer
      gemm.c_row_stride = stride
      gemm.epilogue.alpha = 1
      scratch = Memory([Float](repeating: .nan, count: max(1, pk_gemm_scratch_size(&gemm))))
      let panels = pk_panel_count(n)
      // Panels may be packed in any order and in any pieces.
      for range in oddRanges(panels) {
        pk_pack_b(k, n, b.pointer, transposed.b ? 1 : n, transposed.b ? k : 1, range.lowerBound, range.upperBound, packed.pointer)
      }
    }

    func exact(_ row: Int, _ column: Int) -> Double {
      (0..<k).reduce(0) { sum, at in
        let left = a.pointer[transposed.a ? at * m + row : row * k + at]
        let right = b.pointer[transposed.b ? column * k + at : at * n + column]
        return sum + Double(left) * Double(right)
      }
    }

    /// Runs it in pieces of rows and panels that no tile divides.
    mutating func run() {
      for rows in oddRanges(m) {
        for panels in oddRanges(pk_panel_count(n)) where !rows.isEmpty && !panels.isEmpty {
          pk_gemm_run(&gemm, rows.lowerBound, rows.upperBound, panels.lowerBound, panels.upperBound, scratch.pointer)
        }
      }
    }
  }

  @Test("every element is its sum, and nothing beside C is touched", arguments: sizes)
  func sums(_ size: (m: Int, n: Int, k: Int)) {
    onEveryInstructionSet { set in
      for transposed in [(false, false), (false, true), (true, false), (true, true)] {
        var problem = Problem(size, transposed: transposed, gap: 3, seed: 11)
        problem.run()
        #expect(problem.c.isIntact && problem.packed.isIntact && problem.scratch.isIntact)
        for row in 0..<size.m {
          for column in 0..<size.n {
            let found = Double(problem.c.pointer[row * problem.stride + column])
            let error = abs(found - problem.exact(row, column))
            #expect(error <= 4e-7 * Double(size.k).squareRoot() * 4 + 1e-6, "(\(row), \(column)) of \(size), \(set)")
          }
          if row + 1 < size.m {
            #expect(
              (0..<3).allSatisfy { problem.c.pointer[row * problem.stride + size.n + $0] == 7 },
              "the gap after row \(row), \(set)")
          }
        }
      }
    }
  }

  @Test("pieces give the bits that the whole gives: threads do not change results", arguments: [sizes[9], sizes[11], sizes[13]])
  func pieces(_ size: (m: Int, n: Int, k: Int)) {
    onEveryInstructionSet { set in
      var pieces = Problem(size, transposed: (false, true), gap: 0, seed: 3)
      pieces.run()
      var whole = Problem(size, transposed: (false, true), gap: 0, seed: 3)
      pk_gemm_run(&whole.gemm, 0, size.m, 0, pk_panel_count(size.n), whole.scratch.pointer)
      #expect(pieces.c.values == whole.c.values, "\(set)")
    }
  }

  @Test("alpha, bias per column or row, a residual before or after the activation, and C as its own residual")
  func epilogues() {
    let size = (m: 15, n: 37, k: 21)
    let bias = Memory(Self.numbers(37, seed: 5))
    let residual = Memory(Self.numbers(15 * 40, seed: 6))
    onEveryInstructionSet { set in
      for (isPerRow, isAfter, isOwn) in [
        (false, false, false), (true, false, false), (false, true, false), (false, false, true), (true, true, true),
      ] {
        var problem = Problem(size, transposed: (false, false), gap: 3, seed: 8)
        problem.gemm.epilogue.alpha = 0.5
        problem.gemm.epilogue.bias = UnsafePointer(bias.pointer)
        problem.gemm.epilogue.bias_per_row = isPerRow
        problem.gemm.epilogue.residual = UnsafePointer(isOwn ? problem.c.pointer : residual.pointer)
        problem.gemm.epilogue.residual_row_stride = isOwn ? problem.stride : 40
        problem.gemm.epilogue.residual_after_activation = isAfter
        problem.gemm.epilogue.activation = PK_ACTIVATION_RELU
        problem.run()
        for row in 0..<size.m {
          for column in 0..<size.n {
            let addend = isOwn ? 7 : Double(residual.pointer[row * 40 + column])
            var sum = 0.5 * problem.exact(row, column) + Double(bias.pointer[isPerRow ? row : column])
            sum = isAfter ? max(0, sum) + addend : max(0, sum + addend)
            let found = Double(problem.c.pointer[row * problem.stride + column])
            #expect(abs(found - sum) < 4e-6, "(\(row), \(column)), \(isPerRow) \(isAfter) \(isOwn), \(set)")
          }
        }
      }
    }
  }

  @Test("infinities and what is no number go through")
  func strangeNumbers() {
    onEveryInstructionSet { set in
      var problem = Problem((m: 5, n: 19, k: 7), transposed: (false, false), gap: 0, seed: 2)
      problem.a.pointer[2 * 7 + 3] = .infinity
      problem.a.pointer[4 * 7] = .nan
      problem.run()
      for column in 0..<19 {
        #expect(problem.c.pointer[2 * 19 + column].isInfinite, "\(set)")
        #expect(problem.c.pointer[4 * 19 + column].isNaN, "\(set)")
        #expect(problem.c.pointer[19 + column].isFinite, "\(set)")
      }
    }
  }
}
