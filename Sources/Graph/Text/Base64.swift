/// Bytes as text (RFC 4648, standard alphabet, padded).
public enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let digits: [UInt8] = {
    var table = [UInt8](repeating: 255, count: 256)
    for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
    return table
  }()

  /// The text for some bytes.
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    var pending: UInt32 = 0
    var count = 0
    func digit(_ shift: UInt32) -> UInt8 { alphabet[Int(pending >> shift & 63)] }
    for byte in bytes {
      pending = pending << 8 | UInt32(byte)
      count += 1
      if count == 3 {
        text += [digit(18), digit(12), digit(6), digit(0)]
        pending = 0
        count = 0
      }
    }
    if count > 0 {
      pending <<= UInt32(8 * (3 - count))
      text += [digit(18), digit(12), count == 2 ? digit(6) : UInt8(ascii: "="), UInt8(ascii: "=")]
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a text; nil when it is not exactly what `encode` writes.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    let characters = Array(text.utf8)
    guard characters.count % 4 == 0 else { return nil }
    let padding = characters.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count / 4 * 3)
    var pending: UInt32 = 0
    for (at, character) in characters.dropLast(padding).enumerated() {
      let value = digits[Int(character)]
      guard value < 64 else { return nil }
      pending = pending << 6 | UInt32(value)
      if at % 4 == 3 {
        bytes += [UInt8(pending >> 16 & 255), UInt8(pending >> 8 & 255), UInt8(pending & 255)]
        pending = 0
      }
    }
    switch padding {
    case 1:
      guard pending & 3 == 0 else { return nil }
      bytes += [UInt8(pending >> 10 & 255), UInt8(pending >> 2 & 255)]
    case 2:
      guard pending & 15 == 0 else { return nil }
      bytes.append(UInt8(pending >> 4 & 255))
    case _: break
    }
    return bytes
  }
}
