/// Numbers of every element type, to and from Double and Int.
enum NumberFormat {
  // MARK: - Reading

  static func reals(_ data: TensorData, as element: ElementType, count: Int) -> [Double] {
    switch element {
    case .f32: data.numbers(as: Float.self).map(Double.init)
    case .f64: data.numbers(as: Double.self)
    case .f16: data.numbers(as: UInt16.self).map { Double(HalfPrecision.float(binary16: $0)) }
    case .bf16: data.numbers(as: UInt16.self).map { Double(HalfPrecision.float(bfloat16: $0)) }
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0:
      SmallFloat(element).map { format in data.numbers(as: UInt8.self).map { format.value($0) } } ?? []
    case .f4e2m1: SmallFloat(element).map { format in codes(data, bits: 4, count: count).map { format.value($0) } } ?? []
    case .u64: data.numbers(as: UInt64.self).map { Double($0) }
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .i4, .u4, .i2, .u2, .bool:
      wholes(data, as: element, count: count).map(Double.init)
    case .c64, .c128, .string, .unknown: []
    }
  }

  static func wholes(_ data: TensorData, as element: ElementType, count: Int) -> [Int] {
    func signed(_ code: UInt8, bits: Int) -> Int { Int(code) >= 1 << (bits - 1) ? Int(code) - 1 << bits : Int(code) }
    return switch element {
    case .i8: data.numbers(as: Int8.self).map(Int.init)
    case .i16: data.numbers(as: Int16.self).map(Int.init)
    case .i32: data.numbers(as: Int32.self).map(Int.init)
    case .i64: data.numbers(as: Int.self)
    case .u8, .bool: data.numbers(as: UInt8.self).map(Int.init)
    case .u16: data.numbers(as: UInt16.self).map(Int.init)
    case .u32: data.numbers(as: UInt32.self).map(Int.init)
    case .u64: data.numbers(as: UInt64.self).map { Int(bitPattern: UInt($0)) }
    case .i4: codes(data, bits: 4, count: count).map { Int($0) - ($0 >= 8 ? 16 : 0) }
    case .u4: codes(data, bits: 4, count: count).map(Int.init)
    case .i2: codes(data, bits: 2, count: count).map { Int($0) - ($0 >= 2 ? 4 : 0) }
    case .u2: codes(data, bits: 2, count: count).map(Int.init)
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1:
      reals(data, as: element, count: count).map(whole)
    case .c64, .c128, .string, .unknown: []
    }
  }

  /// Cut towards zero; what is out of range saturates, and what is no number is 0.
  static func whole(_ real: Double) -> Int {
    if real.isNaN { return 0 }
    if real >= 0x1p63 { return Int.max }
    return real <= -0x1p63 ? Int.min : Int(real)
  }

  /// The bits of packed numbers, each in a byte of its own.
  static func codes(_ data: TensorData, bits: Int, count: Int) -> [UInt8] {
    let perByte = 8 / bits
    let mask = UInt8(truncatingIfNeeded: (1 << bits) - 1)
    return data.withUnsafeBytes { bytes in
      (0..<min(count, bytes.count * perByte)).map { (bytes[$0 / perByte] >> UInt8($0 % perByte * bits)) & mask }
    }
  }

  // MARK: - Writing

  static func encode(reals: [Double], as element: ElementType) -> TensorData {
    switch element {
    case .f32: TensorData(reals.map { Float($0) })
    case .f64: TensorData(reals)
    case .f16: TensorData(reals.map { HalfPrecision.binary16(toOdd($0)) })
    case .bf16: TensorData(reals.map { HalfPrecision.bfloat16(toOdd($0)) })
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0:
      TensorData(SmallFloat(element).map { format in reals.map { format.code($0) } } ?? [])
    case .f4e2m1: packed(SmallFloat(element).map { format in reals.map { format.code($0) } } ?? [], bits: 4)
    case .u64: TensorData(reals.map { $0 >= 0x1p63 && $0 < 0x1p64 ? UInt64($0) : UInt64(bitPattern: Int64(whole($0))) })
    case .bool: TensorData(reals.map { $0 != 0 ? 1 : 0 } as [UInt8])
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .i4, .u4, .i2, .u2: encode(wholes: reals.map(whole), as: element)
    case .c64, .c128, .string, .unknown: TensorData([] as [UInt8])
    }
  }

  static func encode(wholes: [Int], as element: ElementType) -> TensorData {
    switch element {
    case .i8, .u8: TensorData(wholes.map { UInt8(truncatingIfNeeded: $0) })
    case .i16, .u16: TensorData(wholes.map { UInt16(truncatingIfNeeded: $0) })
    case .i32, .u32: TensorData(wholes.map { UInt32(truncatingIfNeeded: $0) })
    case .i64, .u64: TensorData(wholes)
    case .bool: TensorData(wholes.map { $0 != 0 ? 1 : 0 } as [UInt8])
    case .i4, .u4: packed(wholes.map { UInt8(truncatingIfNeeded: $0) & 15 }, bits: 4)
    case .i2, .u2: packed(wholes.map { UInt8(truncatingIfNeeded: $0) & 3 }, bits: 2)
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1:
      encode(reals: wholes.map(Double.init), as: element)
    case .c64, .c128, .string, .unknown: TensorData([] as [UInt8])
    }
  }

