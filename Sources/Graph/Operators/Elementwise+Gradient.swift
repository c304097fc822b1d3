import Foundation

extension Elementwise {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .abs, .acos, .acosh, .asin, .asinh, .atan, .atanh, .celu, .cos, .cosh, .elu, .erf, .exp, .gelu, .hardSigmoid, .hardSwish,
      .leakyRelu, .log, .mish, .neg, .reciprocal, .relu, .selu, .shrink, .sigmoid, .sin, .sinh, .softplus, .softsign, .sqrt,
      .swish, .tan, .tanh, .thresholdedRelu, .microsoftGelu, .quickGelu:
      .chain { context throws(Diagnostic) in
        let (x, y) = (try context.input(0), try context.output())
        let derivative = Slope(attributes: context.attributes, x: x, y: y).derivative(self)
        context.give(0, try context.gradient() * derivative)
      }
    case .add, .sub, .mul, .div, .pow, .mod, .prelu: .chain(pair)
    case .max, .min, .mean, .sum: .chain(many)
    case .identity, .cast, .castLike:
      // Where a whole number becomes real, the operand carries no gradient and none is asked for.
      .chain { context throws(Diagnostic) in context.give(0, try context.gradient().cast(to: try context.input(0).element)) }
    case .choose: .chain(Self.choice)
    case .clip: .chain(Self.bounds)
    case .dropout: .chain(Self.passing)
    case .biasGelu, .fastGelu:
      .pieces { context throws(Diagnostic) in
        var x = try context.input(0)
        if let bias = context.optional(1) { x = x + bias }
        let form: [Attributes.Entry] = self == .fastGelu ? [.init(.approximate, .string("tanh"))] : []
        context.set(0, x.applying(.gelu, attributes: form))
      }
    case .and, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .ceil, .equal, .floor, .greater, .greaterOrEqual,
      .isInfinite, .isNaN, .less, .lessOrEqual, .not, .or, .round, .sign, .xor:
      .flat
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      .none("it computes with quantised numbers")
    }
  }

  // MARK: - Two operands

  private func pair(_ context: inout GradientContext) throws(Diagnostic) {
    let (a, b, g) = (try context.input(0), try context.input(1), try context.gradient())
    let (left, right) = try pairSlopes(a, b, g, context)
    context.give(0, left().summed(like: a))
    context.give(1, right().cast(to: b.element).summed(like: b))
  }

  /// Gradients of both operands before what broadcasting repeated is summed.
  private func pairSlopes(
    _ a: Term, _ b: Term, _ g: Term, _ context: GradientContext
  ) throws(Diagnostic) -> (() -> Term, () -> Term) {
    switch self {
    case .add: return ({ g }, { g })
    case .sub: return ({ g }, { -g })
    case .mul: return ({ g * b }, { g * a })
    case .div: return ({ g / b }, { -(g * a / b.squared) })
    case .prelu:
      let isNegative = a < 0
      return ({ isNegative.choosing(g * b, g) }, { isNegative.choosing(g * a, a.number(0)) })
    case .pow:
      let y = try context.output()
      let exponent = b.cast(to: a.element)
      // 0⁰ is constant 1, and 0ᵇ does not change with b.
      return (
        { exponent.equals(0).choosing(a.number(0), g * exponent * a.power(exponent - 1)) },
        { (a > 0).choosing(g * y * (a > 0).choosing(a, a.number(1)).log, a.number(0)) }
      )
    case .mod:
      // a − b·n, with n whole.
      let y = try context.output()
      return ({ g }, { -(g * ((a - y) / b).applying(.round)) })
    case .abs, .acos, .acosh, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor,
      .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh, .dropout, .elu, .equal, .erf, .exp, .floor, .gelu, .greater,
      .greaterOrEqual, .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .max,
      .mean, .min, .mish, .neg, .not, .or, .reciprocal, .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus,
      .softsign, .sqrt, .sum, .swish, .tan, .tanh, .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu,
      .quickGelu, .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      throw context.failure("it is no function of two numbers")
    }
  }

  // MARK: - Several operands

  /// Sums and means pass the gradient on; the largest or smallest gets it, those that tie in equal parts.
  private func many(_ context: inout GradientContext) throws(Diagnostic) {
    let (y, g) = (try context.output(), try context.gradient())
    var operands: [Term] = []
    for index in context.node.inputs.indices { operands.append(try context.input(index)) }
    let isExtreme = self == .max || self == .min
    let shares = isExtreme ? operands.map { $0.equals(y).cast(to: y.element) } : []
    let ties = shares.dropFirst().reduce(shares.first) { sum, share in sum.map { $0 + share } }
    for (index, operand) in operands.enumerated() {
      if let ties {
        context.give(index, (g * shares[index] / ties).summed(like: operand))
      } else {
        context.give(index, (self == .mean ? g / Double(operands.count) : g).summed(like: operand))
      }
    }
  }

  private static func choice(_ context: inout GradientContext) throws(Diagnostic) {
    let (condition, g) = (try context.input(0), try context.gradient())
    let (a, b) = (try context.input(1), try context.input(2))
    context.give(1, condition.choosing(g, g.number(0)).summed(like: a))
    context.give(2, condition.choosing(g.number(0), g).summed(like: b))
  }

  /// Inside the bounds and on them the gradient passes; outside it is the bound's.
  private static func bounds(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, g) = (try context.input(0), try context.gradient())
    let zero = g.number(0)
    var inside = g
    if let low = context.optional(1)?.reshaped([]) {
      inside = (x < low).choosing(zero, inside)
      let below = (x < low).choosing(g, zero).total
      context.give(1, below.reshaped(like: try context.input(1)))
    }
    if let high = context.optional(2)?.reshaped([]) {
      inside = (x > high).choosing(zero, inside)
      let above = (x > high).choosing(g, zero).total
      context.give(2, above.reshaped(like: try context.input(2)))
    }
    context.give(0, inside)
  }

  private static func passing(_ context: inout GradientContext) throws(Diagnostic) {
    if context.opset >= 12, let training = context.optional(2) {
      guard context.writer.known(training.value)?.numbers == [0] else {
        throw context.failure("it drops at random while it trains; export the model for inference")
      }
    }
    context.give(0, try context.gradient())
  }
}

