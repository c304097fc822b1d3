/// Damage to files, for tests that nothing in a file can bring a reader down.
public enum ByteDamage {
  /// One to four bytes changed, or a run of them removed or doubled.
  public static func damaged(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) where bytes.count > 8 {
      let at = Int.random(in: 0..<bytes.count, using: &generator)
      let end = min(bytes.count, at + Int.random(in: 1...8, using: &generator))
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: bytes.removeSubrange(at..<end)
      case 1: bytes.insert(contentsOf: bytes[at..<end], at: at)
      case 2, 3: bytes[at] = [0, 1, 2, 3, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
      default: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      }
    }
    return bytes
  }
}
