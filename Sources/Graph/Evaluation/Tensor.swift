/// A tensor in memory with a fixed shape: what flows through a running model. Copies share the bytes, which never change.
public struct Tensor: Sendable {
  /// The type of each number.
  public let element: ElementType
  /// Extents, outermost axis first; [] for a scalar.
  public let shape: [Int]
  /// The numbers, little-endian and row-major; 4- and 2-bit numbers are packed, the first in the lowest bits.
  public let data: TensorData

  /// A tensor over bytes; nil where there are fewer or more of them than type and shape say.
  public init?(_ element: ElementType, _ shape: [Int], data: TensorData) {
    guard let count = Self.count(shape), element.byteCount(of: count) == data.count else { return nil }
    self.init(element, shape, checked: data)
  }

  /// A tensor over bytes that are known to be as many as type and shape say.
  init(_ element: ElementType, _ shape: [Int], checked data: TensorData) {
    self.element = element
    self.shape = shape
    self.data = data
  }

  /// The numbers of a parameter; nil where its bytes are not there.
  public init?(_ content: TensorContent) { self.init(content.element, content.shape, data: content.materialized()) }

  /// Number of numbers.
  public var count: Int { shape.reduce(1, *) }

  /// Number of axes.
  public var rank: Int { shape.count }

  /// Element type and shape.
  public var type: TensorType { TensorType(element, shape.map { Extent($0) }) }

  /// How many numbers a shape has; nil for negative extents and on overflow.
  public static func count(_ shape: [Int]) -> Int? {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow || extent < 0 { return nil }
      count = product
    }
    return count
  }

  /// The same numbers in another shape of as many.
  public func reshaped(_ shape: [Int]) -> Tensor {
    precondition(Self.count(shape) == count, "as many numbers as before")
    return Tensor(element, shape, checked: data)
  }
}

// MARK: - Numbers

extension Tensor {
  /// Real numbers, each rounded to the element type (floats to the nearest, ties to even; whole types towards zero).
  public init(reals: [Double], _ element: ElementType, _ shape: [Int]) {
    precondition(Self.count(shape) == reals.count, "as many numbers as the shape says")
    self.init(element, shape, checked: NumberFormat.encode(reals: reals, as: element))
  }

  /// Whole numbers, each cut to the width of the element type; u64 by its bits.
  public init(wholes: [Int], _ element: ElementType, _ shape: [Int]) {
    precondition(Self.count(shape) == wholes.count, "as many numbers as the shape says")
    self.init(element, shape, checked: NumberFormat.encode(wholes: wholes, as: element))
  }

  /// One whole number without an axis.
  public init(scalar: Int, _ element: ElementType = .i64) { self.init(wholes: [scalar], element, []) }

  /// Truth values.
  public init(truths: [Bool], _ shape: [Int]) {
    precondition(Self.count(shape) == truths.count, "as many numbers as the shape says")
    self.init(.bool, shape, checked: TensorData(truths.map { $0 ? 1 : 0 } as [UInt8]))
  }

  /// All numbers as real ones; whole numbers beyond 2⁵³ are rounded.
  public var reals: [Double] { NumberFormat.reals(data, as: element, count: count) }

  /// All numbers as whole ones: reals are cut towards zero, what does not fit saturates; u64 by its bits.
  public var wholes: [Int] { NumberFormat.wholes(data, as: element, count: count) }

  /// All numbers as truth values: zero is false.
  public var truths: [Bool] {
    element.isFloat ? reals.map { $0 != 0 } : wholes.map { $0 != 0 }
  }

  /// The only number of a tensor that has one.
  public var scalarWhole: Int? { count == 1 ? wholes.first : nil }

  /// The only number of a tensor that has one.
  public var scalarReal: Double? { count == 1 ? reals.first : nil }
}

// MARK: - Movement

extension Tensor {
  /// Numbers picked by their flat positions, of any type: `positions[i]` is where number i of the result comes from. A position outside
  /// the tensor, such as -1, gives zero.
  public func picking(_ positions: [Int], shape: [Int]) -> Tensor {
    precondition(Self.count(shape) == positions.count, "as many numbers as the shape says")
    guard let bits = element.bits else { return self }
    let count = count
    if bits < 8 { return unpacked.picking(positions, shape: shape).repacked(as: element) }
    let width = bits / 8
    let picked = TensorData(count: positions.count * width) { target in
      data.withUnsafeBytes { source in
        guard let to = target.baseAddress, let from = source.baseAddress else { return }
        func move<Number: BitwiseCopyable>(_ type: Number.Type) {
          let (to, from) = (to.assumingMemoryBound(to: type), from)
          for (index, position) in positions.enumerated() where position >= 0 && position < count {
            to[index] = from.loadUnaligned(fromByteOffset: position * width, as: type)
          }
        }
        switch width {
        case 1: move(UInt8.self)
        case 2: move(UInt16.self)
        case 4: move(UInt32.self)
        case 8: move(UInt64.self)
        case _:
          for (index, position) in positions.enumerated() where position >= 0 && position < count {
            (to + index * width).copyMemory(from: from + position * width, byteCount: width)
          }
        }
      }
    }
    return Tensor(element, shape, checked: picked)
  }

  /// Row-major strides of a shape, in numbers. Those of an empty tensor with absurd axes wrap around, and are never used.
  public static func strides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] &* shape[axis + 1] }
    return strides
  }

  /// Flat positions that walk `shape` row-major over another tensor: `start` plus the sum of index times stride.
  public static func positions(_ shape: [Int], strides: [Int], start: Int = 0) -> [Int] {
    if shape.contains(0) { return [] }
    var positions = [start]
    for (extent, stride) in zip(shape, strides) {
      var next: [Int] = []
      next.reserveCapacity(positions.count * extent)
      for position in positions { for index in 0..<extent { next.append(position + index * stride) } }
      positions = next
    }
    return positions
  }

  /// Flat positions in a tensor of `shape` that broadcasting to `target` reads, row-major over `target`.
  public static func broadcastPositions(_ shape: [Int], to target: [Int]) -> [Int] {
    let padded = Array(repeating: 1, count: max(0, target.count - shape.count)) + shape
    let strides = strides(padded)
    return positions(target, strides: padded.indices.map { padded[$0] == 1 ? 0 : strides[$0] })
  }

  /// The tensor broadcast to a shape.
  public func broadcast(to target: [Int]) -> Tensor {
    shape == target ? self : strided(target, strides: StridedWalk.strides(of: shape, over: target))
  }

  /// Axes in another order: axis i of the result is axis `order[i]`.
  public func transposed(_ order: [Int]) -> Tensor {
    let target = order.map { shape[$0] }
    if let bits = element.bits, bits < 8 {
      let strides = Self.strides(shape)
      return strided(target, strides: order.map { strides[$0] })
    }
    return Tensor(element, target, checked: TensorData(count: data.count) { transpose(order, to: $0) })
  }
}
