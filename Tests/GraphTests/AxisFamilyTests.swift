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

@Suite("Axis rules of reshaping, joining and indexing")
struct MovementAxisTests {
  private func reshape(_ from: [Extent], _ to: [Extent]) -> String { AxisProbe(.reshaping(.reshape), [from, [4]], [to]).text }

  @Test("reshape: factors are regrouped, and equal axes pass")
  func reshapes() {
    #expect(reshape(["n", 17, 1152], ["n", 17, 3, 6, 64]) == "n a (b c d), e -> n a b c d")
    #expect(reshape([2, 6, 64], [2, 384]) == "a b c, d -> a (b c)")
    #expect(reshape(["n", 6, 17, 64], ["n*6", 17, 64]) == "n a b c, d -> (n a) b c", "a symbolic axis may hold a group")
    #expect(reshape([1, 6, 1, 1], [6]) == "1 a 1 1, b -> a")
    #expect(reshape(["n", 16, 5, 5], ["n", 400]) == "n a b c, d -> n (a b c)")
    #expect(reshape([4, 6], [6, 4]) == "4 6, a -> 6 4", "what does not factor is frozen")
    #expect(reshape(["n", 6], ["m", 6]) == "n a, b -> m a")
  }

  @Test("transpose, squeeze and unsqueeze move axes")
  func moves() {
    #expect(
      AxisProbe(.reshaping(.transpose), [[2, 3, 4]], [[4, 2, 3]], attributes: [.init(.perm, .ints([2, 0, 1]))]).text
        == "a b c -> c a b")
    #expect(AxisProbe(.reshaping(.squeeze), [[2, 1, 4], [1]], [[2, 4]], numbers: [1: [1]]).text == "a 1 b, 1 -> a b")
    #expect(
      AxisProbe(.reshaping(.unsqueeze), [[2, 4], [2]], [[1, 2, 4, 1]], numbers: [1: [0, -1]]).text == "a b, c -> 1 a b 1")
  }

  @Test("expand makes a new group of what was one; tile repeats")
  func repetition() {
    let expand = AxisProbe(.reshaping(.expand), [[2, 1, 5], [3]], [[2, 4, 5]])
    #expect(expand.text == "a 1 b, c -> a d b" && expand.roles == ["repeated d"])
    #expect(AxisProbe(.reshaping(.expand), [[1, 5], [2]], [["n", 5]]).text == "1 a, b -> n a")
    #expect(AxisProbe(.reshaping(.tile), [[2, 5], [2]], [[2, 15]], numbers: [1: [1, 3]]).text == "a b, c -> a (d b)")
  }

  @Test("depth to space in both orders")
  func depth() {
    func probe(_ mode: String) -> String {
      AxisProbe(
        .reshaping(.depthToSpace), [[2, 36, 4, 5]], [[2, 4, 12, 15]],
        attributes: [.init(.blocksize, .int(3)), .init(.mode, .string(mode))]
      ).text
    }
    #expect(probe("DCR") == "a (3 3 b) 4 5 -> a b 12 15")
    #expect(probe("CRD") == "a (b 3 3) 4 5 -> a b 12 15")
  }

  @Test("concat is a sum; empty parts do not count; split cuts")
  func concat() {
    let axis: [Attributes.Entry] = [.init(.axis, .int(1))]
    #expect(AxisProbe(.joining(.concat), [[2, 6], [2, 4]], [[2, 10]], attributes: axis).text == "a b, a c -> a (b | c)")
    #expect(AxisProbe(.joining(.concat), [[2, 6], [2, 0]], [[2, 6]], attributes: axis).text.hasSuffix("-> a b"))
    #expect(AxisProbe(.joining(.split), [[2, 10]], [[2, 6], [2, 4]], attributes: axis).text == "a (b | c) -> a b, a c")
    #expect(
      AxisProbe(.joining(.split), [[2, 10], [2]], [nil, [2, 4]], attributes: axis, numbers: [1: [6, 4]]).text
        == "a (b | c), d -> -, a c")
    #expect(AxisProbe(.joining(.split), [[2, "s"]], [[2, "p"], [2, "q"]], attributes: axis).text == "a s -> a p, a q")
  }

  @Test("slices: whole axes pass, runs are cut, steps take an outer factor, other order freezes")
  func slices() {
    func slice(_ start: Int, _ end: Int, _ step: Int, _ length: Extent, _ result: Extent) -> String {
      AxisProbe(
        .joining(.slice), [[2, length], [1], [1], [1], [1]], [[2, result]], numbers: [1: [start], 2: [end], 3: [1], 4: [step]]
      ).text.replacing(", 1, 1, 1, 1", with: "")
    }
    #expect(slice(0, Int.max, 1, 10, 10) == "a b -> a b")
    #expect(slice(0, Int.max, 1, "s", "s") == "a s -> a s")
    #expect(slice(0, 6, 1, 10, 6) == "a (b | c) -> a b")
    #expect(slice(-4, Int.max, 1, 10, 4) == "a (b | c) -> a c")
    #expect(slice(2, 5, 1, 10, 3) == "a (b | c | d) -> a c")
    #expect(slice(1, Int.max, 2, 10, 5) == "a (b 2) -> a b")
    #expect(slice(0, Int.max, 3, 10, 4) == "a 10 -> a 4", "a last block that is not full")
    #expect(slice(-1, Int.min, -1, 10, 10) == "a 10 -> a 10", "a flip")
    #expect(slice(0, 0, 1, 10, 0) == "a b -> a 0")
    let unknown = AxisProbe(.joining(.slice), [[2, 10], [1], [1], [1]], [[2, "s"]], numbers: [3: [1]])
    #expect(unknown.text == "a 10, 1, 1, 1 -> a s")
  }

  @Test("a constant pad adds groups at its ends; a reflected one freezes")
  func pads() {
    func pad(_ mode: String) -> String {
      AxisProbe(
        .joining(.pad), [[2, 8], [4]], [[2, 16]], attributes: [.init(.mode, .string(mode))], numbers: [1: [0, 4, 0, 4]]
      ).text
    }
    #expect(pad("constant") == "a b, c -> a (d | b | e)")
    #expect(pad("reflect") == "a 8, b -> a 16")
  }

  private func gather(_ length: Extent, _ indices: [Int], _ shape: [Extent], weights: Set<Int> = []) -> AxisProbe {
    AxisProbe(
      .indexing(.gather), [[2, length], shape], [[2] + shape], attributes: [.init(.axis, .int(1))],
      known: KnownValue(shape: shape.compactMap(\.constant), entries: indices.map { .whole(Extent($0)) }).map { [1: $0] } ?? [:],
      weights: weights)
  }

  @Test("gather by constants: a scalar selects, a list is the sum of its runs, any rank regroups")
  func gatherConstants() {
    #expect(gather(3, [1], []).text == "a (1 | 1 | 1),  -> a")
    #expect(gather(9, [-1], [1]).text == "a (b | 1), 1 -> a 1")
    #expect(gather(6, [0, 1, 2, 3, 4, 5], [6]).text == "a b, c -> a b")
    #expect(gather(9, [5, 6, 7, 8, 0, 1, 2, 3, 4], [9]).text == "a (b | c), d -> a (c | b)")
    #expect(gather(6, [0, 1, 2, 3, 4, 5], [1, 6, 1, 1]).text == "a b, 1 c 1 1 -> a 1 b 1 1")
    #expect(gather(10, [0, 2, 4, 6, 8], [5]).text == "a (b 2), c -> a b")
    #expect(gather(12, [3, 1, 7, 5, 11, 9, 2, 0, 8, 6], [10]).text == "a 12, b -> a 10", "no runs")
  }

  @Test("gather by data freezes the axis, unless it is known what the positions range over")
  func gatherData() {
    let table = AxisProbe(.indexing(.gather), [[50, 8], ["n", 7]], [["n", 7, 8]], weights: [0])
    #expect(table.text == "50 a, n b -> n b a" && table.roles == ["tableRows 50"])
    let chosen = AxisProbe(.indexing(.gather), [[4, 8], [7], [4]], [[7, 8]], weights: [0], codomains: [1: (2, 0)])
    #expect(chosen.text == "a b, c, a -> c b", "experts")
  }

  @Test("rows of a table that constants read stay; rows nobody reads are free")
  func tableRows() {
    let table = AxisProbe(
      .indexing(.gather), [[20, 8], [16]], [[16, 8]], numbers: [1: Array(0..<16)], weights: [0])
    #expect(table.text == "(16 | a) b, c -> 16 b")
    #expect(table.roles.count == 1 && table.roles[0].hasPrefix("tableRows"))
  }

  @Test("scatter and gather of a constant box cut it; data freezes")
  func boxes() {
    let numbers = KnownValue(shape: [3, 1], entries: (4..<7).map { .whole(Extent($0)) })
    let scatter = AxisProbe(
      .indexing(.scatterND), [[9, 5], [3, 1], [3, 5]], [[9, 5]], known: numbers.map { [1: $0] } ?? [:])
    #expect(scatter.text == "(a | b | c) d, e 1, b d -> (a | b | c) d")
    #expect(AxisProbe(.indexing(.scatterND), [[9, 5], [3, 1], [3, 5]], [[9, 5]]).text == "9 a, b 1, b a -> 9 a")
    let select = KnownValue(shape: [1, 1], entries: [.whole(Extent(-2))])
    let gather = AxisProbe(.indexing(.gatherND), [[9, 5], [1, 1]], [[1, 5]], known: select.map { [1: $0] } ?? [:])
    #expect(gather.text == "(a | 1 | 1) b, 1 1 -> 1 b")
    #expect(IndexBox([0, 1, 0, 2, 1, 1, 1, 2], lengths: [4, 4])?.runs == [0..<2, 1..<3])
    #expect(IndexBox([0, 1, 1, 1, 0, 2, 1, 2], lengths: [4, 4]) == nil, "column-major order is no box")
    #expect(IndexBox([0, 5], lengths: [4, 4]) == nil, "outside the tensor")
  }

  @Test("one-hot takes the axis that its positions range over")
  func oneHot() {
    #expect(
      AxisProbe(.indexing(.oneHot), [[7], [1], [2], [4]], [[7, 4]], codomains: [0: (3, 0)], element: .i64).text
        == "a, 1, b, c -> a c")
    #expect(AxisProbe(.indexing(.oneHot), [[7], [1], [2]], [[7, 4]], element: .i64).text == "a, 1, b -> a 4")
  }

  @Test("elements: other axes run along, the indexed one freezes")
  func elements() {
    let axis: [Attributes.Entry] = [.init(.axis, .int(1))]
    #expect(
      AxisProbe(.indexing(.gatherElements), [[2, 9, 5], [2, 3, 5]], [[2, 3, 5]], attributes: axis).text == "a 9 b, a c b -> a c b"
    )
    #expect(
      AxisProbe(.indexing(.scatterElements), [[2, 9], [2, 3], [2, 3]], [[2, 9]], attributes: axis).text == "a 9, a b, a b -> a 9")
  }
}

