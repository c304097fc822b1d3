import Graph
import Testing

@Suite("Types of fused attention")
struct AttentionInferenceTests {
  private let heads: KeyValuePairs<AttributeName, AttributeValue> = [.qNumHeads: .int(4), .kvNumHeads: .int(2)]
  private let two: KeyValuePairs<AttributeName, AttributeValue> = [.numHeads: .int(2)]

  @Test("heads side by side (3 axes) or on their own axis (4), with a past")
  func standard() {
    #expect(
      inferred("Attention", "f32[n, s, 32]; f32[n, t, 16]; f32[n, t, 24]", heads, results: 4)
        == "f32[n, s, 48]; f32[n, 2, t, 8]; f32[n, 2, t, 12]; f32[n, 4, s, t]")
    #expect(inferred("Attention", "f32[n, 4, s, 8]; f32[n, 2, t, 8]; f32[n, 2, t, 12]") == "f32[n, 4, s, 12]")
    #expect(
      inferred(
        "Attention", "f32[n, 4, s, 8]; f32[n, 4, s, 8]; f32[n, 4, s, 8]; f32[s, p+s]; f32[n, 4, p, 8]; f32[n, 4, p, 8]",
        results: 2)
        == "f32[n, 4, s, 8]; f32[n, 4, p+s, 8]")
  }

  @Test(
    "head counts, head sizes and positions must fit",
    arguments: [
      ("f32[n, 4, s, 8]; f32[n, 3, t, 8]; f32[n, 3, t, 8]", "failure: 4 query heads are not a multiple of 3 key and value heads"),
      ("f32[n, 4, s, 8]; f32[n, 2, t, 6]; f32[n, 2, t, 8]", "failure: heads of the query have 8 numbers, those of the key 6"),
      ("f32[n, 4, s, 8]; f32[n, 2, 5, 8]; f32[n, 2, 6, 8]", "failure: the key has 5 positions, the value 6"),
      ("f32[n, 4, s, 8]; f32[n, 2, t, 8]; f32[n, 4, t, 8]", "failure: the key has 2 heads, the value 4"),
      (
        "f32[n, s, 30]; f32[n, t, 16]; f32[n, t, 16]",
        "failure: hidden numbers of the query are 30, which is not a multiple of q_num_heads 4"
      ),
      (
        "f32[n, 4, s, 8]; f32[n, 2, t, 8]; f32[n, 2, t, 8]; f32[3, s, t]",
        "failure: the mask of shape [3, s, 1] does not broadcast to [n, 4, s, t]"
      ),
      ("f32[n, 4, s, 8]; f32[n, 2, 5, 8]; f32[n, 2, 5, 8]; f32[s, 6]", "failure: the mask f32[s, 6] covers 6 positions of 5"),
      (
        "f32[n, 4, s, 8]; f32[n, 2, t, 8]; f32[n, 2, t, 8]; -; f32[n, 4, p, 8]; f32[n, 4, p, 8]",
        "failure: the past key is f32[n, 4, p, 8] where [n, 2, p, 8] is expected"
      ),
    ])
  func mismatches(operands: String, expected: String) {
    #expect(inferred("Attention", operands, heads) == expected)
  }

  @Test("operands of three axes need head counts")
  func missingHeads() {
    #expect(
      inferred("Attention", "f32[n, s, 32]; f32[n, t, 16]; f32[n, t, 24]") == "failure: the attribute q_num_heads is missing")
  }

  @Test("rotary: tables hold one number per pair")
  func rotary() {
    #expect(inferred("RotaryEmbedding", "f32[n, 4, s, 8]; f32[99, 4]; f32[99, 4]; i64[n, s]") == "f32[n, 4, s, 8]")
    #expect(inferred("RotaryEmbedding", "f32[n, s, 32]; f32[n, s, 4]; f32[n, s, 4]", [.numHeads: .int(4)]) == "f32[n, s, 32]")
    #expect(
      inferred("RotaryEmbedding", "f32[n, 4, s, 8]; f32[99, 2]; f32[99, 2]; i64[n, s]", [.rotaryEmbeddingDim: .int(4)])
        == "f32[n, 4, s, 8]")
    #expect(
      inferred("RotaryEmbedding", "f32[n, 4, s, 8]; f32[99, 3]; f32[99, 3]; i64[n, s]")
        == "failure: the tables rotate 6 numbers, a head has 8")
    #expect(
      inferred("RotaryEmbedding", "f32[n, 4, s, 8]; f32[99, 4]; f32[98, 4]; i64[n, s]")
        == "failure: the cosine table is f32[99, 4], the sine table f32[98, 4]")
    let microsoft = "com.microsoft.RotaryEmbedding"
    #expect(inferred(microsoft, "f32[n, s, 32]; i64[n, s]; f32[99, 4]; f32[99, 4]") == "f32[n, s, 32]")
    #expect(
      inferred(microsoft, "f32[n, s, 30]; i64[n, s]; f32[99, 4]; f32[99, 4]")
        == "failure: hidden numbers are 30, not a multiple of the 8 that the tables rotate")
  }

  @Test("one weight for query, key and value")
  func packed() {
    let name = "com.microsoft.Attention"
    #expect(inferred(name, "f32[n, s, 8]; f32[8, 24]; f32[24]", two, results: 2) == "f32[n, s, 8]; f32[2, n, 2, s, 4]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[8, 20]; f32[20]", [.numHeads: .int(2), .qkvHiddenSizes: .ints([8, 8, 4])])
        == "f32[n, s, 4]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[8, 24]; f32[24]; -; f32[2, n, 2, p, 4]", two, results: 2)
        == "f32[n, s, 8]; f32[2, n, 2, p+s, 4]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[9, 24]; f32[24]", two) == "failure: the input has 8 hidden numbers, the weight expects 9")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[8, 24]; f32[24]", [.numHeads: .int(3)])
        == "failure: hidden numbers of the key are 8, which is not a multiple of num_heads 3")
    #expect(
      inferred("com.microsoft.QAttention", "u8[n, s, 8]; i8[8, 24]; f32[24]; f32[]; f32[]", two, results: 2)
        == "f32[n, s, 8]; f32[2, n, 2, s, 4]")
  }

  @Test("multi-head: keys and values apart, with heads on an axis, or packed")
  func multiHead() {
    let name = "com.microsoft.MultiHeadAttention"
    #expect(
      inferred(name, "f32[n, s, 8]; f32[n, t, 8]; f32[n, t, 12]; f32[28]", two, results: 4)
        == "f32[n, s, 12]; f32[n, 2, t, 4]; f32[n, 2, t, 6]; f32[n, 2, s, t]")
    #expect(inferred(name, "f32[n, s, 8]; f32[n, 2, t, 4]; f32[n, 2, t, 4]", two) == "f32[n, s, 8]")
    #expect(inferred(name, "f32[n, s, 2, 3, 4]", two) == "f32[n, s, 8]")
    #expect(inferred(name, "f32[n, s, 8]; f32[n, t, 2, 2, 4]", two) == "f32[n, s, 8]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[n, s, 8]; f32[n, s, 8]; -; -; -; f32[n, 2, p, 4]; f32[n, 2, p, 4]", two, results: 2)
        == "f32[n, s, 8]; f32[n, 2, p+s, 4]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[n, t, 6]; f32[n, t, 8]", two)
        == "failure: the key is f32[n, t, 6] where [n, t, 8] is expected")
  }

  @Test("grouped queries: the cache grows to the total length, or is a buffer that is longer")
  func groupQuery() {
    let name = "com.microsoft.GroupQueryAttention"
    let counts: KeyValuePairs<AttributeName, AttributeValue> = [.numHeads: .int(4), .kvNumHeads: .int(2)]
    let total: [Int: KnownValue] = [6: KnownValue(scalar: 6)]
    let tail = "; i32[n]; i32[]"
    #expect(
      inferred(
        name, "f32[n, 1, 32]; f32[n, 1, 16]; f32[n, 1, 16]; f32[n, 2, 5, 8]; f32[n, 2, 5, 8]" + tail, counts, known: total,
        results: 3)
        == "f32[n, 1, 32]; f32[n, 2, 6, 8]; f32[n, 2, 6, 8]")
    #expect(
      inferred(name, "f32[n, 1, 64]; -; -; f32[n, 2, 9, 8]; f32[n, 2, 9, 8]" + tail, counts, known: total, results: 2)
        == "f32[n, 1, 32]; f32[n, 2, 9, 8]")
    #expect(
      inferred(name, "f32[n, 1, 32]; f32[n, 1, 16]; f32[n, 1, 16]; f32[n, 2, p, 8]; f32[n, 2, p, 8]" + tail, counts, results: 2)
        == "f32[n, 1, 32]; f32[n, 2, ?y.1.2, 8]")
    #expect(
      inferred(name, "f32[n, 1, 32]; f32[n, 1, 24]; f32[n, 1, 16]; -; -" + tail, counts)
        == "failure: the key is f32[n, 1, 24] where [n, 1, 16] is expected")
    #expect(
      inferred(name, "f32[n, 1, 32]; f32[n, 1, 24]; f32[n, 1, 24]; -; -" + tail, [.numHeads: .int(4), .kvNumHeads: .int(3)])
        == "failure: 4 query heads are not a multiple of 3 key and value heads")
  }
}
