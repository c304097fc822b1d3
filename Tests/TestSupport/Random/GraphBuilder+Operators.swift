import Graph

/// Operators in short.
extension GraphBuilder {
  mutating func apply(_ operation: Elementwise, _ operands: ValueID?...) throws(Diagnostic) -> ValueID {
    try add(.elementwise(operation), operands)
  }

  mutating func matMul(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID { try add(.matrixProduct(.matMul), [a, b]) }

  mutating func einsum(_ equation: String, _ operands: ValueID...) throws(Diagnostic) -> ValueID {
    try add(.matrixProduct(.einsum), operands, [.string(.equation, equation)])
  }

  mutating func transpose(_ x: ValueID, _ order: [Int]) throws(Diagnostic) -> ValueID {
    try add(.reshaping(.transpose), [x], [.ints(.perm, order)])
  }

  /// Exchanges the last two axes.
  mutating func turned(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let rank = rank(x)
    return try transpose(x, Array(0..<rank - 2) + [rank - 1, rank - 2])
  }

  mutating func unsqueeze(_ x: ValueID, _ axes: [Int]) throws(Diagnostic) -> ValueID {
    try add(.reshaping(.unsqueeze), [x, wholes(axes)])
  }

  mutating func squeeze(_ x: ValueID, _ axes: [Int]) throws(Diagnostic) -> ValueID {
    try add(.reshaping(.squeeze), [x, wholes(axes)])
  }

  mutating func concat(_ parts: [ValueID], _ axis: Int) throws(Diagnostic) -> ValueID {
    try add(.joining(.concat), parts, [.int(.axis, axis)])
  }

  /// Pieces of the given sizes.
  mutating func split(_ x: ValueID, _ sizes: [Int], _ axis: Int) throws(Diagnostic) -> [ValueID] {
    let isEven = Set(sizes).count == 1
    if isEven, opset >= 18, dice.chance(0.5) {
      return try add(.joining(.split), [x], [.int(.axis, axis), .int(.numOutputs, sizes.count)], outputs: sizes.count)
    }
    if isEven, opset < 18, dice.chance(0.5) { return try add(.joining(.split), [x], [.int(.axis, axis)], outputs: sizes.count) }
    if dice.chance(0.8) { return try add(.joining(.split), [x, wholes(sizes)], [.int(.axis, axis)], outputs: sizes.count) }
    var list: [ValueID] = []
    for size in sizes { list.append(try number(size, like: x)) }
    return try add(.joining(.split), [x, try concat(list, 0)], [.int(.axis, axis)], outputs: sizes.count)
  }

  mutating func slice(_ x: ValueID, _ axis: Int, _ start: Int, _ end: Int, step: Int = 1) throws(Diagnostic) -> ValueID {
    let isComputed =
      module[x].type.element.isFloat && start > 0 && end > start && end <= shape(x).compactMap(\.constant).max() ?? 0
    let from = isComputed ? try number(start, like: x) : wholes([start])
    let to = isComputed ? try number(end, like: x) : wholes([end])
    var operands: [ValueID?] = [x, from, to, wholes([dice.chance(0.2) ? axis - rank(x) : axis])]
    if step != 1 || dice.chance(0.3) { operands.append(wholes([step])) }
    return try add(.joining(.slice), operands)
  }

  /// The same by a split or by slices, as exporters do either.
  mutating func pieces(_ x: ValueID, _ sizes: [Int], _ axis: Int) throws(Diagnostic) -> [ValueID] {
    if dice.chance(0.5) { return try split(x, sizes, axis) }
    var start = 0
    var result: [ValueID] = []
    for (at, size) in sizes.enumerated() {
      let isLast = at == sizes.count - 1
      let whole = sizes.reduce(0, +)
      let from = dice.chance(0.2) && start > 0 ? start - whole : start
      result.append(try slice(x, axis, from, isLast && dice.chance(0.5) ? Int(Int64.max) : start + size))
      start += size
    }
    return result
  }

  /// One index of an axis, which disappears.
  mutating func select(_ x: ValueID, _ axis: Int, _ index: Int) throws(Diagnostic) -> ValueID {
    if dice.chance(0.8) { return try add(.indexing(.gather), [x, whole(index)], [.int(.axis, axis)]) }
    return try squeeze(try slice(x, axis, index, index == -1 ? Int(Int64.max) : index + 1), [axis])
  }

  mutating func gather(_ x: ValueID, _ indices: [Int], _ axis: Int, shape: [Int]? = nil) throws(Diagnostic) -> ValueID {
    try add(.indexing(.gather), [x, wholes(indices, shape)], [.int(.axis, axis)])
  }

  mutating func reduce(_ operation: Reduction, _ x: ValueID, _ axes: [Int], keep: Bool) throws(Diagnostic) -> ValueID {
    let takesOperand = opset >= (operation == .reduceSum ? 13 : 18)
    let keeps = Attributes.Entry.int(.keepDims, keep ? 1 : 0)
    if takesOperand { return try add(.reduction(operation), [x, wholes(axes)], [keeps]) }
    return try add(.reduction(operation), [x], [.ints(.axes, axes), keeps])
  }

  mutating func softmax(_ x: ValueID, _ axis: Int) throws(Diagnostic) -> ValueID {
    try add(.normalisation(.softmax), [x], [.int(.axis, axis)])
  }

  /// An axis's length when the model runs, as a number without an axis, or as a list of one.
  mutating func length(_ x: ValueID, _ axis: Int, asList: Bool) throws(Diagnostic) -> ValueID {
    let at = axis < 0 ? axis + rank(x) : axis
    if asList, dice.chance(0.3) { return try add(.generation(.shape), [x], [.int(.start, at), .int(.end, at + 1)]) }
    let whole = try add(.generation(.shape), [x])
    if asList, dice.chance(0.3) { return try slice(whole, 0, at, at + 1) }
    if asList, dice.chance(0.4) { return try gather(whole, [at], 0) }
    let number = try add(.indexing(.gather), [whole, self.whole(at)], [.int(.axis, 0)])
    return asList ? try unsqueeze(number, [0]) : number
  }

  /// A view of the same numbers. Symbolic lengths become 0 or −1, or are computed from shapes.
  mutating func reshape(_ x: ValueID, _ target: [Extent]) throws(Diagnostic) -> ValueID {
    let symbolic = target.indices.filter { !target[$0].isConstant }
    if let list = constantTarget(x, target, symbolic), dice.chance(symbolic.isEmpty ? 0.9 : 0.6) {
      return try add(.reshaping(.reshape), [x, wholes(list)])
    }
    return try add(.reshaping(.reshape), [x, try computedTarget(x, target)])
  }

  private mutating func constantTarget(_ x: ValueID, _ target: [Extent], _ symbolic: [Int]) -> [Int]? {
    var list = target.map { $0.constant ?? -1 }
    let old = shape(x)
    var left = 1
    for at in symbolic {
      let canCopy = old.indices.contains(at) && old[at] == target[at]
      if canCopy, left == 0 || dice.chance(0.5) {
        list[at] = 0
      } else if left > 0 {
        left -= 1
      } else {
        return nil
      }
    }
    if left == 1, dice.chance(0.3) {
      // Any one length follows from the others.
      let at = dice.int(0...max(0, list.count - 1))
      if list.indices.contains(at), list[at] > 0 { list[at] = -1 }
    } else if dice.chance(0.1), let at = old.indices.first(where: { target.indices.contains($0) && old[$0] == target[$0] }),
      list[at] > 0
    {
      list[at] = 0
    }
    return list
  }

  private mutating func computedTarget(_ x: ValueID, _ target: [Extent]) throws(Diagnostic) -> ValueID {
    var parts: [ValueID] = []
    for wanted in target { parts.append(try lengthList(x, wanted)) }
    return try concat(parts, 0)
  }

  /// A list of one number: a constant, an axis of something, or a product or quotient of both.
  private mutating func lengthList(_ x: ValueID, _ wanted: Extent) throws(Diagnostic) -> ValueID {
    if let number = wanted.constant { return try self.number(number, like: x) }
    for source in [x] + module.inputs {
      if let at = shape(source).firstIndex(of: wanted) { return try length(source, at, asList: true) }
    }
    for source in [x] + module.inputs {
      for (at, extent) in shape(source).enumerated() where !extent.isConstant {
        if let rest = wanted.dividedExactly(by: extent) {
          let number = try length(source, at, asList: false)
          let other = try squeeze(try lengthList(x, rest), [0])
          return try unsqueeze(try apply(.mul, number, other), [0])
        }
        if let times = extent.dividedExactly(by: wanted)?.constant {
          let number = try length(source, at, asList: false)
          return try unsqueeze(try apply(.div, number, whole(times)), [0])
        }
      }
    }
    throw Diagnostic(.invalid, "the generator cannot compute a length of \(wanted)")
  }

  /// A list of one fixed number: a constant, or computed of the lengths of a value's axes in one of the ways that exporters leave.
  mutating func number(_ wanted: Int, like x: ValueID) throws(Diagnostic) -> ValueID {
    guard wanted > 1, dice.chance(0.25) else { return wholes([wanted]) }
    let lengths = shape(x).enumerated().compactMap { at, extent in extent.constant.map { (at: at, length: $0) } }
    let (at, length) = lengths.isEmpty ? (0, 0) : dice.pick(lengths)
    if lengths.isEmpty || length < 2 { return wholes([wanted]) }
    if length == wanted { return try self.length(x, at, asList: true) }
    let asNumber = try self.length(x, at, asList: false)
    let result: ValueID
    if length % wanted == 0 {
      result = try apply(.div, asNumber, whole(length / wanted))
    } else if wanted % length == 0 {
      let rest = wanted / length
      let other = lengths.first { $0.at != at && $0.length == rest }
      result = try apply(
        .mul, asNumber, try other.map { (other) throws(Diagnostic) in try self.length(x, other.at, asList: false) } ?? whole(rest)
      )
    } else {
      result =
        length > wanted ? try apply(.sub, asNumber, whole(length - wanted)) : try apply(.add, asNumber, whole(wanted - length))
    }
    return try unsqueeze(result, [0])
  }

  /// Repeats axes of one index.
  mutating func expand(_ x: ValueID, _ target: [Extent]) throws(Diagnostic) -> ValueID {
    let old = shape(x)
    let offset = target.count - old.count
    let isStatic = target.enumerated().allSatisfy { $1.isConstant || ($0 >= offset && old[$0 - offset] == $1) }
    if isStatic, dice.chance(0.7) {
      let list = target.enumerated().map { at, extent in
        at >= offset && old[at - offset] == extent && (!extent.isConstant || dice.chance(0.3)) ? 1 : extent.constant ?? 1
      }
      return try add(.reshaping(.expand), [x, wholes(list)])
    }
    if isStatic, dice.chance(0.5) { return try add(.reshaping(.expand), [x, try keptTarget(x, target)]) }
    return try add(.reshaping(.expand), [x, try computedTarget(x, target)])
  }

  /// −1 for what stays, made 1 when the model runs.
  private mutating func keptTarget(_ x: ValueID, _ target: [Extent]) throws(Diagnostic) -> ValueID {
    let old = shape(x)
    let offset = target.count - old.count
    let list = wholes(target.enumerated().map { $0 >= offset && old[$0 - offset] == $1 ? -1 : $1.constant ?? 1 })
    let one = TensorData([Int64(1)])
    let ones = try add(
      .generation(.constantOfShape), [wholes([target.count])], [.init(.value, .tensor(TensorType(.i64, [1]), one))])
    let isKept = try apply(.equal, list, try apply(.mul, ones, whole(-1)))
    return try apply(.choose, isKept, ones, list)
  }
}
