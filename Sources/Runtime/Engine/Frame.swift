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
  private let constants: [Constant]
  /// The bytes of the constants that are held.
  private var held: [TensorData?]

  /// Memory for the buffers of a program; no constant is held yet.
  init(_ program: Program, pool: WorkPool) {
    arena = UnsafeMutableRawPointer.allocate(byteCount: max(64, program.arenaBytes), alignment: 64)
    // Numbers that nobody has written must be no signalling or denormal ones.
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: max(64, program.arenaBytes))
    addresses = UnsafeMutablePointer.allocate(capacity: max(1, program.places.count))
    scratchBytes = (program.scratchBytes + 127) / 64 * 64
    scratchBase = UnsafeMutableRawPointer.allocate(byteCount: scratchBytes * pool.threads, alignment: 64)
    self.pool = pool
    constants = program.constants
    held = Array(repeating: nil, count: constants.count)
    for (index, place) in program.places.enumerated() {
      let offset = if case .arena(let offset) = place { offset } else { 0 }
      (addresses + index).initialize(to: arena + offset)
    }
  }

  /// Makes constants that are not held yet, such as packed weights, so that steps can read them.
  func hold(_ indices: some Sequence<Int>) {
    for index in indices where held[index] == nil {
      let data = constants[index].make()
      held[index] = data
      // Packed numbers are not needed twice.
      if data.store !== constants[index].source.store { constants[index].source.rest() }
      if let base = data.withUnsafeBytes({ $0.baseAddress }) {
        addresses[constants[index].buffer] = UnsafeMutableRawPointer(mutating: base)
      }
    }
  }

  /// Frees constants that no step reads for a while, and lets go of the pages of the file that they were made from.
  func drop(_ indices: some Sequence<Int>) {
    for index in indices {
      held[index] = nil
      addresses[constants[index].buffer] = arena
      constants[index].source.rest()
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
