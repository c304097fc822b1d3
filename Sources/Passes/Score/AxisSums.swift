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
    guard content.isWhole, inner * outer * count > 0, content.data.count == content.element.byteCount(of: inner * outer * count) else {
      return sums
    }
    content.data.withUnsafeBytes { bytes in
      if content.element == .f32, Int(bitPattern: bytes.baseAddress) % 4 == 0 {
        sweep(bytes.assumingMemoryBound(to: Float.self), outer: outer, inner: inner, squared: squared, into: &sums)
      } else if let read = reader(content.element) {
        let row = count * inner
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: row)
        defer { buffer.deallocate() }
        for block in 0..<outer {
          for at in 0..<row { buffer[at] = read(bytes, block * row + at) }
          sweep(UnsafeBufferPointer(buffer), outer: 1, inner: inner, squared: squared, into: &sums)
        }
      }
    }
    return sums
  }

  private static func sweep(_ numbers: UnsafeBufferPointer<Float>, outer: Int, inner: Int, squared: Bool, into sums: inout [Float]) {
    guard let base = numbers.baseAddress else { return }
    sums.withUnsafeMutableBufferPointer { sums in
      let count = sums.count
      for block in 0..<outer {
        let start = base + block * count * inner
        if inner == 1 {
          for index in 0..<count { sums[index] += squared ? start[index] * start[index] : abs(start[index]) }
        } else {
          for index in 0..<count { sums[index] += sum(start + index * inner, inner, squared) }
        }
      }
    }
  }

  /// Eight running sums, so that the loop is not one chain of additions.
  private static func sum(_ numbers: UnsafePointer<Float>, _ count: Int, _ squared: Bool) -> Float {
    var lanes = SIMD8<Float>(repeating: 0)
    let whole = count & ~7
    var at = 0
    while at < whole {
      let piece = UnsafeRawPointer(numbers + at).loadUnaligned(as: SIMD8<Float>.self)
      lanes += squared ? piece * piece : piece.replacing(with: -piece, where: piece .< 0)
      at += 8
    }
    var total = lanes.sum()
    while at < count {
      total += squared ? numbers[at] * numbers[at] : abs(numbers[at])
      at += 1
    }
    return total
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
    case .i4, .u4, .i2, .u2, .i16, .i32, .i64, .u16, .u32, .u64, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0,
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
