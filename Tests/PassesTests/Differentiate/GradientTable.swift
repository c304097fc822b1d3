import Graph

/// What is asked of an operator's gradient.
enum GradientExpectation: Sendable {
  /// It agrees with differences in these cases.
  case agrees([GradientCase])
  /// Nothing passes, and nothing is missed.
  case flat
  /// It is refused, with a reason that contains this.
  case refused(String)
}

/// What is asked of the operators of each family. A new operator needs a line here before this compiles.
enum GradientTable {
  typealias Operand = GradientCase.Operand

  static func expectation(of operation: Operator) -> GradientExpectation {
    switch operation {
    case .elementwise(let kind): elementwise(kind)
    case .matrixProduct(let kind): matrixProduct(kind)
    case .convolution(let kind): convolution(kind)
    case .normalisation(let kind): normalisation(kind)
    case .reduction(let kind): reduction(kind)
    case .reshaping(let kind): reshaping(kind)
    case .joining(let kind): joining(kind)
    case .indexing(let kind): indexing(kind)
    case .pooling(let kind): pooling(kind)
    case .recurrence(let kind): recurrence(kind)
    case .attention(let kind): attention(kind)
    case .quantisation(let kind): quantisation(kind)
    case .generation(let kind): generation(kind)
    case .opaque: .refused("does not know the operator")
    }
  }

  static func cases(
    _ operation: Operator, _ variants: ([Operand], [Attributes.Entry])..., opset: Int = 21, symbolic: [Int] = []
  ) -> GradientExpectation {
    .agrees(
      variants.map { GradientCase(operation: operation, operands: $0.0, attributes: $0.1, opset: opset, symbolic: symbolic) })
  }

  // MARK: - Elementwise

  private static func elementwise(_ kind: Elementwise) -> GradientExpectation {
    let operation = Operator.elementwise(kind)
    func unary(_ range: ClosedRange<Double> = -3...3, _ attributes: Attributes.Entry...) -> GradientExpectation {
      .agrees([GradientCase(operation: operation, operands: [.real([3, 7], range)], attributes: attributes, symbolic: [0])])
    }
    let broadcast: [GradientCase] = [
      GradientCase(operation: operation, operands: [.real([2, 3, 4], 0.5...2), .real([3, 1], 0.5...2)]),
      GradientCase(operation: operation, operands: [.real([4], 0.5...2), .real([2, 1, 4], 0.5...2)], symbolic: [1]),
    ]
    switch kind {
    case .abs, .asinh, .atan, .celu, .cos, .cosh, .elu, .erf, .exp, .hardSigmoid, .hardSwish, .identity, .leakyRelu, .mish, .neg,
      .relu, .selu, .sigmoid, .sin, .sinh, .softplus, .softsign, .tanh, .thresholdedRelu, .microsoftGelu, .quickGelu:
      return unary()
    case .swish: return unary(-3...3, .init(.alpha, .float(1.5)))
    case .shrink: return unary(-3...3, .init(.bias, .float(0.25)), .init(.lambd, .float(0.75)))
    case .gelu:
      return cases(operation, ([.real([9], -3...3)], []), ([.real([9], -3...3)], [.init(.approximate, .string("tanh"))]))
    case .acos, .asin, .atanh: return unary(-0.9...0.9)
    case .acosh: return unary(1.1...3)
    case .log, .sqrt, .reciprocal: return unary(0.3...3)
    case .tan: return unary(-1.2...1.2)
    case .add, .sub, .mul, .div, .pow, .mean, .sum: return .agrees(broadcast)
    case .max, .min:
      return .agrees(broadcast + [GradientCase(operation: operation, operands: [.real([5]), .real([5]), .real([1])])])
    case .mod:
      return cases(operation, ([.real([2, 5], -9...9), .exactly([1.3, 2.1, 3.7, 1.9, 2.9], [5])], [.init(.fmod, .int(1))]))
    case .prelu: return cases(operation, ([.real([2, 3, 4]), .real([3, 1])], []))
    case .choose:
      return cases(operation, ([.truth([true, false, true], [3]), .real([2, 3]), .real([1])], []))
    case .clip:
      return cases(
        operation, ([.real([12], -3...3), .exactly([-1], []), .exactly([1.5], [])], []),
        ([.real([12], -3...3), .none, .exactly([1.5], [])], []))
    case .cast: return unary(-3...3, .init(.to, .int(ElementType.f64.onnxCode)))
    case .castLike: return cases(operation, ([.real([5]), .stored([1], [1])], []))
    case .dropout: return cases(operation, ([.real([5]), .stored([0.5], []), .truth([false], [])], []))
    case .biasGelu, .fastGelu: return cases(operation, ([.real([3, 4]), .real([4])], []))
    case .and, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .ceil, .equal, .floor, .greater, .greaterOrEqual,
      .isInfinite, .isNaN, .less, .lessOrEqual, .not, .or, .round, .sign, .xor:
      return .flat
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere: return .refused("quantised")
    }
  }

