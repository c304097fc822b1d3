import Graph

/// How a computed list is given other numbers while some of them stay dynamic.
extension ShapeNumbers {
  /// Follows the numbers back through the node that makes `value`, to the part of it that is wrong; nil where they cannot be told
  /// apart. `movesOnly` stops at arithmetic.
  mutating func pushedBack(
    _ wanted: KnownValue, _ value: ValueID, for user: Int?, movesOnly: Bool
  ) throws(Diagnostic) -> ValueID? {
    guard let producer = producers[value.index] else { return nil }
    // Its operands may have been replaced already.
    let node = editor.module.nodes[producer]
    guard node.outputs.count == 1 else { return nil }
    switch node.operation {
    case .joining(.concat): return try throughConcat(wanted, value, node, for: user)
    case .reshaping(.unsqueeze), .reshaping(.squeeze), .reshaping(.reshape), .reshaping(.flatten), .elementwise(.identity),
      .elementwise(.cast):
      guard let input = node.inputs.first ?? nil, editor.module[input].type.element.isInteger,
        let shape = editor.module[input].type.staticShape, let numbers = KnownValue(shape: shape, entries: wanted.entries)
      else { return nil }
      var inputs = node.inputs
      inputs[0] = try carrier(of: numbers, like: input, for: user)
      return copy(value, inputs, wanted)
    case .elementwise(.choose): return try throughChoice(wanted, value, node, for: user)
    case .reshaping(.expand): return try throughExpand(wanted, value, node, for: user)
    case .elementwise(.mul) where !movesOnly:
      return try throughArithmetic(wanted, value, node, for: user) { $0.dividedExactly(by: $1) }
    case .elementwise(.add) where !movesOnly: return try throughArithmetic(wanted, value, node, for: user) { $0 - $1 }
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence,
      .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  /// Each part carries its part of the numbers.
  private mutating func throughConcat(
    _ wanted: KnownValue, _ value: ValueID, _ node: Node, for user: Int?
  ) throws(Diagnostic) -> ValueID? {
    let rank = wanted.shape.count
    let given = node.attributes.int(.axis) ?? 0
    let axis = given < 0 ? given + rank : given
    guard wanted.shape.indices.contains(axis) else { return nil }
    let inner = wanted.shape[(axis + 1)...].reduce(1, *)
    let row = wanted.shape[axis] * inner
    let outer = wanted.shape[..<axis].reduce(1, *)
    var parts: [(value: ValueID, numbers: KnownValue)] = []
    var start = 0
    for input in node.inputs {
      guard let input, let shape = now[input.index]?.shape ?? editor.module[input].type.staticShape, shape.count == rank,
        start + shape[axis] <= wanted.shape[axis]
      else { return nil }
      let count = shape[axis]
      let entries = (0..<outer).flatMap { block -> ArraySlice<KnownValue.Entry> in
        let first = block * row + start * inner
        return wanted.entries[first..<first + count * inner]
      }
      var extents = wanted.shape
      extents[axis] = count
      guard let part = KnownValue(shape: extents, entries: entries) else { return nil }
      parts.append((input, part))
      start += count
    }
    guard start == wanted.shape[axis] else { return nil }
    var inputs: [ValueID?] = []
    for part in parts { inputs.append(try carrier(of: part.numbers, like: part.value, for: user)) }
    return copy(value, inputs, wanted)
  }

  /// What is repeated carries one of the equal parts.
  private mutating func throughExpand(
    _ wanted: KnownValue, _ value: ValueID, _ node: Node, for user: Int?
  ) throws(Diagnostic) -> ValueID? {
    guard let input = node.inputs.first ?? nil, let shape = now[input.index]?.shape ?? editor.module[input].type.staticShape,
      shape.count <= wanted.shape.count, editor.module[value].type.staticShape == wanted.shape
    else { return nil }
    let offset = wanted.shape.count - shape.count
    var entries = [KnownValue.Entry](repeating: .unknown, count: shape.reduce(1, *))
    for (place, entry) in wanted.entries.enumerated() where entry != .unknown {
      var (rest, at, stride) = (place, 0, 1)
      for axis in wanted.shape.indices.reversed() {
        let index = rest % wanted.shape[axis]
        rest /= wanted.shape[axis]
        guard axis >= offset else { continue }
        let extent = shape[axis - offset]
        guard extent == 1 || index < extent else { return nil }
        at += (extent == 1 ? 0 : index) * stride
        stride *= extent
      }
      guard entries.indices.contains(at), entries[at] == .unknown || entries[at] == entry else { return nil }
      entries[at] = entry
    }
    guard let numbers = KnownValue(shape: shape, entries: entries) else { return nil }
    var inputs = node.inputs
    inputs[0] = try carrier(of: numbers, like: input, for: user)
    return copy(value, inputs, wanted)
  }

  /// A constant list in the shape that is wanted.
  mutating func reshapedList(_ wanted: KnownValue, _ value: ValueID, for user: Int?) throws(Diagnostic) -> ValueID {
    let shape = KnownValue(list: wanted.shape.map { Extent($0) })
    guard let list = KnownValue(shape: [wanted.entries.count], entries: wanted.entries),
      let content = Self.content(list, editor.module[value].type.element), let target = Self.content(shape, .i64)
    else { throw failure(user, "needs \(Self.text(wanted)) of \(original[value].name), which its element type cannot hold") }
    let name = original[value].name
    let inputs = [addParameter(like: name, content, list), addParameter(like: name, target, shape)]
    return insert(.reshaping(.reshape), inputs, like: value, Attributes(), wanted, "carries \(Self.text(wanted))")
  }

  /// Where the condition is known, each number is wanted of the choice that gives it (`-1` in an expand's list becomes 1 so).
  private mutating func throughChoice(
    _ wanted: KnownValue, _ value: ValueID, _ node: Node, for user: Int?
  ) throws(Diagnostic) -> ValueID? {
    guard node.inputs.count == 3, let condition = node.inputs[0], let choices = now[condition.index]?.numbers,
      choices.count == wanted.entries.count
    else { return nil }
    var inputs = node.inputs
    for (operand, truth) in [(1, true), (2, false)] {
      guard let input = inputs[operand], editor.module[input].type.staticShape == wanted.shape else { return nil }
      let entries = zip(choices, wanted.entries).map { ($0 != 0) == truth ? $1 : .unknown }
      guard let part = KnownValue(shape: wanted.shape, entries: entries) else { return nil }
      inputs[operand] = try carrier(of: part, like: input, for: user)
    }
    return copy(value, inputs, wanted)
  }

  /// Of a dynamic and a fixed operand the fixed one changes, where `inverse` of what is wanted and the dynamic one is fixed.
  private mutating func throughArithmetic(
    _ wanted: KnownValue, _ value: ValueID, _ node: Node, for user: Int?, _ inverse: (Extent, Extent) -> Extent?
  ) throws(Diagnostic) -> ValueID? {
    guard node.inputs.count == 2 else { return nil }
    for (fixed, dynamic) in [(1, 0), (0, 1)] {
      guard let constant = node.inputs[fixed], let other = node.inputs[dynamic], let numbers = now[constant.index],
        numbers.numbers != nil, let others = now[other.index], let numbers = Self.solve(wanted, others, numbers, inverse)
      else { continue }
      var inputs = node.inputs
      inputs[fixed] = try carrier(of: numbers, like: constant, for: user)
      return copy(value, inputs, wanted)
    }
    return nil
  }

  /// What the fixed operand must hold so that with `dynamic` the result is `wanted`; nil where no fixed numbers do that.
  private static func solve(
    _ wanted: KnownValue, _ dynamic: KnownValue, _ fixed: KnownValue, _ inverse: (Extent, Extent) -> Extent?
  ) -> KnownValue? {
    var entries: [KnownValue.Entry] = []
    for (place, entry) in wanted.entries.enumerated() {
      let meets: KnownValue.Entry
      if dynamic.entries.count == 1 {
        meets = dynamic.entries[0]
      } else if dynamic.shape == wanted.shape {
        meets = dynamic.entries[place]
      } else {
        return nil
      }
      if entry == .unknown {
        entries.append(.unknown)
        continue
      }
      guard let goal = entry.whole, let met = meets.whole, let number = inverse(goal, met), number.isConstant else { return nil }
      entries.append(.whole(number))
    }
    if fixed.shape == wanted.shape { return KnownValue(shape: fixed.shape, entries: entries) }
    let known = entries.filter { $0 != .unknown }
    guard fixed.entries.count == 1, let first = known.first, known.allSatisfy({ $0 == first }) else { return nil }
    return KnownValue(shape: fixed.shape, entries: [first])
  }

  /// How one number becomes another when the model runs: times, over, plus.
  private struct Correction {
    var times = 1
    var over = 1
    var plus = 0
  }

  /// Multiplies, divides and adds after the value, number by number: `batch*4` becomes `batch*2` as `v · 1 / 2`.
  mutating func corrected(_ wanted: KnownValue, _ value: ValueID, for user: Int?) throws(Diagnostic) -> ValueID {
    let present = now[value.index]
    guard let present, present.shape == wanted.shape, editor.module[value].type.element.isInteger else {
      throw failure(user, "needs \(Self.text(wanted)) of \(original[value].name), of which too little is known to correct it")
    }
    var corrections: [Correction] = []
    for (have, want) in zip(present.entries, wanted.entries) {
      guard let correction = Self.correction(from: have, to: want) else {
        throw failure(
          user,
          "needs \(Self.text(wanted)) of \(original[value].name), which is \(Self.text(present)): no fixed factor leads there")
      }
      corrections.append(correction)
    }
    var result = value
    var entries = present.entries
    let steps: [(operation: Elementwise, numbers: [Int], neutral: Int)] = [
      (.mul, corrections.map(\.times), 1), (.div, corrections.map(\.over), 1), (.add, corrections.map(\.plus), 0),
    ]
    for (place, step) in steps.enumerated() where step.numbers.contains(where: { $0 != step.neutral }) {
      let shape = present.shape
      guard let known = KnownValue(shape: shape, entries: step.numbers.map { .whole(Extent($0)) }),
        let content = Self.content(known, editor.module[value].type.element)
      else { throw failure(user, "needs \(Self.text(wanted)) of \(original[value].name), which its element type cannot hold") }
      let constant = addParameter(like: original[value].name, content, known)
      let isLast = steps[(place + 1)...].allSatisfy { rest in rest.numbers.allSatisfy { $0 == rest.neutral } }
      entries = isLast ? wanted.entries : entries.map { _ in .unknown }
      guard let numbers = KnownValue(shape: shape, entries: entries) else { continue }
      result = insert(
        .elementwise(step.operation), [result, constant], like: value, Attributes(), numbers,
        "corrects \(Self.text(present)) to \(Self.text(wanted))")
    }
    return result
  }

  /// The factors that lead from one number to another whatever the symbols stand for; nil where there are none.
  private static func correction(from have: KnownValue.Entry, to want: KnownValue.Entry) -> Correction? {
    if want == .unknown || have == want { return Correction() }
    guard let goal = want.whole else { return nil }
    if let present = have.whole, let ratio = ratio(goal, present) { return Correction(times: ratio.times, over: ratio.over) }
    if let present = have.whole, let plus = (goal - present).constant { return Correction(plus: plus) }
    return goal.constant.map { Correction(times: 0, plus: $0) }
  }

  /// a / b as a fraction of two numbers, where it is one for all values of the symbols.
  private static func ratio(_ a: Extent, _ b: Extent) -> (times: Int, over: Int)? {
    guard let x = a.evaluated({ _ in 1 }), let y = b.evaluated({ _ in 1 }), x != 0, y != 0, x != Int.min, y != Int.min else {
      return nil
    }
    var (m, n) = (abs(x), abs(y))
    while n != 0 { (m, n) = (n, m % n) }
    let sign = y < 0 ? -1 : 1
    let fraction = (times: sign * (x / m), over: sign * (y / m))
    return a * Extent(fraction.over) == b * Extent(fraction.times) ? fraction : nil
  }

  // MARK: - Who reads numbers as shapes

  /// True where a node hands the numbers of an operand on, as shape arithmetic, to results that are followed; false where it
  /// reads them for something else.
  func passesOn(_ index: Int, _ operand: Int) -> Bool {
    let node = original.nodes[index]
    if Self.readsShapeOnly(node.operation) || Self.compares(node.operation) { return true }
    let results = node.outputs.compactMap(\.self)
    guard results.allSatisfy({ original[$0].type.element.isInteger }) else { return false }
    switch node.operation {
    case .elementwise(let operation):
      switch operation {
      case .add, .sub, .mul, .div, .mod, .neg, .abs, .min, .max, .sum:
        return results.allSatisfy { isKnown($0, throughout: true) }
      case .identity, .cast: return results.allSatisfy { isKnown($0) }
      case .castLike: return operand == 1 || results.allSatisfy { isKnown($0) }
      case .choose: return operand > 0 && results.allSatisfy { isKnown($0) }
      case .acos, .acosh, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .ceil,
        .celu, .clip, .cos, .cosh, .dropout, .elu, .equal, .erf, .exp, .floor, .gelu, .greater, .greaterOrEqual, .hardSigmoid,
        .hardSwish, .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .mean, .mish, .not, .or, .pow, .prelu,
        .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere,
        .reciprocal,
        .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .swish, .tan, .tanh,
        .thresholdedRelu, .xor, .biasGelu, .fastGelu, .microsoftGelu, .quickGelu:
        return false
      }
    case .reshaping, .joining(.slice), .joining(.split), .joining(.pad):
      return operand == 0 && results.allSatisfy { isKnown($0) }
    case .joining(.concat), .joining(.quantisedConcat): return results.allSatisfy { isKnown($0) }
    case .indexing(.gather), .indexing(.gatherElements), .indexing(.gatherND):
      return operand == 0 && results.allSatisfy { isKnown($0) }
    case .indexing(.scatterElements), .indexing(.scatterND):
      return operand != 1 && results.allSatisfy { isKnown($0) }
    case .reduction(.reduceProd), .reduction(.reduceSum), .reduction(.reduceMin), .reduction(.reduceMax):
      return operand == 0 && results.allSatisfy { isKnown($0, throughout: true) }
    case .indexing, .reduction, .generation, .matrixProduct, .convolution, .normalisation, .pooling, .recurrence, .attention,
      .quantisation, .opaque:
      return false
    }
  }

  /// Operators that read the shape of their operand, and none of its numbers.
  static func readsShapeOnly(_ operation: Operator) -> Bool {
    guard case .generation(let generation) = operation else { return false }
    switch generation {
    case .shape, .size, .eyeLike, .randomNormalLike, .randomUniformLike: return true
    case .bernoulli, .constantOfShape, .multinomial, .randomNormal, .randomUniform, .range: return false
    }
  }

  /// Operators whose truth values may well stay the same when dimensions change (`shape == -1`).
  static func compares(_ operation: Operator) -> Bool {
    guard case .elementwise(let elementwise) = operation else { return false }
    return [.equal, .greater, .greaterOrEqual, .less, .lessOrEqual].contains(elementwise)
  }

  // MARK: - Numbers

  /// True where `present` carries what is required.
  static func satisfies(_ present: KnownValue, _ required: KnownValue) -> Bool {
    present.shape == required.shape && zip(present.entries, required.entries).allSatisfy { $1 == .unknown || $0 == $1 }
  }

  /// What is required, with what is present in the places where anything will do.
  static func filled(_ required: KnownValue, from present: KnownValue?) -> KnownValue {
    guard let present, present.shape == required.shape else { return required }
    let entries = zip(required.entries, present.entries).map { $0 == .unknown ? $1 : $0 }
    return KnownValue(shape: required.shape, entries: entries) ?? required
  }

  /// The bytes of known numbers; nil where one is not known in numbers, or does not fit the element type.
  static func content(_ known: KnownValue, _ element: ElementType) -> TensorContent? {
    func whole<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> TensorData? {
      var numbers: [Number] = []
      for entry in known.entries {
        guard let number = entry.whole?.constant, let exact = Number(exactly: number) else { return nil }
        numbers.append(exact)
      }
      return TensorData(numbers)
    }
    func real<Number: BinaryFloatingPoint & BitwiseCopyable>(_ type: Number.Type) -> TensorData? {
      var numbers: [Number] = []
      for entry in known.entries {
        switch entry {
        case .real(let number): numbers.append(Number(number))
        case .whole(let extent):
          guard let number = extent.constant else { return nil }
          numbers.append(Number(number))
        case .unknown: return nil
        }
      }
      return TensorData(numbers)
    }
    let data: TensorData?
    switch element {
    case .i8: data = whole(Int8.self)
    case .i16: data = whole(Int16.self)
    case .i32: data = whole(Int32.self)
    case .i64: data = whole(Int64.self)
    case .u8, .bool: data = whole(UInt8.self)
    case .u16: data = whole(UInt16.self)
    case .u32: data = whole(UInt32.self)
    case .u64: data = whole(UInt64.self)
    case .f32: data = real(Float.self)
    case .f64: data = real(Double.self)
    case .f16, .bf16, .i4, .u4, .i2, .u2, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128,
      .unknown:
      data = nil
    }
    return data.map { TensorContent($0, element: element, shape: known.shape) }
  }

  /// `[batch, 4, 64]`, a number without an axis by itself; `?` for what is not known, and the first few of many.
  static func text(_ known: KnownValue) -> String {
    let entries = known.entries.prefix(8).map { entry in
      switch entry {
      case .whole(let extent): "\(extent)"
      case .real(let number): "\(number)"
      case .unknown: "?"
      }
    }
    if known.shape.isEmpty, let only = entries.first { return only }
    return "[\(entries.joined(separator: ", "))\(known.entries.count > 8 ? ", …" : "")]"
  }
}
