import Graph
import Testing

@Suite("Types of convolutions")
struct ConvolutionInferenceTests {
  @Test("spatial axes follow from kernel, stride, dilation and pads")
  func spatial() {
    let image = "f32[n, 3, 32, 32]; f32[8, 3, 3, 3]; f32[8]"
    #expect(inferred("Conv", image) == "f32[n, 8, 30, 30]")
    #expect(inferred("Conv", image, [.pads: .ints([1, 1, 1, 1])]) == "f32[n, 8, 32, 32]")
    #expect(inferred("Conv", image, [.strides: .ints([2, 1]), .pads: .ints([1, 0, 0, 2])]) == "f32[n, 8, 16, 32]")
    #expect(inferred("Conv", image, [.dilations: .ints([2, 3])]) == "f32[n, 8, 28, 26]")
    #expect(inferred("Conv", image, [.strides: .ints([3, 3]), .autoPad: .string("SAME_UPPER")]) == "f32[n, 8, 11, 11]")
    #expect(inferred("Conv", image, [.autoPad: .string("VALID"), .pads: .ints([9, 9, 9, 9])]) == "f32[n, 8, 30, 30]")
    #expect(inferred("Conv", "f32[1, 2, 9]; f32[4, 2, 3]") == "f32[1, 4, 7]")
  }

