import Formats
import Graph
import Runtime

/// Inputs and outputs of a model as arrays of a file: `in.NAME` and `out.NAME`.
///
/// Types that numpy lacks are written as it can: bfloat16 and the 8-bit floats by their bits (uint16, uint8), 4- and 2-bit numbers one per
/// byte. They are read so too, and as the raw bytes (`V1`, `V2`) that numpy saves of the types that libraries add to it. A sequence is
/// `NAME.len` and `NAME.0`, `NAME.1`, …; an optional that holds nothing is left out.
public enum ArrayExchange {
  /// Values for the inputs of a module, in order. Where no array's name begins with the prefix, arrays are called as the inputs are.
  ///
  /// Throws `invalid` for inputs that are missing or of another type or shape, and for arrays that no input is called by.
  public static func inputs(
    of module: Module, from arrays: [(name: String, array: NpyArray)], prefix: String = "in."
  ) throws(Diagnostic) -> [RuntimeValue] {
    let prefix = arrays.contains { $0.name.hasPrefix(prefix) } ? prefix : ""
    let named = Dictionary(
      arrays.filter { $0.name.hasPrefix(prefix) }.map { (String($0.name.dropFirst(prefix.count)), $0.array) },
      uniquingKeysWith: { first, _ in first })
    var used: Set<String> = []
    var values: [RuntimeValue] = []
    var symbols: [String: Int] = [:]
    for input in module.inputs {
      let (name, type) = (module[input].name, module[input].type)
      if let array = named[name] {
        used.insert(name)
        let tensor = try tensor(array, as: type, name: name)
        try check(tensor, against: type, name: name, &symbols)
        values.append(.tensor(tensor))
      } else if let length = named[name + ".len"] {
        used.insert(name + ".len")
        let count = length.data.numbers(as: Int.self).first ?? 0
        var tensors: [Tensor] = []
        for index in 0..<max(0, min(count, arrays.count)) {
          guard let array = named["\(name).\(index)"] else {
            throw Diagnostic(
              .invalid, "the sequence is to have \(count) tensors, but \(prefix)\(name).\(index) is missing", at: .tensor(name))
          }
          used.insert("\(name).\(index)")
          tensors.append(try tensor(array, as: .unranked(.unknown), name: name))
        }
        values.append(.sequence(tensors, tensors.first?.element ?? .f32))
      } else if type.isRanked {
        throw missing(name, arrays.map(\.name), prefix)
      } else {
        values.append(.absent)
      }
    }
    if let unknown = named.keys.filter({ !used.contains($0) }).min() {
      let names = module.inputs.map { module[$0].name }.joined(separator: ", ")
      throw Diagnostic(
        .invalid,
        "\(prefix)\(unknown) is given, but the model has no such input; "
          + (names.isEmpty ? "it takes none" : "it takes \(names)"))
    }
    return values
  }

  private static func missing(_ name: String, _ given: [String], _ prefix: String) -> Diagnostic {
    let listed = given.sorted().prefix(5).joined(separator: ", ")
    let found =
      given.isEmpty ? "the file holds no arrays" : given.contains(name) ? "rename \(name) to it" : "the file holds \(listed)"
    return Diagnostic(.invalid, "the input is missing: there is no array \(prefix)\(name); \(found)", at: .tensor(name))
  }

  private static func check(
    _ tensor: Tensor, against type: TensorType, name: String, _ symbols: inout [String: Int]
  ) throws(Diagnostic) {
    guard type.isRanked else { return }
    func failure(_ reason: String = "") -> Diagnostic {
      Diagnostic(.invalid, "the model takes \(type), but an array of \(tensor.type) is given\(reason)", at: .tensor(name))
    }
    guard tensor.rank == type.rank else { throw failure() }
    for (extent, number) in zip(type.shape, tensor.shape) {
      if let constant = extent.constant {
        guard constant == number else { throw failure() }
      } else if extent.symbols == ["\(extent)"] {
        let known = symbols["\(extent)"] ?? number
        guard known == number else { throw failure(", and \(extent) is \(known) in an input before it") }
        symbols["\(extent)"] = number
      }
    }
  }

