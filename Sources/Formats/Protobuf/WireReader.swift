import Graph

/// One field of a protobuf message, by its place in the file: nothing is copied.
struct WireField {
  enum Kind {
    case varint, fixed32, fixed64
    /// Text, bytes, a message, or packed numbers.
    case bytes
  }

  let number: Int
  let kind: Kind
  /// The number of a varint or fixed field.
  let value: UInt64
  /// The bytes after tag and length.
  let payload: Range<Int>
  /// All bytes of the field, tag included.
  let range: Range<Int>
}

/// Reads the fields of one protobuf message in order. Positions are those of the whole file, so that errors can name them.
///
/// Holds a borrowed pointer: lives only inside `ByteStore.reading`.
struct WireReader {
  private let bytes: UnsafeRawBufferPointer
  private(set) var at: Int
  private let end: Int

  /// Reads a part of `bytes`; a part that is not inside is cut to what is.
  init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.bytes = bytes
    at = max(0, min(range.lowerBound, bytes.count))
    end = max(at, min(range.upperBound, bytes.count))
  }

  /// True when nothing is left.
  var isAtEnd: Bool { at >= end }

  /// The next field, nil at the end.
  @inline(__always)
  mutating func next() throws(Diagnostic) -> WireField? {
    at < end ? try field() : nil
  }

  private mutating func field() throws(Diagnostic) -> WireField {
    let start = at
    let tag = try varint()
    guard tag >= 8, tag >> 3 <= 0x1FFF_FFFF else {
      throw Diagnostic(.invalid, "damaged: \(tag >> 3) is no field number", at: .byte(start))
    }
    let number = Int(tag >> 3)
    switch tag & 7 {
    case 0:
      let from = at
      let value = try varint()
      return WireField(number: number, kind: .varint, value: value, payload: from..<at, range: start..<at)
    case 1:
      let value: UInt64 = try fixed()
      return WireField(number: number, kind: .fixed64, value: value, payload: at - 8..<at, range: start..<at)
    case 2:
      let length = try varint()
      guard length <= UInt64(end - at) else {
        throw Diagnostic(
          .invalid, "cut off or damaged: field \(number) claims \(length) bytes, \(end - at) are left", at: .byte(start))
      }
      let from = at
      at += Int(length)
      return WireField(number: number, kind: .bytes, value: 0, payload: from..<at, range: start..<at)
    case 5:
      let value: UInt32 = try fixed()
      return WireField(number: number, kind: .fixed32, value: UInt64(value), payload: at - 4..<at, range: start..<at)
    case let kind:
      throw Diagnostic(.invalid, "damaged: field \(number) is of the unknown wire type \(kind)", at: .byte(start))
    }
  }

  /// A number of seven bits per byte, lowest first.
  @inline(__always)
  mutating func varint() throws(Diagnostic) -> UInt64 {
    if at < end, bytes[at] < 0x80 {
      defer { at += 1 }
      return UInt64(bytes[at])
    }
    return try longVarint()
  }

  private mutating func longVarint() throws(Diagnostic) -> UInt64 {
    let start = at
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < end {
      let byte = bytes[at]
      at += 1
      if shift == 63 && byte > 1 { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    guard at >= end, at - start < 10 else {
      throw Diagnostic(.invalid, "damaged: a number of more than 64 bits", at: .byte(start))
    }
    throw Diagnostic(.invalid, "cut off: the bytes end inside a number", at: .byte(start))
  }

  /// A little-endian number of fixed size.
  mutating func fixed<Number: FixedWidthInteger & BitwiseCopyable>() throws(Diagnostic) -> Number {
    guard end - at >= MemoryLayout<Number>.size else {
      throw Diagnostic(.invalid, "cut off: the bytes end inside a number", at: .byte(at))
    }
    defer { at += MemoryLayout<Number>.size }
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Number.self))
  }
}

extension WireField {
  /// The field as a signed whole number.
  func int() throws(Diagnostic) -> Int {
    guard kind == .varint else { throw mistyped("a whole number") }
    return Int(truncatingIfNeeded: value)
  }

  /// The bytes of a text or message field.
  func message() throws(Diagnostic) -> Range<Int> {
    guard kind == .bytes else { throw mistyped("a message") }
    return payload
  }

  /// The text of a field, which must be UTF-8.
  func text(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) -> String {
    guard kind == .bytes else { throw mistyped("text") }
    guard let text = String(utf8Of: bytes, payload) else {
      throw Diagnostic(.invalid, "damaged: the text of field \(number) is not UTF-8", at: .byte(range.lowerBound))
    }
    return text
  }

  /// A number of four bytes as a real.
  func float() throws(Diagnostic) -> Float {
    guard kind == .fixed32 else { throw mistyped("a real number") }
    return Float(bitPattern: UInt32(truncatingIfNeeded: value))
  }

  /// Appends one whole number or a packed list of them.
  func appendInts(to list: inout [Int], _ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    switch kind {
    case .varint: list.append(Int(truncatingIfNeeded: value))
    case .bytes:
      var reader = WireReader(bytes, payload)
      while !reader.isAtEnd { list.append(Int(truncatingIfNeeded: try reader.varint())) }
    case .fixed32, .fixed64: throw mistyped("whole numbers")
    }
  }

  /// Appends one real number of four bytes or a packed list of them.
  func appendFloats(to list: inout [Float], _ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    switch kind {
    case .fixed32: list.append(Float(bitPattern: UInt32(truncatingIfNeeded: value)))
    case .bytes:
      var reader = WireReader(bytes, payload)
      while !reader.isAtEnd { list.append(Float(bitPattern: try reader.fixed())) }
    case .varint, .fixed64: throw mistyped("real numbers")
    }
  }

  /// The failure of a field that is not what its number says.
  func mistyped(_ expected: String) -> Diagnostic {
    Diagnostic(.invalid, "damaged: field \(number) should be \(expected)", at: .byte(range.lowerBound))
  }
}

extension String {
  /// Text of UTF-8 bytes; nil when they are not UTF-8.
  init?(utf8Of bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    let part = UnsafeRawBufferPointer(rebasing: bytes[range])
    self.init(decoding: part, as: UTF8.self)
    if part.contains(where: { $0 >= 0x80 }) && !utf8.elementsEqual(part) { return nil }
  }
}
