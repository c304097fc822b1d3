import Graph

/// Blocks over sequences [batch, positions, width]: each keeps the shape, or says how it changes.
extension GraphBuilder {
  /// A block drawn at random.
  mutating func sequenceBlock(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let isFixed = extent(of: x, 1).isConstant
    switch dice.int(0...52) {
    case 0, 1, 2: return try residual(x) { (b, x) throws(Diagnostic) in try b.feedForward(x) }
    case 3, 4: return try residual(x) { (b, x) throws(Diagnostic) in try b.gated(x) }
    case 5, 6, 7, 8, 9, 10: return try residual(x) { (b, x) throws(Diagnostic) in try b.attention(x) }
    case 11: return try residual(x) { (b, x) throws(Diagnostic) in try b.factorings(x) }
    case 12: return try residual(x) { (b, x) throws(Diagnostic) in try b.experts(x) }
    case 13: return try recurrence(x)
    case 14: return try joinedWidths(x)
    case 15: return try linear(try norm(x, "norm"), dice.pick([4, 6, 8, 10, 12]), "to")
    case 16: return try moves(x)
    case 17 where isFixed: return try positions(x)
    case 18 where isFixed: return try residual(x) { (b, x) throws(Diagnostic) in try b.mixer(x) }
    case 19: return try codebook(x)
    case 20: return try excitation(x)
    case 21: return try residual(x) { (b, x) throws(Diagnostic) in try b.blockDiagonal(x) }
    case 22: return try shared(x)
    case 23 where isFixed: return try prefix(x)
    case 24: return try residual(x) { (b, x) throws(Diagnostic) in try b.convolutional(x) }
    case 25: return try skipNorm(x)
    case 26: return try padded(x)
    case 27, 28, 29, 30, 31: return try residual(x) { (b, x) throws(Diagnostic) in try b.tangle(x, axis: 2) }
    case 37, 38, 39, 40, 41, 42, 43, 44, 45: return try residual(x) { (b, x) throws(Diagnostic) in try b.stressSequence(x) }
    case 46, 47, 48, 49, 50: return try residual(x) { (b, x) throws(Diagnostic) in try b.scarceSequence(x) }
    case 32, 33, 34, 35, 36: return try residual(x) { (b, x) throws(Diagnostic) in try b.rareSequence(x) }
    default: return try residual(x) { (b, x) throws(Diagnostic) in try b.factorings(x) }
    }
  }

  /// x + f(norm(x)), or norm(x + f(x)), or f alone.
  mutating func residual(
    _ x: ValueID, _ body: (inout GraphBuilder, ValueID) throws(Diagnostic) -> ValueID
  ) throws(Diagnostic) -> ValueID {
    switch dice.int(0...3) {
    case 0: return try body(&self, x)
    case 1: return try norm(try apply(.add, x, try body(&self, x)), "norm")
    default:
      let branch = try body(&self, try norm(x, "norm"))
      return dice.chance(0.5) ? try apply(.add, x, branch) : try apply(.add, branch, x)
    }
  }

  private mutating func feedForward(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try activation(try linear(x, dice.int(3...12), "fc1"))
    return try linear(hidden, try extent(x, -1), "fc2")
  }

  /// One half gates the other: chunk, split, slices, strided slices, or a view with an axis of two.
  private mutating func gated(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let hidden = dice.int(2...7)
    let last = rank(x) - 1
    var halves: [ValueID]
    switch dice.int(0...4) {
    case 0: halves = [try linear(x, hidden, "up"), try linear(x, hidden, "gate")]
    case 1:
      let both = try linear(x, 2 * hidden, "up_gate")
      halves = [
        try slice(both, last, 0, Int(Int64.max), step: 2), try slice(both, last, 1, Int(Int64.max), step: 2),
      ]
    case 2:
      let both = try linear(x, 2 * hidden, "up_gate")
      let view = try reshape(both, shape(x).dropLast() + [2, Extent(hidden)])
      halves = [try select(view, last, 0), try select(view, last, 1)]
    default: halves = try pieces(try linear(x, 2 * hidden, "up_gate"), [hidden, hidden], last)
    }
    if dice.chance(0.5) { halves.reverse() }
    return try linear(try apply(.mul, try activation(halves[0]), halves[1]), width, "down")
  }

