/// A tensor of a graph that is being written: formulas over terms append nodes.
public struct Term {
  let writer: GraphWriter
  /// The value it stands for.
  public let value: ValueID

  /// The term of a value.
  public init(_ writer: GraphWriter, _ value: ValueID) {
    self.writer = writer
    self.value = value
  }

  /// Element type and shape.
  public var type: TensorType { writer.module[value].type }
  /// Type of each number.
  public var element: ElementType { type.element }
  /// Extents.
  public var shape: [Extent] { type.shape }
  /// Number of axes.
  public var rank: Int { type.rank }

  /// A number of the same type.
  package func number(_ number: Double) -> Term { writer.scalar(number, element) }

  /// A function of each number.
  package func applying(_ function: Elementwise, _ others: Term?..., attributes: [Attributes.Entry] = []) -> Term {
    writer.node(.elementwise(function), [self] + others, attributes)
  }
}

// MARK: - Arithmetic

extension Term {
  package static func + (a: Term, b: Term) -> Term { a.applying(.add, b) }
  package static func - (a: Term, b: Term) -> Term { a.applying(.sub, b) }
  package static func * (a: Term, b: Term) -> Term { a.applying(.mul, b) }
  package static func / (a: Term, b: Term) -> Term { a.applying(.div, b) }
  package static func + (a: Term, b: Double) -> Term { a + a.number(b) }
  package static func - (a: Term, b: Double) -> Term { a - a.number(b) }
  package static func * (a: Term, b: Double) -> Term { b == 1 ? a : a * a.number(b) }
  package static func / (a: Term, b: Double) -> Term { a / a.number(b) }
  package static func + (a: Double, b: Term) -> Term { b.number(a) + b }
  package static func - (a: Double, b: Term) -> Term { b.number(a) - b }
  package static func * (a: Double, b: Term) -> Term { b * a }
  package static func / (a: Double, b: Term) -> Term { b.number(a) / b }
  package static prefix func - (a: Term) -> Term { a.applying(.neg) }

  package var squared: Term { self * self }
  package var exp: Term { applying(.exp) }
  package var log: Term { applying(.log) }
  package var squareRoot: Term { applying(.sqrt) }
  package var magnitude: Term { applying(.abs) }
  package var sign: Term { applying(.sign) }
  package var sigmoid: Term { applying(.sigmoid) }
  package var tanh: Term { applying(.tanh) }
  package func power(_ exponent: Term) -> Term { applying(.pow, exponent) }
  package func power(_ exponent: Double) -> Term { power(number(exponent)) }

  package static func < (a: Term, b: Term) -> Term { a.applying(.less, b) }
  package static func > (a: Term, b: Term) -> Term { a.applying(.greater, b) }
  package static func < (a: Term, b: Double) -> Term { a < a.number(b) }
  package static func > (a: Term, b: Double) -> Term { a > a.number(b) }
  /// Where both are the same number.
  package func equals(_ other: Term) -> Term { applying(.equal, other) }
  package func equals(_ other: Double) -> Term { equals(number(other)) }
  /// Of truth values, the opposite.
  package var negated: Term { applying(.not) }

  /// The numbers as another type.
  package func cast(to element: ElementType) -> Term {
    element == self.element ? self : applying(.cast, attributes: [.init(.to, .int(element.onnxCode))])
  }

  /// Of truth values: `a` where true, `b` elsewhere.
  package func choosing(_ a: Term, _ b: Term) -> Term { applying(.choose, a, b) }

  /// The sum with another term.
  public func adding(_ other: Term) -> Term { self + other }

  /// Zeros of the same shape and type.
  public var zeros: Term { filled(0) }

  /// One number in the same shape and type.
  public func filled(_ number: Double) -> Term {
    let value = AttributeValue.tensor(TensorType(element, [1]), Tensor(reals: [number], element, [1]).data)
    return writer.node(.generation(.constantOfShape), [dimensions], [.init(.value, value)])
  }

