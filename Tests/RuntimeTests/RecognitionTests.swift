import Foundation
import Graph
import TestSupport
import Testing

@testable import Runtime

/// What exporters write in pieces is recognised; what only looks like it is not.
@Suite("Recognition") struct RecognitionTests {
  /// The operators that are left of a graph when it is lowered, and whether it still computes the same.
  private func lowered(_ body: String, parameters: String = "", input: String, output: String) throws -> [String] {
    let module = RandomWeights.filling(
      try ModuleParser.parse(
        """
        module m {
          opset 17
          \(parameters)
          func (\(input)) -> (\(output)) {
            \(body)
          }
        }
        """), seed: 3)
    let inputs = try RandomInputs.values(of: module, extents: [:], seed: 5)
    let want = try PlainRunner(module, source: nil).run(inputs)
    let result = try Lowering.lower(module, inputs: inputs.compactMap { $0.tensor?.type })
    let plain = try PlainRunner(result, source: nil).run(inputs)
    let fast = try Session(module).run(inputs)
    for index in want.indices {
      #expect(EngineTests.error(want[index], plain[index]) < 1e-5)
      #expect(EngineTests.error(want[index], fast[index]) < 1e-5)
    }
    return result.nodes.map(\.operation.textName)
  }

  private static let gelu = """
    %a = mul %x, %c : f32[4, 6]
    %e = erf %a : f32[4, 6]
    %p = add %e, %one : f32[4, 6]
    %h = mul %x, %p : f32[4, 6]
    %y = mul %h, %half : f32[4, 6]
    """

  @Test("gelu by the error function")
  func gelu() throws {
    let constants = "param %c : f32[] = 0.70710678\n  param %one : f32[] = 1.0\n  param %half : f32[] = 0.5"
    #expect(try lowered(Self.gelu, parameters: constants, input: "%x: f32[4, 6]", output: "%y: f32[4, 6]") == ["gelu"])
  }

  @Test("another slope is another function")
  func notGelu() throws {
    let constants = "param %c : f32[] = 0.6\n  param %one : f32[] = 1.0\n  param %half : f32[] = 0.5"
    let left = try lowered(Self.gelu, parameters: constants, input: "%x: f32[4, 6]", output: "%y: f32[4, 6]")
    #expect(!left.contains("gelu") && left.contains("erf"))
  }

  @Test("swish, also with a slope; the sigmoid of another value is a gate")
  func swish() throws {
    let own = "%s = sigmoid %x : f32[4]\n %y = mul %s, %x : f32[4]"
    #expect(try lowered(own, input: "%x: f32[4]", output: "%y: f32[4]") == ["swish"])
    let sloped = "%a = mul %x, %c : f32[4]\n %s = sigmoid %a : f32[4]\n %y = mul %x, %s : f32[4]"
    #expect(try lowered(sloped, parameters: "param %c : f32[] = 1.702", input: "%x: f32[4]", output: "%y: f32[4]") == ["swish"])
    let gate = "%s = sigmoid %g : f32[4]\n %y = mul %x, %s : f32[4]"
    #expect(try lowered(gate, input: "%x: f32[4], %g: f32[4]", output: "%y: f32[4]") == ["sigmoid", "mul"])
  }

  private static func layerNorm(axis: Int) -> String {
    let mean = axis == -1 ? "f32[4, 1]" : "f32[1, 6]"
    return """
      %m = reduce_mean %x axes=[\(axis)] : \(mean)
      %d = sub %x, %m : f32[4, 6]
      %q = pow %d, %two : f32[4, 6]
      %v = reduce_mean %q axes=[\(axis)] : \(mean)
      %e = add %v, %eps : \(mean)
      %s = sqrt %e : \(mean)
      %n = div %d, %s : f32[4, 6]
      %w = mul %n, %scale : f32[4, 6]
      %y = add %w, %bias : f32[4, 6]
      """
  }

  private static let normParameters =
    "param %two : f32[] = 2.0\n  param %eps : f32[] = 0.00001\n  param %scale : f32[6]\n  param %bias : f32[6]"

  @Test("layer normalisation over the last axis, with its scale and bias")
  func layerNorm() throws {
    let left = try lowered(
      Self.layerNorm(axis: -1), parameters: Self.normParameters, input: "%x: f32[4, 6]", output: "%y: f32[4, 6]")
    #expect(left == ["layer_norm"])
  }