  // MARK: - Products and convolutions

  private static func matrixProduct(_ kind: MatrixProduct) -> GradientExpectation {
    let operation = Operator.matrixProduct(kind)
    switch kind {
    case .matMul:
      return .agrees([
        GradientCase(operation: operation, operands: [.real([3, 4]), .real([4, 2])]),
        GradientCase(operation: operation, operands: [.real([2, 3, 4]), .real([4, 2])], symbolic: [0]),
        GradientCase(operation: operation, operands: [.real([2, 1, 3, 4]), .real([5, 4, 2])], symbolic: [0]),
        GradientCase(operation: operation, operands: [.real([4]), .real([2, 4, 3])]),
        GradientCase(operation: operation, operands: [.real([2, 3, 4]), .real([4])]),
        GradientCase(operation: operation, operands: [.real([4]), .real([4])]),
      ])
    case .gemm:
      return cases(
        operation, ([.real([3, 4]), .real([4, 2]), .real([2])], []),
        (
          [.real([4, 3]), .real([2, 4]), .real([3, 1])],
          [.init(.transA, .int(1)), .init(.transB, .int(1)), .init(.alpha, .float(0.5)), .init(.beta, .float(1.5))]
        ))
    case .fusedGemm:
      return cases(operation, ([.real([3, 4]), .real([4, 2]), .real([2])], [.init(.activation, .string("Tanh"))]))
    case .fusedMatMul:
      return cases(
        operation,
        ([.real([2, 4, 3]), .real([2, 5, 4])], [.init(.transA, .int(1)), .init(.transB, .int(1)), .init(.alpha, .float(0.5))]))
    case .einsum:
      func equation(_ text: String) -> [Attributes.Entry] { [.init(.equation, .string(text))] }
      return cases(
        operation, ([.real([2, 3]), .real([3, 4])], equation("ij,jk->ik")),
        ([.real([2, 3, 4]), .real([2, 5, 4])], equation("bid,bjd->bij")),
        ([.real([2, 3, 4]), .real([4, 5])], equation("...d,de->...e")),
        ([.real([2, 3]), .real([3]), .real([2])], equation("ij,j,i->")),
        ([.real([2, 3, 4])], equation("ijk->kj")), ([.real([2, 1]), .real([1, 3])], equation("ij,ij->ij")))
    case .matMulInteger, .quantisedMatMul: return .flat
    case .matMulNBits: return .refused("packed")
    case .quantisedGemm, .dynamicMatMul, .integerToFloat: return .refused("quantised")
    }
  }