@Suite("Axis rules of reductions, pools, recurrences, attention and quantisation")
struct CompositeAxisTests {
  @Test("reductions drop axes and freeze none; cumulative sums freeze theirs")
  func reductions() {
    let mean = AxisProbe(.reduction(.reduceMean), [[2, 5, 6], [1]], [[2, 1, 6]], numbers: [1: [1]])
    #expect(mean.text == "a b c, 1 -> a 1 c")
    let sum = AxisProbe(
      .reduction(.reduceSum), [[2, 5, 6]], [[5]], attributes: [.init(.axes, .ints([0, -1])), .init(.keepDims, .int(0))], opset: 11
    )
    #expect(sum.text == "a b c -> b")
    #expect(AxisProbe(.reduction(.cumSum), [[2, 5], []], [[2, 5]], numbers: [:]).text == "2 5,  -> 2 5", "an unknown axis")
  }

  @Test("positions of arg-max and top-k range over the axis that was searched")
  func positions() {
    let best = AxisProbe(
      .reduction(.argMax), [[2, 5, 6]], [[2, 6]], attributes: [.init(.axis, .int(1)), .init(.keepDims, .int(0))])
    #expect(best.text == "a b c -> a c" && best.codomainText(0) == "b" && best.roles == ["codomain b"])
    let top = AxisProbe(.reduction(.topK), [[2, 9], [1]], [[2, 3], [2, 3]], numbers: [1: [3]])
    #expect(top.text == "a b, 1 -> a 3, a 3" && top.codomainText(1) == "b" && top.codomainText(0) == nil)
  }

