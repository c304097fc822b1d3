import Testing

@testable import Graph

@Suite("When tensors shrink: reshape, expand, tile and what is made")
struct ReshapingShrinkTests {
  @Test("a qkv reshape names the heads that stay")
  func heads() throws {
    let input = Tensor(1, 17, 1152, kept: [2: Array(576..<1152)])
    let output = Tensor(1, 17, 3, 6, 64, kept: [3: [3, 4, 5]])
    #expect(try shrink(.reshaping(.reshape), [input, .list(1, 17, 3, 6, 64)], [output]).list(1) == "1 17 3 3 64")
  }

  @Test("−1 and 0 stay while they yield the right extent; a 0 that would copy another extent is written out")
  func placeholders() throws {
    let input = Tensor(2, 6, 4, kept: [1: [0, 1, 2]])
    let merged = Tensor(2, 24, kept: [1: Array(0..<12)])
    #expect(try shrink(.reshaping(.reshape), [input, .list(0, -1)], [merged]).list(1) == "0 -1")
    #expect(try shrink(.reshaping(.reshape), [input, .list(-1, 24)], [merged]).list(1) == "-1 12")

    let swapped = Tensor(2, 6, 4, kept: [2: [0, 1]])
    #expect(try shrink(.reshaping(.reshape), [input, .list(2, 0, 4)], [swapped]).list(1) == "2 6 2")
    #expect(try shrink(.reshaping(.reshape), [input, .list(0, 6, 4)], [swapped]).list(1) == "0 6 2")
  }

  @Test("symbols stay symbols; a product with one shrinks by its fixed factor")
  func symbolic() throws {
    let batch = Extent.symbol("batch")
    let input = Tensor(batch, 4, 16, kept: [1: [1, 3]])
    let output = Tensor(batch * 4, 16, left: [0: batch * 2])
    #expect(try shrink(.reshaping(.reshape), [input, .list(batch * 4, 16)], [output]).list(1) == "2*batch 16")
    #expect(try shrink(.reshaping(.reshape), [input, .list(-1, 16)], [output]).list(1) == "-1 16")
  }

  @Test("an unchanged target is still required, since it may come from a shape that changed")
  func unchanged() throws {
    let input = Tensor(2, 12)
    #expect(try shrink(.reshaping(.reshape), [input, .list(2, 3, 4)], [Tensor(2, 3, 4)]).list(1) == "2 3 4")
  }

  @Test("numbers that are not known are left to the graph, unless they must change")
  func unknown() throws {
    let batch = Extent.symbol("batch")
    let input = Tensor(batch, 12, kept: [1: [0, 1]])
    let output = Tensor(batch, 3, 4, kept: [1: [0], 2: [0, 1]])
    #expect(try shrink(.reshaping(.reshape), [input, .partly(nil, 3, 4)], [output]).list(1) == "? 1 2")
    var blind = Tensor(3)
    blind.element = .i64
    #expect(try shrink(.reshaping(.reshape), [input, blind], [output]).list(1) == "0 1 2")
    #expect(try shrink(.reshaping(.reshape), [Tensor(batch, 12), blind], [Tensor(batch, 3, 4)]).list(1) == nil)

    let two = Tensor(batch * 2, batch, 4, left: [0: batch])
    #expect(throws: Diagnostic.self) { try shrink(.reshaping(.reshape), [Tensor(2, 2, batch, batch, 2), blind], [two]) }
  }

  @Test("expand follows the result, but a 1 stays a 1")
  func expand() throws {
    let input = Tensor(1, 2, 1, 16, kept: [3: [0, 1]])
    let output = Tensor(1, 2, 4, 16, kept: [2: [0, 2], 3: [0, 1]])
    #expect(try shrink(.reshaping(.expand), [input, .list(1, 4, 16)], [output]).list(1) == "1 2 2")
    #expect(try shrink(.reshaping(.expand), [input, .list(2, 4, 1)], [output]).list(1) == "2 2 1")
    #expect(try shrink(.reshaping(.expand), [input, .list(2, 4, -1)], [output]).list(1) == "2 2 -1")
  }

  @Test("tile repeats what is left; an extent that is no multiple is refused")
  func tile() throws {
    let input = Tensor(2, 6, kept: [1: [0, 1, 2]])
    #expect(
      try shrink(.reshaping(.tile), [input, .list(1, 4)], [Tensor(2, 24, kept: [1: Array(0..<12)])]).list(1) == "1 4")
    #expect(
      try shrink(.reshaping(.tile), [input, .list(1, 4)], [Tensor(2, 24, kept: [1: Array(0..<6)])]).list(1) == "1 2")
    #expect(throws: Diagnostic.self) {
      try shrink(.reshaping(.tile), [input, .list(1, 4)], [Tensor(2, 24, kept: [1: Array(0..<7)])])
    }
  }

  @Test("axes are no extents")
  func axes() throws {
    let input = Tensor(1, 8, kept: [1: [0]])
    let output = Tensor(8, kept: [0: [0]])
    #expect(try shrink(.reshaping(.squeeze), [input, .list(0)], [output]) == Answer())
    #expect(try shrink(.reshaping(.transpose), [input], [Tensor(8, 1, kept: [0: [0]])]) == Answer())
  }

  @Test("a state made from a shape has the extents that stay; the dynamic one stays dynamic")
  func constantOfShape() throws {
    let batch = Extent.symbol("batch")
    let output = Tensor(1, batch, 20, kept: [2: Array(0..<10)])
    #expect(try shrink(.generation(.constantOfShape), [.list(1, batch, 20)], [output]).list(0) == "1 batch 10")
  }

  @Test("a range keeps its numbers; one that stands for an axis that shrinks ends earlier")
  func range() throws {
    let operands: [Tensor?] = [.scalar(0), .scalar(12), .scalar(2)]
    let same = try shrink(.generation(.range), operands, [Tensor(6)])
    #expect([same.list(0), same.list(1), same.list(2)] == ["0", "12", "2"])
    #expect(try shrink(.generation(.range), operands, [Tensor(6, kept: [0: [0, 5]])]).list(1) == "4")
  }
}
