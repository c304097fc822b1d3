// Results that are computed when they are first read.

extension Tensor {
  /// What a node makes of operands that never change, computed when it is first read and again after a rest; the operand rests when it has
  /// been read. Nil for nodes that are no cast of floating-point numbers to f32 and no transpose, which cannot fail.
  public static func lazyResult(of node: Node, inputs: [Tensor?]) -> Tensor? {
    guard let input = inputs.first.flatMap({ $0 }), !input.shape.contains(0) else { return nil }
    switch node.operation {
    case .elementwise(.cast):
      // 1 is what ONNX calls f32.
      guard node.attributes.int(.to) == 1 else { return nil }
      return input.lazilyWidened
    case .reshaping(.transpose):
      let order = node.attributes.ints(.perm) ?? Array((0..<input.rank).reversed())
      guard order.sorted() == Array(0..<input.rank), (input.element.bits ?? 0) >= 8 else { return nil }
      let data = TensorData(lazy: input.data.count) { target in
        input.transpose(order, to: target)
        input.data.rest()
      }
      return Tensor(input.element, order.map { input.shape[$0] }, checked: data)
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  /// f16 or bf16 numbers as f32, computed when they are first read; nil for numbers of other types.
  public var lazilyWidened: Tensor? {
    guard element == .f16 || element == .bf16 else { return nil }
    let data = TensorData(lazy: count * 4) { target in
      widen(to: target)
      self.data.rest()
    }
    return Tensor(.f32, shape, checked: data)
  }

  /// A matrix of f16 or bf16 numbers as f32, turned over, computed when it is first read; nil for other tensors. The wide matrix as it was
  /// never is in memory.
  public var lazilyWidenedAndTransposed: Tensor? {
    guard element == .f16 || element == .bf16, rank == 2 else { return nil }
    let (rows, columns) = (shape[0], shape[1])
    let data = TensorData(lazy: count * 4) { target in
      self.data.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        if element == .bf16 {
          Self.transpose(from, to, rows, columns) { (bits: UInt16) in HalfPrecision.float(bfloat16: bits) }
        } else {
          Self.transpose(from, to, rows, columns) { (bits: UInt16) in HalfPrecision.float(binary16: bits) }
        }
      }
      self.data.rest()
    }
    return Tensor(.f32, [columns, rows], checked: data)
  }

  /// Writes f16 or bf16 numbers as f32 ones; `target` has room for them.
  func widen(to target: UnsafeMutableRawBufferPointer) {
    precondition(target.count == count * 4, "four bytes per number")
    data.withUnsafeBytes { source in
      guard let from = source.baseAddress, let to = target.baseAddress else { return }
      if element == .bf16 {
        Self.widen(from, to, count) { HalfPrecision.float(bfloat16: $0) }
      } else {
        Self.widen(from, to, count) { HalfPrecision.float(binary16: $0) }
      }
    }
  }

  @inline(__always)
  private static func widen(
    _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int, _ wide: (UInt16) -> Float
  ) {
    for at in 0..<count {
      to.storeBytes(of: wide(from.loadUnaligned(fromByteOffset: at * 2, as: UInt16.self)), toByteOffset: at * 4, as: Float.self)
    }
  }

  /// Writes the tensor with its axes in another order; `target` has room for it.
  func transpose(_ order: [Int], to target: UnsafeMutableRawBufferPointer) {
    guard order != [1, 0] || width != 4 && width != 2 else {
      data.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        if width == 4 {
          Self.transpose(from, to, shape[0], shape[1]) { (bits: UInt32) in bits }
        } else {
          Self.transpose(from, to, shape[0], shape[1]) { (bits: UInt16) in bits }
        }
      }
      return
    }
    let strides = Self.strides(shape)
    stridedCopy(order.map { shape[$0] }, strides: order.map { strides[$0] }, start: 0, to: target)
  }

  /// A matrix turned over in squares, so that neither reading nor writing leaves the processor's cache; each number goes through a function.
  @inline(__always)
  private static func transpose<Number: BitwiseCopyable, Result: BitwiseCopyable>(
    _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ rows: Int, _ columns: Int, _ function: (Number) -> Result
  ) {
    let (side, width, resultWidth) = (16, MemoryLayout<Number>.stride, MemoryLayout<Result>.stride)
    for top in stride(from: 0, to: rows, by: side) {
      for left in stride(from: 0, to: columns, by: side) {
        for column in left..<min(left + side, columns) {
          for row in top..<min(top + side, rows) {
            let number = from.loadUnaligned(fromByteOffset: (row * columns + column) * width, as: Number.self)
            to.storeBytes(of: function(number), toByteOffset: (column * rows + row) * resultWidth, as: Result.self)
          }
        }
      }
    }
  }
}
