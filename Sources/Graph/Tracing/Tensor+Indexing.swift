import Graph

/// What may stand in a tensor's subscript for one axis: a number (that index, and the axis is gone; −1 is the last), a range
/// (`0..<n`, `2...`, `..<n`; `0...` is the whole axis), or a `Slice` with a step.
public protocol AxisIndex: Sendable {
  /// What is taken.
  var selection: AxisSelection { get }
}

/// What is taken of one axis.
public enum AxisSelection: Sendable, Hashable {
  /// One index; the axis goes.
  case index(Int)
  /// Some indices in order.
  case slice(Slice)
}

/// Indices of an axis: every `step`-th from `start` to before `end`. Negative bounds count from the end; without an end all follow.
public struct Slice: AxisIndex, Hashable {
  /// The first index.
  public let start: Int
  /// The index before which it stops; nil for the axis's end.
  public let end: Int?
  /// From one index to the next, at least 1.
  public let step: Int

  /// Every `step`-th index from `start` to before `end`.
  public init(from start: Int = 0, to end: Int? = nil, by step: Int = 1) {
    self.start = start
    self.end = end
    self.step = step
  }

  /// Itself.
  public var selection: AxisSelection { .slice(self) }
  var isWhole: Bool { start == 0 && end == nil && step == 1 }
}

extension Int: AxisIndex {
  /// This index.
  public var selection: AxisSelection { .index(self) }
}

extension Range: AxisIndex where Bound == Int {
  /// These indices.
  public var selection: AxisSelection { .slice(Slice(from: lowerBound, to: upperBound)) }
}

extension ClosedRange: AxisIndex where Bound == Int {
  /// These indices.
  public var selection: AxisSelection { .slice(Slice(from: lowerBound, to: upperBound + 1)) }
}

extension PartialRangeFrom: AxisIndex where Bound == Int {
  /// The indices from here on.
  public var selection: AxisSelection { .slice(Slice(from: lowerBound)) }
}

extension PartialRangeUpTo: AxisIndex where Bound == Int {
  /// The indices before this.
  public var selection: AxisSelection { .slice(Slice(to: upperBound)) }
}

extension PartialRangeThrough: AxisIndex where Bound == Int {
  /// The indices up to this.
  public var selection: AxisSelection { .slice(Slice(to: upperBound + 1)) }
}

extension Tensor {
  /// Parts of the first axes: `x[0]`, `x[0..., 0]` (all of the first axis, index 0 of the second), `x[1, 2..<5]`.
  public subscript(
    _ indices: any AxisIndex..., file file: StaticString = #fileID, line line: UInt = #line
  ) -> Tensor {
    taking(indices.map(\.selection), ahead: 0, Site(file, line))
  }

  /// Parts of the last axes: `x[..., 0]` is index 0 of the last, `x[..., Slice(by: 2)]` every second.
  public subscript(
    _ others: (UnboundedRange_) -> Void, _ indices: any AxisIndex..., file file: StaticString = #fileID, line line: UInt = #line
  ) -> Tensor {
    taking(indices.map(\.selection), ahead: rank - indices.count, Site(file, line))
  }

  /// Part of one axis: `x[0..<3, axis: 1]`, `x[-1, axis: 1]`.
  public subscript(
    _ index: any AxisIndex, axis axis: Int, file file: StaticString = #fileID, line line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let positive = self.axis(axis, site) else { return poisoned(site) }
    return taking([index.selection], ahead: positive, site)
  }

