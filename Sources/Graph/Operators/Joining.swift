/// Concatenates, cuts and pads along axes.
public enum Joining: String, CaseIterable, Sendable, Hashable {
  case concat = "Concat"
  case pad = "Pad"
  case slice = "Slice"
  case split = "Split"
  case quantisedConcat = "com.microsoft.QLinearConcat"
}

extension Joining: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .concat: Signature(1...Signature.many)
    case .quantisedConcat: Signature(5...Signature.many)
    case .pad: Signature(2...4)
    case .slice: Signature(3...5)
    case .split: Signature(1...2, outputs: 1...Signature.many)
    }
  }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .concat, .quantisedConcat: try concat(&context)
    case .pad: try Self.pad(&context)
    case .slice: try Self.slice(&context)
    case .split: try Self.split(&context)
    }
  }
}

extension Joining {
  /// Which operands are concatenated. A quantised one begins with the result's scale and zero point, and each part has its own.
  func parts(count: Int) -> [Int] {
    self == .quantisedConcat ? Array(stride(from: 2, to: count, by: 3)) : Array(0..<count)
  }

  private func concat(_ context: inout InferenceContext) throws(Diagnostic) {
    let operands = self.parts(count: context.inputCount)
    guard let head = operands.first else { throw context.failure("has no operands") }
    let first = try context.type(head)
    guard let given = context.attributes.int(.axis) else { throw context.failure("has no axis") }
    let axis = try context.axis(given, rank: first.rank)
    var shape = first.shape
    var parts: [KnownValue]? = []
    for index in operands {
      let part = try context.type(index)
      try context.require(part.rank == first.rank, "operand \(index) is \(part), operand \(head) \(first): their ranks differ")
      try context.require(
        part.element == first.element, "operand \(index) is \(part), operand \(head) \(first): their types differ")
      if index > head {
        for other in shape.indices {
          shape[other] =
            other == axis
            ? shape[other] + part.shape[other]
            : try context.agree(shape[other], part.shape[other]) {
              "operand \(index) has extent \($1) on axis \(other), those before it \($0)"
            }
        }
      }
      // What is not known of one part leaves the others known.
      let known = context.known(index) ?? part.staticShape.flatMap { KnownValue.filled($0, with: .unknown) }
      if let known { parts?.append(known) } else { parts = nil }
    }
    context.set(0, first.element, shape)
    if let parts, parts.contains(where: { $0.entries.contains { $0 != .unknown } }) {
      context.setKnown(0, KnownValue.concatenated(parts, axis: axis))
    }
  }

