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
}
