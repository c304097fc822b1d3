extension Indexing {
  /// How a gradient passes through each operator of the family: what was read gets the sum of what its readers got.
  public var gradient: GradientRule {
    switch self {
    case .gather: .chain(Self.gathered)
    case .gatherElements:
      .chain { context throws(Diagnostic) in
        let x = try context.input(0)
        let axis = try context.inference().axis(context.attributes.int(.axis) ?? 0, rank: x.rank)
        context.give(0, try context.gradient().scattered(axis: axis, try context.input(1), like: x))
      }
    case .gatherND: .chain(Self.gatheredPlaces)
    case .scatterElements, .scatterND: .chain(scattered)
    case .compress: .pieces(Self.chosen)
    case .oneHot: .chain(Self.marked)
    case .reverseSequence, .trilu:
      .chain { context throws(Diagnostic) in
        let operands = [try context.gradient()] + context.node.inputs.dropFirst().map { $0.map { Term(context.writer, $0) } }
        context.give(0, context.writer.node(context.node.operation, operands, context.attributes.entries))
      }
    case .unique: .none("it sorts and merges equal numbers")
    case .nonMaxSuppression, .nonZero: .flat
    }
  }

  private static func gathered(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, indices, g) = (try context.input(0), try context.input(1), try context.gradient())
    let axis = try context.inference().axis(context.attributes.int(.axis) ?? 0, rank: x.rank)
    // One axis for all places that were read.
    let list = indices.rank == 1 ? indices : indices.reshaped([-1])
    var shape = Array(x.shape)
    shape[axis] = indices.elementCount
    let flat = indices.rank == 1 ? g : g.reshapedAlong(axis, count: indices.rank, to: shape)
    context.give(0, flat.added(axis: axis, list, length: x.shape[axis]))
  }

  private static func gatheredPlaces(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, indices, g) = (try context.input(0), try context.input(1), try context.gradient())
    let places = try places(indices, batch: context.attributes.int(.batchDims) ?? 0, context)
    context.give(
      0, x.writer.node(.indexing(.scatterND), [x.zeros, places, g], [.init(.reduction, .string("add"))]))
  }

  /// Indices with the batch axes written out: [b, …, k] to [b, …, batch + k].
  private static func places(_ indices: Term, batch: Int, _ context: GradientContext) throws(Diagnostic) -> Term {
    var result = indices
    for axis in (0..<batch).reversed() {
      var shape = indices.shape
      shape[indices.rank - 1] = 1
      var column = [Extent](repeating: 1, count: indices.rank)
      column[axis] = indices.shape[axis]
      let counted = indices.counting(axis: axis).cast(to: indices.element).reshaped(column).expanded(shape)
      result = Term.concatenated([counted, result], axis: indices.rank - 1)
    }
    return result
  }

  /// What was written over gets none; what was written gets what stands there.
  private func scattered(_ context: inout GradientContext) throws(Diagnostic) {
    let (x, indices, updates) = (try context.input(0), try context.input(1), try context.input(2))
    let (g, writer) = (try context.gradient(), context.writer)
    let isElements = self == .scatterElements
    let axis = isElements ? try context.inference().axis(context.attributes.int(.axis) ?? 0, rank: x.rank) : 0
    let entries: [Attributes.Entry] = isElements ? [.init(.axis, .int(axis))] : []
    func read(_ term: Term) -> Term {
      isElements
        ? writer.node(.indexing(.gatherElements), [term, indices], entries)
        : writer.node(.indexing(.gatherND), [term, indices])
    }
    func written(_ term: Term, _ new: Term) -> Term { writer.node(context.node.operation, [term, indices, new], entries) }
    switch context.attributes.string(.reduction) ?? "none" {
    case "none":
      context.give(0, written(g, updates.zeros))
      context.give(2, read(g))
    case "add":
      context.give(0, g)
      context.give(2, read(g))
    case "max", "min":
      let y = try context.output()
      context.give(0, g * x.equals(y).cast(to: g.element))
      context.give(2, read(g) * updates.equals(read(y)).cast(to: g.element))
    case "mul":
      // The product of all that was written to a place, by division: no factor may be zero.
      let y = try context.output()
      context.give(0, g * y / x)
      context.give(2, read(g * y) / updates)
    case let other: throw context.failure("its reduction \(other) has no rule here")
    }
  }

  /// The places where the condition is true are gathered.
  private static func chosen(_ context: inout PiecesContext) throws(Diagnostic) {
    let (x, condition) = (try context.input(0), try context.input(1))
    let places = context.writer.node(.indexing(.nonZero), [condition]).reshaped([-1])
    if let given = context.attributes.int(.axis) {
      context.set(0, x.gathered(axis: try context.axis(given, rank: x.rank), places))
    } else {
      context.set(0, x.reshaped([-1]).gathered(axis: 0, places))
    }
  }

  /// The values off and on get the sums over their places.
  private static func marked(_ context: inout GradientContext) throws(Diagnostic) {
    let (values, g, writer) = (try context.input(2), try context.gradient(), context.writer)
    let marks = writer.constant(Tensor(reals: [0, 1], values.element, [2]))
    let isOn = writer.node(
      .indexing(.oneHot), [try context.input(0), try context.input(1), marks], context.attributes.entries)
    let on = (g * isOn).total.reshaped([1])
    context.give(2, Term.concatenated([g.total.reshaped([1]) - on, on], axis: 0))
  }
}

extension Term {
  /// The product of all extents.
  fileprivate var elementCount: Extent { type.elementCount }

  /// `count` axes from `axis` on made one; the other extents of `shape` are as they are.
  fileprivate func reshapedAlong(_ axis: Int, count: Int, to shape: [Extent]) -> Term {
    if count == 0 { return unsqueezed([axis]) }
    var target = shape
    if !shape[axis].isConstant { target[axis] = -1 }
    return reshaped(target)
  }
}
