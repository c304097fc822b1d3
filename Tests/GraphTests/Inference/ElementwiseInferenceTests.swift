import Graph
import Testing

@Suite("Types of elementwise operators")
struct ElementwiseInferenceTests {
  @Test(
    "operands broadcast from the right",
    arguments: [
      ("f32[8, 3, 32]; f32[8, 3, 32]", "f32[8, 3, 32]"),
      ("f32[8, 3, 32]; f32[3, 1]", "f32[8, 3, 32]"),
      ("f32[8, 1]; f32[1, 5]", "f32[8, 5]"),
      ("f32[]; f32[4]", "f32[4]"),
      ("f32[n, 3]; f32[1, 3]", "f32[n, 3]"),
      ("f32[n, 3]; f32[8, 3]", "f32[8, 3]"),
      ("f32[n, 3]; f32[m, 3]", "f32[n, 3]"),
      ("f32[0, 3]; f32[1, 3]", "f32[0, 3]"),
      ("f32[?x.0.0, 3]; f32[m, 3]", "f32[m, 3]"),
      ("f32[2*s+1]; f32[2*s+1]", "f32[2*s+1]"),
    ])
  func broadcast(operands: String, expected: String) {
    #expect(inferred("Add", operands) == expected)
  }

  @Test("different numbers do not broadcast")
  func noBroadcast() {
    #expect(
      inferred("Add", "f32[8, 3]; f32[8, 4]") == "failure: shapes [8, 3] and [8, 4] do not broadcast: 3 meets 4")
    #expect(inferred("Max", "f32[2]; f32[1]; f32[3]") == "failure: shapes [2] and [3] do not broadcast: 2 meets 3")
    #expect(
      inferred("PRelu", "f32[n, 8, 4, 4]; f32[7, 1, 1]")
        == "failure: the slope of shape [7, 1, 1] does not broadcast to [n, 8, 4, 4]")
    #expect(inferred("PRelu", "f32[8, 4]; f32[2, 8, 4]") == "failure: the slope of shape [2, 8, 4] does not broadcast to [8, 4]")
  }

  @Test("comparisons give truth values, and a choice takes the type of what it chooses from")
  func truthValues() {
    #expect(inferred("Less", "f32[n, 3]; f32[3]") == "bool[n, 3]")
    #expect(inferred("IsNaN", "f16[n]") == "bool[n]")
    #expect(inferred("And", "bool[4]; bool[1]") == "bool[4]")
    #expect(inferred("Where", "bool[4, 1]; f32[]; f32[3]") == "f32[4, 3]")
    #expect(inferred("Where", "f32[4]; f32[4]; f32[4]") == "failure: the condition is f32[4], which holds no truth values")
  }

  @Test("operands are of one type, except an exponent")
  func elementTypes() {
    #expect(
      inferred("Mul", "f32[3]; f16[3]")
        == "failure: operands of f32 and f16 meet, which must be of one type; cast one of them")
    #expect(inferred("Pow", "f32[3]; i64[]") == "f32[3]")
    #expect(inferred("Add", "unknown[3]; f32[3]") == "f32[3]")
  }

  @Test("a cast gives what it names")
  func casts() {
    #expect(inferred("Cast", "f32[n, 3]", [.to: .int(7)]) == "i64[n, 3]")
    #expect(inferred("Cast", "f32[3]", [.to: .int(99)]) == "failure: to is 99, which is no element type of ONNX")
    #expect(inferred("Cast", "f32[3]") == "failure: the attribute to is missing")
    #expect(inferred("CastLike", "f32[3]; bf16[9]") == "bf16[3]")
    for element in ElementType.allCases where element != .unknown { #expect(ElementType(onnxCode: element.onnxCode) == element) }
    #expect(ElementType(onnxCode: 0) == nil)
  }

  @Test("bounds are one number each; a bias is as long as the last axis")
  func smallOperands() {
    #expect(inferred("Clip", "f32[n, 3]; -; f32[]") == "f32[n, 3]")
    #expect(inferred("Clip", "f32[n, 3]; f32[3]") == "failure: the lower bound holds 3 numbers where one is expected")
    #expect(inferred("com.microsoft.BiasGelu", "f32[n, 8]; f32[8]") == "f32[n, 8]")
    #expect(inferred("com.microsoft.FastGelu", "f32[n, 8]") == "f32[n, 8]")
    #expect(
      inferred("com.microsoft.FastGelu", "f32[n, 8]; f32[7]") == "failure: the bias holds 7 numbers where 8 are expected")
  }

  @Test("dropout's second result is the mask")
  func dropout() {
    #expect(inferred("Dropout", "f16[n, 3]; f32[]", results: 2) == "f16[n, 3]; bool[n, 3]")
  }
}
