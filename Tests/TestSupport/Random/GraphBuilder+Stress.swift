import Graph

/// Blocks that each hold one thing people write and tools trip over.
extension GraphBuilder {
  /// One of them over a sequence [batch, positions, width]; keeps batch and positions.
  mutating func stressSequence(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    switch dice.int(0...19) {
    case 0:
      // A layer and its mirror share their matrix.
      let kernel = weight("tied.weight", [width, dice.int(3...8)])
      return try matMul(try activation(try matMul(x, kernel)), try transpose(kernel, [1, 0]))
    case 1:
      // Query and key are one.
      let shared = try linear(x, dice.int(2...6), "qk")
      let scores = try softmax(try matMul(shared, try turned(shared)), -1)
      return try linear(try matMul(scores, shared), width, "out")
    case 2: return try repeatedHeads(x)
    case 3: return try windows(x)
    case 4: return try backwards(x)
    case 5:
      let hidden = dice.int(3...6)
      let product = try einsum(
        "btc,cd,d->btd", x, weight("three.weight", [width, hidden]), weight("three.scale", [hidden], mean: 1))
      return try linear(try activation(product), width, "out")
    case 6: return try causal(x)
    case 7: return try positionsMoved(x)
    case 8: return try boxes(x)
    case 9: return try linear(try positionNorm(x), width, "out")
    case 10: return try doubled(x)
    case 11: return try shapedDepth(x)
    case 12: return try statesShared(x)
    case 13: return try left(x)
    case 14: return try shifted(x)
    case 15: return try vectors(x)
    case 16: return try joinedHeads(x)
    case 17: return try crossed(x)
    case 18: return try groupsOfGroups(x)
    default: return try learnedParts(x)
    }
  }

  /// One of them over an image; keeps batch and size.
  mutating func stressImage(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    switch dice.int(0...6) {
    case 0:
      // Groups of other sizes one after the other.
      var value = try conv(x, 12, kernel: 1, "in")
      for round in 0..<dice.int(2...3) {
        value = try conv(value, 12, kernel: dice.pick([1, 3]), groups: dice.pick([2, 3, 4, 6]), "g\(round)")
      }
      return try conv(value, channels, kernel: 1, "out")
    case 1:
      let shape = try [channels, extent(x, 2), extent(x, 3)]
      let scale = weight("norm.weight", shape, mean: 1)
      return try add(.normalisation(.layerNorm), [x, scale, weight("norm.bias", shape)], [.int(.axis, 1)])
    case 2:
      // The same channels twice, in another order.
      let wide = try conv(x, dice.int(3...6), kernel: 1, "in")
      let both = try concat([wide, try activation(wide, channelAxis: 1)], 1)
      return try conv(both, channels, kernel: 3, "out")
    case 3:
      let (groups, inner) = (dice.int(2...3), dice.int(2...3))
      let wide = try conv(x, groups * inner, kernel: 1, "in")
      let gates = try reduce(.reduceMean, wide, [2, 3], keep: true)
      let view = try reshape(gates, [extent(of: x, 0), Extent(groups), Extent(inner), 1, 1])
      let weights = try softmax(view, 1)
      let split = try reshape(wide, [extent(of: x, 0), Extent(groups), Extent(inner)] + shape(x).suffix(2))
      // Branches weighted and summed.
      let sum = try reduce(.reduceSum, try apply(.mul, split, weights), [1], keep: false)
      return try conv(sum, channels, kernel: 1, "out")
    case 4:
      let wide = try conv(x, dice.int(3...6), kernel: 1, "in")
      let n = try extent(wide, 1)
      let flat = try reshape(wide, [extent(of: x, 0), Extent(n * (try extent(x, 2)) * (try extent(x, 3)))])
      let back = try reshape(try activation(flat), [extent(of: x, 0), Extent(n)] + shape(x).suffix(2))
      return try conv(back, channels, kernel: 1, "out")
    case 5:
      // Transposed convolutions in groups.
      let groups = dice.int(2...3)
      let wide = try conv(x, groups * 2, kernel: 1, "in")
      let kernel = weight("turned.weight", [groups * 2, dice.int(1...3), 3, 3], spread: 0.3)
      let up = try add(.convolution(.convTranspose), [wide, kernel], [.int(.group, groups), .ints(.pads, [1, 1, 1, 1])])
      return try conv(up, channels, kernel: 1, groups: 1, "out")
    default:
      // Every channel a picture of its own.
      let wide = try conv(x, dice.int(3...6), kernel: 1, "in")
      let n = try extent(wide, 1)
      guard extent(of: x, 0).isConstant else { return try conv(wide, channels, kernel: 1, "out") }
      let single = try reshape(wide, [extent(of: x, 0) * Extent(n), 1] + shape(x).suffix(2))
      let blurred = try conv(single, 1, kernel: 3, "blur")
      return try conv(try reshape(blurred, shape(wide)), channels, kernel: 1, "out")
    }
  }

