extension Elementwise {
  /// The plain evaluation: real numbers in f64, rounded once to the element type; whole numbers modulo their width.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .identity: context.set(0, try context.input(0))
    case .choose: try Self.choose(&context)
    case .cast, .castLike: try cast(&context)
    case .dropout: try Self.dropout(&context)
    case .clip: try Self.clip(&context)
    case .not: context.set(0, Tensor(truths: try context.numbers(0).truths.map { !$0 }, try context.input(0).shape))
    case .isNaN: context.set(0, Tensor(truths: try context.numbers(0).reals.map(\.isNaN), try context.input(0).shape))
    case .isInfinite:
      let positive = context.attributes.flag(.detectPositive, default: true)
      let negative = context.attributes.flag(.detectNegative, default: true)
      let input = try context.numbers(0)
      context.set(0, Tensor(truths: input.reals.map { $0.isInfinite && ($0 > 0 ? positive : negative) }, input.shape))
    case .abs, .bitwiseNot, .neg, .relu, .sign, .ceil, .floor, .round: try exact(&context)
    case .acos, .acosh, .asin, .asinh, .atan, .atanh, .celu, .cos, .cosh, .elu, .erf, .exp, .gelu, .hardSigmoid, .hardSwish,
      .leakyRelu, .log, .mish, .reciprocal, .selu, .shrink, .sigmoid, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan,
      .tanh,
      .thresholdedRelu, .microsoftGelu, .quickGelu:
      context.set(0, try context.numbers(0).mapping(reals: realFunction(context)))
    case .biasGelu, .fastGelu: try biased(&context)
    case .add, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .div, .max, .mean, .min, .mod, .mul, .prelu, .sub, .sum:
      try combine(&context)
    case .pow: try Self.power(&context)
    case .equal, .greater, .greaterOrEqual, .less, .lessOrEqual: try compare(&context)
    case .and, .or, .xor: try decide(&context)
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      throw context.unsupported("this quantised operator can be pruned, but not executed")
    }
  }
}

// MARK: - One operand

extension Elementwise {
  /// Functions that whole types have too.
  private func exact(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    if input.element.isFloat { return context.set(0, input.mapping(reals: realFunction(context))) }
    let isUnsigned = input.element == .u64
    switch self {
    case .abs: context.set(0, isUnsigned ? input : input.mapping { $0 < 0 ? 0 &- $0 : $0 })
    case .neg: context.set(0, input.mapping { 0 &- $0 })
    case .bitwiseNot: context.set(0, input.mapping { ~$0 })
    case .relu: context.set(0, isUnsigned ? input : input.mapping { Swift.max($0, 0) })
    case .sign: context.set(0, input.mapping { $0 == 0 ? 0 : isUnsigned ? 1 : $0.signum() })
    case .acos, .acosh, .add, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .cast,
      .castLike, .ceil, .celu, .clip, .cos, .cosh, .div, .dropout, .elu, .equal, .erf, .exp, .floor, .gelu, .greater,
      .greaterOrEqual, .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .max,
      .mean, .min, .mish, .mod, .mul, .not, .or, .pow, .prelu, .reciprocal, .round, .selu, .shrink, .sigmoid, .sin, .sinh,
      .softplus, .softsign, .sqrt, .sub, .sum, .swish, .tan, .tanh, .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu,
      .microsoftGelu, .quickGelu, .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      context.set(0, input)
    }
  }

  private func biased(_ context: inout EvaluationContext) throws(Diagnostic) {
    var input = try context.numbers(0)
    let function = realFunction(context)
    if context.optional(1) != nil {
      let bias = try context.numbers(1)
      let sums = Tensor.combined(input.reals, input.shape, bias.reals, bias.shape, to: input.shape) { function($0 + $1) }
      return context.set(0, Tensor(reals: sums, input.element, input.shape))
    }
    input = input.mapping(reals: function)
    context.set(0, input)
  }

  private static func clip(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let (low, high) = (context.optional(1), context.optional(2))
    if input.element.isFloat {
      let low = try context.real(1, "the lower bound") ?? -.infinity
      let high = try context.real(2, "the upper bound") ?? .infinity
      return context.set(0, input.mapping { smaller(larger($0, low), high) })
    }
    // Keys are ordered as the numbers are, u64 included.
    let flip = input.element == .u64 ? Int.min : 0
    let least = low == nil ? Int.min : (try context.whole(1, "the lower bound") ?? 0) ^ flip
    let most = high == nil ? Int.max : (try context.whole(2, "the upper bound") ?? 0) ^ flip
    context.set(0, input.mapping { Swift.min(Swift.max($0 ^ flip, least), most) ^ flip })
  }

  private static func dropout(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let ratio: Double
    if context.opset < 12 {
      ratio = 0
    } else {
      let training = context.optional(2)?.truths.first ?? false
      ratio = training ? try context.real(1, "the ratio") ?? 0.5 : 0
    }
    guard ratio != 0 else {
      context.set(0, input)
      return context.set(1, Tensor(truths: Array(repeating: true, count: input.count), input.shape))
    }
    guard ratio > 0, ratio < 1 else { throw context.failure("the ratio is \(ratio), which is not in [0, 1)") }
    var generator = context.generator()
    let mask = (0..<input.count).map { _ in generator.unit() >= ratio }
    if context.attributes[.seed] == nil { context.random = generator }
    let scale = 1 / (1 - ratio)
    context.set(0, Tensor(reals: zip(input.reals, mask).map { $1 ? $0 * scale : 0 }, input.element, input.shape))
    context.set(1, Tensor(truths: mask, input.shape))
  }
}

// MARK: - Several operands