  /// A router picks experts out of stacked weights.
  private mutating func experts(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let count = dice.int(3...5)
    let hidden = dice.int(2...5)
    let logits = try linear(x, count, "router", bias: false)
    let k = dice.int(1...2)
    let picked = try add(.reduction(.topK), [try softmax(logits, -1), wholes([k])], [.int(.axis, -1)], outputs: 2)
    let up = try add(
      .indexing(.gather), [weight("experts.up", [count, width, hidden], spread: 0.4), picked[1]], [.int(.axis, 0)])
    let down = try add(
      .indexing(.gather), [weight("experts.down", [count, hidden, width], spread: 0.4), picked[1]], [.int(.axis, 0)])
    let rows = try unsqueeze(x, [2, 3])
    let inner = try activation(try matMul(rows, up))
    let results = try squeeze(try matMul(inner, down), [3])
    let weighted = try apply(.mul, results, try unsqueeze(picked[0], [3]))
    return try reduce(.reduceSum, weighted, [2], keep: false)
  }

  /// A recurrence over positions, perhaps in both directions.
  private mutating func recurrence(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let hidden = dice.int(2...6)
    let directions = dice.int(1...2)
    let kind: Recurrence = dice.pick([.lstm, .gru, .rnn])
    let gates = kind.gateCount
    let series = try transpose(x, [1, 0, 2])
    var operands: [ValueID?] = [
      series, weight("rnn.weight_ih", [directions, gates * hidden, width]),
      weight("rnn.weight_hh", [directions, gates * hidden, hidden]),
    ]
    let hasState = dice.chance(0.4) && extent(of: x, 0).isConstant
    operands.append(dice.chance(0.7) || hasState ? weight("rnn.bias", [directions, 2 * gates * hidden]) : nil)
    if hasState {
      operands.append(nil)
      let state = [directions, try extent(x, 0), hidden]
      operands.append(dice.chance(0.5) ? weight("rnn.state", state) : try expand(real(0), state.map { Extent($0) }))
      if kind == .lstm {
        operands.append(weight("rnn.cell", state))
        if dice.chance(0.3) { operands.append(weight("rnn.peepholes", [directions, 3 * hidden])) }
      }
    }
    while operands.last == .some(nil) { operands.removeLast() }
    let attributes: [Attributes.Entry] =
      [.int(.hiddenSize, hidden)] + (directions == 2 ? [.string(.direction, "bidirectional")] : [])
      + (kind == .gru ? [.int(.linearBeforeReset, 1)] : [])
    let results = try add(.recurrence(kind), operands, attributes, outputs: dice.int(1...2))
    let both = try transpose(results[0], [2, 0, 1, 3])
    let joined = try reshape(both, [extent(of: x, 0), extent(of: x, 1), Extent(directions * hidden)])
    return try linear(joined, width, "proj")
  }

  /// Parts of several widths, joined and mixed.
  private mutating func joinedWidths(_ x: ValueID) throws(Diagnostic) -> ValueID {
    var parts = [try linear(x, dice.int(2...6), "a"), try activation(try linear(x, dice.int(1...6), "b"))]
    if dice.chance(0.4) { parts.append(x) }
    if dice.chance(0.3) { parts.append(parts[0]) }
    let whole = try concat(dice.shuffled(parts), rank(x) - 1)
    if dice.chance(0.3) {
      let width = try extent(whole, -1)
      let cut = dice.int(1...width - 1)
      let halves = try pieces(whole, [cut, width - cut], rank(x) - 1)
      let sum = try apply(.add, try linear(halves[0], 6, "left"), try linear(halves[1], 6, "right"))
      return sum
    }
    return dice.chance(0.5) ? try norm(whole, "norm") : try linear(whole, dice.int(3...9), "mix")
  }

  /// Adds a table of positions, or rows that constants pick of a longer one.
  private mutating func positions(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let count = try extent(x, 1)
    let width = try extent(x, -1)
    switch dice.int(0...2) {
    case 0: return try apply(.add, x, weight("positions", [1, count, width]))
    case 1: return try apply(.add, x, weight("positions", [count, width]))
    default:
      let rows = try gather(
        weight("positions.weight", [count + 2, width]), Array(0..<count), 0, shape: dice.chance(0.5) ? [1, count] : nil)
      return try apply(.add, x, rows)
    }
  }

  /// A perceptron over positions.
  private mutating func mixer(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let count = try extent(x, 1)
    let hidden = try activation(try linear(try transpose(x, [0, 2, 1]), dice.int(2...6), "tokens.fc1"))
    return try transpose(try linear(hidden, count, "tokens.fc2"), [0, 2, 1])
  }

