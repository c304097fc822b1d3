import Graph

/// Blocks in which groups meet as badly as they can: several tensors of one width are viewed, turned, cut, joined and added to each other
/// in random order.
extension GraphBuilder {
  /// Mixes tensors along one axis of `x` (its last of three, or the channels of an image); back to the width of `x`.
  mutating func tangle(_ x: ValueID, axis: Int) throws(Diagnostic) -> ValueID {
    let width = try extent(x, axis)
    let n = dice.pick([8, 12, 12, 16, 18, 24])
    var pool: [ValueID] = []
    for index in 0..<dice.int(1...3) { pool.append(try onto(x, n, axis, "in\(index)")) }
    for _ in 0..<dice.int(2...8) {
      let at = dice.int(0...pool.count - 1)
      let result = try knot(pool[at], pool, n, axis)
      if dice.chance(0.5) { pool[at] = result } else { pool.append(result) }
    }
    var sum = pool[pool.count - 1]
    if pool.count > 1, dice.chance(0.6) { sum = try apply(.add, sum, pool[dice.int(0...pool.count - 2)]) }
    if pool.count > 1, dice.chance(0.3) { sum = try concat([sum, dice.pick(pool)], axis) }
    return try onto(sum, width, axis, "out")
  }

  /// A linear layer along an axis.
  private mutating func onto(_ x: ValueID, _ n: Int, _ axis: Int, _ name: String) throws(Diagnostic) -> ValueID {
    axis == 1 ? try conv(x, n, kernel: 1, name) : try linear(x, n, name)
  }

  /// One step on an axis of n.
  private mutating func knot(_ x: ValueID, _ pool: [ValueID], _ n: Int, _ axis: Int) throws(Diagnostic) -> ValueID {
    let cut = dice.int(1...n - 1)
    switch dice.int(0...15) {
    case 0, 1, 2: return try permuted(x, n, axis)
    case 3: return try apply(.add, x, dice.pick(pool))
    case 4: return try apply(.mul, x, try activation(dice.pick(pool), channelAxis: axis == 1 ? 1 : -1))
    case 5:
      let parts = try pieces(x, [cut, n - cut], axis)
      return try concat([parts[1], parts[0]], axis)
    case 6:
      // Halves of two tensors joined anew.
      let both = try concat([x, dice.pick(pool)], axis)
      let start = dice.chance(0.5) ? n / 2 : cut
      return try slice(both, axis, start, start + n)
    case 7:
      let both = try concat([x, dice.pick(pool)], axis)
      return try slice(both, axis, dice.int(0...1), Int(Int64.max), step: 2)
    case 8:
      // Made of other parts than before.
      let parts = [try onto(x, cut, axis, "part_a"), try onto(dice.pick(pool), n - cut, axis, "part_b")]
      return try concat(parts, axis)
    case 9: return try mixedInside(x, n, axis)
    case 10: return try gather(x, dice.chance(0.5) ? Array(0..<n).reversed() : Array(cut..<n) + Array(0..<cut), axis)
    case 11:
      // Some part goes round.
      let parts = try pieces(x, [cut, n - cut], axis)
      return try concat([parts[0], try onto(parts[1], n - cut, axis, "round")], axis)
    case 12:
      guard let (a, _) = factors(n), n % a == 0 else { return x }
      // Repeats of a part.
      let part = try slice(x, axis, 0, n / a)
      var repeats = [Int](repeating: 1, count: rank(x))
      repeats[axis] = a
      return try apply(.add, x, try add(.reshaping(.tile), [part, wholes(repeats)]))
    case 13:
      let part = try slice(x, axis, 0, cut)
      var pads = [Int](repeating: 0, count: 2 * rank(x))
      let before = dice.int(0...n - cut)
      pads[axis] = before
      pads[axis + rank(x)] = n - cut - before
      return try apply(.add, try add(.joining(.pad), [part, wholes(pads)]), x)
    case 14:
      let norm = try reduce(.reduceMean, x, [axis], keep: true)
      return try apply(.sub, x, norm)
    default: return try activation(x, channelAxis: axis == 1 ? 1 : -1)
    }
  }

  /// The axis seen as factors, by extents.
  private func viewed(_ x: ValueID, _ axis: Int, _ factors: [Int]) -> [Extent] {
    Array(shape(x)[..<axis]) + factors.map { Extent($0) } + shape(x)[(axis + 1)...]
  }

  /// Factors of the axis in another order, seen as the axis again.
  private mutating func permuted(_ x: ValueID, _ n: Int, _ axis: Int) throws(Diagnostic) -> ValueID {
    let factors = factoring(n)
    let view = try reshape(x, viewed(x, axis, factors))
    let inner = Array(axis..<axis + factors.count)
    let after = Array((axis + factors.count)..<rank(view))
    let turned = try transpose(view, Array(0..<axis) + dice.shuffled(inner) + after)
    return try reshape(turned, viewed(x, axis, [n]))
  }

  /// Something done to one of the axis's factors.
  private mutating func mixedInside(_ x: ValueID, _ n: Int, _ axis: Int) throws(Diagnostic) -> ValueID {
    let factors = factoring(n)
    let view = try reshape(x, viewed(x, axis, factors))
    let at = axis + dice.int(0...factors.count - 1)
    let length = try extent(view, at)
    let result: ValueID
    switch dice.int(0...4) {
    case 0: result = try softmax(view, at)
    case 1:
      // A matrix over one factor alone.
      let order = Array(0..<rank(view)).filter { $0 != at } + [at]
      var back = [Int](repeating: 0, count: order.count)
      for (to, from) in order.enumerated() { back[from] = to }
      result = try transpose(try linear(try transpose(view, order), length, "inside"), back)
    case 2:
      var shape = [Int](repeating: 1, count: rank(view) - at)
      shape[0] = length
      result = try apply(.mul, view, weight("scale", shape, mean: 1))
    case 3 where length > 1:
      let cut = dice.int(1...length - 1)
      let parts = try pieces(view, [cut, length - cut], at)
      result = try concat([parts[1], parts[0]], at)
    default:
      let one = try slice(view, at, 0, 1)
      result = try apply(.add, view, one)
    }
    return try reshape(result, viewed(x, axis, [n]))
  }
}
