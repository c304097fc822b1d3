import Foundation
import Graph
import Testing

@testable import Formats

@Suite("Safetensors files")
struct SafetensorsTests {
  private func tensor<Number: BitwiseCopyable>(_ name: String, _ element: ElementType, _ shape: [Int], _ numbers: [Number])
    -> NamedTensor
  {
    NamedTensor(
      name: name, type: TensorType(element, shape.map { Extent($0) }),
      content: TensorContent(TensorData(numbers), element: element, shape: shape))
  }

  /// A file of a header and data.
  private func file(_ header: String, _ data: [UInt8] = []) -> ByteStore {
    TensorData(bytes([UInt64(header.utf8.count)]) + Array(header.utf8) + data).store
  }

  private func failure(_ header: String, _ data: [UInt8] = []) -> String? {
    diagnostic { try Safetensors(file(header, data)) }?.description
  }

  @Test("tensors and metadata come back, tensors aligned by the width of their numbers")
  func roundTrip() throws {
    let scratch = try Scratch()
    let tensors = [
      tensor("bytes", .u8, [3], [UInt8(1), 2, 3]), tensor("é \"quoted\"\n", .f32, [2, 1], [Float(1), 2]),
      tensor("scalar", .i64, [], [Int64(-1)]), tensor("none", .f16, [0, 4], [UInt16]()),
      tensor("flags", .bool, [2], [UInt8(0), 1]),
    ]
    try Safetensors.write(tensors, metadata: ["b": "two\u{1}", "a": "\\"], to: scratch.file("t.safetensors"))
    let file = try Safetensors.read(path: scratch.file("t.safetensors"))
    #expect(file.metadata == ["a": "\\", "b": "two\u{1}"])
    #expect(Set(file.tensors.map(\.name)) == Set(tensors.map(\.name)))
    for tensor in tensors {
      let found = try #require(file.tensors.first { $0.name == tensor.name })
      #expect(found.type == tensor.type)
      #expect(found.content.data.numbers(as: UInt8.self) == tensor.content.data.numbers(as: UInt8.self))
      let width = max(1, (tensor.type.element.bits ?? 8) / 8)
      #expect(found.content.data.range.lowerBound.isMultiple(of: width))
    }
    #expect(Safetensors.isLikely(try MappedFile.open(scratch.file("t.safetensors"))))
    #expect(!Safetensors.isLikely(TensorData(OnnxSample.linear).store))
  }

