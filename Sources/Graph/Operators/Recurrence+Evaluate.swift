/// One direction of a recurrent node: weights turned for products, and the functions of its gates.
private struct Cell {
  let kind: Recurrence
  let hidden: Int
  /// [input, rows].
  let weight: [Double]
  /// [hidden, rows].
  let recurrent: [Double]
  /// Biases of the input and of the state, `rows` numbers each.
  let inputBias: [Double]
  let stateBias: [Double]
  /// Of input, output and forget gate.
  let peepholes: [Double]
  let functions: [Activation]
  let clip: Double
  /// The forget gate is one less the input gate.
  let couples: Bool
  /// The reset gate acts behind the product with the state.
  let resetsLate: Bool

  private func activate(_ function: Int, _ x: Double) -> Double {
    functions[function](clip.isFinite ? min(max(x, -clip), clip) : x)
  }

  /// One step of one sequence. `x` and `h` are the products of input and state with their weights, without biases.
  func advance(_ x: ArraySlice<Double>, _ h: ArraySlice<Double>, hidden state: inout [Double], cell memory: inout [Double]) {
    let sums = zip(zip(x, h), zip(inputBias, stateBias)).map { $0.0 + $0.1 + $1.0 + $1.1 }
    switch kind {
    case .rnn: for place in 0..<hidden { state[place] = activate(0, sums[place]) }
    case .lstm:
      for place in 0..<hidden {
        let old = memory[place]
        let input = activate(0, sums[place] + peepholes[place] * old)
        let forget = couples ? 1 - input : activate(0, sums[2 * hidden + place] + peepholes[2 * hidden + place] * old)
        let new = forget * old + input * activate(1, sums[3 * hidden + place])
        let output = activate(0, sums[hidden + place] + peepholes[hidden + place] * new)
        memory[place] = new
        // The clip bounds what the gates sum up, not the cell itself.
        state[place] = output * functions[2](new)
      }
    case .gru:
      let update = (0..<hidden).map { activate(0, sums[$0]) }
      let reset = (0..<hidden).map { activate(0, sums[hidden + $0]) }
      let (xs, hs) = (Array(x), Array(h))
      var candidates = [Double](repeating: 0, count: hidden)
      if resetsLate {
        for place in 0..<hidden {
          let at = 2 * hidden + place
          candidates[place] = xs[at] + inputBias[at] + reset[place] * (hs[at] + stateBias[at])
        }
      } else {
        for k in 0..<hidden {
          let factor = reset[k] * state[k]
          for place in 0..<hidden { candidates[place] += factor * recurrent[k * 3 * hidden + 2 * hidden + place] }
        }
        for place in 0..<hidden {
          let at = 2 * hidden + place
          candidates[place] += xs[at] + inputBias[at] + stateBias[at]
        }
      }
      for place in 0..<hidden {
        state[place] = (1 - update[place]) * activate(1, candidates[place]) + update[place] * state[place]
      }
    }
  }
}

