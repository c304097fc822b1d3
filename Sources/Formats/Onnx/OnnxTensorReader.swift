import Graph

/// How a tensor's numbers are stored in its message.
enum TensorForm {
  /// In the message itself.
  case inline
  /// In a file beside the model.
  case external
  /// Nowhere: the message is part of a skeleton, whose numbers live in the container around it.
  case missing(wasExternal: Bool)
}

/// What a tensor's external data is called in a skeleton, in place of a file name.
enum SkeletonMark {
  static let inline = "prunec.ir"
  static let external = "prunec.ir/external"
}

/// A TensorProto, understood.
struct OnnxTensor {
  var name = ""
  var type = TensorType(.unknown, [])
  var shape: [Int] = []
  var data: TensorData
  var form: TensorForm
}

extension OnnxReader {
  /// Reads a tensor. Raw bytes stay where they lie; numbers in typed fields are converted, except where they are the same bytes.
  mutating func tensor(_ range: Range<Int>, called fallback: String) throws(Diagnostic) -> OnnxTensor {
    var name = fallback
    var dims: [Int] = []
    var code = 0
    var raw: Range<Int>?
    var typed: [Int: (count: Int, chunks: Int, payload: Range<Int>)] = [:]
    var entries: [Range<Int>] = []
    var isExternal = false
    var isSegmented = false
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: try field.appendInts(to: &dims, bytes)
      case 2: code = try field.int()
      case 3: isSegmented = true
      case 4, 5, 6, 7, 10, 11:
        let known = typed[field.number] ?? (0, 0, field.payload)
        typed[field.number] = (known.count + (try numberCount(field)), known.chunks + 1, field.payload)
      case 8: name = try field.text(bytes)
      case 9: raw = try field.message()
      case 13: entries.append(try field.message())
      case 14: isExternal = try field.int() == 1
      default: break
      }
    }
    guard let element = ElementType(onnxCode: code) else {
      throw Diagnostic(.invalid, "its data type \(code) is not one that ONNX defines", at: .tensor(name))
    }
    guard !isSegmented else { throw Diagnostic(.unsupported, "it is stored in segments", at: .tensor(name)) }
    let count = try OnnxReader.elementCount(dims, tensor: name)
    let type = TensorType(element, dims.map { Extent($0) })
    func made(_ data: TensorData, _ form: TensorForm) -> OnnxTensor {
      OnnxTensor(name: name, type: type, shape: dims, data: data, form: form)
    }
    if case .string = element {
      let present = typed[TypedField.strings.rawValue]?.count ?? 0
      guard present == count else {
        throw Diagnostic(.invalid, "holds \(present) strings, but \(type) needs \(count)", at: .tensor(name))
      }
      return made(OnnxReader.noData, .inline)
    }
    guard let needed = element.byteCount(of: count) else {
      throw Diagnostic(.invalid, "the shape \(dims) is too large", at: .tensor(name))
    }
    var place = ExternalFiles.Place()
    if isExternal {
      for entry in entries { try externalEntry(entry, into: &place, tensor: name) }
      switch place.location {
      case SkeletonMark.inline: return made(OnnxReader.noData, .missing(wasExternal: false))
      case SkeletonMark.external: return made(OnnxReader.noData, .missing(wasExternal: true))
      default: break
      }
    }
    let data: TensorData
    if isExternal {
      data = try external.data(at: place, byteCount: needed, tensor: name)
    } else if let raw {
      data = stored(raw)
    } else if let field = TypedField(for: element), let present = typed[field.rawValue] {
      let held = field.byteCount(ofNumbers: present.count, element: element)
      guard held == needed else { throw OnnxReader.disagreement(held, needed, type, name) }
      if present.chunks == 1, present.payload.count == needed, field == .floats || field == .doubles {
        data = stored(present.payload)
      } else {
        data = try converted(range, field, width: max(1, (element.bits ?? 8) / 8), count: needed)
      }
    } else {
      data = OnnxReader.noData
    }
    guard data.count == needed else { throw OnnxReader.disagreement(data.count, needed, type, name) }
    return made(data, isExternal ? .external : .inline)
  }

  /// Name, type and shape of a tensor, without a look at its numbers.
  mutating func tensorType(_ range: Range<Int>) throws(Diagnostic) -> (name: String, type: TensorType, shape: [Int]) {
    var (name, dims, code) = ("", [Int](), 0)
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: try field.appendInts(to: &dims, bytes)
      case 2: code = try field.int()
      case 8: name = try field.text(bytes)
      default: break
      }
    }
    return (name, TensorType(ElementType(onnxCode: code) ?? .unknown, dims.map { Extent($0) }), dims)
  }

  /// The number of elements of a shape from a file. Bounded so that no product of its extents, in whatever order and with up to
  /// sixteen bytes per number, overflows later.
  static func elementCount(_ dims: [Int], tensor name: String) throws(Diagnostic) -> Int {
    var bound = 128
    var count = 1
    for extent in dims {
      guard extent >= 0 else { throw Diagnostic(.invalid, "its shape \(dims) has a negative extent", at: .tensor(name)) }
      let (product, overflow) = bound.multipliedReportingOverflow(by: max(1, extent))
      guard !overflow else { throw Diagnostic(.invalid, "its shape \(dims) is too large", at: .tensor(name)) }
      bound = product
      count *= extent
    }
    return count
  }

  private static func disagreement(_ held: Int, _ needed: Int, _ type: TensorType, _ name: String) -> Diagnostic {
    Diagnostic(.invalid, "holds \(held) bytes, but \(type) needs \(needed)", at: .tensor(name))
  }

  /// How many numbers a field of typed data adds.
  private func numberCount(_ field: WireField) throws(Diagnostic) -> Int {
    switch (field.kind, field.number) {
    case (.bytes, TypedField.strings.rawValue): return 1
    case (.bytes, TypedField.floats.rawValue): return field.payload.count / 4
    case (.bytes, TypedField.doubles.rawValue): return field.payload.count / 8
    case (.bytes, _):
      // A packed varint ends at every byte without the high bit.
      return UnsafeRawBufferPointer(rebasing: bytes[field.payload]).reduce(0) { $0 + ($1 < 0x80 ? 1 : 0) }
    case (.varint, _), (.fixed32, _), (.fixed64, _): return 1
    }
  }

  private mutating func externalEntry(
    _ range: Range<Int>, into place: inout ExternalFiles.Place, tensor: String
  ) throws(Diagnostic) {
    var key = ""
    var value = ""
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: key = try field.text(bytes)
      case 2: value = try field.text(bytes)
      default: break
      }
    }
    func number() throws(Diagnostic) -> Int {
      guard let number = Int(value), number >= 0 else {
        throw Diagnostic(.invalid, "the \(key) of its external data is '\(value)', which is no byte count", at: .tensor(tensor))
      }
      return number
    }
    switch key {
    case "location": place.location = value
    case "offset": place.offset = try number()
    case "length": place.length = try number()
    default: break
    }
  }

  /// Typed numbers as raw little-endian bytes.
  private func converted(_ range: Range<Int>, _ typed: TypedField, width: Int, count: Int) throws(Diagnostic) -> TensorData {
    let source = bytes
    return try diagnosing {
      try TensorData(count: count) { target in
        var at = 0
        func put(_ value: UInt64, _ width: Int) throws(Diagnostic) {
          guard at + width <= target.count else {
            throw Diagnostic(.invalid, "damaged: more numbers than were counted", at: .byte(at))
          }
          withUnsafeBytes(of: value.littleEndian) { value in
            UnsafeMutableRawBufferPointer(rebasing: target[at..<at + width])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: value[0..<width]))
          }
          at += width
        }
        var reader = WireReader(source, range)
        while let field = try reader.next() {
          guard field.number == typed.rawValue else { continue }
          switch (field.kind, typed) {
          case (.varint, _): try put(field.value, width)
          case (.fixed32, _): try put(field.value, 4)
          case (.fixed64, _): try put(field.value, 8)
          case (.bytes, .floats):
            var numbers = WireReader(source, field.payload)
            while !numbers.isAtEnd { try put(UInt64(try numbers.fixed() as UInt32), 4) }
          case (.bytes, .doubles):
            var numbers = WireReader(source, field.payload)
            while !numbers.isAtEnd { try put(try numbers.fixed(), 8) }
          case (.bytes, .int32s), (.bytes, .int64s), (.bytes, .uint64s), (.bytes, .strings):
            var numbers = WireReader(source, field.payload)
            while !numbers.isAtEnd { try put(try numbers.varint(), width) }
          }
        }
      }
    }
  }
}

extension TypedField {
  /// Bytes that a number of entries of this field make. Packed types hold a whole byte in each entry.
  func byteCount(ofNumbers count: Int, element: ElementType) -> Int {
    switch self {
    case .floats: count &* 4
    case .doubles: count &* 8
    case .int32s, .int64s, .uint64s: count &* max(1, (element.bits ?? 8) / 8)
    case .strings: 0
    }
  }
}