  @Test("types without a name there come back as they were")
  func notedTypes() throws {
    let scratch = try Scratch()
    let tensors = [
      tensor("i4", .i4, [3], [UInt8(0x21), 3]), tensor("fnuz", .f8e4m3fnuz, [2], [UInt8(1), 2]),
      tensor("half", .f4e2m1, [3], [UInt8(1), 2]),
      tensor("whole", .f4e2m1, [4], [UInt8(1), 2]), tensor("complex", .c64, [1], [Float(1), 2]),
    ]
    try Safetensors.write(tensors, metadata: [:], to: scratch.file("t"))
    let file = try Safetensors.read(path: scratch.file("t"))
    #expect(file.metadata.isEmpty)
    for tensor in tensors { #expect(file.tensors.first { $0.name == tensor.name }?.type == tensor.type) }
  }

  @Test("a cut tensor is written as it is kept")
  func cut() throws {
    let scratch = try Scratch()
    var cut = tensor("w", .f32, [2, 2], [Float(1), 2, 3, 4])
    let content = cut.content.keeping([nil, [1]])
    cut = NamedTensor(name: "w", type: TensorType(.f32, [2, 1]), content: content)
    try Safetensors.write([cut], metadata: [:], to: scratch.file("t"))
    #expect(try Safetensors.read(path: scratch.file("t")).tensors[0].floats == [2, 4])
  }

  @Test("what cannot be written is refused and leaves nothing behind")
  func refusedWrites() throws {
    let scratch = try Scratch()
    let one = tensor("w", .u8, [1], [UInt8(1)])
    #expect(
      diagnostic { try Safetensors.write([one, one], metadata: [:], to: scratch.file("t")) }?.description
        == "tensor w: a safetensors file cannot hold two tensors of this name")
    let text = NamedTensor(
      name: "s", type: TensorType(.string, [1]), content: TensorContent(TensorData([UInt8]()), element: .string, shape: [1]))
    #expect(
      diagnostic { try Safetensors.write([text], metadata: [:], to: scratch.file("t")) }?.description
        == "tensor s: string[1] cannot be stored in a safetensors file")
    #expect(scratch.names.isEmpty)
  }

  @Test(
    "headers that are no headers",
    arguments: [
      ("[]", "is not a safetensors file: its header is no JSON object"),
      ("{", "byte 9: the header ends where text in quotes should stand"),
      ("{\"w\":1}", "byte 13: the header is no JSON as expected: an object should stand here"),
      ("{} x", "byte 11: the header is no JSON as expected: nothing after the header's object should stand here"),
      ("{\"w\":{}}", "tensor w: the header must state its dtype, shape and two data_offsets"),
      ("{\"__metadata__\":{\"a\":1}}", "byte 29: the header is no JSON as expected: text in quotes should stand here"),
      ("{\"\\q\":{}}", "byte 11: the header is no JSON as expected: an escape that JSON knows should stand here"),
    ])
  func headers(header: String, message: String) { #expect(failure(header) == message) }

  @Test(
    "entries that do not fit each other or the data",
    arguments: [
      ("\"w\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}", "tensor w: its type 'F31' is not supported"),
      ("\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}", "tensor w: holds 8 bytes, but F32[3] needs 12"),
      ("\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}", "tensor w: its data ends (4) before it starts (8)"),
      (
        "\"w\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}",
        "tensor w: its data is bytes 0 to 9, but only 8 follow the header"
      ),
      ("\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}", "tensor w: 4 bytes before its data belong to no tensor"),
      ("\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}", "the last 4 bytes belong to no tensor"),
      (
        "\"v\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}",
        "tensor w: its data overlaps another tensor's"
      ),
      (
        "\"w\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]}",
        "byte 61: the header names 'w' twice"
      ),
      (
        "\"w\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807,9],\"data_offsets\":[0,8]}",
        "tensor w: its shape [9223372036854775807, 9] is too large"
      ),
    ])
  func entries(entry: String, message: String) {
    #expect(failure("{\(entry)}", [UInt8](repeating: 0, count: 8)) == message)
  }

  @Test("a member that prunec does not know is passed over, however nested within reason")
  func unknownMembers() {
    func header(depth: Int) -> String {
      let nested = String(repeating: "[", count: depth) + "{\"a\":[true,null,-1.5e3]}" + String(repeating: "]", count: depth)
      return "{\"w\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8],\"more\":\(nested)}}"
    }
    let data = [UInt8](repeating: 0, count: 8)
    #expect(failure(header(depth: 20), data) == nil)
    #expect(failure(header(depth: 100_000), data)?.hasSuffix("the header is nested more than 64 deep") ?? false)
  }

  @Test("files that are too short or claim too much")
  func lengths() throws {
    #expect(diagnostic { try Safetensors(TensorData([UInt8]()).store) }?.message == "is not a safetensors file: it is empty")
    #expect(
      diagnostic { try Safetensors(TensorData([UInt8(1), 2]).store) }?.message == "is not a safetensors file: it has only 2 bytes"
    )
    for length: UInt64 in [.max, 1 << 63, 1 << 63 - 8, 1 << 40] {
      let huge = TensorData(bytes([length])).store
      #expect(diagnostic { try Safetensors(huge) }?.message.contains("more than 100 MB") ?? false)
    }
    let long = TensorData(bytes([UInt64(50)]) + [UInt8(ascii: "{")]).store
    #expect(
      diagnostic { try Safetensors(long) }?.message
        == "is not a safetensors file: its header takes 50 bytes, but only 1 follow; the file is cut off or something else")
  }

  @Test("names that are no UTF-8 are refused, others read")
  func encoding() {
    func failure(_ name: [UInt8]) -> String? {
      let header = Array("{\"".utf8) + name + Array("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}".utf8)
      return diagnostic { try Safetensors(TensorData(bytes([UInt64(header.count)]) + header).store) }?.message
    }
    #expect(failure(Array("naïve".utf8)) == nil)
    for name: [UInt8] in [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
      #expect(failure(name)?.contains("UTF-8") ?? false, "\(name)")
    }
  }

  @Test("text is read as JSON writes it")
  func strings() throws {
    let read = try Safetensors(file("{\"__metadata__\":{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\/\"}}"))
    #expect(read.metadata == ["a": "é😀\n/"])
    #expect(failure("{\"__metadata__\":{\"a\":\"\\ud83d\"}}")?.contains("a Unicode character") ?? false)
  }

  @Test("weights alone are no container")
  func notAContainer() throws {
    let scratch = try Scratch()
    try Safetensors.write([], metadata: ["k": "v"], to: scratch.file("t.ir"))
    #expect(
      diagnostic { try IrContainer.read(path: scratch.file("t.ir")) }?.message
        == "is a safetensors file of weights alone, without the module that prunec writes into a .ir")
    try Safetensors.write([], metadata: ["prunec.ir": "m", "prunec.onnx": "?"], to: scratch.file("u.ir"))
    #expect(diagnostic { try IrContainer.read(path: scratch.file("u.ir")) }?.message.contains("is not base64") ?? false)
  }
}
