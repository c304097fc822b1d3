/// Works on each element by itself; operands broadcast from the right.
public enum Elementwise: String, CaseIterable, Sendable, Hashable {
  case abs = "Abs"
  case acos = "Acos"
  case acosh = "Acosh"
  case add = "Add"
  case and = "And"
  case asin = "Asin"
  case asinh = "Asinh"
  case atan = "Atan"
  case atanh = "Atanh"
  case bitShift = "BitShift"
  case bitwiseAnd = "BitwiseAnd"
  case bitwiseNot = "BitwiseNot"
  case bitwiseOr = "BitwiseOr"
  case bitwiseXor = "BitwiseXor"
  case cast = "Cast"
  case castLike = "CastLike"
  case ceil = "Ceil"
  case celu = "Celu"
  case clip = "Clip"
  case cos = "Cos"
  case cosh = "Cosh"
  case div = "Div"
  case dropout = "Dropout"
  case elu = "Elu"
  case equal = "Equal"
  case erf = "Erf"
  case exp = "Exp"
  case floor = "Floor"
  case gelu = "Gelu"
  case greater = "Greater"
  case greaterOrEqual = "GreaterOrEqual"
  case hardSigmoid = "HardSigmoid"
  case hardSwish = "HardSwish"
  case identity = "Identity"
  case isInfinite = "IsInf"
  case isNaN = "IsNaN"
  case leakyRelu = "LeakyRelu"
  case less = "Less"
  case lessOrEqual = "LessOrEqual"
  case log = "Log"
  case max = "Max"
  case mean = "Mean"
  case min = "Min"
  case mish = "Mish"
  case mod = "Mod"
  case mul = "Mul"
  case neg = "Neg"
  case not = "Not"
  case or = "Or"
  case pow = "Pow"
  case prelu = "PRelu"
  case reciprocal = "Reciprocal"
  case relu = "Relu"
  case round = "Round"
  case selu = "Selu"
  case shrink = "Shrink"
  case sigmoid = "Sigmoid"
  case sign = "Sign"
  case sin = "Sin"
  case sinh = "Sinh"
  case softplus = "Softplus"
  case softsign = "Softsign"
  case sqrt = "Sqrt"
  case sub = "Sub"
  case sum = "Sum"
  case swish = "Swish"
  case tan = "Tan"
  case tanh = "Tanh"
  case thresholdedRelu = "ThresholdedRelu"
  case choose = "Where"
  case xor = "Xor"
  case biasGelu = "com.microsoft.BiasGelu"
  case fastGelu = "com.microsoft.FastGelu"
  case microsoftGelu = "com.microsoft.Gelu"
  case quickGelu = "com.microsoft.QuickGelu"
  case quantisedAdd = "com.microsoft.QLinearAdd"
  case quantisedMul = "com.microsoft.QLinearMul"
  case quantisedLeakyRelu = "com.microsoft.QLinearLeakyRelu"
  case quantisedSigmoid = "com.microsoft.QLinearSigmoid"
  case quantisedWhere = "com.microsoft.QLinearWhere"
}

