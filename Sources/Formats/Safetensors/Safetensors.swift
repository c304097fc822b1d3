import Graph

/// A safetensors file: named tensors behind a JSON header that also carries text by key. Tensors lie in the mapped file.
public struct Safetensors: Sendable {
  /// The tensors in the order of their bytes.
  public let tensors: [NamedTensor]
  /// Text by key (`__metadata__`), without what prunec itself keeps there about types.
  public let metadata: [String: String]

  /// Longest header that any reader accepts.
  static let maximumHeader = 100_000_000
  /// Key under which the types are noted that safetensors has no name for; their tensors are stored as `U8`.
  static let typesKey = "prunec.types"

  /// Maps and reads a file. Types that safetensors has no name for come back as `write` was given them.
  ///
  /// What is no safetensors file, or whose header and data do not agree in every byte, is a `Diagnostic` of kind `invalid` that names the file.
  public static func read(path: String) throws(Diagnostic) -> Safetensors {
    do throws(Diagnostic) { return try Safetensors(try MappedFile.open(path)) } catch { throw error.inFile(path) }
  }

  /// True when a file begins as a safetensors file does: a plausible header length, then an opening brace.
  public static func isLikely(_ store: ByteStore) -> Bool {
    store.withUnsafeBytes { bytes in
      guard bytes.count >= 10 else { return false }
      let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
      return length >= 2 && length <= UInt64(min(maximumHeader, bytes.count - 8)) && bytes[8] == UInt8(ascii: "{")
    }
  }

  /// Reads a file in memory or mapped.
  public init(_ store: ByteStore) throws(Diagnostic) {
    self = try store.reading { (bytes) throws(Diagnostic) -> Safetensors in
      var reader = SafetensorsReader(bytes: bytes, store: store)
      return try reader.read()
    }
  }

  init(tensors: [NamedTensor], metadata: [String: String]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Writes tensors, streamed, to a file that appears whole or not at all.
  ///
  /// Tensors come in the order given, those of wider numbers first so that each is aligned; metadata by key. Types that safetensors has no name
  /// for are stored as bytes and noted under the key `prunec.types`. Text tensors, tensors without a fixed shape, and a name that comes twice are
  /// diagnostics; failures to write are of kind `unwritable`.
  public static func write(
    _ tensors: [NamedTensor], metadata: [String: String], to path: String, notOver inputs: [String] = []
  ) throws(Diagnostic) {
    let ordered = tensors.enumerated().sorted { a, b in
      (width(b.element), a.offset) < (width(a.element), b.offset)
    }.map(\.element)
    let header = try SafetensorsHeader(ordered, metadata: metadata).bytes
    guard header.count <= maximumHeader else {
      throw Diagnostic(.unwritable, "its header would take \(header.count) bytes; safetensors allows 100 MB", file: path)
    }
    try AtomicFile.write(to: path, notOver: inputs) { sink in
      try sink.write(withUnsafeBytes(of: UInt64(header.count).littleEndian) { [UInt8]($0) })
      try sink.write(header)
      for tensor in ordered {
        try tensor.content.write { try sink.write($0) }
        tensor.content.data.rest()
      }
    }
  }

  private static func width(_ tensor: NamedTensor) -> Int {
    SafetensorsType.name(of: tensor) == nil ? 8 : tensor.type.element.bits ?? 8
  }
}

/// Names of number types in safetensors.
enum SafetensorsType {
  private static let names: [(ElementType, String)] = [
    (.f64, "F64"), (.f32, "F32"), (.f16, "F16"), (.bf16, "BF16"), (.i64, "I64"), (.i32, "I32"), (.i16, "I16"), (.i8, "I8"),
    (.u64, "U64"),
    (.u32, "U32"), (.u16, "U16"), (.u8, "U8"), (.bool, "BOOL"), (.f8e4m3fn, "F8_E4M3"), (.f8e5m2, "F8_E5M2"),
    (.f8e8m0, "F8_E8M0"),
    (.f4e2m1, "F4"), (.c64, "C64"),
  ]

  static func element(_ name: String) -> ElementType? { names.first { $0.1 == name }?.0 }