  /// Zeros of the type of this term.
  package func zeros(_ shape: [Extent]) -> Term {
    let value = AttributeValue.tensor(TensorType(element, [1]), Tensor(reals: [0], element, [1]).data)
    return writer.node(.generation(.constantOfShape), [writer.list(shape)], [.init(.value, value)])
  }
}

// MARK: - Reductions and products

extension Term {
  /// The sum over some axes, which stay with an extent of 1 unless `keep` is false.
  package func sum(_ axes: [Int], keep: Bool = true) -> Term { reduced(.reduceSum, axes, keep: keep, operandSince: 13) }
  /// The mean over some axes.
  package func mean(_ axes: [Int], keep: Bool = true) -> Term { reduced(.reduceMean, axes, keep: keep, operandSince: 18) }
  /// The largest over some axes.
  package func largest(_ axes: [Int], keep: Bool = true) -> Term { reduced(.reduceMax, axes, keep: keep, operandSince: 18) }
  /// The product over some axes.
  package func product(_ axes: [Int], keep: Bool = true) -> Term { reduced(.reduceProd, axes, keep: keep, operandSince: 18) }
  /// The sum of all numbers, as a scalar.
  package var total: Term { rank == 0 ? self : sum(Array(0..<rank), keep: false) }

  private func reduced(_ reduction: Reduction, _ axes: [Int], keep: Bool, operandSince version: Int) -> Term {
    if axes.isEmpty { return self }
    let kept: [Attributes.Entry] = [.init(.keepDims, .int(keep ? 1 : 0))]
    if writer.module.opset >= version { return writer.node(.reduction(reduction), [self, writer.list(axes)], kept) }
    return writer.node(.reduction(reduction), [self], [.init(.axes, .ints(axes))] + kept)
  }

  /// What broadcasting repeated is summed, so that the result has the shape of `other`.
  package func summed(like other: Term) -> Term {
    if shape == other.shape { return self }
    let ahead = rank - other.rank
    guard ahead >= 0 else { return reshaped(like: other) }
    var axes = Array(0..<ahead)
    for (axis, extent) in other.shape.enumerated() where shape[ahead + axis] != extent {
      if extent == Extent(1) {
        axes.append(ahead + axis)
      } else if !extent.isConstant, writer.module.opset >= 13 {
        return summedWhereOne(like: other)
      }
    }
    let summed = sum(axes)
    return summed.shape == other.shape ? summed : summed.reshaped(like: other)
  }

  /// The same where only running the model tells which axes of `other` are of one index.
  private func summedWhereOne(like other: Term) -> Term {
    let ahead = rank - other.rank
    let target = ahead == 0 ? other : other.reshaped(Array(repeating: 1, count: ahead) + other.shape)
    let isRepeated = target.dimensions.equals(1)
    let axes = writer.node(.indexing(.nonZero), [isRepeated]).reshaped([-1])
    let summed = writer.node(
      .reduction(.reduceSum), [self, axes], [.init(.keepDims, .int(1)), .init(.noopWithEmptyAxes, .int(1))])
    return summed.reshaped(like: other)
  }

  /// The matrix product of numpy's `matmul`.
  package func times(_ other: Term) -> Term { writer.node(.matrixProduct(.matMul), [self, other]) }
}

// MARK: - Movement

extension Term {
  /// The shape as a list of whole numbers.
  package var dimensions: Term { writer.shape(value) }

  /// The same numbers in the shape of another term.
  package func reshaped(like other: Term) -> Term {
    if shape == other.shape { return self }
    return writer.node(.reshaping(.reshape), [self, other.dimensions])
  }

  /// The same numbers in another shape; one extent may be −1, for what is left.
  package func reshaped(_ shape: [Extent]) -> Term {
    if shape == self.shape { return self }
    return writer.node(.reshaping(.reshape), [self, writer.list(shape)])
  }

  /// Repeated along axes of extent 1 to the shape of another term.
  package func expanded(like other: Term) -> Term {
    shape == other.shape ? self : writer.node(.reshaping(.expand), [self, other.dimensions])
  }

  /// Repeated along axes of extent 1.
  package func expanded(_ shape: [Extent]) -> Term {
    shape == self.shape ? self : writer.node(.reshaping(.expand), [self, writer.list(shape)])
  }

