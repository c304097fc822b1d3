import Graph
import Testing

@Suite struct QuantisationEvaluationTests {
  @Test func numbersAreRoundedToTheNearestEvenAndSaturate() throws {
    let zero = NumberTensor.whole([10], [], .u8)
    let quantised = try evaluated("QuantizeLinear", [.real([0.5, 1.5, 2.5, -1, 1e30, -.infinity]), .scalar(1), zero])
    #expect(quantised.wholes == [10, 12, 12, 9, 255, 0])
    #expect(quantised.first?.element == .u8)
    #expect(try evaluated("QuantizeLinear", [.real([1, 300]), .scalar(0.5)]).wholes == [2, 255])
    #expect(try evaluated("QuantizeLinear", [.real([-200]), .scalar(1), .whole([0], [], .i8)]).wholes == [-128])
    let narrow = try evaluated("QuantizeLinear", opset: 21, [.real([5, 9, -9]), .scalar(1)], [.outputDataType: .int(22)])
    #expect(narrow.wholes == [5, 7, -8])
    #expect(narrow.first?.element == .i4)
  }

  @Test func scalesPerAxisAndPerBlock() throws {
    let data = NumberTensor.real([1, 2, 3, 4], [2, 2])
    func quantised(_ axis: Int) throws -> [Int] {
      try evaluated("QuantizeLinear", [data, .real([1, 0.5])], [.axis: .int(axis)]).wholes
    }
    #expect(try quantised(0) == [1, 2, 6, 8])
    #expect(try quantised(1) == [1, 4, 3, 8])
    let row = NumberTensor.whole([1, 2, 3], [1, 3], .i8)
    let blocks = try evaluated(
      "DequantizeLinear", opset: 21, [row, .real([1, 10], [1, 2])], [.axis: .int(1), .blockSize: .int(2)])
    #expect(blocks.reals == [1, 2, 30])
    let long = try evaluated(
      "DequantizeLinear", opset: 21, [row, .real([10], [1, 1])], [.axis: .int(1), .blockSize: .int(Int.max)])
    #expect(long.reals == [10, 20, 30])
    #expect(failure("QuantizeLinear", [data, .real([1, 1, 1])], [.axis: .int(0)]).contains("scale"))
    #expect(failure("DequantizeLinear", opset: 21, [row, .real([1], [1, 1])], [.axis: .int(1), .blockSize: .int(2)]) != "")
  }

  @Test func zeroPointsComeOffBeforeTheScale() throws {
    let codes = NumberTensor.whole([0, 128, 255], nil, .u8)
    #expect(try evaluated("DequantizeLinear", [codes, .scalar(2), .whole([128], [], .u8)]).reals == [-256, 0, 254])
    #expect(try evaluated("DequantizeLinear", [codes, .scalar(2)]).reals == [0, 256, 510])
    #expect(failure("DequantizeLinear", [codes, .scalar(2), .whole([1, 2], nil, .u8)]).contains("zero point"))
  }

  @Test func rangesFollowTheData() throws {
    let found = try evaluated("DynamicQuantizeLinear", [.real([0, 2, -3, -2.5, 1.34, 0.5])], outputs: 3)
    #expect(abs(found[1].reals[0] - 5.0 / 255) < 1e-7)
    #expect(found[2].wholes == [153])
    #expect(found[0].wholes == [153, 255, 0, 26, 221, 179])
    // Zero is always in the range, and data of zeros has a scale all the same.
    #expect(try evaluated("DynamicQuantizeLinear", [.real([1, 2])], outputs: 3)[2].wholes == [0])
    #expect(try evaluated("DynamicQuantizeLinear", [.real([0, 0])], outputs: 3)[0].wholes == [0, 0])
  }

  @Test func whatIsNoNumberDoesNotTrap() throws {
    #expect(try evaluated("QuantizeLinear", [.real([.nan]), .scalar(1)]).wholes.count == 1)
    #expect(try evaluated("QuantizeLinear", [.real([1, 0]), .scalar(0)]).wholes.count == 2)
    #expect(try evaluated("DynamicQuantizeLinear", [.real([.nan, .infinity])], outputs: 3)[0].wholes.count == 2)
  }
}
