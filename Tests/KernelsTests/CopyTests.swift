import Kernels
import Testing

@Suite struct CopyTests {
  /// A copy whose pointers are not set.
  private static func copy(bytes: Int, extents: [Int], from: [Int], to: [Int]) -> pk_copy {
    var copy = pk_copy()
    copy.element_bytes = bytes
    copy.rank = extents.count
    assign(extents, to: &copy.extents)
    assign(from, to: &copy.from_strides)
    assign(to, to: &copy.to_strides)
    return copy
  }

  /// Tries a copy of elements of one type: as it is and simplified, at once and piece by piece from the last to the first. Strides may
  /// leave gaps, in which nothing may be written.
  private static func check<Element: FixedWidthInteger & BitwiseCopyable>(
    _ type: Element.Type, extents: [Int], from: [Int], to: [Int], _ comment: String
  ) {
    let source = Memory((0..<reach(extents, from)).map { Element(truncatingIfNeeded: $0 &* 37 &+ 11) })
    let blank = [Element](repeating: Element.max / 3, count: reach(extents, to))
    var expected = blank
    for (origin, place) in zip(offsets(extents, from), offsets(extents, to)) { expected[place] = source.pointer[origin] }
    for isSimplified in [false, true] {
      for isWhole in [false, true] {
        let result = Memory(blank)
        var copy = copy(bytes: MemoryLayout<Element>.size, extents: extents, from: from, to: to)
        if isSimplified { pk_copy_simplify(&copy) }
        copy.from = UnsafeRawPointer(source.pointer)
        copy.to = UnsafeMutableRawPointer(result.pointer)
        let pieces = pk_copy_piece_count(&copy)
        if isWhole {
          pk_copy_run(&copy, 0, pieces)
        } else {
          for piece in (0..<pieces).reversed() { pk_copy_run(&copy, piece, piece + 1) }
        }
        #expect(result.values == expected, "\(comment) of \(Element.self), \(isSimplified ? "simplified" : "as it is")")
        #expect(result.isIntact)
      }
    }
  }

  private static func checkAll(extents: [Int], from: [Int], to: [Int], _ comment: String) {
    check(UInt8.self, extents: extents, from: from, to: to, comment)
    check(UInt16.self, extents: extents, from: from, to: to, comment)
    check(UInt32.self, extents: extents, from: from, to: to, comment)
    check(UInt64.self, extents: extents, from: from, to: to, comment)
  }

  /// Copies a dense source of `extents` to a dense result whose axes are `order`.
  private static func checkPermutation(_ extents: [Int], _ order: [Int]) {
    let strides = denseStrides(extents), permuted = order.map { extents[$0] }
    checkAll(
      extents: permuted, from: order.map { strides[$0] }, to: denseStrides(permuted), "\(extents) in the order \(order)")
  }

  @Test func channelsFirstToLastAndBack() {
    onEveryInstructionSet { _ in
      for (channels, pixels) in [(1, 9), (2, 33), (3, 50), (4, 17), (5, 40), (19, 47), (33, 16), (64, 70), (130, 35)] {
        Self.checkPermutation([2, channels, pixels], [0, 2, 1])
        Self.checkPermutation([2, pixels, channels], [0, 2, 1])
      }
    }
  }

  @Test func headsWindowsAndShuffles() {
    onEveryInstructionSet { _ in
      Self.checkPermutation([2, 19, 3, 8], [0, 2, 1, 3])
      Self.checkPermutation([2, 19, 3, 8], [0, 2, 3, 1])
      Self.checkPermutation([2, 3, 2, 3, 7], [0, 2, 1, 3, 4])
      Self.checkPermutation([3, 2, 2, 5, 6], [0, 3, 1, 4, 2])
      Self.checkPermutation([4, 3, 2], [2, 1, 0])
      Self.checkPermutation([7, 5, 3], [1, 0, 2])
      Self.checkPermutation([7, 5, 40], [1, 0, 2])
    }
  }

  @Test func runsOfEveryLength() {
    onEveryInstructionSet { _ in
      for length in [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31, 33, 64, 65, 127, 129, 200] {
        Self.checkAll(extents: [5, length], from: [length + 3, 1], to: [length, 1], "out of a slice of \(length)")
        Self.checkAll(extents: [5, length], from: [length, 1], to: [length + 2, 1], "into a slice of \(length)")
      }
      Self.check(UInt32.self, extents: [20000], from: [1], to: [1], "plain")
      Self.check(UInt8.self, extents: [3, 40000], from: [40001, 1], to: [40002, 1], "long runs")
      Self.check(UInt64.self, extents: [], from: [], to: [], "one element")
    }
  }

  @Test func repeatedAndEverySecond() {
    onEveryInstructionSet { _ in
      Self.checkAll(extents: [4, 50], from: [1, 0], to: [50, 1], "each number repeated")
      Self.checkAll(extents: [4, 50], from: [0, 1], to: [50, 1], "a row repeated")
      Self.checkAll(extents: [5, 2, 7, 2], from: [7, 0, 1, 0], to: [28, 14, 2, 1], "an image enlarged")
      Self.checkAll(extents: [6, 21], from: [42, 2], to: [21, 1], "every second")
      Self.checkAll(extents: [6, 21], from: [21, 1], to: [63, 3], "to every third")
    }
  }

  @Test func backwards() {
    onEveryInstructionSet { set in
      let source = Memory((0..<120).map(Int32.init)), result = Memory([Int32](repeating: -1, count: 120))
      var copy = Self.copy(bytes: 4, extents: [3, 40], from: [40, -1], to: [40, 1])
      pk_copy_simplify(&copy)
      copy.from = UnsafeRawPointer(source.pointer + 39)
      copy.to = UnsafeMutableRawPointer(result.pointer)
      pk_copy_run(&copy, 0, pk_copy_piece_count(&copy))
      let expected = (0..<3).flatMap { row in (0..<40).reversed().map { Int32(row * 40 + $0) } }
      #expect(result.values == expected, "\(set)")
    }
  }

  @Test func nothingIsCopiedOfNothing() {
    onEveryInstructionSet { set in
      let result = Memory([Int32](repeating: 7, count: 4))
      var copy = Self.copy(bytes: 4, extents: [3, 0, 2], from: [0, 2, 1], to: [0, 2, 1])
      pk_copy_simplify(&copy)
      copy.from = UnsafeRawPointer(result.pointer)
      copy.to = UnsafeMutableRawPointer(result.pointer)
      #expect(pk_copy_piece_count(&copy) == 0)
      pk_copy_run(&copy, 0, 5)
      #expect(result.values == [7, 7, 7, 7] && result.isIntact, "\(set)")
    }
  }

  @Test func largeCopiesDivideIntoManyPieces() {
    for (extents, from) in [([200_000], [1]), ([512, 512], [1, 512]), ([64, 3000], [3001, 1])] {
      var copy = Self.copy(bytes: 4, extents: extents, from: from, to: denseStrides(extents))
      pk_copy_simplify(&copy)
      #expect(pk_copy_piece_count(&copy) >= 8, "\(extents)")
    }
  }
}