  /// An array as a tensor of a declared type.
  private static func tensor(_ array: NpyArray, as type: TensorType, name: String) throws(Diagnostic) -> Tensor {
    let plain = element(of: array.code)
    let element = type.element == .unknown ? plain : type.element
    guard let element, numpyCode(element) == array.code || rawCode(element) == array.code else {
      let given = plain.map { TensorType($0, array.shape.map { Extent($0) }).description } ?? "raw bytes"
      let wanted = numpyCode(type.element).flatMap(numpyName)
      throw Diagnostic(
        .invalid,
        "the model takes \(type), but an array of \(given) is given"
          + (wanted.map { "; convert it with .astype('\($0)')" } ?? ""), at: .tensor(name))
    }
    if let bits = element.bits, bits < 8 {
      let codes = Tensor(wholes: array.data.numbers(as: Int8.self).map(Int.init), element == .f4e2m1 ? .u4 : element, array.shape)
      if let tensor = Tensor(element, array.shape, data: codes.data) { return tensor }
    }
    guard Tensor.count(array.shape.map { max(1, $0) }) != nil, let tensor = Tensor(element, array.shape, data: array.data) else {
      throw Diagnostic(.invalid, "the array's bytes do not fit its shape \(array.shape)", at: .tensor(name))
    }
    return tensor
  }

  /// Arrays for the outputs of a module.
  public static func arrays(
    of module: Module, _ outputs: [RuntimeValue], prefix: String = "out."
  ) throws(Diagnostic) -> [(name: String, array: NpyArray)] {
    var arrays: [(name: String, array: NpyArray)] = []
    for (output, value) in zip(module.outputs, outputs) {
      let name = prefix + module[output].name
      switch value {
      case .tensor(let tensor): arrays.append((name, try array(tensor, name)))
      case .sequence(let tensors, _):
        arrays.append((name + ".len", NpyArray(code: "i8", shape: [], data: TensorData([tensors.count]))))
        for (index, tensor) in tensors.enumerated() { arrays.append(("\(name).\(index)", try array(tensor, name))) }
      case .absent: break
      }
    }
    return arrays
  }

  private static func array(_ tensor: Tensor, _ name: String) throws(Diagnostic) -> NpyArray {
    guard let code = numpyCode(tensor.element) else {
      throw Diagnostic(.unsupported, "numbers of type \(tensor.element.rawValue) cannot be written", at: .tensor(name))
    }
    if let bits = tensor.element.bits, bits < 8 {
      let codes = Tensor(tensor.element == .f4e2m1 ? .u4 : tensor.element, tensor.shape, data: tensor.data)?.wholes ?? []
      return NpyArray(code: code, shape: tensor.shape, data: TensorData(codes.map { UInt8(truncatingIfNeeded: $0) }))
    }
    return NpyArray(code: code, shape: tensor.shape, data: tensor.data)
  }

  /// What numpy calls a type.
  private static func numpyName(_ code: String) -> String? {
    switch code {
    case "f2": "float16"
    case "f4": "float32"
    case "f8": "float64"
    case "i1": "int8"
    case "i2": "int16"
    case "i4": "int32"
    case "i8": "int64"
    case "u1": "uint8"
    case "u2": "uint16"
    case "u4": "uint32"
    case "u8": "uint64"
    case "b1": "bool"
    case "c8": "complex64"
    case "c16": "complex128"
    case _: nil
    }
  }

  private static func numpyCode(_ element: ElementType) -> String? {
    switch element {
    case .f32: "f4"
    case .f64: "f8"
    case .f16: "f2"
    case .bf16, .u16: "u2"
    case .i8, .i4, .i2: "i1"
    case .i16: "i2"
    case .i32: "i4"
    case .i64: "i8"
    case .u8, .u4, .u2, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1: "u1"
    case .u32: "u4"
    case .u64: "u8"
    case .bool: "b1"
    case .c64: "c8"
    case .c128: "c16"
    case .string, .unknown: nil
    }
  }

  /// How numpy saves arrays of a type that it does not know itself.
  private static func rawCode(_ element: ElementType) -> String? {
    switch element {
    case .bf16: "V2"
    case .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .i4, .u4, .i2, .u2: "V1"
    case .f16, .f32, .f64, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .bool, .c64, .c128, .string, .unknown: nil
    }
  }

  private static func element(of code: String) -> ElementType? {
    switch code {
    case "f4": .f32
    case "f8": .f64
    case "f2": .f16
    case "i1": .i8
    case "i2": .i16
    case "i4": .i32
    case "i8": .i64
    case "u1": .u8
    case "u2": .u16
    case "u4": .u32
    case "u8": .u64
    case "b1": .bool
    case "c8": .c64
    case "c16": .c128
    case _: nil
    }
  }
}
