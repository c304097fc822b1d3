/// The type of one number of a tensor. The names are those of the text form (`f32`, `i64`, …).
public enum ElementType: String, Sendable, Hashable, CaseIterable {
  case f32, f64, f16, bf16
  case i8, i16, i32, i64
  case u8, u16, u32, u64
  case i4, u4, i2, u2
  case bool, string
  case f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz, f8e8m0, f4e2m1
  case c64, c128
  /// Not a tensor that prunec knows: a sequence, an optional, a map, or a type that could not be inferred.
  case unknown

  /// Bits of one number; 4-bit and 2-bit types are packed, the first number in the lowest bits. Nil where numbers have no fixed size.
  public var bits: Int? {
    switch self {
    case .f32, .i32, .u32: 32
    case .f64, .i64, .u64, .c64: 64
    case .f16, .bf16, .i16, .u16: 16
    case .i8, .u8, .bool, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0: 8
    case .i4, .u4, .f4e2m1: 4
    case .i2, .u2: 2
    case .c128: 128
    case .string, .unknown: nil
    }
  }

  /// Real numbers with a fraction, of any width.
  public var isFloat: Bool {
    switch self {
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1: true
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .c64, .c128, .unknown: false
    }
  }

  /// Whole numbers, signed or not (not booleans).
  public var isInteger: Bool {
    switch self {
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2: true
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .bool, .string, .c64, .c128,
      .unknown:
      false
    }
  }

  /// Weights rather than shape numbers: floats of any width, and integers of eight bits or less. These are what "parameters" counts.
  public var isData: Bool {
    isFloat || self == .c64 || self == .c128 || (isInteger && (bits ?? 64) <= 8)
  }

  /// Bytes that `count` numbers take, packed types rounded up; nil where numbers have no fixed size, or on overflow.
  public func byteCount(of count: Int) -> Int? {
    guard let bits else { return nil }
    let (total, overflow) = count.multipliedReportingOverflow(by: bits)
    return overflow || total > Int.max - 7 ? nil : (total + 7) / 8
  }
}
