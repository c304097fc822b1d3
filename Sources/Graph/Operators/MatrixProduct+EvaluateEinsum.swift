/// A factor of a sum of products: numbers with a letter per axis, none of them twice.
private struct Factor<Number: Summable> {
  var axes: [EinsumEquation.Axis]
  var extents: [Int]
  var numbers: [Number]

  /// Axes in another order, which may leave out none.
  func ordered(_ order: [EinsumEquation.Axis]) -> Factor {
    if order == axes { return self }
    let strides = Tensor.strides(extents)
    let places = order.compactMap { axes.firstIndex(of: $0) }
    let target = places.map { extents[$0] }
    let positions = Tensor.positions(target, strides: places.map { strides[$0] })
    return Factor(axes: order, extents: target, numbers: positions.map { numbers[$0] })
  }

  /// The sum over all axes that are not kept.
  func summed(keeping kept: Set<EinsumEquation.Axis>, one: Number) -> Factor {
    let left = axes.filter { kept.contains($0) }
    if left.count == axes.count { return self }
    let moved = ordered(left + axes.filter { !kept.contains($0) })
    let outer = moved.extents.prefix(left.count).reduce(1, *)
    let inner = moved.extents.dropFirst(left.count).reduce(1, *)
    var sums = [Number](repeating: .zero, count: outer)
    for row in 0..<outer {
      for at in row * inner..<(row + 1) * inner { sums[row] = Number.sum(sums[row], moved.numbers[at], times: one) }
    }
    return Factor(axes: left, extents: Array(moved.extents.prefix(left.count)), numbers: sums)
  }

  /// The product with another factor, summed over the axes that are not kept.
  func times(_ other: Factor, keeping kept: Set<EinsumEquation.Axis>, one: Number) -> Factor {
    let left = summed(keeping: kept.union(other.axes), one: one)
    let right = other.summed(keeping: kept.union(axes), one: one)
    let shared = left.axes.filter { right.axes.contains($0) }
    let batch = shared.filter { kept.contains($0) }
    let inner = shared.filter { !kept.contains($0) }
    let rows = left.axes.filter { !shared.contains($0) }
    let columns = right.axes.filter { !shared.contains($0) }
    let a = left.ordered(batch + rows + inner)
    let b = right.ordered(batch + inner + columns)
    func count(_ extents: [Int], _ range: Range<Int>) -> Int { extents[range].reduce(1, *) }
    let batches = count(a.extents, 0..<batch.count)
    let m = count(a.extents, batch.count..<batch.count + rows.count)
    let k = count(a.extents, batch.count + rows.count..<a.extents.count)
    let n = count(b.extents, batch.count + inner.count..<b.extents.count)
    return Factor(
      axes: batch + rows + columns,
      extents: Array(a.extents.prefix(batch.count + rows.count)) + b.extents.suffix(columns.count),
      numbers: MatrixKernel.product(a.numbers, [batches, m, k], b.numbers, [batches, k, n]))
  }
}

extension MatrixProduct {
  /// Operand by operand: each product is summed over the letters that nothing after it names.
  static func evaluateEinsum(_ context: inout EvaluationContext) throws(Diagnostic) {
    if try context.input(0).element.isFloat {
      let result = try einsum(context, one: 1.0) { $0.reals }
      try context.setReals(result)
    } else {
      let result = try einsum(context, one: 1) { $0.wholes }
      try context.setWholes(result)
    }
  }

  private static func einsum<Number: Summable>(
    _ context: EvaluationContext, one: Number, _ numbers: (Tensor) -> [Number]
  ) throws(Diagnostic) -> [Number] {
    let shape = try context.outputShape()
    guard let equation = context.attributes.string(.equation).flatMap(EinsumEquation.init),
      let result = EinsumEquation.axes(equation.result, rank: shape.count)
    else { throw context.failure("the equation cannot be read") }
    var factors: [Factor<Number>] = []
    for index in 0..<context.inputCount {
      let tensor = try context.input(index)
      guard let axes = EinsumEquation.axes(equation.operands[index], rank: tensor.rank) else {
        throw context.failure("operand \(index) of shape \(tensor.shape) does not fit the equation")
      }
      factors.append(factor(tensor, axes, numbers))
    }
    var product = Factor(axes: [], extents: [], numbers: [one])
    for (index, factor) in factors.enumerated() {
      let later = factors.dropFirst(index + 1).flatMap(\.axes)
      product = product.times(factor, keeping: Set(result + later), one: one)
    }
    // What is left are letters of the result; those of one index are in no factor.
    let final = product.summed(keeping: Set(result), one: one).ordered(result.filter { product.axes.contains($0) })
    return final.numbers
  }

  /// An operand with each letter once, diagonals taken; axes of one index broadcast, so they are left out.
  private static func factor<Number: Summable>(
    _ tensor: Tensor, _ axes: [EinsumEquation.Axis], _ numbers: (Tensor) -> [Number]
  ) -> Factor<Number> {
    let strides = Tensor.strides(tensor.shape)
    var letters: [EinsumEquation.Axis] = []
    var extents: [Int] = []
    var steps: [Int] = []
    for (at, axis) in axes.enumerated() where tensor.shape[at] != 1 {
      if let seen = letters.firstIndex(of: axis) {
        steps[seen] += strides[at]
      } else {
        letters.append(axis)
        extents.append(tensor.shape[at])
        steps.append(strides[at])
      }
    }
    let all = numbers(tensor)
    if letters.count == axes.count || steps == Tensor.strides(extents) && extents.reduce(1, *) == tensor.count {
      return Factor(axes: letters, extents: extents, numbers: all)
    }
    return Factor(axes: letters, extents: extents, numbers: Tensor.positions(extents, strides: steps).map { all[$0] })
  }
}
