import Graph
import Testing

/// What is kept of a tensor where the list of one axis hangs on where another stands.
@Suite("Selections of a tensor") struct TensorSelectionTests {
  /// 0, 1, 2, … in that shape.
  private func counted(_ shape: [Int]) -> TensorContent {
    TensorContent(TensorData((0..<shape.reduce(1, *)).map { Int32($0) }), element: .i32, shape: shape)
  }

  private func kept(_ shape: [Int], _ axes: [TensorSelection.Axis?]) -> (shape: [Int], numbers: [Int32]) {
    let content = counted(shape).keeping(TensorSelection(axes))
    return (content.shape, content.materialized().numbers(as: Int32.self))
  }

  @Test("every row keeps columns of its own, in the order of its list")
  func rows() {
    let result = kept([2, 3], [nil, .init(over: [0], lists: [[0, 2], [2, 1]])])
    #expect(result.shape == [2, 2] && result.numbers == [0, 2, 5, 4])
  }

  @Test("lists go by the kept rows, not by all of them")
  func keptRows() {
    let result = kept([3, 3], [.init([0, 2]), .init(over: [0], lists: [[1], [0]])])
    #expect(result.shape == [2, 1] && result.numbers == [1, 6])
  }

  @Test("an axis may hang on one behind it, or on two")
  func behind() {
    let before = kept([2, 2], [.init(over: [1], lists: [[0], [1]]), nil])
    #expect(before.shape == [1, 2] && before.numbers == [0, 3])
    let two = kept([2, 3, 2], [nil, .init(over: [0, 2], lists: [[0], [1], [2], [0]]), nil])
    #expect(two.shape == [2, 1, 2] && two.numbers == [0, 3, 10, 7])
  }

  @Test("axes behind go along as they are; lists without others are the plain kind")
  func along() {
    let result = kept([2, 2, 2], [nil, .init(over: [0], lists: [[1], [0]]), nil])
    #expect(result.numbers == [2, 3, 4, 5])
    let plain = counted([2, 3]).keeping(TensorSelection([nil, .init([0, 2])]))
    #expect(plain.kept == [nil, [0, 2]], "nothing is gathered before it is read")
    #expect(TensorSelection([nil, nil]).isWhole && !TensorSelection([nil, .init([0])]).isWhole)
  }

  @Test("a list that does not ascend keeps its order")
  func order() {
    #expect(kept([4], [.init([2, 0, 3])]).numbers == [2, 0, 3])
  }

  @Test("numbers of half a byte are packed again; a parameter without numbers has none")
  func packed() {
    let content = TensorContent(TensorData([0x10, 0x32, 0x54] as [UInt8]), element: .u4, shape: [2, 3])
    let result = content.keeping(TensorSelection([nil, .init(over: [0], lists: [[0, 2], [1, 2]])]))
    #expect(result.materialized().numbers(as: UInt8.self) == [0x20, 0x54])
    let missing = TensorContent(TensorData(count: 0) { _ in }, element: .f32, shape: [2, 3])
    let none = missing.keeping(TensorSelection([nil, .init(over: [0], lists: [[0], [1]])]))
    #expect(none.isMissing && none.shape == [2, 1])
  }
}
