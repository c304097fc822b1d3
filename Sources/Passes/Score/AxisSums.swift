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
      func sweep<Number: StoredNumber>(_ type: Number.Type) {
        Sweep<Number>.add(base, outer: outer, inner: inner, squared: squared, to: &sums)
      }
      switch content.element {
      case .f32: sweep(StoredSingle.self)
      case .f64: sweep(StoredDouble.self)
      case .f16: sweep(StoredHalf.self)
      case .bf16: sweep(StoredBrain.self)
      case .i8: sweep(StoredSigned.self)
      case .u8: sweep(StoredUnsigned.self)
      // No numbers, or packed ones.
      case .i4, .u4, .i2, .u2, .i16, .i32, .i64, .u16, .u32, .u64, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz,
        .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
        break
      }
    }
    content.data.rest()
    return sums
  }

  /// How many numbers other than zero each index of `axis` has.
  static func counts(of content: TensorContent, axis: Int) -> [Float] {
    let shape = content.storedShape
    var counts = [Int](repeating: 0, count: shape[axis])
    guard let tensor = Tensor(content), tensor.shape == shape, StoredReals.canRead(tensor.element) else {
      return counts.map(Float.init)
    }
    let inner = shape[(axis + 1)...].reduce(1, *)
    StoredReals.read(tensor) { number in
      for position in 0..<tensor.count where number(position) != 0 { counts[position / inner % shape[axis]] += 1 }
    }
    return counts.map(Float.init)
  }

  /// One figure per index of `axis`, for every index of another axis: rows of the other axis, one figure per index of `axis`.
  static func sums(of content: TensorContent, axis: Int, by other: Int, squared: Bool) -> [[Float]] {
    let shape = content.storedShape
    let rows = (0..<shape[other]).map { row -> [Float] in
      var lists: [[Int]?] = shape.map { _ in nil }
      if shape[other] > 1 { lists[other] = [row] }
      let slice = content.keeping(lists)
      return sums(
        of: TensorContent(slice.materialized(), element: slice.element, shape: slice.shape), axis: axis, squared: squared)
    }
    return rows
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