/// Derivatives of functions of one number, by the number itself and the function's result.
private struct Slope {
  let attributes: Attributes
  let x: Term
  let y: Term

  private func attribute(_ name: AttributeName, _ value: Double) -> Double { attributes.float(name).map(Double.init) ?? value }
  private var one: Term { x.number(1) }
  private var zero: Term { x.number(0) }
  /// 1 where a condition holds, 0 elsewhere.
  private func indicator(_ condition: Term) -> Term { condition.cast(to: x.element) }
  /// eˣ for negative x; what it is elsewhere does not matter, only that it is finite.
  private var decay: Term { x.applying(.min, zero).exp }

  /// d y / d x; 0 at a kink where one side has 0, as in PyTorch.
  func derivative(_ function: Elementwise) -> Term {
    switch function {
    case .abs: x.sign
    case .acos: -(1 / (1 - x.squared).squareRoot)
    case .acosh: 1 / (x.squared - 1).squareRoot
    case .asin: 1 / (1 - x.squared).squareRoot
    case .asinh: 1 / (x.squared + 1).squareRoot
    case .atan: 1 / (x.squared + 1)
    case .atanh: 1 / (1 - x.squared)
    case .celu: (x < 0).choosing((x.applying(.min, zero) / attribute(.alpha, 1)).exp, one)
    case .cos: -x.applying(.sin)
    case .cosh: x.applying(.sinh)
    case .elu: (x < 0).choosing(attribute(.alpha, 1) * decay, one)
    case .erf: (2 / Double.pi.squareRoot()) * (-x.squared).exp
    case .exp: y
    case .gelu: attributes.string(.approximate) == "tanh" ? tanhGelu : exactGelu
    case .microsoftGelu: exactGelu
    case .hardSigmoid:
      indicator((y > 0).applying(.and, y < 1)) * attribute(.alpha, 0.2)
    case .hardSwish: (x < -3).choosing(zero, (x > 3).choosing(one, x / 3 + 0.5))
    case .leakyRelu: (x > 0).choosing(one, x.number(attribute(.alpha, 0.01)))
    case .log: 1 / x
    case .mish: mish
    case .neg: -one
    case .reciprocal: -y.squared
    case .relu: indicator(x > 0)
    case .selu:
      (x > 0).choosing(one, attribute(.alpha, 1.67326319217681884765625) * decay)
        * attribute(.gamma, 1.05070102214813232421875)
    case .shrink: indicator(x.magnitude > attribute(.lambd, 0.5))
    case .sigmoid: y * (1 - y)
    case .sin: x.applying(.cos)
    case .sinh: x.applying(.cosh)
    case .softplus: x.sigmoid
    case .softsign: 1 / (1 + x.magnitude).squared
    case .sqrt: 0.5 / y
    case .swish: swish(attribute(.alpha, 1))
    case .quickGelu: swish(attribute(.alpha, 1.702))
    case .tan: 1 + y.squared
    case .tanh: 1 - y.squared
    case .thresholdedRelu: indicator(x > attribute(.alpha, 1))
    case .add, .and, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .cast, .castLike, .ceil, .clip, .div, .dropout,
      .equal, .floor, .greater, .greaterOrEqual, .identity, .isInfinite, .isNaN, .less, .lessOrEqual, .max, .mean, .min, .mod,
      .mul, .not, .or, .pow, .prelu, .round, .sign, .sub, .sum, .choose, .xor, .biasGelu, .fastGelu, .quantisedAdd,
      .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      one
    }
  }

  /// x·σ(αx).
  private func swish(_ alpha: Double) -> Term {
    let share = (x * alpha).sigmoid
    return share + x * alpha * share * (1 - share)
  }

  /// x·Φ(x): Φ(x) + x·φ(x).
  private var exactGelu: Term {
    let cumulated = 0.5 * (1 + (x * 0.5.squareRoot()).applying(.erf))
    let density = (1 / (2 * Double.pi).squareRoot()) * (-0.5 * x.squared).exp
    return cumulated + x * density
  }

  /// x·(1 + tanh u)/2 with u = √(2/π)·(x + 0.044715·x³).
  private var tanhGelu: Term {
    let root = (2 / Double.pi).squareRoot()
    let curve = (root * (x + 0.044715 * x * x.squared)).tanh
    let slope = root * (1 + 3 * 0.044715 * x.squared)
    return 0.5 * (1 + curve) + 0.5 * x * (1 - curve.squared) * slope
  }

  /// x·tanh(softplus x).
  private var mish: Term {
    let curve = x.applying(.softplus).tanh
    return curve + x * (1 - curve.squared) * x.sigmoid
  }
}
