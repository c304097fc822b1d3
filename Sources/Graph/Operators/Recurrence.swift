/// Runs a cell over a sequence.
public enum Recurrence: String, CaseIterable, Sendable, Hashable {
  case gru = "GRU"
  case lstm = "LSTM"
  case rnn = "RNN"
}

extension Recurrence: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .gru, .rnn: Signature(3...6, outputs: 0...2)
    case .lstm: Signature(3...8, outputs: 0...3)
    }
  }

  /// Blocks of hidden-size rows in each weight: 1, 3 or 4.
  public var gates: Int {
    switch self {
    case .rnn: 1
    case .gru: 3
    case .lstm: 4
    }
  }

  /// Types of the results: all hidden states, the last one, and the last cell state.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    let weight = try context.type(1)
    let recurrent = try context.type(2)
    try context.require(rank: 3, of: data, "the input")
    let direction = context.attributes.string(.direction) ?? "forward"
    try context.require(
      ["forward", "reverse", "bidirectional"].contains(direction),
      "direction is \(direction), which is none of forward, reverse, bidirectional")
    let directions: Extent = direction == "bidirectional" ? 2 : 1
    try context.require(rank: 3, of: recurrent, "the recurrence weight")
    let hidden = try context.agree(
      context.attributes.int(.hiddenSize).map { Extent($0) } ?? recurrent.shape[2], recurrent.shape[2]
    ) {
      "hidden_size is \($0), the recurrence weight \(recurrent) has \($1)"
    }
    func match(_ type: TensorType?, _ expected: [Extent], _ what: String) throws(Diagnostic) {
      if let type { try context.require(shape: expected, of: type, what) }
    }
    let rows = Extent(gates) * hidden
    let batchFirst = context.attributes.flag(.layout)
    let batch = data.shape[batchFirst ? 0 : 1]
    let steps = data.shape[batchFirst ? 1 : 0]
    let state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
    try match(weight, [directions, rows, data.shape[2]], "the input weight")
    try match(recurrent, [directions, rows, hidden], "the recurrence weight")
    try match(context.optionalType(3), [directions, 2 * rows], "the bias")
    try match(context.optionalType(4), [batch], "the sequence lengths")
    try match(context.optionalType(5), state, "the initial hidden state")
    if self == .lstm {
      try match(context.optionalType(6), state, "the initial cell state")
      try match(context.optionalType(7), [directions, 3 * hidden], "the peepholes")
    }
    context.set(0, data.element, batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden])
    context.set(1, data.element, state)
    context.set(2, data.element, state)
  }
}
