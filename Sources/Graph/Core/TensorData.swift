#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// The bytes of one tensor, little-endian and row-major: a part of a mapped file or of an allocation. Copies share the bytes.
public struct TensorData: Sendable {
  /// Where the bytes lie.
  public let store: ByteStore
  /// Which of the store's bytes are this tensor's.
  public let range: Range<Int>

  /// A part of a store; nil when the range is not inside it.
  public init?(_ store: ByteStore, range: Range<Int>) {
    guard range.lowerBound >= 0, range.upperBound <= store.count else { return nil }
    self.store = store
    self.range = range
  }

  /// Allocates `count` bytes and lets `fill` write them.
  public init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
    store = try ByteStore(count: count, fill: fill)
    range = 0..<store.count
  }

  /// Bytes that `fill` computes when they are first read, and again when they are read after a rest: `fill` must write all of them, and
  /// the same each time.
  public init(lazy count: Int, fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) {
    store = ByteStore(lazy: count, fill: fill)
    range = 0..<store.count
  }

  /// A copy of an array of numbers.
  public init<Number: BitwiseCopyable>(_ numbers: [Number]) {
    self.init(count: numbers.count * MemoryLayout<Number>.stride) { target in
      numbers.withUnsafeBytes { target.copyMemory(from: $0) }
    }
  }

  /// Number of bytes.
  public var count: Int { range.count }

  /// Lends the bytes for the duration of `body`.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try store.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Says that the bytes will not be read for a while, so that those of a mapped file, and those that can be computed again, need not take
  /// memory.
  public func rest() { store.rest(range) }

  /// The bytes at an address that stays theirs as long as somebody holds them: a copy of bytes that come and go.
  public var lasting: TensorData {
    guard store.isLazy else { return self }
    return TensorData(count: count) { target in withUnsafeBytes { target.copyMemory(from: $0) } }
  }

  /// The numbers as an array; bytes beyond a whole number of them are left out. Meant for small tensors.
  public func numbers<Number: BitwiseCopyable>(as type: Number.Type) -> [Number] {
    let count = count / MemoryLayout<Number>.stride
    return [Number](unsafeUninitializedCapacity: count) { target, filled in
      let room = UnsafeMutableRawBufferPointer(start: target.baseAddress, count: count * MemoryLayout<Number>.stride)
      withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<room.count])) }
      filled = count
    }
  }

  /// True when both hold equal bytes.
  public func hasSameBytes(as other: TensorData) -> Bool {
    withUnsafeBytes { bytes in
      other.withUnsafeBytes { other in
        guard bytes.count == other.count, let one = bytes.baseAddress, let two = other.baseAddress else {
          return bytes.count == other.count
        }
        return memcmp(one, two, bytes.count) == 0
      }
    }
  }

  /// True when both are the same bytes of the same store (not merely equal numbers).
  public func isIdentical(to other: TensorData) -> Bool { store === other.store && range == other.range }
}
