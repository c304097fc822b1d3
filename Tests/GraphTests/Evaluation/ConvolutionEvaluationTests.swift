import Graph
import Testing

@Suite struct ConvolutionEvaluationTests {
  /// A row of 0, 1, 2, 3 and a weight that shows which number it met: 1 and 10.
  private let row = NumberTensor.counting([1, 1, 4])
  private let weight = NumberTensor.real([1, 10], [1, 1, 2])

  @Test func windowsSlideWithoutTurningTheWeight() throws {
    #expect(try evaluated("Conv", [row, weight]).reals == [10, 21, 32])
    #expect(try evaluated("Conv", [row, weight, .real([100])]).reals == [110, 121, 132])
    #expect(try evaluated("Conv", [.counting([1, 1, 3, 3]), .real([1, 1, 1, 1], [1, 1, 2, 2])]).reals == [8, 12, 20, 24])
    #expect(try evaluated("Conv", [.counting([0, 1, 4]), weight]).shape == [0, 1, 3])
  }

  @Test func stepsGapsAndPads() throws {
    #expect(try evaluated("Conv", [row, weight], [.strides: .ints([2])]).reals == [10, 32])
    #expect(try evaluated("Conv", [row, weight], [.dilations: .ints([2])]).reals == [20, 31])
    #expect(try evaluated("Conv", [row, weight], [.pads: .ints([1, 1])]).reals == [0, 10, 21, 32, 3])
    #expect(try evaluated("Conv", [row, weight], [.pads: .ints([0, 2])]).reals == [10, 21, 32, 3, 0])
    #expect(try evaluated("Conv", [row, weight], [.autoPad: .string("SAME_UPPER")]).reals == [10, 21, 32, 3])
    #expect(try evaluated("Conv", [row, weight], [.autoPad: .string("SAME_LOWER")]).reals == [0, 10, 21, 32])
    #expect(try evaluated("Conv", [row, weight], [.autoPad: .string("VALID")]).reals == [10, 21, 32])
    #expect(!failure("Conv", [row, weight], [.strides: .ints([0])]).isEmpty)
    #expect(!failure("Conv", [row, weight], [.pads: .ints([1])]).isEmpty)
  }

  @Test func groupsSeeOnlyTheirOwnChannels() throws {
    let data = NumberTensor.counting([1, 2, 2])
    let perChannel = NumberTensor.real([10, 100], [2, 1, 1])
    #expect(try evaluated("Conv", [data, perChannel], [.group: .int(2)]).reals == [0, 10, 200, 300])
    #expect(try evaluated("Conv", [data, .real([10, 100], [1, 2, 1])]).reals == [200, 310])
    #expect(failure("Conv", [data, perChannel]).contains("channels of the input are 2"))
    #expect(!failure("Conv", [data, perChannel], [.group: .int(0)]).isEmpty)
    #expect(!failure("Conv", [data, perChannel], [.group: .int(3)]).isEmpty)
  }

  @Test func infinityReachesTheWindowsThatCoverItAndNoOthers() throws {
    #expect(try evaluated("Conv", [.real([.infinity, 1, 2, 3], [1, 1, 4]), weight]).reals == [.infinity, 21, 32])
    // A weight of zero does not hide it: 0 · ∞ is no number.
    let hidden = try evaluated("Conv", [.real([.infinity, 1, 2], [1, 1, 3]), .real([0, 1], [1, 1, 2])]).reals
    #expect(hidden.map(\.isNaN) == [true, false])
  }

  @Test func activationsOfFusedConvolutions() throws {
    let turned = NumberTensor.real([1, -1], [1, 1, 2])
    #expect(
      try evaluated("com.microsoft.FusedConv", [row, turned, .real([2])], [.activation: .string("Relu")]).reals == [1, 1, 1])
    #expect(try evaluated("com.microsoft.FusedConv", [row, turned], [.activation: .string("Relu")]).reals == [0, 0, 0])
    let summed = try evaluated(
      "com.microsoft.FusedConv", [row, turned, nil, .real([3, 0, 5], [1, 1, 3])], [.activation: .string("Relu")])
    #expect(summed.reals == [2, 0, 4])
    #expect(failure("com.microsoft.FusedConv", [row, turned], [.activation: .string("Sine")]).contains("Sine"))
  }
}

@Suite struct TransposedConvolutionEvaluationTests {
  private let data = NumberTensor.real([1, 2], [1, 1, 2])
  private let weight = NumberTensor.real([10, 1], [1, 1, 2])

  private func transposed(_ attributes: [AttributeName: AttributeValue]) throws -> [Double] {
    try evaluated("ConvTranspose", [data, weight], attributes).reals
  }

  @Test func everyNumberSpreadsTheWeight() throws {
    #expect(try transposed([:]) == [10, 21, 2])
    #expect(try transposed([.strides: .ints([2])]) == [10, 1, 20, 2])
    #expect(try transposed([.dilations: .ints([2])]) == [10, 20, 1, 2])
    #expect(try evaluated("ConvTranspose", [data, weight, .real([100])]).reals == [110, 121, 102])
  }

