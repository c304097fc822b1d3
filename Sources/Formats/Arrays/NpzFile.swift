import Graph

/// Arrays by name in numpy's .npz format: a zip archive of .npy files, stored or compressed.
public enum NpzFile {
  /// Reads all arrays, in the order of the archive.
  ///
  /// Damage, arrays of objects and unknown compressions are diagnostics that name the file and the array, as are arrays of more than
  /// `limit` bytes together: a compressed file may hold a thousand times its size.
  public static func read(_ path: String, limit: Int = .max) throws(Diagnostic) -> [(name: String, array: NpyArray)] {
    let store = try MappedFile.open(path)
    do throws(Diagnostic) {
      return try store.reading { bytes throws(Diagnostic) in try arrays(bytes, limit: limit) }
    } catch {
      throw error.inFile(path)
    }
  }

  private static func arrays(
    _ bytes: UnsafeRawBufferPointer, limit: Int
  ) throws(Diagnostic) -> [(name: String, array: NpyArray)] {
    var result: [(name: String, array: NpyArray)] = []
    var total = 0
    for entry in try directory(bytes) {
      let (sum, overflow) = total.addingReportingOverflow(entry.count)
      guard !overflow, sum <= limit else {
        throw Diagnostic(.invalid, "holds arrays of more than \(limit) bytes, which are allowed here")
      }
      total = sum
      let name = entry.name.hasSuffix(".npy") ? String(entry.name.dropLast(4)) : entry.name
      let content = try content(entry, bytes)
      let array: Result<NpyArray, Diagnostic> = content.withUnsafeBytes { content in
        do throws(Diagnostic) { return .success(try NpyArray(content, name: name)) } catch { return .failure(error) }
      }
      result.append((name, try array.get()))
    }
    return result
  }

  // MARK: - Zip (PKWARE, APPNOTE 6.3)

  private struct Entry {
    let name: String
    let method: Int
    let checksum: UInt32
    let packed: Int
    let count: Int
    let offset: Int
  }

