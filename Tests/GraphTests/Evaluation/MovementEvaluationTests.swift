import Graph
import Testing

@Suite struct ReshapingEvaluationTests {
  @Test func numbersKeepTheirOrderInANewShape() throws {
    #expect(try evaluated("Reshape", [.counting([2, 3]), .whole([0, -1, 1])]).shape == [2, 3, 1])
    #expect(try evaluated("Flatten", [.counting([2, 3, 4])], [.axis: .int(-1)]).shape == [6, 4])
    #expect(try evaluated("Squeeze", opset: 11, [.counting([1, 3, 1])], [.axes: .ints([0])]).shape == [3, 1])
    #expect(try evaluated("Unsqueeze", [.counting([3]), .whole([-1, 0])]).shape == [1, 3, 1])
    #expect(try evaluated("Reshape", [.counting([0, 3]), .whole([3, 0])], [.allowzero: .int(1)]).shape == [3, 0])
    #expect(failure("Reshape", [.counting([2, 3]), .whole([4])]).contains("cannot take the shape"))
    #expect(failure("Squeeze", [.counting([2, 3]), .whole([0])]).contains("not 1"))
  }

  @Test(arguments: [ElementType.f64, .f32, .bf16, .u8, .i4, .u2])
  func axesChangePlaces(_ element: ElementType) throws {
    let moved = try evaluated("Transpose", [.whole([0, 1, 2, 3, 0, 1], [2, 3], element)])
    #expect(moved.shape == [3, 2])
    #expect(moved.wholes.map { $0 & 3 } == [0, 3, 1, 0, 2, 1])
    #expect(
      try evaluated("Transpose", [.counting([2, 2, 2], .f32)], [.perm: .ints([1, 0, 2])]).reals == [0, 1, 4, 5, 2, 3, 6, 7])
  }

  @Test func halvesOfPackedFloatsSurviveMoves() throws {
    let numbers = NumberTensor.real([0.5, -1.5, 6], [1, 3], .f4e2m1)
    #expect(try evaluated("Transpose", [numbers]).reals == [0.5, -1.5, 6])
    #expect(try evaluated("Expand", [numbers, .whole([2, 1])]).reals == [0.5, -1.5, 6, 0.5, -1.5, 6])
  }

  @Test func numbersRepeat() throws {
    #expect(try evaluated("Expand", [.counting([2, 1]), .whole([3, 1, 2])]).reals == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1])
    #expect(try evaluated("Tile", [.counting([2, 2]), .whole([1, 2])]).reals == [0, 1, 0, 1, 2, 3, 2, 3])
    #expect(try evaluated("Tile", [.counting([2, 2]), .whole([2, 0])]).shape == [4, 0])
    #expect(failure("Tile", [.counting([2, 2]), .whole([-1, 1])]).contains("repeated -1 times"))
    #expect(failure("Expand", [.counting([2]), .whole([1 << 50])]).contains("does not expand"))
    #expect(failure("Expand", [.counting([1]), .whole([1 << 50])]).contains("at most"))
  }

  @Test func blocksMoveBetweenDepthAndSpace() throws {
    let depth = NumberTensor.counting([1, 4, 1, 2])
    let space = try evaluated("DepthToSpace", [depth], [.blocksize: .int(2)])
    #expect(space.reals == [0, 2, 1, 3, 4, 6, 5, 7])
    #expect(try evaluated("SpaceToDepth", [space[0]], [.blocksize: .int(2)]).reals == depth.reals)
    let wide = NumberTensor.counting([1, 8, 1, 1])
    #expect(try evaluated("DepthToSpace", [wide], [.blocksize: .int(2)]).reals == [0, 2, 4, 6, 1, 3, 5, 7])
    let columnFirst = try evaluated("DepthToSpace", [wide], [.blocksize: .int(2), .mode: .string("CRD")])
    #expect(columnFirst.reals == wide.reals)
    #expect(
      try evaluated("SpaceToDepth", [columnFirst[0]], [.blocksize: .int(2), .mode: .string("CRD")]).reals == wide.reals)
    #expect(failure("DepthToSpace", [.counting([1, 3, 1, 1])], [.blocksize: .int(2)]).contains("not a multiple"))
  }
}

