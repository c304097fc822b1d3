extension Tensor {
  /// The bits of each number in bytes of its own: the tensor itself, or a u8 tensor of the codes of packed numbers.
  var unpacked: Tensor {
    guard let bits = element.bits, bits < 8 else { return self }
    return Tensor(.u8, shape, checked: TensorData(NumberFormat.codes(data, bits: bits, count: count)))
  }

  /// The inverse of `unpacked`: codes as packed numbers of `element`.
  func repacked(as element: ElementType) -> Tensor {
    guard let bits = element.bits, bits < 8 else { return self }
    return Tensor(element, shape, checked: NumberFormat.packed(data.numbers(as: UInt8.self), bits: bits))
  }

  /// Bytes per number; 1 for packed types.
  var width: Int { max((element.bits ?? 8) / 8, 1) }

  /// Numbers of any type read with one stride per axis, from `start` on. All positions must lie inside the tensor.
  func strided(_ target: [Int], strides: [Int], start: Int = 0) -> Tensor {
    if let bits = element.bits, bits < 8 { return unpacked.strided(target, strides: strides, start: start).repacked(as: element) }
    let count = target.contains(0) ? 0 : target.reduce(1, *)
    let moved = TensorData(count: count * width) { stridedCopy(target, strides: strides, start: start, to: $0) }
    return Tensor(element, target, checked: moved)
  }

  /// Writes numbers of whole bytes, read with one stride per axis from `start` on; `bytes` has room for them.
  func stridedCopy(_ target: [Int], strides: [Int], start: Int, to bytes: UnsafeMutableRawBufferPointer) {
    let walk = StridedWalk(target, strides: [strides], starts: [start])
    let (width, run, step) = (width, walk.run, walk.steps[0])
    data.withUnsafeBytes { source in
      guard let to = bytes.baseAddress, let from = source.baseAddress else { return }
      walk.forEachRun { at, starts in
        RawNumbers.copy(from + starts[0] * width, step: step, to: to + at * width, count: run, width: width)
      }
    }
  }

  /// Numbers of any type picked axis by axis: per axis the indices read, in any order and number; nil for the whole axis as it is.
  /// Index -1 reads `filler`, a tensor of one number of the same type (zero where it is left out).
  func picking(axes lists: [[Int]?], filler: Tensor? = nil) -> Tensor {
    guard let last = lists.lastIndex(where: { $0 != nil }), let list = lists[last] else { return self }
    if let bits = element.bits, bits < 8 {
      return unpacked.picking(axes: lists, filler: filler?.unpacked).repacked(as: element)
    }
    let target = zip(shape, lists).map { $1?.count ?? $0 }
    let strides = Self.strides(shape)
    let (width, unit) = (width, strides[last])
    let runs = IndexRun.runs(of: list)
    let outer = lists[..<last].enumerated().map { $1 ?? Array(0..<shape[$0]) }
    let row = list.count * unit
    let picked = TensorData(count: target.reduce(width, *)) { bytes in
      data.withUnsafeBytes { source in
        guard let to = bytes.baseAddress, row > 0, outer.allSatisfy({ !$0.isEmpty }) else { return }
        func fill(_ to: UnsafeMutableRawPointer, _ count: Int) {
          filler?.data.withUnsafeBytes { number in
            if let number = number.baseAddress { RawNumbers.copy(number, step: 0, to: to, count: count, width: width) }
          }
        }
        func write(_ from: Int, _ to: UnsafeMutableRawPointer) {
          guard let source = source.baseAddress else { return fill(to, row) }
          var to = to
          for run in runs {
            if run.first < 0 {
              fill(to, run.count * unit)
            } else if run.step == 1 {
              to.copyMemory(from: source + (from + run.first * unit) * width, byteCount: run.count * unit * width)
            } else if unit == 1 {
              RawNumbers.copy(source + (from + run.first) * width, step: run.step, to: to, count: run.count, width: width)
            } else {
              for at in 0..<run.count {
                let first = source + (from + (run.first + at * run.step) * unit) * width
                (to + at * unit * width).copyMemory(from: first, byteCount: unit * width)
              }
            }
            to += run.count * unit * width
          }
        }
        func visit(_ axis: Int, _ from: Int?, _ to: UnsafeMutableRawPointer, _ rows: Int) {
          if axis == last {
            if let from { write(from, to) } else { fill(to, row) }
            return
          }
          let inner = rows / outer[axis].count
          for (at, index) in outer[axis].enumerated() {
            let start = index < 0 ? nil : from.map { $0 + index * strides[axis] }
            visit(axis + 1, start, to + at * inner * row * width, inner)
          }
        }
        visit(0, 0, to, outer.reduce(1) { $0 * $1.count })
      }
    }
    return Tensor(element, target, checked: picked)
  }

  /// Numbers picked along one axis.
  func picking(_ list: [Int], axis: Int) -> Tensor { picking(axes: shape.indices.map { $0 == axis ? list : nil }) }

  /// Tensors of one type, joined along an axis; they agree in all other axes.
  static func joined(_ parts: [Tensor], axis: Int) -> Tensor? {
    guard let first = parts.first else { return nil }
    if let bits = first.element.bits, bits < 8 { return joined(parts.map(\.unpacked), axis: axis)?.repacked(as: first.element) }
    var target = first.shape
    target[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    let outer = target[..<axis].reduce(1, *)
    let joined = TensorData(count: target.reduce(first.width, *)) { bytes in
      guard let to = bytes.baseAddress, outer > 0 else { return }
      let row = bytes.count / outer
      var offset = 0
      for part in parts {
        let piece = part.data.count / outer
        part.data.withUnsafeBytes { source in
          guard let from = source.baseAddress else { return }
          for block in 0..<outer {
            (to + block * row + offset).copyMemory(from: from + block * piece, byteCount: piece)
          }
        }
        offset += piece
      }
    }
    return Tensor(first.element, target, checked: joined)
  }

  /// A copy of a number of any type, repeated over a shape.
  func filling(_ target: [Int]) -> Tensor { strided(target, strides: target.map { _ in 0 }) }
}

/// Indices at equal distances, or a number of times -1.
struct IndexRun {
  /// First index.
  let first: Int
  /// How many.
  let count: Int
  /// From one to the next; 0 in runs of -1.
  let step: Int

  /// The runs that a list falls into.
  static func runs(of list: [Int]) -> [IndexRun] {
    var runs: [IndexRun] = []
    var at = 0
    while at < list.count {
      var end = at + 1
      let isNothing = list[at] < 0
      let step = isNothing || end == list.count || list[end] < 0 ? 0 : list[end] - list[at]
      while end < list.count, isNothing ? list[end] < 0 : list[end] >= 0 && list[end] - list[end - 1] == step { end += 1 }
      runs.append(IndexRun(first: list[at], count: end - at, step: step))
      at = end
    }
    return runs
  }
}

/// Copies of numbers as bits.
enum RawNumbers {
  /// Sixteen bytes.
  struct Pair: BitwiseCopyable { let low, high: UInt64 }

  /// Copies `count` numbers of `width` bytes that lie `step` numbers apart to where they lie side by side.
  static func copy(_ from: UnsafeRawPointer, step: Int, to: UnsafeMutableRawPointer, count: Int, width: Int) {
    if step == 1 { return to.copyMemory(from: from, byteCount: count * width) }
    switch width {
    case 1: copy(from, step, to, count, UInt8.self)
    case 2: copy(from, step, to, count, UInt16.self)
    case 4: copy(from, step, to, count, UInt32.self)
    case 8: copy(from, step, to, count, UInt64.self)
    case _: copy(from, step, to, count, Pair.self)
    }
  }

  private static func copy<Number: BitwiseCopyable>(
    _ from: UnsafeRawPointer, _ step: Int, _ to: UnsafeMutableRawPointer, _ count: Int, _ type: Number.Type
  ) {
    let width = MemoryLayout<Number>.stride
    if step == 0 {
      let number = from.loadUnaligned(as: type)
      for at in 0..<count { to.storeBytes(of: number, toByteOffset: at * width, as: type) }
    } else {
      for at in 0..<count {
        to.storeBytes(of: from.loadUnaligned(fromByteOffset: at * step * width, as: type), toByteOffset: at * width, as: type)
      }
    }
  }
}