  /// The first indices of an axis, as many as a length says, which may be symbolic: a table of positions cut to the sequence.
  public func prefix(
    _ length: any AxisLength, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return poisoned(site) }
    return made(
      .joining(.slice),
      [
        builder.constant(wholes: [0], [1], site), builder.list([length.extent], site),
        builder.constant(wholes: [axis], [1], site),
      ], [], site)
  }

  private func taking(_ selections: [AxisSelection], ahead: Int, _ site: Site) -> Tensor {
    guard value != nil else { return self }
    guard ahead >= 0, ahead + selections.count <= rank else {
      builder.fail("\(selections.count) indices are given for \(type)", site)
      return poisoned(site)
    }
    var result = self
    var starts: [Int] = []
    var ends: [Int] = []
    var axes: [Int] = []
    var steps: [Int] = []
    for (offset, selection) in selections.enumerated() {
      guard case .slice(let slice) = selection, !slice.isWhole else { continue }
      let axis = ahead + offset
      let length = type.shape[axis].constant
      let first = slice.start < 0 ? slice.start + (length ?? Int.max / 2) : slice.start
      let last = slice.end.map { $0 < 0 ? $0 + (length ?? Int.max / 2) : $0 } ?? length ?? Int.max
      guard slice.step > 0, first >= 0, last >= first, length.map({ last <= $0 }) ?? true else {
        builder.fail("indices \(slice.text) are outside of axis \(axis) of \(type)", site)
        return poisoned(site)
      }
      axes.append(axis)
      starts.append(slice.start)
      ends.append(slice.end ?? Int.max)
      steps.append(slice.step)
    }
    if !axes.isEmpty {
      let lists = [starts, ends, axes] + (steps.contains { $0 != 1 } ? [steps] : [])
      result = made(.joining(.slice), lists.map { builder.constant(wholes: $0, [$0.count], site) }, [], site)
    }
    for (offset, selection) in selections.enumerated().reversed() {
      guard case .index(let index) = selection else { continue }
      let axis = ahead + offset
      if let length = type.shape[axis].constant, !(-length..<length).contains(index) {
        builder.fail("index \(index) is outside of axis \(axis) of \(type)", site)
        return poisoned(site)
      }
      result = result.made(
        .indexing(.gather), [builder.constant(wholes: [index], [], site)], [.init(.axis, .int(axis))], site)
    }
    return result
  }
}

extension Slice {
  /// `2..<5`, `1... by 2`.
  var text: String { "\(start)\(end.map { "..<\($0)" } ?? "...")\(step == 1 ? "" : " by \(step)")" }
}

/// Looks up by data.
extension Tensor {
  /// Rows of a table: this tensor's numbers are indices into the table's first axis, and each becomes that row.
  public func embedded(in table: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    table.made(.indexing(.gather), [self], [.init(.axis, .int(0))], Site(file, line))
  }

  /// Slices of an axis by data: the axis gives way to those of `indices`.
  public func gathered(
    _ indices: Tensor, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return poisoned(site) }
    return made(.indexing(.gather), [indices], [.init(.axis, .int(axis))], site)
  }

  /// Number by number along an axis: where `indices` says i, the number at i (PyTorch's `gather`).
  public func gatheredElements(
    _ indices: Tensor, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return poisoned(site) }
    return made(.indexing(.gatherElements), [indices], [.init(.axis, .int(axis))], site)
  }

  /// The same tensor with numbers put elsewhere: `updates` go along an axis to where `indices` say (PyTorch's `scatter`).
  public func scatteringElements(
    _ updates: Tensor, at indices: Tensor, axis: Int, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return poisoned(site) }
    return made(.indexing(.scatterElements), [indices, updates], [.init(.axis, .int(axis))], site)
  }

  /// The k largest numbers along an axis, in descending order, and where they stood.
  public func topK(
    _ k: Int, axis: Int = -1, file: StaticString = #fileID, line: UInt = #line
  ) -> (values: Tensor, indices: Tensor) {
    let site = Site(file, line)
    guard let axis = self.axis(axis, site) else { return (poisoned(site), poisoned(site)) }
    let both = builder.nodes(
      .reduction(.topK), [self, builder.constant(wholes: [k], [1], site)], [.init(.axis, .int(axis))], results: 2, site)
    return (both.first ?? poisoned(site), both.last ?? poisoned(site))
  }

  /// The lower triangle of the last two axes, zeros elsewhere; diagonals above the main one count positive.
  public func lowerTriangle(
    diagonal: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line)
    return made(
      .indexing(.trilu), [builder.constant(wholes: [diagonal], [], site)], [.init(.upper, .int(0))], site)
  }
}
