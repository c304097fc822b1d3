import Testing

@testable import Graph

@Suite("Axis rules of contractions, convolutions, norms and elementwise operators")
struct ContractionAxisTests {
  @Test("elementwise: axes align from the right, one index broadcasts")
  func elementwise() {
    #expect(AxisProbe(.elementwise(.add), [[2, 5, 3], [3]], [[2, 5, 3]]).text == "a b c, c -> a b c")
    #expect(AxisProbe(.elementwise(.mul), [[2, 9, 4, 4], [2, 1, 4, 4]], [[2, 9, 4, 4]]).text == "a b c d, a 1 c d -> a b c d")
    #expect(AxisProbe(.elementwise(.choose), [[7], [1], [4, 7]], [[4, 7]]).text == "a, 1, b a -> b a")
    #expect(AxisProbe(.elementwise(.clip), [[7], [], []], [[7]]).text == "a, ,  -> a")
  }

  @Test("elementwise: two activations of one shape are a residual, a bias is none")
  func residual() {
    #expect(AxisProbe(.elementwise(.add), [[2, 3], [2, 3]], [[2, 3]]).roles == ["residual a", "residual b"])
    #expect(AxisProbe(.elementwise(.add), [[2, 3], [2, 3]], [[2, 3]], weights: [1]).roles == [])
    #expect(AxisProbe(.elementwise(.add), [[2, 3], [3]], [[2, 3]]).roles == [])
    #expect(AxisProbe(.elementwise(.mul), [[2, 3], [2, 3]], [[2, 3]]).roles == [])
  }

  @Test("positions survive an integer cast, and freeze their axis in arithmetic or as floats")
  func positions() {
    let shapes: [[Extent]?] = [[4], [4, 9]]
    let cast = AxisProbe(.elementwise(.cast), shapes, [[4]], codomains: [0: (1, 1)], element: .i64)
    #expect(cast.codomainText(0) == "c" && cast.text == "a, b c -> a")
    let float = AxisProbe(.elementwise(.cast), shapes, [[4]], codomains: [0: (1, 1)])
    #expect(float.codomainText(0) == nil && float.text == "a, b 9 -> a")
    let equal = AxisProbe(.elementwise(.equal), [[4], [9, 4]], [[9, 4]], codomains: [0: (1, 0)], element: .i64)
    #expect(equal.text == "a, 9 a -> 9 a" && equal.reasons == [.positionsEscape])
  }

