/// Numbers of a stored type, read as f32 wherever they lie.
protocol StoredNumber {
  /// Bytes of each.
  static var width: Int { get }
  /// The number at an address.
  static func one(_ address: UnsafeRawPointer) -> Float
  /// The eight numbers from an address on.
  static func eight(_ address: UnsafeRawPointer) -> SIMD8<Float>
}

extension StoredNumber {
  @inline(__always)
  static func eight(_ address: UnsafeRawPointer) -> SIMD8<Float> {
    var numbers = SIMD8<Float>()
    for index in 0..<8 { numbers[index] = one(address + index * width) }
    return numbers
  }
}

enum StoredSingle: StoredNumber {
  static let width = 4
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float { address.loadUnaligned(as: Float.self) }
  @inline(__always)
  static func eight(_ address: UnsafeRawPointer) -> SIMD8<Float> { address.loadUnaligned(as: SIMD8<Float>.self) }
}

enum StoredDouble: StoredNumber {
  static let width = 8
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float { Float(address.loadUnaligned(as: Double.self)) }
}

enum StoredHalf: StoredNumber {
  static let width = 2
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float { AxisSums.half(address.loadUnaligned(as: UInt16.self)) }
}

enum StoredBrain: StoredNumber {
  static let width = 2
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float {
    Float(bitPattern: UInt32(address.loadUnaligned(as: UInt16.self)) << 16)
  }
  @inline(__always)
  static func eight(_ address: UnsafeRawPointer) -> SIMD8<Float> {
    let bits = SIMD8<UInt32>(truncatingIfNeeded: address.loadUnaligned(as: SIMD8<UInt16>.self)) &<< 16
    return unsafeBitCast(bits, to: SIMD8<Float>.self)
  }
}

enum StoredSigned: StoredNumber {
  static let width = 1
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float { Float(address.loadUnaligned(as: Int8.self)) }
}

enum StoredUnsigned: StoredNumber {
  static let width = 1
  @inline(__always)
  static func one(_ address: UnsafeRawPointer) -> Float { Float(address.loadUnaligned(as: UInt8.self)) }
}

/// Sums over numbers of one type.
enum Sweep<Number: StoredNumber> {
  /// Numbers in a file may lie at any byte.
  static func add(_ base: UnsafeRawPointer, outer: Int, inner: Int, squared: Bool, to sums: inout [Float]) {
    let count = sums.count
    sums.withUnsafeMutableBytes { sums in
      guard let sums = sums.baseAddress else { return }
      for block in 0..<outer {
        let start = base + block * count * inner * Number.width
        if inner == 1 {
          add(start, count, squared, to: sums)
        } else {
          for index in 0..<count {
            let sum =
              sums.load(fromByteOffset: index * 4, as: Float.self) + total(start + index * inner * Number.width, inner, squared)
            sums.storeBytes(of: sum, toByteOffset: index * 4, as: Float.self)
          }
        }
      }
    }
  }

  /// Adds a row of figures to the sums, index by index.
  private static func add(_ numbers: UnsafeRawPointer, _ count: Int, _ squared: Bool, to sums: UnsafeMutableRawPointer) {
    var at = 0
    while at + 8 <= count {
      let sum = sums.loadUnaligned(fromByteOffset: at * 4, as: SIMD8<Float>.self) + eight(numbers + at * Number.width, squared)
      sums.storeBytes(of: sum, toByteOffset: at * 4, as: SIMD8<Float>.self)
      at += 8
    }
    while at < count {
      let sum = sums.load(fromByteOffset: at * 4, as: Float.self) + one(numbers + at * Number.width, squared)
      sums.storeBytes(of: sum, toByteOffset: at * 4, as: Float.self)
      at += 1
    }
  }

  /// The sum of a run of figures: sixteen running sums, so that the loop is not one chain of additions.
  private static func total(_ numbers: UnsafeRawPointer, _ count: Int, _ squared: Bool) -> Float {
    var even = SIMD8<Float>(repeating: 0)
    var odd = SIMD8<Float>(repeating: 0)
    var at = 0
    while at + 16 <= count {
      even += eight(numbers + at * Number.width, squared)
      odd += eight(numbers + (at + 8) * Number.width, squared)
      at += 16
    }
    var total = (even + odd).sum()
    while at < count {
      total += one(numbers + at * Number.width, squared)
      at += 1
    }
    return total
  }

  @inline(__always)
  private static func eight(_ numbers: UnsafeRawPointer, _ squared: Bool) -> SIMD8<Float> {
    let piece = Number.eight(numbers)
    return squared ? piece * piece : piece.replacing(with: -piece, where: piece .< 0)
  }

  @inline(__always)
  private static func one(_ number: UnsafeRawPointer, _ squared: Bool) -> Float {
    let value = Number.one(number)
    return squared ? value * value : abs(value)
  }
}
