import Dispatch
import Synchronization
import Testing

@testable import Graph

/// Bytes that are computed when they are read, and go when they rest.
@Suite("Lazy bytes") struct LazyBytesTests {
  /// Counts how often bytes are computed.
  private final class Count: Sendable {
    let fills = Atomic<Int>(0)
    var value: Int { fills.load(ordering: .sequentiallyConsistent) }
    func add() { fills.add(1, ordering: .sequentiallyConsistent) }
  }

  private func counted(_ count: Count, _ length: Int = 4096) -> TensorData {
    TensorData(lazy: length) { target in
      count.add()
      for at in target.indices { target[at] = UInt8(truncatingIfNeeded: at &* 7) }
    }
  }

  @Test("computed once, when they are first read; not before, and not for every reader")
  func once() {
    let count = Count()
    let data = counted(count)
    #expect(data.count == 4096 && data.store.isResting && count.value == 0)
    #expect(data.numbers(as: UInt8.self)[3] == 21)
    #expect(data.numbers(as: UInt8.self)[4] == 28)
    #expect(!data.store.isResting && count.value == 1)
  }

  @Test("gone after a rest, and the same when they are read again")
  func rest() {
    let count = Count()
    let data = counted(count)
    let first = data.numbers(as: UInt8.self)
    data.rest()
    #expect(data.store.isResting && count.value == 1)
    #expect(data.numbers(as: UInt8.self) == first && count.value == 2)
  }

  @Test("bytes that are lent stay until they are given back")
  func lent() {
    let data = counted(Count())
    data.withUnsafeBytes { outer in
      data.withUnsafeBytes { _ in data.rest() }
      #expect(!data.store.isResting)
      #expect(outer[100] == UInt8(truncatingIfNeeded: 700))
    }
    #expect(data.store.isResting)
  }

