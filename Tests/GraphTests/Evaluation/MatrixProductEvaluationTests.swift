import Graph
import Testing

@Suite struct MatrixProductEvaluationTests {
  private let square = NumberTensor.counting([2, 2])

  @Test func rowsTimesColumns() throws {
    #expect(try evaluated("MatMul", [square, .real([1, 10, 100, 1000], [2, 2])]).reals == [100, 1000, 302, 3020])
    #expect(try evaluated("MatMul", [.counting([2]), .counting([2])]).shape == [])
    #expect(try evaluated("MatMul", [.real([3, 4]), .real([3, 4])]).reals == [25])
    #expect(try evaluated("MatMul", [.counting([2, 2]), .real([1, 1])]).reals == [1, 5])
    #expect(try evaluated("MatMul", [.real([1, 1]), .counting([2, 2])]).reals == [2, 4])
    #expect(failure("MatMul", [.counting([2, 3]), square]).contains("3"))
  }

  @Test func batchesBroadcast() throws {
    let batch = try evaluated("MatMul", [.counting([2, 1, 1, 2]), .real([1, 0, 0, 1, 2, 0, 0, 2], [2, 2, 2])])
    #expect(batch.shape == [2, 2, 1, 2])
    #expect(batch.reals == [0, 1, 0, 2, 2, 3, 4, 6])
    #expect(!failure("MatMul", [.counting([2, 2, 2]), .counting([3, 2, 2])]).isEmpty)
  }

  @Test func nothingContractedIsZeroAndNoNumberStaysNone() throws {
    let empty = try evaluated("MatMul", [.counting([2, 0]), .counting([0, 3])])
    #expect(empty.shape == [2, 3])
    #expect(empty.reals == Array(repeating: 0, count: 6))
    // A zero does not swallow what is no number.
    let product = try evaluated("MatMul", [.real([0, 1], [1, 2]), .real([.nan, 1, .infinity, 1], [2, 2])]).reals
    #expect(product[0].isNaN && product[1] == 1)
    #expect(try evaluated("MatMul", [.whole([Int.max], [1, 1]), .whole([2], [1, 1])]).wholes == [-2])
  }

  @Test func gemmTransposesScalesAndAdds() throws {
    let left = NumberTensor.real([1, 2, 3, 4], [2, 2])
    let right = NumberTensor.real([1, 0, 10, 1], [2, 2])
    func gemm(_ attributes: [AttributeName: AttributeValue], _ bias: NumberTensor? = nil) throws -> [Double] {
      try evaluated("Gemm", [left, right, bias], attributes).reals
    }
    #expect(try gemm([:]) == [21, 2, 43, 4])
    #expect(try gemm([.transA: .int(1)]) == [31, 3, 42, 4])
    #expect(try gemm([.transB: .int(1)]) == [1, 12, 3, 34])
    #expect(try gemm([.alpha: .float(2), .beta: .float(10)], .real([1, 2])) == [52, 24, 96, 28])
    #expect(try gemm([:], .real([1, 2], [2, 1])) == [22, 3, 45, 6])
    // Beta of zero leaves the bias out, whatever stands in it.
    #expect(try gemm([.beta: .float(0)], .real([.nan, .nan])) == [21, 2, 43, 4])
    #expect(failure("Gemm", [left, right, .counting([3])]).contains("do"))
  }

  @Test func fusedProducts() throws {
    let attributes: [AttributeName: AttributeValue] = [.transB: .int(1), .alpha: .float(0.5)]
    #expect(try evaluated("com.microsoft.FusedMatMul", [square, square], attributes).reals == [0.5, 1.5, 1.5, 6.5])
    let stack = NumberTensor.counting([2, 3, 1])
    let turned = try evaluated("com.microsoft.FusedMatMul", [stack, .real([1], [1, 1])], [.transBatchA: .int(1)])
    #expect(turned.shape == [3, 2, 1])
    #expect(turned.reals == [0, 3, 1, 4, 2, 5])
  }
}

@Suite struct EinsumEvaluationTests {
  private func einsum(_ equation: String, _ operands: NumberTensor...) throws -> [NumberTensor] {
    try evaluated("Einsum", operands, [.equation: .string(equation)])
  }

