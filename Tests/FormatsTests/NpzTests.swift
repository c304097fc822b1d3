import Foundation
import Graph
import Testing

@testable import Formats

/// Arrays of numpy's .npz files, as numpy itself wrote them (numpy 2.4: savez and savez_compressed).
@Suite("npz files") struct NpzTests {
  @Test("what is written is read again, type, shape and bytes")
  func roundTrip() throws {
    let scratch = try Scratch()
    let arrays: [(name: String, array: NpyArray)] = [
      ("in.x", NpyArray(code: "f4", shape: [2, 3], data: TensorData([1, 2, 3, 4, 5, 6] as [Float]))),
      ("in.ids", NpyArray(code: "i8", shape: [], data: TensorData([7]))),
      ("in.none", NpyArray(code: "b1", shape: [0], data: TensorData([] as [UInt8]))),
    ]
    try NpzFile.write(arrays, to: scratch.file("a.npz"))
    let read = try NpzFile.read(scratch.file("a.npz"))
    #expect(read.map(\.name) == arrays.map(\.name))
    for (have, want) in zip(read, arrays) {
      #expect(have.array.code == want.array.code && have.array.shape == want.array.shape)
      #expect(have.array.data.numbers(as: UInt8.self) == want.array.data.numbers(as: UInt8.self))
    }
  }

  @Test("compressed blocks are decompressed, and cut ones refused")
  func inflate() throws {
    // Stored, then fixed codes: "abc" stored, and ten times "a" with the fixed codes (one literal, one repetition of nine).
    let stored: [UInt8] = [0x00, 0x03, 0x00, 0xFC, 0xFF, 0x61, 0x62, 0x63]
    let fixed: [UInt8] = [0x4B, 0x4C, 0x84, 0x01, 0x00]
    let bytes = stored + fixed
    let whole = bytes.withUnsafeBytes { Inflate.decompress($0, count: 13) }
    #expect(whole.map { String(decoding: $0, as: UTF8.self) } == "abc" + String(repeating: "a", count: 10))
    for length in 0..<bytes.count {
      #expect(bytes[..<length].withUnsafeBytes { Inflate.decompress(UnsafeRawBufferPointer($0), count: 13) } == nil, "\(length)")
    }
    #expect(bytes.withUnsafeBytes { Inflate.decompress($0, count: 12) } == nil, "more than was announced is damage, not data")
  }

  @Test("column order becomes row order, and big-endian numbers little-endian")
  func orders() throws {
    func array(_ header: String, _ numbers: [UInt8]) throws -> NpyArray {
      let bytes = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8) + numbers
      return try bytes.withUnsafeBytes { try NpyArray($0, name: "x") }
    }
    let columns = try array("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", [1, 4, 2, 5, 3, 6])
    #expect(columns.data.numbers(as: UInt8.self) == [1, 2, 3, 4, 5, 6])
    let big = try array("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", [0, 1, 1, 0])
    #expect(big.data.numbers(as: Int16.self) == [1, 256])
  }

  @Test("objects, wrong sizes and files cut anywhere are refused, and nothing is executed")
  func damage() throws {
    func failure(_ header: String) -> String {
      let bytes = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
      do { _ = try bytes.withUnsafeBytes { try NpyArray($0, name: "x") } } catch { return "\(error)" }
      return ""
    }
    #expect(failure("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }").contains("never loaded"))
    #expect(failure("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }").contains("do not fit its shape"))
    #expect(failure("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }").contains("do not fit"))
    let scratch = try Scratch()
    try NpzFile.write(
      [("x", NpyArray(code: "f4", shape: [3], data: TensorData([1, 2, 3] as [Float])))], to: scratch.file("a.npz"))
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch.file("a.npz"))))
    for length in 0..<whole.count {
      let path = try scratch.write(whole[..<length], to: "cut.npz")
      #expect(throws: Diagnostic.self, "\(length) bytes") { try NpzFile.read(path) }
    }
  }
}
