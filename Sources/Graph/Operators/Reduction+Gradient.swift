extension Reduction {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .argMax, .argMin: .flat
    case .cumSum:
      .chain { context throws(Diagnostic) in
        // What counts everything before a place is counted by everything behind it.
        var entries = context.attributes.entries.filter { $0.name != .reverse }
        if !context.attributes.flag(.reverse) { entries.append(.init(.reverse, .int(1))) }
        let operands = [try context.gradient(), try context.input(1)]
        context.give(0, context.writer.node(.reduction(.cumSum), operands, entries))
      }
    case .topK:
      .chain { context throws(Diagnostic) in
        let x = try context.input(0)
        let axis = try context.inference().axis(context.attributes.int(.axis) ?? -1, rank: x.rank)
        let indices = try context.secondResult()
        context.give(0, try context.gradient().scattered(axis: axis, indices, like: x))
      }
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      .chain(reduced)
    }
  }

  private func reduced(_ context: inout GradientContext) throws(Diagnostic) {
    let x = try context.input(0)
    var (y, g) = (try context.output(), try context.gradient())
    guard case .known(let axes) = try Self.reducedAxes(context.inference(), rank: x.rank) else {
      throw context.failure("the axes are computed when the model runs")
    }
    if !context.attributes.flag(.keepDims, default: true) {
      (y, g) = (y.unsqueezed(axes.sorted()), g.unsqueezed(axes.sorted()))
    }
    func isNumber(_ condition: Term) -> Term { condition.cast(to: x.element) }
    let slope: Term
    switch self {
    case .reduceSum: slope = g
    case .reduceMean:
      let counts = axes.map { x.shape[$0] }
      let numbers = counts.compactMap(\.constant)
      if numbers.count == counts.count {
        slope = g / Double(numbers.reduce(1, *))
      } else {
        slope = counts.reduce(g) { $0 / x.writer.length($1).cast(to: x.element) }
      }
    // Numbers that tie get equal parts.
    case .reduceMax, .reduceMin:
      let share = isNumber(x.equals(y.expanded(like: x)))
      slope = g * share / share.sum(axes)
    case .reduceL1: slope = g * x.sign
    case .reduceL2: slope = g * x / y.equals(0).choosing(y.number(1), y)
    case .reduceSumSquare: slope = g * 2 * x
    case .reduceLogSum: slope = g / y.exp
    case .reduceLogSumExp: slope = g * (x - y).exp
    case .reduceProd:
      // The product of the others: by division where none is zero; where one is, only that one has any.
      let isZero = x.equals(0)
      let rest = isZero.choosing(x.number(1), x)
      let (product, zeros) = (rest.product(axes), isNumber(isZero).sum(axes))
      let others = isZero.choosing(isNumber(zeros.equals(1)) * product, isNumber(zeros.equals(0)) * product / rest)
      slope = g * others
    case .argMax, .argMin, .cumSum, .topK: throw context.failure("it reduces nothing")
    }
    context.give(0, slope.expanded(like: x))
  }
}

extension GradientContext {
  /// The second result, made again where nobody asked for it.
  func secondResult() throws(Diagnostic) -> Term {
    if node.outputs.count > 1, let value = node.outputs[1] { return Term(writer, value) }
    let operands = node.inputs.map { $0.map { Term(writer, $0) } }
    return writer.nodes(node.operation, operands, attributes.entries, results: 2)[1]
  }
}

extension Term {
  /// Zeros in the shape of `target`, with these numbers added along an axis where `indices`, which have their shape, say.
  func scattered(axis: Int, _ indices: Term, like target: Term) -> Term {
    writer.node(
      .indexing(.scatterElements), [target.zeros, indices, self],
      [.init(.axis, .int(axis)), .init(.reduction, .string("add"))])
  }
}
