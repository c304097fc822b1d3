import Graph

/// A protobuf message on its way out: small bytes that were encoded, and references to stored bytes that are streamed when it is written.
///
/// Sizes are known at every moment, so a message can be put into another before any weight has been read.
struct WireMessage {
  private enum Piece {
    case bytes([UInt8])
    case stored(TensorData)
    case content(TensorContent)
  }

  private var pieces: [Piece] = []
  private var tail: [UInt8] = []
  /// Bytes that `write` produces.
  private(set) var byteCount = 0

  /// A whole number.
  mutating func field(_ number: Int, int value: Int) {
    varint(UInt64(number) << 3)
    varint(UInt64(bitPattern: Int64(value)))
  }

  /// A real number of four bytes.
  mutating func field(_ number: Int, float value: Float) {
    varint(UInt64(number) << 3 | 5)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { tail.append(contentsOf: $0) }
    byteCount += 4
  }

  /// Text.
  mutating func field(_ number: Int, text: String) {
    header(number, length: text.utf8.count)
    tail.append(contentsOf: text.utf8)
    byteCount += text.utf8.count
  }

  /// Bytes.
  mutating func field(_ number: Int, bytes: [UInt8]) {
    header(number, length: bytes.count)
    tail.append(contentsOf: bytes)
    byteCount += bytes.count
  }

  /// The numbers of a tensor, read when the message is written.
  mutating func field(_ number: Int, content: TensorContent) {
    let length = content.byteCount
    header(number, length: length)
    guard length > 0 else { return }
    seal()
    pieces.append(.content(content))
    byteCount += length
  }

  /// A message inside this one.
  mutating func field(_ number: Int, message: WireMessage) {
    header(number, length: message.byteCount)
    append(message)
  }

  /// Bytes of another file, tags included.
  mutating func verbatim(_ data: TensorData) {
    guard data.count > 0 else { return }
    byteCount += data.count
    if tail.isEmpty, case .stored(let last)? = pieces.last, last.store === data.store,
      last.range.upperBound == data.range.lowerBound,
      let joined = TensorData(data.store, range: last.range.lowerBound..<data.range.upperBound)
    {
      pieces[pieces.count - 1] = .stored(joined)
    } else if data.count < 64 {
      data.withUnsafeBytes { tail.append(contentsOf: $0) }
    } else {
      seal()
      pieces.append(.stored(data))
    }
  }

  /// All fields of another message after those of this one.
  mutating func append(_ other: WireMessage) {
    byteCount += other.byteCount
    if other.pieces.isEmpty {
      tail.append(contentsOf: other.tail)
    } else {
      seal()
      pieces.append(contentsOf: other.pieces)
      tail = other.tail
    }
  }

  /// Hands all bytes to `sink` in order.
  func write(to sink: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    for piece in pieces {
      switch piece {
      case .bytes(let bytes): try bytes.withUnsafeBytes(sink)
      case .stored(let data): try data.withUnsafeBytes(sink)
      case .content(let content): try content.write(to: sink)
      }
    }
    if !tail.isEmpty { try tail.withUnsafeBytes(sink) }
  }

  /// All bytes in memory.
  func bytes() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    write { bytes.append(contentsOf: $0) }
    return bytes
  }

  private mutating func header(_ number: Int, length: Int) {
    varint(UInt64(number) << 3 | 2)
    varint(UInt64(length))
  }

  private mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      tail.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
      byteCount += 1
    }
    tail.append(UInt8(value))
    byteCount += 1
  }

  private mutating func seal() {
    guard !tail.isEmpty else { return }
    pieces.append(.bytes(tail))
    tail = []
  }
}
