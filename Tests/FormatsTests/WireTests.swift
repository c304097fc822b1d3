import Graph
import Testing

@testable import Formats

@Suite("Protobuf's wire format")
struct WireTests {
  private func fields(_ bytes: [UInt8]) throws -> [WireField] {
    try TensorData(bytes).store.reading { (bytes) throws(Diagnostic) -> [WireField] in
      var reader = WireReader(bytes, 0..<bytes.count)
      var fields: [WireField] = []
      while let field = try reader.next() { fields.append(field) }
      return fields
    }
  }

  private func failure(_ bytes: [UInt8]) -> String? { diagnostic { try fields(bytes) }?.description }

  @Test("what is written is read")
  func roundTrip() throws {
    let numbers = [0, 1, 127, 128, 16383, 16384, Int.max, -1, Int.min]
    let bytes = WireMessage.of { message in
      for number in numbers { message.field(1, int: number) }
      message.field(1000, float: -0.5)
      message.field(2, text: "é")
    }.bytes()
    let found = try fields(bytes)
    #expect(found.prefix(numbers.count).map { Int(truncatingIfNeeded: $0.value) } == numbers)
    #expect(found[numbers.count].number == 1000)
    #expect(Float(bitPattern: UInt32(found[numbers.count].value)) == -0.5)
    #expect(found[numbers.count + 1].payload.count == 2)
    #expect(found.last?.range.upperBound == bytes.count)
  }

  @Test("sizes are known before anything is written")
  func sizes() {
    let data = TensorData([UInt8](repeating: 5, count: 300))
    let inner: WireMessage = .of { message in
      message.field(9, content: TensorContent(data, element: .u8, shape: [300]).keeping([Array(0..<200)]))
      message.verbatim(data)
      message.field(1, int: 3)
    }
    let outer: WireMessage = .of { message in
      message.field(1, text: "before")
      message.field(7, message: inner)
      message.field(2, text: "after")
    }
    #expect(outer.byteCount == outer.bytes().count)
    #expect(inner.byteCount == 2 + 1 + 200 + 300 + 2)
  }

  @Test("bytes that are no message are refused where they are wrong")
  func damage() {
    #expect(failure([0x08]) == "byte 1: cut off: the bytes end inside a number")
    #expect(failure([0x08, 0x80]) == "byte 1: cut off: the bytes end inside a number")
    #expect(failure([0x08] + [UInt8](repeating: 0x80, count: 10) + [1]) == "byte 1: damaged: a number of more than 64 bits")
    #expect(failure([0x08] + [UInt8](repeating: 0xFF, count: 9) + [2]) == "byte 1: damaged: a number of more than 64 bits")
    #expect(failure([0x08] + [UInt8](repeating: 0xFF, count: 9) + [1]) == nil)
    #expect(failure([0x00, 0x00]) == "byte 0: damaged: 0 is no field number")
    #expect(failure([0x0B]) == "byte 0: damaged: field 1 is of the unknown wire type 3")
    #expect(failure([0x0D, 1, 2, 3]) == "byte 1: cut off: the bytes end inside a number")
    #expect(failure([0x0A, 5, 1]) == "byte 0: cut off or damaged: field 1 claims 5 bytes, 1 are left")
    #expect(failure([0x0A] + [UInt8](repeating: 0xFF, count: 9) + [1])?.contains("claims 18446744073709551615 bytes") ?? false)
  }

  @Test("a field of another kind than its number means, and text that is not UTF-8")
  func kinds() {
    func failure(_ graph: OnnxSample.Build) -> String? {
      diagnostic { try OnnxDocument(bytes: WireMessage.of { $0.field(7, message: .of(graph)) }.bytes()) }?.description
    }
    #expect(failure { $0.field(2, int: 1) } == "byte 2: damaged: field 2 should be text")
    #expect(failure { $0.field(1, int: 1) } == "byte 2: damaged: field 1 should be a message")
    #expect(failure { $0.field(2, bytes: [0xFF]) } == "byte 2: damaged: the text of field 2 is not UTF-8")
    #expect(failure { $0.field(2, bytes: [0xF0, 0x90, 0x80]) } == "byte 2: damaged: the text of field 2 is not UTF-8")
    #expect(failure { $0.field(2, text: "é") } == nil)
  }
}

@Suite("Digests and base64")
struct DigestTests {
  @Test("the examples of FIPS 180-4, and every length around a block")
  func sha256() {
    #expect(Sha256.hex(of: [UInt8]()) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(Sha256.hex(of: Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      Sha256.hex(of: Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      Sha256.hex(of: [UInt8](repeating: UInt8(ascii: "a"), count: 100_000))
        == "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee")
    #expect(Set((0..<130).map { Sha256.hex(of: [UInt8](repeating: 0, count: $0)) }).count == 130)
  }

  @Test("base64 of every length, and nothing but base64")
  func base64() {
    #expect(Base64.encode(Array("foobar".utf8)) == "Zm9vYmFy")
    #expect(Base64.encode(Array("fooba".utf8)) == "Zm9vYmE=")
    #expect(Base64.encode(Array("foob".utf8)) == "Zm9vYg==")
    for count in 0..<20 {
      let bytes = (0..<count).map { UInt8($0 * 13 % 256) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    for text in ["Zg", "Zg=", "Z===", "Zm9v!mFy", "=Zm9", "Zg==Zg=="] { #expect(Base64.decode(text) == nil) }
  }
}
