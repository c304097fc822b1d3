import Graph
import Testing

@Suite("Types of reductions")
struct ReductionInferenceTests {
  @Test("axes are an attribute at first, an operand later, and all where none is named")
  func axes() {
    #expect(inferred("ReduceMean", "f32[n, 3, 8]", [.axes: .ints([-1])], opset: 13) == "f32[n, 3, 1]")
    #expect(inferred("ReduceMean", "f32[n, 3, 8]; i64[2]", opset: 18, known: [1: .list(0, -1)]) == "f32[1, 3, 1]")
    #expect(inferred("ReduceSum", "f32[n, 3, 8]; i64[1]", [.keepDims: .int(0)], known: [1: .list(1)]) == "f32[n, 8]")
    #expect(inferred("ReduceMax", "f32[n, 3, 8]", [.keepDims: .int(0)]) == "f32[]")
    #expect(inferred("ReduceMax", "f32[n, 3]; i64[0]", known: [1: .list()]) == "f32[1, 1]")
    #expect(inferred("ReduceMax", "f32[n, 3]", [.noopWithEmptyAxes: .int(1)]) == "f32[n, 3]")
    #expect(inferred("ReduceL2", "f32[n, 3]; i64[1]", [.noopWithEmptyAxes: .int(1)], known: [1: .list(1)]) == "f32[n, 1]")
  }

  @Test("axes that are computed leave the extents open, or even the rank")
  func computedAxes() {
    #expect(inferred("ReduceSum", "f32[n, 3]; i64[1]") == "f32[?y.0.0, ?y.0.1]")
    #expect(inferred("ReduceSum", "f32[n, 3]; i64[1]", [.keepDims: .int(0)]) == "f32[?y.0.0]")
    #expect(inferred("ReduceSum", "f32[n, 3]; i64[k]", [.keepDims: .int(0)]) == "f32[?]")
  }

  @Test("axes that do not exist, or twice, are refused")
  func badAxes() {
    #expect(
      inferred("ReduceSum", "f32[n, 3]; i64[1]", known: [1: .list(2)]) == "failure: axis 2 is outside a tensor of 2 axes")
    #expect(inferred("ReduceSum", "f32[n, 3]; i64[2]", known: [1: .list(1, -1)]) == "failure: axis -1 is named twice")
  }

  @Test("positions are whole numbers")
  func positions() {
    #expect(inferred("ArgMax", "f32[n, 3, 8]", [.axis: .int(-1), .keepDims: .int(0)]) == "i64[n, 3]")
    #expect(inferred("ArgMin", "f32[n, 3]") == "i64[1, 3]")
    #expect(inferred("ArgMin", "f32[n, 3]", [.axis: .int(2)]) == "failure: axis 2 is outside a tensor of 2 axes")
    #expect(inferred("CumSum", "f32[n, 3]; i64[]", known: [1: KnownValue(scalar: 1)]) == "f32[n, 3]")
    #expect(
      inferred("CumSum", "f32[n, 3]; i64[]", known: [1: KnownValue(scalar: 5)])
        == "failure: axis 5 is outside a tensor of 2 axes")
  }

  @Test("top-k: k is an operand, and no more than there are")
  func topK() {
    #expect(inferred("TopK", "f32[n, 8]; i64[1]", known: [1: .list(2)], results: 2) == "f32[n, 2]; i64[n, 2]")
    #expect(inferred("TopK", "f32[8, 5]; i64[1]", [.axis: .int(0)], known: [1: .list(3)]) == "f32[3, 5]")
    #expect(inferred("TopK", "f32[n, 8]; i64[1]", known: [1: KnownValue(list: [.symbol("k")])]) == "f32[n, k]")
    #expect(inferred("TopK", "f32[n, 8]; i64[1]", results: 2) == "f32[n, ?y.0.1]; i64[n, ?y.0.1]")
    #expect(
      inferred("TopK", "f32[n, 8]; i64[1]", known: [1: .list(9)])
        == "failure: the 9 largest are asked of an axis of extent 8")
  }
}
