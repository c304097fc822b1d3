import Graph

/// Moves numbers without changing them.
extension Tensor {
  /// The same numbers, row by row, in another shape. One length may be −1: whatever is left.
  public func reshaped(
    to shape: [any AxisLength], file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    reshaped(to: shape.map(\.extent), Site(file, line))
  }

  func reshaped(to target: [Extent], _ site: Site) -> Tensor {
    guard value != nil else { return self }
    let unknown = target.indices.filter { target[$0] == Extent(-1) }
    let rest = target.filter { $0 != Extent(-1) }.reduce(Extent(1), *)
    let fits =
      unknown.isEmpty ? rest == type.elementCount : unknown.count == 1 && type.elementCount.dividedExactly(by: rest) != nil
    guard fits, !target.contains(0) else {
      builder.fail(
        "reshape: \(type) of \(type.elementCount) numbers cannot take the shape \(InferenceContext.text(target)) of \(rest)", site
      )
      return poisoned(site)
    }
    // Symbolic lengths at their old place are copied (0), one more is whatever is left (−1); further ones are read off a tensor.
    var written = target.enumerated().map { axis, extent in
      !extent.isConstant && axis < rank && extent == type.shape[axis] ? Extent(0) : extent
    }
    let symbolic = written.indices.filter { !written[$0].isConstant }
    if unknown.isEmpty, symbolic.count == 1 { written[symbolic[0]] = Extent(-1) }
    if written.contains(where: { !$0.isConstant }) { written = target }
    return made(.reshaping(.reshape), [builder.list(written, site)], [], site)
  }

  /// The axes from one to another, both included, as one.
  public func flattened(
    from first: Int = 0, to last: Int = -1, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let first = axis(first, site), let last = axis(last, site) else { return poisoned(site) }
    guard first <= last else {
      builder.fail("flatten: axis \(first) comes after axis \(last)", site)
      return poisoned(site)
    }
    let joined = type.shape[first...last].reduce(Extent(1), *)
    return reshaped(to: Array(type.shape[..<first]) + [joined] + Array(type.shape[(last + 1)...]), site)
  }

  /// The axes in another order: axis i of the result is axis `axes[i]` of this.
  public func permuted(_ axes: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    guard value != nil else { return self }
    let positive = axes.map { $0 < 0 ? $0 + rank : $0 }
    return made(.reshaping(.transpose), [], [.init(.perm, .ints(positive))], Site(file, line))
  }

  /// Two axes exchanged, the last two unless told otherwise.
  public func transposed(
    _ a: Int = -2, _ b: Int = -1, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let a = axis(a, site), let b = axis(b, site) else { return poisoned(site) }
    var order = Array(0..<rank)
    order.swapAt(a, b)
    return made(.reshaping(.transpose), [], [.init(.perm, .ints(order))], site)
  }

