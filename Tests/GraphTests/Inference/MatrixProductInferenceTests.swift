import Graph
import Testing

@Suite("Types of matrix products")
struct MatrixProductInferenceTests {
  @Test(
    "as numpy multiplies",
    arguments: [
      ("f32[2, 3]; f32[3, 5]", "f32[2, 5]"),
      ("f32[n, s, 192]; f32[192, 10]", "f32[n, s, 10]"),
      ("f32[n, 1, s, 16]; f32[4, 16, s]", "f32[n, 4, s, s]"),
      ("f32[3]; f32[3]", "f32[]"),
      ("f32[3]; f32[7, 3, 5]", "f32[7, 5]"),
      ("f32[7, 2, 3]; f32[3]", "f32[7, 2]"),
    ])
  func product(operands: String, expected: String) {
    #expect(inferred("MatMul", operands) == expected)
  }

  @Test("contracted numbers must be equal, contracted symbols may be")
  func contraction() {
    #expect(
      inferred("MatMul", "f32[2, 12]; f32[16, 5]")
        == "failure: the left operand contracts 12 numbers, the right one 16: shapes [2, 12] and [16, 5]")
    #expect(inferred("MatMul", "f32[2, s]; f32[t, 5]") == "f32[2, 5]")
    #expect(inferred("MatMul", "f32[]; f32[3, 5]") == "failure: a scalar cannot be an operand of a matrix product")
    #expect(
      inferred("MatMul", "f32[2, 4, 3]; f32[3, 3, 5]") == "failure: shapes [2] and [3] do not broadcast: 2 meets 3")
  }

  @Test("gemm transposes, and its bias broadcasts to the result")
  func gemm() {
    #expect(inferred("Gemm", "f32[n, 8]; f32[10, 8]; f32[10]", [.transB: .int(1)]) == "f32[n, 10]")
    #expect(inferred("Gemm", "f32[8, n]; f32[8, 10]; f32[n, 1]", [.transA: .int(1)]) == "f32[n, 10]")
    #expect(
      inferred("Gemm", "f32[n, 8]; f32[8, 10]; f32[9]") == "failure: the bias of shape [9] does not broadcast to [n, 10]")
    #expect(
      inferred("Gemm", "f32[n, 8]; f32[10, 8]")
        == "failure: the left operand contracts 8 numbers, the right one 10: f32[n, 8] and f32[10, 8]")
    #expect(
      inferred("Gemm", "f32[n, 2, 8]; f32[8, 10]")
        == "failure: the left operand is f32[n, 2, 8], with 3 axes where 2 are expected")
  }

  @Test("integer products widen, quantised ones take the type of the result's zero point")
  func quantised() {
    #expect(inferred("MatMulInteger", "u8[2, 3]; i8[3, 5]; u8[]; i8[5]") == "i32[2, 5]")
    #expect(inferred("QLinearMatMul", "u8[2, 3]; f32[]; u8[]; i8[3, 5]; f32[]; i8[]; f32[]; u8[]") == "u8[2, 5]")
  }

  @Test("a fused product transposes matrices and batches first")
  func fused() {
    let name = "com.microsoft.FusedMatMul"
    #expect(inferred(name, "f32[n, 5, 8]; f32[n, 6, 8]", [.transB: .int(1)]) == "f32[n, 5, 6]")
    #expect(inferred(name, "f32[2, 3, 4, 5]; f32[3, 4, 5, 7]", [.transBatchA: .int(1)]) == "f32[3, 4, 2, 7]")
    #expect(
      inferred(name, "f32[2, 3, 4, 5]; f32[3, 4, 2, 7]", [.transBatchA: .int(1), .transA: .int(1)]) == "f32[3, 4, 5, 7]")
  }

  @Test("a fused gemm is a gemm; a quantised one is real without a zero point of the result")
  func fusedGemm() {
    let fused: KeyValuePairs<AttributeName, AttributeValue> = [
      .transB: .int(1), .activation: .string("LeakyRelu"), .activationAlpha: .float(0.1),
    ]
    #expect(inferred("com.microsoft.FusedGemm", "f32[n, 8]; f32[10, 8]; f32[10]", fused) == "f32[n, 10]")
    let name = "com.microsoft.QGemm"
    let operands = "u8[n, 8]; f32[]; u8[]; i8[8, 10]; f32[10]; i8[10]; i32[10]"
    #expect(inferred(name, operands + "; f32[]; u8[]") == "u8[n, 10]")
    #expect(inferred(name, operands) == "f32[n, 10]")
    #expect(
      inferred(name, "u8[n, 8]; f32[]; u8[]; i8[8, 10]; f32[]; i8[]; i32[9]")
        == "failure: the bias of shape [9] does not broadcast to [n, 10]")
  }

  @Test("products of quantised operands with a real result, and a bias that broadcasts")
  func scaled() {
    let dynamic = "com.microsoft.DynamicQuantizeMatMul"
    #expect(inferred(dynamic, "f32[n, s, 8]; i8[8, 10]; f32[10]; i8[10]; f32[1, 10]") == "f32[n, s, 10]")
    #expect(
      inferred(dynamic, "f32[n, 8]; i8[8, 10]; f32[]; -; f32[9]")
        == "failure: the bias of shape [9] does not broadcast to [n, 10]")
    let real = "com.microsoft.MatMulIntegerToFloat"
    #expect(inferred(real, "u8[n, 8]; i8[8, 10]; f32[]; f32[]") == "f32[n, 10]")
    #expect(inferred(real, "u8[n, 8]; i8[8, 10]; f32[]; f32[]; u8[]; i8[]; f32[10]") == "f32[n, 10]")
  }

  @Test("packed weights hold as many bytes as K, N and the blocks say")
  func packed() {
    func product(_ operands: String) -> String {
      inferred(
        "com.microsoft.MatMulNBits", operands,
        [.packedContracted: .int(40), .packedResults: .int(5), .bits: .int(4), .blockSize: .int(32)])
    }
    #expect(product("f32[n, s, 40]; u8[5, 2, 16]; f32[10]; u8[5]") == "f32[n, s, 5]")
    #expect(product("f32[n, s, 40]; u8[5, 2, 16]; f32[5, 2]; -; -; f32[5]") == "f32[n, s, 5]")
    #expect(product("f32[n, 41]; u8[5, 2, 16]; f32[10]") == "failure: the input contracts 41 numbers, K is 40")
    #expect(
      product("f32[n, 40]; u8[4, 2, 16]; f32[10]")
        == "failure: the weight is u8[4, 2, 16], 128 numbers where 160 are expected")
  }

  @Test(
    "einsum, with and without a result and an ellipsis",
    arguments: [
      ("bhid,bhjd->bhij", "f32[n, 4, s, 16]; f32[n, 4, t, 16]", "f32[n, 4, s, t]"),
      ("ij,jk", "f32[2, 3]; f32[3, 4]", "f32[2, 4]"),
      ("ba", "f32[2, 3]", "f32[3, 2]"),
      ("...ij, ...jk -> ...ik", "f32[7, 2, 3]; f32[5, 1, 3, 4]", "f32[5, 7, 2, 4]"),
      ("...i,i", "f32[7, 2, 3]; f32[3]", "f32[7, 2]"),
      ("ii->i", "f32[3, 3]", "f32[3]"),
      ("ij->", "f32[3, 4]", "f32[]"),
    ])
  func einsum(equation: String, operands: String, expected: String) {
    #expect(inferred("Einsum", operands, [.equation: .string(equation)]) == expected)
  }

  @Test(
    "an equation that does not fit is refused",
    arguments: [
      ("ij,jk->ik", "f32[2, 3]; f32[4, 5]", "failure: extents 3 and 4 do not broadcast"),
      ("ij->ik", "f32[2, 3]", "failure: the equation ij->ik cannot be read"),
      ("i1->i", "f32[2, 3]", "failure: the equation i1->i cannot be read"),
      ("ijk->i", "f32[2, 3]", "failure: operand 0 is f32[2, 3], which does not fit its term of the equation ijk->i"),
      ("ij->i", "f32[2, 3]; f32[2]", "failure: the equation ij->i has 1 operands, the node 2"),
    ])
  func badEinsum(equation: String, operands: String, expected: String) {
    #expect(inferred("Einsum", operands, [.equation: .string(equation)]) == expected)
  }
}
