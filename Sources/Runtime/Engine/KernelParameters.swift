import Graph
import Kernels

/// A kernel's parameters, all but the addresses, settled when the program is built.
///
/// C structures hold pointers, so Swift does not let threads share them; what is kept here has none that anyone follows.
struct KernelParameters<Parameters>: @unchecked Sendable {
  let value: Parameters

  init(_ value: Parameters) { self.value = value }
}

/// Sets elements of a C array inside a C structure, which Swift sees as a tuple.
func fill<Tuple, Element>(_ tuple: inout Tuple, with elements: some Collection<Element>) {
  withUnsafeMutableBytes(of: &tuple) { bytes in
    let room = bytes.bindMemory(to: Element.self)
    for (index, element) in elements.enumerated() where index < room.count { room[index] = element }
  }
}

/// Moves the numbers of a value from one layout to another.
struct CopyKernel: Sendable {
  private let prepared: KernelParameters<pk_copy>
  private let pieces: Int
  private let bytes: Int

  /// A copy of `shape`, each element `width` bytes, strides in elements; nil for widths and ranks that the kernel does not take.
  init?(_ width: Int, _ shape: [Int], _ from: [Int], _ to: [Int]) {
    var (width, shape, from, to) = (width, shape, from, to)
    if width == 16 {
      (width, shape) = (8, shape + [2])
      (from, to) = (from.map { $0 * 2 } + [1], to.map { $0 * 2 } + [1])
    }
    guard [1, 2, 4, 8].contains(width), shape.count <= Int(PK_RANK_LIMIT) else { return nil }
    var copy = pk_copy()
    copy.element_bytes = width
    copy.rank = shape.count
    fill(&copy.extents, with: shape)
    fill(&copy.from_strides, with: from)
    fill(&copy.to_strides, with: to)
    pk_copy_simplify(&copy)
    pieces = pk_copy_piece_count(&copy)
    bytes = shape.reduce(width, *)
    prepared = KernelParameters(copy)
  }

  /// Copies.
  func run(_ frame: Frame, from: Operand, to: Operand) {
    var copy = prepared.value
    copy.from = UnsafeRawPointer(frame.bytes(from))
    copy.to = frame.bytes(to)
    withUnsafePointer(to: copy) { copy in
      let tasks = bytes < 1 << 16 ? 1 : min(pieces, frame.pool.threads * 4)
      frame.pool.run(tasks) { task, _ in
        pk_copy_run(copy, pieces * task / tasks, pieces * (task + 1) / tasks)
      }
    }
  }
}