  /// With an axis of length 1 more, which is at the given place afterwards.
  public func unsqueezed(axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line)
    let positive = axis < 0 ? axis + rank + 1 : axis
    return made(.reshaping(.unsqueeze), [builder.constant(wholes: [positive], [1], site)], [], site)
  }

  /// Without an axis, whose length must be 1.
  public func squeezed(axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let site = Site(file, line)
    guard let positive = self.axis(axis, site) else { return poisoned(site) }
    return made(.reshaping(.squeeze), [builder.constant(wholes: [positive], [1], site)], [], site)
  }

  /// Repeats axes of length 1, and adds axes in front, until the shape is the given one; −1 leaves an axis as it is.
  public func expanded(
    to shape: [any AxisLength], file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line)
    let ahead = shape.count - rank
    let fits = zip(shape.reversed(), type.shape.reversed()).allSatisfy { wanted, own in
      own == Extent(1) || wanted.extent == own || wanted.extent == Extent(-1)
    }
    guard ahead >= 0, fits else {
      builder.fail("expand: \(type) cannot take the shape \(InferenceContext.text(shape.map(\.extent)))", site)
      return poisoned(site)
    }
    // An axis that stays as it is is written as 1, which broadcasts: so nothing is said of its length.
    let target = shape.enumerated().map { axis, length in
      let own = axis >= ahead && axis - ahead < rank ? type.shape[axis - ahead] : Extent(1)
      return length.extent == own || length.extent == Extent(-1) ? Extent(1) : length.extent
    }
    return made(.reshaping(.expand), [builder.list(target, site)], [], site)
  }

  /// Each index of an axis `count` times in a row: [a, b] becomes [a, a, b, b] (PyTorch's `repeat_interleave`).
  public func repeated(
    _ count: Int, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return poisoned(site) }
    if count == 1 { return self }
    var wide: [any AxisLength] = type.shape
    wide.insert(count, at: axis + 1)
    var joined = type.shape
    joined[axis] = joined[axis] * Extent(count)
    return unsqueezed(axis: axis + 1, file: file, line: line).expanded(to: wide, file: file, line: line)
      .reshaped(to: joined, site)
  }

  /// Zeros, or another number, added to both ends of the last axes: `before` and `after` per axis, the last axis last.
  public func padded(
    before: [Int], after: [Int], with number: Double = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line)
    guard before.count == after.count, before.count <= rank else {
      builder.fail("pad: \(before.count) and \(after.count) pads are given for \(type)", site)
      return poisoned(site)
    }
    let ahead = Array(repeating: 0, count: rank - before.count)
    let pads = builder.constant(wholes: ahead + before + ahead + after, [2 * rank], site)
    return made(.joining(.pad), [pads, scalar(number, site)], [], site)
  }
}

/// Cuts apart and joins.
extension Tensor {
  /// Parts of the given lengths along an axis; as many tensors come back as lengths are given.
  public func split(
    _ lengths: [Int], axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> [Tensor] {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return lengths.map { _ in poisoned(site) } }
    if lengths.count == 1, Extent(lengths[0]) == type.shape[axis] { return [self] }
    let sizes = builder.constant(wholes: lengths, [lengths.count], site)
    return builder.nodes(
      .joining(.split), [self, sizes], [.init(.axis, .int(axis))], results: lengths.count, site)
  }

  /// Equal parts along an axis (PyTorch's `chunk`); exactly `count` tensors come back.
  public func chunked(
    _ count: Int, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> [Tensor] {
    let site = Site(file, line)
    let none = Array(repeating: poisoned(site), count: Swift.max(count, 0))
    guard let positive = self.axis(axis, site) else { return none }
    guard count > 0, let extent = type.shape[positive].constant, extent % count == 0 else {
      builder.fail("chunk: axis \(axis) of \(type) does not split into \(count) equal parts", site)
      return none
    }
    return split(Array(repeating: extent / count, count: count), axis: axis, file: file, line: line)
  }

  /// The slices along an axis, without that axis (PyTorch's `unbind`); with `count`, exactly so many.
  public func unbound(
    axis: Int = 0, count: Int? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> [Tensor] {
    let site = Site(file, line)
    let none = Array(repeating: poisoned(site), count: count ?? 0)
    guard let positive = self.axis(axis, site) else { return none }
    guard let extent = type.shape[positive].constant, extent <= 4096, count == nil || count == extent else {
      builder.fail("unbind: axis \(axis) of \(type) is not \(count.map { "\($0)" } ?? "a fixed number of") slices", site)
      return none
    }
    return split(Array(repeating: 1, count: extent), axis: positive, file: file, line: line).map {
      $0.squeezed(axis: positive, file: file, line: line)
    }
  }

  /// One after the other along an axis.
  public static func concatenated(
    _ tensors: [Tensor], axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let first = tensors.first else { return nothing("concatenated", site) }
    return first.builder.node(.joining(.concat), tensors, [.init(.axis, .int(axis))], site)
  }

  /// Side by side along a new axis.
  public static func stacked(
    _ tensors: [Tensor], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    concatenated(tensors.map { $0.unsqueezed(axis: axis, file: file, line: line) }, axis: axis, file: file, line: line)
  }

  private static func nothing(_ what: String, _ site: Site) -> Tensor {
    let builder = TraceBuilder.current ?? .none
    builder.fail("\(what): no tensor is given", site)
    return builder.poisoned(site)
  }
}
