import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Bytes that never change once they are shared: a mapped file, an allocation, or what is computed when it is first read. Freed when nobody
/// holds them.
///
/// The only place of the project that owns raw memory; everything else reads through `TensorData`.
public final class ByteStore: @unchecked Sendable {
  private let memory: Memory
  /// Number of bytes.
  public let count: Int

  private enum Memory {
    case owned(UnsafeMutableRawPointer?, isFile: Bool, release: @Sendable (UnsafeMutableRawPointer, Int) -> Void)
    case lazy(LazyBytes)
  }

  /// Takes over memory that `release` gives back. `base` may be nil for no bytes at all. `isFile`: it is a private, read-only mapping of a
  /// file, whose pages can be read again at any time.
  public init(
    adopting base: UnsafeMutableRawPointer?, count: Int, isFile: Bool = false,
    release: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
  ) {
    memory = .owned(base, isFile: isFile, release: release)
    self.count = base == nil ? 0 : count
  }

  /// Allocates `count` bytes, zeroed, and lets `fill` write them.
  public convenience init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
    let base = count > 0 ? calloc(count, 1) : nil
    self.init(adopting: base, count: count) { pointer, _ in free(pointer) }
    try fill(UnsafeMutableRawBufferPointer(start: base, count: base == nil ? 0 : count))
  }

  /// Bytes that take no memory until they are read, and none after a rest. `fill` writes all of them, the same each time; it may be called
  /// by any thread, by one at a time, and must not read this store.
  public init(lazy count: Int, fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) {
    self.count = max(0, count)
    memory = .lazy(LazyBytes(count: max(0, count), fill: fill))
  }

  deinit {
    switch memory {
    case .owned(let base, _, let release): if let base { release(base, count) }
    case .lazy(let bytes): bytes.rest()
    }
  }

  /// True where the bytes come and go: their address is good only while they are lent.
  var isLazy: Bool {
    switch memory {
    case .owned: false
    case .lazy: true
    }
  }

  /// True where the bytes take no memory now, but would when they are read.
  var isResting: Bool {
    switch memory {
    case .owned: false
    case .lazy(let bytes): !bytes.isFilled
    }
  }

  /// Lends the bytes for the duration of `body`.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch memory {
    case .owned(let base, _, _): return try body(UnsafeRawBufferPointer(start: base, count: count))
    case .lazy(let bytes):
      let base = bytes.borrow()
      defer { bytes.giveBack() }
      return try body(UnsafeRawBufferPointer(start: base, count: count))
    }
  }

  /// Says that a range will not be read for a while: whole pages of a mapped file leave the process's memory, and bytes that can be computed
  /// again leave it altogether, once nobody reads them. The bytes stay readable.
  func rest(_ range: Range<Int>) {
    switch memory {
    case .owned(let base, let isFile, _):
      guard isFile, let base else { return }
      let page = Int(getpagesize())
      let first = (range.lowerBound + page - 1) / page * page
      let end = range.upperBound / page * page
      if end > first { madvise(base + first, end - first, MADV_DONTNEED) }
    case .lazy(let bytes): bytes.rest()
    }
  }
}

/// Memory that is there while somebody reads it, and stays until it is to rest.
private final class LazyBytes: Sendable {
  private struct State {
    /// Address of the bytes; nil while there are none.
    var address: UInt?
    /// How many read them now.
    var readers = 0
    /// They are to go when the last reader is done.
    var isToRest = false
  }

  private let count: Int
  private let fill: @Sendable (UnsafeMutableRawBufferPointer) -> Void
  private let state = Mutex(State())

  init(count: Int, fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) {
    self.count = count
    self.fill = fill
  }

  var isFilled: Bool { state.withLock { $0.address != nil } }

  /// The bytes, filled if need be; others who want them wait for that. Each borrower gives them back.
  func borrow() -> UnsafeRawPointer? {
    let address = state.withLock { state in
      if state.address == nil, count > 0 {
        // What cannot be had ends the program here, as any allocation does.
        let base = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        fill(UnsafeMutableRawBufferPointer(start: base, count: count))
        state.address = UInt(bitPattern: base)
      }
      state.readers += 1
      return state.address
    }
    return address.flatMap { UnsafeRawPointer(bitPattern: $0) }
  }

  func giveBack() {
    state.withLock { state in
      state.readers -= 1
      if state.readers == 0, state.isToRest { Self.free(&state) }
    }
  }

  func rest() {
    state.withLock { state in
      if state.readers == 0 { Self.free(&state) } else { state.isToRest = true }
    }
  }

  private static func free(_ state: inout State) {
    state.address.flatMap { UnsafeMutableRawPointer(bitPattern: $0) }?.deallocate()
    state.address = nil
    state.isToRest = false
  }
}