  @Test func padsCutAndOutputPaddingAdds() throws {
    #expect(try transposed([.strides: .ints([2]), .pads: .ints([1, 1])]) == [1, 20])
    #expect(try transposed([.strides: .ints([2]), .outputPadding: .ints([1])]) == [10, 1, 20, 2, 0])
    #expect(try transposed([.strides: .ints([2]), .outputShape: .ints([5])]) == [10, 1, 20, 2, 0])
    // What is too much is cut from both ends: the odd one at the beginning, or at the end for SAME_UPPER.
    #expect(try transposed([.strides: .ints([2]), .outputShape: .ints([3])]) == [1, 20, 2])
    #expect(
      try transposed([.strides: .ints([2]), .outputShape: .ints([3]), .autoPad: .string("SAME_UPPER")]) == [10, 1, 20])
    #expect(!failure("ConvTranspose", [data, weight], [.pads: .ints([9, 9])]).isEmpty)
  }

  @Test func groupsSeeOnlyTheirOwnChannels() throws {
    let weights = NumberTensor.real([1, 2, 3, 4], [2, 1, 2])
    let apart = try evaluated("ConvTranspose", [.real([1, 2], [1, 2, 1]), weights], [.group: .int(2)])
    #expect(apart.shape == [1, 2, 2])
    #expect(apart.reals == [1, 2, 6, 8])
    #expect(try evaluated("ConvTranspose", [.real([1, 2], [1, 2, 1]), weights]).reals == [7, 10])
  }
}

@Suite struct DeformedConvolutionEvaluationTests {
  private let image = NumberTensor.counting([1, 1, 3, 3])
  private let one = NumberTensor.real([1], [1, 1, 1, 1])

  /// The same shift down and to the right for every place.
  private func shifts(_ down: Double, _ right: Double) -> NumberTensor {
    .real(Array(repeating: down, count: 9) + Array(repeating: right, count: 9), [1, 2, 3, 3])
  }

  @Test func placesAreReadBetweenNumbersAndZerosOutside() throws {
    func deformed(_ down: Double, _ right: Double) throws -> [Double] {
      try evaluated("DeformConv", [image, one, shifts(down, right)]).reals
    }
    #expect(try deformed(0, 0) == image.reals)
    #expect(try deformed(1, 0) == [3, 4, 5, 6, 7, 8, 0, 0, 0])
    #expect(try deformed(0, 1) == [1, 2, 0, 4, 5, 0, 7, 8, 0])
    #expect(try deformed(0.5, 0) == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 3, 3.5, 4])
    #expect(try deformed(1e30, .nan).allSatisfy { $0 == 0 || $0.isNaN })
  }

  @Test func masksWeighEveryPlace() throws {
    let mask = NumberTensor.real([1, 0, 0.5, 1, 1, 1, 1, 1, 2], [1, 1, 3, 3])
    #expect(
      try evaluated("DeformConv", [image, one, shifts(0, 0), .real([1]), mask]).reals == [1, 1, 2, 4, 5, 6, 7, 8, 17])
    #expect(!failure("DeformConv", [image, one, .counting([1, 1, 3, 3])]).isEmpty)
  }
}

@Suite struct QuantisedConvolutionEvaluationTests {
  @Test func zeroPointsAreTakenOffFirst() throws {
    let data = NumberTensor.whole([2, 3, 4], [1, 1, 3], .u8)
    let weight = NumberTensor.whole([1, 1], [1, 1, 2], .i8)
    #expect(try evaluated("ConvInteger", [data, weight]).wholes == [5, 7])
    let centred = try evaluated("ConvInteger", [data, weight, .whole([1], [], .u8), .whole([2], [], .i8)])
    #expect(centred.wholes == [-3, -5])
    #expect(centred.first?.element == .i32)
    let real = NumberTensor.real([.nan, 1, 2], [1, 1, 3])
    #expect(failure("ConvInteger", [real, weight]).contains("operand 0 is of type f32"))
    // Padding is the zero point, so that it counts for nothing.
    let padded = try evaluated("ConvInteger", [data, weight, .whole([1], [], .u8)], [.pads: .ints([1, 0])])
    #expect(padded.wholes == [1, 3, 5])
  }

  @Test func resultsAreScaledAndSaturate() throws {
    let data = NumberTensor.whole([2, 4], [1, 1, 2], .u8)
    let weight = NumberTensor.whole([3], [1, 1, 1], .u8)
    func quantised(zero: Int, bias: Int? = nil) throws -> [Int] {
      try evaluated(
        "QLinearConv",
        [
          data, .scalar(0.5), .whole([2], [], .u8), weight, .scalar(2), .whole([1], [], .u8), .scalar(1),
          .whole([zero], [], .u8), bias.map { .whole([$0], nil, .i32) },
        ]
      ).wholes
    }
    #expect(try quantised(zero: 10) == [10, 14])
    #expect(try quantised(zero: 10, bias: 5) == [15, 19])
    #expect(try quantised(zero: 253) == [253, 255])
    #expect(try quantised(zero: 0, bias: -9) == [0, 0])
  }
}
