import Foundation
import Graph
import Testing

/// Queries of zeros ask every key alike, so that results are plain averages of the values that are seen.
@Suite struct AttentionEvaluationTests {
  private let asking = NumberTensor.real([0, 0], [1, 1, 2, 1])
  private let keys = NumberTensor.real([5, 6], [1, 1, 2, 1])
  private let values = NumberTensor.real([1, 3], [1, 1, 2, 1])

  private func attended(
    _ operands: [NumberTensor?] = [], _ attributes: [AttributeName: AttributeValue] = [:], opset: Int = 24
  ) throws -> [Double] {
    try evaluated("Attention", opset: opset, [asking, keys, values] + operands, attributes).reals
  }

  @Test func valuesAreAveragedByTheSharesOfTheScores() throws {
    #expect(try attended() == [2, 2])
    let pointed = try evaluated("Attention", opset: 24, [.real([1], [1, 1, 1, 1]), .real([0, log(3)], [1, 1, 2, 1]), values])
    #expect(abs(pointed.reals[0] - (0.25 * 1 + 0.75 * 3)) < 1e-6)
    let scaled = try evaluated(
      "Attention", opset: 24, [.real([1], [1, 1, 1, 1]), .real([0, 2 * log(3)], [1, 1, 2, 1]), values], [.scale: .float(0.5)])
    #expect(abs(scaled.reals[0] - 2.5) < 1e-6)
  }

  @Test func masksHideKeys() throws {
    #expect(try attended([], [.isCausal: .int(1)]) == [1, 2])
    #expect(try attended([NumberTensor(truths: [true, false, false, true], [2, 2])]) == [1, 3])
    let biased = try attended([.real([0, log(3), 0, -.infinity], [2, 2])])
    #expect(abs(biased[0] - 2.5) < 1e-6 && biased[1] == 1)
    // A mask that ends early hides what it does not cover.
    #expect(try attended([NumberTensor(truths: [true, true], [2, 1])]) == [1, 1])
    #expect(try attended([NumberTensor(truths: [], [2, 0])]) == [0, 0])
    #expect(failure("Attention", opset: 24, [asking, keys, values, .counting([3, 2])]).contains("mask"))
  }

  @Test func aQueryThatSeesNothingGivesZeros() throws {
    #expect(try attended([NumberTensor(truths: [false, false, true, true], [2, 2])]) == [0, 2])
  }

  @Test func lengthsOfPaddedKeys() throws {
    #expect(try attended([nil, nil, nil, .whole([1])]) == [1, 1])
    #expect(failure("Attention", opset: 24, [asking, keys, values, nil, nil, nil, .whole([1, 1])]).contains("lengths"))
    for length in [-1, 3, Int.min, Int.max] {
      let message = failure("Attention", opset: 24, [asking, keys, values, nil, nil, nil, .whole([length])])
      #expect(message.contains("the valid length \(length) is outside 2 keys"))
    }
  }

  @Test func earlierKeysComeFirst() throws {
    let step = NumberTensor.real([0], [1, 1, 1, 1])
    let grown = try evaluated(
      "Attention", opset: 24, [step, .real([7], [1, 1, 1, 1]), .real([5], [1, 1, 1, 1]), nil, keys, values],
      [.isCausal: .int(1)], outputs: 3)
    #expect(grown[0].reals == [3])
    #expect(grown[1].reals == [5, 6, 7])
    #expect(grown[2].reals == [1, 3, 5])
    #expect(failure("Attention", opset: 24, [step, step, step, nil, keys]).contains("past"))
  }

  @Test func headsShareKeysInRuns() throws {
    let queries = NumberTensor.real([0, 0, 0, 0], [1, 4, 1, 1])
    let two = NumberTensor.real([10, 20], [1, 2, 1, 1])
    #expect(try evaluated("Attention", opset: 24, [queries, two, two]).reals == [10, 10, 20, 20])
    // Side by side instead of in front: the same heads.
    let flat = try evaluated(
      "Attention", opset: 24, [.real([0, 0, 0, 0], [1, 1, 4]), .real([10, 20], [1, 1, 2]), .real([10, 20], [1, 1, 2])],
      [.qNumHeads: .int(4), .kvNumHeads: .int(2)])
    #expect(flat.shape == [1, 1, 4])
    #expect(flat.reals == [10, 10, 20, 20])
    #expect(!failure("Attention", opset: 24, [.real([0, 0, 0], [1, 3, 1, 1]), two, two]).isEmpty)
  }

  @Test func scoresAreGivenOutAtTheStageAsked() throws {
    let one = NumberTensor.real([2], [1, 1, 1, 1])
    func scores(_ mode: Int) throws -> [Double] {
      try evaluated(
        "Attention", opset: 24, [one, .real([1, 3], [1, 1, 2, 1]), values, .real([1, -.infinity], [1, 2])],
        [.scale: .float(1), .softcap: .float(2), .qkMatmulOutputMode: .int(mode)], outputs: 4
      )[3].reals
    }
    #expect(try scores(0) == [2, 6])
    #expect(try abs(scores(1)[0] - 2 * tanh(1)) < 1e-6)
    #expect(try scores(2)[1] == -.infinity)
    #expect(try scores(3) == [1, 0])
    #expect(throws: Diagnostic.self) { try scores(4) }
  }
}

@Suite struct RotaryEvaluationTests {
  /// Position 0 turns by nothing, position 1 by a quarter.
  private let cosine = NumberTensor.real([1, 0], [2, 1])
  private let sine = NumberTensor.real([0, 1], [2, 1])

