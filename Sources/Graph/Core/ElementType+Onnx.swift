extension ElementType {
  /// The type that ONNX's `TensorProto.DataType` numbers so; nil for a number that is none (0, "undefined", included).
  public init?(onnxCode: Int) {
    switch onnxCode {
    case 1: self = .f32
    case 2: self = .u8
    case 3: self = .i8
    case 4: self = .u16
    case 5: self = .i16
    case 6: self = .i32
    case 7: self = .i64
    case 8: self = .string
    case 9: self = .bool
    case 10: self = .f16
    case 11: self = .f64
    case 12: self = .u32
    case 13: self = .u64
    case 14: self = .c64
    case 15: self = .c128
    case 16: self = .bf16
    case 17: self = .f8e4m3fn
    case 18: self = .f8e4m3fnuz
    case 19: self = .f8e5m2
    case 20: self = .f8e5m2fnuz
    case 21: self = .u4
    case 22: self = .i4
    case 23: self = .f4e2m1
    case 24: self = .f8e8m0
    case 25: self = .u2
    case 26: self = .i2
    default: return nil
    }
  }

  /// The number of the type in ONNX's `TensorProto.DataType`; 0, "undefined", for an unknown type.
  public var onnxCode: Int {
    switch self {
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
    case .unknown: 0
    }
  }
}
