extension Joining {
  /// The plain evaluation: numbers move, whatever their type.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .concat:
      var parts: [Tensor] = []
      for index in 0..<context.inputCount { parts.append(try context.input(index)) }
      let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: try context.input(0).rank)
      guard let joined = Tensor.joined(parts, axis: axis) else { throw context.failure("there is nothing to join") }
      context.set(0, joined)
    case .split: try Self.evaluateSplit(&context)
    case .slice: try Self.evaluateSlice(&context)
    case .pad: try Self.evaluatePad(&context)
    case .quantisedConcat:
      throw context.unsupported("this quantised operator can be pruned, but not executed")
    }
  }

  private static func evaluateSplit(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: input.rank)
    var first = 0
    for index in context.node.outputs.indices {
      let count = try context.outputShape(index)[axis]
      guard count <= input.shape[axis] - first else {
        throw context.failure("the sizes add up to more than the extent \(input.shape[axis]) of axis \(axis)")
      }
      if context.isWanted(index) { context.set(index, input.picking(Array(first..<first + count), axis: axis)) }
      first += count
    }
  }

  private static func evaluateSlice(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    let starts = try context.input(1).wholes
    let ends = try context.input(2).wholes
    let axes = context.optional(3)?.wholes ?? Array(starts.indices)
    let steps = context.optional(4)?.wholes ?? starts.map { _ in 1 }
    guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
      throw context.failure("\(starts.count) starts, \(ends.count) ends, \(axes.count) axes and \(steps.count) steps are given")
    }
    var lists = [[Int]?](repeating: nil, count: input.rank)
    for (at, given) in axes.enumerated() {
      let axis = try context.axis(given, rank: input.rank)
      let step = max(steps[at], -Int.max)
      guard step != 0 else { throw context.failure("the step along axis \(axis) is 0") }
      let window = SliceWindow(of: Extent(input.shape[axis]), from: Extent(starts[at]), to: Extent(ends[at]), step: step)
      guard let first = window.first, let count = window.count?.constant else {
        throw context.failure("cannot take \(starts[at]) to \(ends[at]) of axis \(axis)")
      }
      lists[axis] = (0..<count).map { first + $0 * step }
    }
    context.set(0, input.picking(axes: lists))
  }

  private static func evaluatePad(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    let pads = try context.input(1).wholes
    let shape = try context.outputShape()
    var axes: [Int] = []
    for axis in context.optional(3)?.wholes ?? Array(input.shape.indices) {
      axes.append(try context.axis(axis, rank: input.rank))
    }
    guard pads.count == 2 * axes.count else {
      throw context.failure("\(pads.count) pads are given for \(axes.count) axes")
    }
    let mode = context.attributes.string(.mode) ?? "constant"
    guard let source = PadSource(rawValue: mode) else {
      throw context.failure("mode is \(mode), which is none of constant, reflect, edge, wrap")
    }
    var filler: Tensor?
    if source == .constant, let given = context.optional(2) {
      guard given.count == 1, given.element == input.element else {
        throw context.failure("the filler is \(given.type) where one number of type \(input.element.rawValue) is expected")
      }
      filler = given.reshaped([])
    }
    var lists = [[Int]?](repeating: nil, count: input.rank)
    for (at, axis) in axes.enumerated() where pads[at] != 0 || pads[at + axes.count] != 0 {
      let (before, after) = (pads[at], pads[at + axes.count])
      guard before.magnitude < 1 << 48, after.magnitude < 1 << 48 else {
        throw context.failure("axis \(axis) cannot be padded by \(before) and \(after)")
      }
      // Negative pads cut first, so that what is reflected or wrapped around is what they leave.
      let extent = input.shape[axis]
      let first = source == .constant ? 0 : min(max(0, -before), extent)
      let end = source == .constant ? extent : max(first, extent - max(0, -after))
      guard source == .constant || first < end || shape[axis] == 0 else {
        throw context.failure("axis \(axis) has nothing to fill the padding with")
      }
      lists[axis] = (0..<shape[axis]).map { source.index($0 - before - first, of: end - first).map { $0 + first } ?? -1 }
    }
    context.set(0, input.picking(axes: lists, filler: filler))
  }
}

/// What padding reads beyond the ends of an axis.
private enum PadSource: String {
  case constant, reflect, edge, wrap

  /// The index read where an axis of `extent` indices is asked for one that may be outside; nil for the filler.
  func index(_ index: Int, of extent: Int) -> Int? {
    func remainder(_ index: Int, _ period: Int) -> Int { (index % period + period) % period }
    if (0..<extent).contains(index) { return index }
    switch self {
    case .constant: return nil
    case .edge: return min(max(index, 0), extent - 1)
    case .wrap: return remainder(index, extent)
    case .reflect:
      guard extent > 1 else { return 0 }
      let folded = remainder(index, 2 * (extent - 1))
      return min(folded, 2 * (extent - 1) - folded)
    }
  }
}