  @Test("over another axis it is none")
  func notLayerNorm() throws {
    let left = try lowered(
      Self.layerNorm(axis: 0), parameters: Self.normParameters, input: "%x: f32[4, 6]", output: "%y: f32[4, 6]")
    #expect(!left.contains("layer_norm"))
  }

  private static func attention(softmaxAxis: Int, guarded: Bool = false) -> String {
    """
    %t = transpose %k perm=[0, 1, 3, 2] : f32[1, 2, 4, 5]
    %p = matmul %q, %t : f32[1, 2, 3, 5]
    %s = div %p, %c : f32[1, 2, 3, 5]
    %b = add %s, %mask : f32[1, 2, 3, 5]
    %w = softmax %b axis=\(softmaxAxis) : f32[1, 2, 3, 5]
    %y = matmul %w, %v : f32[1, 2, 3, 4]
    """
  }

  private static let heads = "%q: f32[1, 2, 3, 4], %k: f32[1, 2, 5, 4], %v: f32[1, 2, 5, 4], %mask: f32[1, 1, 3, 5]"

  @Test("attention with a mask")
  func attention() throws {
    let left = try lowered(
      Self.attention(softmaxAxis: -1), parameters: "param %c : f32[] = 2.0", input: Self.heads, output: "%y: f32[1, 2, 3, 4]")
    #expect(left == ["attention"])
  }

  @Test("shares over queries are no attention")
  func notAttention() throws {
    let left = try lowered(
      Self.attention(softmaxAxis: 2), parameters: "param %c : f32[] = 2.0", input: Self.heads, output: "%y: f32[1, 2, 3, 4]")
    #expect(left.contains("softmax") && !left.contains("attention"))
  }

  @Test("windows: the mask of windows is added between reshapes")
  func windows() throws {
    let body = """
      %t = transpose %k perm=[0, 1, 3, 2] : f32[4, 2, 4, 3]
      %p = matmul %q, %t : f32[4, 2, 3, 3]
      %b = add %p, %bias : f32[4, 2, 3, 3]
      %r = reshape %b, %apart : f32[2, 2, 2, 3, 3]
      %m = add %r, %windows : f32[2, 2, 2, 3, 3]
      %j = reshape %m, %together : f32[4, 2, 3, 3]
      %w = softmax %j axis=-1 : f32[4, 2, 3, 3]
      %y = matmul %w, %v : f32[4, 2, 3, 4]
      """
    let parameters = """
      param %bias : f32[1, 2, 3, 3]
        param %windows : f32[1, 2, 1, 3, 3]
        param %apart : i64[5] = [2, 2, 2, 3, 3]
        param %together : i64[4] = [4, 2, 3, 3]
      """
    let left = try lowered(
      body, parameters: parameters, input: "%q: f32[4, 2, 3, 4], %k: f32[4, 2, 3, 4], %v: f32[4, 2, 3, 4]",
      output: "%y: f32[4, 2, 3, 4]")
    #expect(left == ["attention"])
  }

  @Test("batch normalisation becomes part of the convolution before it, but not where others read the convolution")
  func batchNorm() throws {
    let norm = "param %w : f32[4, 3, 1, 1]\n  param %s : f32[4]\n  param %b : f32[4]\n  param %m : f32[4]\n  param %v : f32[4]"
    let body = "%c = conv %x, %w : f32[1, 4, 2, 2]\n %y = batch_norm %c, %s, %b, %m, %v : f32[1, 4, 2, 2]"
    let alone = try lowered(body, parameters: norm, input: "%x: f32[1, 3, 2, 2]", output: "%y: f32[1, 4, 2, 2]")
    #expect(alone == ["conv"])
    let shared = try lowered(
      body, parameters: norm, input: "%x: f32[1, 3, 2, 2]", output: "%y: f32[1, 4, 2, 2], %c: f32[1, 4, 2, 2]")
    #expect(shared == ["conv", "mul", "add"])
  }

  private static func resize(_ mode: String) -> String {
    "%y = resize %x, _, %s mode=\"\(mode)\" nearest_mode=\"floor\" coordinate_transformation_mode=\"asymmetric\" : f32[1, 2, 4, 6]"
  }