  /// The name under which a tensor can be stored as it is; nil where it must be stored as bytes (C64 is understood by few readers, and half bytes
  /// only fill whole ones).
  static func name(of tensor: NamedTensor) -> String? {
    if tensor.type.element == .c64 { return nil }
    if tensor.type.element == .f4e2m1 && !tensor.content.elementCount.isMultiple(of: 2) { return nil }
    return names.first { $0.0 == tensor.type.element }?.1
  }
}

/// The header of a file to be written.
private struct SafetensorsHeader {
  let bytes: [UInt8]

  init(_ tensors: [NamedTensor], metadata: [String: String]) throws(Diagnostic) {
    var entries: [String] = []
    var types: [String] = []
    var names: Set<String> = []
    var offset = 0
    for tensor in tensors {
      guard tensor.name != "__metadata__", names.insert(tensor.name).inserted else {
        throw Diagnostic(.invalid, "a safetensors file cannot hold two tensors of this name", at: .tensor(tensor.name))
      }
      guard let shape = tensor.type.staticShape,
        tensor.type.element.byteCount(of: tensor.content.elementCount) == tensor.content.byteCount,
        shape == tensor.content.shape
      else {
        throw Diagnostic(.unsupported, "\(tensor.type) cannot be stored in a safetensors file", at: .tensor(tensor.name))
      }
      let end = offset + tensor.content.byteCount
      let stored = SafetensorsType.name(of: tensor)
      let name = jsonQuoted(tensor.name)
      let extents = (stored == nil ? [tensor.content.byteCount] : shape).map(String.init).joined(separator: ",")
      entries.append("\(name):{\"dtype\":\"\(stored ?? "U8")\",\"shape\":[\(extents)],\"data_offsets\":[\(offset),\(end)]}")
      if stored == nil {
        types.append(
          "\(name):{\"type\":\"\(tensor.type.element.rawValue)\",\"shape\":[\(shape.map(String.init).joined(separator: ","))]}")
      }
      offset = end
    }
    var notes = metadata
    if !types.isEmpty { notes[Safetensors.typesKey] = "{\(types.joined(separator: ","))}" }
    if !notes.isEmpty {
      let pairs = notes.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)):\(jsonQuoted($0.value))" }
      entries.insert("\"__metadata__\":{\(pairs.joined(separator: ","))}", at: 0)
    }
    var text = Array("{\(entries.joined(separator: ","))}".utf8)
    text.append(contentsOf: repeatElement(0x20, count: (8 - text.count % 8) % 8))
    bytes = text
  }
}

/// Reads a file's header and checks it against the data.
private struct SafetensorsReader {
  let bytes: UnsafeRawBufferPointer
  let store: ByteStore

  private struct Entry {
    let name: String
    let element: ElementType
    let shape: [Int]
    let range: Range<Int>
  }

  mutating func read() throws(Diagnostic) -> Safetensors {
    func refuse(_ why: String) -> Diagnostic { Diagnostic(.invalid, "is not a safetensors file: \(why)") }
    guard bytes.count > 0 else { throw refuse("it is empty") }
    guard bytes.count >= 8 else { throw refuse("it has only \(bytes.count) bytes") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(Safetensors.maximumHeader) else {
      throw refuse("its header would take \(length) bytes, more than 100 MB")
    }
    guard length <= UInt64(bytes.count - 8) else {
      throw refuse("its header takes \(length) bytes, but only \(bytes.count - 8) follow; the file is cut off or something else")
    }
    let start = 8 + Int(length)
    guard start > 8, bytes[8] == UInt8(ascii: "{") else { throw refuse("its header is no JSON object") }
    var entries: [Entry] = []
    var metadata: [String: String] = [:]
    var scanner = JsonScanner(bytes, 8..<start)
    try scanner.object { (scanner, name) throws(Diagnostic) in
      if name == "__metadata__" {
        try scanner.object { (scanner, key) throws(Diagnostic) in metadata[key] = try scanner.string() }
      } else {
        entries.append(try SafetensorsReader.entry(&scanner, name))
      }
    }
    try scanner.finish()
    entries.sort { ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name) }
    try check(entries, dataCount: bytes.count - start)
    let types =
      try metadata.removeValue(forKey: Safetensors.typesKey).map { t throws(Diagnostic) in try SafetensorsReader.types(t) } ?? [:]
    var tensors: [NamedTensor] = []
    for entry in entries {
      guard let data = TensorData(store, range: start + entry.range.lowerBound..<start + entry.range.upperBound) else { continue }
      tensors.append(try SafetensorsReader.tensor(entry.name, entry.element, entry.shape, data, noted: types[entry.name]))
    }
    return Safetensors(tensors: tensors, metadata: metadata)
  }

