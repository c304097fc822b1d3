import Graph
import Testing

@Suite struct ElementwiseEvaluationTests {
  @Test func operandsBroadcastFromTheRight() throws {
    let sum = try evaluated("Add", [.counting([2, 3]), .real([10, 20], [2, 1])])
    #expect(sum.shape == [2, 3])
    #expect(sum.reals == [10, 11, 12, 23, 24, 25])
    #expect(try evaluated("Sub", [.scalar(1), .counting([2, 1, 2])]).reals == [1, 0, -1, -2])
    #expect(try evaluated("Mul", [.counting([0, 3]), .scalar(2)]).shape == [0, 3])
    #expect(failure("Add", [.counting([2, 3]), .counting([2])]).contains("do not broadcast"))
  }

  @Test(arguments: [ElementType.f32, .f64, .f16, .bf16, .i8, .i32, .u16, .u64, .i4])
  func arithmeticIsTheSameInEveryType(_ element: ElementType) throws {
    let (a, b) = (NumberTensor.whole([7, 6, 5], nil, element), NumberTensor.whole([2, 3, 1], nil, element))
    #expect(try evaluated("Sub", [a, b]).wholes == [5, 3, 4])
    #expect(try evaluated("Max", [a, b, .whole([3, 7, 3], nil, element)]).wholes == [7, 7, 5])
    #expect(try evaluated("Greater", [b, a]).truths == [false, false, false])
    #expect(try evaluated("Add", [a, b]).first?.element == element)
  }

  @Test func wholeNumbersWrapAroundAndNeverTrap() throws {
    #expect(try evaluated("Add", [.whole([127], nil, .i8), .whole([1], nil, .i8)]).wholes == [-128])
    #expect(try evaluated("Mul", [.whole([Int.max]), .whole([2])]).wholes == [-2])
    #expect(try evaluated("Div", [.whole([-7, 7, 1, Int.min]), .whole([2, -2, 0, -1])]).wholes == [-3, -3, 0, Int.min])
    #expect(try evaluated("Mod", [.whole([1, Int.min]), .whole([0, -1])]).wholes == [0, 0])
    #expect(try evaluated("Neg", [.whole([Int.min])]).wholes == [Int.min])
    #expect(try evaluated("Abs", [.whole([-128], nil, .i8)]).wholes == [-128])
  }

  @Test func u64IsUnsigned() throws {
    let large = NumberTensor.whole([-1, 6], nil, .u64)
    #expect(try evaluated("Div", [large, .whole([2, 4], nil, .u64)]).wholes == [Int.max, 1])
    #expect(try evaluated("Max", [large, .whole([1, 7], nil, .u64)]).wholes == [-1, 7])
    #expect(try evaluated("Less", [large, .whole([1, 7], nil, .u64)]).truths == [false, true])
    #expect(try evaluated("Clip", [large, nil, .whole([9], [], .u64)]).wholes == [9, 6])
    #expect(try evaluated("Cast", [large], [.to: .int(1)]).reals == [0x1p64, 6])
    #expect(try evaluated("Pow", [.real([2]), .whole([5], nil, .u64)]).reals == [32])
  }

  @Test func remaindersHaveTheSignOfTheDivisorUnlessTheyAreFmods() throws {
    let (a, b) = (NumberTensor.whole([-4, 7, 5, 4, -7, 8]), NumberTensor.whole([2, -3, 8, -2, 3, 5]))
    #expect(try evaluated("Mod", [a, b]).wholes == [0, -2, 5, 0, 2, 3])
    #expect(try evaluated("Mod", [a, b], [.fmod: .int(1)]).wholes == [0, 1, 5, 0, -1, 3])
    #expect(try evaluated("Mod", [.real([-4.5, 5]), .real([2, -3])], [.fmod: .int(1)]).reals == [-0.5, 2])
  }

  @Test func whatIsNoNumberWins() throws {
    let (a, b) = (NumberTensor.real([.nan, 1, 2]), NumberTensor.real([1, .nan, 3]))
    #expect(try evaluated("Max", [a, b]).reals.map(\.isNaN) == [true, true, false])
    #expect(try evaluated("Min", [a, b]).reals.map(\.isNaN) == [true, true, false])
    #expect(try evaluated("Clip", [a, .scalar(0), .scalar(1)]).reals.map(\.isNaN) == [true, false, false])
    #expect(try evaluated("Relu", [a]).reals.map(\.isNaN) == [true, false, false])
    #expect(try evaluated("Equal", [.real([.nan]), .real([.nan])]).truths == [false])
  }

  @Test func clippingBetweenCrossedBoundsGivesTheUpperOne() throws {
    #expect(try evaluated("Clip", [.real([-3, 0, 3]), .scalar(2), .scalar(1)]).reals == [1, 1, 1])
    #expect(try evaluated("Clip", [.real([-3, 0, 3]), .scalar(-1)]).reals == [-1, 0, 3])
    #expect(try evaluated("Clip", [.real([-3, 0, 3]), nil, .scalar(1)]).reals == [-3, 0, 1])
    #expect(failure("Clip", [.real([1]), .real([1, 2])]).contains("where one is expected"))
  }

