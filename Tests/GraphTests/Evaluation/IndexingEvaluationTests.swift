import Graph
import Testing

@Suite struct GatherEvaluationTests {
  @Test func indicesCountFromEitherEnd() throws {
    let rows = try evaluated("Gather", [.counting([3, 2]), .whole([0, -1], [1, 2])])
    #expect(rows.shape == [1, 2, 2])
    #expect(rows.reals == [0, 1, 4, 5])
    let column = try evaluated("Gather", [.counting([3, 2]), NumberTensor(scalar: 1, .i32)], [.axis: .int(-1)])
    #expect(column.reals == [1, 3, 5])
    #expect(try evaluated("Gather", [.whole([1, 2, 3], nil, .u4), .whole([2, 0, 2])]).wholes == [3, 1, 3])
  }

  @Test(arguments: [2, -3, Int.min, Int.max], [1, 5000])
  func indicesOutsideAreRefused(_ index: Int, count: Int) {
    // 5000 are more numbers than shape arithmetic follows: then the check is the evaluation's own.
    let indices = NumberTensor.whole(Array(repeating: 0, count: count - 1) + [index])
    let (tuples, updates) = (indices.reshaped([count, 1]), NumberTensor.counting([count]))
    let data = NumberTensor.whole([1, 2])
    #expect(failure("Gather", [data, indices]).contains("outside axis 0"))
    #expect(failure("GatherElements", [data, indices]).contains("outside axis 0"))
    #expect(failure("GatherND", [data, tuples]).contains("outside axis 0"))
    #expect(failure("ScatterElements", [.counting([2]), indices, updates]).contains("outside axis 0"))
    #expect(failure("ScatterND", [.counting([2]), tuples, updates]).contains("outside axis 0"))
  }

  @Test func elementsAreTakenOneByOne() throws {
    let taken = try evaluated("GatherElements", [.counting([2, 2]), .whole([0, 0, 1, -2], [2, 2])], [.axis: .int(1)])
    #expect(taken.reals == [0, 0, 3, 2])
    #expect(try evaluated("GatherElements", [.counting([3, 3]), .whole([2, 1], [1, 2])]).reals == [6, 4])
    #expect(failure("GatherElements", [.counting([2, 2]), .whole([0, 0, 0], [1, 3])]).contains("extent 3 on axis 1"))
  }

  @Test func tuplesNameNumbersOrBlocks() throws {
    let data = NumberTensor.counting([2, 2, 2])
    #expect(try evaluated("GatherND", [data, .whole([0, 1, 1, 0], [2, 2])]).reals == [2, 3, 4, 5])
    #expect(try evaluated("GatherND", [data, .whole([1, -1, 0], [3])]).reals == [6])
    let batched = try evaluated("GatherND", [data, .whole([1, 0], [2, 1])], [.batchDims: .int(1)])
    #expect(batched.reals == [2, 3, 4, 5])
    #expect(failure("GatherND", [data, .whole([1, 0, 0], [3, 1])], [.batchDims: .int(1)]).contains("differ"))
  }

  @Test func sequencesTurnAround() throws {
    let data = NumberTensor.counting([3, 2])
    let turned = try evaluated("ReverseSequence", [data, .whole([3, 2])])
    #expect(turned.reals == [4, 3, 2, 1, 0, 5])
    let across = try evaluated(
      "ReverseSequence", [.counting([2, 3]), .whole([3, 1])], [.timeAxis: .int(1), .batchAxis: .int(0)])
    #expect(across.reals == [2, 1, 0, 3, 4, 5])
    #expect(failure("ReverseSequence", [data, .whole([4, 1])]).contains("4 steps"))
  }

  @Test func triangles() throws {
    let data = NumberTensor.whole(Array(1...9), [3, 3])
    #expect(try evaluated("Trilu", [data]).wholes == [1, 2, 3, 0, 5, 6, 0, 0, 9])
    #expect(try evaluated("Trilu", [data, NumberTensor(scalar: -1)], [.upper: .int(0)]).wholes == [0, 0, 0, 4, 0, 0, 7, 8, 0])
    #expect(try evaluated("Trilu", [data, NumberTensor(scalar: Int.max)]).wholes == Array(repeating: 0, count: 9))
    #expect(try evaluated("Trilu", [data, NumberTensor(scalar: Int.min)]).wholes == Array(1...9))
  }

  @Test func oneIsHot() throws {
    let hot = try evaluated("OneHot", [.whole([1, -1, 7]), NumberTensor(scalar: 3), .real([0, 5])])
    #expect(hot.reals == [0, 5, 0, 0, 0, 5, 0, 0, 0])
    let first = try evaluated("OneHot", [.whole([1, 0]), NumberTensor(scalar: 2), .whole([2, 4])], [.axis: .int(0)])
    #expect(first.wholes == [2, 4, 4, 2])
    #expect(failure("OneHot", [.whole([1]), NumberTensor(scalar: -1), .real([0, 1])]).contains("negative"))
    #expect(failure("OneHot", [.whole([1]), NumberTensor(scalar: 2), .real([0, 1, 2])]).contains("two"))
  }
}