extension Elementwise {
  private func combine(_ context: inout EvaluationContext) throws(Diagnostic) {
    let shape = try context.outputShape()
    var result = try context.numbers(0)
    let function = try pairFunction(context, result.element)
    if self == .mean || (self == .sum && context.inputCount > 2) {
      return try Self.add(&context, to: shape, isMean: self == .mean)
    }
    if context.inputCount == 1 { return context.set(0, result) }
    for index in 1..<context.inputCount {
      let next = try context.numbers(index)
      guard next.element == result.element else {
        throw context.failure("operands of \(result.element.rawValue) and \(next.element.rawValue) meet")
      }
      let target = index == context.inputCount - 1 ? shape : Self.broadcast(result.shape, next.shape)
      result = Tensor.combined(result, next, to: target, function)
    }
    context.set(0, result)
  }

  private static func broadcast(_ a: [Int], _ b: [Int]) -> [Int] {
    let rank = Swift.max(a.count, b.count)
    let ones = { (shape: [Int]) in Array(repeating: 1, count: rank - shape.count) + shape }
    return zip(ones(a), ones(b)).map { $0 == 1 ? $1 : $0 }
  }

  /// Sums and means are rounded once.
  private static func add(_ context: inout EvaluationContext, to shape: [Int], isMean: Bool) throws(Diagnostic) {
    let element = try context.outputElement()
    let first = try context.numbers(0).broadcast(to: shape)
    guard element.isFloat else {
      var sums = first.wholes
      for index in 1..<context.inputCount {
        let next = try context.numbers(index)
        sums = Tensor.combined(sums, shape, next.wholes, next.shape, to: shape) { $0 &+ $1 }
      }
      let count = isMean ? context.inputCount : 1
      return context.set(0, Tensor(wholes: sums.map { $0 / count }, element, shape))
    }
    var sums = first.reals
    for index in 1..<context.inputCount {
      let next = try context.numbers(index)
      sums = Tensor.combined(sums, shape, next.reals, next.shape, to: shape) { $0 + $1 }
    }
    let count = isMean ? Double(context.inputCount) : 1
    context.set(0, Tensor(reals: isMean ? sums.map { $0 / count } : sums, element, shape))
  }

  private static func power(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (base, exponent) = (try context.numbers(0), try context.numbers(1))
    let shape = try context.outputShape()
    if !base.element.isFloat, !exponent.element.isFloat {
      let isHuge = exponent.element == .u64
      let powers = Tensor.combined(base.wholes, base.shape, exponent.wholes, exponent.shape, to: shape) {
        $1 < 0 && !isHuge ? Self.inverse($0, power: $1) : Self.power($0, UInt(bitPattern: $1))
      }
      return context.set(0, Tensor(wholes: powers, base.element, shape))
    }
    let powers = Tensor.combined(base.reals, base.shape, exponent.reals, exponent.shape, to: shape, Self.power)
    context.set(0, Tensor(reals: powers, base.element, shape))
  }

  private func compare(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (a, b) = (try context.numbers(0), try context.numbers(1))
    let shape = try context.outputShape()
    let truths: [Bool]
    if a.element.isFloat {
      let function: (Double, Double) -> Bool = comparison()
      truths = Tensor.combined(a.reals, a.shape, b.reals, b.shape, to: shape, function)
    } else {
      let function: (Int, Int) -> Bool = comparison()
      truths = Tensor.combined(a.orderKeys, a.shape, b.orderKeys, b.shape, to: shape, function)
    }
    context.set(0, Tensor(truths: truths, shape))
  }

  private func decide(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (a, b) = (try context.numbers(0), try context.numbers(1))
    let shape = try context.outputShape()
    let function: (Bool, Bool) -> Bool =
      self == .and ? { $0 && $1 } : self == .or ? { $0 || $1 } : { $0 != $1 }
    context.set(0, Tensor(truths: Tensor.combined(a.truths, a.shape, b.truths, b.shape, to: shape, function), shape))
  }

  private static func choose(_ context: inout EvaluationContext) throws(Diagnostic) {
    let condition = try context.input(0)
    let (yes, no) = (try context.input(1), try context.input(2))
    let shape = try context.outputShape()
    guard condition.element == .bool, yes.element == no.element else { throw context.failure("operands of different types meet") }
    let truths = condition.truths
    let (whole, other) = (yes.unpacked, no.unpacked)
    let walk = StridedWalk(broadcasting: [condition.shape, yes.shape, no.shape], to: shape)
    let (step, yesStep, noStep) = (walk.steps[0], walk.steps[1], walk.steps[2])
    let width = whole.width
    let data = TensorData(count: walk.count * width) { results in
      whole.data.withUnsafeBytes { yes in
        other.data.withUnsafeBytes { no in
          guard let to = results.baseAddress, let yes = yes.baseAddress, let no = no.baseAddress else { return }
          func move<Number: BitwiseCopyable>(_ type: Number.Type) {
            walk.forEachRun { at, starts in
              for index in 0..<walk.run {
                let number =
                  truths[starts[0] + index * step]
                  ? yes.loadUnaligned(fromByteOffset: (starts[1] + index * yesStep) * width, as: type)
                  : no.loadUnaligned(fromByteOffset: (starts[2] + index * noStep) * width, as: type)
                to.storeBytes(of: number, toByteOffset: (at + index) * width, as: type)
              }
            }
          }
          switch width {
          case 1: move(UInt8.self)
          case 2: move(UInt16.self)
          case 4: move(UInt32.self)
          case 8: move(UInt64.self)
          case _: move(RawNumbers.Pair.self)
          }
        }
      }
    }
    context.set(0, Tensor(whole.element, shape, checked: data).repacked(as: yes.element))
  }
}