  private static func split(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: input.rank)
    let sizes = try splitSizes(&context, of: input.shape[axis], axis: axis)
    var first: Int? = 0
    for (output, size) in sizes.enumerated() {
      var shape = input.shape
      shape[axis] = size
      context.set(output, input.element, shape)
      if let from = first, let count = size.constant {
        context.setKnown(output, context.known(0)?.cut(axis: axis, from: from, count: count))
        first = from &+ count
      } else {
        first = nil
      }
    }
  }

  private static func splitSizes(_ context: inout InferenceContext, of extent: Extent, axis: Int) throws(Diagnostic) -> [Extent] {
    let count = context.outputCount
    let listed: [Extent?]?
    if let split = context.attributes.ints(.split) {
      listed = split.map { Extent($0) }
    } else if context.has(1) {
      listed = context.known(1)?.entries.map(\.whole) ?? Array(repeating: nil, count: count)
    } else {
      listed = nil
    }
    if let listed {
      try context.require(listed.count == count, "\(listed.count) sizes are given for \(count) results")
      try context.require(listed.allSatisfy { $0?.constant.map { $0 >= 0 } ?? true }, "a size is negative")
      let known = listed.compactMap(\.self)
      if known.count == count, let sum = known.reduce(0, +).constant, let number = extent.constant, sum != number {
        throw context.failure("the sizes \(InferenceContext.text(known)) add up to \(sum), but axis \(axis) is \(number)")
      }
      return listed.enumerated().map { output, size in
        if let size { return size }
        let rest = extent - known.reduce(0, +)
        return known.count == count - 1 && rest.constant != nil ? rest : context.unknownExtent(output: output, axis: axis)
      }
    }
    if let parts = context.attributes.int(.numOutputs) {
      try context.require(parts == count, "num_outputs is \(parts), but there are \(count) results")
      let chunk = extent.dividedExactly(by: Extent(count)) ?? (extent + Extent(count - 1)).floorDivided(by: Extent(count))
      let last = extent - chunk * Extent(count - 1)
      try context.require(last.constant.map { $0 >= 0 } ?? true, "axis \(axis) of \(extent) has no \(count) parts")
      return (0..<count).map { $0 < count - 1 ? chunk : last }
    }
    if let number = extent.constant, number % count != 0 {
      throw context.failure("axis \(axis) of extent \(number) does not split into \(count) equal parts; give the sizes")
    }
    return Array(repeating: extent.floorDivided(by: Extent(count)), count: count)
  }

  private static func pad(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let axes: [Int]
    switch try context.axes(attribute: nil, operand: 3, rank: input.rank) {
    case .absent: axes = Array(0..<input.rank)
    case .known(let known): axes = known
    case .unknown: return context.set(0, input.element, context.unknownShape(rank: input.rank))
    }
    let pads = context.known(1)?.entries.map(\.whole) ?? Array(repeating: nil, count: 2 * axes.count)
    try context.require(pads.count == 2 * axes.count, "\(pads.count) pads are given for \(axes.count) axes")
    var shape = input.shape
    for (at, axis) in axes.enumerated() {
      guard let before = pads[at], let after = pads[at + axes.count] else {
        shape[axis] = context.unknownExtent(axis: axis)
        continue
      }
      shape[axis] = shape[axis] + before + after
      if let number = shape[axis].constant {
        try context.require(number >= 0, "the pads \(before) and \(after) leave axis \(axis) of \(input) no extent")
      }
    }
    context.set(0, input.element, shape)
    guard (context.attributes.string(.mode) ?? "constant") == "constant", let known = context.known(0) else { return }
    let numbers = pads.compactMap { $0?.constant }
    guard numbers.count == pads.count, let target = TensorType(input.element, shape).staticShape else { return }
    var offsets = [Int](repeating: 0, count: input.rank)
    for (at, axis) in axes.enumerated() { offsets[axis] = numbers[at] }
    let zero: KnownValue.Entry = input.element.isFloat ? .real(0) : .whole(0)
    let filler = context.has(2) ? context.known(2)?.entries.first ?? .unknown : zero
    context.setKnown(
      0,
      KnownValue.made(target) { index in
        let inside = zip(index, offsets).map { $0 &- $1 }
        return zip(inside, known.shape).allSatisfy { (0..<$1).contains($0) } ? known.entry(at: inside) : filler
      })
  }

  private static func slice(_ context: inout InferenceContext) throws(Diagnostic) {
    let input = try context.type(0)
    let starts = try bounds(context, 1)
    let axes: [Int]
    switch try context.axes(attribute: nil, operand: 3, rank: input.rank) {
    case .absent:
      guard let count = starts?.count else { return context.set(0, input.element, context.unknownShape(rank: input.rank)) }
      try context.require(count <= input.rank, "cuts \(count) axes of \(input)")
      axes = Array(0..<count)
    case .known(let known): axes = known
    case .unknown: return context.set(0, input.element, context.unknownShape(rank: input.rank))
    }
    let missing = [Extent?](repeating: nil, count: axes.count)
    let from = starts ?? missing
    let to = try bounds(context, 2) ?? missing
    let steps = context.has(4) ? try bounds(context, 4) ?? missing : Array(repeating: 1, count: axes.count)
    try context.require(
      from.count == axes.count && to.count == axes.count && steps.count == axes.count,
      "\(from.count) starts, \(to.count) ends and \(steps.count) steps are given for \(axes.count) axes")
    var shape = input.shape
    var ranges: [(first: Int, count: Int, step: Int)?] = input.shape.map { extent in extent.constant.map { (0, $0, 1) } }
    for (at, axis) in axes.enumerated() {
      try context.require(steps[at]?.constant != 0, "the step along axis \(axis) is 0")
      guard let start = from[at], let end = to[at], let step = steps[at]?.constant else {
        shape[axis] = context.unknownExtent(axis: axis)
        ranges[axis] = nil
        continue
      }
      let window = SliceWindow(of: input.shape[axis], from: start, to: end, step: step)
      shape[axis] = window.count ?? context.unknownExtent(axis: axis)
      ranges[axis] = window.first.flatMap { first in window.count?.constant.map { (first, $0, step) } }
    }
    context.set(0, input.element, shape)
    let fixed = ranges.compactMap(\.self)
    if fixed.count == ranges.count { context.setKnown(0, context.known(0)?.cut(fixed)) }
  }

  /// Bounds per sliced axis; nil where not even their number is known.
  private static func bounds(_ context: InferenceContext, _ operand: Int) throws(Diagnostic) -> [Extent?]? {
    let type = try context.type(operand)
    guard let count = type.elementCount.constant else { return nil }
    try context.require(count <= 1024, "cuts \(count) axes")
    guard let known = context.known(operand), known.entries.count == count else { return Array(repeating: nil, count: count) }
    return known.entries.map(\.whole)
  }
}