  /// Heads repeated by indices, as `repeat_interleave` is exported.
  private mutating func repeatedHeads(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (groups, times, size) = (dice.int(1...3), dice.int(2...3), dice.int(2...3))
    let front = Array(shape(x).prefix(2))
    let few = try reshape(try linear(x, groups * size, "few"), front + [Extent(groups), Extent(size)])
    let many = try reshape(try linear(x, groups * times * size, "many"), front + [Extent(groups * times), Extent(size)])
    let picks = (0..<groups * times).map { dice.chance(0.5) ? $0 / times : $0 / times }
    let product = try apply(.mul, many, try gather(few, picks, 2))
    return try linear(try reshape(product, front + [Extent(groups * times * size)]), try extent(x, -1), "out")
  }

  /// Positions in windows, each with an attention of its own.
  private mutating func windows(_ x: ValueID) throws(Diagnostic) -> ValueID {
    guard let count = extent(of: x, 1).constant, let (a, b) = factors(count) else {
      return try linear(x, try extent(x, -1), "flat")
    }
    let (heads, size) = (2, dice.int(2...3))
    let batch = extent(of: x, 0) * Extent(a)
    let view = try reshape(x, [batch, Extent(b), extent(of: x, 2)])
    let joint = try reshape(try linear(view, 3 * heads * size, "qkv"), [batch, Extent(b), 3, Extent(heads), Extent(size)])
    let turned = try transpose(joint, [2, 0, 3, 1, 4])
    let (query, key, value) = (try select(turned, 0, 0), try select(turned, 0, 1), try select(turned, 0, 2))
    let scores = try apply(.add, try matMul(query, try self.turned(key)), weight("bias", [heads, b, b]))
    let mixed = try transpose(try matMul(try softmax(scores, -1), value), [0, 2, 1, 3])
    let joined = try linear(try reshape(mixed, [batch, Extent(b), Extent(heads * size)]), try extent(x, -1), "proj")
    return try reshape(joined, shape(x))
  }

  /// Read from the end.
  private mutating func backwards(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let axis = dice.pick([1, 2])
    let value = try linear(x, dice.int(3...6), "in")
    let turned = try add(.joining(.slice), [value, wholes([-1]), wholes([Int(Int64.min) + 1]), wholes([axis]), wholes([-1])])
    return try linear(try apply(.add, try activation(value), turned), try extent(x, -1), "out")
  }

  /// A mask that is made of positions when the model runs.
  private mutating func causal(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let size = dice.int(2...4)
    let (query, key) = (try linear(x, size, "q"), try linear(x, size, "k"))
    let range = try add(.generation(.range), [whole(0), try length(x, 1, asList: false), whole(1)])
    let isEarlier = try apply(.lessOrEqual, try unsqueeze(range, [0]), try unsqueeze(range, [1]))
    let scores = try apply(.choose, isEarlier, try matMul(query, try turned(key)), real(-10000))
    return try matMul(try softmax(scores, -1), try linear(x, try extent(x, -1), "v"))
  }

  /// Positions found by a maximum, seen in other shapes before they are used, or used as numbers.
  private mutating func positionsMoved(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (count, width) = (dice.int(3...6), try extent(x, -1))
    let nearest = try add(.reduction(.argMax), [try linear(x, count, "codes")], [.int(.axis, 2), .int(.keepDims, 1)])
    let table = weight("codes.table", [count, width])
    switch dice.int(0...3) {
    case 0:
      let flat = try reshape(nearest, [extent(of: x, 0) * extent(of: x, 1)])
      let rows = try add(.indexing(.gather), [table, try add(.elementwise(.cast), [flat], [.int(.to, 6)])], [.int(.axis, 0)])
      return try reshape(rows, shape(x))
    case 1:
      let rows = try add(.indexing(.gather), [table, try transpose(nearest, [1, 0, 2])], [.int(.axis, 0)])
      return try squeeze(try transpose(rows, [1, 0, 2, 3]), [2])
    case 2:
      let number = try add(.elementwise(.cast), [nearest], [.int(.to, 1)])
      return try apply(.add, x, try apply(.mul, number, weight("scale", [width], spread: 0.1)))
    default:
      let next = try add(
        .indexing(.gather), [weight("codes.longer", [count + 1, width]), try apply(.add, nearest, whole(1))], [.int(.axis, 0)])
      return try squeeze(next, [2])
    }
  }

