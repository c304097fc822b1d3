#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Bytes that never change once they are shared: a mapped file or an allocation, freed when nobody holds them.
///
/// The only place of the project that owns raw memory; everything else reads through `TensorData`.
public final class ByteStore: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer?
  /// Number of bytes.
  public let count: Int
  private let isFile: Bool
  private let release: @Sendable (UnsafeMutableRawPointer, Int) -> Void

  /// Takes over memory that `release` gives back. `base` may be nil for no bytes at all. `isFile`: it is a private, read-only mapping of a
  /// file, whose pages can be read again at any time.
  public init(
    adopting base: UnsafeMutableRawPointer?, count: Int, isFile: Bool = false,
    release: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
  ) {
    self.base = base
    self.isFile = isFile
    self.count = base == nil ? 0 : count
    self.release = release
  }

  /// Allocates `count` bytes, zeroed, and lets `fill` write them.
  public convenience init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
    let base = count > 0 ? calloc(count, 1) : nil
    self.init(adopting: base, count: count) { pointer, _ in free(pointer) }
    try fill(UnsafeMutableRawBufferPointer(start: base, count: base == nil ? 0 : count))
  }

  deinit {
    if let base { release(base, count) }
  }

  /// Lends the bytes for the duration of `body`.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Says that a range will not be read for a while: whole pages of a mapped file leave the process's memory. The bytes stay readable.
  func rest(_ range: Range<Int>) {
    guard isFile, let base else { return }
    let page = Int(getpagesize())
    let first = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    if end > first { madvise(base + first, end - first, MADV_DONTNEED) }
  }
}

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

  /// Says that the bytes will not be read for a while, so that those of a mapped file need not take memory.
  public func rest() { store.rest(range) }

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