  @Test("growing by whole factors repeats pixels; between pixels numbers are mixed, which is no repetition")
  func resize() throws {
    let scales = "param %s : f32[4] = [1.0, 1.0, 2.0, 2.0]"
    let nearest = try lowered(
      Self.resize("nearest"), parameters: scales, input: "%x: f32[1, 2, 2, 3]", output: "%y: f32[1, 2, 4, 6]")
    #expect(nearest == ["reshape", "expand", "reshape"])
    let linear = try lowered(
      Self.resize("linear"), parameters: scales, input: "%x: f32[1, 2, 2, 3]", output: "%y: f32[1, 2, 4, 6]")
    #expect(linear == ["resize"])
  }

  @Test(
    "a transposed convolution is a convolution of every phase of its stride: windows as wide as the stride, wider, cut, in groups, in a row",
    arguments: [
      ("[4, 3, 2, 2]", "strides=[2, 2]", "[1, 4, 3, 5]", "[1, 3, 6, 10]", false),
      ("[4, 3, 3, 3]", "strides=[2, 2] pads=[1, 1, 1, 1] output_padding=[1, 1]", "[1, 4, 3, 5]", "[1, 3, 6, 10]", true),
      ("[4, 3, 4, 1]", "strides=[3, 1] pads=[0, 0, 2, 0]", "[2, 4, 3, 2]", "[2, 3, 8, 2]", true),
      ("[4, 3, 5]", "strides=[2] group=2", "[1, 4, 4]", "[1, 6, 11]", true),
      ("[2, 1, 3, 3]", "pads=[1, 1, 1, 1] group=2", "[1, 2, 4, 4]", "[1, 2, 4, 4]", false),
    ])
  func transposed(_ weight: String, _ attributes: String, _ input: String, _ output: String, _ isCut: Bool) throws {
    let bias = String(output.split(separator: ",")[1]).trimmingCharacters(in: .whitespaces)
    let left = try lowered(
      "%y = conv_transpose %x, %w, %b \(attributes) : f32\(output)",
      parameters: "param %w : f32\(weight)\n  param %b : f32[\(bias)]",
      input: "%x: f32\(input)", output: "%y: f32\(output)")
    #expect(left == ["conv", "reshape", "transpose", "reshape"] + (isCut ? ["slice"] : []))
  }

  @Test("a scale behind a transposed convolution goes into its weight; one whose window has gaps stays what it is")
  func transposedOthers() throws {
    let scaled = try lowered(
      "%t = conv_transpose %x, %w strides=[2, 2] : f32[1, 3, 6, 10]\n %y = mul %t, %f : f32[1, 3, 6, 10]",
      parameters: "param %w : f32[4, 3, 2, 2]\n  param %f : f32[3, 1, 1]", input: "%x: f32[1, 4, 3, 5]",
      output: "%y: f32[1, 3, 6, 10]")
    #expect(scaled == ["conv", "reshape", "transpose", "reshape"])
    let gaps = try lowered(
      "%y = conv_transpose %x, %w dilations=[2, 2] : f32[1, 3, 5, 7]", parameters: "param %w : f32[4, 3, 2, 2]",
      input: "%x: f32[1, 4, 3, 5]", output: "%y: f32[1, 3, 5, 7]")
    #expect(gaps == ["conv_transpose"])
    // A stride may be as long as it likes where there is one place alone: its phases are never laid out.
    let far = try lowered(
      "%y = conv_transpose %x, %w strides=[1048576, 1] : f32[1, 3, 2, 6]", parameters: "param %w : f32[4, 3, 2, 2]",
      input: "%x: f32[1, 4, 1, 5]", output: "%y: f32[1, 3, 2, 6]")
    #expect(far == ["conv_transpose"])
  }

  @Test("narrow numbers are widened once and rounded once")
  func widen() throws {
    let module = try ModuleParser.parse(
      """
      module m {
        opset 20
        param %w : f16[3] = [1.0, 2.0, 3.0]
        func (%x: f16[3]) -> (%y: f16[3]) {
          %a = mul %x, %w : f16[3]
          %y = add %a, %x : f16[3]
        }
      }
      """)
    let input = RuntimeTensor(reals: [0.1, 2049, 7], .f16, [3])
    let lowered = try Lowering.lower(module, inputs: [input.type])
    #expect(lowered.nodes.map(\.operation.textName) == ["cast", "mul", "add", "cast"])
    let result = try #require(try Session(module).run([.tensor(input)]).first?.tensor)
    #expect(result.type == TensorType(.f16, [3]))
    #expect(result.reals == RuntimeTensor(reals: input.reals.enumerated().map { $1 * Double($0 + 2) }, .f16, [3]).reals)
  }
}
