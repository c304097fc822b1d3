import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct ReductionTests {
  private static let kinds = [
    PK_REDUCTION_SUM, PK_REDUCTION_MEAN, PK_REDUCTION_MAXIMUM, PK_REDUCTION_MINIMUM, PK_REDUCTION_PRODUCT,
    PK_REDUCTION_SUM_OF_SQUARES, PK_REDUCTION_SUM_OF_ABSOLUTES, PK_REDUCTION_ROOT_OF_SQUARES,
  ]

  /// The reduction, and the size of what was added up: errors are measured against it.
  private static func exact(_ kind: pk_reduction_kind, _ values: [Double]) -> (value: Double, size: Double) {
    let sum = values.reduce(0, +), squares = values.reduce(0) { $0 + $1 * $1 }, absolutes = values.reduce(0) { $0 + abs($1) }
    switch kind {
    case PK_REDUCTION_SUM: return (sum, absolutes)
    case PK_REDUCTION_MEAN: return (sum / Double(values.count), absolutes / Double(values.count))
    case PK_REDUCTION_MAXIMUM: return (values.max() ?? -.infinity, 0)
    case PK_REDUCTION_MINIMUM: return (values.min() ?? .infinity, 0)
    case PK_REDUCTION_PRODUCT: return (values.reduce(1, *), 10 * abs(values.reduce(1, *)))
    case PK_REDUCTION_SUM_OF_SQUARES: return (squares, squares)
    case PK_REDUCTION_ROOT_OF_SQUARES: return (squares.squareRoot(), squares.squareRoot())
    default: return (absolutes, absolutes)
    }
  }

  private static func numbers(_ count: Int) -> [Float] {
    var generator = SeededGenerator(seed: UInt64(count))
    return (0..<count).map { _ in Float.random(in: 0.98...1.02, using: &generator) * (Bool.random(using: &generator) ? 1 : -1) }
  }

  @Test func everyKindOverEveryLayout() {
    // Outer, count, inner, outer stride, count stride.
    let layouts = [
      [3, 7, 1, 7, 1], [3, 200, 1, 203, 1], [2, 3000, 1, 3000, 1], [1, 1, 1, 1, 1], [2, 49, 19, 1000, 20], [2, 5, 150, 750, 150],
      [50, 9, 1, 1, 50], [4, 30, 1, 2, 9], [2, 300, 3, 900, 3], [3, 4, 65, 65, 195], [40, 1, 1, 3, 9],
    ]
    onEveryInstructionSet { set in
      for layout in layouts {
        let (outer, count, inner) = (layout[0], layout[1], layout[2]), (outerStride, countStride) = (layout[3], layout[4])
        let from = Memory(Self.numbers((outer - 1) * outerStride + (count - 1) * countStride + inner))
        for kind in Self.kinds {
          let to = Memory([Float](repeating: 7, count: outer * inner)), whole = Memory(to.values)
          var reduction = pk_reduction(
            kind: kind, count: count, inner: inner, from: from.pointer, outer_stride: outerStride, count_stride: countStride,
            to: to.pointer)
          for outers in oddRanges(outer) {
            for inners in oddRanges(inner) {
              pk_reduction_run(&reduction, outers.lowerBound, outers.upperBound, inners.lowerBound, inners.upperBound)
            }
          }
          reduction.to = whole.pointer
          pk_reduction_run(&reduction, 0, outer, 0, inner)
          #expect(
            to.values.map(\.bitPattern) == whole.values.map(\.bitPattern), "divided, kind \(kind.rawValue) of \(layout), \(set)")
          #expect(to.isIntact && whole.isIntact)
          for index in 0..<(outer * inner) {
            let values = (0..<count).map { Double(from.pointer[index / inner * outerStride + $0 * countStride + index % inner]) }
            let (exact, size) = Self.exact(kind, values)
            #expect(abs(Double(to.pointer[index]) - exact) <= size * 1e-6, "kind \(kind.rawValue) of \(layout), \(set)")
          }
        }
      }
    }
  }

  @Test func longSumsStayAccurate() {
    onEveryInstructionSet { set in
      // Added one after another, a million tenths would be off by one part in a hundred.
      let from = Memory([Float](repeating: 0.1, count: 1_000_000)), to = Memory<Float>([7, 7])
      var row = pk_reduction(
        kind: PK_REDUCTION_SUM, count: 1_000_000, inner: 1, from: from.pointer, outer_stride: 0, count_stride: 1, to: to.pointer)
      pk_reduction_run(&row, 0, 1, 0, 1)
      #expect(abs(to.pointer[0] / 100_000 - 1) < 1e-6, "\(set)")
      var columns = pk_reduction(
        kind: PK_REDUCTION_MEAN, count: 500_000, inner: 2, from: from.pointer, outer_stride: 0, count_stride: 2, to: to.pointer)
      pk_reduction_run(&columns, 0, 1, 0, 2)
      #expect(to.values.allSatisfy { abs($0 / 0.1 - 1) < 1e-6 }, "\(set)")
    }
  }

  @Test func notANumberIsFoundAndNothingGivesTheIdentity() {
    onEveryInstructionSet { set in
      for place in [0, 17, 99] {
        var values = [Float](repeating: 1, count: 100)
        values[place] = .nan
        let from = Memory(values), to = Memory([Float](repeating: 7, count: 5))
        for kind in [PK_REDUCTION_MAXIMUM, PK_REDUCTION_MINIMUM, PK_REDUCTION_SUM] {
          var row = pk_reduction(
            kind: kind, count: 100, inner: 1, from: from.pointer, outer_stride: 0, count_stride: 1, to: to.pointer)
          pk_reduction_run(&row, 0, 1, 0, 1)
          #expect(to.pointer[0].isNaN, "\(set)")
          var columns = pk_reduction(
            kind: kind, count: 20, inner: 5, from: from.pointer, outer_stride: 0, count_stride: 5, to: to.pointer)
          pk_reduction_run(&columns, 0, 1, 0, 5)
          for column in 0..<5 { #expect(to.pointer[column].isNaN == (column == place % 5), "\(set)") }
        }
      }
      let to = Memory([Float](repeating: 7, count: 1))
      let empty: [(pk_reduction_kind, Float)] = [
        (PK_REDUCTION_SUM, 0), (PK_REDUCTION_PRODUCT, 1), (PK_REDUCTION_MAXIMUM, -.infinity), (PK_REDUCTION_MINIMUM, .infinity),
      ]
      for (kind, identity) in empty {
        var reduction = pk_reduction(
          kind: kind, count: 0, inner: 1, from: to.pointer, outer_stride: 0, count_stride: 1, to: to.pointer)
        pk_reduction_run(&reduction, 0, 1, 0, 1)
        #expect(to.pointer[0] == identity && to.isIntact, "\(set)")
      }
    }
  }
}
