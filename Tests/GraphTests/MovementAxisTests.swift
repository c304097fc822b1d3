import Testing

@testable import Graph

@Suite("Axis rules of reshaping, joining and indexing")
struct MovementAxisTests {
  private func reshape(_ from: [Extent], _ to: [Extent]) -> String { AxisProbe(.reshaping(.reshape), [from, [4]], [to]).text }

  @Test("reshape: factors are regrouped, and equal axes pass")
  func reshapes() {
    #expect(reshape(["n", 17, 1152], ["n", 17, 3, 6, 64]) == "n a (b c d), 4 -> n a b c d")
    #expect(reshape([2, 6, 64], [2, 384]) == "a b c, 4 -> a (b c)")
    #expect(reshape(["n", 6, 17, 64], ["n*6", 17, 64]) == "n a b c, 4 -> (n a) b c", "a symbolic axis may hold a group")
    #expect(reshape([1, 6, 1, 1], [6]) == "1 a 1 1, 4 -> a")
    #expect(reshape(["n", 16, 5, 5], ["n", 400]) == "n a b c, 4 -> n (a b c)")
    #expect(reshape([4, 6], [6, 4]) == "4 6, 4 -> 6 4", "what does not factor is frozen")
    #expect(reshape(["n", 6], ["m", 6]) == "n a, 4 -> m a")
  }

  @Test("reshape: heads go into a batch of symbolic length, where they stand behind it")
  func foldsHeads() {
    #expect(reshape(["s", "n", 24], ["s", "4*n", 6]) == "s n (a b), 4 -> s (n a) b")
    #expect(reshape([24, "n"], [6, "4*n"]) == "(a b) n, 4 -> a (b n)")
    #expect(reshape([24, "n", 6], ["5*n", "p"]) == "24 n 6, 4 -> 5*n p", "what does not factor stays")
  }

  @Test("reshape: a length of the exporter's example stands for the symbol it was")
  func example() {
    #expect(reshape(["s", "n", 24], [7, "4*n", 6]) == "s n (a b), 4 -> 7 (n a) b")
    #expect(reshape(["s", 4, 6], [7, 24]) == "s a b, 4 -> 7 (a b)")
    #expect(reshape([7, 24], ["s", 4, 6]) == "7 (a b), 4 -> s a b")
    #expect(reshape(["s", "n", 24], [7, 9, 4, 6]) == "s n 24, 4 -> 7 9 4 6", "two lengths are one too many")
  }

