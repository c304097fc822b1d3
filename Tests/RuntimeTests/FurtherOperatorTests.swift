import Foundation
import Graph
import Testing

@testable import Runtime

@Suite("Operators that run although the compiler does not know them")
struct FurtherOperatorTests {
  private func results(
    _ type: String, _ operands: [RuntimeTensor?], _ attributes: [(name: String, value: AttributeValue)] = [], outputs: Int = 1,
    opset: Int = 27
  ) throws -> [RuntimeTensor] {
    let names = operands.indices.map { operands[$0] == nil ? "" : "x\($0)" }
    let made = (0..<outputs).map { "y\($0)" }
    let trial = RuntimeTrial(
      [node(type, names, made, attributes)], inputs: names.filter { !$0.isEmpty }, outputs: made, opset: opset)
    return try trial.run(operands.compactMap { $0.map { .tensor($0) } }).compactMap(\.tensor)
  }

  private func failure(
    _ type: String, _ operands: [RuntimeTensor?], _ attributes: [(name: String, value: AttributeValue)] = []
  ) -> String {
    do {
      _ = try results(type, operands, attributes)
      return ""
    } catch { return "\(error)" }
  }

  private func near(_ a: [Double], _ b: [Double]) -> Bool { a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 } }

  @Test("each of them is unknown to the compiler, so that nothing around it is pruned")
  func opaque() {
    for known in FurtherOperator.allCases {
      #expect(Operator(domain: "", type: known.rawValue) == nil, "\(known.rawValue) is known by now")
    }
  }

  @Test("bits of one type are read as another of the same width")
  func bits() throws {
    let codes = try results("BitCast", [.real([1, -0.0])], [("to", .int(6))])
    #expect(codes[0].wholes == [0x3F80_0000, Int(Int32.min)])
    #expect(try results("BitCast", [.whole([0x3C00], nil, .u16)], [("to", .int(10))])[0].reals == [1])
    #expect(failure("BitCast", [.real([1])], [("to", .int(7))]).contains("not as wide"))
    #expect(failure("BitCast", [.real([1])]).contains("the attribute to is missing"))
  }

  @Test("windows are periodic unless asked")
  func windows() throws {
    let four = RuntimeTensor.whole([4], [])
    #expect(near(try results("HannWindow", [four])[0].reals, [0, 0.5, 1, 0.5]))
    #expect(near(try results("HannWindow", [.whole([5], [])], [("periodic", .int(0))])[0].reals, [0, 0.5, 1, 0.5, 0]))
    #expect(near(try results("HammingWindow", [four])[0].reals, [4.0 / 46, 25.0 / 46, 1, 25.0 / 46]))
    #expect(near(try results("BlackmanWindow", [four])[0].reals, [0, 0.34, 1, 0.34]))
    #expect(try results("HannWindow", [four], [("output_datatype", .int(11))])[0].element == .f64)
    #expect(try results("HannWindow", [.whole([1], [])], [("periodic", .int(0))])[0].reals == [1])
    #expect(try results("HannWindow", [.whole([0], [])])[0].shape == [0])
    #expect(failure("HannWindow", [.whole([-1], [])]).contains("cannot be made"))
    #expect(failure("HannWindow", [.whole([1 << 50], [])]).contains("at most"))
  }

  @Test("mel weights are triangles that reach from the centre of one band to that of the next")
  func mel() throws {
    func weights(_ bands: Int, _ low: Double, _ high: Double) throws -> RuntimeTensor {
      try results(
        "MelWeightMatrix",
        [.whole([bands], []), .whole([16], []), .whole([8192], []), .real([low], []), .real([high], [])])[0]
    }
    let eight = try weights(8, 0, 4096)
    #expect(eight.shape == [9, 8])
    // Every band has a place where it counts whole, later bands later ones.
    let peaks = (0..<8).map { band in (0..<9).first { eight.reals[$0 * 8 + band] == 1 } ?? -1 }
    #expect(peaks == peaks.sorted() && !peaks.contains(-1))
    #expect(throws: Diagnostic.self) { try weights(8, 0, 1e9) }
    #expect(throws: Diagnostic.self) { try weights(8, 4000, 100) }
    #expect(throws: Diagnostic.self) { try weights(-1, 0, 4000) }
  }

  @Test("the middle is cut out, or surrounded by zeros")
  func centres() throws {
    let row = RuntimeTensor.whole([1, 2, 3, 4])
    #expect(try results("CenterCropPad", [row, .whole([2])])[0].wholes == [2, 3])
    #expect(try results("CenterCropPad", [row, .whole([3])])[0].wholes == [1, 2, 3])
    #expect(try results("CenterCropPad", [row, .whole([7])])[0].wholes == [0, 1, 2, 3, 4, 0, 0])
    let square = RuntimeTensor.whole([1, 2, 3, 4], [2, 2])
    #expect(try results("CenterCropPad", [square, .whole([1])], [("axes", .ints([-1]))])[0].wholes == [1, 3])
    #expect(failure("CenterCropPad", [square, .whole([1])]).contains("do not fit the axes"))
    #expect(failure("CenterCropPad", [row, .whole([-1])]).contains("negative"))
    #expect(failure("CenterCropPad", [row, .whole([1 << 60])]).contains("machine"))
    #expect(failure("CenterCropPad", [.whole([], [1, 0]), .whole([1 << 50, 0])]).contains("at most"))
  }

  @Test("columns of windows are added up where they were taken from")
  func columns() throws {
    // Windows of two over a row of three: the middle belongs to both.
    let columns = RuntimeTensor.real([1, 2, 10, 20], [1, 2, 2])
    #expect(try results("Col2Im", [columns, .whole([3]), .whole([2])])[0].reals == [1, 12, 20])
    let padded = try results("Col2Im", [columns, .whole([1]), .whole([2])], [("pads", .ints([1, 1]))])
    #expect(padded[0].reals == [12])
    let apart = try results("Col2Im", [columns, .whole([4]), .whole([2])], [("strides", .ints([2]))])
    #expect(apart[0].reals == [1, 10, 2, 20])
    #expect(failure("Col2Im", [columns, .whole([4]), .whole([2])]).contains("3 columns"))
    #expect(failure("Col2Im", [columns, .whole([1]), .whole([2])]).contains("larger than the image"))
    #expect(failure("Col2Im", [columns, .whole([3]), .whole([2])], [("strides", .ints([0]))]).contains("strides"))
    #expect(failure("Col2Im", [.real([], [1, 0, 2]), .whole([1 << 29, 3]), .whole([1 << 29, 1])]) != "")
  }

  @Test("products of what precedes, in either direction")
  func products() throws {
    let row = RuntimeTensor.whole([1, 2, 3])
    let axis = RuntimeTensor.whole([0], [])
    func products(_ exclusive: Int, _ reverse: Int) throws -> [Int] {
      try results("CumProd", [row, axis], [("exclusive", .int(exclusive)), ("reverse", .int(reverse))])[0].wholes
    }
    #expect(try products(0, 0) == [1, 2, 6])
    #expect(try products(1, 0) == [1, 1, 2])
    #expect(try products(0, 1) == [6, 6, 3])
    #expect(try products(1, 1) == [6, 3, 1])
    let square = RuntimeTensor.real([1, 2, 3, 4], [2, 2])
    #expect(try results("CumProd", [square, .whole([-1], [])])[0].reals == [1, 2, 3, 12])
    #expect(try results("CumProd", [.whole([Int.max, 2]), axis])[0].wholes == [Int.max, -2])
    #expect(failure("CumProd", [row, .whole([1], [])]).contains("axis 1 is outside"))
  }

  @Test("determinants, exchanged rows included")
  func determinants() throws {
    let pair = RuntimeTensor.real([1, 2, 3, 4, 0, 1, 1, 0], [2, 2, 2])
    #expect(near(try results("Det", [pair])[0].reals, [-2, -1]))
    #expect(try results("Det", [.real([1, 2, 2, 4], [2, 2])])[0].reals == [0])
    #expect(try results("Det", [.real([], [0, 0])])[0].reals == [1])
    #expect(failure("Det", [.real([1, 2], [1, 2])]).contains("no square matrices"))
  }

  @Test("losses: minus the logarithm at the target, weighted, ignored and averaged")
  func losses() throws {
    let logarithms = RuntimeTensor.real([-1, -2, -3, -4], [2, 2])
    let targets = RuntimeTensor.whole([0, 1])
    func loss(_ reduction: String, _ targets: RuntimeTensor, ignoring ignored: Int = -1) throws -> [Double] {
      try results(
        "NegativeLogLikelihoodLoss", [logarithms, targets, .real([1, 3])],
        [("reduction", .string(reduction)), ("ignore_index", .int(ignored))]
      )[0].reals
    }
    #expect(try loss("none", targets) == [1, 12])
    #expect(try loss("sum", targets) == [13])
    #expect(try loss("mean", targets) == [3.25])
    #expect(try loss("mean", .whole([0, -7]), ignoring: -7) == [1])
    #expect(throws: Diagnostic.self) { try loss("mean", .whole([0, 2])) }
    #expect(throws: Diagnostic.self) { try loss("product", targets) }
    let both = try results("SoftmaxCrossEntropyLoss", [.real([0, log(3)], [1, 2]), .whole([1])], outputs: 2)
    #expect(near(both[0].reals, [-log(0.75)]))
    #expect(near(both[1].reals, [log(0.25), log(0.75)]))
    #expect(failure("SoftmaxCrossEntropyLoss", [.real([0, 1], [1, 2]), .whole([1, 0])]).contains("the targets"))
  }

  @Test("old and new ways of writing into a tensor")
  func scatters() throws {
    #expect(try results("Scatter", [.real([1, 2, 3]), .whole([2, 0]), .real([9, 8])], opset: 10)[0].reals == [8, 2, 9])
    let cache = RuntimeTensor.real([0, 0, 0, 0, 0, 0], [2, 3, 1])
    let update = RuntimeTensor.real([1, 2, 3, 4], [2, 2, 1])
    #expect(try results("TensorScatter", [cache, update])[0].reals == [1, 2, 0, 3, 4, 0])
    #expect(try results("TensorScatter", [cache, update, .whole([1, 0])])[0].reals == [0, 1, 2, 3, 4, 0])
    let circular: [(name: String, value: AttributeValue)] = [("mode", .string("circular"))]
    #expect(try results("TensorScatter", [cache, update, .whole([2, -1])], circular)[0].reals == [2, 0, 1, 4, 0, 3])
    #expect(failure("TensorScatter", [cache, update, .whole([2, 0])]).contains("outside a cache of 3"))
    #expect(failure("TensorScatter", [cache, update], [("axis", .int(0))]).contains("cannot be written"))
  }

  @Test("a gate and a value")
  func gates() throws {
    let gated = try results("SwiGLU", [.real([0, 100, -100]), .real([5, 2, 3])])
    #expect(near(gated[0].reals, [0, 200, 0]))
    #expect(failure("SwiGLU", [.real([1]), .real([1, 2])]).contains("the gate"))
  }

  @Test("a convolution that looks back carries its last positions to the next call")
  func causal() throws {
    let weight = RuntimeTensor.real([1, 10], [1, 1, 2])
    let whole = try results("CausalConvWithState", [.real([1, 2, 3], [1, 1, 3]), weight], outputs: 2)
    #expect(whole[0].reals == [10, 21, 32])
    #expect(whole[1].reals == [3])
    let first = try results("CausalConvWithState", [.real([1, 2], [1, 1, 2]), weight], outputs: 2)
    let second = try results("CausalConvWithState", [.real([3], [1, 1, 1]), weight, nil, first[1]], outputs: 2)
    #expect(first[0].reals + second[0].reals == whole[0].reals)
    #expect(failure("CausalConvWithState", [.real([1], [1, 1, 1]), weight, nil, .real([1, 1], [1, 1, 2])]).contains("past"))
  }

  @Test("linear attention in two calls gives what it gives in one")
  func linearAttention() throws {
    func attended(_ key: [Double], _ value: [Double], _ rest: [RuntimeTensor?], _ rule: String) throws -> [RuntimeTensor] {
      let shape = [1, key.count, 1]
      let ones = RuntimeTensor.real(Array(repeating: 1, count: key.count), shape)
      return try results(
        "LinearAttention", [ones, .real(key, shape), .real(value, shape)] + rest,
        [("q_num_heads", .int(1)), ("kv_num_heads", .int(1)), ("update_rule", .string(rule))], outputs: 2)
    }
    // The memory is the sum of key times value.
    let whole = try attended([1, 2], [10, 100], [], "linear")
    #expect(whole[0].reals == [10, 210])
    let first = try attended([1], [10], [], "linear")
    let second = try attended([2], [100], [first[1]], "linear")
    #expect(first[0].reals + second[0].reals == whole[0].reals)
    // A decay of a half before the second position.
    let gated = try attended([1, 2], [10, 100], [nil, .real([0, log(0.5)], [1, 2, 1])], "gated")
    #expect(near(gated[0].reals, [10, 205]))
    // What the memory knows already is not added again.
    let delta = try attended([1, 1], [10, 10], [nil, nil, .real([1, 1], [1, 2, 1])], "delta")
    #expect(delta[0].reals == [10, 10])
    #expect(throws: Diagnostic.self) { try attended([1], [1], [], "gated") }
    #expect(throws: Diagnostic.self) { try attended([1], [1], [], "cubic") }
  }
}
