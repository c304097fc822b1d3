/// The numbers of a parameter: stored bytes, or the kept part of stored bytes, which is gathered only when it is written.
///
/// A model of gigabytes is mapped, sliced and streamed through a small buffer; nothing holds a second copy of it.
public struct TensorContent: Sendable {
  /// The bytes as the file has them.
  public let data: TensorData
  /// Element type of the numbers.
  public let element: ElementType
  /// Shape of `data`.
  public let storedShape: [Int]
  /// Per axis of `storedShape` the indices that are kept, ascending; nil keeps all.
  public let kept: [[Int]?]

  /// All of the stored numbers.
  public init(_ data: TensorData, element: ElementType, shape: [Int]) {
    self.init(data, element: element, storedShape: shape, kept: Array(repeating: nil, count: shape.count))
  }

  private init(_ data: TensorData, element: ElementType, storedShape: [Int], kept: [[Int]?]) {
    self.data = data
    self.element = element
    self.storedShape = storedShape
    self.kept = kept
  }

  /// Shape of the numbers that are kept.
  public var shape: [Int] { zip(storedShape, kept).map { $1?.count ?? $0 } }

  /// How many numbers are kept.
  public var elementCount: Int { shape.reduce(1, *) }

  /// Bytes that `write` produces.
  public var byteCount: Int { isWhole ? data.count : element.byteCount(of: elementCount) ?? 0 }

  /// True when there are numbers by the shape but no bytes: a model read without its weights. Nothing can be computed from such a
  /// parameter, but its shape can be followed and cut.
  public var isMissing: Bool { data.count == 0 && storedShape.allSatisfy { $0 > 0 } }

  /// True when nothing was cut away: the content is the stored bytes as they are.
  public var isWhole: Bool { kept.allSatisfy { $0 == nil } }

  /// Keeps only some of the present indices of each axis (nil: all); positions count within what is kept now.
  /// Lists must be ascending, inside the axis, and one per axis.
  public func keeping(_ positions: [[Int]?]) -> TensorContent {
    precondition(positions.count == kept.count, "one list per axis")
    let composed = zip(kept, positions).map { now, next -> [Int]? in
      guard let next else { return now }
      return now.map { now in next.map { now[$0] } } ?? next
    }
    let whole = zip(composed, storedShape).map { list, extent in list.flatMap { $0.count == extent ? nil : $0 } }
    return TensorContent(data, element: element, storedShape: storedShape, kept: whole)
  }

  /// Hands the kept bytes to `sink` in order, in pieces of at most about `chunk` bytes (pieces of the store itself may be larger).
  public func write(chunk: Int = 1 << 18, to sink: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    try data.withUnsafeBytes { bytes in
      if isWhole { return try sink(bytes) }
      guard let bits = element.bits, elementCount > 0, !isMissing else { return }
      if bits < 8 { return try writePacked(bytes, bits: bits, to: sink) }
      try writeWholeBytes(bytes, width: bits / 8, chunk: chunk, to: sink)
    }
  }

  /// The kept bytes in memory.
  public func materialized() -> TensorData {
    if isWhole { return data }
    return TensorData(count: byteCount) { gather(to: $0) }
  }

  /// The same numbers; what is kept of a large tensor is gathered when it is first read, and again after a rest.
  public var gatheredWhenRead: TensorContent {
    if isWhole || byteCount < 1 << 16 { return self }
    let gathered = TensorData(lazy: byteCount) { target in
      self.gather(to: target)
      self.data.rest()
    }
    return TensorContent(gathered, element: element, shape: shape)
  }

  private func gather(to target: UnsafeMutableRawBufferPointer) {
    var at = 0
    write { piece in
      UnsafeMutableRawBufferPointer(rebasing: target[at..<at + piece.count]).copyMemory(from: piece)
      at += piece.count
    }
  }

  /// Runs of kept indices of the last axis that is cut; all axes after it are contiguous.
  private func writeWholeBytes(
    _ bytes: UnsafeRawBufferPointer, width: Int, chunk: Int, to sink: (UnsafeRawBufferPointer) throws -> Void
  ) rethrows {
    let last = kept.lastIndex { $0 != nil } ?? 0
    let unit = storedShape[(last + 1)...].reduce(width, *)
    let rowBytes = storedShape[last] * unit
    var runs: [(offset: Int, count: Int)] = []
    for index in kept[last] ?? [] {
      if let end = runs.last, end.offset + end.count == index * unit {
        runs[runs.count - 1].count += unit
      } else {
        runs.append((index * unit, unit))
      }
    }
    let outputRow = runs.reduce(0) { $0 + $1.count }
    // Many short runs are copied number by number.
    let isScattered = runs.count * 2 > (kept[last]?.count ?? 0)
    let indices = kept[last] ?? []
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(chunk, outputRow), alignment: 16)
    defer { buffer.deallocate() }
    var filled = 0
    try forEachRow(upTo: last) { row in
      if filled + outputRow > buffer.count {
        try sink(UnsafeRawBufferPointer(rebasing: buffer[0..<filled]))
        filled = 0
      }
      guard let source = bytes.baseAddress?.advanced(by: row * rowBytes), let start = buffer.baseAddress else { return }
      var target = start.advanced(by: filled)
      if isScattered, unit == 4 {
        for index in indices {
          target.storeBytes(of: source.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self), as: UInt32.self)
          target += 4
        }
      } else if isScattered, unit == 2 {
        for index in indices {
          target.storeBytes(of: source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self), as: UInt16.self)
          target += 2
        }
      } else {
        for run in runs {
          target.copyMemory(from: source.advanced(by: run.offset), byteCount: run.count)
          target += run.count
        }
      }
      filled += outputRow
    }
    if filled > 0 { try sink(UnsafeRawBufferPointer(rebasing: buffer[0..<filled])) }
  }

  /// Calls `body` with the flat index of every kept row over the axes before `last`.
  private func forEachRow(upTo last: Int, _ body: (Int) throws -> Void) rethrows {
    func visit(_ axis: Int, _ row: Int) throws {
      if axis == last { return try body(row) }
      if let list = kept[axis] {
        for index in list { try visit(axis + 1, row * storedShape[axis] + index) }
      } else {
        for index in 0..<storedShape[axis] { try visit(axis + 1, row * storedShape[axis] + index) }
      }
    }
    try visit(0, 0)
  }

  /// Four- and two-bit numbers, packed with the first in the lowest bits.
  private func writePacked(_ bytes: UnsafeRawBufferPointer, bits: Int, to sink: (UnsafeRawBufferPointer) throws -> Void) rethrows
  {
    let perByte = 8 / bits
    let mask = UInt8((1 << bits) - 1)
    var packed = [UInt8](repeating: 0, count: byteCount)
    var at = 0
    forEachRow(upTo: kept.count) { flat in
      let number = (bytes[flat / perByte] >> UInt8(flat % perByte * bits)) & mask
      packed[at / perByte] |= number << UInt8(at % perByte * bits)
      at += 1
    }
    try packed.withUnsafeBytes { try sink($0) }
  }
}
