import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct UnaryTests {
  /// A function, its exact values, the inputs it is tried on, and the greatest error in units of the last place.
  private struct Case: Sendable {
    let name: String
    let function: pk_unary
    let inputs: ClosedRange<Float>
    let units: Double
    let exact: @Sendable (Double) -> Double
  }

  private static let cases = [
    Case(name: "exp", function: PK_UNARY_EXP, inputs: -87...88, units: 2, exact: { exp($0) }),
    Case(name: "log", function: PK_UNARY_LOG, inputs: 1e-30...50, units: 2, exact: { log($0) }),
    Case(name: "tanh", function: PK_UNARY_TANH, inputs: -12...12, units: 2, exact: { tanh($0) }),
    Case(name: "erf", function: PK_UNARY_ERF, inputs: -5...5, units: 4, exact: { erf($0) }),
    Case(name: "sigmoid", function: PK_UNARY_SIGMOID, inputs: -86...86, units: 3, exact: { 1 / (1 + exp(-$0)) }),
    Case(name: "silu", function: PK_UNARY_SILU, inputs: -80...80, units: 4, exact: { $0 / (1 + exp(-$0)) }),
    Case(name: "softplus", function: PK_UNARY_SOFTPLUS, inputs: -80...80, units: 4, exact: { log1p(exp($0)) }),
    Case(name: "1/√", function: PK_UNARY_RECIPROCAL_SQUARE_ROOT, inputs: 1e-6...1e6, units: 2, exact: { 1 / $0.squareRoot() }),
    Case(name: "√", function: PK_UNARY_SQUARE_ROOT, inputs: 0...1e6, units: 0.5, exact: { $0.squareRoot() }),
    Case(name: "1/x", function: PK_UNARY_RECIPROCAL, inputs: 1e-6...1e6, units: 0.5, exact: { 1 / $0 }),
  ]

  /// Numbers spread evenly and, since much happens near zero, by their logarithms.
  private static func numbers(in range: ClosedRange<Float>, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    let even = (0..<1500).map { _ in Float.random(in: range, using: &generator) }
    let small = (0..<500).map { _ in
      Float.random(in: range, using: &generator) * Float(exp(-Double.random(in: 0...20, using: &generator)))
    }
    return even + small.filter { range.contains($0) }
  }

  private static func results(_ function: pk_unary, _ inputs: [Float], _ first: Float = 0, _ second: Float = 0) -> [Float] {
    let from = Memory(inputs), to = Memory([Float](repeating: 7, count: inputs.count))
    pk_unary_run(function, first, second, from.pointer, to.pointer, inputs.count)
    #expect(to.isIntact && from.isIntact)
    return to.values
  }

  @Test func errorsStayWithinTheStatedUnits() {
    onEveryInstructionSet { set in
      for item in Self.cases {
        let inputs = Self.numbers(in: item.inputs, seed: 1)
        let worst = zip(inputs, Self.results(item.function, inputs))
          .map { (input: $0, units: unitsApart($1, item.exact(Double($0)))) }.max { $0.units < $1.units }
        #expect((worst?.units ?? .infinity) <= item.units, "\(item.name) of \(worst?.input ?? 0), \(set)")
      }
    }
  }

  @Test func gelusStayWithinAPartOfTheArgument() {
    let inputs = Self.numbers(in: -20...20, seed: 2)
    let slope = (2 / Double.pi).squareRoot()
    onEveryInstructionSet { set in
      for (input, value) in zip(inputs, Self.results(PK_UNARY_GELU_ERF, inputs)) {
        let x = Double(input)
        #expect(abs(Double(value) - x * erfc(-x / 2.0.squareRoot()) / 2) <= abs(x) * 0x1p-22, "gelu of \(input), \(set)")
      }
      for (input, value) in zip(inputs, Self.results(PK_UNARY_GELU_TANH, inputs)) {
        let x = Double(input)
        let exact = x * (1 + tanh(slope * (x + 0.044715 * x * x * x))) / 2
        #expect(abs(Double(value) - exact) <= abs(x) * 0x1p-22, "gelu (tanh) of \(input), \(set)")
      }
    }
  }

  @Test func sinesOfLargeArguments() {
    let inputs = Self.numbers(in: -8192...8192, seed: 3) + [8193, -20000, 3e9, 1e30]
    onEveryInstructionSet { set in
      for (function, exact) in [(PK_UNARY_SIN, sin), (PK_UNARY_COS, cos)] as [(pk_unary, (Double) -> Double)] {
        for (input, value) in zip(inputs, Self.results(function, inputs)) {
          let error = abs(Double(value) - exact(Double(input)))
          #expect(error <= 0x1p-24 || unitsApart(value, exact(Double(input))) <= 3, "of \(input), \(set)")
        }
      }
    }
  }

  @Test func infinitiesZerosAndNaN() {
    let inputs: [Float] = [.infinity, -.infinity, 0, -0.0]
    let expected: [(pk_unary, [Float])] = [
      (PK_UNARY_EXP, [.infinity, 0, 1, 1]), (PK_UNARY_TANH, [1, -1, 0, -0.0]), (PK_UNARY_ERF, [1, -1, 0, -0.0]),
      (PK_UNARY_RELU, [.infinity, 0, 0, 0]), (PK_UNARY_SIGN, [1, -1, 0, 0]),
      (PK_UNARY_RECIPROCAL, [0, -0.0, .infinity, -.infinity]),
      (PK_UNARY_SOFTPLUS, [.infinity, 0, Float(log(2.0)), Float(log(2.0))]), (PK_UNARY_GELU_ERF, [.infinity, 0, 0, 0]),
      (PK_UNARY_FLOOR, inputs), (PK_UNARY_CEIL, inputs), (PK_UNARY_ROUND, inputs),
      (PK_UNARY_ABSOLUTE, [.infinity, .infinity, 0, 0]),
    ]
    onEveryInstructionSet { set in
      for (function, values) in expected {
        #expect(Self.results(function, inputs) == values, "function \(function.rawValue), \(set)")
      }
      let far = Self.results(PK_UNARY_SIGMOID, [.infinity, -.infinity, -100])
      #expect(far[0] == 1 && far[1] < 2e-38 && far[2] < 2e-38, "\(set)")
      #expect(abs(Self.results(PK_UNARY_SILU, [-.infinity])[0]) < 2e-36, "\(set)")
      for function in (0...PK_UNARY_AFFINE.rawValue).map(pk_unary.init(rawValue:)) where function != PK_UNARY_SIGN {
        #expect(Self.results(function, [.nan], 1, 2)[0].isNaN, "function \(function.rawValue), \(set)")
      }
    }
  }

  @Test func functionsWithNumbersAndRoundings() {
    let inputs: [Float] = [-2.5, -1.5, -0.25, 0.5, 1.5, 2.5, 3.75]
    let expected: [(pk_unary, Float, Float, (Float) -> Float)] = [
      (PK_UNARY_CLIP, -1, 2, { min(max($0, -1), 2) }), (PK_UNARY_LEAKY_RELU, 0.5, 0, { $0 < 0 ? $0 / 2 : $0 }),
      (PK_UNARY_HARD_SIGMOID, 0.25, 0.5, { min(max($0 / 4 + 0.5, 0), 1) }), (PK_UNARY_AFFINE, 2, 1, { 2 * $0 + 1 }),
      (PK_UNARY_FLOOR, 0, 0, { $0.rounded(.down) }), (PK_UNARY_CEIL, 0, 0, { $0.rounded(.up) }),
      (PK_UNARY_ROUND, 0, 0, { $0.rounded(.toNearestOrEven) }), (PK_UNARY_SQUARE, 0, 0, { $0 * $0 }),
      (PK_UNARY_NEGATE, 0, 0, { -$0 }),
    ]
    onEveryInstructionSet { set in
      for (function, first, second, exact) in expected {
        #expect(Self.results(function, inputs, first, second) == inputs.map(exact), "function \(function.rawValue), \(set)")
      }
      for (input, value) in zip(inputs, Self.results(PK_UNARY_ELU, inputs, 2)) {
        #expect(abs(Double(value) - (input < 0 ? 2 * expm1(Double(input)) : Double(input))) <= 2 * 0x1p-22 * 2, "elu, \(set)")
      }
      for (input, value) in zip(inputs, Self.results(PK_UNARY_HARD_SWISH, inputs)) {
        #expect(abs(value - input * min(max(input / 6 + 0.5, 0), 1)) < 1e-6, "hard swish, \(set)")
      }
    }
  }

  @Test func roundingWhereHalvesAreTheLastBits() {
    let inputs: [Float] = [4_194_304.5, -4_194_305.5, 8_388_607.5, 1e9, 0.5, -0.5, -0.0, -1e30]
    let expected: [(pk_unary, FloatingPointRoundingRule)] = [
      (PK_UNARY_FLOOR, .down), (PK_UNARY_CEIL, .up), (PK_UNARY_ROUND, .toNearestOrEven),
    ]
    onEveryInstructionSet { set in
      for (function, rule) in expected {
        let bits = Self.results(function, inputs).map(\.bitPattern)
        #expect(bits == inputs.map { $0.rounded(rule).bitPattern }, "\(rule), \(set)")
      }
    }
  }

  @Test func lengthsThatDivideNoVectorChangeNothing() {
    let inputs = Self.numbers(in: -10...10, seed: 4)
    onEveryInstructionSet { set in
      let whole = Self.results(PK_UNARY_SILU, Array(inputs.prefix(100)))
      for count in 1...67 {
        #expect(Self.results(PK_UNARY_SILU, Array(inputs.prefix(count))) == Array(whole.prefix(count)), "\(count), \(set)")
      }
    }
  }
}
