import Graph
import Testing

@Suite struct ReductionEvaluationTests {
  @Test func axesAreReducedAndKeptOrGone() throws {
    let sums = try evaluated("ReduceSum", [.counting([2, 3, 2]), .whole([0, -1])], [.keepDims: .int(0)])
    #expect(sums.shape == [3])
    #expect(sums.reals == [14, 22, 30])
    let middle = try evaluated("ReduceMax", opset: 13, [.counting([2, 3, 2])], [.axes: .ints([1])])
    #expect(middle.shape == [2, 1, 2])
    #expect(middle.reals == [4, 5, 10, 11])
    #expect(failure("ReduceSum", [.counting([2]), .whole([1])]).contains("axis 1 is outside"))
  }

  @Test func noAxesMeansAllUnlessItMeansNone() throws {
    let numbers = NumberTensor.real([1, -2, 3])
    #expect(try evaluated("ReduceSumSquare", [numbers, .whole([])]).reals == [14])
    #expect(try evaluated("ReduceSumSquare", [numbers, .whole([])], [.noopWithEmptyAxes: .int(1)]).reals == [1, 4, 9])
    #expect(try evaluated("ReduceSum", [numbers], [.noopWithEmptyAxes: .int(1)]).reals == [1, -2, 3])
  }

  @Test func everyReductionIsWhatItsFormulaSays() throws {
    func reduced(_ type: String, _ numbers: [Double]) throws -> Double {
      try evaluated(type, [.real(numbers, nil, .f64)], [.keepDims: .int(0)]).reals[0]
    }
    #expect(try reduced("ReduceMean", [1, 2, 6]) == 3)
    #expect(try reduced("ReduceProd", [2, -3]) == -6)
    #expect(try reduced("ReduceMin", [2, -3]) == -3)
    #expect(try reduced("ReduceL1", [2, -3]) == 5)
    #expect(try reduced("ReduceL2", [3, -4]) == 5)
    #expect(try reduced("ReduceLogSum", [0.5, 0.5]) == 0)
    #expect(try reduced("ReduceLogSumExp", [1000, -1000]) == 1000)
    #expect(try reduced("ReduceLogSumExp", [-.infinity]) == -.infinity)
    #expect(try reduced("ReduceMax", [1, .nan, 2]).isNaN)
  }

  @Test func wholeNumbersAreReducedInTheirType() throws {
    #expect(try evaluated("ReduceMean", [.whole([-3, -4])]).wholes == [-3])
    #expect(try evaluated("ReduceSum", [.whole([100, 100], nil, .i8)]).wholes == [-56])
    #expect(try evaluated("ReduceMax", [.whole([-1, 1], nil, .u64)]).wholes == [-1])
    #expect(try evaluated("ReduceMin", [NumberTensor(truths: [true, false], [2])]).truths == [false])
  }

  @Test func reducingNothingGivesTheNeutralNumber() throws {
    let nothing = NumberTensor.real([], [2, 0])
    func reduced(_ type: String, _ tensor: NumberTensor) throws -> [NumberTensor] { try evaluated(type, [tensor, .whole([1])]) }
    #expect(try reduced("ReduceSum", nothing).reals == [0, 0])
    #expect(try reduced("ReduceProd", nothing).reals == [1, 1])
    #expect(try reduced("ReduceMax", nothing).reals == [-.infinity, -.infinity])
    #expect(try reduced("ReduceMin", .whole([], [1, 0], .i8)).wholes == [127])
    #expect(try reduced("ReduceMean", .whole([], [1, 0])).wholes == [0])
    #expect(failure("ArgMax", [nothing], [.axis: .int(1)]).contains("no indices"))
  }

  @Test func extremesAreFoundFirstOrLast() throws {
    let numbers = NumberTensor.real([2, 2, 1, 1, 3, 3], [2, 3])
    #expect(try evaluated("ArgMax", [numbers], [.axis: .int(1)]).wholes == [0, 1])
    #expect(try evaluated("ArgMax", [numbers], [.axis: .int(1), .selectLastIndex: .int(1)]).wholes == [1, 2])
    #expect(try evaluated("ArgMin", [numbers], [.axis: .int(0), .keepDims: .int(0)]).wholes == [1, 0, 0])
    #expect(try evaluated("ArgMax", [numbers], [.axis: .int(0)]).shape == [1, 3])
  }

  @Test func sumsAccumulateInEitherDirection() throws {
    let numbers = NumberTensor.real([1, 2, 3, 4], [2, 2])
    let axis = NumberTensor(scalar: 1, .i32)
    #expect(try evaluated("CumSum", [numbers, axis]).reals == [1, 3, 3, 7])
    #expect(try evaluated("CumSum", [numbers, axis], [.exclusive: .int(1)]).reals == [0, 1, 0, 3])
    #expect(try evaluated("CumSum", [numbers, axis], [.reverse: .int(1)]).reals == [3, 2, 7, 4])
    #expect(
      try evaluated("CumSum", [numbers, NumberTensor(scalar: -2)], [.exclusive: .int(1), .reverse: .int(1)]).reals == [
        3, 4, 0, 0,
      ])
    #expect(failure("CumSum", [numbers, NumberTensor(scalar: 2)]).contains("axis 2 is outside"))
  }

  @Test func largestComeInOrderAndEqualOnesByIndex() throws {
    let numbers = NumberTensor.real([1, 3, 3, 2])
    let largest = try evaluated("TopK", [numbers, .whole([3])], outputs: 2)
    #expect(largest[0].reals == [3, 3, 2])
    #expect(largest[1].wholes == [1, 2, 3])
    let smallest = try evaluated("TopK", [numbers, .whole([2])], [.largest: .int(0)], outputs: 2)
    #expect(smallest[1].wholes == [0, 3])
    #expect(try evaluated("TopK", [numbers, .whole([0])], outputs: 2).shape == [0])
    #expect(failure("TopK", [numbers, .whole([5])], outputs: 2).contains("5 largest"))
  }

  @Test func largestOfManyAreThoseOfASort() throws {
    let numbers = (0..<1000).map { ($0 * 7919) % 211 }
    let sorted = numbers.indices.sorted { numbers[$0] == numbers[$1] ? $0 < $1 : numbers[$0] > numbers[$1] }
    for count in [1, 7, 100, 999] {
      let found = try evaluated("TopK", [.whole(numbers), .whole([count])], outputs: 2)
      #expect(found[1].wholes == Array(sorted.prefix(count)))
    }
  }
}
