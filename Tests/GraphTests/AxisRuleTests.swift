import Testing

@testable import Graph

@Suite("Axis rules as text")
struct AxisRuleTests {
  @Test(
    "a rule prints as it was written",
    arguments: [
      "n (g i) !*s, (g o) i !*k, (g o) -> n (g o) *t", "*b m k, *b k n -> *b m n", "k, k ->", "b s (#2 p | r), ?*_ -> b ^s +z",
      "b (k r d | k d | k e), ?(g o) -> *b 1 *1", "^_ p, ^*_ -> p", "x (a (b | c)) -> (a b | a c)",
    ])
  func roundTrip(_ text: String) throws {
    let rule = try AxisRule(parsing: text)
    #expect(rule.description == text)
    #expect(try AxisRule(parsing: rule.description) == rule)
  }

  @Test("blanks and needless brackets do not count")
  func normalForm() throws {
    #expect(try AxisRule(parsing: " a   b,c->( (a b) )  c ").description == "a b, c -> (a b) c")
  }

  @Test(
    "what is no rule is refused with the column of the fault",
    arguments: [
      ("a b", 4), ("a -> b -> c", 8), ("(a b -> c", 6), ("a, () -> b", 5), ("a (*b) -> c", 4), ("3a -> a", 3), ("a ! -> b", 4),
      ("0 -> a", 2), ("*(a b) -> a", 2), ("a | b -> c", 3),
    ])
  func faults(_ text: String, _ column: Int) {
    #expect {
      try AxisRule(parsing: text)
    } throws: { error in
      (error as? Diagnostic)?.place == .text(line: 1, column: column)
    }
  }

  @Test("every rule of the families reads back as itself")
  func families() throws {
    let rules =
      [
        Convolution.convolutionRule, Convolution.fusedRule, Convolution.transposedRule, Convolution.integerRule,
        Convolution.quantisedRule, Convolution.deformableRule, MatrixProduct.matrixRule, MatrixProduct.vectorMatrixRule,
        MatrixProduct.matrixVectorRule, MatrixProduct.vectorRule, MatrixProduct.quantisedRule, MatrixProduct.integerRule,
        MatrixProduct.packedRule,
        Normalisation.passRule, Normalisation.batchRule, Normalisation.instanceRule, Normalisation.groupRule,
        Normalisation.groupwiseRule, Normalisation.localRule, Normalisation.layerRule, Normalisation.skipRule,
        Normalisation.simplifiedSkipRule, Normalisation.embedRule, Reshaping.depthFirstRule, Reshaping.columnFirstRule,
        Reshaping.spaceRule, Pooling.globalRule, Pooling.windowRule, Pooling.sampleRule, Pooling.regionRule,
        Pooling.alignedRegionRule, Pooling.unpoolRule, Pooling.gridRule, Pooling.frameRule, Recurrence.longShortTermRule,
        Recurrence.longShortTermBatchFirstRule, Recurrence.gatedRule, Recurrence.gatedBatchFirstRule, Recurrence.plainRule,
        Recurrence.plainBatchFirstRule, AttentionFamily.flatRule, AttentionFamily.headedRule, AttentionFamily.packedMultiHeadRule,
        AttentionFamily.groupQueryRule, AttentionFamily.packedGroupQueryRule, AttentionFamily.encodedCacheRule,
        AttentionFamily.packedEncodedCacheRule, AttentionFamily.packedRule, AttentionFamily.packedCacheRule,
        AttentionFamily.quantisedRule, Quantisation.dynamicRule,
      ] + MatrixProduct.gemmRules + MatrixProduct.fusedRules + AttentionFamily.multiHeadRules.joined()
      + AttentionFamily.rotaryRules.joined() + AttentionFamily.microsoftRotaryRules.joined()
    for rule in rules { #expect(try AxisRule(parsing: rule.description) == rule) }
  }

  @Test("a name in several places is one layout")
  func names() {
    #expect(AxisProbe("m k, k n -> m n", [[2, 3], [3, 4]], [[2, 4]]).text == "a b, b c -> a c")
  }

  @Test("extents of factors follow from other operands and from sizes")
  func factors() {
    let rule: AxisRule = "n (g i), (g o) i -> n (g o)"
    #expect(AxisProbe(rule, [[2, 12], [8, 3]], [[2, 8]]).text == "a (b c), (b d) c -> a (b d)")
    #expect(
      AxisProbe(rule, [[2, 12], [8, 12]], [[2, 8]], sizes: ["g": 1]).text == "a b, c b -> a c", "a factor of one vanishes")
    #expect(AxisProbe(rule, [[2, 12], [8, 5]], [[2, 8]]).text == "2 12, 8 5 -> 2 8", "what does not fit is frozen")
  }

  @Test("a sum is cut where its parts end, and one name in two parts is one group")
  func sums() {
    #expect(
      AxisProbe("i (h d | h d | h e), h -> (h e)", [[4, 30], [3]], [[12]], sizes: ["d": 3, "e": 4]).text
        == "a (b c | b c | b d), b -> (b d)")
  }

  @Test("runs are aligned from the right, and an axis of one that is broadcast takes part in nothing")
  func runs() {
    let rule: AxisRule = "*b m, *b m -> *b m"
    #expect(AxisProbe(rule, [[2, 5, 3], [5, 3]], [[2, 5, 3]]).text == "a b c, b c -> a b c")
    #expect(AxisProbe(rule, [[2, 1, 3], [5, 3]], [[2, 5, 3]]).text == "a 1 b, c b -> a c b")
    #expect(AxisProbe(rule, [[2, 7, 3], [1, 1]], [[2, 7, 3]]).text == "a b c, 1 1 -> a b c", "plain names broadcast too")
    #expect(AxisProbe(rule, [["b", 3], ["b", 3]], [["b", 3]]).text == "b a, b a -> b a", "symbols match by name")
  }

  @Test("an operand that may lack leading axes, or is left out")
  func optional() {
    let rule: AxisRule = "m k, k n, ?m n -> m n"
    #expect(AxisProbe(rule, [[2, 3], [3, 4], nil], [[2, 4]]).text == "a b, b c, - -> a c")
    #expect(AxisProbe(rule, [[2, 3], [3, 4], [4]], [[2, 4]]).text == "a b, b c, c -> a c")
    #expect(AxisProbe(rule, [[2, 3], [3, 4], []], [[2, 4]]).text == "a b, b c,  -> a c")
    #expect(AxisProbe("m, m n -> m n", [[2], [3]], [[3, 4]]).text == "2, 3 -> 3 4", "without the mark all axes must be there")
  }

  @Test("marks freeze what they stand before, and nothing else")
  func marks() {
    #expect(AxisProbe("n !*s -> n *t", [[2, 5, 6]], [[2, 4, 4]]).text == "a 5 6 -> a 4 4")
    #expect(AxisProbe("^t b -> t b", [[2, 5]], [[2, 5]]).text == "2 a -> 2 a")
    #expect(AxisProbe("n (#g i) -> n i", [[2, 6]], [[2, 3]], sizes: ["g": 2]).text == "a (2 b) -> a b")
    #expect(AxisProbe("n -> n +z", [[2]], [[2, 9]]).text == "a -> a b")
    #expect(AxisProbe("n -> n z", [[2]], [[2, 9]]).text == "a -> a 9", "a name in results alone is fixed unless it is marked")
    #expect(
      AxisProbe("n *_, ^*_ -> n", [[2, 5], [6, 7]], [[2]]).text == "a b, 6 7 -> a", "ignored axes stay free, marked ones do not")
  }

  @Test("a result that the shapes do not bear out keeps all its indices, and so does what it was made of")
  func mismatch() {
    #expect(AxisProbe("a b -> b a", [[2, 3]], [[2, 3]]).text == "2 3 -> 2 3")
  }

  @Test("results nobody asked for are skipped, all others are given axes once")
  func results() {
    let probe = AxisProbe("a b -> a, b, a b", [[2, 3]], [[2], nil, [2, 3]])
    #expect(probe.text == "a b -> a, -, a b")
    #expect(probe.timesGiven == [1, 0, 1])
  }
}
