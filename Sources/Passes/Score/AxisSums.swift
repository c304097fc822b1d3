import Graph

/// Sums |w| or w² of a tensor over all axes but one, in one sweep over memory.
enum AxisSums {
  /// One figure per index of `axis`; zeros where the tensor holds no numbers (structure only) or none that can be read.
  static func sums(of content: TensorContent, axis: Int, squared: Bool) -> [Float] {
    let shape = content.storedShape
    let count = shape[axis]
    var sums = [Float](repeating: 0, count: count)
    let inner = shape[(axis + 1)...].reduce(1, *)
    let outer = shape[..<axis].reduce(1, *)
    guard content.isWhole, inner * outer * count > 0, content.data.count == content.element.byteCount(of: inner * outer * count)
    else {
      return sums
    }
    content.data.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      if content.element == .f32 {
        sweep(base, outer: outer, inner: inner, squared: squared, into: &sums)
      } else if let read = reader(content.element) {
        var row = [Float](repeating: 0, count: count * inner)
        for block in 0..<outer {
          for at in row.indices { row[at] = read(bytes, block * row.count + at) }
          row.withUnsafeBytes { row in
            if let start = row.baseAddress { sweep(start, outer: 1, inner: inner, squared: squared, into: &sums) }
          }
        }
      }
    }
    content.data.rest()
    return sums
  }

  /// Numbers in a file may lie at any byte.
  private static func sweep(_ base: UnsafeRawPointer, outer: Int, inner: Int, squared: Bool, into sums: inout [Float]) {
    let count = sums.count
    sums.withUnsafeMutableBytes { sums in
      guard let sums = sums.baseAddress else { return }
      for block in 0..<outer {
        let start = base + block * count * inner * 4
        if inner == 1 {
          add(start, count, squared, to: sums)
        } else {
          for index in 0..<count {
            let sum = sums.load(fromByteOffset: index * 4, as: Float.self) + total(start + index * inner * 4, inner, squared)
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
      let sum = sums.loadUnaligned(fromByteOffset: at * 4, as: SIMD8<Float>.self) + eight(numbers + at * 4, squared)
      sums.storeBytes(of: sum, toByteOffset: at * 4, as: SIMD8<Float>.self)
      at += 8
    }
    while at < count {
      let sum = sums.load(fromByteOffset: at * 4, as: Float.self) + one(numbers + at * 4, squared)
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
      even += eight(numbers + at * 4, squared)
      odd += eight(numbers + at * 4 + 32, squared)
      at += 16
    }
    var total = (even + odd).sum()
    while at < count {
      total += one(numbers + at * 4, squared)
      at += 1
    }
    return total
  }

  @inline(__always)
  private static func eight(_ numbers: UnsafeRawPointer, _ squared: Bool) -> SIMD8<Float> {
    let piece = numbers.loadUnaligned(as: SIMD8<Float>.self)
    return squared ? piece * piece : piece.replacing(with: -piece, where: piece .< 0)
  }

  @inline(__always)
  private static func one(_ number: UnsafeRawPointer, _ squared: Bool) -> Float {
    let value = number.loadUnaligned(as: Float.self)
    return squared ? value * value : abs(value)
  }

  /// How one number of a stored type is read; nil for types that are not numbers or lie packed.
  private static func reader(_ element: ElementType) -> ((UnsafeRawBufferPointer, Int) -> Float)? {
    switch element {
    case .f32: { $0.loadUnaligned(fromByteOffset: $1 * 4, as: Float.self) }
    case .f64: { Float($0.loadUnaligned(fromByteOffset: $1 * 8, as: Double.self)) }
    case .f16: { half($0.loadUnaligned(fromByteOffset: $1 * 2, as: UInt16.self)) }
    case .bf16: { Float(bitPattern: UInt32($0.loadUnaligned(fromByteOffset: $1 * 2, as: UInt16.self)) << 16) }
    case .i8: { Float(Int8(bitPattern: $0[$1])) }
    case .u8: { Float($0[$1]) }
    case .i4, .u4, .i2, .u2, .i16, .i32, .i64, .u16, .u32, .u64, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz,
      .f8e8m0,
      .f4e2m1, .c64, .c128, .unknown:
      nil
    }
  }

  /// IEEE 754 half precision.
  static func half(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Float(bits & 0x3FF)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    case let exponent: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
  }
}
