/// A window over spatial axes with all numbers settled: where each of its positions reads.
public struct WindowPlan: Sendable {
  /// Extents of the window.
  public let kernel: [Int]
  /// Steps between positions.
  public let strides: [Int]
  /// Distances between the numbers of a window.
  public let dilations: [Int]
  /// Pads at the beginning of each axis, perhaps negative.
  public let before: [Int]
  /// Pads at the end of each axis, perhaps negative.
  public let after: [Int]
  /// Spatial extents that the window slides over.
  public let extents: [Int]
  /// How many positions it takes on each axis.
  public let positions: [Int]

  /// Largest number that may occur, so that sums of products of two do not overflow.
  private static let bound = 1 << 30

  /// The window that the node's attributes describe. `extents` is what it slides over, `positions` how often it stands on each axis.
  /// Throws where a list has a wrong length or holds an absurd number.
  init(_ context: EvaluationContext, kernel: [Int], extents: [Int], positions: [Int]) throws(Diagnostic) {
    do throws(Diagnostic) {
      try self.init(context.attributes, kernel: kernel, extents: extents, positions: positions)
    } catch {
      throw context.failure(error.message)
    }
  }

  /// The window that attributes describe. `extents` is what it slides over, `positions` how often it stands on each axis.
  /// Throws where a list has a wrong length or holds an absurd number.
  public init(_ attributes: Attributes, kernel: [Int], extents: [Int], positions: [Int]) throws(Diagnostic) {
    let rank = kernel.count
    guard extents.count == rank, positions.count == rank else {
      throw Diagnostic(.invalid, "the window does not fit the spatial axes")
    }
    func list(_ name: AttributeName, _ count: Int, _ value: Int) throws(Diagnostic) -> [Int] {
      guard let given = attributes.ints(name), !given.isEmpty else { return Array(repeating: value, count: count) }
      guard given.count == count, given.allSatisfy({ $0.magnitude < Self.bound }) else {
        throw Diagnostic(.invalid, "\(name.rawValue) \(given) does not fit \(rank) spatial axes")
      }
      return given
    }
    let strides = try list(.strides, rank, 1)
    let dilations = try list(.dilations, rank, 1)
    guard strides.allSatisfy({ $0 > 0 }), dilations.allSatisfy({ $0 > 0 }),
      (kernel + extents + positions).allSatisfy({ (0..<Self.bound).contains($0) })
    else { throw Diagnostic(.invalid, "the window has steps that are not positive, or extents beyond reason") }
    let automatic = attributes.string(.autoPad) ?? "NOTSET"
    var (before, after) = (Array(repeating: 0, count: rank), Array(repeating: 0, count: rank))
    if automatic == "NOTSET" || automatic.isEmpty {
      let pads = try list(.pads, 2 * rank, 0)
      (before, after) = (Array(pads.prefix(rank)), Array(pads.suffix(rank)))
    } else if automatic != "VALID" {
      for axis in 0..<rank {
        let reach = (kernel[axis] - 1) * dilations[axis] + 1
        let total = max(0, (positions[axis] - 1) * strides[axis] + reach - extents[axis])
        before[axis] = automatic == "SAME_LOWER" ? total - total / 2 : total / 2
        after[axis] = total - before[axis]
      }
    }
    self.init(
      kernel: kernel, strides: strides, dilations: dilations, before: before, after: after, extents: extents, positions: positions
    )
  }

  init(
    kernel: [Int], strides: [Int], dilations: [Int], before: [Int], after: [Int], extents: [Int], positions: [Int]
  ) {
    self.kernel = kernel
    self.strides = strides
    self.dilations = dilations
    self.before = before
    self.after = after
    self.extents = extents
    self.positions = positions
  }

  /// The same window with other pads.
  func padded(before: [Int], after: [Int]) -> WindowPlan {
    WindowPlan(
      kernel: kernel, strides: strides, dilations: dilations, before: before, after: after, extents: extents, positions: positions
    )
  }

  /// Numbers of the window.
  public var points: Int { kernel.reduce(1, *) }
  /// Positions of the window.
  public var positionCount: Int { positions.reduce(1, *) }
  /// Numbers that it slides over.
  var extentCount: Int { extents.reduce(1, *) }
  /// True where each position reads the number of its own index.
  var isIdentity: Bool {
    kernel.allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && before.allSatisfy { $0 == 0 } && extents == positions
  }

  /// The index on an axis that a point of the window reads at a position; outside the axis it reads padding.
  func index(_ axis: Int, position: Int, point: Int) -> Int { position * strides[axis] - before[axis] + point * dilations[axis] }

  /// The points of the window on an axis that read inside the axis at a position.
  func inside(_ axis: Int, position: Int) -> Range<Int> {
    let start = position * strides[axis] - before[axis]
    let dilation = dilations[axis]
    let first = start >= 0 ? 0 : (-start + dilation - 1) / dilation
    let end = start >= extents[axis] ? 0 : (extents[axis] - start + dilation - 1) / dilation
    return first < min(end, kernel[axis]) ? first..<min(end, kernel[axis]) : 0..<0
  }

  /// An index per axis of a flat position over some extents.
  static func unravel(_ flat: Int, _ extents: [Int]) -> [Int] {
    var rest = flat
    var indices = [Int](repeating: 0, count: extents.count)
    for axis in extents.indices.reversed() where extents[axis] > 0 {
      indices[axis] = rest % extents[axis]
      rest /= extents[axis]
    }
    return indices
  }

  /// Flat sources of a run of positions for one point of the window, −1 for padding.
  func sources(point: Int, _ range: Range<Int>, into sources: inout [Int]) {
    let points = Self.unravel(point, kernel)
    let strides = Tensor.strides(extents)
    let last = kernel.count - 1
    guard last >= 0 else { return }
    var at = Self.unravel(range.lowerBound, positions)
    var filled = 0
    while filled < range.count {
      var start = 0
      for axis in 0..<last {
        let index = index(axis, position: at[axis], point: points[axis])
        start = start < 0 || index < 0 || index >= extents[axis] ? -1 : start + index * strides[axis]
      }
      let run = min(positions[last] - at[last], range.count - filled)
      for step in 0..<run {
        let index = index(last, position: at[last] + step, point: points[last])
        sources[filled + step] = start < 0 || index < 0 || index >= extents[last] ? -1 : start + index
      }
      filled += run
      at[last] = 0
      var axis = last - 1
      while axis >= 0 {
        at[axis] += 1
        if at[axis] < positions[axis] { break }
        at[axis] = 0
        axis -= 1
      }
    }
  }

  /// Visits the numbers inside the axes that the window covers at a flat position: their flat index, in row-major order.
  func visit(position: Int, _ body: (Int) -> Void) {
    let at = Self.unravel(position, positions)
    let ranges = at.indices.map { inside($0, position: at[$0]) }
    if ranges.contains(where: \.isEmpty) { return }
    let strides = Tensor.strides(extents)
    func walk(_ axis: Int, _ start: Int) {
      if axis == at.count { return body(start) }
      for point in ranges[axis] { walk(axis + 1, start + index(axis, position: at[axis], point: point) * strides[axis]) }
    }
    walk(0, 0)
  }
}