  /// The nearest row of a table: by its number, or as a product with a one-hot.
  private mutating func codebook(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let count = dice.int(3...6)
    let scores = try linear(x, count, "codes")
    let nearest = try add(.reduction(.argMax), [scores], [.int(.axis, -1), .int(.keepDims, 0)])
    let table = weight("codes.table", [count, width])
    if dice.chance(0.6) { return try apply(.add, x, try add(.indexing(.gather), [table, nearest], [.int(.axis, 0)])) }
    let values = parameter("const", TensorData([Float(0), 1]), .f32, [2])
    let hot = try add(.indexing(.oneHot), [nearest, wholes([count], dice.chance(0.5) ? [] : [1]), values])
    return try apply(.add, x, try matMul(hot, table))
  }

  /// Gates the width by a mean over positions.
  private mutating func excitation(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let mean = try reduce(dice.pick([.reduceMean, .reduceMax]), x, [1], keep: true)
    let inner = try activation(try linear(mean, dice.int(2...4), "se.down"))
    return try apply(.mul, x, try apply(.sigmoid, try linear(inner, width, "se.up")))
  }

  /// Each group of the width with a matrix of its own.
  private mutating func blockDiagonal(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let groups = dice.int(2...3)
    let inner = dice.int(2...3)
    let hidden = try linear(x, groups * inner, "in")
    let view = try reshape(hidden, shape(x).dropLast() + [Extent(groups), Extent(inner)])
    let next = dice.int(2...4)
    let kernel = weight("blocks.weight", [groups, inner, next])
    let result: ValueID
    if dice.chance(0.5) {
      result = try squeeze(try matMul(try unsqueeze(view, [3]), kernel), [3])
    } else {
      result = try einsum("btgi,gio->btgo", view, kernel)
    }
    return try linear(try activation(try reshape(result, shape(x).dropLast() + [Extent(groups * next)])), width, "out")
  }

  /// The same layer twice.
  private mutating func shared(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let kernel = weight("shared.weight", [width, width])
    let bias = weight("shared.bias", [width])
    let once = try activation(try apply(.add, try matMul(x, kernel), bias))
    let other = try apply(.add, try linear(x, width, "other"), dice.chance(0.5) ? bias : weight("bias", [width]))
    return try apply(.add, try matMul(once, kernel), other)
  }

  /// Learned tokens before the others.
  private mutating func prefix(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let tokens = weight("cls_token", [1, dice.int(1...2), width])
    let repeated = try expand(tokens, [extent(of: x, 0), extent(of: tokens, 1), Extent(width)])
    return try concat([repeated, x], 1)
  }

  /// Depthwise over positions, gated.
  private mutating func convolutional(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let hidden = dice.int(2...6)
    let series = try transpose(try linear(x, 2 * hidden, "pw1"), [0, 2, 1])
    let halves = try pieces(series, [hidden, hidden], 1)
    let open = try apply(.mul, halves[0], try apply(.sigmoid, halves[1]))
    let kernel = weight("dw.weight", [hidden, 1, 3])
    let operands = [open, kernel] + (dice.chance(0.5) ? [weight("dw.bias", [hidden])] : [])
    let mixed = try add(.convolution(.conv), operands, [.int(.group, hidden), .ints(.pads, [1, 1])])
    let normal = try batchNorm(mixed, "bn")
    return try linear(try transpose(try activation(normal, channelAxis: 1), [0, 2, 1]), width, "pw2")
  }

  /// Sum and norm in one operator.
  private mutating func skipNorm(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let branch = try feedForward(x)
    let scale = weight("norm.weight", [width], mean: 1, spread: 0.3)
    let wantsSum = dice.chance(0.5)
    if dice.chance(0.5) {
      let results = try add(
        .normalisation(.skipSimplifiedLayerNorm), [x, branch, scale], [.float(.epsilon, 1e-5)], outputs: 1)
      return results[0]
    }
    let module = try add(
      .normalisation(.skipLayerNorm),
      [x, branch, scale, weight("norm.bias", [width])] + (wantsSum ? [weight("bias", [width])] : []),
      [.float(.epsilon, 1e-5)], outputs: 1)
    return module[0]
  }

  /// Zeros beside the width, to meet a wider stream.
  private mutating func padded(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let (before, after) = (dice.int(0...2), dice.int(1...2))
    let pads = Array(repeating: 0, count: rank(x) - 1) + [before] + Array(repeating: 0, count: rank(x) - 1) + [after]
    let wide = try add(.joining(.pad), [x, wholes(pads)] + (dice.chance(0.3) ? [real(0)] : []))
    return try apply(.add, wide, try linear(x, before + width + after, "wide"))
  }
}

extension Recurrence {
  fileprivate var gateCount: Int {
    switch self {
    case .lstm: 4
    case .gru: 3
    case .rnn: 1
    }
  }
}