@Suite struct SearchEvaluationTests {
  @Test func nonZeroPlacesByAxis() throws {
    let found = try evaluated("NonZero", [.real([0, 1, .nan, 0], [2, 2])])
    #expect(found.shape == [2, 2])
    #expect(found.wholes == [0, 1, 1, 0])
    #expect(try evaluated("NonZero", [.real([0, 0])]).shape == [1, 0])
  }

  @Test func uniqueNumbersInOrderOrAsTheyCome() throws {
    let numbers = NumberTensor.real([2, 1, 1, 3, 2])
    let sorted = try evaluated("Unique", [numbers], outputs: 4)
    #expect(sorted.reals == [1, 2, 3])
    #expect(sorted.dropFirst().map(\.wholes) == [[1, 0, 3], [1, 0, 0, 2, 1], [2, 2, 1]])
    let asTheyCome = try evaluated("Unique", [numbers], [.sorted: .int(0)], outputs: 4)
    #expect(asTheyCome.reals == [2, 1, 3])
    #expect(asTheyCome.dropFirst().map(\.wholes) == [[0, 1, 3], [0, 1, 1, 2, 0], [2, 2, 1]])
    let rows = try evaluated("Unique", [.whole([1, 0, 1, 0, 0, 9], [3, 2])], [.axis: .int(0)], outputs: 4)
    #expect(rows.wholes == [0, 9, 1, 0])
    #expect(rows[2].wholes == [1, 1, 0])
    #expect(try evaluated("Unique", [.real([])], outputs: 4).shape == [0])
  }

  @Test func conditionsCompress() throws {
    let data = NumberTensor.counting([2, 3])
    #expect(
      try evaluated("Compress", [data, NumberTensor(truths: [true, false, true], [3])], [.axis: .int(1)]).reals == [0, 2, 3, 5])
    #expect(try evaluated("Compress", [data, NumberTensor(truths: [false, true], [2])]).reals == [1])
    #expect(failure("Compress", [data, NumberTensor(truths: [false, false, true], [3])], [.axis: .int(0)]).contains("outside"))
  }

  @Test func overlappingBoxesGiveWayToBetterOnes() throws {
    let boxes = NumberTensor.real([0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 5, 1, 6], [1, 3, 4])
    let scores = NumberTensor.real([0.5, 0.9, 0.7], [1, 1, 3])
    func kept(_ most: Int, _ overlap: Double, _ score: Double?) throws -> [Int] {
      let rest: [NumberTensor?] = [.whole([most]), .real([overlap]), score.map { .real([$0]) }]
      let found = try evaluated("NonMaxSuppression", [boxes, scores] + rest)
      return stride(from: 2, to: found.wholes.count, by: 3).map { found.wholes[$0] }
    }
    #expect(try kept(3, 0.5, nil) == [1, 2])
    #expect(try kept(3, 0.95, nil) == [1, 2, 0])
    #expect(try kept(1, 0.5, nil) == [1])
    #expect(try kept(3, 0.5, 0.8) == [1])
    #expect(try kept(0, 0.5, nil) == [])
  }
}

@Suite struct ScatterEvaluationTests {
  @Test func updatesReplaceOrCombine() throws {
    let data = NumberTensor.whole([1, 2, 3], nil, .i32)
    func scattered(_ reduction: String) throws -> [Int] {
      try evaluated(
        "ScatterElements", [data, .whole([0, -1, 0]), .whole([5, 1, 4], nil, .i32)], [.reduction: .string(reduction)]
      ).wholes
    }
    #expect(try scattered("none") == [4, 2, 1])
    #expect(try scattered("add") == [10, 2, 4])
    #expect(try scattered("mul") == [20, 2, 3])
    #expect(try scattered("max") == [5, 2, 3])
    #expect(try scattered("min") == [1, 2, 1])
    #expect(failure("ScatterElements", [data, .whole([0]), data], [:]).contains("extent 1 on axis 0"))
  }

  @Test func blocksAreWritten() throws {
    let data = NumberTensor.counting([3, 2])
    #expect(
      try evaluated("ScatterND", [data, .whole([2, 0], [2, 1]), .real([7, 8, 5, 6], [2, 2])]).reals == [5, 6, 2, 3, 7, 8])
    let added = try evaluated(
      "ScatterND", [data, .whole([1, 1, 1, 1], [2, 2]), .real([10, 20])], [.reduction: .string("add")])
    #expect(added.reals == [0, 1, 2, 33, 4, 5])
    let packed = try evaluated("ScatterND", [.whole([1, 2, 3], nil, .i4), .whole([1], [1, 1]), .whole([-8], nil, .i4)])
    #expect(packed.wholes == [1, -8, 3])
    let unknown = failure("ScatterND", [data, .whole([0], [1, 1]), .counting([1, 2])], [.reduction: .string("sub")])
    #expect(unknown.contains("none of none, add"))
  }
}