  @Test func pairsTurnByTheAngleOfTheirPosition() throws {
    let data = NumberTensor.real([1, 2, 1, 2], [1, 1, 2, 2])
    let turned = try evaluated(
      "RotaryEmbedding", opset: 23, [data, cosine, sine, .whole([0, 1], [1, 2])])
    #expect(turned.reals == [1, 2, -2, 1])
    let same = try evaluated("RotaryEmbedding", opset: 23, [data, cosine, sine, .whole([0, 0], [1, 2])])
    #expect(same.reals == data.reals)
    #expect(
      failure("RotaryEmbedding", opset: 23, [data, cosine, sine, .whole([0, 2], [1, 2])]).contains("position 2 is outside"))
  }

  @Test func pairsAreHalvesApartOrNeighbours() throws {
    let data = NumberTensor.real([1, 2, 3, 4], [1, 1, 1, 4])
    let (cosines, sines) = (NumberTensor.real([0, 1], [1, 2]), NumberTensor.real([1, 0], [1, 2]))
    let position = NumberTensor.whole([0], [1, 1])
    #expect(try evaluated("RotaryEmbedding", opset: 23, [data, cosines, sines, position]).reals == [-3, 2, 1, 4])
    let neighbours = try evaluated("RotaryEmbedding", opset: 23, [data, cosines, sines, position], [.interleaved: .int(1)])
    #expect(neighbours.reals == [-2, 1, 3, 4])
    let offset = try evaluated(
      "com.microsoft.RotaryEmbedding", [.real([1, 2, 1, 2], [1, 2, 2]), .whole([0]), cosine, sine])
    #expect(offset.reals == [1, 2, -2, 1])
  }
}

@Suite struct MicrosoftAttentionEvaluationTests {
  @Test func headsSideBySide() throws {
    let zeros = NumberTensor.real([0, 0, 0, 0], [1, 2, 2])
    let values = NumberTensor.real([1, 10, 3, 30], [1, 2, 2])
    let two: [AttributeName: AttributeValue] = [.numHeads: .int(2)]
    #expect(try evaluated("com.microsoft.MultiHeadAttention", [zeros, zeros, values], two).reals == [2, 20, 2, 20])
    let causal = try evaluated(
      "com.microsoft.MultiHeadAttention", [zeros, zeros, values], two.merging([.unidirectional: .int(1)]) { $1 })
    #expect(causal.reals == [1, 10, 2, 20])
    let biased = try evaluated("com.microsoft.MultiHeadAttention", [zeros, zeros, values, .real([0, 0, 0, 0, 1, 5])], two)
    #expect(biased.reals == [3, 25, 3, 25])
    // Keys behind the length of an image are hidden so well that nothing of them is left.
    let padded = try evaluated("com.microsoft.MultiHeadAttention", [zeros, zeros, values, nil, .whole([1], nil, .i32)], two)
    #expect(padded.reals == [1, 10, 1, 10])
    #expect(!failure("com.microsoft.MultiHeadAttention", [zeros, zeros, values], [.numHeads: .int(3)]).isEmpty)
  }

  @Test func cachesGrow() throws {
    let step = NumberTensor.real([0, 0], [1, 1, 2])
    let past = NumberTensor.real([1, 10], [1, 2, 1, 1])
    let grown = try evaluated(
      "com.microsoft.MultiHeadAttention", [step, step, .real([3, 30], [1, 1, 2]), nil, nil, nil, past, past],
      [.numHeads: .int(2)], outputs: 3)
    #expect(grown[0].reals == [2, 20])
    #expect(grown[2].shape == [1, 2, 2, 1])
    #expect(grown[2].reals == [1, 3, 10, 30])
  }

  @Test func oneWeightMakesQueryKeyAndValue() throws {
    // Queries and keys are zeros, values ten times the input.
    let weight = NumberTensor.real([0, 0, 10], [1, 3])
    let operands: [NumberTensor?] = [.real([1, 3], [1, 2, 1]), weight, .real([0, 0, 1])]
    #expect(try evaluated("com.microsoft.Attention", operands, [.numHeads: .int(1)]).reals == [21, 21])
    let causal = try evaluated("com.microsoft.Attention", operands, [.numHeads: .int(1), .unidirectional: .int(1)])
    #expect(causal.reals == [11, 21])
    #expect(!failure("com.microsoft.Attention", [operands[0], .counting([2, 3]), operands[2]], [.numHeads: .int(1)]).isEmpty)
  }

  @Test func groupedQueriesReadTheirGroupOfTheCache() throws {
    // Two query heads per key head; one new position behind a cache that holds one of two.
    let attributes: [AttributeName: AttributeValue] = [.numHeads: .int(4), .kvNumHeads: .int(2)]
    let queries = NumberTensor.real([0, 0, 0, 0], [1, 1, 4])
    let fresh = NumberTensor.real([3, 30], [1, 1, 2])
    let cache = NumberTensor.real([1, 99, 10, 99], [1, 2, 2, 1])
    func grouped(end: Int) throws -> [NumberTensor] {
      try evaluated(
        "com.microsoft.GroupQueryAttention",
        [queries, fresh, fresh, cache, cache, .whole([end], nil, .i32), .whole([2], [], .i32)], attributes, outputs: 3)
    }
    let found = try grouped(end: 1)
    #expect(found[0].reals == [2, 2, 20, 20])
    #expect(found[2].reals == [1, 3, 10, 30])
    #expect(throws: Diagnostic.self) { try grouped(end: 2) }
    #expect(throws: Diagnostic.self) { try grouped(end: -2) }
  }
}
