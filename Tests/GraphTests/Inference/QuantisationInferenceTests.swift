import Graph
import Testing

@Suite("Types of quantisation")
struct QuantisationInferenceTests {
  @Test("the result's type: zero point, else attribute, else the default")
  func elementTypes() {
    #expect(inferred("QuantizeLinear", "f32[n, 3]; f32[]") == "u8[n, 3]")
    #expect(inferred("QuantizeLinear", "f32[n, 3]; f32[]; i8[]") == "i8[n, 3]")
    #expect(inferred("QuantizeLinear", "f32[n, 3]; f32[]", [.outputDataType: .int(22)]) == "i4[n, 3]")
    #expect(
      inferred("QuantizeLinear", "f32[n, 3]; f32[]; i8[]", [.outputDataType: .int(2)])
        == "failure: output_dtype is u8, the zero point is i8")
    #expect(inferred("DequantizeLinear", "i8[n, 3]; f16[]") == "f16[n, 3]")
    #expect(inferred("DequantizeLinear", "i8[n, 3]; f16[]", [.outputDataType: .int(1)], opset: 23) == "f32[n, 3]")
    #expect(inferred("DynamicQuantizeLinear", "f32[n, 3]", results: 3) == "u8[n, 3]; f32[]; u8[]")
  }

  @Test("scales: one number, one per index of an axis, or one per block")
  func scales() {
    let name = "DequantizeLinear"
    #expect(inferred(name, "i8[n, 6]; f32[6]; i8[6]") == "f32[n, 6]")
    #expect(inferred(name, "i8[6, n]; f32[6]", [.axis: .int(0)]) == "f32[6, n]")
    #expect(inferred(name, "i8[6]; f32[6]") == "f32[6]")
    #expect(inferred(name, "i8[6, 40]; f32[6, 2]", [.axis: .int(-1), .blockSize: .int(32)]) == "f32[6, 40]")
    #expect(
      inferred(name, "i8[4, 6]; f32[5]") == "failure: the scale holds 5 numbers, axis 1 of the input i8[4, 6] has 6")
    #expect(
      inferred(name, "i8[6, 40]; f32[6, 3]", [.axis: .int(1), .blockSize: .int(32)])
        == "failure: the scale f32[6, 3] has 3 on axis 1, the input i8[6, 40] in blocks of 32 needs 2")
    #expect(
      inferred(name, "i8[6, 40]; f32[6, 2]")
        == "failure: the scale is f32[6, 2], neither one number nor a list; a scale of blocks needs block_size")
    #expect(
      inferred(name, "i8[n, 6]; f32[6]; i8[5]") == "failure: the zero point is i8[5], the scale f32[6]: 5 numbers against 6")
  }
}
