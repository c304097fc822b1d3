import Foundation
import Kernels
import Testing

/// Runs `body`, on this thread, under every instruction set that this machine has; restores the one in use before.
func onEveryInstructionSet(_ body: (_ name: String) throws -> Void) rethrows {
  let before = pk_get_isa()
  defer { _ = pk_set_isa(before) }
  for isa in [PK_ISA_PORTABLE, PK_ISA_NEON, PK_ISA_AVX2, PK_ISA_AVX512] where pk_set_isa(isa) {
    try body(String(cString: pk_isa_name(isa)))
  }
}

/// Numbers at a fixed address, after a margin that nobody may write and right before a page of memory that nobody may touch: to read or
/// write beyond the end stops the process.
final class Memory<Element: BitwiseCopyable> {
  private static var margin: Int { 256 }
  private static var mark: UInt8 { 0xa5 }
  private let mapping: UnsafeMutableRawPointer
  private let mappedSize: Int
  let pointer: UnsafeMutablePointer<Element>
  let count: Int

  init(_ values: [Element]) {
    let page = Int(getpagesize()), size = values.count * MemoryLayout<Element>.stride
    count = values.count
    mappedSize = (Self.margin + size + page - 1) / page * page + page
    guard let mapping = mmap(nil, mappedSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), mapping != MAP_FAILED,
      mprotect(mapping + (mappedSize - page), page, PROT_NONE) == 0
    else { preconditionFailure("no memory for a test") }
    self.mapping = mapping
    let start = mapping + (mappedSize - page - size)
    (start - Self.margin).initializeMemory(as: UInt8.self, repeating: Self.mark, count: Self.margin)
    pointer = start.bindMemory(to: Element.self, capacity: values.count)
    for (index, value) in values.enumerated() { pointer[index] = value }
  }

  deinit { munmap(mapping, mappedSize) }

  var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  /// Whether nothing was written before the values.
  var isIntact: Bool {
    let start = UnsafeRawPointer(pointer)
    return (1...Self.margin).allSatisfy { (start - $0).load(as: UInt8.self) == Self.mark }
  }
}

/// Sets the first elements of an array of C, which Swift sees as a tuple.
func assign<Tuple, Element: BitwiseCopyable>(_ values: [Element], to tuple: inout Tuple) {
  withUnsafeMutableBytes(of: &tuple) { bytes in
    let elements = bytes.bindMemory(to: Element.self)
    for (index, value) in values.enumerated() { elements[index] = value }
  }
}

/// The first elements of an array of C.
func elements<Tuple, Element: BitwiseCopyable>(of tuple: Tuple, as type: Element.Type, count: Int) -> [Element] {
  withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: Element.self).prefix(count)) }
}

/// Row-major strides.
func denseStrides(_ extents: [Int]) -> [Int] {
  var strides = extents
  var step = 1
  for axis in extents.indices.reversed() {
    strides[axis] = step
    step *= extents[axis]
  }
  return strides
}

/// The offset of every element of a space in row-major order.
func offsets(_ extents: [Int], _ strides: [Int]) -> [Int] {
  var offsets = [0]
  for (extent, stride) in zip(extents, strides) {
    offsets = offsets.flatMap { offset in (0..<extent).map { offset + $0 * stride } }
  }
  return offsets
}

/// How many elements lie from the first to the last that strides reach, none of them negative.
func reach(_ extents: [Int], _ strides: [Int]) -> Int {
  zip(extents, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
}

/// The distance from `exact` in units of the last place of a float of its size.
func unitsApart(_ value: Float, _ exact: Double) -> Double {
  abs(Double(value) - exact) / Double(max(Float(exact).ulp, .leastNormalMagnitude))
}

/// Cuts 0...count into ranges that end where no vector or block does.
func oddRanges(_ count: Int) -> [Range<Int>] {
  let cuts = [0, count / 7, count / 2 + 1, count].map { min($0, count) }
  return zip(cuts, cuts.dropFirst()).map { $0..<$1 }.reversed()
}
