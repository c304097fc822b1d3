import Graph

/// Where a step finds the numbers of a value: a buffer of the program, and how far into it.
struct Operand: Sendable, Hashable {
  /// Which buffer.
  let buffer: Int
  /// Bytes from its beginning.
  var offset = 0
}

/// The memory of one run: an address for every buffer, and scratch for every thread. The only type of the engine that owns raw memory.
///
/// Buffers and sizes are those of a program that was checked when it was built, so steps use them without further checks.
final class Frame: @unchecked Sendable {
  private let arena: UnsafeMutableRawPointer
  private let addresses: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private let scratchBytes: Int
  private let scratchBase: UnsafeMutableRawPointer
  /// The threads.
  let pool: WorkPool
  /// Keeps the bytes of constants alive.
  private let constants: [TensorData]

  /// Memory for buffers at the given places.
  init(places: [MemoryPlan.Place], constants: [TensorData], arenaBytes: Int, scratchBytes: Int, pool: WorkPool) {
    arena = UnsafeMutableRawPointer.allocate(byteCount: max(64, arenaBytes), alignment: 64)
    // Numbers that nobody has written must be no signalling or denormal ones.
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: max(64, arenaBytes))
    addresses = UnsafeMutablePointer.allocate(capacity: max(1, places.count))
    self.scratchBytes = (scratchBytes + 127) / 64 * 64
    scratchBase = UnsafeMutableRawPointer.allocate(byteCount: self.scratchBytes * pool.threads, alignment: 64)
    self.pool = pool
    self.constants = constants
    for (index, place) in places.enumerated() {
      let address: UnsafeMutableRawPointer =
        switch place {
        case .arena(let offset): arena + offset
        case .constant(let constant):
          constants[constant].withUnsafeBytes { $0.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) } } ?? arena
        }
      (addresses + index).initialize(to: address)
    }
  }

  deinit {
    addresses.deallocate()
    arena.deallocate()
    scratchBase.deallocate()
  }

  /// The address of an operand.
  func bytes(_ operand: Operand) -> UnsafeMutableRawPointer { addresses[operand.buffer] + operand.offset }

  /// The address of an operand of f32 numbers.
  func floats(_ operand: Operand) -> UnsafeMutablePointer<Float> { bytes(operand).assumingMemoryBound(to: Float.self) }

  /// Scratch memory of a thread.
  func scratch(_ worker: Int) -> UnsafeMutablePointer<Float> {
    (scratchBase + worker * scratchBytes).assumingMemoryBound(to: Float.self)
  }
}