  /// Axes in another order: axis i of the result is axis `order[i]`.
  package func transposed(_ order: [Int]) -> Term {
    order == Array(0..<rank) ? self : writer.node(.reshaping(.transpose), [self], [.init(.perm, .ints(order))])
  }

  /// The last two axes exchanged.
  package var transposed: Term { transposed(Array(0..<rank - 2) + [rank - 1, rank - 2]) }

  /// One axis moved to another place.
  package func moving(axis: Int, to place: Int) -> Term {
    var order = Array(0..<rank)
    order.insert(order.remove(at: axis), at: place)
    return transposed(order)
  }

  /// New axes of extent 1, at these places of the result.
  package func unsqueezed(_ axes: [Int]) -> Term {
    if axes.isEmpty { return self }
    if writer.module.opset >= 13 { return writer.node(.reshaping(.unsqueeze), [self, writer.list(axes)]) }
    return writer.node(.reshaping(.unsqueeze), [self], [.init(.axes, .ints(axes))])
  }

  /// Without some axes of extent 1.
  package func squeezed(_ axes: [Int]) -> Term {
    if axes.isEmpty { return self }
    if writer.module.opset >= 13 { return writer.node(.reshaping(.squeeze), [self, writer.list(axes)]) }
    return writer.node(.reshaping(.squeeze), [self], [.init(.axes, .ints(axes))])
  }

  /// A part of an axis; an end beyond the axis is its end.
  package func sliced(axis: Int, from: Int, to: Int, step: Int = 1) -> Term {
    writer.node(.joining(.slice), [self, writer.list([from]), writer.list([to]), writer.list([axis]), writer.list([step])])
  }

  /// A part of an axis whose end only running the model may tell.
  package func sliced(axis: Int, from: Term, to: Term) -> Term {
    writer.node(.joining(.slice), [self, from, to, writer.list([axis])])
  }

  /// One index of an axis, which is gone.
  package func selecting(axis: Int, _ index: Int) -> Term { sliced(axis: axis, from: index, to: index + 1).squeezed([axis]) }

  /// Parts of the given lengths, which may be symbolic.
  package func split(axis: Int, _ lengths: [Extent]) -> [Term] {
    let numbers = lengths.compactMap(\.constant)
    if lengths.count == 1 { return [self] }
    if numbers.count == lengths.count {
      var from = 0
      return numbers.map { length in
        defer { from += length }
        return sliced(axis: axis, from: from, to: from + length)
      }
    }
    return writer.nodes(.joining(.split), [self, writer.list(lengths)], [.init(.axis, .int(axis))], results: lengths.count)
  }

  /// One after the other along an axis.
  package static func concatenated(_ terms: [Term], axis: Int) -> Term {
    terms.count == 1 ? terms[0] : terms[0].writer.node(.joining(.concat), terms, [.init(.axis, .int(axis))])
  }

  /// A number added to both ends of all axes; negative pads cut.
  package func padded(_ before: [Int], _ after: [Int], with number: Double = 0) -> Term {
    if (before + after).allSatisfy({ $0 == 0 }) { return self }
    return writer.node(.joining(.pad), [self, writer.list(before + after), self.number(number)])
  }

  /// Indices of an axis.
  package func gathered(axis: Int, _ indices: Term) -> Term {
    writer.node(.indexing(.gather), [self, indices], [.init(.axis, .int(axis))])
  }

  /// The numbers at the indices of an axis that `indices`, which have their rank, say.
  package func picked(axis: Int, _ indices: Term) -> Term {
    writer.node(.indexing(.gatherElements), [self, indices], [.init(.axis, .int(axis))])
  }

  /// 0, 1, … along an axis, as a list.
  package func counting(axis: Int) -> Term {
    if let count = shape[axis].constant, count <= 4096 { return writer.list(Array(0..<count)) }
    let end = dimensions.sliced(axis: 0, from: axis, to: axis + 1).reshaped([])
    return writer.node(.generation(.range), [writer.scalar(0, .i64), end, writer.scalar(1, .i64)])
  }
}