  /// Boxes read and written by constant tuples over two axes.
  private mutating func boxes(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (a, b) = (dice.int(2...4), dice.int(2...4))
    let hidden = try transpose(
      try reshape(try linear(x, a * b, "in"), shape(x).dropLast() + [Extent(a), Extent(b)]), [2, 3, 0, 1])
    let (rows, columns) = (dice.int(1...a), dice.int(1...b))
    let (row, column) = (dice.int(0...a - rows), dice.int(0...b - columns))
    let tuples = (row..<row + rows).flatMap { r in (column..<column + columns).flatMap { [r, $0] } }
    let indices = wholes(tuples, [rows, columns, 2])
    let box = try add(.indexing(.gatherND), [hidden, indices])
    let back: ValueID
    if dice.chance(0.5) {
      back = try add(.indexing(.scatterND), [hidden, indices, try activation(box)])
    } else {
      back = box
    }
    let last = try transpose(back, [2, 3, 0, 1])
    let n = try extent(last, 2) * (try extent(last, 3))
    return try linear(try reshape(last, shape(x).dropLast() + [Extent(n)]), try extent(x, -1), "out")
  }

  /// A norm over two axes.
  private mutating func positionNorm(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (a, b) = (dice.int(2...3), dice.int(2...3))
    let view = try reshape(try linear(x, a * b, "in"), shape(x).dropLast() + [Extent(a), Extent(b)])
    let scale = weight("norm.weight", [a, b], mean: 1)
    let normal = try add(
      .normalisation(.layerNorm), [view, scale] + (dice.chance(0.5) ? [weight("norm.bias", [a, b])] : []), [.int(.axis, -2)])
    return try reshape(normal, shape(x).dropLast() + [Extent(a * b)])
  }

