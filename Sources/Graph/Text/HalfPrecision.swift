/// 16-bit floating-point numbers as bits, to and from Float. (Swift's own Float16 does not exist on every platform.)
enum HalfPrecision {
  /// The number that IEEE binary16 bits stand for; exact.
  static func float(binary16 bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 31)
    let fraction = UInt32(bits & 1023)
    switch exponent {
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: sign | magnitude.bitPattern)
    case _: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }

  /// The nearest binary16 number, ties to even; infinite when too large.
  static func binary16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(bits >> 16 & 0x8000)
    let magnitude = Float(bitPattern: bits & 0x7fff_ffff)
    if magnitude.isNaN { return sign | 0x7e00 }
    if magnitude >= 65520 { return sign | 0x7c00 }
    // Numbers below the smallest normal one are multiples of 2^-24; adding 0.5 lets the processor round to such a multiple.
    if magnitude < 0x1p-14 { return sign | UInt16(truncatingIfNeeded: (magnitude + 0.5).bitPattern &- Float(0.5).bitPattern) }
    let rebased = magnitude.bitPattern - (112 << 23)
    let odd = rebased >> 13 & 1
    return sign | UInt16(truncatingIfNeeded: (rebased + 0xfff + odd) >> 13)
  }

  /// The number that bfloat16 bits stand for; exact.
  static func float(bfloat16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// The nearest bfloat16 number, ties to even.
  static func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
  }
}
