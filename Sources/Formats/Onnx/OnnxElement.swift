import Graph

extension ElementType {
  /// The number of this type in ONNX's `TensorProto.DataType`; 0 for what is no tensor.
  public var onnxCode: Int {
    switch self {
    case .unknown: 0
    case .f32: 1
    case .u8: 2
    case .i8: 3
    case .u16: 4
    case .i16: 5
    case .i32: 6
    case .i64: 7
    case .string: 8
    case .bool: 9
    case .f16: 10
    case .f64: 11
    case .u32: 12
    case .u64: 13
    case .c64: 14
    case .c128: 15
    case .bf16: 16
    case .f8e4m3fn: 17
    case .f8e4m3fnuz: 18
    case .f8e5m2: 19
    case .f8e5m2fnuz: 20
    case .u4: 21
    case .i4: 22
    case .f4e2m1: 23
    case .f8e8m0: 24
    case .u2: 25
    case .i2: 26
    }
  }

  private static let byCode: [Int: ElementType] = Dictionary(
    uniqueKeysWithValues: ElementType.allCases.filter { $0 != .unknown }.map { ($0.onnxCode, $0) })

  /// The type of a number of ONNX's `TensorProto.DataType`; nil for 0 (undefined) and numbers that ONNX does not have.
  public init?(onnxCode: Int) {
    guard let type = ElementType.byCode[onnxCode] else { return nil }
    self = type
  }
}

/// The field of a TensorProto that holds numbers which are not raw bytes.
enum TypedField: Int {
  case floats = 4
  case int32s = 5
  case strings = 6
  case int64s = 7
  case doubles = 10
  case uint64s = 11

  /// Where ONNX puts numbers of a type.
  init?(for element: ElementType) {
    switch element {
    case .f32, .c64: self = .floats
    case .i32, .i16, .i8, .i4, .i2, .u16, .u8, .u4, .u2, .bool, .f16, .bf16: self = .int32s
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1: self = .int32s
    case .string: self = .strings
    case .i64: self = .int64s
    case .f64, .c128: self = .doubles
    case .u32, .u64: self = .uint64s
    case .unknown: return nil
    }
  }
}