  private static func convolution(_ kind: Convolution) -> GradientExpectation {
    let operation = Operator.convolution(kind)
    func window(strides: [Int], dilations: [Int] = [], pads: [Int], group: Int = 1) -> [Attributes.Entry] {
      [.init(.strides, .ints(strides)), .init(.pads, .ints(pads)), .init(.group, .int(group))]
        + (dilations.isEmpty ? [] : [.init(.dilations, .ints(dilations))])
    }
    switch kind {
    case .conv:
      var all = [
        GradientCase(
          operation: operation, operands: [.real([2, 3, 6]), .real([4, 3, 3]), .real([4])],
          attributes: window(strides: [2], pads: [1, 0])),
        GradientCase(
          operation: operation, operands: [.real([2, 4, 5, 6]), .real([6, 2, 3, 2]), .real([6])],
          attributes: window(strides: [2, 1], dilations: [1, 2], pads: [1, 0, 1, 1], group: 2), symbolic: [0]),
        GradientCase(
          operation: operation, operands: [.real([1, 3, 5, 5]), .real([3, 1, 3, 3])],
          attributes: window(strides: [1, 1], pads: [1, 1, 1, 1], group: 3)),
        GradientCase(
          operation: operation, operands: [.real([1, 2, 3, 4, 4]), .real([2, 2, 2, 2, 2])],
          attributes: window(strides: [1, 2, 1], pads: [0, 0, 0, 1, 0, 0])),
        GradientCase(
          operation: operation, operands: [.real([2, 2, 6]), .real([3, 2, 1])], attributes: window(strides: [3], pads: [0, 0])),
      ]
      // Lengths that only running the model tells.
      all.append(
        GradientCase(
          operation: operation, operands: [.real([2, 2, 8]), .real([3, 2, 3])],
          attributes: window(strides: [2], pads: [0, 0]), symbolic: [0], symbolicAxis: 2))
      all.append(
        GradientCase(
          operation: operation, operands: [.real([1, 2, 7, 5]), .real([2, 2, 2, 3])],
          attributes: window(strides: [3, 1], dilations: [2, 1], pads: [2, 0, 1, 1]), symbolic: [0], symbolicAxis: 2))
      for same in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        all.append(
          GradientCase(
            operation: operation, operands: [.real([1, 2, 5, 6]), .real([2, 2, 2, 3])],
            attributes: [.init(.autoPad, .string(same)), .init(.strides, .ints([2, 2]))]))
      }
      return .agrees(all)
    case .convTranspose:
      return cases(
        operation, ([.real([2, 3, 4]), .real([3, 2, 3]), .real([2])], window(strides: [2], pads: [1, 0])),
        (
          [.real([1, 4, 3, 3]), .real([4, 2, 3, 2])],
          window(strides: [2, 1], dilations: [1, 2], pads: [1, 0, 0, 1], group: 2) + [.init(.outputPadding, .ints([1, 0]))]
        ),
        (
          [.real([1, 2, 3, 3]), .real([2, 2, 3, 3])],
          [.init(.autoPad, .string("SAME_UPPER")), .init(.strides, .ints([2, 2]))]
        ))
    case .fusedConv:
      return cases(
        operation,
        ([.real([1, 2, 4, 4]), .real([3, 2, 3, 3]), .real([3]), .real([1, 3, 2, 2])], [.init(.activation, .string("Relu"))]))
    case .deformConv: return .refused("samples")
    case .convInteger: return .flat
    case .quantisedConv: return .refused("quantised")
    }
  }

  // MARK: - Norms and reductions

  private static func normalisation(_ kind: Normalisation) -> GradientExpectation {
    let operation = Operator.normalisation(kind)
    switch kind {
    case .softmax, .logSoftmax:
      return .agrees([
        GradientCase(operation: operation, operands: [.real([2, 3, 4])], attributes: [.init(.axis, .int(1))], symbolic: [0]),
        GradientCase(operation: operation, operands: [.real([2, 3, 4])], attributes: [.init(.axis, .int(1))], opset: 11),
      ])
    case .hardmax: return .flat
    case .batchNorm:
      let operands: [Operand] = [.real([3, 2, 4]), .real([2]), .real([2]), .real([2]), .real([2], 0.5...2)]
      return cases(operation, (operands, [.init(.epsilon, .float(0.001))]), (operands, [.init(.trainingMode, .int(1))]))
    case .groupNorm:
      return .agrees([
        GradientCase(
          operation: operation, operands: [.real([2, 4, 3]), .real([4]), .real([4])], attributes: [.init(.numGroups, .int(2))],
          symbolic: [0]),
        GradientCase(
          operation: operation, operands: [.real([2, 4, 3]), .real([2]), .real([2])], attributes: [.init(.numGroups, .int(2))],
          opset: 18),
      ])
    case .instanceNorm: return cases(operation, ([.real([2, 3, 4, 2]), .real([3]), .real([3])], []))
    case .localResponseNorm:
      return cases(
        operation, ([.real([2, 5, 3])], [.init(.size, .int(3)), .init(.alpha, .float(0.5)), .init(.beta, .float(0.75))]))
    case .layerNorm:
      return cases(
        operation, ([.real([2, 3, 4]), .real([4]), .real([4])], []),
        ([.real([2, 3, 4]), .real([3, 4])], [.init(.axis, .int(1))]),
        symbolic: [0])
    case .rmsNorm, .simplifiedLayerNorm: return cases(operation, ([.real([2, 3, 4]), .real([4])], []), symbolic: [0])
    case .skipLayerNorm:
      return cases(operation, ([.real([2, 3, 4]), .real([2, 3, 4]), .real([4]), .real([4]), .real([4])], []))
    case .skipSimplifiedLayerNorm: return cases(operation, ([.real([2, 3, 4]), .real([2, 3, 4]), .real([4]), .real([4])], []))
    case .embedLayerNorm:
      return .agrees([
        GradientCase(
          operation: operation,
          operands: [
            .whole([0, 2, 1, 2, 2, 0], [2, 3], .i32), .whole([0, 1, 1, 0, 0, 1], [2, 3], .i32), .real([4, 5]), .real([3, 5]),
            .real([2, 5]), .real([5]), .real([5]),
          ], results: 2)
      ])
    case .lpNorm:
      return cases(operation, ([.real([3, 4])], [.init(.p, .int(1))]), ([.real([3, 4])], [.init(.axis, .int(0))]))
    case .meanVarianceNorm: return cases(operation, ([.real([2, 3, 2, 2])], []))
    case .quantisedSoftmax: return .refused("quantised")
    }
  }

  private static func reduction(_ kind: Reduction) -> GradientExpectation {
    let operation = Operator.reduction(kind)
    switch kind {
    case .reduceL1, .reduceL2, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceSum, .reduceSumSquare, .reduceProd:
      let new = [
        GradientCase(operation: operation, operands: [.real([2, 3, 4])]),
        GradientCase(
          operation: operation, operands: [.real([2, 3, 4]), .whole([-1, 0], [2])], attributes: [.init(.keepDims, .int(0))],
          symbolic: [0]),
      ]
      let old = GradientCase(
        operation: operation, operands: [.real([2, 3, 4])], attributes: [.init(.axes, .ints([1]))], opset: 12)
      let zero = GradientCase(
        operation: operation, operands: [.exactly([2, 0, 3, 0, 0, 4, 1, 5, 2], [3, 3]), .whole([1], [1])])
      return .agrees(new + [old] + (kind == .reduceProd ? [zero] : []))
    case .reduceLogSum: return cases(operation, ([.real([2, 3], 0.5...2), .whole([1], [1])], []))
    case .cumSum:
      return cases(
        operation, ([.real([3, 4]), .whole([1], [])], []),
        ([.real([3, 4]), .whole([0], [])], [.init(.exclusive, .int(1)), .init(.reverse, .int(1))]))
    case .topK: return cases(operation, ([.real([3, 5]), .whole([2], [1])], []))
    case .argMax, .argMin: return .flat
    }
  }

  // MARK: - Movement

  private static func reshaping(_ kind: Reshaping) -> GradientExpectation {
    let operation = Operator.reshaping(kind)
    switch kind {
    case .reshape: return cases(operation, ([.real([2, 6]), .whole([-1, 3], [2])], []), symbolic: [0])
    case .flatten: return cases(operation, ([.real([2, 3, 4])], [.init(.axis, .int(2))]), symbolic: [0])
    case .squeeze: return cases(operation, ([.real([2, 1, 3]), .whole([1], [1])], []), symbolic: [0])
    case .unsqueeze: return cases(operation, ([.real([2, 3]), .whole([0, 3], [2])], []), symbolic: [0])
    case .expand: return cases(operation, ([.real([3, 1]), .whole([2, 3, 4], [3])], []))
    case .tile: return cases(operation, ([.real([2, 3]), .whole([2, 3], [2])], []), symbolic: [0])
    case .transpose: return cases(operation, ([.real([2, 3, 4])], [.init(.perm, .ints([2, 0, 1]))]), symbolic: [0])
    case .depthToSpace:
      return cases(
        operation, ([.real([2, 8, 2, 3])], [.init(.blocksize, .int(2))]),
        ([.real([2, 8, 2, 3])], [.init(.blocksize, .int(2)), .init(.mode, .string("CRD"))]), symbolic: [0])
    case .spaceToDepth: return cases(operation, ([.real([2, 2, 4, 6])], [.init(.blocksize, .int(2))]), symbolic: [0])
    }
  }

  private static func joining(_ kind: Joining) -> GradientExpectation {
    let operation = Operator.joining(kind)
    switch kind {
    case .concat:
      return .agrees([
        GradientCase(operation: operation, operands: [.real([2, 3]), .real([2, 1])], attributes: [.init(.axis, .int(1))]),
        GradientCase(
          operation: operation, operands: [.real([2, 3]), .real([3, 3])], attributes: [.init(.axis, .int(0))], symbolic: [0]),
      ])
    case .split:
      return .agrees([
        GradientCase(
          operation: operation, operands: [.real([2, 6]), .whole([1, 3, 2], [3])], attributes: [.init(.axis, .int(1))],
          results: 3, read: [0, 2]),
        GradientCase(operation: operation, operands: [.real([4, 3])], results: 2, read: [1], opset: 11),
      ])
    case .slice:
      return cases(
        operation, ([.real([4, 5]), .whole([1, -4], [2]), .whole([3, 99], [2])], []),
        ([.real([4, 5]), .whole([0], [1]), .whole([99], [1]), .whole([1], [1]), .whole([2], [1])], []),
        ([.real([4, 5]), .whole([-1, 3], [2]), .whole([-99, 0], [2]), .whole([0, 1], [2]), .whole([-1, -2], [2])], []),
        symbolic: [0])
    case .pad:
      let pads = Operand.whole([1, 2, 0, 1], [4])
      return cases(
        operation, ([.real([3, 4]), pads, .exactly([0.5], [])], []), ([.real([3, 4]), .whole([-1, 0, 1, -2], [4])], []),
        ([.real([3, 4]), pads], [.init(.mode, .string("reflect"))]), ([.real([3, 4]), pads], [.init(.mode, .string("edge"))]),
        ([.real([3, 4]), .whole([2, 1], [2]), .none, .whole([1], [1])], [.init(.mode, .string("wrap"))]))
    case .quantisedConcat: return .refused("quantised")
    }
  }

  private static func indexing(_ kind: Indexing) -> GradientExpectation {
    let operation = Operator.indexing(kind)
    switch kind {
    case .gather:
      return cases(
        operation, ([.real([4, 3]), .whole([0, 2, 2, -1], [2, 2])], []),
        ([.real([2, 4, 3]), .whole([3, 0, 3], [3])], [.init(.axis, .int(1))]),
        ([.real([4, 3]), .whole([2], [])], [.init(.axis, .int(1))]),
        // More numbers are added up than are followed as shape arithmetic.
        ([.real([1, 300]), .whole(Array(repeating: 0, count: 16), [16])], []),
        symbolic: [0])
    case .gatherElements:
      return cases(operation, ([.real([3, 2]), .whole([0, 2, 2, -1], [2, 2])], [.init(.axis, .int(0))]))
    case .gatherND:
      return cases(
        operation, ([.real([3, 4, 2]), .whole([0, 3, 2, 1, 0, 3], [3, 2])], []),
        ([.real([2, 4, 3]), .whole([0, 3], [2, 1])], [.init(.batchDims, .int(1))]))
    case .scatterElements:
      let indices = Operand.whole([0, 2, 1, 0], [2, 2])
      return cases(
        operation, ([.real([3, 3]), indices, .real([2, 2])], []),
        (
          [.real([3, 3]), .whole([0, 2, 0, 2], [2, 2]), .real([2, 2])],
          [.init(.axis, .int(1)), .init(.reduction, .string("add"))]
        ),
        ([.real([3, 3]), indices, .real([2, 2], 0.5...2)], [.init(.reduction, .string("mul"))]),
        ([.real([3, 3]), indices, .real([2, 2])], [.init(.reduction, .string("max"))]))
    case .scatterND:
      return cases(
        operation, ([.real([4, 3]), .whole([2, 0], [2, 1]), .real([2, 3])], []),
        ([.real([4, 3]), .whole([2, 2], [2, 1]), .real([2, 3])], [.init(.reduction, .string("add"))]))
    case .compress:
      return cases(
        operation, ([.real([4, 3]), .truth([true, false, true, true], [4])], [.init(.axis, .int(0))]),
        ([.real([2, 3]), .truth([true, false, true, true], [4])], []))
    case .oneHot: return cases(operation, ([.whole([1, 0, 2], [3]), .whole([3], []), .real([2])], []))
    case .reverseSequence:
      return cases(
        operation, ([.real([4, 3]), .whole([2, 4, 1], [3])], [.init(.timeAxis, .int(0)), .init(.batchAxis, .int(1))]))
    case .trilu: return cases(operation, ([.real([2, 4, 3]), .whole([1], [])], [.init(.upper, .int(0))]))
    case .unique: return .refused("sorts")
    case .nonMaxSuppression, .nonZero: return .flat
    }
  }

  // MARK: - Pools

  private static func pooling(_ kind: Pooling) -> GradientExpectation {
    let operation = Operator.pooling(kind)
    func window(_ kernel: [Int], _ strides: [Int], _ pads: [Int], _ more: Attributes.Entry...) -> [Attributes.Entry] {
      [.init(.kernelShape, .ints(kernel)), .init(.strides, .ints(strides)), .init(.pads, .ints(pads))] + more
    }
    let x = Operand.real([2, 2, 5, 6])
    switch kind {
    case .averagePool:
      return cases(
        operation, ([x], window([2, 3], [2, 1], [1, 0, 0, 1])),
        ([x], window([3, 2], [2, 2], [1, 1, 1, 0], .init(.countIncludePad, .int(1)))),
        ([x], window([2, 2], [2, 2], [0, 0, 0, 0], .init(.ceilMode, .int(1)))),
        ([x], window([2, 2], [2, 2], [0, 0, 1, 1], .init(.ceilMode, .int(1)), .init(.countIncludePad, .int(1)))),
        ([x], [.init(.kernelShape, .ints([2, 3])), .init(.strides, .ints([2, 2])), .init(.autoPad, .string("SAME_LOWER"))]))
    case .lpPool:
      return cases(
        operation, ([x], window([2, 3], [2, 1], [1, 0, 0, 1])), ([x], window([2, 2], [1, 1], [0, 0, 0, 0], .init(.p, .int(3)))))
    case .maxPool:
      return cases(
        operation, ([x], window([2, 3], [2, 1], [1, 0, 0, 1])),
        ([x], window([3, 3], [1, 2], [0, 0, 0, 0], .init(.ceilMode, .int(1)))),
        symbolic: [0])
    case .globalAveragePool, .globalMaxPool: return cases(operation, ([x], []), symbolic: [0])
    case .globalLpPool: return cases(operation, ([x], []), ([x], [.init(.p, .int(3))]))
    case .maxUnpool:
      return cases(
        operation, ([.real([1, 1, 2, 2]), .whole([5, 7, 13, 10], [1, 1, 2, 2])], window([2, 2], [2, 2], [0, 0, 0, 0])))
    case .resize:
      func mode(_ mode: String, _ coordinates: String) -> [Attributes.Entry] {
        [.init(.mode, .string(mode)), .init(.coordinateTransformationMode, .string(coordinates))]
      }
      let grown = Operand.stored([1, 1, 1.7, 2.5], [4])
      return cases(
        operation, ([.real([1, 2, 3, 4]), .none, grown], mode("nearest", "asymmetric")),
        ([.real([1, 2, 3, 4]), .none, grown], mode("linear", "half_pixel")),
        ([.real([1, 2, 3, 4]), .none, .none, .whole([1, 2, 7, 3], [4])], mode("cubic", "align_corners")))
    case .upsample:
      return cases(
        operation, ([.real([1, 2, 3, 4]), .stored([1, 1, 2, 3], [4])], []),
        ([.real([1, 2, 3, 4]), .stored([1, 1, 2, 3], [4])], [.init(.mode, .string("linear"))]), opset: 9)
    case .gridSample:
      func mode(_ mode: String, _ padding: String, aligned: Int) -> [Attributes.Entry] {
        [.init(.mode, .string(mode)), .init(.paddingMode, .string(padding)), .init(.alignCorners, .int(aligned))]
      }
      return cases(
        operation, ([.real([2, 2, 4, 5]), .real([2, 3, 2, 2], -1.3...1.3)], mode("linear", "zeros", aligned: 0)),
        ([.real([2, 2, 4, 5]), .real([2, 3, 2, 2], -1.3...1.3)], mode("linear", "border", aligned: 1)),
        ([.real([1, 2, 4, 5]), .real([1, 3, 2, 2], -1.3...1.3)], mode("nearest", "zeros", aligned: 0)),
        ([.real([1, 2, 3, 4, 3]), .real([1, 2, 1, 2, 3], -1.3...1.3)], mode("linear", "zeros", aligned: 0)))
    case .affineGrid:
      return cases(
        operation, ([.real([2, 2, 3]), .whole([2, 3, 4, 5], [4])], [.init(.alignCorners, .int(1))]),
        ([.real([2, 3, 4]), .whole([2, 1, 2, 3, 2], [5])], []))
    case .roiAlign, .maxRoiPool: return .refused("samples")
    case .dft, .stft: return .refused("not written")
    case .quantisedAveragePool, .quantisedGlobalAveragePool: return .refused("quantised")
    }
  }

  // MARK: - Attention and others

  private static func attention(_ kind: AttentionFamily) -> GradientExpectation {
    let operation = Operator.attention(kind)
    func heads(_ count: Int, _ more: Attributes.Entry...) -> [Attributes.Entry] { [.init(.numHeads, .int(count))] + more }
    switch kind {
    case .attention:
      let grouped: [Operand] = [.real([1, 4, 3, 2]), .real([1, 2, 5, 2]), .real([1, 2, 5, 3])]
      return .agrees([
        GradientCase(
          operation: operation, operands: [.real([2, 3, 4]), .real([2, 3, 4]), .real([2, 3, 4])],
          attributes: [.init(.qNumHeads, .int(2)), .init(.kvNumHeads, .int(2)), .init(.isCausal, .int(1))], opset: 23,
          symbolic: [0, 1, 2]),
        GradientCase(
          operation: operation, operands: grouped + [.real([3, 5])], attributes: [.init(.softcap, .float(2))], opset: 23),
        GradientCase(
          operation: operation,
          operands: grouped + [.truth((0..<12).map { $0 < 8 && $0 % 3 != 0 }, [3, 4])],
          attributes: [.init(.scale, .float(0.25)), .init(.qkMatmulOutputMode, .int(1))], results: 4, read: [0, 1, 3], opset: 23),
        GradientCase(
          operation: operation, operands: grouped + [.none, .real([1, 2, 2, 2]), .real([1, 2, 2, 3])],
          attributes: [.init(.isCausal, .int(1))], results: 3, read: [0, 2], opset: 23),
      ])
    case .rotaryEmbedding:
      return .agrees([
        GradientCase(
          operation: operation,
          operands: [.real([2, 2, 3, 4]), .real([5, 2]), .real([5, 2]), .whole([0, 1, 2, 2, 3, 4], [2, 3])],
          opset: 23),
        GradientCase(
          operation: operation, operands: [.real([2, 3, 12]), .real([2, 3, 2]), .real([2, 3, 2])],
          attributes: heads(2, .init(.interleaved, .int(1)), .init(.rotaryEmbeddingDim, .int(4))), opset: 23),
      ])
    case .microsoftRotaryEmbedding:
      return cases(
        operation, ([.real([2, 3, 8]), .whole([1], [1]), .real([5, 2]), .real([5, 2])], []),
        (
          [.real([2, 2, 3, 4]), .whole([0, 1, 2, 2, 3, 4], [2, 3]), .real([5, 2]), .real([5, 2])], [.init(.interleaved, .int(1))]
        ))
    case .microsoftAttention:
      return cases(
        operation, ([.real([2, 3, 4]), .real([4, 12]), .real([12])], heads(2, .init(.unidirectional, .int(1)))),
        ([.real([2, 3, 4]), .real([4, 12]), .real([12]), .whole([1, 1, 0, 1, 1, 1], [2, 3], .i32)], heads(2)))
    case .multiHeadAttention:
      return cases(
        operation, ([.real([2, 3, 4]), .real([2, 5, 4]), .real([2, 5, 6]), .real([14])], heads(2)),
        (
          [
            .real([2, 3, 4]), .real([2, 2, 5, 2]), .real([2, 2, 5, 3]), .none, .whole([5, 3], [2], .i32), .real([1, 2, 3, 5]),
          ], heads(2)
        ))
    case .groupQueryAttention:
      let ends: [Operand] = [.none, .none, .whole([2, 1], [2], .i32), .whole([3], [], .i32)]
      return cases(
        operation,
        ([.real([2, 3, 8]), .real([2, 3, 4]), .real([2, 3, 4])] + ends, heads(4, .init(.kvNumHeads, .int(2)))),
        (
          [.real([2, 3, 16]), .none, .none] + ends + [.real([4, 1]), .real([4, 1])],
          heads(4, .init(.kvNumHeads, .int(2)), .init(.doRotary, .int(1)))
        ))
    case .quantisedAttention: return .refused("quantised")
    }
  }

  private static func recurrence(_ kind: Recurrence) -> GradientExpectation {
    let rows = kind.gates * 2
    let size = Attributes.Entry(.hiddenSize, .int(2))
    let both: [Operand] = [
      .real([3, 2, 4]), .real([2, rows, 4]), .real([2, rows, 2]), .real([2, 2 * rows]), .none, .real([2, 2, 2]),
    ]
    let one: [Operand] = [.real([2, 3, 4]), .real([1, rows, 4]), .real([1, rows, 2])]
    let reversed: [Attributes.Entry] = [size, .init(.direction, .string("reverse")), .init(.layout, .int(1))]
    let more: [Operand]
    let option: [Attributes.Entry]
    switch kind {
    case .rnn: (more, option) = ([], [])
    case .gru: (more, option) = ([], [.init(.linearBeforeReset, .int(1))])
    case .lstm: (more, option) = ([.real([2, 2, 2]), .real([2, 6])], [.init(.inputForget, .int(1))])
    }
    return .agrees([
      GradientCase(
        operation: .recurrence(kind), operands: both + more, attributes: [size, .init(.direction, .string("bidirectional"))],
        results: kind == .lstm ? 3 : 2, read: kind == .lstm ? [0, 1, 2] : [0, 1]),
      GradientCase(operation: .recurrence(kind), operands: one, attributes: reversed + option, results: 2, read: [1]),
    ])
  }

  private static func quantisation(_ kind: Quantisation) -> GradientExpectation {
    let operation = Operator.quantisation(kind)
    switch kind {
    case .dequantizeLinear:
      return cases(
        operation, ([.whole([3, -4, 5, 6, 7, -8], [2, 3], .i8), .real([3], 0.5...2), .whole([1, 0, 2], [3], .i8)], []))
    case .quantizeLinear, .dynamicQuantizeLinear: return .flat
    }
  }

  private static func generation(_ kind: Generation) -> GradientExpectation {
    let operation = Operator.generation(kind)
    switch kind {
    case .range: return cases(operation, ([.exactly([0.3], []), .exactly([4.4], []), .exactly([0.7], [])], []))
    case .bernoulli: return .refused("random")
    case .constantOfShape, .eyeLike, .multinomial, .randomNormal, .randomNormalLike, .randomUniform, .randomUniformLike, .shape,
      .size:
      return .flat
    }
  }
}
