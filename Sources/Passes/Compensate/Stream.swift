import Foundation
import Graph

/// What a run of the data has come to: per batch, the values that are still needed. Beyond a limit they lie in a temporary file, so that memory
/// does not grow with the number of samples.
final class Stream {
  /// Bytes that are held in memory.
  static let limit = 1 << 28

  private enum Place {
    case memory(Tensor)
    case file(offset: Int, element: ElementType, shape: [Int], count: Int)
  }

  private var batches: [[ValueID: Place]]
  /// The part of the file that belongs to each batch.
  private var slots: [Range<Int>]
  private var held = 0
  private var end = 0
  private var file: FileHandle?
  private let room: Int

  /// A stream of so many batches, before anything was run.
  init(batches count: Int, limit: Int = Stream.limit) {
    batches = Array(repeating: [:], count: count)
    slots = Array(repeating: 0..<0, count: count)
    room = limit
  }

  /// Number of batches.
  var count: Int { batches.count }

  /// Values that every batch has.
  var known: Set<ValueID> { Set(batches.first.map { Array($0.keys) } ?? []) }

  /// The values of a batch.
  func values(_ batch: Int) throws(Diagnostic) -> [ValueID: Tensor] {
    var values: [ValueID: Tensor] = [:]
    for (value, place) in batches[batch] {
      switch place {
      case .memory(let tensor): values[value] = tensor
      case .file(let offset, let element, let shape, let count):
        guard let tensor = Tensor(element, shape, data: try read(offset, count)) else { throw Self.lost }
        values[value] = tensor
      }
    }
    return values
  }

  /// Replaces the values of a batch.
  func set(_ batch: Int, _ values: [ValueID: Tensor]) throws(Diagnostic) {
    for case .memory(let tensor) in batches[batch].values { held -= tensor.data.count }
    let bytes = values.values.reduce(0) { $0 + $1.data.count }
    if held + bytes <= room {
      held += bytes
      batches[batch] = values.mapValues { .memory($0) }
      return
    }
    if slots[batch].count < bytes {
      slots[batch] = end..<end + bytes
      end += bytes
    }
    var offset = slots[batch].lowerBound
    var places: [ValueID: Place] = [:]
    for (value, tensor) in values.sorted(by: { $0.key < $1.key }) {
      try write(tensor.data, at: offset)
      places[value] = .file(offset: offset, element: tensor.element, shape: tensor.shape, count: tensor.data.count)
      offset += tensor.data.count
    }
    batches[batch] = places
  }

  // MARK: The file

  private static var lost: Diagnostic {
    Diagnostic(.unwritable, "a temporary file of calibration could not be written or read; is the disk full?")
  }

  /// A file without a name: it is gone when nobody holds it.
  private func opened() throws(Diagnostic) -> FileHandle {
    if let file { return file }
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("prunec-\(UUID().uuidString)").path
    guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forUpdatingAtPath: path) else {
      throw Self.lost
    }
    unlink(path)
    self.file = file
    return file
  }

  private func write(_ data: TensorData, at offset: Int) throws(Diagnostic) {
    let file = try opened()
    do {
      try file.seek(toOffset: UInt64(offset))
      try data.withUnsafeBytes { bytes in try file.write(contentsOf: Data(bytes)) }
    } catch { throw Self.lost }
  }

  private func read(_ offset: Int, _ count: Int) throws(Diagnostic) -> TensorData {
    let file = try opened()
    do {
      try file.seek(toOffset: UInt64(offset))
      let bytes = try file.read(upToCount: count) ?? Data()
      guard bytes.count == count else { throw Self.lost }
      return TensorData(count: count) { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
    } catch { throw Self.lost }
  }
}
