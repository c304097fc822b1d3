import Graph
import Testing

@Suite struct GenerationEvaluationTests {
  @Test func shapesAreCounted() throws {
    #expect(try evaluated("Shape", [.counting([2, 3, 4])], [.start: .int(-2), .end: .int(9)]).wholes == [3, 4])
    #expect(try evaluated("Shape", [.scalar(1)]).shape == [0])
    #expect(try evaluated("Size", [.counting([2, 3, 4])]).wholes == [24])
  }

  @Test func constantsFillShapes() throws {
    #expect(try evaluated("ConstantOfShape", [.whole([2, 2])]).reals == [0, 0, 0, 0])
    let value = AttributeValue.tensor(TensorType(.i32, [1]), NumberTensor.whole([7], nil, .i32).data)
    let sevens = try evaluated("ConstantOfShape", [.whole([3])], [.value: value])
    #expect(sevens.wholes == [7, 7, 7])
    #expect(sevens.first?.element == .i32)
    #expect(try evaluated("ConstantOfShape", [.whole([])]).shape == [])
    #expect(failure("ConstantOfShape", [.whole([-1])]).contains("negative"))
    #expect(failure("ConstantOfShape", [.whole([1 << 40])]).contains("at most"))
  }

  @Test func diagonals() throws {
    #expect(try evaluated("EyeLike", [.counting([2, 3])], [.k: .int(1)]).reals == [0, 1, 0, 0, 0, 1])
    #expect(try evaluated("EyeLike", [.counting([2, 2])], [.k: .int(-1), .dataType: .int(7)]).wholes == [0, 0, 1, 0])
    #expect(try evaluated("EyeLike", [.counting([2, 2])], [.k: .int(Int.min)]).reals == [0, 0, 0, 0])
  }

  @Test func rangesStopBeforeTheirLimit() throws {
    func range(_ start: Int, _ limit: Int, _ step: Int) throws -> [Int] {
      try evaluated("Range", [NumberTensor(scalar: start), NumberTensor(scalar: limit), NumberTensor(scalar: step)]).wholes
    }
    #expect(try range(1, 8, 3) == [1, 4, 7])
    #expect(try range(5, 1, -2) == [5, 3])
    #expect(try range(1, 1, 1) == [])
    #expect(try range(Int.max - 1, Int.max, 1) == [Int.max - 1])
    #expect(try range(Int.min, Int.max, Int.max) == [Int.min, -1, Int.max - 1])
    #expect(try evaluated("Range", [.scalar(0), .scalar(1), .scalar(0.25)]).reals == [0, 0.25, 0.5, 0.75])
    #expect(failure("Range", [NumberTensor(scalar: 0), NumberTensor(scalar: 5), NumberTensor(scalar: 0)]).contains("step is 0"))
    #expect(failure("Range", [.scalar(0), .scalar(.infinity), .scalar(1)]).contains("no range"))
    #expect(!failure("Range", [NumberTensor(scalar: 0), NumberTensor(scalar: Int.max), NumberTensor(scalar: 1)]).isEmpty)
  }

  @Test func drawsFollowTheSeed() throws {
    let shape: [AttributeName: AttributeValue] = [.shape: .ints([1000])]
    let normal = try evaluated("RandomNormal", [], shape.merging([.mean: .float(5)]) { $1 })
    #expect(abs(normal.reals.reduce(0, +) / 1000 - 5) < 0.2)
    #expect(try evaluated("RandomNormal", [], shape.merging([.mean: .float(5)]) { $1 }).reals == normal.reals)
    #expect(try evaluated("RandomNormal", [], shape.merging([.mean: .float(5)]) { $1 }, seed: 2).reals != normal.reals)
    let seeded = shape.merging([.seed: .float(3)]) { $1 }
    #expect(try evaluated("RandomUniform", [], seeded, seed: 1).reals == evaluated("RandomUniform", [], seeded, seed: 2).reals)
    let uniform = try evaluated("RandomUniformLike", [.counting([500])], [.low: .float(-1), .high: .float(-0.5)])
    #expect(uniform.reals.allSatisfy { $0 >= -1 && $0 <= -0.5 })
  }

  @Test func chancesAreKept() throws {
    let sure = try evaluated("Bernoulli", [.real([0, 1, 0, 1])], [.dataType: .int(9)])
    #expect(sure.truths == [false, true, false, true])
    let drawn = try evaluated("Multinomial", [.real([-1000, 0, -1000, 0, -1000, -1000], [2, 3])], [.sampleSize: .int(4)])
    #expect(drawn.wholes == [1, 1, 1, 1, 0, 0, 0, 0])
    #expect(failure("Multinomial", [.real([], [1, 0])]).contains("no classes"))
  }
}
