import Foundation
import Graph
import Testing

@Suite struct RecurrenceEvaluationTests {
  /// A cell without a function, whose state is the sum of what came: every result can be added up by hand.
  private func sums(
    _ data: NumberTensor, directions: Int = 1, lengths: NumberTensor? = nil, initial: NumberTensor? = nil,
    _ attributes: [AttributeName: AttributeValue] = [:]
  ) throws -> [NumberTensor] {
    let ones = NumberTensor.real(Array(repeating: 1, count: directions), [directions, 1, 1])
    let plain: [AttributeName: AttributeValue] = [
      .hiddenSize: .int(1), .activations: .strings(Array(repeating: "Affine", count: directions)),
    ]
    return try evaluated("RNN", [data, ones, ones, nil, lengths, initial], plain.merging(attributes) { $1 }, outputs: 2)
  }

  @Test func statesGoFromStepToStep() throws {
    let summed = try sums(.real([1, 2, 3], [3, 1, 1]))
    #expect(summed[0].shape == [3, 1, 1, 1])
    #expect(summed[0].reals == [1, 3, 6])
    #expect(summed[1].reals == [6])
    #expect(try sums(.real([1, 2, 3], [3, 1, 1]), initial: .real([10], [1, 1, 1]))[0].reals == [11, 13, 16])
  }

  @Test func backwardsAndBothWays() throws {
    let data = NumberTensor.real([1, 2, 3], [3, 1, 1])
    #expect(try sums(data, [.direction: .string("reverse")])[0].reals == [6, 5, 3])
    let both = try sums(data, directions: 2, [.direction: .string("bidirectional")])
    #expect(both[0].reals == [1, 6, 3, 5, 6, 3])
    #expect(both[1].reals == [6, 6])
    #expect(throws: Diagnostic.self) { try sums(data, [.direction: .string("sideways")]) }
  }

  @Test func shorterSequencesEndEarlyAndLeaveZeros() throws {
    let data = NumberTensor.real([1, 10, 2, 20, 3, 30], [3, 2, 1])
    let short = try sums(data, lengths: .whole([3, 1], nil, .i32))
    #expect(short[0].reals == [1, 10, 3, 0, 6, 0])
    #expect(short[1].reals == [6, 10])
    // Backwards begins at a sequence's own end.
    let back = try sums(data, lengths: .whole([3, 2], nil, .i32), [.direction: .string("reverse")])
    #expect(back[0].reals == [6, 30, 5, 20, 3, 0])
    for length in [-1, 4] {
      #expect(throws: Diagnostic.self) { try sums(data, lengths: .whole([3, length], nil, .i32)) }
    }
  }

  @Test func theBatchMayComeFirst() throws {
    let first = try sums(.real([1, 2, 3, 10, 20, 30], [2, 3, 1]), [.layout: .int(1)])
    #expect(first[0].shape == [2, 3, 1, 1])
    #expect(first[0].reals == [1, 3, 6, 10, 30, 60])
    #expect(first[1].reals == [6, 60])
  }

  @Test func functionsAndTheirNumbers() throws {
    let one = NumberTensor.real([1], [1, 1, 1])
    let usual = try evaluated("RNN", [one, one, one], [.hiddenSize: .int(1)], outputs: 2)
    #expect(abs(usual[1].reals[0] - tanh(1)) < 1e-6)
    let affine: [AttributeName: AttributeValue] = [.activationAlpha: .floats([2]), .activationBeta: .floats([5])]
    #expect(try sums(one, affine)[1].reals == [7])
    #expect(try sums(.real([9], [1, 1, 1]), [.clip: .float(4)])[1].reals == [4])
    #expect(failure("RNN", [one, one, one], [.activations: .strings(["Sine"])], outputs: 2).contains("Sine"))
    #expect(failure("RNN", [one, one, one], [.activations: .strings(["Tanh", "Tanh"])], outputs: 2).contains("2 functions"))
  }

  @Test func gatesOfALongMemory() throws {
    // Without weights all gates stand half open and nothing new comes in.
    let zeros = NumberTensor.real([0, 0, 0, 0], [1, 4, 1])
    let cell = NumberTensor.real([1], [1, 1, 1])
    let step = try evaluated(
      "LSTM", [cell, zeros, zeros, nil, nil, nil, cell], [.hiddenSize: .int(1)], outputs: 3)
    #expect(step[2].reals == [0.5])
    #expect(abs(step[1].reals[0] - 0.5 * tanh(0.5)) < 1e-6)
    // Biases in the order input, output, forget, new: wide open, shut, shut, and a new value of tanh 9.
    let bias = NumberTensor.real([99, -99, -99, 9, 0, 0, 0, 0], [1, 8])
    let shut = try evaluated(
      "LSTM", [cell, zeros, zeros, bias, nil, nil, cell], [.hiddenSize: .int(1)], outputs: 3)
    #expect(abs(shut[2].reals[0] - tanh(9)) < 1e-6)
    #expect(abs(shut[1].reals[0]) < 1e-6)
    // Coupled gates forget as much as they let in.
    let coupled = try evaluated(
      "LSTM", [cell, zeros, zeros, .real([-99, 0, -99, 9, 0, 0, 0, 0], [1, 8]), nil, nil, cell],
      [.hiddenSize: .int(1), .inputForget: .int(1)], outputs: 3)
    #expect(abs(coupled[2].reals[0] - 1) < 1e-6)
  }

  @Test func peepholesLookAtTheCell() throws {
    let zeros = NumberTensor.real([0, 0, 0, 0], [1, 4, 1])
    let cell = NumberTensor.real([1], [1, 1, 1])
    func forgetting(_ peephole: Double) throws -> Double {
      try evaluated(
        "LSTM", [cell, zeros, zeros, nil, nil, nil, cell, .real([0, 0, peephole], [1, 3])], [.hiddenSize: .int(1)], outputs: 3
      )[2].reals[0]
    }
    #expect(try forgetting(0) == 0.5)
    #expect(try abs(forgetting(99) - 1) < 1e-6)
    #expect(try abs(forgetting(-99)) < 1e-6)
  }

  @Test func gatedUnits() throws {
    let zeros = NumberTensor.real([0, 0, 0], [1, 3, 1])
    let state = NumberTensor.real([8], [1, 1, 1])
    let step = try evaluated("GRU", [state, zeros, zeros, nil, nil, state], [.hiddenSize: .int(1)], outputs: 2)
    #expect(step[1].reals == [4])
    // The reset gate stands before the product with the state, or, with its bias, behind it.
    let bias = NumberTensor.real([-99, -99, 0, 0, 0, 0.5], [1, 6])
    func candidate(_ late: Int) throws -> Double {
      try evaluated(
        "GRU", [state, zeros, zeros, bias, nil, state], [.hiddenSize: .int(1), .linearBeforeReset: .int(late)], outputs: 2
      )[1].reals[0]
    }
    #expect(try abs(candidate(0) - tanh(0.5)) < 1e-6)
    #expect(try abs(candidate(1)) < 1e-6)
  }
}