@Suite struct JoiningEvaluationTests {
  @Test func partsStandSideBySide() throws {
    let joined = try evaluated("Concat", [.counting([2, 1]), .counting([2, 2]), .counting([2, 0])], [.axis: .int(-1)])
    #expect(joined.reals == [0, 0, 1, 1, 2, 3])
    let packed = try evaluated("Concat", [.whole([1], nil, .u4), .whole([2, 3], nil, .u4)], [.axis: .int(0)])
    #expect(packed.wholes == [1, 2, 3])
    #expect(failure("Concat", [.counting([2, 1]), .counting([3, 1])], [.axis: .int(1)]).contains("extent 3 on axis 0"))
  }

  @Test func splitsAreEqualOrAsListed() throws {
    let numbers = NumberTensor.counting([5])
    let listed = try evaluated("Split", [numbers, .whole([2, 0, 3])], outputs: 3)
    #expect(listed.map(\.reals) == [[0, 1], [], [2, 3, 4]])
    let uneven = try evaluated("Split", [numbers], [.numOutputs: .int(3)], outputs: 3)
    #expect(uneven.map(\.reals) == [[0, 1], [2, 3], [4]])
    let old = try evaluated("Split", opset: 11, [.counting([2, 2])], [.axis: .int(1), .split: .ints([1, 1])], outputs: 2)
    #expect(old.map(\.reals) == [[0, 2], [1, 3]])
    #expect(failure("Split", [numbers, .whole([2, 2])], outputs: 2).contains("add up to 4"))
  }

  @Test func slicesCountFromEitherEnd() throws {
    func sliced(_ start: Int, _ end: Int, _ step: Int) throws -> [Double] {
      try evaluated("Slice", [.counting([5]), .whole([start]), .whole([end]), .whole([0]), .whole([step])]).reals
    }
    #expect(try sliced(1, -1, 1) == [1, 2, 3])
    #expect(try sliced(-1, Int.min, -2) == [4, 2, 0])
    #expect(try sliced(0, Int.max, 3) == [0, 3])
    #expect(try sliced(3, 1, 1) == [])
    #expect(try sliced(Int.max, Int.min, Int.min) == [4])
    #expect(try evaluated("Slice", [.counting([2, 3]), .whole([1]), .whole([3]), .whole([-1])]).reals == [1, 2, 4, 5])
    #expect(failure("Slice", [.counting([5]), .whole([0]), .whole([1]), .whole([0]), .whole([0])]).contains("step"))
    #expect(failure("Slice", [.counting([5]), .whole([0]), .whole([1]), .whole([1])]).contains("axis 1"))
  }

  @Test func paddingComesFromAFillerOrTheTensorItself() throws {
    func padded(_ before: Int, _ after: Int, _ mode: String) throws -> [Double] {
      try evaluated("Pad", [.counting([3]), .whole([before, after])], [.mode: .string(mode)]).reals
    }
    #expect(try padded(1, 2, "constant") == [0, 0, 1, 2, 0, 0])
    #expect(try padded(2, 1, "edge") == [0, 0, 0, 1, 2, 2])
    #expect(try padded(2, 2, "reflect") == [2, 1, 0, 1, 2, 1, 0])
    #expect(try padded(4, 0, "reflect") == [0, 1, 2, 1, 0, 1, 2])
    #expect(try padded(2, 4, "wrap") == [1, 2, 0, 1, 2, 0, 1, 2, 0])
    #expect(try padded(-1, 1, "constant") == [1, 2, 0])
    #expect(try padded(-4, 4, "constant") == [0, 0, 0])
    #expect(try padded(-1, 1, "wrap") == [1, 2, 1])
    let filled = try evaluated("Pad", [.counting([1, 2]), .whole([1, 0]), .scalar(9), .whole([-1])])
    #expect(filled.reals == [9, 0, 1])
    #expect(failure("Pad", [.counting([3]), .whole([1, 1])], [.mode: .string("mirror")]).contains("none of constant"))
    #expect(failure("Pad", [.counting([0]), .whole([1, 1])], [.mode: .string("edge")]).contains("nothing to fill"))
    #expect(failure("Pad", [.counting([5]), .whole([Int.min, Int.max])]).contains("cannot be padded"))
  }
}
