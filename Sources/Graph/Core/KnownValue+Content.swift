extension KnownValue {
  /// Stored numbers, whole or real; nil for more than `limit` of them, for types that are neither (strings, complex and 8-bit floats),
  /// and where the bytes are not there.
  public init?(_ content: TensorContent) {
    let shape = content.shape
    guard let count = KnownValue.count(shape), content.element.byteCount(of: count) == content.byteCount else { return nil }
    let data = content.materialized()
    guard data.count == content.byteCount else { return nil }
    func wholes<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> [Entry] {
      data.numbers(as: type).map { number in Int(exactly: number).map { .whole(Extent($0)) } ?? .unknown }
    }
    func packed(bits: Int, signed: Bool) -> [Entry] {
      let bytes = data.numbers(as: UInt8.self)
      let perByte = 8 / bits
      return (0..<count).map { at in
        let number = Int(bytes[at / perByte] >> UInt8(at % perByte * bits)) & ((1 << bits) - 1)
        return .whole(Extent(signed && number >= 1 << (bits - 1) ? number - (1 << bits) : number))
      }
    }
    let entries: [Entry]
    switch content.element {
    case .i8: entries = wholes(Int8.self)
    case .i16: entries = wholes(Int16.self)
    case .i32: entries = wholes(Int32.self)
    case .i64: entries = wholes(Int64.self)
    case .u8: entries = wholes(UInt8.self)
    case .u16: entries = wholes(UInt16.self)
    case .u32: entries = wholes(UInt32.self)
    case .u64: entries = wholes(UInt64.self)
    case .bool: entries = data.numbers(as: UInt8.self).map { .whole($0 == 0 ? 0 : 1) }
    case .i4: entries = packed(bits: 4, signed: true)
    case .u4: entries = packed(bits: 4, signed: false)
    case .i2: entries = packed(bits: 2, signed: true)
    case .u2: entries = packed(bits: 2, signed: false)
    case .f32: entries = data.numbers(as: Float.self).map { .real(Double($0)) }
    case .f64: entries = data.numbers(as: Double.self).map { .real($0) }
    case .f16: entries = data.numbers(as: UInt16.self).map { .real(Double(HalfPrecision.float(binary16: $0))) }
    case .bf16: entries = data.numbers(as: UInt16.self).map { .real(Double(HalfPrecision.float(bfloat16: $0))) }
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .string, .unknown: return nil
    }
    self.init(shape: shape, entries: entries)
  }
}