  /// One value in both places.
  private mutating func doubled(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(2...5), "in")
    switch dice.int(0...3) {
    case 0: return try linear(try concat([hidden, hidden], 2), try extent(x, -1), "out")
    case 1: return try linear(try apply(.mul, hidden, hidden), try extent(x, -1), "out")
    case 2:
      // All pairs of units.
      let pairs = try matMul(try unsqueeze(hidden, [3]), try unsqueeze(hidden, [2]))
      let n = try extent(hidden, 2)
      return try linear(try reshape(pairs, shape(x).dropLast() + [Extent(n * n)]), try extent(x, -1), "out")
    default:
      let both = try concat([hidden, try apply(.neg, hidden)], 2)
      let n = try extent(hidden, 2)
      let view = try reshape(both, shape(x).dropLast() + [2, Extent(n)])
      return try linear(try reduce(.reduceMax, view, [2], keep: false), try extent(x, -1), "out")
    }
  }

  /// A one-hot whose depth is a shape's word.
  private mutating func shapedDepth(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let count = dice.int(3...5)
    let nearest = try add(.reduction(.argMax), [try linear(x, count, "codes")], [.int(.axis, -1), .int(.keepDims, 0)])
    let table = weight("codes.table", [count, try extent(x, -1)])
    let depth = try length(table, 0, asList: dice.chance(0.5))
    let values = parameter("values", TensorData([Float(0), 1]), .f32, [2])
    return try matMul(try add(.indexing(.oneHot), [nearest, depth, values]), table)
  }

  /// Two recurrences that start from one state of zeros.
  private mutating func statesShared(_ x: ValueID) throws(Diagnostic) -> ValueID {
    guard let batch = extent(of: x, 0).constant else { return try linear(x, try extent(x, -1), "flat") }
    let hidden = dice.int(2...4)
    let state = dice.chance(0.5) ? try expand(real(0), [1, Extent(batch), Extent(hidden)]) : real(0, [1, batch, hidden])
    var value = try transpose(x, [1, 0, 2])
    for layer in 0..<2 {
      let width = try extent(value, 2)
      let operands: [ValueID?] = [
        value, weight("l\(layer).weight_ih", [1, 3 * hidden, width]), weight("l\(layer).weight_hh", [1, 3 * hidden, hidden]), nil,
        nil, state,
      ]
      let all = try add(.recurrence(.gru), operands, [.int(.hiddenSize, hidden), .int(.linearBeforeReset, 1)], outputs: 2)
      value = try squeeze(all[0], [1])
    }
    return try linear(try transpose(value, [1, 0, 2]), try extent(x, -1), "out")
  }

  /// The weight on the left.
  private mutating func left(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (width, hidden) = (try extent(x, -1), dice.int(2...6))
    let series = try transpose(x, [0, 2, 1])
    let up = try activation(try matMul(weight("left.up", [hidden, width]), series), channelAxis: 1)
    return try transpose(
      try matMul(weight("left.down", dice.chance(0.5) ? [width, hidden] : [1, width, hidden]), up), [0, 2, 1])
  }

  /// Units and positions pushed on, each by another step.
  private mutating func shifted(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let groups = dice.int(2...3)
    let inner = dice.int(1...3)
    let hidden = try linear(x, groups * inner, "in")
    var parts = try pieces(hidden, Array(repeating: inner, count: groups), 2)
    if let count = extent(of: x, 1).constant, count > 1 {
      let ends = try pieces(parts[0], [count - 1, 1], 1)
      parts[0] = try concat([ends[1], ends[0]], 1)
    }
    parts[groups - 1] = try activation(parts[groups - 1])
    return try linear(try concat(parts, 2), try extent(x, -1), "out")
  }

  /// Products with vectors, and of vectors.
  private mutating func vectors(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = try linear(x, dice.int(2...5), "in")
    let n = try extent(hidden, 2)
    let numbers = try matMul(hidden, weight("vector", [n]))
    let gate = try unsqueeze(try apply(.sigmoid, numbers), [2])
    return try linear(try apply(.mul, hidden, gate), try extent(x, -1), "out")
  }

  /// Joined parts that heads do not respect.
  private mutating func joinedHeads(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (heads, size) = (dice.int(2...4), dice.int(2...4))
    let n = heads * size
    let cut = dice.chance(0.5) ? size * dice.int(1...heads - 1) : dice.int(1...n - 1)
    let joined = try concat([try linear(x, cut, "a"), try activation(try linear(x, n - cut, "b"))], 2)
    let view = try reshape(joined, shape(x).dropLast() + [Extent(heads), Extent(size)])
    let normal = dice.chance(0.5) ? try softmax(view, dice.int(2...3)) : try rootMeanSquare(view, "norm")
    let back = try reshape(normal, shape(x).dropLast() + [Extent(n)])
    let other = dice.chance(0.5) ? try apply(.add, back, try linear(x, n, "c")) : back
    return try linear(other, try extent(x, -1), "out")
  }

  /// Sums that meet other sums.
  private mutating func crossed(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let n = dice.int(4...8)
    func parts(_ builder: inout GraphBuilder, _ name: String) throws(Diagnostic) -> ValueID {
      var rest = n
      var parts: [ValueID] = []
      while rest > 0 {
        let size = builder.dice.int(1...rest)
        parts.append(try builder.linear(x, size, "\(name)\(parts.count)"))
        rest -= size
      }
      return parts.count == 1 ? parts[0] : try builder.concat(parts, 2)
    }
    let sum = try apply(.add, try parts(&self, "a"), try parts(&self, "b"))
    return try linear(try activation(sum), try extent(x, -1), "out")
  }

  /// Two block-diagonal products whose blocks differ.
  private mutating func groupsOfGroups(_ x: ValueID) throws(Diagnostic) -> ValueID {
    var value = try linear(x, 12, "in")
    for round in 0..<2 {
      let groups = dice.pick([2, 3, 4, 6])
      let view = try reshape(value, shape(x).dropLast() + [Extent(groups), Extent(12 / groups)])
      let mixed = try einsum("btgi,gio->btgo", view, weight("blocks\(round).weight", [groups, 12 / groups, 12 / groups]))
      let next = dice.chance(0.5) ? try transpose(mixed, [0, 1, 3, 2]) : mixed
      value = try activation(try reshape(next, shape(x).dropLast() + [12]))
    }
    return try linear(value, try extent(x, -1), "out")
  }

  /// Learned numbers beside those of the data, along the width.
  private mutating func learnedParts(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let n = dice.int(2...4)
    let learned = try expand(weight("learned", [n]), [extent(of: x, 0), extent(of: x, 1), Extent(n)])
    return try linear(try concat([x, learned], 2), try extent(x, -1), "out")
  }
}
