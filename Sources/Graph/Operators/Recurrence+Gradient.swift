extension Recurrence {
  /// How a gradient passes through each operator of the family: the steps are written out one after the other ("unrolled").
  public var gradient: GradientRule {
    switch self {
    case .gru, .lstm, .rnn: .pieces(unrolled)
    }
  }

  /// Longest sequence that is written out.
  private static let longest = 1024

  private func unrolled(_ context: inout PiecesContext) throws(Diagnostic) {
    let attributes = context.attributes
    let isBatchFirst = attributes.flag(.layout)
    let given = try context.input(0)
    let x = isBatchFirst ? given.moving(axis: 1, to: 0) : given
    guard let steps = x.shape[0].constant, steps <= Self.longest else {
      throw context.failure("the length of its sequence is not a number up to \(Self.longest); fix it with --dim")
    }
    guard context.optional(4) == nil, attributes[.clip] == nil, attributes[.activations] == nil else {
      throw context.failure("with lengths of its own for every sequence, a clip or other activations its rule is not written")
    }
    let directions = attributes.string(.direction) == "bidirectional" ? 2 : 1
    var (all, last, lastCell): ([Term], [Term], [Term]) = ([], [], [])
    for direction in 0..<directions {
      var cell = try UnrolledCell(self, context, direction, batch: x.shape[1], isBatchFirst: isBatchFirst)
      let isReversed = direction == 1 || attributes.string(.direction) == "reverse"
      let products = x.times(cell.weight.transposed)
      var states = [Term?](repeating: nil, count: steps)
      for step in isReversed ? Array((0..<steps).reversed()) : Array(0..<steps) {
        cell.advance(products.selecting(axis: 0, step))
        states[step] = cell.state.unsqueezed([0])
      }
      all.append(Term.concatenated(states.compactMap(\.self), axis: 0).unsqueezed([1]))
      last.append(cell.state.unsqueezed([0]))
      lastCell.append(cell.memory.unsqueezed([0]))
    }
    // [steps, directions, batch, hidden]
    let joined = Term.concatenated(all, axis: 1)
    context.set(0, isBatchFirst ? joined.transposed([2, 0, 1, 3]) : joined)
    for (index, states) in [(1, last), (2, lastCell)] {
      let state = Term.concatenated(states, axis: 0)
      context.set(index, isBatchFirst ? state.transposed([1, 0, 2]) : state)
    }
  }
}

/// One direction of a recurrence while its steps are written out.
private struct UnrolledCell {
  private let kind: Recurrence
  private let hidden: Int
  /// [rows, input].
  let weight: Term
  /// [rows, hidden].
  private let recurrent: Term
  private var inputBias: Term?
  private var stateBias: Term?
  /// Of input, output and forget gate.
  private var peepholes: [Term] = []
  /// The forget gate is one less the input gate.
  private let couples: Bool
  /// The reset gate acts behind the product with the state.
  private let resetsLate: Bool
  /// [batch, hidden].
  private(set) var state: Term
  /// [batch, hidden], of an LSTM.
  private(set) var memory: Term

  init(
    _ kind: Recurrence, _ context: PiecesContext, _ direction: Int, batch: Extent, isBatchFirst: Bool
  ) throws(Diagnostic) {
    self.kind = kind
    func part(_ index: Int, axis: Int = 0) -> Term? { context.optional(index).map { $0.selecting(axis: axis, direction) } }
    guard let weight = part(1), let recurrent = part(2), let hidden = recurrent.shape[1].constant else {
      throw context.failure("its weights are of unknown extent")
    }
    (self.weight, self.recurrent, self.hidden) = (weight, recurrent, hidden)
    let rows = kind.gates * hidden
    if let bias = part(3) {
      inputBias = bias.sliced(axis: 0, from: 0, to: rows)
      stateBias = bias.sliced(axis: 0, from: rows, to: 2 * rows)
    }
    if kind == .lstm, let weights = part(7) {
      peepholes = (0..<3).map { weights.sliced(axis: 0, from: $0 * hidden, to: ($0 + 1) * hidden) }
    }
    couples = context.attributes.flag(.inputForget)
    resetsLate = context.attributes.flag(.linearBeforeReset)
    let axis = isBatchFirst ? 1 : 0
    state = part(5, axis: axis) ?? weight.zeros([batch, Extent(hidden)])
    memory = part(6, axis: axis) ?? weight.zeros([batch, Extent(hidden)])
  }

  private func gate(_ sums: Term, _ index: Int) -> Term { sums.sliced(axis: 1, from: index * hidden, to: (index + 1) * hidden) }

  /// One step. `x` is the product of the input with its weight, [batch, rows].
  mutating func advance(_ x: Term) {
    let x = inputBias.map { x + $0 } ?? x
    func product() -> Term {
      let product = state.times(recurrent.transposed)
      return stateBias.map { product + $0 } ?? product
    }
    switch kind {
    case .rnn: state = (x + product()).tanh
    case .lstm:
      let sums = x + product()
      func peeked(_ index: Int, _ memory: Term) -> Term {
        peepholes.isEmpty ? gate(sums, index) : gate(sums, index) + peepholes[index] * memory
      }
      let input = peeked(0, memory).sigmoid
      let forget = couples ? 1 - input : peeked(2, memory).sigmoid
      memory = forget * memory + input * gate(sums, 3).tanh
      state = peeked(1, memory).sigmoid * memory.tanh
    case .gru:
      let h = product()
      let update = (gate(x, 0) + gate(h, 0)).sigmoid
      let reset = (gate(x, 1) + gate(h, 1)).sigmoid
      let candidate: Term
      if resetsLate {
        candidate = gate(x, 2) + reset * gate(h, 2)
      } else {
        let weight = recurrent.sliced(axis: 0, from: 2 * hidden, to: 3 * hidden)
        let product = (reset * state).times(weight.transposed)
        let bias = stateBias.map { $0.sliced(axis: 0, from: 2 * hidden, to: 3 * hidden) }
        candidate = gate(x, 2) + (bias.map { product + $0 } ?? product)
      }
      state = (1 - update) * candidate.tanh + update * state
    }
  }
}