  @Test func shiftsByTheWidthLeaveNothing() throws {
    let numbers = NumberTensor.whole([16, 4, 1, 255], nil, .u8)
    let by = NumberTensor.whole([1, 2, 8, 200], nil, .u8)
    #expect(try evaluated("BitShift", [numbers, by], [.direction: .string("LEFT")]).wholes == [32, 16, 0, 0])
    #expect(try evaluated("BitShift", [numbers, by], [.direction: .string("RIGHT")]).wholes == [8, 1, 0, 0])
    #expect(failure("BitShift", [numbers, by], [.direction: .string("UP")]).contains("neither LEFT nor RIGHT"))
    #expect(try evaluated("BitwiseNot", [.whole([0, 5], nil, .u8)]).wholes == [255, 250])
    #expect(try evaluated("BitwiseXor", [.whole([6], nil, .i32), .whole([3], nil, .i32)]).wholes == [5])
  }

  @Test func powersTakeExponentsOfAnyType() throws {
    #expect(try evaluated("Pow", [.whole([3, -2, 2]), .whole([4, 3, -1])]).wholes == [81, -8, 0])
    #expect(try evaluated("Pow", [.real([2, 4]), .whole([-1, 2], nil, .i32)]).reals == [0.5, 16])
    #expect(try evaluated("Pow", [.whole([4, 9], nil, .i32), .real([0.5, 0.5])]).wholes == [2, 3])
    #expect(try evaluated("Pow", [.whole([0]), .whole([Int.min])]).wholes == [0])
  }

  @Test func roundingIsToEven() throws {
    let numbers = NumberTensor.real([0.5, 1.5, 2.5, -0.5, -2.5, 2.4])
    #expect(try evaluated("Round", [numbers]).reals == [0, 2, 2, 0, -2, 2])
    #expect(try evaluated("Floor", [numbers]).reals == [0, 1, 2, -1, -3, 2])
    #expect(try evaluated("Ceil", [numbers]).reals == [1, 2, 3, 0, -2, 3])
  }

  @Test func activationsAreWhatTheirFormulasSay() throws {
    func value(_ type: String, _ x: Double, _ attributes: [AttributeName: AttributeValue] = [:]) throws -> Double {
      try evaluated(type, [.real([x], nil, .f64)], attributes).reals[0]
    }
    func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-6 }
    #expect(isClose(try value("Sigmoid", -800), 0))
    #expect(isClose(try value("Sigmoid", 1), 0.7310586))
    #expect(isClose(try value("Softplus", 1000), 1000))
    #expect(isClose(try value("Gelu", 1), 0.8413447))
    #expect(isClose(try value("Gelu", 1, [.approximate: .string("tanh")]), 0.8411920))
    #expect(isClose(try value("Erf", 0.5), 0.5204999))
    #expect(isClose(try value("Celu", -1, [.alpha: .float(2)]), -0.7869387))
    #expect(isClose(try value("HardSwish", 1), 2.0 / 3))
    #expect(isClose(try value("Mish", 1), 0.8650984))
    #expect(isClose(try value("Shrink", -2, [.bias: .float(0.5), .lambd: .float(1)]), -1.5))
    #expect(isClose(try value("LeakyRelu", -1, [.alpha: .float(0.5)]), -0.5))
    #expect(try value("ThresholdedRelu", 1) == 0)
    #expect(isClose(try value("com.microsoft.QuickGelu", 1), 0.8457957))
    let biased = try evaluated("com.microsoft.BiasGelu", [.real([0, 1], [2, 1]), .real([1])])
    #expect(isClose((biased.reals[0] * 1e5).rounded(), 84134))
  }

  @Test func infinitiesAreFoundBySign() throws {
    let numbers = NumberTensor.real([.infinity, -.infinity, .nan, 1])
    #expect(try evaluated("IsInf", [numbers]).truths == [true, true, false, false])
    #expect(try evaluated("IsInf", [numbers], [.detectNegative: .int(0)]).truths == [true, false, false, false])
    #expect(try evaluated("IsInf", [numbers], [.detectPositive: .int(0)]).truths == [false, true, false, false])
    #expect(try evaluated("IsNaN", [numbers]).truths == [false, false, true, false])
  }

  @Test func choicesMoveNumbersOfAnyType() throws {
    let condition = NumberTensor(truths: [true, false, true], [3])
    let codes = try evaluated("Where", [condition, .whole([1, 2, 3], nil, .u4), .whole([15], nil, .u4)])
    #expect(codes.wholes == [1, 15, 3])
    #expect(codes.first?.element == .u4)
    #expect(try evaluated("Where", [condition, .counting([2, 1]), .scalar(9)]).reals == [0, 9, 0, 1, 9, 1])
    #expect(failure("Where", [.real([1]), .real([1]), .real([1])]).contains("holds no truth values"))
  }

  @Test func truthsCombine() throws {
    let (a, b) = (NumberTensor(truths: [true, true, false], [3]), NumberTensor(truths: [true, false, false], [3]))
    #expect(try evaluated("And", [a, b]).truths == [true, false, false])
    #expect(try evaluated("Or", [a, b]).truths == [true, true, false])
    #expect(try evaluated("Xor", [a, b]).truths == [false, true, false])
    #expect(try evaluated("Not", [a]).truths == [false, false, true])
  }

  @Test func complexNumbersAreRefusedByName() throws {
    let complex = try #require(NumberTensor(.c64, [1], data: TensorData([0, 0] as [Float])))
    #expect(failure("Add", [complex, complex]).contains("c64"))
    #expect(failure("Cast", [.real([1])], [.to: .int(8)]).contains("string"))
    #expect(try evaluated("Identity", [complex]).first?.element == .c64)
  }

  @Test func dropoutDropsOnlyInTraining() throws {
    let ones = NumberTensor.real(Array(repeating: 1, count: 1000))
    let idle = try evaluated("Dropout", [ones, .scalar(0.5)], outputs: 2)
    #expect(idle.reals == ones.reals)
    #expect(idle[1].truths.allSatisfy { $0 })
    let trained = try evaluated("Dropout", [ones, .scalar(0.75), NumberTensor(truths: [true], [])], outputs: 2)
    #expect(zip(trained.reals, trained[1].truths).allSatisfy { $0 == ($1 ? 4 : 0) })
    #expect((150...350).contains(trained[1].truths.filter { $0 }.count))
    #expect(failure("Dropout", [ones, .scalar(1), NumberTensor(truths: [true], [])]).contains("not in [0, 1)"))
  }
}