extension Elementwise: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .abs, .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitwiseNot, .cast, .ceil, .celu, .cos, .cosh, .elu, .erf, .exp,
      .floor,
      .gelu, .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .log, .mish, .neg, .not, .reciprocal, .relu,
      .round,
      .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan, .tanh, .thresholdedRelu,
      .microsoftGelu,
      .quickGelu:
      Signature(1)
    case .add, .and, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .castLike, .div, .equal, .greater, .greaterOrEqual, .less,
      .lessOrEqual, .mod, .mul, .or, .pow, .prelu, .sub, .xor, .biasGelu:
      Signature(2)
    case .fastGelu: Signature(1...2)
    case .choose: Signature(3)
    case .clip: Signature(1...3)
    case .dropout: Signature(1...3, outputs: 1...2)
    case .max, .mean, .min, .sum: Signature(1...Signature.many)
    case .quantisedAdd, .quantisedMul: Signature(7...8)
    case .quantisedLeakyRelu, .quantisedSigmoid: Signature(4...5)
    case .quantisedWhere: Signature(9)
    }
  }

  /// Types of the results: the broadcast shape of the operands; comparisons give truth values, casts what they name.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .abs, .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitwiseNot, .ceil, .celu, .cos, .cosh, .elu, .erf, .exp, .floor,
      .gelu,
      .hardSigmoid, .hardSwish, .identity, .leakyRelu, .log, .mish, .neg, .not, .reciprocal, .relu, .round, .selu, .shrink,
      .sigmoid,
      .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan, .tanh, .thresholdedRelu, .microsoftGelu, .quickGelu:
      context.set(0, try context.type(0))
    case .isInfinite, .isNaN:
      context.set(0, .bool, try context.type(0).shape)
    case .cast:
      guard let element = try context.element(attribute: .to) else { throw context.failure("the attribute to is missing") }
      context.set(0, element, try context.type(0).shape)
    case .castLike:
      context.set(0, try context.type(1).element, try context.type(0).shape)
    case .add, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .div, .max, .mean, .min, .mod, .mul, .sub, .sum, .and, .or, .xor:
      for index in 0..<context.inputCount { _ = try context.type(index) }
      let operands = 0..<context.inputCount
      context.set(0, try context.sharedElement(operands: operands), try context.broadcast(operands: operands))
    case .equal, .greater, .greaterOrEqual, .less, .lessOrEqual:
      let (a, b) = (try context.type(0), try context.type(1))
      _ = try context.sharedElement(operands: 0...1)
      context.set(0, .bool, try context.broadcast(a.shape, b.shape))
    case .pow:
      let (base, exponent) = (try context.type(0), try context.type(1))
      context.set(0, base.element, try context.broadcast(base.shape, exponent.shape))
    case .prelu:
      let (data, slope) = (try context.type(0), try context.type(1))
      try context.requireBroadcast(slope.shape, to: data.shape, "the slope")
      context.set(0, data)
    case .choose:
      let condition = try context.type(0)
      _ = (try context.type(1), try context.type(2))
      try context.require(
        condition.element == .bool || condition.element == .unknown, "the condition is \(condition), which holds no truth values")
      context.set(0, try context.sharedElement(operands: 1...2), try context.broadcast(operands: 0...2))
    case .clip:
      let data = try context.type(0)
      for (index, name) in [(1, "the lower bound"), (2, "the upper bound")] {
        guard let bound = context.optionalType(index) else { continue }
        try context.agree(bound.elementCount, 1) { count, _ in "\(name) holds \(count) numbers where one is expected" }
      }
      context.set(0, data)
    case .dropout:
      let data = try context.type(0)
      context.set(0, data)
      context.set(1, .bool, data.shape)
    case .quantisedAdd, .quantisedMul:
      let (a, b) = (try context.type(0), try context.type(3))
      return context.set(0, context.optionalType(7)?.element ?? a.element, try context.broadcast(a.shape, b.shape))
    case .quantisedWhere:
      let (condition, a, b) = (try context.type(0), try context.type(1), try context.type(4))
      let shape = try context.broadcast(condition.shape, try context.broadcast(a.shape, b.shape))
      return context.set(0, try context.type(8).element, shape)
    case .quantisedLeakyRelu, .quantisedSigmoid:
      let data = try context.type(0)
      return context.set(0, context.optionalType(4)?.element ?? data.element, data.shape)
    case .biasGelu, .fastGelu:
      let data = try context.type(0)
      if context.has(1) || self == .biasGelu {
        try context.require(rankAtLeast: 1, of: data, "the input")
        try context.requireList(1, of: data.shape[data.rank - 1], "the bias")
      }
      context.set(0, data)
    }
    foldNumbers(&context)
  }
}
