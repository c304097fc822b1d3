import Graph

/// Decompression of DEFLATE streams (RFC 1951).
struct Inflate {
  /// The decompressed bytes; nil for a damaged stream, one that ends early, or one of more than `count` bytes.
  static func decompress(_ bytes: UnsafeRawBufferPointer, count: Int) -> [UInt8]? {
    var inflate = Inflate(bytes, count)
    return inflate.run() ? inflate.output : nil
  }

  private let bytes: UnsafeRawBufferPointer
  private let limit: Int
  private var position = 0
  private var buffer: UInt64 = 0
  private var held = 0
  private var output: [UInt8] = []

  private init(_ bytes: UnsafeRawBufferPointer, _ limit: Int) {
    self.bytes = bytes
    self.limit = limit
    output.reserveCapacity(min(limit, bytes.count &* 8))
  }

  private mutating func run() -> Bool {
    while true {
      guard let isLast = bits(1), let kind = bits(2) else { return false }
      let isWhole =
        switch kind {
        case 0: stored()
        case 1: compressed(Self.fixedLiterals, Self.fixedDistances)
        case 2: described()
        case _: false
        }
      guard isWhole else { return false }
      if isLast == 1 { return output.count == limit }
    }
  }

  // MARK: - Bits

  private mutating func fill() {
    while held <= 56, position < bytes.count {
      buffer |= UInt64(bytes[position]) << UInt64(held)
      position += 1
      held += 8
    }
  }

  private mutating func bits(_ count: Int) -> Int? {
    if held < count { fill() }
    guard held >= count else { return nil }
    let value = Int(buffer & (1 << UInt64(count) - 1))
    buffer >>= UInt64(count)
    held -= count
    return value
  }

  // MARK: - Blocks

  private mutating func stored() -> Bool {
    _ = bits(held % 8)
    guard let length = bits(16), let complement = bits(16), length ^ 0xFFFF == complement, output.count + length <= limit else {
      return false
    }
    for _ in 0..<length {
      guard let byte = bits(8) else { return false }
      output.append(UInt8(byte))
    }
    return true
  }

  /// Order in which the lengths of the code-length code stand.
  private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  private mutating func described() -> Bool {
    guard let literals = bits(5), let distances = bits(5), let codes = bits(4) else { return false }
    var lengths = [UInt8](repeating: 0, count: 19)
    for index in 0..<codes + 4 {
      guard let length = bits(3) else { return false }
      lengths[Self.lengthOrder[index]] = UInt8(length)
    }
    let code = Code(lengths)
    var all: [UInt8] = []
    let total = literals + 257 + distances + 1
    while all.count < total {
      guard let symbol = symbol(code) else { return false }
      switch symbol {
      case 0..<16: all.append(UInt8(symbol))
      case 16:
        guard let last = all.last, let more = bits(2) else { return false }
        all.append(contentsOf: repeatElement(last, count: more + 3))
      case 17:
        guard let more = bits(3) else { return false }
        all.append(contentsOf: repeatElement(0, count: more + 3))
      case _:
        guard let more = bits(7) else { return false }
        all.append(contentsOf: repeatElement(0, count: more + 11))
      }
    }
    guard all.count == total else { return false }
    return compressed(Code(Array(all[..<(literals + 257)])), Code(Array(all[(literals + 257)...])))
  }

  private mutating func compressed(_ literals: Code, _ distances: Code) -> Bool {
    while let symbol = symbol(literals) {
      if symbol < 256 {
        guard output.count < limit else { return false }
        output.append(UInt8(symbol))
      } else if symbol == 256 {
        return true
      } else {
        guard let length = length(symbol), let distance = distance(distances), distance <= output.count,
          output.count + length <= limit
        else { return false }
        let start = output.count - distance
        for index in 0..<length { output.append(output[start + index]) }
      }
    }
    return false
  }

  /// RFC 1951, 3.2.5: from symbol 265 on, four lengths share a number of extra bits.
  private mutating func length(_ symbol: Int) -> Int? {
    if symbol < 265 { return symbol - 254 }
    if symbol == 285 { return 258 }
    guard symbol < 285 else { return nil }
    let extra = (symbol - 261) / 4
    return bits(extra).map { 3 + (4 + (symbol - 261) % 4) << extra + $0 }
  }

  private mutating func distance(_ code: Code) -> Int? {
    guard let symbol = symbol(code), symbol < 30 else { return nil }
    if symbol < 4 { return symbol + 1 }
    let extra = symbol / 2 - 1
    return bits(extra).map { 1 + (2 + symbol % 2) << extra + $0 }
  }

  // MARK: - Prefix codes

  /// A canonical prefix code: how many codes of each length, and the symbols in order of their codes.
  private struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [UInt8]) {
      for length in lengths where length > 0 { counts[Int(length)] += 1 }
      for length in 1...15 {
        for (symbol, own) in lengths.enumerated() where Int(own) == length { symbols.append(symbol) }
      }
    }
  }

  private mutating func symbol(_ code: Code) -> Int? {
    var (value, first, index) = (0, 0, 0)
    for length in 1...15 {
      guard let bit = bits(1) else { return nil }
      value |= bit
      let count = code.counts[length]
      if value - first < count { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    return nil
  }

  private static let fixedLiterals = Code(
    (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
  private static let fixedDistances = Code([UInt8](repeating: 5, count: 30))
}