  @Test("transpose, squeeze and unsqueeze move axes")
  func moves() {
    #expect(
      AxisProbe(.reshaping(.transpose), [[2, 3, 4]], [[4, 2, 3]], attributes: [.init(.perm, .ints([2, 0, 1]))]).text
        == "a b c -> c a b")
    #expect(AxisProbe(.reshaping(.squeeze), [[2, 1, 4], [1]], [[2, 4]], numbers: [1: [1]]).text == "a 1 b, 1 -> a b")
    #expect(
      AxisProbe(.reshaping(.unsqueeze), [[2, 4], [2]], [[1, 2, 4, 1]], numbers: [1: [0, -1]]).text == "a b, 2 -> 1 a b 1")
  }

  @Test("expand makes a new group of what was one; tile repeats")
  func repetition() {
    let expand = AxisProbe(.reshaping(.expand), [[2, 1, 5], [3]], [[2, 4, 5]])
    #expect(expand.text == "a 1 b, 3 -> a c b" && expand.roles == ["repeated c"])
    #expect(AxisProbe(.reshaping(.expand), [[1, 5], [2]], [["n", 5]]).text == "1 a, 2 -> n a")
    #expect(AxisProbe(.reshaping(.tile), [[2, 5], [2]], [[2, 15]], numbers: [1: [1, 3]]).text == "a b, 2 -> a (c b)")
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

  @Test("space to depth in both orders")
  func space() {
    func probe(_ mode: String) -> String {
      AxisProbe(
        .reshaping(.spaceToDepth), [[2, 4, 12, 15]], [[2, 36, 4, 5]],
        attributes: [.init(.blocksize, .int(3)), .init(.mode, .string(mode))]
      ).text
    }
    #expect(probe("DCR") == "a b 12 15 -> a (3 3 b) 4 5")
    #expect(probe("CRD") == "a b 12 15 -> a (b 3 3) 4 5")
  }

  @Test("concat is a sum; empty parts do not count; split cuts")
  func concat() {
    let axis: [Attributes.Entry] = [.init(.axis, .int(1))]
    #expect(AxisProbe(.joining(.concat), [[2, 6], [2, 4]], [[2, 10]], attributes: axis).text == "a b, a c -> a (b | c)")
    #expect(AxisProbe(.joining(.concat), [[2, 6], [2, 0]], [[2, 6]], attributes: axis).text.hasSuffix("-> a b"))
    #expect(AxisProbe(.joining(.split), [[2, 10]], [[2, 6], [2, 4]], attributes: axis).text == "a (b | c) -> a b, a c")
    #expect(
      AxisProbe(.joining(.split), [[2, 10], [2]], [nil, [2, 4]], attributes: axis, numbers: [1: [6, 4]]).text
        == "a (b | c), 2 -> -, a c")
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
    #expect(pad("constant") == "a b, 4 -> a (c | b | d)")
    #expect(pad("reflect") == "a 8, 4 -> a 16")
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
    #expect(gather(6, [0, 1, 2, 3, 4, 5], [6]).text == "a b, b -> a b", "the constant goes along")
    #expect(gather(9, [5, 6, 7, 8, 0, 1, 2, 3, 4], [9]).text == "a (b | c), (c | b) -> a (c | b)")
    #expect(gather(6, [0, 1, 2, 3, 4, 5], [1, 6, 1, 1]).text == "a b, 1 b 1 1 -> a 1 b 1 1")
    #expect(gather(10, [0, 2, 4, 6, 8], [5]).text == "a (b 2), b -> a b")
    #expect(gather(12, [3, 1, 7, 5, 11, 9, 2, 0, 8, 6], [10]).text == "a 12, 10 -> a 10", "no runs")
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
    #expect(table.text == "(16 | a) b, 16 -> 16 b")
    #expect(table.roles.count == 1 && table.roles[0].hasPrefix("tableRows"))
  }

  @Test("scatter and gather of a constant box cut it; data freezes")
  func boxes() {
    let numbers = KnownValue(shape: [3, 1], entries: (4..<7).map { .whole(Extent($0)) })
    let scatter = AxisProbe(
      .indexing(.scatterND), [[9, 5], [3, 1], [3, 5]], [[9, 5]], known: numbers.map { [1: $0] } ?? [:])
    #expect(scatter.text == "(a | b | c) d, b 1, b d -> (a | b | c) d")
    #expect(
      AxisProbe(.indexing(.scatterND), [[9, 5], [3, 1], [3, 5]], [[9, 5]]).text == "9 a, 3 1, 3 a -> 9 a",
      "a missing update would leave what was there")
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
        == "a, 1, 2, b -> a b")
    #expect(AxisProbe(.indexing(.oneHot), [[7], [1], [2]], [[7, 4]], element: .i64).text == "a, 1, 2 -> a 4")
  }

  @Test("elements: other axes run along, the indexed one freezes")
  func elements() {
    let axis: [Attributes.Entry] = [.init(.axis, .int(1))]
    #expect(
      AxisProbe(.indexing(.gatherElements), [[2, 9, 5], [2, 3, 5]], [[2, 3, 5]], attributes: axis).text == "a 9 b, a c b -> a c b"
    )
    #expect(
      AxisProbe(.indexing(.scatterElements), [[2, 9], [2, 3], [2, 3]], [[2, 9]], attributes: axis).text == "a 9, a 3, a 3 -> a 9")
  }
}