  @Test("resize: an axis of scale one passes, others are mixed")
  func resize() {
    let scales = KnownValue(shape: [3], entries: [.real(1), .real(1), .real(2)])
    #expect(
      AxisProbe(.pooling(.resize), [[2, 6, 5], nil, [3]], [[2, 6, 10]], known: scales.map { [2: $0] } ?? [:]).text
        == "a b 5, -, c -> a b 10")
    #expect(
      AxisProbe(.pooling(.resize), [[2, 6, 5], nil, [3]], [[2, 6, 10]]).text == "2 6 5, -, a -> 2 6 10", "unknown scales")
    #expect(AxisProbe(.pooling(.globalAveragePool), [[2, 6, 5, 5]], [[2, 6, 1, 1]]).text == "a b c d -> a b 1 1")
  }

  @Test("recurrences: gates are blocks of hidden units, which all directions share")
  func recurrences() {
    let lstm = AxisProbe(
      .recurrence(.lstm), [["t", "n", 7], [2, 20, 7], [2, 20, 5], [2, 40], nil, [2, "n", 5], [2, "n", 5], [2, 15]],
      [["t", 2, "n", 5], [2, "n", 5], nil])
    #expect(lstm.text == "t n a, 2 (4 b) a, 2 (4 b) b, 2 (8 b), -, 2 n b, 2 n b, 2 (3 b) -> t 2 n b, 2 n b, -")
    #expect(lstm.roles == ["recurrentHidden b", "linearInput a"])
    let gru = AxisProbe(
      .recurrence(.gru), [["n", "t", 7], [1, 15, 7], [1, 15, 5], [1, 30], nil, ["n", 1, 5]], [["n", "t", 1, 5], ["n", 1, 5]],
      attributes: [.init(.layout, .int(1))])
    #expect(gru.text == "n t a, 1 (3 b) a, 1 (3 b) b, 1 (6 b), -, n 1 b -> n t 1 b, n 1 b")
    let rnn = AxisProbe(.recurrence(.rnn), [[3, "n", 7], [1, 5, 7], [1, 5, 5]], [[3, 1, "n", 5]])
    #expect(rnn.text == "3 n a, 1 b a, 1 b b -> 3 1 n b", "steps of the sequence stay in order")
  }

  @Test("attention: grouped query heads, value dims apart, remembered keys before new ones")
  func attention() {
    let counts: [Attributes.Entry] = [.init(.qNumHeads, .int(8)), .init(.kvNumHeads, .int(2))]
    let flat = AxisProbe(
      .attention(.attention), [["n", 7, 128], ["n", 9, 32], ["n", 9, 48], [1, 1, 7, 9]], [["n", 7, 192], nil, nil, nil],
      attributes: counts)
    #expect(flat.text == "n a (b c d), n e (b d), n e (b f), 1 1 a e -> n a (b c f), -, -, -")
    let headed = AxisProbe(
      .attention(.attention),
      [["n", 8, 7, 16], ["n", 2, 9, 16], ["n", 2, 9, 24], nil, ["n", 2, 3, 16], ["n", 2, 3, 24]],
      [["n", 8, 7, 24], ["n", 2, 12, 16], ["n", 2, 12, 24]])
    #expect(
      headed.text
        == "n (a b) c d, n a e d, n a e f, -, n a g d, n a g f -> n (a b) c f, n a (g | e) d, n a (g | e) f")
  }

  @Test("fused forms: separate, packed and grouped query, key and value")
  func fused() {
    let heads: [Attributes.Entry] = [.init(.numHeads, .int(4))]
    #expect(
      AxisProbe(
        .attention(.multiHeadAttention), [["n", "s", 32], ["n", "t", 32], ["n", "t", 24], [88]], [["n", "s", 24]],
        attributes: heads
      ).text == "n s (a b), n t (a b), n t (a c), (a b | a b | a c) -> n s (a c)")
    #expect(
      AxisProbe(.attention(.multiHeadAttention), [["n", "s", 4, 3, 8]], [["n", "s", 32]], attributes: heads).text
        == "n s a 3 b -> n s (a b)")
    let grouped: [Attributes.Entry] = [.init(.numHeads, .int(8)), .init(.kvNumHeads, .int(2))]
    #expect(
      AxisProbe(
        .attention(.groupQueryAttention),
        [["n", "s", 192], nil, nil, ["n", 2, "p", 16], ["n", 2, "p", 16], ["n"], [1], [64, 8], [64, 8]],
        [["n", "s", 128], ["n", 2, "q", 16], ["n", 2, "q", 16]], attributes: grouped
      ).text
        == "n s (a b 2 c | a 2 c | a 2 c), -, -, n a p (2 c), n a p (2 c), n, 1, 64 c, 64 c "
        + "-> n s (a b 2 c), n a q (2 c), n a q (2 c)")
    #expect(
      AxisProbe(.attention(.microsoftAttention), [["n", "s", 20], [20, 96], [96]], [["n", "s", 32]], attributes: heads).text
        == "n s a, a (b c | b c | b d), (b c | b c | b d) -> n s (b d)")
  }

  @Test("rotary embedding pairs dims as its tables do")
  func rotary() {
    let heads: [Attributes.Entry] = [.init(.numHeads, .int(4))]
    #expect(
      AxisProbe(
        .attention(.rotaryEmbedding), [["n", "s", 64], ["n", "s", 8], ["n", "s", 8]], [["n", "s", 64]], attributes: heads
      ).text
        == "n s (a 2 b), n s b, n s b -> n s (a 2 b)")
    #expect(
      AxisProbe(
        .attention(.microsoftRotaryEmbedding), [["n", 4, "s", 16], ["n", "s"], [99, 6], [99, 6]], [["n", 4, "s", 16]],
        attributes: [.init(.interleaved, .int(1)), .init(.rotaryEmbeddingDim, .int(12))]
      ).text == "n a s (b 2 | c), n s, 99 b, 99 b -> n a s (b 2 | c)")
  }

  @Test("scales follow their axis, or its blocks")
  func quantisation() {
    func probe(_ scale: [Extent], _ attributes: [Attributes.Entry]) -> String {
      AxisProbe(.quantisation(.dequantizeLinear), [[6, 64], scale, scale], [[6, 64]], attributes: attributes).text
    }
    #expect(probe([], []) == "a b, ,  -> a b")
    #expect(probe([6], [.init(.axis, .int(0))]) == "a b, a, a -> a b")
    #expect(probe([6, 4], [.init(.axis, .int(1)), .init(.blockSize, .int(16))]) == "a (b 16), a b, a b -> a (b 16)")
    #expect(probe([6, 4], [.init(.axis, .int(1)), .init(.blockSize, .int(17))]) == "a 64, a 4, a 4 -> a 64")
  }

  @Test("what is made from shapes is fixed; a tensor of one number has new groups")
  func generation() {
    #expect(AxisProbe(.generation(.shape), [[2, 5]], [[2]]).text == "a b -> 2")
    #expect(AxisProbe(.generation(.constantOfShape), [[2]], [["n", 5]]).text == "a -> n b")
    #expect(AxisProbe(.generation(.range), [[], [], []], [[5]]).text == ", ,  -> 5")
  }

  @Test("every operator gives each result its axes once, whatever its operands are", arguments: Operator.all)
  func complete(_ operation: Operator) throws {
    let signature = try #require(operation.rules).signature
    var faults: [String] = []
    for rank in 0...5 {
      for inputs in signature.inputs.lowerBound...min(signature.inputs.upperBound, signature.inputs.lowerBound + 4) {
        for outputs in signature.outputs.lowerBound...min(signature.outputs.upperBound, 4) {
          let shape = Array(repeating: Extent(4), count: rank)
          let probe = AxisProbe(
            operation, Array(repeating: shape, count: inputs), Array(repeating: shape, count: outputs))
          if !probe.timesGiven.allSatisfy({ $0 == 1 }) { faults.append("rank \(rank): \(probe.text)") }
        }
      }
    }
    #expect(faults == [])
  }
}
