/// The axes that a node's attribute or operand names.
public enum AxisChoice: Sendable, Hashable {
  /// Neither attribute nor operand is given; what that means is the operator's business.
  case absent
  /// These axes, counted from the front, in the order given, none of them twice.
  case known([Int])
  /// Computed when the model runs; the number of axes is known where the operand's extent is.
  case unknown(count: Int?)
}

// MARK: - Numbers

extension InferenceContext {
  /// Fixed whole numbers of an operand; nil where it is left out, or a number is not known.
  public func numbers(operand index: Int) -> [Int]? { known(index)?.numbers }

  /// Whole numbers of an operand, perhaps symbolic; nil where it is left out, or a number is not known.
  public func wholes(operand index: Int) -> [Extent]? { known(index)?.wholes }

  /// Real numbers of an operand, entry by entry and nil where one is not known, from what is known or from a stored parameter of at
  /// most `KnownValue.limit` numbers; nil where nothing is.
  public func reals(operand index: Int) -> [Double?]? {
    if let entries = known(index)?.entries {
      return entries.map { entry -> Double? in
        switch entry {
        case .whole(let extent): extent.constant.map(Double.init)
        case .real(let number): number
        case .unknown: nil
        }
      }
    }
    guard let content = content(index), content.elementCount <= KnownValue.limit else { return nil }
    switch content.element {
    case .f32: return content.materialized().numbers(as: Float.self).map(Double.init)
    case .f64: return content.materialized().numbers(as: Double.self)
    case .f16, .bf16, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .i4, .u4, .i2, .u2, .bool, .string, .f8e4m3fn, .f8e4m3fnuz,
      .f8e5m2,
      .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      return nil
    }
  }

  /// The axes that an attribute names, or else an operand (a scalar or a list), counted from the front of a tensor of `rank` axes.
  /// Throws where one is outside the rank or named twice.
  public func axes(attribute: AttributeName? = .axes, operand: Int? = nil, rank: Int) throws(Diagnostic) -> AxisChoice {
    if let attribute, let listed = attributes.ints(attribute) ?? attributes.int(attribute).map({ [$0] }) {
      return .known(try axes(listed, rank: rank))
    }
    guard let operand, let type = optionalType(operand) else { return .absent }
    if let listed = numbers(operand: operand) { return .known(try axes(listed, rank: rank)) }
    return .unknown(count: type.elementCount.constant)
  }

  /// Axes counted from the front; throws where one is outside the rank or named twice.
  public func axes(_ listed: [Int], rank: Int) throws(Diagnostic) -> [Int] {
    var result: [Int] = []
    var seen: Set<Int> = []
    for axis in listed {
      let positive = try self.axis(axis, rank: rank)
      guard seen.insert(positive).inserted else { throw failure("axis \(axis) is named twice") }
      result.append(positive)
    }
    return result
  }
}

// MARK: - Agreement of extents

extension Extent {
  /// True where a length that only running the model tells takes part.
  public var dependsOnData: Bool { symbols.contains { $0.contains("?") } }

  /// Of two extents that are equal when the model runs, the one that says more: a number before a symbol, a symbol that does not depend
  /// on data before one that does, else the first.
  public static func moreKnown(_ a: Extent, _ b: Extent) -> Extent {
    if a.isConstant || a == b { return a }
    if b.isConstant { return b }
    return a.dependsOnData && !b.dependsOnData ? b : a
  }
}

extension InferenceContext {
  /// Throws `message` where the condition does not hold.
  public func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(Diagnostic) {
    if !condition { throw failure(message()) }
  }

  /// Throws where a tensor has another number of axes. `what` names the tensor: `the weight`.
  public func require(rank ranks: Int..., of type: TensorType, _ what: String) throws(Diagnostic) {
    guard !ranks.contains(type.rank) else { return }
    let wanted = ranks.map(String.init).joined(separator: " or ")
    throw failure("\(what) is \(type), with \(type.rank) axes where \(wanted) are expected")
  }

  /// Throws where a tensor has fewer axes. `what` names the tensor: `the input`.
  public func require(rankAtLeast rank: Int, of type: TensorType, _ what: String) throws(Diagnostic) {
    guard type.rank < rank else { return }
    throw failure("\(what) is \(type), with \(type.rank) axes where at least \(rank) are expected")
  }

  /// Throws unless a tensor has the expected shape; extents that are symbols on either side pass. `what` names the tensor: `the bias`.
  public func require(shape expected: [Extent], of type: TensorType, _ what: String) throws(Diagnostic) {
    try require(rank: expected.count, of: type, what)
    for (extent, wanted) in zip(type.shape, expected) {
      try agree(extent, wanted) { _, _ in "\(what) is \(type) where \(Self.text(expected)) is expected" }
    }
  }