  @Test("threads that read and rest at once all see the numbers")
  func threads() {
    let count = Count()
    let data = counted(count, 1 << 16)
    let wrong = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 200) { turn in
      let isRight = data.withUnsafeBytes { bytes in
        bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 &* 7) }
      }
      if !isRight { wrong.add(1, ordering: .relaxed) }
      if turn % 3 == 0 { data.rest() }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    #expect((1...200).contains(count.value))
  }

  @Test("lasting bytes are a copy of those that come and go, and others themselves")
  func lasting() {
    let data = counted(Count())
    let copy = data.lasting
    data.rest()
    #expect(!copy.store.isLazy && data.store.isResting)
    #expect(copy.numbers(as: UInt8.self)[5] == 35)
    #expect(copy.lasting.isIdentical(to: copy))
  }

  private static func node(_ operation: Operator, _ attributes: [Attributes.Entry]) -> Node {
    Node(operation, inputs: [ValueID(0)], outputs: [ValueID(1)], attributes: Attributes(attributes))
  }

  private static let cast = node(.elementwise(.cast), [.init(.to, .int(1))])
  private static let turn = node(.reshaping(.transpose), [.init(.perm, .ints([1, 0]))])

  @Test("in a chain of results, what has been read rests")
  func chain() throws {
    let weight = NumberTensor(reals: (0..<60).map { Double($0) / 4 }, .bf16, [12, 5])
    let wide = try #require(NumberTensor.lazyResult(of: Self.cast, inputs: [weight]))
    let turned = try #require(NumberTensor.lazyResult(of: Self.turn, inputs: [wide]))
    #expect(wide.shape == [12, 5] && turned.shape == [5, 12] && turned.element == .f32)
    #expect(turned.reals == weight.transposed([1, 0]).reals)
    #expect(wide.data.store.isResting && !turned.data.store.isResting)
    turned.data.rest()
    #expect(turned.data.store.isResting)
  }

  @Test("widened and turned over at once is the same", arguments: [ElementType.f16, .bf16])
  func both(_ element: ElementType) throws {
    let matrix = NumberTensor(reals: (0..<37 * 21).map { Double($0 % 200) / 8 }, element, [37, 21])
    let result = try #require(matrix.lazilyWidenedAndTransposed)
    #expect(result.data.store.isResting && result.shape == [21, 37])
    #expect(result.reals == matrix.transposed([1, 0]).reals)
    #expect(NumberTensor(reals: [1, 2], .f32, [1, 2]).lazilyWidenedAndTransposed == nil)
    #expect(NumberTensor(reals: [1, 2], element, [2]).lazilyWidenedAndTransposed == nil)
  }

  @Test("other results are not put off: their evaluation may fail, or is more than moving numbers")
  func others() {
    let weight = NumberTensor(reals: [1, 2, 3, 4], .bf16, [2, 2])
    let toWhole = Self.node(.elementwise(.cast), [.init(.to, .int(7))])
    #expect(NumberTensor.lazyResult(of: toWhole, inputs: [weight]) == nil)
    #expect(NumberTensor.lazyResult(of: Self.node(.elementwise(.neg), []), inputs: [weight]) == nil)
    #expect(NumberTensor.lazyResult(of: Self.cast, inputs: [NumberTensor(reals: [1], .f64, [1])]) == nil)
    #expect(NumberTensor.lazyResult(of: Self.cast, inputs: [nil]) == nil)
    let wrong = Self.node(.reshaping(.transpose), [.init(.perm, .ints([1, 1]))])
    #expect(NumberTensor.lazyResult(of: wrong, inputs: [weight]) == nil)
    let packed = NumberTensor(wholes: [1, 2, 3, 4], .u4, [2, 2])
    #expect(NumberTensor.lazyResult(of: Self.turn, inputs: [packed]) == nil)
  }

  @Test("every f16 and bf16 number is widened to itself", arguments: [ElementType.f16, .bf16])
  func widened(_ element: ElementType) throws {
    let all = NumberTensor(element, [1 << 16], checked: TensorData((0...UInt16.max).map { $0 }))
    let wide = try #require(all.lazilyWidened).data.numbers(as: Float.self)
    let numbers = all.reals
    #expect(wide.count == numbers.count)
    let wrong = zip(wide, numbers).filter { $0.bitPattern != Float($1).bitPattern && !($0.isNaN && $1.isNaN) }
    #expect(wrong.isEmpty)
  }

  @Test("a matrix turned over in squares is turned over", arguments: [ElementType.u8, .bf16, .f32, .i64])
  func transposed(_ element: ElementType) {
    let (rows, columns) = (37, 21)
    let matrix = NumberTensor(wholes: (0..<rows * columns).map { $0 % 200 }, element, [rows, columns])
    let numbers = matrix.wholes
    let expected = (0..<columns).flatMap { column in (0..<rows).map { numbers[$0 * columns + column] } }
    #expect(matrix.transposed([1, 0]).shape == [columns, rows])
    #expect(matrix.transposed([1, 0]).wholes == expected)
    #expect(matrix.transposed([0, 1]).wholes == numbers)
  }

  @Test("what is kept of a large tensor is gathered when it is read", arguments: [ElementType.bf16, .f32, .u8])
  func gathered(_ element: ElementType) {
    let shape = [300, 700]
    let whole = NumberTensor(wholes: (0..<210_000).map { $0 % 128 }, element, shape)
    let content = TensorContent(whole.data, element: element, shape: shape)
    let kept = [Array(stride(from: 0, to: 300, by: 2)), Array(stride(from: 1, to: 700, by: 3)) + [699]]
    let cut = content.keeping(kept).gatheredWhenRead
    let isLarge = (element.bits ?? 0) / 8 * cut.elementCount >= 1 << 16
    #expect(cut.data.store.isLazy == isLarge && cut.isWhole == isLarge)
    #expect(NumberTensor(cut)?.wholes == whole.picking(axes: kept).wholes)
    #expect(content.gatheredWhenRead.data.isIdentical(to: content.data))
  }
}
