import Testing

@testable import Graph

@Suite("When tensors shrink: counts in attributes")
struct CountShrinkTests {
  private func entry(_ name: AttributeName, _ value: Int) -> Attributes.Entry { Attributes.Entry(name, .int(value)) }
  private func first(_ count: Int, of extent: Int) -> Tensor { Tensor(1, Extent(extent), 8, 8, kept: [1: Array(0..<count)]) }

  @Test("a convolution has as many groups as its channels fill", arguments: [false, true])
  func groups(transposed: Bool) throws {
    let operation = Operator.convolution(transposed ? .convTranspose : .conv)
    let depthwise = Tensor(18, 1, 3, 3, kept: [0: Array(0..<9)])
    let four = [entry(.group, 18)]
    #expect(try shrink(operation, [first(9, of: 18), depthwise], [first(9, of: 18)], four).int(.group) == 9)
    let inside = Tensor(24, 6, 3, 3, kept: [0: Array(0..<12), 1: [0, 1, 2]])
    #expect(try shrink(operation, [first(12, of: 24), inside], [first(12, of: 24)], [entry(.group, 4)]) == Answer())
    let plain = Tensor(24, 24, 3, 3, kept: [0: Array(0..<12), 1: Array(0..<12)])
    #expect(try shrink(operation, [first(12, of: 24), plain], [first(12, of: 24)]) == Answer())
    let uneven = Tensor(24, 24, 3, 3, kept: [0: Array(0..<12), 1: Array(0..<5)])
    #expect(throws: Diagnostic.self) { try shrink(operation, [first(12, of: 24), uneven], [first(12, of: 24)]) }
  }

  @Test("a group norm counts the groups that are left; groups that lose different numbers are refused")
  func groupNorm() throws {
    func left(_ kept: [Int]) throws -> Int? {
      let tensor = Tensor(1, 24, 5, kept: [1: kept])
      return try shrink(.normalisation(.groupNorm), [tensor, Tensor(24), Tensor(24)], [tensor], [entry(.numGroups, 4)]).int(
        .numGroups)
    }
    #expect(try left(Array(6..<12) + Array(18..<24)) == 2)
    #expect(try left([0, 1, 2, 6, 8, 10, 12, 13, 14, 18, 19, 23]) == nil)
    #expect(throws: Diagnostic.self) { try left([0, 1, 2, 6]) }
  }

