import Graph
import Testing

@Suite("Types of norms")
struct NormalisationInferenceTests {
  @Test("a batch norm has one scale, bias, mean and variance per channel")
  func batchNorm() {
    let name = "BatchNormalization"
    #expect(inferred(name, "f16[n, 8, 4, 4]; f16[8]; f16[8]; f32[8]; f32[8]", results: 3) == "f16[n, 8, 4, 4]; f32[8]; f32[8]")
    #expect(inferred(name, "f32[n]; f32[1]; f32[1]; f32[1]; f32[1]") == "f32[n]")
    #expect(
      inferred(name, "f32[n, 8, 4]; f32[8]; f32[8]; f32[7]; f32[8]")
        == "failure: the mean holds 7 numbers where 8 are expected")
  }

  @Test("a group norm has one scale per channel since version 21, one per group before")
  func groupNorm() {
    let name = "GroupNormalization"
    let groups: KeyValuePairs<AttributeName, AttributeValue> = [.numGroups: .int(2)]
    #expect(inferred(name, "f32[n, 8, 4]; f32[8]; f32[8]", groups) == "f32[n, 8, 4]")
    #expect(inferred(name, "f32[n, 8, 4]; f32[2]; f32[2]", groups, opset: 18) == "f32[n, 8, 4]")
    #expect(inferred(name, "f32[n, 8, 4]; f32[2]; f32[2]", groups) == "failure: the scale holds 2 numbers where 8 are expected")
    #expect(
      inferred(name, "f32[n, 8, 4]; f32[8]; f32[8]", [.numGroups: .int(3)])
        == "failure: channels of the input are 8, which is not a multiple of num_groups 3")
    #expect(inferred(name, "f32[n, 8, 4]; f32[8]; f32[8]") == "failure: the attribute num_groups is missing")
  }

  @Test("a layer norm gives statistics over the axes before the normalised ones")
  func layerNorm() {
    let name = "LayerNormalization"
    #expect(inferred(name, "f16[n, s, 8]; f16[8]; f16[8]", results: 3) == "f16[n, s, 8]; f32[n, s, 1]; f32[n, s, 1]")
    #expect(inferred(name, "f32[n, 4, 8]; f32[4, 8]", [.axis: .int(1)], results: 2) == "f32[n, 4, 8]; f32[n, 1, 1]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[9]") == "failure: the scale of shape [9] does not broadcast to [n, s, 8]")
    #expect(inferred(name, "f32[n, 8]; f32[8]", [.axis: .int(2)]) == "failure: axis 2 is outside a tensor of 2 axes")
  }

  @Test("norms without a mean take the type of their scale")
  func rootMeanSquare() {
    #expect(inferred("RMSNormalization", "f16[n, s, 8]; f32[8]", opset: 23) == "f32[n, s, 8]")
    #expect(inferred("SimplifiedLayerNormalization", "f16[n, 8]; f16[8]", results: 2) == "f16[n, 8]; f32[n, 1]")
    #expect(
      inferred("RMSNormalization", "f32[n, 8]; f32[7]") == "failure: the scale of shape [7] does not broadcast to [n, 8]")
  }

  @Test("norms along axes keep the type; their axis must exist")
  func alongAxes() {
    #expect(inferred("InstanceNormalization", "f32[n, 8, 4]; f32[8]; f32[8]") == "f32[n, 8, 4]")
    #expect(
      inferred("InstanceNormalization", "f32[n, 8, 4]; f32[8]; f32[7]")
        == "failure: the bias holds 7 numbers where 8 are expected")
    #expect(inferred("LRN", "f32[n, 8, 4, 4]", [.size: .int(3)]) == "f32[n, 8, 4, 4]")
    #expect(inferred("LpNormalization", "f32[n, 8]") == "f32[n, 8]")
    #expect(inferred("MeanVarianceNormalization", "f32[n, 8, 4, 4]") == "f32[n, 8, 4, 4]")
    #expect(inferred("MeanVarianceNormalization", "f32[n, 8]") == "failure: axis 2 is outside a tensor of 2 axes")
    #expect(inferred("Softmax", "f32[n, 4, 8]", [.axis: .int(-3)]) == "f32[n, 4, 8]")
    #expect(inferred("Softmax", "f32[n]") == "f32[n]")
    // Before version 13 the default axis was 1.
    #expect(inferred("Softmax", "f32[n]", opset: 12) == "failure: axis 1 is outside a tensor of 1 axes")
  }

  @Test("a skip norm also gives the sum that it normalises")
  func skip() {
    let name = "com.microsoft.SkipLayerNormalization"
    #expect(
      inferred(name, "f16[n, s, 8]; f16[n, s, 8]; f16[8]; f16[8]; f16[8]", results: 4)
        == "f16[n, s, 8]; f32[n, s, 1]; f32[n, s, 1]; f16[n, s, 8]")
    #expect(inferred(name, "f32[n, s, 8]; f32[s, 8]; f32[8]") == "f32[n, s, 8]")
    #expect(
      inferred(name, "f32[n, s, 8]; f32[n, s, 8]; f32[8]; f32[6]") == "failure: beta holds 6 numbers where 8 are expected")
    let simplified = "com.microsoft.SkipSimplifiedLayerNormalization"
    #expect(inferred(simplified, "f32[t, 8]; f32[t, 8]; f32[8]; f32[8]", results: 4).hasSuffix("; f32[t, 8]"))
    #expect(
      inferred(simplified, "f32[t, 8]; f32[t, 9]; f32[8]") == "failure: the skip of shape [t, 9] does not broadcast to [t, 8]")
  }

  @Test("an embedding norm reads tables of one width")
  func embedding() {
    let name = "com.microsoft.EmbedLayerNormalization"
    #expect(
      inferred(name, "i32[n, s]; i32[n, s]; f32[99, 8]; f32[64, 8]; f32[2, 8]; f32[8]; f32[8]; i32[n, s]", results: 3)
        == "f32[n, s, 8]; i32[n]; f32[n, s, 8]")
    #expect(
      inferred(name, "i32[n, s]; -; f32[99, 8]; f32[64, 6]; -; f32[8]; f32[8]")
        == "failure: the position embedding is 6 wide, the word embedding 8")
  }
}
