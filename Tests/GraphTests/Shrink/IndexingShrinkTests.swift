import Testing

@testable import Graph

@Suite("When tensors shrink: positions")
struct IndexingShrinkTests {
  private let axis1 = [Attributes.Entry(.axis, .int(1))]

  @Test("constant positions are renumbered among those that stay; from the end becomes from the front")
  func gather() throws {
    let data = Tensor(2, 6, kept: [1: [1, 3, 5]])
    let output = Tensor(2, 4, kept: [1: [0, 2, 3]])
    #expect(try shrink(.indexing(.gather), [data, .list(5, 0, 1, -3)], [output], axis1).list(1) == "2 0 1")
    #expect(throws: Diagnostic.self) { try shrink(.indexing(.gather), [data, .list(5, 0, 1, 2)], [output], axis1) }
  }

  @Test("positions of every rank keep their shape: a number without an axis stays one")
  func ranks() throws {
    let data = Tensor(3, 6, kept: [1: [2, 3]])
    #expect(try shrink(.indexing(.gather), [data, .scalar(3)], [Tensor(3)], axis1).required[1] == KnownValue(scalar: 1))
    let strided = try shrink(
      .indexing(.gather), [Tensor(4, kept: [0: [1, 3]]), .numbers([1, 4, 1, 1], [0, 1, 2, 3])],
      [Tensor(1, 4, 1, 1, kept: [1: [1, 3]])])
    #expect(strided.required[1] == KnownValue(shape: [1, 2, 1, 1], entries: [.whole(0), .whole(1)]))
  }

  @Test("an axis that stays keeps its positions, symbolic ones too")
  func unchanged() throws {
    let last = Extent.symbol("seq") - 1
    let data = Tensor(2, 64, 8, kept: [2: [0]])
    #expect(try shrink(.indexing(.gather), [data, .list(last)], [Tensor(2, 1, 8, kept: [2: [0]])], axis1).list(1) == "seq-1")
  }

  @Test("positions found by data follow by themselves")
  func data() throws {
    var found = Tensor(5)
    found.element = .i64
    #expect(try shrink(.indexing(.gather), [Tensor(4, 8, kept: [0: [1, 3]]), found], [Tensor(5, 8)]) == Answer())
  }

  @Test("computed positions along an axis that stays need no numbers, for only places go; along one that shrinks they do")
  func computed() throws {
    let row = [Extent.symbol("seq"), Extent.symbol("seq"), Extent.symbol("seq")]
    var indices = Tensor(1, 3, kept: [1: [0, 2]])
    indices.known = KnownValue(shape: [1, 3], entries: row.map { .whole($0) })
    indices.element = .i64
    let output = Tensor(1, 3, kept: [1: [0, 2]])
    let axis0 = [Attributes.Entry(.axis, .int(0))]
    #expect(try shrink(.indexing(.gatherElements), [Tensor(9, 3, kept: [1: [0, 2]]), indices], [output], axis0) == Answer())
    let shrinking = Tensor(9, 3, kept: [0: [0], 1: [0, 2]])
    #expect(throws: Diagnostic.self) { try shrink(.indexing(.gatherElements), [shrinking, indices], [output], axis0) }
  }

  @Test("a stored list too long to be followed is renumbered all the same")
  func longList() throws {
    let count = KnownValue.limit + 2
    var indices = Tensor(Extent(count))
    indices.element = .i64
    indices.content = TensorContent(TensorData((0..<count).map { Int64($0) }), element: .i64, shape: [count])
    let kept = Array(2..<count)
    let answer = try shrink(
      .indexing(.gather), [Tensor(Extent(count), kept: [0: kept]), indices], [Tensor(Extent(count), kept: [0: kept])])
    #expect(answer.required[1]?.numbers == Array(0..<count - 2))
  }

  @Test("tuples are renumbered axis by axis")
  func tuples() throws {
    let data = Tensor(4, 10, kept: [0: [1, 2], 1: [0, 4, 5]])
    let indices = Tensor.numbers([3, 2], [1, 4, 3, 0, 2, -5])
    #expect(try shrink(.indexing(.gatherND), [data, indices], [Tensor(3, kept: [0: [0, 2]])]).list(1) == "0 1 1 2")
    let updates = Tensor(3, kept: [0: [0, 2]])
    #expect(try shrink(.indexing(.scatterND), [data, indices, updates], [data]).list(1) == "0 1 1 2")
  }

  @Test("positions element by element are renumbered at the places that stay")
  func elements() throws {
    let data = Tensor(2, 6, kept: [1: [1, 3, 5]])
    let indices = Tensor.numbers([2, 3], [5, 0, 1, 3, 2, 3])
    #expect(
      try shrink(.indexing(.gatherElements), [data, indices], [Tensor(2, 3, kept: [1: [0, 2]])], axis1).list(1) == "2 0 1 1")
    #expect(
      try shrink(.indexing(.scatterElements), [data, indices, Tensor(2, 3, kept: [1: [0, 2]])], [data], axis1).list(1)
        == "2 0 1 1")
  }

  @Test("one-hot's depth is the extent of its axis, in the rank it had")
  func oneHot() throws {
    let output = Tensor(5, 8, kept: [1: [2, 3]])
    #expect(try shrink(.indexing(.oneHot), [Tensor(5), .scalar(8), Tensor(2)], [output]).required[1] == KnownValue(scalar: 2))
    #expect(try shrink(.indexing(.oneHot), [Tensor(5), .list(8), Tensor(2)], [output]).required[1] == KnownValue(list: [2]))
  }

  @Test("top-k picks as many as before, and never more than stay")
  func topK() throws {
    let picked = Tensor(3, 2)
    let left = Tensor(3, 8, kept: [1: [0, 1, 4]])
    #expect(try shrink(.reduction(.topK), [left, .list(2)], [picked, picked]).list(1) == "2")
    #expect(throws: Diagnostic.self) {
      try shrink(.reduction(.topK), [Tensor(3, 8, kept: [1: [0]]), .list(2)], [picked, picked])
    }
  }
}
