import Testing

@testable import Graph

@Suite("When tensors shrink: split, slice and pad")
struct JoiningShrinkTests {
  private let axis1 = [Attributes.Entry(.axis, .int(1))]
  private var whole: Tensor { Tensor(2, 12, kept: [1: [0, 1, 4, 5, 6, 7, 11]]) }
  private var parts: [Tensor] { [Tensor(2, 6, kept: [1: [0, 1, 4, 5]]), Tensor(2, 6, kept: [1: [0, 1, 5]])] }

  @Test("given sizes become the extents of the pieces")
  func givenSizes() throws {
    #expect(try shrink(.joining(.split), [whole, .list(6, 6)], parts, axis1).list(1) == "4 3")
    let old = axis1 + [Attributes.Entry(.split, .ints([6, 6]))]
    #expect(try shrink(.joining(.split), [whole], parts, old, opset: 11).ints(.split) == [4, 3])
  }

  @Test("implied sizes are written down where the pieces are no longer what is implied, and only there")
  func impliedSizes() throws {
    #expect(try shrink(.joining(.split), [whole], parts, axis1, opset: 11).ints(.split) == [4, 3])
    let uneven = [Tensor(2, 6, kept: [1: [0, 1]]), Tensor(2, 6, kept: [1: [0, 1, 5]])]
    let left = Tensor(2, 12, kept: [1: [0, 1, 6, 7, 11]])
    let answer = try shrink(.joining(.split), [left], uneven, axis1 + [Attributes.Entry(.numOutputs, .int(2))])
    #expect(answer.list(1) == "2 3")
    #expect(answer.removed == [.numOutputs])
    // 7 of 12 in pieces of four and three is what num_outputs means.
    #expect(try shrink(.joining(.split), [whole], parts, axis1 + [Attributes.Entry(.numOutputs, .int(2))]) == Answer())
    let equal = [Tensor(2, 6, kept: [1: [0, 1, 2]]), Tensor(2, 6, kept: [1: [3, 4, 5]])]
    #expect(try shrink(.joining(.split), [Tensor(2, 12, kept: [1: [0, 1, 2, 9, 10, 11]])], equal, axis1, opset: 11) == Answer())
  }

  @Test("the size of a piece nobody asked for is counted in the operand")
  func unusedPiece() throws {
    #expect(try shrink(.joining(.split), [whole, .list(6, 6)], [parts[0], nil], axis1).list(1) == "4 3")
  }

  private func slice(
    _ kept: [Int]?, of extent: Int, start: Extent, end: Extent, step: Extent? = nil, result: [Int], over: Int
  ) throws(Diagnostic) -> String {
    let input = Tensor(Extent(extent), kept: kept.map { [0: $0] } ?? [:])
    let output = Tensor(Extent(over), kept: kept == nil ? [:] : [0: result])
    let answer = try shrink(
      .joining(.slice), [input, .list(start), .list(end), .list(0), step.map { Tensor.list($0) }], [output])
    return "\(answer.list(1) ?? "-") \(answer.list(2) ?? "-")"
  }

  @Test("bounds count the kept positions; bounds from the end and to the end keep their form")
  func bounds() throws {
    let kept = [0, 1, 4, 5, 6, 7, 11]
    #expect(try slice(kept, of: 12, start: 0, end: 6, result: [0, 1, 4, 5], over: 6) == "0 4")
    #expect(try slice(kept, of: 12, start: 6, end: 12, result: [0, 1, 5], over: 6) == "4 7")
    #expect(try slice(kept, of: 12, start: 6, end: Extent(Int.max), result: [0, 1, 5], over: 6) == "4 \(Int.max)")
    #expect(try slice(kept, of: 12, start: -6, end: Extent(Int.max), result: [0, 1, 5], over: 6) == "-3 \(Int.max)")
    #expect(try slice(kept, of: 12, start: 0, end: -6, result: [0, 1, 4, 5], over: 6) == "0 -3")
    #expect(try slice(kept, of: 12, start: 0, end: -1, result: [0, 1, 4, 5, 6, 7], over: 11) == "0 -1")
    #expect(try slice(kept, of: 12, start: 2, end: 4, result: [], over: 2) == "2 2")
  }

  @Test("a step keeps its value; positions that are no such slice any more are refused")
  func steps() throws {
    let pairs = [2, 3, 8, 9]
    #expect(try slice(pairs, of: 10, start: 0, end: Extent(Int.max), step: 2, result: [1, 4], over: 5) == "0 \(Int.max)")
    #expect(try slice(pairs, of: 10, start: 1, end: 10, step: 2, result: [1, 4], over: 5) == "1 4")
    #expect(
      try slice([1, 2, 5], of: 6, start: -1, end: Extent(Int.min), step: -1, result: [0, 3, 4], over: 6) == "-1 \(Int.min)")
    #expect(try slice([1, 2, 5], of: 6, start: 5, end: 0, step: -1, result: [0, 3, 4], over: 5) == "2 -4")
    #expect(throws: Diagnostic.self) {
      try slice([0, 2, 3, 8], of: 10, start: 0, end: 10, step: 2, result: [0, 1, 4], over: 5)
    }
  }

  @Test("bounds on axes that stay are positions: shape arithmetic among them keeps its numbers")
  func positions() throws {
    let sequence = Extent.symbol("seq")
    let input = Tensor(2, 64, 8, kept: [2: [0, 1]])
    let output = Tensor(2, sequence, 8, kept: [2: [0, 1]])
    let answer = try shrink(.joining(.slice), [input, .list(0), .list(sequence), .list(1)], [output])
    #expect(answer.list(2) == "seq")
    #expect(throws: Diagnostic.self) {
      try shrink(.joining(.slice), [input, .list(0), .list(sequence), .list(2)], [Tensor(2, 64, sequence, left: [2: 1])])
    }
  }

  @Test("a border is as long as what is kept of it, on padded axes only")
  func pad() throws {
    let input = Tensor(1, 8, 4, 4, kept: [1: [0, 1, 2, 3]])
    let output = Tensor(1, 16, 6, 6, kept: [1: [2, 3, 4, 5, 6, 7, 13]])
    #expect(try shrink(.joining(.pad), [input, .list(0, 4, 1, 1, 0, 4, 1, 1)], [output]).list(1) == "0 2 1 1 0 1 1 1")
    #expect(
      try shrink(.joining(.pad), [input, .list(4, 4), nil, .list(1)], [Tensor(1, 16, 4, 4, kept: [1: [2, 3, 4, 5, 6, 7, 13]])])
        .list(1) == "2 1")
    let edge = [Attributes.Entry(.mode, .string("edge"))]
    #expect(throws: Diagnostic.self) { try shrink(.joining(.pad), [input, .list(0, 4, 1, 1, 0, 4, 1, 1)], [output], edge) }
    let inside = Tensor(1, 8, 6, 6, kept: [1: [0, 1, 2, 3]])
    #expect(try shrink(.joining(.pad), [input, .list(0, 0, 1, 1, 0, 0, 1, 1)], [inside], edge).list(1) == "0 0 1 1 0 0 1 1")
  }
}
