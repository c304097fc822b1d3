import Graph

/// Where a value of fixed shape lies: the place of its first number, and for every axis how many numbers further the next index is.
///
/// Most values are row-major. Others are views: a transposed value, a slice, or one index of an axis lies within what it is taken of, and an
/// expanded axis has stride 0. Images lie with the channels last.
struct Placement: Sendable, Hashable {
  /// The first number.
  var operand: Operand
  /// Per axis, in numbers; may be 0 or negative.
  var strides: [Int]

  /// Row-major numbers.
  init(dense operand: Operand, _ shape: [Int]) {
    self.operand = operand
    strides = Tensor.strides(shape)
  }

  init(_ operand: Operand, strides: [Int]) {
    self.operand = operand
    self.strides = strides
  }

  /// Numbers in memory order of the axes `order`, the innermost last.
  init(dense operand: Operand, _ shape: [Int], order: [Int]) {
    let inOrder = Tensor.strides(order.map { shape[$0] })
    var strides = [Int](repeating: 0, count: shape.count)
    for (axis, stride) in zip(order, inOrder) { strides[axis] = stride }
    self.init(operand, strides: strides)
  }

  /// True where the numbers of `shape` follow one another row by row. The stride of an axis of one index does not matter.
  func isDense(_ shape: [Int]) -> Bool {
    let dense = Tensor.strides(shape)
    return shape.contains(0) || shape.indices.allSatisfy { shape[$0] == 1 || strides[$0] == dense[$0] }
  }

  /// The axes from the outermost to the innermost in memory; axes of one index and repeated ones keep their place among their neighbours.
  func order(_ shape: [Int]) -> [Int] {
    let moving = shape.indices.filter { shape[$0] > 1 && strides[$0] != 0 }
    let sorted = moving.sorted { (abs(strides[$0]), -$0) > (abs(strides[$1]), -$1) }
    var order = Array(shape.indices)
    for (slot, axis) in zip(moving, sorted) { order[slot] = axis }
    return order
  }

  /// The same numbers in another shape, nothing moved; nil where they would have to be moved.
  func reshaped(from shape: [Int], to target: [Int]) -> Placement? {
    guard let count = Tensor.count(shape), count == Tensor.count(target) else { return nil }
    if count == 0 { return Placement(dense: operand, target) }
    // Axes of one index are dropped; runs of axes on both sides with the same product are matched.
    let axes = shape.indices.filter { shape[$0] != 1 }
    var result = [Int](repeating: 0, count: target.count)
    var from = 0
    var to = 0
    while to < target.count {
      if target[to] == 1 {
        to += 1
        continue
      }
      guard from < axes.count else { return nil }
      var (endFrom, endTo) = (from + 1, to + 1)
      var (left, right) = (shape[axes[from]], target[to])
      while left != right {
        if left < right {
          guard endFrom < axes.count else { return nil }
          left *= shape[axes[endFrom]]
          endFrom += 1
        } else {
          guard endTo < target.count else { return nil }
          right *= target[endTo]
          endTo += 1
        }
      }
      // The run must walk memory with one stride.
      for at in from..<endFrom - 1 where strides[axes[at]] != strides[axes[at + 1]] * shape[axes[at + 1]] { return nil }
      var stride = strides[axes[endFrom - 1]]
      for axis in (to..<endTo).reversed() {
        result[axis] = stride
        stride *= target[axis]
      }
      (from, to) = (endFrom, endTo)
    }
    guard from == axes.count else { return nil }
    // Axes of one index get the stride that a row-major walk would have, so that neighbours merge.
    for axis in target.indices.reversed() where target[axis] == 1 {
      result[axis] = axis + 1 < target.count ? result[axis + 1] * target[axis + 1] : 1
    }
    return Placement(operand, strides: result)
  }

  /// The strides with which the value is read when it is broadcast to a shape.
  func broadcast(_ shape: [Int], to target: [Int]) -> [Int] {
    let missing = target.count - shape.count
    return target.indices.map { axis in
      guard axis >= missing else { return 0 }
      return shape[axis - missing] == 1 ? 0 : strides[axis - missing]
    }
  }

  /// The one stride with which the given axes, taken row by row, are walked; nil where there is none.
  func collapsed(_ axes: [Int], _ shape: [Int]) -> Int? {
    var stride: Int?
    var reach = 1
    for axis in axes.reversed() where shape[axis] != 1 {
      if let first = stride {
        guard strides[axis] == first * reach else { return nil }
      } else {
        stride = strides[axis]
      }
      reach *= shape[axis]
    }
    return stride ?? 0
  }
}
