import Graph

/// Blocks that do little but move numbers.
extension GraphBuilder {
  /// Views with random factors, in random order, back again or not: [batch, positions, n] to the width of `x`.
  mutating func factorings(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let n = dice.pick([12, 16, 18, 24])
    var value = try linear(x, n, "in")
    let front = Array(shape(x).prefix(2))
    for _ in 0..<dice.int(1...3) {
      let view = try reshape(value, front + factoring(n).map { Extent($0) })
      var order = dice.shuffled(Array(2..<rank(view)))
      if dice.chance(0.3) { order.sort() }
      var turned = try transpose(view, [0, 1] + order)
      if dice.chance(0.3) { turned = try inside(turned) }
      value = try reshape(turned, front + [Extent(n)])
      if dice.chance(0.2) { value = try activation(value) }
    }
    return try linear(value, width, "out")
  }

  /// Something done to a tensor of many axes.
  private mutating func inside(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let axis = dice.int(2...rank(x) - 1)
    let length = try extent(x, axis)
    switch dice.int(0...4) {
    case 0: return try softmax(x, axis)
    case 1:
      var scale = [Int](repeating: 1, count: rank(x) - axis)
      scale[0] = length
      return try apply(.mul, x, weight("scale", scale, mean: 1))
    case 2 where length > 1:
      let cut = dice.int(1...length - 1)
      return try concat(try pieces(x, [cut, length - cut], axis).reversed(), axis)
    case 3: return try apply(.sub, x, try reduce(.reduceMean, x, [axis], keep: true))
    default: return try apply(.add, x, try reduce(.reduceMax, x, [axis], keep: true))
    }
  }

  /// n as a product of random factors.
  mutating func factoring(_ n: Int) -> [Int] {
    var result = [n]
    for _ in 0..<dice.int(1...3) {
      let at = dice.int(0...result.count - 1)
      if let (a, b) = factors(result[at]) { result.replaceSubrange(at...at, with: [a, b]) }
    }
    return result
  }

  /// Pieces of the width in another order, doubled, left out, repeated, or written over.
  mutating func moves(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let width = try extent(x, -1)
    let last = rank(x) - 1
    guard width >= 3 else { return try linear(x, 6, "wider") }
    let cut = dice.int(1...width - 2)
    switch dice.int(0...8) {
    case 0: return try gather(x, Array(cut..<width) + Array(0..<cut), last)
    case 1: return try gather(x, Array(cut..<width), last)
    case 2: return try linear(try gather(x, Array(0..<width).reversed(), last), width, "after")
    case 3:
      let pieces = try pieces(x, [cut, 1, width - cut - 1], last)
      let turned = try apply(.neg, pieces[2])
      return try concat([turned, pieces[0], pieces[0], pieces[1]], last)
    case 4:
      var repeats = [Int](repeating: 1, count: rank(x))
      repeats[last] = 2
      return try linear(try add(.reshaping(.tile), [x, wholes(repeats)]), width, "after")
    case 5:
      // Written over: the width is the leading axis while it happens.
      let front = try transpose(x, [2, 0, 1])
      let count = dice.int(1...2)
      let hidden = try linear(x, count, "over")
      let updates = try transpose(hidden, [2, 0, 1])
      let start = dice.int(0...width - count)
      let indices = wholes((start..<start + count).map { $0 }, [count, 1])
      return try transpose(try add(.indexing(.scatterND), [front, indices, updates]), [1, 2, 0])
    case 6:
      // Positions one after the other, in a cumulative sum.
      return try add(.reduction(.cumSum), [x, whole(1)])
    case 7:
      let front = try transpose(x, [2, 1, 0])
      let indices = wholes((cut..<width).map { $0 }, [width - cut, 1])
      return try transpose(try add(.indexing(.gatherND), [front, indices]), [2, 1, 0])
    default:
      // Every third, as one interleaved axis.
      let wide = try linear(x, 3 * cut, "wide")
      let first = try slice(wide, last, 0, Int(Int64.max), step: 3)
      let second = try activation(try slice(wide, last, 1, Int(Int64.max), step: 3))
      return try apply(.add, try apply(.mul, first, second), try slice(wide, last, 2, Int(Int64.max), step: 3))
    }
  }
}