  private static func entry(_ scanner: inout JsonScanner, _ name: String) throws(Diagnostic) -> Entry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { (scanner, key) throws(Diagnostic) in
      switch key {
      case "dtype": type = try scanner.string()
      case "shape": shape = try scanner.counts()
      case "data_offsets": offsets = try scanner.counts()
      default: try scanner.skipValue()
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw Diagnostic(.invalid, "the header must state its dtype, shape and two data_offsets", at: .tensor(name))
    }
    guard let element = SafetensorsType.element(type) else {
      throw Diagnostic(.unsupported, "its type '\(type)' is not supported", at: .tensor(name))
    }
    guard offsets[0] <= offsets[1] else {
      throw Diagnostic(.invalid, "its data ends (\(offsets[1])) before it starts (\(offsets[0]))", at: .tensor(name))
    }
    let count = try OnnxReader.elementCount(shape, tensor: name)
    let held = offsets[1] - offsets[0]
    guard let needed = element.byteCount(of: count), needed == held else {
      throw Diagnostic(
        .invalid, "holds \(held) bytes, but \(type)\(shape) needs \(element.byteCount(of: count) ?? 0)", at: .tensor(name))
    }
    return Entry(name: name, element: element, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// All bytes behind the header belong to exactly one tensor.
  private func check(_ entries: [Entry], dataCount: Int) throws(Diagnostic) {
    var end = 0
    for entry in entries {
      guard entry.range.upperBound <= dataCount else {
        throw Diagnostic(
          .invalid,
          "its data is bytes \(entry.range.lowerBound) to \(entry.range.upperBound), but only \(dataCount) follow the header",
          at: .tensor(entry.name))
      }
      guard entry.range.lowerBound == end else {
        throw Diagnostic(
          .invalid,
          entry.range.lowerBound < end
            ? "its data overlaps another tensor's" : "\(entry.range.lowerBound - end) bytes before its data belong to no tensor",
          at: .tensor(entry.name))
      }
      end = entry.range.upperBound
    }
    guard end == dataCount else { throw Diagnostic(.invalid, "the last \(dataCount - end) bytes belong to no tensor") }
  }

  /// The types that prunec noted for tensors stored as bytes.
  private static func types(_ text: String) throws(Diagnostic) -> [String: (ElementType, [Int])] {
    let store = TensorData(Array(text.utf8)).store
    return try store.reading { (bytes) throws(Diagnostic) -> [String: (ElementType, [Int])] in
      var types: [String: (ElementType, [Int])] = [:]
      var scanner = JsonScanner(bytes, 0..<bytes.count)
      try scanner.object { (scanner, name) throws(Diagnostic) in
        var type = ""
        var shape: [Int] = []
        try scanner.object { (scanner, key) throws(Diagnostic) in
          switch key {
          case "type": type = try scanner.string()
          case "shape": shape = try scanner.counts()
          default: try scanner.skipValue()
          }
        }
        guard let element = ElementType(rawValue: type) else {
          throw Diagnostic(.invalid, "the type '\(type)' noted for it is not one of prunec's", at: .tensor(name))
        }
        types[name] = (element, shape)
      }
      try scanner.finish()
      return types
    }
  }

  private static func tensor(
    _ name: String, _ element: ElementType, _ shape: [Int], _ data: TensorData, noted: (ElementType, [Int])?
  ) throws(Diagnostic) -> NamedTensor {
    let (element, shape) = noted ?? (element, shape)
    let type = TensorType(element, shape.map { Extent($0) })
    guard element.byteCount(of: try OnnxReader.elementCount(shape, tensor: name)) == data.count else {
      throw Diagnostic(.invalid, "holds \(data.count) bytes, which are no \(type)", at: .tensor(name))
    }
    return NamedTensor(name: name, type: type, content: TensorContent(data, element: element, shape: shape))
  }
}