extension Recurrence {
  /// How many functions each direction names.
  private var functionCount: Int {
    switch self {
    case .rnn: 1
    case .gru: 2
    case .lstm: 3
    }
  }

  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, weight, recurrent) = (try context.input(0), try context.input(1), try context.input(2))
    let batchFirst = context.attributes.flag(.layout)
    let (batch, steps) = (data.shape[batchFirst ? 0 : 1], data.shape[batchFirst ? 1 : 0])
    let (width, hidden, directions) = (data.shape[2], recurrent.shape[2], weight.shape[0])
    let rows = gates * hidden
    let lengths = try lengths(context, batch: batch, steps: steps)
    // [steps, batch, width]
    let input = (batchFirst ? data.transposed([1, 0, 2]) : data).reals
    func states(_ index: Int, _ what: String) throws(Diagnostic) -> [[[Double]]] {
      let given = try context.reals(index, count: directions * batch * hidden, what)
      return (0..<directions).map { d in
        (0..<batch).map { row in
          let from = (batchFirst ? row * directions + d : d * batch + row) * hidden
          return given.map { Array($0[from..<from + hidden]) } ?? Array(repeating: 0, count: hidden)
        }
      }
    }
    let initial = try states(5, "the initial hidden state")
    // The other cells have no operand 6.
    let initialCell = try states(6, "the initial cell state")
    let cells = try cells(context, directions: directions, hidden: hidden, width: width)
    var all = [Double](repeating: 0, count: steps * directions * batch * hidden)
    var last = [Double](repeating: 0, count: directions * batch * hidden)
    var lastCell = last
    for (d, cell) in cells.enumerated() {
      let backwards = d == 1 || context.attributes.string(.direction) == "reverse"
      var (state, memory) = (initial[d], initialCell[d])
      var fromInput = [Double](repeating: 0, count: steps * batch * rows)
      MatrixKernel.add(input, cell.weight, rows: steps * batch, inner: width, columns: rows, to: &fromInput)
      for step in 0..<steps {
        var fromState = [Double](repeating: 0, count: batch * rows)
        MatrixKernel.add(Array(state.joined()), cell.recurrent, rows: batch, inner: hidden, columns: rows, to: &fromState)
        for row in 0..<batch where step < lengths[row] {
          let at = backwards ? lengths[row] - 1 - step : step
          let from = (at * batch + row) * rows
          cell.advance(
            fromInput[from..<from + rows], fromState[row * rows..<(row + 1) * rows], hidden: &state[row], cell: &memory[row])
          let to = (batchFirst ? (row * steps + at) * directions + d : (at * directions + d) * batch + row) * hidden
          all.replaceSubrange(to..<to + hidden, with: state[row])
        }
      }
      for row in 0..<batch {
        let to = (batchFirst ? row * directions + d : d * batch + row) * hidden
        last.replaceSubrange(to..<to + hidden, with: state[row])
        lastCell.replaceSubrange(to..<to + hidden, with: memory[row])
      }
    }
    try context.setReals(all, at: 0)
    try context.setReals(last, at: 1)
    try context.setReals(lastCell, at: 2)
  }

  private func lengths(_ context: EvaluationContext, batch: Int, steps: Int) throws(Diagnostic) -> [Int] {
    guard let given = context.optional(4)?.wholes else { return Array(repeating: steps, count: batch) }
    guard given.count == batch, given.allSatisfy({ (0...steps).contains($0) }) else {
      throw context.failure("the sequence lengths \(given) are not \(batch) numbers between 0 and \(steps)")
    }
    return given
  }

  private func cells(
    _ context: EvaluationContext, directions: Int, hidden: Int, width: Int
  ) throws(Diagnostic) -> [Cell] {
    let attributes = context.attributes
    let rows = gates * hidden
    let (weights, recurrents) = (try context.reals(1), try context.reals(2))
    let bias = try context.reals(3, count: directions * 2 * rows, "the bias") ?? Array(repeating: 0, count: directions * 2 * rows)
    let none = [Double](repeating: 0, count: directions * 3 * hidden)
    let peepholes = self == .lstm ? try context.reals(7, count: none.count, "the peepholes") ?? none : none
    let functions = try functions(context, directions: directions)
    return (0..<directions).map { d in
      func part(_ numbers: [Double], _ index: Int, _ count: Int) -> [Double] {
        Array(numbers[index * count..<(index + 1) * count])
      }
      return Cell(
        kind: self, hidden: hidden,
        weight: MatrixKernel.transposed(part(weights, d, rows * width), rows: rows, columns: width),
        recurrent: MatrixKernel.transposed(part(recurrents, d, rows * hidden), rows: rows, columns: hidden),
        inputBias: part(bias, 2 * d, rows), stateBias: part(bias, 2 * d + 1, rows), peepholes: part(peepholes, d, 3 * hidden),
        functions: functions[d], clip: attributes.float(.clip).map(Double.init) ?? .infinity,
        couples: attributes.flag(.inputForget), resetsLate: attributes.flag(.linearBeforeReset))
    }
  }

  /// The functions of each direction. Their numbers stand in `activation_alpha` and `activation_beta` in the order of the functions that
  /// take any.
  private func functions(_ context: EvaluationContext, directions: Int) throws(Diagnostic) -> [[Activation]] {
    let usual: [String] =
      switch self {
      case .rnn: ["Tanh"]
      case .gru: ["Sigmoid", "Tanh"]
      case .lstm: ["Sigmoid", "Tanh", "Tanh"]
      }
    var names = Array(repeating: usual, count: directions).flatMap(\.self)
    if case .strings(let given)? = context.attributes[.activations] { names = given }
    guard names.count == functionCount * directions else {
      throw context.failure("activations names \(names.count) functions where \(functionCount * directions) are expected")
    }
    var alphas = (context.attributes.floats(.activationAlpha) ?? [])[...]
    var betas = (context.attributes.floats(.activationBeta) ?? [])[...]
    var found: [Activation] = []
    for name in names {
      guard let plain = Activation(name) else { throw context.unsupported("the activation \(name) is not known") }
      let alpha = plain.parameters.alpha > 0 ? alphas.popFirst().map(Double.init) : nil
      let beta = plain.parameters.beta > 0 ? betas.popFirst().map(Double.init) : nil
      found.append(Activation(name, alpha: alpha, beta: beta) ?? plain)
    }
    return (0..<directions).map { Array(found[$0 * functionCount..<($0 + 1) * functionCount]) }
  }
}