@Suite struct CastEvaluationTests {
  private func cast(_ tensor: NumberTensor, _ element: ElementType, _ attributes: [AttributeName: AttributeValue] = [:]) throws
    -> NumberTensor
  {
    try #require(evaluated("Cast", opset: 24, [tensor], attributes.merging([.to: .int(element.onnxCode)]) { $1 }).first)
  }

  @Test func realsAreCutTowardsZero() throws {
    #expect(try cast(.real([1.9, -1.9, 0.5]), .i32).wholes == [1, -1, 0])
    #expect(try cast(.real([.nan, 1e30, -1e30]), .i64).wholes == [0, Int.max, Int.min])
    #expect(try cast(.real([0, -0.0, 0.1, .nan]), .bool).truths == [false, false, true, true])
  }

  @Test func wholeNumbersKeepTheirLowestBits() throws {
    #expect(try cast(.whole([200, -1]), .i8).wholes == [-56, -1])
    #expect(try cast(.whole([-1, 17]), .u4).wholes == [15, 1])
    #expect(try cast(NumberTensor(truths: [true, false], [2]), .f16).reals == [1, 0])
  }

  @Test func wholeNumbersBecomeSinglesInOneStep() throws {
    // Halfway between two singles but for the last bit, which a detour by way of f64 loses.
    let number = 1 << 60 + 1 << 36 + 1
    #expect(try cast(.whole([number]), .f32).reals == [Double(Float(number))])
    #expect(Float(Double(number)) != Float(number))
  }

  @Test func smallFloatsSaturateUnlessTheyMustNot() throws {
    let numbers = NumberTensor.real([1.1, 1000, -.infinity])
    #expect(try cast(numbers, .f8e4m3fn).reals == [1.125, 448, -448])
    #expect(try cast(numbers, .f8e4m3fn, [.saturate: .int(0)]).reals.map(\.isNaN) == [false, true, true])
    #expect(try cast(.real([1e9, -1e9]), .f8e5m2, [.saturate: .int(0)]).reals == [.infinity, -.infinity])
    #expect(try cast(.real([0.6, 5, -7]), .f4e2m1).reals == [0.5, 4, -6])
  }

  @Test func powersOfTwoAreRoundedAsAsked() throws {
    let numbers = NumberTensor.real([1, 3, 5, 0])
    #expect(try cast(numbers, .f8e8m0).reals == [1, 4, 8, 0x1p-127])
    #expect(try cast(numbers, .f8e8m0, [.roundMode: .string("down")]).reals == [1, 2, 4, 0x1p-127])
    #expect(try cast(numbers, .f8e8m0, [.roundMode: .string("nearest")]).reals == [1, 4, 4, 0x1p-127])
    #expect(try cast(numbers, .f8e8m0, [.saturate: .int(0)]).reals.last?.isNaN == true)
    #expect(failure("Cast", opset: 24, [numbers], [.to: .int(24), .roundMode: .string("odd")]).contains("round_mode"))
  }
}
