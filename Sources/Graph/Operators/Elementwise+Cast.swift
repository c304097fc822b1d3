import Foundation

extension Elementwise {
  /// Conversions: reals to whole numbers are cut towards zero, whole numbers keep their lowest bits.
  func cast(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let element = try context.outputElement()
    try context.requireNumbers(element)
    if input.element == element { return context.set(0, input) }
    let saturates = context.attributes.flag(.saturate, default: true)
    switch element {
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz:
      guard let format = SmallFloat(element) else { throw context.unsupported("numbers of type \(element.rawValue)") }
      context.set(0, Tensor(element, input.shape, checked: TensorData(input.reals.map { format.code($0, saturates: saturates) })))
    case .f8e8m0:
      let mode = context.attributes.string(.roundMode) ?? "up"
      guard let rounding = PowerRounding(rawValue: mode) else {
        throw context.failure("round_mode is \(mode), which is none of up, down, nearest")
      }
      let codes = input.reals.map { rounding.code($0, saturates: saturates) }
      context.set(0, Tensor(element, input.shape, checked: TensorData(codes)))
    case .bool: context.set(0, Tensor(truths: input.truths, input.shape))
    case .f32:
      context.set(0, Tensor(.f32, input.shape, checked: Self.singles(input)))
    case .f64, .f16, .bf16, .f4e2m1: context.set(0, Tensor(reals: input.reals, element, input.shape))
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2:
      if input.element.isFloat { return context.set(0, Tensor(reals: input.reals, element, input.shape)) }
      let wholes = input.element == .bool ? input.truths.map { $0 ? 1 : 0 } : input.wholes
      context.set(0, Tensor(wholes: wholes, element, input.shape))
    case .string, .c64, .c128, .unknown:
      throw context.unsupported("numbers of type \(element.rawValue) cannot be computed with")
    }
  }

  /// Whole numbers of 64 bits are rounded once, not by way of f64.
  private static func singles(_ input: Tensor) -> TensorData {
    switch input.element {
    case .f16, .bf16: TensorData(count: input.count * 4) { input.widen(to: $0) }
    case .i64: TensorData(input.wholes.map { Float($0) })
    case .u64: TensorData(input.wholes.map { Float(UInt(bitPattern: $0)) })
    case .bool: TensorData(input.truths.map { $0 ? 1 : 0 } as [Float])
    case .f32, .f64, .i8, .i16, .i32, .u8, .u16, .u32, .i4, .u4, .i2, .u2, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2,
      .f8e5m2fnuz, .f8e8m0, .f4e2m1, .string, .c64, .c128, .unknown:
      NumberFormat.encode(reals: input.reals, as: .f32)
    }
  }
}

/// How a positive number becomes a power of two.
private enum PowerRounding: String {
  case up, down
  case nearest

  /// The code of the power of two: its exponent plus 127, 255 for what is no number. What is out of range, zero included, becomes the
  /// nearest end, or no number where it does not saturate.
  func code(_ real: Double, saturates: Bool) -> UInt8 {
    let magnitude = abs(real)
    if magnitude.isNaN { return 255 }
    if magnitude == 0 { return saturates ? 0 : 255 }
    if magnitude.isInfinite { return saturates ? 254 : 255 }
    let isPower = magnitude.significand == 1
    let isUpper =
      switch self {
      case .up: !isPower
      case .down: false
      case .nearest: magnitude.significand >= 1.5
      }
    let code = Int(magnitude.exponent) + 127 + (isUpper ? 1 : 0)
    if code < 0 { return saturates ? 0 : 255 }
    return code > 254 ? (saturates ? 254 : 255) : UInt8(code)
  }
}