  @Test("symbols are computed with, not lost")
  func symbolic() {
    let image = "f32[n, 3, h, 2*w]; f32[8, 3, 3, 3]"
    #expect(inferred("Conv", image, [.pads: .ints([1, 1, 1, 1])]) == "f32[n, 8, h, 2*w]")
    #expect(
      inferred("Conv", image, [.pads: .ints([1, 1, 1, 1]), .strides: .ints([2, 2])])
        == "f32[n, 8, floor((h-1)/2)+1, w]")
    #expect(
      inferred("Conv", "f32[n, 3, 16*h]; f32[8, 3, 16]", [.strides: .ints([16])]) == "f32[n, 8, h]")
  }

  @Test("groups: the weight's input axis is one group's share")
  func groups() {
    #expect(inferred("Conv", "f32[1, 12, 8]; f32[6, 4, 1]", [.group: .int(3)]) == "f32[1, 6, 8]")
    #expect(
      inferred("Conv", "f32[1, 12, 8]; f32[6, 5, 1]", [.group: .int(3)])
        == "failure: channels of the input are 12, the weight f32[6, 5, 1] expects 15 in 3 groups")
    #expect(
      inferred("Conv", "f32[1, 12, 8]; f32[6, 3, 1]", [.group: .int(5)])
        == "failure: channels of the input are 12, which is not a multiple of group 5")
    #expect(
      inferred("Conv", "f32[1, 12, 8]; f32[7, 4, 1]", [.group: .int(3)])
        == "failure: channels that the weight makes are 7, which is not a multiple of group 3")
    #expect(inferred("Conv", "f32[1, 12, 8]; f32[7, 4, 1]", [.group: .int(0)]) == "failure: group is 0, which is not positive")
  }

  @Test(
    "what does not fit is refused",
    arguments: [
      ("f32[1, 12, 8]; f32[6, 16, 1]", "failure: channels of the input are 12, the weight f32[6, 16, 1] expects 16"),
      ("f32[1, 3, 8]; f32[6, 3, 1]; f32[5]", "failure: the bias holds 5 numbers where 6 are expected"),
      ("f32[1, 3, 8]; f32[6, 3, 9]", "failure: a window of 9 does not fit spatial axis 0 of extent 8"),
      ("f32[1, 3, 8]; f32[6, 3, 1, 1]", "failure: the input has 3 axes, the weight 4: f32[1, 3, 8] and f32[6, 3, 1, 1]"),
      ("f32[1, 3]; f32[6, 3]", "failure: the input is f32[1, 3], with 2 axes where at least 3 are expected"),
    ])
  func failures(operands: String, expected: String) {
    #expect(inferred("Conv", operands) == expected)
  }

  @Test("attributes that contradict the operands are refused")
  func attributes() {
    let signal = "f32[1, 3, 8]; f32[6, 3, 3]"
    #expect(
      inferred("Conv", signal, [.kernelShape: .ints([5])])
        == "failure: kernel_shape [5] contradicts the weight f32[6, 3, 3]: 5 against 3")
    #expect(inferred("Conv", signal, [.strides: .ints([1, 1])]) == "failure: strides has 2 numbers where 1 are expected")
    #expect(inferred("Conv", signal, [.strides: .ints([0])]) == "failure: strides [0] are not positive")
    #expect(
      inferred("Conv", signal, [.autoPad: .string("SAME")])
        == "failure: auto_pad is SAME, which is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID")
  }

  @Test("a transposed convolution widens; its weight has the input's channels first")
  func transposed() {
    let image = "f32[n, 6, 7]; f32[6, 4, 3]; f32[4]"
    #expect(inferred("ConvTranspose", image) == "f32[n, 4, 9]")
    #expect(
      inferred("ConvTranspose", image, [.strides: .ints([2]), .pads: .ints([1, 1]), .outputPadding: .ints([1])])
        == "f32[n, 4, 14]")
    #expect(inferred("ConvTranspose", image, [.strides: .ints([2]), .autoPad: .string("SAME_UPPER")]) == "f32[n, 4, 14]")
    #expect(inferred("ConvTranspose", image, [.strides: .ints([4]), .autoPad: .string("SAME_UPPER")]) == "f32[n, 4, 27]")
    #expect(inferred("ConvTranspose", image, [.strides: .ints([2]), .outputShape: .ints([13])]) == "f32[n, 4, 13]")
    #expect(inferred("ConvTranspose", "f32[n, 6, h]; f32[6, 4, 2]", [.strides: .ints([2])]) == "f32[n, 4, 2*h]")
    #expect(inferred("ConvTranspose", "f32[n, 6, 7]; f32[6, 4, 3]; f32[8]", [.group: .int(2)]) == "f32[n, 8, 9]")
    #expect(
      inferred("ConvTranspose", "f32[n, 6, 7]; f32[4, 6, 3]")
        == "failure: channels of the input are 6, the weight f32[4, 6, 3] expects 4")
    #expect(
      inferred("ConvTranspose", image, [.pads: .ints([5, 5])]) == "failure: spatial axis 0 of extent 7 would become -1 long")
  }

  @Test("integer and quantised convolutions")
  func quantised() {
    #expect(inferred("ConvInteger", "u8[n, 3, 8]; i8[6, 3, 3]; u8[]; i8[6]") == "i32[n, 6, 6]")
    let operands = "u8[n, 3, 8]; f32[]; u8[]; i8[6, 3, 3]; f32[6]; i8[6]; f32[]; i8[]; i32[6]"
    #expect(inferred("QLinearConv", operands) == "i8[n, 6, 6]")
    #expect(
      inferred("QLinearConv", "u8[n, 3, 8]; f32[]; u8[]; i8[6, 3, 3]; f32[5]; i8[5]; f32[]; i8[]")
        == "failure: the weight's scale holds 5 numbers where 6 are expected")
  }

  @Test("offsets of a deformable convolution have one pair per number of the kernel")
  func deformable() {
    let start = "f32[n, 4, 8, 8]; f32[6, 4, 3, 3]; "
    #expect(inferred("DeformConv", start + "f32[n, 18, 6, 6]; f32[6]; f32[n, 9, 6, 6]") == "f32[n, 6, 6, 6]")
    #expect(
      inferred("DeformConv", start + "f32[n, 9, 6, 6]")
        == "failure: the offset is f32[n, 9, 6, 6] where [n, 18, 6, 6] is expected")
  }

  @Test("a fused convolution adds its fourth operand")
  func fused() {
    let name = "com.microsoft.FusedConv"
    #expect(inferred(name, "f32[n, 3, 8]; f32[6, 3, 3]; f32[6]; f32[n, 6, 6]") == "f32[n, 6, 6]")
    #expect(
      inferred(name, "f32[n, 3, 8]; f32[6, 3, 3]; f32[6]; f32[n, 6, 8]")
        == "failure: the summand of shape [n, 6, 8] does not broadcast to [n, 6, 6]")
  }
}
