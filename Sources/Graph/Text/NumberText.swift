/// The numbers of a small tensor as a list in the text form, and back, bit for bit.
enum NumberText {
  /// The numbers of a tensor in brackets, without them for a scalar; nil when text would not give the same bits back
  /// (element types without a plain spelling, truth values other than 0 and 1, unusual NaNs, or bytes that do not fit the shape).
  static func text(_ data: TensorData, _ element: ElementType, shape: [Int]) -> String? {
    guard let count = count(shape), element.byteCount(of: count) == data.count, let numbers = numbers(data, element),
      numbers.count == count
    else { return nil }
    return shape.isEmpty ? numbers.first : "[" + numbers.joined(separator: ", ") + "]"
  }

  /// The product of extents; nil on overflow or for a negative one.
  static func count(_ shape: [Int]) -> Int? {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      count = product
    }
    return count
  }

  private static func numbers(_ data: TensorData, _ element: ElementType) -> [String]? {
    switch element {
    case .f32:
      let values = data.numbers(as: Float.self)
      return all(values) { $0.isNaN ? $0.bitPattern == Float.nan.bitPattern : true }?.map { "\($0)" }
    case .f64:
      let values = data.numbers(as: Double.self)
      return all(values) { $0.isNaN ? $0.bitPattern == Double.nan.bitPattern : true }?.map { "\($0)" }
    case .f16:
      let bits = data.numbers(as: UInt16.self)
      return all(bits) { HalfPrecision.binary16(HalfPrecision.float(binary16: $0)) == $0 && $0 != 0xfe00 }?
        .map { "\(HalfPrecision.float(binary16: $0))" }
    case .bf16:
      let bits = data.numbers(as: UInt16.self)
      return all(bits) { HalfPrecision.float(bfloat16: $0).isNaN ? $0 == 0x7fc0 : true }?.map {
        "\(HalfPrecision.float(bfloat16: $0))"
      }
    case .i8: return data.numbers(as: Int8.self).map { "\($0)" }
    case .i16: return data.numbers(as: Int16.self).map { "\($0)" }
    case .i32: return data.numbers(as: Int32.self).map { "\($0)" }
    case .i64: return data.numbers(as: Int64.self).map { "\($0)" }
    case .u8: return data.numbers(as: UInt8.self).map { "\($0)" }
    case .u16: return data.numbers(as: UInt16.self).map { "\($0)" }
    case .u32: return data.numbers(as: UInt32.self).map { "\($0)" }
    case .u64: return data.numbers(as: UInt64.self).map { "\($0)" }
    case .bool: return all(data.numbers(as: UInt8.self)) { $0 < 2 }?.map { $0 == 1 ? "true" : "false" }
    case .i4, .u4, .i2, .u2, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return nil
    }
  }

  private static func all<T>(_ values: [T], _ condition: (T) -> Bool) -> [T]? { values.allSatisfy(condition) ? values : nil }

  /// The bytes of one number; nil when the text is no number of that type.
  static func bytes(_ text: String, _ element: ElementType) -> [UInt8]? {
    switch element {
    case .f32: return ModuleSpelling.float(text).map { little($0.bitPattern) }
    case .f64: return ModuleSpelling.double(text).map { little($0.bitPattern) }
    case .f16: return ModuleSpelling.float(text).map { little(HalfPrecision.binary16($0)) }
    case .bf16: return ModuleSpelling.float(text).map { little(HalfPrecision.bfloat16($0)) }
    case .i8: return Int8(text).map(little)
    case .i16: return Int16(text).map(little)
    case .i32: return Int32(text).map(little)
    case .i64: return Int64(text).map(little)
    case .u8: return UInt8(text).map(little)
    case .u16: return UInt16(text).map(little)
    case .u32: return UInt32(text).map(little)
    case .u64: return UInt64(text).map(little)
    case .bool: return text == "true" ? [1] : text == "false" ? [0] : nil
    case .i4, .u4, .i2, .u2, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return nil
    }
  }

  private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
