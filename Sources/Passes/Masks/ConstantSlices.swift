import Graph

/// An axis of a value, and one of the groups that it carries.
struct CarriedGroup: Hashable, Sendable {
  /// Which axis of the value.
  let axis: Int
  /// Which group, by its place in `Solution.groups`.
  let group: Int
}

/// What is known of a value's numbers without running the model: slices that hold one number throughout, whatever the inputs are.
///
/// The slice of index j of a group on an axis is every element whose place on that axis stands for j. Elements that belong to indices
/// already removed are not looked at.
struct ConstantSlices: Sendable {
  /// The number that all elements are; nil where they differ or are not known.
  var whole: Double?
  /// By axis and group: for every index the number that its whole slice is, nil where it is not one or not known. A missing entry knows
  /// nothing.
  var numbers: [CarriedGroup: [Double?]] = [:]

  /// The number of a slice; nil where it is not known.
  func number(_ place: CarriedGroup, _ index: Int) -> Double? {
    guard let list = numbers[place], list.indices.contains(index) else { return nil }
    return list[index]
  }
}

/// One number per position of each axis of a tensor that is stored or follows from stored ones: what the slice at that position holds
/// throughout. Rows that stand for removed indices are left out.
struct AxisConstants: Sendable {
  /// By axis and position; nil where a slice holds different numbers, or none is left.
  let byAxis: [[Double?]]
  /// What all of the tensor holds; nil where that differs.
  let whole: Double?

  /// Looks at a tensor once. `isGone` says by axis and position what is left out; nil leaves out nothing on that axis.
  ///
  /// Nil where the tensor holds something that is no finite number: nothing is certain about what that makes.
  init?(_ tensor: Tensor, isGone: [[Bool]?]) {
    let shape = tensor.shape
    var lowest = shape.map { [Double](repeating: .infinity, count: $0) }
    var highest = shape.map { [Double](repeating: -.infinity, count: $0) }
    var isFinite = true
    let last = shape.count - 1
    StoredReals.read(tensor) { number in
      if last < 0 {
        let only = number(0)
        isFinite = only.isFinite
        lowest = [[only]]
        highest = [[only]]
        return
      }
      var index = [Int](repeating: 0, count: shape.count)
      let length = shape[last]
      guard length > 0 else { return }
      let rows = tensor.count / length
      for row in 0..<rows {
        let isRowGone = (0..<last).contains { isGone[$0]?[index[$0]] ?? false }
        if !isRowGone {
          var (low, high) = (Double.infinity, -Double.infinity)
          for position in 0..<length where !(isGone[last]?[position] ?? false) {
            let one = number(row * length + position)
            if !one.isFinite { isFinite = false }
            if one < low { low = one }
            if one > high { high = one }
            if one < lowest[last][position] { lowest[last][position] = one }
            if one > highest[last][position] { highest[last][position] = one }
          }
          for axis in 0..<last {
            if low < lowest[axis][index[axis]] { lowest[axis][index[axis]] = low }
            if high > highest[axis][index[axis]] { highest[axis][index[axis]] = high }
          }
        }
        var axis = last - 1
        while axis >= 0 {
          index[axis] += 1
          if index[axis] < shape[axis] { break }
          index[axis] = 0
          axis -= 1
        }
      }
    }
    guard isFinite else { return nil }
    func settled(_ low: [Double], _ high: [Double]) -> [Double?] { zip(low, high).map { $0 == $1 ? $0 : nil } }
    if shape.isEmpty {
      byAxis = []
      whole = lowest.first?.first
    } else {
      byAxis = zip(lowest, highest).map(settled)
      let (low, high) = (lowest[0].min() ?? .infinity, highest[0].max() ?? -.infinity)
      whole = low == high ? low : nil
    }
  }
}

/// Reads the numbers of a tensor one by one where they lie.
enum StoredReals {
  /// Calls `body` with a function that gives the number at a flat position, as the run of the model would read it.
  static func read(_ tensor: Tensor, _ body: (_ number: (Int) -> Double) -> Void) {
    switch tensor.element {
    case .f32: numbers(tensor, as: StoredSingle.self, body)
    case .f16: numbers(tensor, as: StoredHalf.self, body)
    case .bf16: numbers(tensor, as: StoredBrain.self, body)
    case .f64, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2,
      .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      let reals = tensor.reals
      body { reals[$0] }
    }
  }

  private static func numbers<Number: StoredNumber>(
    _ tensor: Tensor, as type: Number.Type, _ body: (_ number: (Int) -> Double) -> Void
  ) {
    tensor.data.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      body { Double(Number.one(base + $0 * Number.width)) }
    }
    tensor.data.rest()
  }

  /// True for tensors whose numbers can be read so.
  static func canRead(_ element: ElementType) -> Bool {
    switch element {
    case .f32, .f64, .f16, .bf16, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .bool: true
    case .i4, .u4, .i2, .u2, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown: false
    }
  }
}
