extension Joining {
  /// How a gradient passes through each operator of the family: each number gets what its places in the result got.
  public var gradient: GradientRule {
    switch self {
    case .concat: .chain(Self.parts)
    case .split: .chain(Self.whole)
    case .slice: .chain(Self.unsliced)
    case .pad: .chain(Self.unpadded)
    case .quantisedConcat: .none("it computes with quantised numbers")
    }
  }

  private static func parts(_ context: inout GradientContext) throws(Diagnostic) {
    let g = try context.gradient()
    let axis = try context.inference().axis(context.attributes.int(.axis) ?? 0, rank: g.rank)
    var lengths: [Extent] = []
    for index in context.node.inputs.indices { lengths.append(try context.input(index).shape[axis]) }
    for (index, part) in g.split(axis: axis, lengths).enumerated() { context.give(index, part) }
  }

  private static func whole(_ context: inout GradientContext) throws(Diagnostic) {
    let x = try context.input(0)
    let axis = try context.inference().axis(context.attributes.int(.axis) ?? 0, rank: x.rank)
    var inference = context.inference()
    try Joining.split.infer(&inference)
    var parts: [Term] = []
    for index in context.node.outputs.indices {
      if let given = context.optionalGradient(index) {
        parts.append(given)
      } else if let type = inference.outputTypes[index] {
        parts.append(x.zeros(type.shape))
      }
    }
    context.give(0, Term.concatenated(parts, axis: axis))
  }

  /// Zeros around what was cut out; where steps are not 1 the numbers go back one by one.
  private static func unsliced(_ context: inout GradientContext) throws(Diagnostic) {
    let x = try context.input(0)
    var g = try context.gradient()
    let operands = (1..<5).map { context.optional($0) }
    func known(_ index: Int) -> [Extent]? { operands[index].flatMap { context.writer.known($0.value)?.wholes } }
    guard let axes = operands[2] == nil ? Array(0..<(operands[0]?.shape.first?.constant ?? 0)) : known(2)?.compactMap(\.constant)
    else { throw context.failure("the axes are computed when the model runs") }
    let positive = try context.inference().axes(axes, rank: x.rank)
    let steps = operands[3] == nil ? Array(repeating: Extent(1), count: axes.count) : known(3)
    var (before, after) = (Array(repeating: 0, count: x.rank), Array(repeating: 0, count: x.rank))
    var others: [Int] = []
    for (at, axis) in positive.enumerated() {
      guard let start = known(0)?[at], let end = known(1)?[at], let step = steps?[at].constant, step == 1 else {
        others.append(at)
        continue
      }
      let window = SliceWindow(of: x.shape[axis], from: start, to: end, step: step)
      if let first = window.first, let count = window.count, let rest = (x.shape[axis] - Extent(first) - count).constant,
        rest >= 0
      {
        (before[axis], after[axis]) = (first, rest)
      } else {
        others.append(at)
      }
    }
    g = g.padded(before, after)
    for at in others {
      // Where along the axis each number came from: what the slice makes of 0, 1, ….
      let axis = positive[at]
      let cut = operands.enumerated().map { index, operand in
        index == 2 ? context.writer.list([0]) : operand?.sliced(axis: 0, from: at, to: at + 1)
      }
      let trimmed = cut[3] == nil ? Array(cut.prefix(3)) : cut
      let places = context.writer.node(.joining(.slice), [x.counting(axis: axis)] + trimmed)
      g = g.added(axis: axis, places, length: x.shape[axis])
    }
    context.give(0, g)
  }

  /// A pad of constants is undone by the opposite pad. The others take numbers from inside, which is a gather.
  private static func unpadded(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, g) = (try context.input(0), try context.gradient())
    let pads = try context.input(1)
    let axes: [Int]
    switch try context.inference().axes(attribute: nil, operand: 3, rank: x.rank) {
    case .absent: axes = Array(0..<x.rank)
    case .known(let listed): axes = listed
    case .unknown: throw context.failure("the axes are computed when the model runs")
    }
    let mode = context.attributes.string(.mode) ?? "constant"
    if mode == "constant" {
      let opposite = -pads
      let operands: [Term?] = context.optional(3).map { [g, opposite, g.number(0), $0] } ?? [g, opposite, g.number(0)]
      let inner = context.writer.node(.joining(.pad), operands)
      context.give(0, inner.reshaped(like: x))
      if let filler = context.optional(2) { context.give(2, (g.total - inner.total).reshaped(like: filler)) }
      return
    }
    var result = g
    for (at, axis) in axes.enumerated() {
      // Where along the axis each number came from: what the pad makes of 0, 1, ….
      let pair = Term.concatenated(
        [pads.sliced(axis: 0, from: at, to: at + 1), pads.sliced(axis: 0, from: at + axes.count, to: at + axes.count + 1)],
        axis: 0)
      if context.writer.known(pair.value)?.numbers == [0, 0] { continue }
      let places = context.writer.node(
        .joining(.pad), [x.counting(axis: axis), pair], [.init(.mode, .string(mode))])
      result = result.added(axis: axis, places, length: x.shape[axis])
    }
    context.give(0, result)
  }
}

extension Term {
  /// Zeros of a length along an axis, with these numbers added at the places that a list says.
  func added(axis: Int, _ places: Term, length: Extent) -> Term {
    let front = moving(axis: axis, to: 0)
    let zeros = zeros([length] + front.shape.dropFirst())
    let summed = writer.node(
      .indexing(.scatterND), [zeros, places.unsqueezed([1]), front], [.init(.reduction, .string("add"))])
    var order = Array(1..<rank)
    order.insert(0, at: axis)
    return summed.transposed(order)
  }
}
