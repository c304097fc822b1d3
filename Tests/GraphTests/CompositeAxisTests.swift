import Testing

@testable import Graph

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
        == "a b 5, -, 3 -> a b 10")
    #expect(
      AxisProbe(.pooling(.resize), [[2, 6, 5], nil, [3]], [[2, 6, 10]]).text == "2 6 5, -, 3 -> 2 6 10", "unknown scales")
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
        [["n", "s", 384], nil, nil, ["n", 2, "p", 32], ["n", 2, "p", 32], ["n"], [1], [64, 16], [64, 16]],
        [["n", "s", 256], ["n", 2, "q", 32], ["n", 2, "q", 32]], attributes: grouped
      ).text
        == "n s (a b 2 c 8 | a 2 c 8 | a 2 c 8), -, -, n a p (2 c 8), n a p (2 c 8), n, 1, 64 (c 8), 64 (c 8) "
        + "-> n s (a b 2 c 8), n a q (2 c 8), n a q (2 c 8)")
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
    #expect(AxisProbe(.generation(.constantOfShape), [[2]], [["n", 5]]).text == "2 -> n a")
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
