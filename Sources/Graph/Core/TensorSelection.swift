/// Which indices of a tensor's axes are kept, where what one axis keeps may hang on where another one stands: each head its own dims.
public struct TensorSelection: Sendable, Equatable {
  /// What one axis keeps.
  public struct Axis: Sendable, Equatable {
    /// Other axes on whose kept places the list hangs, ascending; empty where there is one list.
    public let over: [Int]
    /// One list for every place of the axes in `over`, row-major over what these keep; all equally long.
    public let lists: [[Int]]

    /// One list for all.
    public init(_ list: [Int]) {
      over = []
      lists = [list]
    }

    /// Lists by places of other axes.
    public init(over: [Int], lists: [[Int]]) {
      self.over = over
      self.lists = lists
    }

    /// How many indices are kept.
    public var count: Int { lists.first?.count ?? 0 }
  }

  /// By axis; nil keeps all.
  public let axes: [Axis?]

  /// What each axis keeps.
  public init(_ axes: [Axis?]) { self.axes = axes }

  /// True where nothing is removed.
  public var isWhole: Bool { axes.allSatisfy { $0 == nil } }

  /// The lists of all axes, nil for those that keep all; nil where one hangs on another axis.
  public var plainLists: [[Int]?]? {
    axes.allSatisfy { $0?.over.isEmpty ?? true } ? axes.map { $0?.lists.first } : nil
  }

  /// The shape that is left of one.
  public func shape(of shape: [Int]) -> [Int] { zip(shape, axes).map { $1?.count ?? $0 } }

  /// Calls `body` for every run of kept numbers that lie side by side in a tensor of that shape, in order: where it starts, how long it is.
  ///
  /// Lists must lie inside the axes; there must be one entry per axis.
  public func forEachRun(of shape: [Int], _ body: (_ start: Int, _ count: Int) throws -> Void) rethrows {
    guard !self.shape(of: shape).contains(0) else { return }
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
    // What an axis adds to the offset is known once all axes that decide it are.
    var settled: [[Int]] = shape.map { _ in [] }
    for (axis, one) in axes.enumerated() { settled[max(axis, one?.over.max() ?? 0)].append(axis) }
    var depth = 0
    for axis in shape.indices where axes[axis] != nil || settled[axis] != [axis] { depth = axis + 1 }
    let run = shape[depth...].reduce(1, *)
    let kept = self.shape(of: shape)
    var places = [Int](repeating: 0, count: shape.count)
    func offset(_ axis: Int) -> Int {
      guard let one = axes[axis] else { return places[axis] * strides[axis] }
      let list = one.over.reduce(0) { $0 * kept[$1] + places[$1] }
      return one.lists[list][places[axis]] * strides[axis]
    }
    func visit(_ axis: Int, _ start: Int) throws {
      if axis == depth { return try body(start, run) }
      for place in 0..<kept[axis] {
        places[axis] = place
        try visit(axis + 1, settled[axis].reduce(start) { $0 + offset($1) })
      }
    }
    try visit(0, 0)
  }
}

extension TensorContent {
  /// Keeps some of the present numbers. Lists that hang on other axes, or do not ascend, make a content of its own, gathered when it is
  /// first read.
  ///
  /// There must be one entry per axis, with lists inside the axes.
  public func keeping(_ selection: TensorSelection) -> TensorContent {
    if let lists = selection.plainLists, lists.allSatisfy({ $0.map(Self.ascends) ?? true }) { return keeping(lists) }
    let kept = selection.shape(of: shape)
    let count = kept.reduce(1, *)
    guard !isMissing, let bits = element.bits, let bytes = element.byteCount(of: count) else {
      return TensorContent(TensorData(count: 0) { _ in }, element: element, shape: kept)
    }
    let source = self
    let gathered = TensorData(lazy: bytes) { source.gather(selection, bits: bits, to: $0) }
    return TensorContent(gathered, element: element, shape: kept)
  }

  private static func ascends(_ list: [Int]) -> Bool { zip(list, list.dropFirst()).allSatisfy { $0 < $1 } }

  private func gather(_ selection: TensorSelection, bits: Int, to target: UnsafeMutableRawBufferPointer) {
    let data = materialized()
    data.withUnsafeBytes { bytes in
      if bits < 8 {
        let perByte = 8 / bits
        let mask = UInt8((1 << bits) - 1)
        for index in target.indices { target[index] = 0 }
        var at = 0
        selection.forEachRun(of: shape) { start, count in
          for flat in start..<start + count {
            let number = (bytes[flat / perByte] >> UInt8(flat % perByte * bits)) & mask
            target[at / perByte] |= number << UInt8(at % perByte * bits)
            at += 1
          }
        }
        return
      }
      let width = bits / 8
      var at = 0
      selection.forEachRun(of: shape) { start, count in
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start * width..<(start + count) * width])
        UnsafeMutableRawBufferPointer(rebasing: target[at..<at + piece.count]).copyMemory(from: piece)
        at += piece.count
      }
    }
    data.rest()
  }
}