  @Test("a recurrence has the hidden units of its recurrent weight")
  func hidden() throws {
    let weight = Tensor(1, 80, 12, kept: [1: Array(0..<40)])
    let recurrent = Tensor(1, 80, 20, kept: [1: Array(0..<40), 2: Array(0..<10)])
    let result = Tensor(7, 1, 2, 20, kept: [3: Array(0..<10)])
    #expect(
      try shrink(.recurrence(.lstm), [Tensor(7, 2, 12), weight, recurrent], [result], [entry(.hiddenSize, 20)]).int(.hiddenSize)
        == 10)
  }

  @Test("fused attention counts heads, and writes down a scale that the size of a head implied")
  func multiHead() throws {
    let heads = [entry(.numHeads, 4)]
    let operation = Operator.attention(.multiHeadAttention)
    let two = Tensor(1, 9, 64, kept: [2: Array(16..<32) + Array(48..<64)])
    let whole = try shrink(operation, [two, two, two], [two], heads)
    #expect(whole.int(.numHeads) == 2)
    #expect(whole.float(.scale) == nil)
    let half = Tensor(1, 9, 64, kept: [2: (0..<4).flatMap { head in (0..<8).map { head * 16 + $0 } }])
    let dims = try shrink(operation, [half, half, Tensor(1, 9, 64)], [Tensor(1, 9, 64)], heads)
    #expect(dims.int(.numHeads) == nil)
    #expect(dims.float(.scale) == 0.25)
    let given = try shrink(
      operation, [half, half, Tensor(1, 9, 64)], [Tensor(1, 9, 64)], heads + [Attributes.Entry(.scale, .float(0.5))])
    #expect(given.float(.scale) == nil)
  }

  @Test("heads that lose different numbers, or disagree between operands, are refused")
  func irregularHeads() throws {
    let operation = Operator.attention(.multiHeadAttention)
    let irregular = Tensor(1, 9, 64, kept: [2: Array(0..<20)])
    let two = Tensor(1, 9, 64, kept: [2: Array(0..<32)])
    let three = Tensor(1, 9, 64, kept: [2: Array(0..<48)])
    #expect(throws: Diagnostic.self) { try shrink(operation, [irregular, irregular, two], [two], [entry(.numHeads, 4)]) }
    #expect(throws: Diagnostic.self) { try shrink(operation, [two, three, two], [two], [entry(.numHeads, 4)]) }
  }

  @Test("grouped queries count both kinds of heads, packed or not")
  func groupedQueries() throws {
    let heads = [entry(.numHeads, 8), entry(.kvNumHeads, 2)]
    let query = Tensor(1, 9, 128, kept: [2: Array(64..<128)])
    let key = Tensor(1, 9, 32, kept: [2: Array(16..<32)])
    let apart = try shrink(.attention(.groupQueryAttention), [query, key, key], [query], heads)
    #expect([apart.int(.numHeads), apart.int(.kvNumHeads)] == [4, 1])
    let packed = Tensor(1, 9, 192, kept: [2: Array(64..<128) + Array(144..<160) + Array(176..<192)])
    let together = try shrink(.attention(.groupQueryAttention), [packed], [query], heads)
    #expect([together.int(.numHeads), together.int(.kvNumHeads)] == [4, 1])
    let standard = [entry(.qNumHeads, 8), entry(.kvNumHeads, 2)]
    let spelt = try shrink(.attention(.attention), [query, key, key], [query], standard)
    #expect([spelt.int(.qNumHeads), spelt.int(.kvNumHeads)] == [4, 1])
  }

  @Test("a packed projection says its parts once they are unequal")
  func packedProjection() throws {
    let input = Tensor(1, 9, 64)
    let output = Tensor(1, 9, 64, kept: [2: Array(0..<32)])
    let heads = [entry(.numHeads, 4)]
    let even = Tensor(64, 192, kept: [1: [0, 64, 128].flatMap { Array($0..<$0 + 32) }])
    let answer = try shrink(.attention(.microsoftAttention), [input, even, Tensor(192)], [output], heads)
    #expect(answer.int(.numHeads) == 2)
    #expect(answer.ints(.qkvHiddenSizes) == nil)
    let dims = [0, 64].flatMap { base in (0..<4).flatMap { head in (0..<4).map { base + head * 16 + $0 } } } + Array(128..<192)
    let uneven = try shrink(
      .attention(.microsoftAttention), [input, Tensor(64, 192, kept: [1: dims]), Tensor(192)], [input], heads)
    #expect(uneven.ints(.qkvHiddenSizes) == [16, 16, 64])
    #expect(uneven.float(.scale) == 0.25)
    #expect(throws: Diagnostic.self) {
      try shrink(.attention(.quantisedAttention), [input, Tensor(64, 192, kept: [1: dims]), Tensor(192)], [input], heads)
    }
  }

  @Test("a rotation of the first channels of a head covers what stays of them")
  func rotary() throws {
    let tensor = Tensor(1, 9, 64, kept: [2: (0..<4).flatMap { head in [0, 1, 4, 5, 8, 9, 10].map { head * 16 + $0 } }])
    let attributes = [entry(.numHeads, 4), entry(.rotaryEmbeddingDim, 8)]
    let answer = try shrink(.attention(.rotaryEmbedding), [tensor, Tensor(9, 4), Tensor(9, 4)], [tensor], attributes, opset: 23)
    #expect(answer.int(.rotaryEmbeddingDim) == 4)
    #expect(answer.int(.numHeads) == nil)
  }

  @Test("a resize whose sizes name the channel has that number rewritten, and no other")
  func resize() throws {
    let input = Tensor(1, 8, 4, 4, kept: [1: [0, 1]])
    let output = Tensor(1, 8, 6, 6, kept: [1: [0, 1]])
    #expect(try shrink(.pooling(.resize), [input, nil, nil, .list(1, 8, 6, 6)], [output]).list(3) == "1 2 6 6")
    let axes = [Attributes.Entry(.axes, .ints([-2, -1]))]
    #expect(try shrink(.pooling(.resize), [input, nil, nil, .list(6, 6)], [output], axes).list(3) == "6 6")
  }

  @Test("packed weights say their extents")
  func packedWeights() throws {
    let answer = try shrink(
      .matrixProduct(.matMulNBits), [Tensor(3, 64, kept: [1: Array(0..<32)]), Tensor(16, 2, 16, kept: [0: [0, 1], 1: [0]])],
      [Tensor(3, 16, kept: [1: [0, 1]])], [entry(.packedContracted, 64), entry(.packedResults, 16)])
    #expect([answer.int(.packedContracted), answer.int(.packedResults)] == [32, 2])
  }
}

@Suite("Multiply-adds")
struct WorkTests {
  private func work(_ operation: Operator, _ inputs: [[Extent]?], _ output: [Extent], _ attributes: [Attributes.Entry] = [])
    -> Double
  {
    operation.rules?.multiplyAdds(
      inputs: inputs.map { $0.map { TensorType(.f32, $0) } }, outputs: [TensorType(.f32, output)],
      attributes: Attributes(attributes)) ?? -1
  }

  @Test("each family counts what it multiplies; symbols count as 1")
  func families() {
    #expect(work(.convolution(.conv), [[1, 6, 8, 8], [12, 3, 3, 3]], [1, 12, 6, 6]) == 12 * 36 * 27)
    #expect(work(.convolution(.convTranspose), [[1, 6, 8, 8], [6, 4, 2, 2]], [1, 4, 16, 16]) == 6 * 64 * 16)
    #expect(work(.matrixProduct(.matMul), [[.symbol("batch"), 17, 32], [32, 8]], [.symbol("batch"), 17, 8]) == 17 * 32 * 8)
    #expect(work(.matrixProduct(.gemm), [[32, 5], [32, 8]], [5, 8], [Attributes.Entry(.transA, .int(1))]) == 5 * 32 * 8)
    let equation = [Attributes.Entry(.equation, .string("...bnhd, bmhd -> ...bhnm"))]
    #expect(
      work(.matrixProduct(.einsum), [[7, 2, 3, 4, 5], [2, 6, 4, 5]], [7, 2, 4, 3, 6], equation) == 7 * 2 * 3 * 4 * 5 * 6)
    #expect(work(.recurrence(.lstm), [[7, 2, 12], [1, 80, 12], [1, 80, 20]], [7, 1, 2, 20]) == 14 * 80 * 32)
    #expect(
      work(.attention(.attention), [[2, 4, 9, 16], [2, 2, 11, 16], [2, 2, 11, 8]], [2, 4, 9, 8]) == 2 * 4 * 9 * 11 * 24)
    #expect(work(.elementwise(.add), [[4, 4], [4, 4]], [4, 4]) == 0)
  }
}