  @Test func lettersThatDisappearAreSummed() throws {
    let a = NumberTensor.counting([2, 3])
    #expect(try einsum("ij->ji", a).reals == [0, 3, 1, 4, 2, 5])
    #expect(try einsum("ij->j", a).reals == [3, 5, 7])
    #expect(try einsum("ij->", a).reals == [15])
    #expect(try einsum("ij,jk->ik", a, .real([1, 10, 100], [3, 1])).reals == [210, 543])
    #expect(try einsum("ij,kj", a, a).reals == [5, 14, 14, 50])
    #expect(try einsum("i,j->ij", .real([1, 2]), .real([3, 4])).reals == [3, 4, 6, 8])
    #expect(try einsum("i,i,i->", .real([1, 2]), .real([3, 4]), .real([5, 6])).reals == [63])
  }

  @Test func repeatedLettersAreDiagonals() throws {
    let a = NumberTensor.counting([3, 3])
    #expect(try einsum("ii->i", a).reals == [0, 4, 8])
    #expect(try einsum("ii", a).reals == [12])
  }

  @Test func dotsStandForAnyAxes() throws {
    let batch = try einsum("...ij,...j->...i", .counting([2, 2, 2]), .real([1, 1], [1, 2]))
    #expect(batch.shape == [2, 2])
    #expect(batch.reals == [1, 5, 9, 13])
    #expect(try einsum("...i->...", .counting([2, 2])).reals == [1, 5])
  }

  @Test func equationsThatDoNotFitAreRefused() {
    let a = NumberTensor.counting([2, 3])
    for equation in ["ijk->i", "ij->ijk2", "ij,jk->ik", "", "ij-ji", "i1->i"] {
      #expect(!failure("Einsum", [a], [.equation: .string(equation)]).isEmpty, "\(equation)")
    }
    #expect(!failure("Einsum", [a, .counting([2, 3])], [.equation: .string("ij,jk->ik")]).isEmpty)
    #expect(failure("Einsum", [a]).contains("equation"))
  }
}

@Suite struct QuantisedProductEvaluationTests {
  @Test func zeroPointsPerRowAndPerColumn() throws {
    let left = NumberTensor.whole([1, 2, 3, 4], [2, 2], .u8)
    let right = NumberTensor.whole([1, 0, 0, 1], [2, 2], .i8)
    #expect(try evaluated("MatMulInteger", [left, right]).wholes == [1, 2, 3, 4])
    #expect(try evaluated("MatMulInteger", [left, right, .whole([1], [], .u8)]).wholes == [0, 1, 2, 3])
    #expect(try evaluated("MatMulInteger", [left, right, .whole([1, 2], nil, .u8)]).wholes == [0, 1, 1, 2])
    let columns = try evaluated("MatMulInteger", [left, right, nil, .whole([0, 1], nil, .i8)])
    #expect(columns.wholes == [1, -1, 3, -3])
    #expect(columns.first?.element == .i32)
    #expect(failure("MatMulInteger", [left, right, .scalar(.nan)]).contains("operand 2 is of type f32"))
  }

  @Test func quantisedResultsSaturate() throws {
    func product(_ scale: Double) throws -> [Int] {
      let zero = NumberTensor.whole([1], [], .u8)
      return try evaluated(
        "QLinearMatMul",
        [
          .whole([3, 5], [1, 2], .u8), .scalar(0.5), zero, .whole([3, 2], [2, 1], .u8), .scalar(1), zero, .scalar(scale),
          .whole([10], [], .u8),
        ]
      ).wholes
    }
    // (1 · 2 + 2 · 1) / scale + 10
    #expect(try product(1) == [14])
    #expect(try product(0.001) == [255])
  }

  @Test func packedWeightsOfFourBits() throws {
    // Two result columns of two numbers each in blocks of 16: the first numbers in the lowest bits, 8 stands for zero.
    var bytes = [Int](repeating: 0x88, count: 16)
    (bytes[0], bytes[8]) = (0xA9, 0x76)
    let attributes: [AttributeName: AttributeValue] = [
      .packedContracted: .int(2), .packedResults: .int(2), .bits: .int(4), .blockSize: .int(16),
    ]
    let operands: [NumberTensor?] = [.real([1, 10], [1, 2]), .whole(bytes, [2, 1, 8], .u8), .real([1, 2], [2, 1])]
    #expect(try evaluated("com.microsoft.MatMulNBits", operands, attributes).reals == [21, -24])
    var short = operands
    short[1] = .whole([0xA9], [1, 1, 1], .u8)
    #expect(!failure("com.microsoft.MatMulNBits", short, attributes).isEmpty)
  }
}