  private static func number(_ bytes: UnsafeRawBufferPointer, _ at: Int, _ width: Int) throws(Diagnostic) -> Int {
    guard at >= 0, at <= bytes.count - width else { throw damaged("it ends early") }
    let value = (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    guard let number = Int(exactly: value) else { throw damaged("a size is absurd") }
    return number
  }

  private static func damaged(_ reason: String) -> Diagnostic {
    Diagnostic(.invalid, "is not a whole .npz archive: \(reason)")
  }

  /// The entries that the directory at the end of the archive lists.
  private static func directory(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) -> [Entry] {
    guard !bytes.isEmpty else { throw Diagnostic(.invalid, "is empty; make it with numpy.savez") }
    guard !bytes.starts(with: [0x93] + Array("NUMPY".utf8)) else {
      throw Diagnostic(.invalid, "is a single .npy array; make an .npz archive of named arrays with numpy.savez")
    }
    guard bytes.count >= 22, try number(bytes, 0, 2) == 0x4B50 else {
      throw Diagnostic(.invalid, "is no .npz archive; make one with numpy.savez")
    }
    var end = bytes.count - 22
    while try number(bytes, end, 4) != 0x0605_4B50 {
      end -= 1
      if end < 0 || end < bytes.count - 22 - 0xFFFF { throw damaged("its directory is missing") }
    }
    var count = try number(bytes, end + 10, 2)
    var at = try number(bytes, end + 16, 4)
    if end >= 20, try number(bytes, end - 20, 4) == 0x0706_4B50 {
      let long = try number(bytes, end - 12, 8)
      guard long <= bytes.count, try number(bytes, long, 4) == 0x0606_4B50 else { throw damaged("its directory is missing") }
      count = try number(bytes, long + 32, 8)
      at = try number(bytes, long + 48, 8)
    }
    var entries: [Entry] = []
    for _ in 0..<count {
      guard try number(bytes, at, 4) == 0x0201_4B50 else { throw damaged("its directory is damaged") }
      let (nameLength, extraLength) = (try number(bytes, at + 28, 2), try number(bytes, at + 30, 2))
      let commentLength = try number(bytes, at + 32, 2)
      guard at <= bytes.count - 46 - nameLength - extraLength else { throw damaged("its directory is cut off") }
      let name = String(decoding: bytes[(at + 46)..<(at + 46 + nameLength)], as: UTF8.self)
      var sizes = [try number(bytes, at + 24, 4), try number(bytes, at + 20, 4), try number(bytes, at + 42, 4)]
      try widen(&sizes, bytes, at + 46 + nameLength, extraLength)
      entries.append(
        Entry(
          name: name, method: try number(bytes, at + 10, 2), checksum: UInt32(truncatingIfNeeded: try number(bytes, at + 16, 4)),
          packed: sizes[1], count: sizes[0], offset: sizes[2]))
      at += 46 + nameLength + extraLength + commentLength
    }
    return entries
  }

  /// Sizes of 2³²−1 stand, in order, in the extra field number 1.
  private static func widen(_ sizes: inout [Int], _ bytes: UnsafeRawBufferPointer, _ start: Int, _ length: Int) throws(Diagnostic)
  {
    var at = start
    while at + 4 <= start + length {
      let (id, size) = (try number(bytes, at, 2), try number(bytes, at + 2, 2))
      if id == 1 {
        var field = at + 4
        for index in sizes.indices where sizes[index] == 0xFFFF_FFFF && field + 8 <= at + 4 + size {
          sizes[index] = try number(bytes, field, 8)
          field += 8
        }
      }
      at += 4 + size
    }
  }

  private static func content(_ entry: Entry, _ bytes: UnsafeRawBufferPointer) throws(Diagnostic) -> TensorData {
    guard try number(bytes, entry.offset, 4) == 0x0403_4B50 else {
      throw damaged("entry \(entry.name) is not where it should be")
    }
    let start = entry.offset + 30 + (try number(bytes, entry.offset + 26, 2)) + (try number(bytes, entry.offset + 28, 2))
    guard start <= bytes.count, entry.packed <= bytes.count - start else { throw damaged("entry \(entry.name) is cut off") }
    let packed = UnsafeRawBufferPointer(rebasing: bytes[start..<start + entry.packed])
    let data: TensorData
    switch entry.method {
    case 0:
      guard entry.packed == entry.count else { throw damaged("entry \(entry.name) has two sizes") }
      data = TensorData(count: entry.count) { $0.copyMemory(from: packed) }
    case 8:
      // No stream grows by more than 1032 to 1.
      guard entry.count <= entry.packed.multipliedReportingOverflow(by: 1032).partialValue + 64,
        let inflated = Inflate.decompress(packed, count: entry.count)
      else { throw damaged("entry \(entry.name) cannot be decompressed") }
      data = TensorData(inflated)
    case let method:
      throw Diagnostic(.unsupported, "entry \(entry.name) is compressed by method \(method); save it with numpy.savez")
    }
    guard data.withUnsafeBytes({ Crc32.checksum($0) }) == entry.checksum else {
      throw damaged("entry \(entry.name) has a wrong checksum")
    }
    return data
  }

  // MARK: - Writing

  /// Writes arrays uncompressed; the file appears whole or not at all.
  public static func write(
    _ arrays: [(name: String, array: NpyArray)], to path: String, notOver inputs: [String] = []
  ) throws(Diagnostic) {
    try AtomicFile.write(to: path, notOver: inputs) { sink in
      var directory: [UInt8] = []
      for (name, array) in arrays {
        let header = array.header
        let checksum = array.data.withUnsafeBytes { Crc32.checksum($0, after: header) }
        let size = header.count + array.data.count
        let offset = sink.count
        let file = Array((name + ".npy").utf8)
        // Version 4.5 with 64-bit sizes in the extra field, so that arrays may be of any length.
        let extra = little(1, 2) + little(16, 2) + little(size, 8) + little(size, 8)
        let common = little(45, 2) + little(0x800, 2) + little(0, 2) + little(0, 2) + little(0x21, 2) + little(Int(checksum), 4)
        let sizes = little(0xFFFF_FFFF, 4) + little(0xFFFF_FFFF, 4) + little(file.count, 2)
        try sink.write(little(0x0403_4B50, 4) + common + sizes + little(extra.count, 2) + file + extra + header)
        let written: Result<Void, Diagnostic> = array.data.withUnsafeBytes { bytes in
          do throws(Diagnostic) { return .success(try sink.write(bytes)) } catch { return .failure(error) }
        }
        try written.get()
        let long = little(1, 2) + little(24, 2) + little(size, 8) + little(size, 8) + little(offset, 8)
        directory += little(0x0201_4B50, 4) + little(45, 2) + common + sizes + little(long.count, 2)
        directory += little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(0xFFFF_FFFF, 4) + file + long
      }
      let start = sink.count
      let end = start + directory.count
      let counts = little(arrays.count, 8) + little(arrays.count, 8)
      let long = little(0x0606_4B50, 4) + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 4) + little(0, 4)
      let locator = little(0x0706_4B50, 4) + little(0, 4) + little(end, 8) + little(1, 4)
      let short = min(arrays.count, 0xFFFF)
      let tail = little(0x0605_4B50, 4) + little(0, 4) + little(short, 2) + little(short, 2)
      try sink.write(directory + long + counts + little(directory.count, 8) + little(start, 8) + locator)
      try sink.write(tail + little(min(directory.count, 0xFFFF_FFFF), 4) + little(0xFFFF_FFFF, 4) + little(0, 2))
    }
  }

  private static func little(_ number: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }
}

/// The checksum of zip files (ISO 3309, polynomial 0xEDB88320).
enum Crc32 {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer, after header: [UInt8] = []) -> UInt32 {
    table.withUnsafeBufferPointer { table in
      var value: UInt32 = 0xFFFF_FFFF
      for byte in header { value = value >> 8 ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
      for byte in bytes { value = value >> 8 ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
      return ~value
    }
  }
}