  /// Codes of a few bits each, the first in the lowest bits of a byte.
  static func packed(_ codes: [UInt8], bits: Int) -> TensorData {
    let perByte = 8 / bits
    var bytes = [UInt8](repeating: 0, count: (codes.count + perByte - 1) / perByte)
    for (index, code) in codes.enumerated() { bytes[index / perByte] |= code << UInt8(index % perByte * bits) }
    return TensorData(bytes)
  }

  /// A Float from which any narrower format is rounded as from the Double itself: rounded to odd, which leaves no tie that was none.
  private static func toOdd(_ real: Double) -> Float {
    let nearest = Float(real)
    guard nearest.isFinite, Double(nearest) != real, nearest.bitPattern & 1 == 0 else { return nearest }
    return Double(nearest) < real ? nearest.nextUp : nearest.nextDown
  }
}

/// A floating-point format of eight bits or four: sign, exponent, fraction.
///
/// Micikevicius et al. 2022, "FP8 formats for deep learning" (e4m3fn, e5m2); Noune et al. 2022 (the fnuz forms); OCP MX 1.0 (e2m1, e8m0).
struct SmallFloat {
  private let values: [Double]
  private let largest: Double
  private let infinity: UInt8?
  private let notANumber: UInt8?
  private let signBit: UInt8
  private let isPower: Bool

  /// Nil for types that are no such format.
  init?(_ element: ElementType) {
    switch element {
    case .f8e4m3fn: self.init(fraction: 3, bias: 7, bits: 8, infinity: nil, notANumber: 0x7F, isSpecial: { $0 & 0x7F == 0x7F })
    case .f8e4m3fnuz: self.init(fraction: 3, bias: 8, bits: 8, infinity: nil, notANumber: 0x80, isSpecial: { $0 == 0x80 })
    case .f8e5m2: self.init(fraction: 2, bias: 15, bits: 8, infinity: 0x7C, notANumber: 0x7F, isSpecial: { $0 & 0x7F >= 0x7C })
    case .f8e5m2fnuz: self.init(fraction: 2, bias: 16, bits: 8, infinity: nil, notANumber: 0x80, isSpecial: { $0 == 0x80 })
    case .f4e2m1: self.init(fraction: 1, bias: 1, bits: 4, infinity: nil, notANumber: nil, isSpecial: { _ in false })
    case .f8e8m0: self.init(powers: ())
    case .f32, .f64, .f16, .bf16, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .c64, .c128,
      .unknown:
      return nil
    }
  }

  private init(fraction: Int, bias: Int, bits: Int, infinity: UInt8?, notANumber: UInt8?, isSpecial: (UInt8) -> Bool) {
    let sign = UInt8(1) << UInt8(bits - 1)
    values = (0..<sign).map { code in
      if isSpecial(code) { return code == infinity ? .infinity : .nan }
      let exponent = Int(code) >> fraction
      let part = Double(Int(code) & (1 << fraction - 1)) / Double(1 << fraction)
      return exponent == 0
        ? Double(sign: .plus, exponent: 1 - bias, significand: part)
        : Double(sign: .plus, exponent: exponent - bias, significand: 1 + part)
    }
    largest = values.filter(\.isFinite).max() ?? 0
    self.infinity = infinity
    self.notANumber = notANumber
    signBit = sign
    isPower = false
  }

  private init(powers: Void) {
    values = (0..<255).map { Double(sign: .plus, exponent: $0 - 127, significand: 1) }
    (largest, infinity, notANumber, signBit, isPower) = (0x1p127, nil, 0xFF, 0, true)
  }

  /// The number that a code stands for; exact.
  func value(_ code: UInt8) -> Double {
    if let notANumber, code == notANumber { return .nan }
    if isPower { return values[Int(code)] }
    let magnitude = values[Int(code & (signBit - 1))]
    return code & signBit != 0 ? -magnitude : magnitude
  }

  /// The nearest code, ties to even. What is too large saturates; `saturates` false gives infinity, or no number where there is no infinity.
  func code(_ real: Double, saturates: Bool = true) -> UInt8 {
    if real.isNaN { return notANumber ?? 0 }
    let sign: UInt8 = real.sign == .minus ? signBit : 0
    let magnitude = abs(real)
    let finite = values.lastIndex { $0.isFinite } ?? 0
    // Halfway to the number that would follow the largest one still rounds down to it.
    let step = finite > 0 ? values[finite] - values[finite - 1] : 0
    let overflows = real.isInfinite || magnitude >= largest + (finite % 2 == 0 ? step / 2 + 0x1p-1074 : step / 2)
    if overflows {
      if saturates { return sign | UInt8(finite) }
      if let infinity { return sign | infinity }
      return notANumber ?? sign | UInt8(finite)
    }
    var low = 0
    var high = finite
    while low < high {
      let middle = (low + high + 1) / 2
      if values[middle] <= magnitude { low = middle } else { high = middle - 1 }
    }
    guard low < finite else { return sign | UInt8(finite) }
    let (below, above) = (magnitude - values[low], values[low + 1] - magnitude)
    let nearest = below < above || (below == above && low % 2 == 0) ? low : low + 1
    // A format without a negative zero spells no number so.
    if nearest == 0, sign != 0, notANumber == sign { return 0 }
    return sign | UInt8(nearest)
  }
}