  /// Two extents that must be the same: gives the one that says more, throws where they are different numbers. Symbols of different
  /// names may be the same when the model runs, so they pass.
  @discardableResult
  public func agree(_ a: Extent, _ b: Extent, _ message: (Extent, Extent) -> String) throws(Diagnostic) -> Extent {
    if let x = a.constant, let y = b.constant, x != y { throw failure(message(a, b)) }
    return Extent.moreKnown(a, b)
  }

  /// The element type that the given operands share; throws where two are different. Unknown types agree with any; operands left out
  /// take no part.
  public func sharedElement(operands: some Sequence<Int>) throws(Diagnostic) -> ElementType {
    var shared = ElementType.unknown
    for index in operands {
      guard let element = optionalType(index)?.element, element != .unknown else { continue }
      try require(
        shared == .unknown || shared == element,
        "operands of \(shared.rawValue) and \(element.rawValue) meet, which must be of one type; cast one of them")
      shared = element
    }
    return shared
  }

  /// The element type that an attribute names by its ONNX number; nil where the attribute is left out or 0.
  public func element(attribute: AttributeName) throws(Diagnostic) -> ElementType? {
    guard let code = attributes.int(attribute), code != 0 else { return nil }
    guard let element = ElementType(onnxCode: code) else {
      throw failure("\(attribute.rawValue) is \(code), which is no element type of ONNX")
    }
    return element
  }

  /// An operand, where it is given, must be a list of `extent` numbers. `what` names it: `the bias`.
  public func requireList(_ index: Int, of extent: Extent, _ what: String) throws(Diagnostic) {
    guard let type = optionalType(index) else { return }
    try require(rank: 1, of: type, what)
    try agree(type.shape[0], extent) { "\(what) holds \($0) numbers where \($1) are expected" }
  }

  /// An extent cut into equal parts; throws where a number leaves a remainder. `what` says which extent: `channels of the input`.
  public func divide(_ extent: Extent, into parts: Int, _ what: String, _ divisor: String) throws(Diagnostic) -> Extent {
    try require(parts > 0, "\(divisor) is \(parts), which is not positive")
    if let number = extent.constant, number % parts != 0 {
      throw failure("\(what) are \(number), which is not a multiple of \(divisor) \(parts)")
    }
    return extent.floorDivided(by: Extent(parts))
  }
}

// MARK: - Broadcasting

extension InferenceContext {
  /// The extent of an axis where two meet: 1 gives way, a number beats a symbol; throws for two different numbers.
  public func broadcast(_ a: Extent, _ b: Extent) throws(Diagnostic) -> Extent {
    if a == Extent(1) { return b }
    if b == Extent(1) { return a }
    return try agree(a, b) { "extents \($0) and \($1) do not broadcast" }
  }

  /// The shape of two operands aligned from the right.
  public func broadcast(_ a: [Extent], _ b: [Extent]) throws(Diagnostic) -> [Extent] {
    let rank = max(a.count, b.count)
    var result: [Extent] = []
    result.reserveCapacity(rank)
    for axis in 0..<rank {
      let left = axis - (rank - a.count)
      let right = axis - (rank - b.count)
      let x = left < 0 ? Extent(1) : a[left]
      let y = right < 0 ? Extent(1) : b[right]
      if let m = x.constant, let n = y.constant, m != n, m != 1, n != 1 {
        throw failure("shapes \(Self.text(a)) and \(Self.text(b)) do not broadcast: \(x) meets \(y)")
      }
      result.append(try broadcast(x, y))
    }
    return result
  }

  /// The shape of the given operands aligned from the right; operands left out take no part.
  public func broadcast(operands: some Sequence<Int>) throws(Diagnostic) -> [Extent] {
    var result: [Extent] = []
    for index in operands {
      if let type = optionalType(index) { result = try broadcast(result, type.shape) }
    }
    return result
  }

  /// Throws unless `shape` broadcasts to `target` without changing it. `what` names the tensor: `the scale`.
  public func requireBroadcast(_ shape: [Extent], to target: [Extent], _ what: String) throws(Diagnostic) {
    let message = "\(what) of shape \(Self.text(shape)) does not broadcast to \(Self.text(target))"
    try require(shape.count <= target.count, message)
    for (from, to) in zip(shape.reversed(), target.reversed()) where from != Extent(1) {
      if let m = from.constant, let n = to.constant, m != n { throw failure(message) }
    }
  }

  /// `[batch, 3, 32]`, for messages.
  public static func text(_ shape: [Extent]) -> String { "[\(shape.map(\.description).joined(separator: ", "))]" }
}

// MARK: - Windows over spatial axes

/// How a window slides over the spatial axes of a convolution or pool, one entry per axis.
public struct SpatialWindow: Sendable, Hashable {
  /// How pads are chosen.
  public enum Padding: Sendable, Hashable {
    /// By the attribute `pads`.
    case explicit
    /// So that the result has ceil(extent / stride) positions, the odd one at the end.
    case sameUpper
    /// The same, the odd one at the beginning.
    case sameLower
    /// None.
    case valid
  }

