/// Scaled whole numbers, and scaled small floats: what quantising and its inverse mean for each element type.
enum QuantisedNumbers {
  /// Smallest and largest number of a whole type; nil for floats, and for types that nothing is quantised to.
  static func range(_ element: ElementType) -> ClosedRange<Double>? {
    switch element {
    case .i8: -128...127
    case .u8: 0...255
    case .i16: -32768...32767
    case .u16: 0...65535
    case .i32: -2_147_483_648...2_147_483_647
    case .u32: 0...4_294_967_295
    case .i4: -8...7
    case .u4: 0...15
    case .i2: -2...1
    case .u2: 0...3
    case .f32, .f64, .f16, .bf16, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .i64, .u64, .bool, .string,
      .c64,
      .c128, .unknown:
      nil
    }
  }

  /// A number already divided by the scale: rounded half to even and moved by the zero point for whole types, then cut to the type's range;
  /// no number becomes the zero point.
  static func quantised(_ scaled: Double, zero: Double, _ element: ElementType) -> Double {
    guard let range = range(element) else { return scaled + zero }
    if scaled.isNaN { return zero }
    return min(max(scaled.rounded(.toNearestOrEven) + zero, range.lowerBound), range.upperBound)
  }
}
