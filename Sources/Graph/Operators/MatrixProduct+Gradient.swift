extension MatrixProduct {
  /// How a gradient passes through each operator of the family.
  public var gradient: GradientRule {
    switch self {
    case .matMul: .chain(Self.product)
    case .einsum: .chain(Self.contraction)
    case .gemm, .fusedGemm, .fusedMatMul: .pieces(written)
    case .matMulInteger, .quantisedMatMul: .flat
    case .matMulNBits: .none("its weight is packed; convert the model with real weights")
    case .quantisedGemm, .dynamicMatMul, .integerToFloat: .none("it computes with quantised numbers")
    }
  }

  /// y = a·b: ȧ = ẏ·bᵀ and ḃ = aᵀ·ẏ, summed over batch axes that were broadcast.
  private static func product(_ context: inout GradientContext) throws(Diagnostic) {
    let (first, second) = (try context.input(0), try context.input(1))
    var g = try context.gradient()
    // A list is a row on the left and a column on the right.
    if second.rank == 1 { g = g.unsqueezed([g.rank]) }
    if first.rank == 1 { g = g.unsqueezed([g.rank - 1]) }
    let a = first.rank == 1 ? first.unsqueezed([0]) : first
    let b = second.rank == 1 ? second.unsqueezed([1]) : second
    context.give(0, g.times(b.transposed).summed(like: a).reshaped(like: first))
    if b.rank == 2, a.rank > 2 {
      // One product over all rows, instead of one for each of the batch and a sum.
      context.give(1, a.rows.transposed.times(g.rows).reshaped(like: second))
    } else {
      context.give(1, a.transposed.times(g).summed(like: b).reshaped(like: second))
    }
  }

  /// The result of a product is its operands' numbers with equal letters multiplied and the letters that are missing summed: so the
  /// gradient of an operand is a product of the same kind, with the operand's term as its result.
  private static func contraction(_ context: inout GradientContext) throws(Diagnostic) {
    guard let equation = context.attributes.string(.equation).flatMap(EinsumEquation.init) else {
      throw context.failure("the equation cannot be read")
    }
    let g = try context.gradient()
    var operands: [Term] = []
    var terms: [[EinsumEquation.Axis]] = []
    for index in context.node.inputs.indices {
      let operand = try context.input(index)
      guard let axes = EinsumEquation.axes(equation.operands[index], rank: operand.rank) else {
        throw context.failure("operand \(index) does not fit the equation")
      }
      operands.append(operand)
      terms.append(axes)
    }
    guard let result = EinsumEquation.axes(equation.result, rank: g.rank) else {
      throw context.failure("the result does not fit the equation")
    }
    let letters = Letters(terms.joined() + result)
    for index in operands.indices where context.isWanted(index) {
      let wanted = terms[index]
      guard Set(wanted).count == wanted.count else { throw context.failure("the equation takes a diagonal") }
      let others = operands.indices.filter { $0 != index }
      let present = Set(result + others.flatMap { terms[$0] })
      let kept = wanted.filter { present.contains($0) }
      let equation =
        ([result] + others.map { terms[$0] }).map(letters.text).joined(separator: ",") + "->" + letters.text(kept)
      var gradient = context.writer.node(
        .matrixProduct(.einsum), [g] + others.map { operands[$0] }, [.init(.equation, .string(equation))])
      // What was summed by itself is the same for every index.
      gradient = gradient.unsqueezed(wanted.indices.filter { !present.contains(wanted[$0]) })
      let target = operands[index]
      let isWide = zip(wanted, target.shape).contains { present.contains($0) && $1 == Extent(1) }
      context.give(index, isWide ? gradient.summed(like: target).expanded(like: target) : gradient.expanded(like: target))
    }
  }

  /// A letter for every axis of an equation, those of the ellipsis too.
  private struct Letters {
    private var names: [EinsumEquation.Axis: Character] = [:]

    init(_ axes: some Sequence<EinsumEquation.Axis>) {
      var free = Array("zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA")
      for axis in axes { if case .letter(let letter) = axis { free.removeAll { $0 == letter } } }
      for axis in axes where names[axis] == nil {
        switch axis {
        case .letter(let letter): names[axis] = letter
        case .ellipsis: names[axis] = free.removeFirst()
        }
      }
    }

    func text(_ axes: [EinsumEquation.Axis]) -> String { String(axes.compactMap { names[$0] }) }
  }

  /// alpha · a′·b′ + beta · c, with an activation behind.
  private func written(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    var (a, b) = (try context.input(0), try context.input(1))
    if self == .fusedMatMul {
      a = Self.arranged(a, batch: attributes.flag(.transBatchA), matrix: attributes.flag(.transA))
      b = Self.arranged(b, batch: attributes.flag(.transBatchB), matrix: attributes.flag(.transB))
    } else {
      if attributes.flag(.transA) { a = a.transposed }
      if attributes.flag(.transB) { b = b.transposed }
    }
    var result = a.times(b) * (attributes.float(.alpha).map(Double.init) ?? 1)
    if self != .fusedMatMul, let c = context.optional(2) { result = result + c * (attributes.float(.beta).map(Double.init) ?? 1) }
    if self == .fusedGemm { result = try context.activated(result) }
    context.set(0, result)
  }

  /// An operand of FusedMatMul after its transpositions.
  private static func arranged(_ term: Term, batch: Bool, matrix: Bool) -> Term {
    guard term.rank > 1 else { return term }
    let moved = batch && term.rank > 2 ? term.moving(axis: 0, to: term.rank - 2) : term
    return matrix ? moved.transposed : moved
  }
}

extension Term {
  /// All axes but the last as one.
  var rows: Term { rank == 2 ? self : reshaped([-1, shape[rank - 1]]) }
}

extension PiecesContext {
  /// The activation that a fused operator names.
  func activated(_ term: Term) throws(Diagnostic) -> Term {
    guard let name = attributes.string(.activation), !name.isEmpty else { return term }
    let parameters = attributes.floats(.activationParameters) ?? []
    func first(_ value: Float) -> AttributeValue {
      .float(parameters.first ?? attributes.float(.activationAlpha) ?? value)
    }
    switch name {
    case "Relu": return term.applying(.relu)
    case "Tanh": return term.tanh
    case "Sigmoid": return term.sigmoid
    case "LeakyRelu": return term.applying(.leakyRelu, attributes: [.init(.alpha, first(0.01))])
    case _: throw failure("its activation \(name) has no rule here")
    }
  }
}