  /// Extents of the window.
  public let kernel: [Extent]
  /// Steps between positions, positive.
  public let strides: [Int]
  /// Distances between the numbers of a window, positive.
  public let dilations: [Int]
  /// Pads at the beginning of each axis; 0 where `padding` is not explicit.
  public let before: [Int]
  /// Pads at the end of each axis; 0 where `padding` is not explicit.
  public let after: [Int]
  /// How pads are chosen.
  public let padding: Padding

  /// Number of spatial axes.
  public var rank: Int { kernel.count }

  /// (kernel − 1)·dilation + 1: from the first to the last number of a window.
  public func reach(_ axis: Int) -> Extent { (kernel[axis] - 1) * Extent(dilations[axis]) + 1 }

  /// True where an axis passes unchanged: a window of one, steps of one, no pads.
  public func isIdentity(_ axis: Int) -> Bool {
    let padded = padding == .explicit && (before[axis] != 0 || after[axis] != 0)
    return kernel[axis] == Extent(1) && strides[axis] == 1 && !padded
  }

  /// Positions that the window takes on an axis of `extent` numbers; with `ceiling`, a last one that hangs over the end counts where
  /// it begins inside the padded beginning or the axis itself.
  public func positions(_ axis: Int, of extent: Extent, ceiling: Bool = false) -> Extent {
    let stride = Extent(strides[axis])
    func ceilDivided(_ extent: Extent) -> Extent { (extent + stride - 1).floorDivided(by: stride) }
    switch padding {
    case .sameUpper, .sameLower: return ceilDivided(extent)
    case .explicit, .valid: break
    }
    let room = extent + Extent(before[axis]) + Extent(after[axis]) - reach(axis)
    guard ceiling else { return room.floorDivided(by: stride) + 1 }
    let all = ceilDivided(room) + 1
    if (Extent(after[axis]) + stride).isLess(than: reach(axis) + 1) == true { return all }
    let inside = ceilDivided(extent + Extent(before[axis]))
    switch inside.isLess(than: all) {
    case true?: return inside
    case false?: return all
    case nil: return .function("min", all, ",", inside)
    }
  }
}

extension InferenceContext {
  /// The window that the node's attributes describe (`strides`, `dilations`, `pads`, `auto_pad`) over `kernel.count` spatial axes.
  /// Throws where a list has another length, or a number is not positive (pads may be 0 or less).
  public func window(kernel: [Extent]) throws(Diagnostic) -> SpatialWindow {
    let rank = kernel.count
    let strides = try list(.strides, count: rank, default: 1)
    let dilations = try list(.dilations, count: rank, default: 1)
    let padding: SpatialWindow.Padding
    switch attributes.string(.autoPad) {
    case nil, "NOTSET", "": padding = .explicit
    case "SAME_UPPER": padding = .sameUpper
    case "SAME_LOWER": padding = .sameLower
    case "VALID": padding = .valid
    case let other?: throw failure("auto_pad is \(other), which is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    }
    let pads = padding == .explicit ? try list(.pads, count: 2 * rank, default: 0) : Array(repeating: 0, count: 2 * rank)
    try require(strides.allSatisfy { $0 > 0 }, "strides \(strides) are not positive")
    try require(dilations.allSatisfy { $0 > 0 }, "dilations \(dilations) are not positive")
    return SpatialWindow(
      kernel: kernel, strides: strides, dilations: dilations, before: Array(pads.prefix(rank)), after: Array(pads.suffix(rank)),
      padding: padding)
  }

  /// A list attribute that must hold `count` numbers; `default` repeated where it is left out.
  public func list(_ name: AttributeName, count: Int, default value: Int) throws(Diagnostic) -> [Int] {
    guard let listed = attributes.ints(name), !listed.isEmpty else { return Array(repeating: value, count: count) }
    try require(listed.count == count, "\(name.rawValue) has \(listed.count) numbers where \(count) are expected")
    return listed
  }

  /// Extents of the spatial axes after a window has slid over them. Throws where the window does not fit.
  public func spatialExtents(_ extents: [Extent], _ window: SpatialWindow, ceiling: Bool = false) throws(Diagnostic) -> [Extent] {
    try require(
      extents.count == window.rank, "the window has \(window.rank) axes, the input \(extents.count) spatial ones")
    var result: [Extent] = []
    for (axis, extent) in extents.enumerated() {
      let positions = window.positions(axis, of: extent, ceiling: ceiling)
      if let number = positions.constant, number < 1, extent != Extent(0) {
        throw failure("a window of \(window.reach(axis)) does not fit spatial axis \(axis) of extent \(extent)")
      }
      result.append(positions)
    }
    return result
  }
}