  @Test("matrix products contract, broadcast their batch, and tell weights from activations")
  func matrixProducts() {
    let product = Operator.matrixProduct(.matMul)
    let linear = AxisProbe(product, [["n", 17, 8], [8, 24]], [["n", 17, 24]], weights: [1])
    #expect(linear.text == "n a b, b c -> n a c")
    #expect(linear.roles == ["linearInput b", "linearOutput c"])
    let scores = AxisProbe(product, [["n", 4, 17, 8], ["n", 4, 8, 17]], [["n", 4, 17, 17]])
    #expect(scores.text == "n a b c, n a c d -> n a b d")
    #expect(
      scores.roles
        == [
          "batchOfActivations n", "batchOfActivations a", "contractedActivations c", "freeOfActivations b", "freeOfActivations d",
        ])
    let stacked = AxisProbe(product, [["n", 4, 1, 8], [4, 8, 5]], [["n", 4, 1, 5]], weights: [1])
    #expect(stacked.roles == ["linearInput b", "linearOutput c", "groups a"])
    #expect(AxisProbe(product, [[8], [8, 3]], [[3]]).text == "a, a b -> b")
    #expect(AxisProbe(product, [[2, 8], [8]], [[2]]).text == "a b, b -> a")
    #expect(AxisProbe(product, [[8], [8]], [[]]).text == "a, a -> ")
  }

  @Test("gemm: transposed operands, and a bias of any rank")
  func gemm() {
    let trans: [Attributes.Entry] = [.init(.transB, .int(1))]
    #expect(AxisProbe(.matrixProduct(.gemm), [[2, 8], [5, 8], [5]], [[2, 5]], attributes: trans).text == "a b, c b, c -> a c")
    #expect(
      AxisProbe(.matrixProduct(.gemm), [[2, 8], [5, 8], [2, 1]], [[2, 5]], attributes: trans).text == "a b, c b, a 1 -> a c")
    #expect(
      AxisProbe(.matrixProduct(.gemm), [[8, 2], [8, 5]], [[2, 5]], attributes: [.init(.transA, .int(1))]).text
        == "a b, a c -> b c")
  }

  @Test("fused and quantised products: scales per column go with them, those of the whole tensor do not")
  func scaled() {
    #expect(AxisProbe(.matrixProduct(.fusedGemm), [[2, 8], [8, 5], [5]], [[2, 5]]).text == "a b, b c, c -> a c")
    let quantised = AxisProbe(
      .matrixProduct(.quantisedGemm), [[2, 8], [], [], [5, 8], [5], [5], [5], [], []], [[2, 5]],
      attributes: [.init(.transB, .int(1))], weights: [3])
    #expect(quantised.text == "a b, , , c b, c, c, c, ,  -> a c")
    #expect(quantised.roles == ["linearInput b", "linearOutput c"])
    let dynamic = AxisProbe(.matrixProduct(.dynamicMatMul), [["n", 8], [8, 5], [5], [5], [1, 5]], [["n", 5]], weights: [1])
    #expect(dynamic.text == "n a, a b, b, b, 1 b -> n b")
    let real = AxisProbe(.matrixProduct(.integerToFloat), [["n", 8], [8, 5], [1], [5], nil, [5], [5]], [["n", 5]])
    #expect(real.text == "n a, a b, 1, b, -, b, b -> n b")
  }

  @Test("quantised elementwise operators: scales and zero points stay, also where they are as long as an axis")
  func quantisedElementwise() {
    let sum = AxisProbe(.elementwise(.quantisedAdd), [[2, 3], [], [], [2, 3], [], [], [], []], [[2, 3]])
    #expect(sum.text == "a b, , , a b, , , ,  -> a b")
    #expect(sum.roles == ["residual a", "residual b"])
    #expect(
      AxisProbe(.elementwise(.quantisedMul), [[2, 3], [], [], [3], [1], [], [3], []], [[2, 3]]).text
        == "a b, , , b, 1, , 3,  -> a b")
    #expect(AxisProbe(.elementwise(.quantisedSigmoid), [[4], [], [], [], []], [[4]]).text == "a, , , ,  -> a")
    #expect(
      AxisProbe(.elementwise(.quantisedWhere), [[2, 1], [2, 3], [], [], [], [], [], [], []], [[2, 3]]).text
        == "a 1, a b, , , , , , ,  -> a b")
    let softmax = AxisProbe(.normalisation(.quantisedSoftmax), [[2, 3], [], [], [], []], [[2, 3]])
    #expect(softmax.text == "a b, , , ,  -> a b")
  }

  @Test("quantised concat and pools follow channels, but not channels that come last")
  func quantisedMoves() {
    let joined = AxisProbe(
      .joining(.quantisedConcat), [[], [], [2, 6], [], [], [2, 4], [], []], [[2, 10]], attributes: [.init(.axis, .int(1))])
    #expect(joined.text == ", , a b, , , a c, ,  -> a (b | c)")
    func pool(_ operation: Pooling, _ result: [Extent], _ attributes: [Attributes.Entry]) -> String {
      AxisProbe(.pooling(operation), [["n", 6, 8, 8], [], [], [], []], [result], attributes: attributes).text
    }
    #expect(pool(.quantisedGlobalAveragePool, ["n", 6, 1, 1], []) == "n a b c, , , ,  -> n a 1 1")
    let window: [Attributes.Entry] = [.init(.kernelShape, .ints([2, 2])), .init(.strides, .ints([2, 2]))]
    #expect(pool(.quantisedAveragePool, ["n", 6, 4, 4], window) == "n a 8 8, , , ,  -> n a 4 4")
    #expect(
      pool(.quantisedAveragePool, ["n", 6, 4, 4], window + [.init(.channelsLast, .int(1))]) == "n 6 8 8, , , ,  -> n 6 4 4")
  }

  @Test("einsum: letters are axes, also implicit results, ellipses and a diagonal")
  func einsum() {
    func probe(_ equation: String, _ inputs: [[Extent]?], _ output: [Extent], weights: Set<Int> = []) -> AxisProbe {
      AxisProbe(.matrixProduct(.einsum), inputs, [output], attributes: [.init(.equation, .string(equation))], weights: weights)
    }
    #expect(probe("bnhd, bmhd -> bhnm", [[2, 5, 4, 8], [2, 7, 4, 8]], [2, 4, 5, 7]).text == "a b c d, a e c d -> a c b e")
    #expect(probe("ij,jk", [[2, 3], [3, 4]], [2, 4]).text == "a b, b c -> a c")
    #expect(probe("...i,io->...o", [[2, 9, 3], [3, 4]], [2, 9, 4]).text == "a b c, c d -> a b d")
    #expect(probe("ii,ij->ij", [[3, 3], [3, 4]], [3, 4]).text == "3 3, 3 a -> 3 a")
    let heads = probe("bnc,chd->bnhd", [[2, 5, 6], [6, 4, 8]], [2, 5, 4, 8], weights: [1])
    #expect(heads.roles == ["linearInput c", "linearOutput d", "linearOutput e"])
  }

  @Test("packed weights: whole blocks may go, unless the last is not full")
  func packed() {
    let attributes: [Attributes.Entry] = [.init(.blockSize, .int(32))]
    let whole = AxisProbe(
      .matrixProduct(.matMulNBits), [[2, 128], [7, 4, 16], [28], nil], [[2, 7]], attributes: attributes)
    #expect(whole.text == "a (b 32), c b 16, (c b), - -> a c")
    let partial = AxisProbe(.matrixProduct(.matMulNBits), [[2, 100], [7, 4, 16], [7, 4]], [[2, 7]], attributes: attributes)
    #expect(partial.text == "a 100, b 4 16, b 4 -> a b")
  }

  @Test("convolutions: channels, groups, depthwise and transposed")
  func convolutions() {
    func probe(_ inputs: [[Extent]?], _ output: [Extent], group: Int = 1, _ more: [Attributes.Entry] = []) -> AxisProbe {
      AxisProbe(.convolution(.conv), inputs, [output], attributes: [.init(.group, .int(group))] + more, weights: [1, 2])
    }
    let plain = probe([["n", 6, 8, 8], [9, 6, 3, 3], [9]], ["n", 9, 6, 6])
    #expect(plain.text == "n a 8 8, b a 3 3, b -> n b 6 6")
    #expect(plain.roles == ["convolutionInput a", "convolutionOutput b"])
    let grouped = probe([["n", 24, 8, 8], [12, 6, 3, 3]], ["n", 12, 6, 6], group: 4)
    #expect(grouped.text == "n (a b) 8 8, (a c) b 3 3 -> n (a c) 6 6")
    #expect(grouped.roles == ["groups a", "insideGroup b", "insideGroup c"])
    let depthwise = probe([["n", 6, 8, 8], [6, 1, 3, 3], [6]], ["n", 6, 6, 6], group: 6)
    #expect(depthwise.text == "n a 8 8, a 1 3 3, a -> n a 6 6")
    #expect(depthwise.roles == [])
    let multiplier = probe([["n", 6, 8, 8], [12, 1, 3, 3]], ["n", 12, 6, 6], group: 6)
    #expect(multiplier.text == "n a 8 8, (a b) 1 3 3 -> n (a b) 6 6")
    #expect(multiplier.roles == ["insideGroup b"])
    let transposed = AxisProbe(
      .convolution(.convTranspose), [["n", 6, 8, 8], [6, 5, 2, 2], [10]], [["n", 10, 16, 16]],
      attributes: [.init(.group, .int(2)), .init(.strides, .ints([2, 2]))])
    #expect(transposed.text == "n (a b) 8 8, (a b) c 2 2, (a c) -> n (a c) 16 16")
  }

  @Test("a deformable convolution keeps the blocks that its offsets are for")
  func deformable() {
    func probe(_ blocks: Int) -> String {
      AxisProbe(
        .convolution(.deformConv), [[2, 8, 9, 9], [12, 4, 3, 3], [2, Extent(18 * blocks), 7, 7]], [[2, 12, 7, 7]],
        attributes: [.init(.group, .int(2)), .init(.offsetGroup, .int(blocks))]
      ).text
    }
    #expect(probe(1) == "a (b c) 9 9, (b d) c 3 3, a 18 7 7 -> a (b d) 7 7")
    #expect(probe(2) == "a (2 b) 9 9, (2 c) b 3 3, a 36 7 7 -> a (2 c) 7 7")
  }

  @Test("a window of one lets its axis pass; a stride or a pad does not")
  func windows() {
    func probe(_ attributes: [Attributes.Entry], _ output: [Extent]) -> String {
      AxisProbe(.convolution(.conv), [[2, 6, 7, 8], [9, 6, 1, 3]], [output], attributes: attributes).text
    }
    #expect(probe([], [2, 9, 7, 6]) == "a b c 8, d b 1 3 -> a d c 6")
    #expect(probe([.init(.strides, .ints([2, 1]))], [2, 9, 4, 6]) == "a b 7 8, c b 1 3 -> a c 4 6")
    #expect(probe([.init(.pads, .ints([1, 0, 1, 0]))], [2, 9, 9, 6]) == "a b 7 8, c b 1 3 -> a c 9 6")
    let pool = AxisProbe(
      .pooling(.maxPool), [[2, 6, 7, 8]], [[2, 6, 7, 4], nil],
      attributes: [.init(.kernelShape, .ints([1, 2])), .init(.strides, .ints([1, 2]))])
    #expect(pool.text == "a b c 8 -> a b c 4, -")
  }

  @Test("norms tie scales and biases; only local norms freeze")
  func norms() {
    let batch = AxisProbe(.normalisation(.batchNorm), [[2, 6, 5], [6], [6], [6], [6]], [[2, 6, 5]])
    #expect(batch.text == "a b c, b, b, b, b -> a b c")
    let layer = AxisProbe(.normalisation(.layerNorm), [[2, 5, 6], [6], [6]], [[2, 5, 6], [2, 5, 1], nil])
    #expect(layer.text == "a b c, c, c -> a b c, a b 1, -")
    #expect(layer.roles == ["layerNormalised c"])
    let two = AxisProbe(.normalisation(.layerNorm), [[2, 5, 6], [6]], [[2, 5, 6]], attributes: [.init(.axis, .int(1))])
    #expect(two.text == "a b c, c -> a b c" && two.roles == ["layerNormalised b", "layerNormalised c"])
    let group = AxisProbe(
      .normalisation(.groupNorm), [[2, 24, 5], [24], [24]], [[2, 24, 5]], attributes: [.init(.numGroups, .int(4))])
    #expect(group.text == "a (b c) d, (b c), (b c) -> a (b c) d")
    #expect(group.roles == ["normGroups b", "insideNormGroup c"])
    let groupwise = AxisProbe(
      .normalisation(.groupNorm), [[2, 24, 5], [4], [4]], [[2, 24, 5]], attributes: [.init(.numGroups, .int(4))], opset: 18)
    #expect(groupwise.text == "a (b c) d, b, b -> a (b c) d")
    #expect(AxisProbe(.normalisation(.localResponseNorm), [[2, 6, 5]], [[2, 6, 5]]).text == "a 6 b -> a 6 b")
    #expect(AxisProbe(.normalisation(.softmax), [[2, 6]], [[2, 6]]).text == "a b -> a b")
    let skip = AxisProbe(
      .normalisation(.skipLayerNorm), [["n", 5, 6], ["n", 5, 6], [6], [6], nil], [["n", 5, 6], nil, nil, ["n", 5, 6]])
    #expect(skip.text == "n a b, n a b, b, b, - -> n a b, -, -, n a b")
  }
}
