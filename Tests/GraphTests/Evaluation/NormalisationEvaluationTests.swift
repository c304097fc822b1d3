import Foundation
import Graph
import Testing

@Suite struct NormalisationEvaluationTests {
  private let exact: [AttributeName: AttributeValue] = [.epsilon: .float(0)]

  private func near(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-6) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance }
  }

  @Test func batchNormsUseWhatWasLearned() throws {
    let operands: [NumberTensor?] = [.counting([1, 2, 2]), .real([1, 2]), .real([0, 10]), .real([0, 2]), .real([1, 4])]
    #expect(try evaluated("BatchNormalization", operands, exact).reals == [0, 1, 10, 11])
    var short = operands
    short[1] = .real([1])
    #expect(failure("BatchNormalization", short).contains("the scale"))
  }

  @Test func batchNormsInTrainingUseTheBatch() throws {
    let operands: [NumberTensor?] = [.real([1, 3, 5, 9], [2, 1, 2]), .real([1]), .real([0]), .real([100]), .real([1])]
    let trained = try evaluated(
      "BatchNormalization", operands, exact.merging([.trainingMode: .int(1), .momentum: .float(0.5)]) { $1 }, outputs: 3)
    // Mean 4.5, variance 8.75.
    #expect(near(trained[0].reals, [-3.5, -1.5, 0.5, 4.5].map { $0 / 8.75.squareRoot() }))
    #expect(near(trained[1].reals, [52.25], 1e-5))
    #expect(near(trained[2].reals, [4.875]))
  }

  @Test func layerNormsCentreAndRmsNormsDoNot() throws {
    let data = NumberTensor.real([1, 3, -1, -7], [2, 2])
    let normed = try evaluated("LayerNormalization", [data, .real([2, 2]), .real([1, 1])], exact, outputs: 3)
    #expect(near(normed[0].reals, [-1, 3, 3, -1]))
    #expect(near(normed[1].reals, [2, -4]))
    #expect(near(normed[2].reals, [1, 1.0 / 3]))
    #expect(normed[1].shape == [2, 1])
    #expect(near(try evaluated("RMSNormalization", opset: 23, [.real([1, 7]), .real([1, 1])], exact).reals, [0.2, 1.4]))
    #expect(
      near(try evaluated("SimplifiedLayerNormalization", opset: 1, [.real([1, 7]), .real([1, 1])], exact).reals, [0.2, 1.4]))
    #expect(failure("LayerNormalization", [data, .real([1, 1, 1])]).contains("the scale"))
  }

  @Test func groupsOfChannels() throws {
    let data = NumberTensor.real([1, 3, 10, 14], [1, 4, 1])
    func grouped(_ opset: Int, _ scale: [Double]) throws -> [Double] {
      let bias = NumberTensor.real(Array(repeating: 0, count: scale.count))
      return try evaluated(
        "GroupNormalization", opset: opset, [data, .real(scale), bias], exact.merging([.numGroups: .int(2)]) { $1 }
      ).reals
    }
    #expect(near(try grouped(21, [1, 2, 3, 4]), [-1, 2, -3, 4]))
    // Until version 21 a group had one scale.
    #expect(near(try grouped(18, [1, 2]), [-1, 1, -2, 2]))
    #expect(!failure("GroupNormalization", opset: 21, [data, .real([1, 1]), .real([1, 1])], [.numGroups: .int(2)]).isEmpty)
    #expect(!failure("GroupNormalization", opset: 21, [data, .real([1, 1]), .real([1, 1])], [.numGroups: .int(3)]).isEmpty)
    let instance = try evaluated(
      "InstanceNormalization", [.real([1, 3, 5, 9], [1, 2, 2]), .real([1, 1]), .real([0, 1])], exact)
    #expect(near(instance.reals, [-1, 1, 0, 2]))
  }

  @Test func sharesSumUpToOne() throws {
    #expect(near(try evaluated("Softmax", [.real([0, log(3)])]).reals, [0.25, 0.75]))
    #expect(try evaluated("Softmax", [.real([1e30, 1e30])]).reals == [0.5, 0.5])
    #expect(try evaluated("Softmax", [.real([-.infinity, 0])]).reals == [0, 1])
    #expect(try evaluated("Softmax", [.real([.nan, 0])]).reals.map(\.isNaN) == [true, true])
    #expect(near(try evaluated("LogSoftmax", [.real([1000, 1000])]).reals, [-log(2), -log(2)]))
    #expect(try evaluated("Hardmax", [.real([1, 3, 3])]).reals == [0, 1, 0])
  }

  @Test func beforeVersion13AllLastAxesWereOne() throws {
    let zeros = NumberTensor.real([0, 0, 0, 0], [1, 2, 2])
    #expect(try evaluated("Softmax", opset: 13, [zeros]).reals == [0.5, 0.5, 0.5, 0.5])
    #expect(try evaluated("Softmax", opset: 11, [zeros]).reals == [0.25, 0.25, 0.25, 0.25])
    #expect(try evaluated("Softmax", opset: 11, [zeros], [.axis: .int(2)]).reals == [0.5, 0.5, 0.5, 0.5])
  }

  @Test func halfPrecisionSharesAreThoseOfTheirParts() throws {
    let scores = NumberTensor.real([0.1, 0.7, -0.3, 2.1, 0.9], nil, .f16)
    let axis = NumberTensor.whole([0])
    let largest = try evaluated("ReduceMax", [scores, axis])
    let powers = try evaluated("Exp", evaluated("Sub", [scores, largest[0]]))
    let shares = try evaluated("Div", [powers[0], evaluated("ReduceSum", [powers[0], axis])[0]])
    #expect(try evaluated("Softmax", [scores]).reals == shares.reals)
  }

  @Test func neighboursAndLengths() throws {
    let response: [AttributeName: AttributeValue] = [.alpha: .float(1), .beta: .float(1), .bias: .float(1), .size: .int(1)]
    #expect(near(try evaluated("LRN", [.real([2, 3], [1, 2])], response).reals, [0.4, 0.3]))
    #expect(!failure("LRN", [.real([2, 3], [1, 2])], [.size: .int(0)]).isEmpty)
    #expect(near(try evaluated("LpNormalization", [.real([3, 4])]).reals, [0.6, 0.8]))
    #expect(near(try evaluated("LpNormalization", [.real([3, -1])], [.p: .int(1)]).reals, [0.75, -0.25]))
    #expect(try evaluated("LpNormalization", [.real([0, 0])]).reals == [0, 0])
    let mean = try evaluated("MeanVarianceNormalization", [.real([1, 3], [1, 2])], [.axes: .ints([1])])
    #expect(near(mean.reals, [-1, 1]))
  }

  @Test func skipsAreAddedFirst() throws {
    let data = NumberTensor.real([0, 2], [1, 1, 2])
    let skip = NumberTensor.real([1, 1], [1, 1, 2])
    let normed = try evaluated(
      "com.microsoft.SkipLayerNormalization", [data, skip, .real([1, 1]), .real([0, 5]), .real([1, 1])], exact, outputs: 4)
    #expect(near(normed[0].reals, [-1, 6]))
    #expect(normed[3].reals == [2, 4])
    let simple = try evaluated(
      "com.microsoft.SkipSimplifiedLayerNormalization", [data, .real([1, 5], [1, 1, 2]), .real([1, 1])], exact)
    #expect(near(simple.reals, [0.2, 1.4]))
  }

  @Test func embeddingsOfWordsPositionsAndSegments() throws {
    let words = NumberTensor.real([0, 0, 10, 20], [2, 2])
    let positions = NumberTensor.real([1, 1, 2, 4], [2, 2])
    let operands: [NumberTensor?] = [
      .whole([1, 0], [1, 2], .i32), nil, words, positions, nil, .real([1, 1]), .real([0, 0]), .whole([1, 0], [1, 2], .i32),
    ]
    let embedded = try evaluated("com.microsoft.EmbedLayerNormalization", operands, exact, outputs: 3)
    #expect(embedded[2].reals == [11, 21, 2, 4])
    #expect(near(embedded[0].reals, [-1, 1, -1, 1]))
    #expect(embedded[1].wholes == [1])
    var outside = operands
    outside[0] = .whole([2, 0], [1, 2], .i32)
    #expect(failure("com.microsoft.EmbedLayerNormalization", outside, exact, outputs: 3).contains("word id 2 is outside"))
  }
}
