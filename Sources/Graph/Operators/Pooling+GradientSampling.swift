extension Pooling {
  /// Reads each image between the numbers around each place of its grid: a gather and a share for every corner of the cell.
  static func sampled(_ context: inout PiecesContext) throws(Diagnostic) {
    let (x, grid) = (try context.input(0), try context.input(1))
    let attributes = context.attributes
    let mode = attributes.string(.mode) ?? "linear"
    let padding = attributes.string(.paddingMode) ?? "zeros"
    let extents = x.shape.dropFirst(2).compactMap(\.constant)
    guard ["nearest", "linear", "bilinear"].contains(mode), padding != "reflection", extents.count == x.rank - 2,
      !extents.contains(0)
    else { throw context.failure("for the mode \(mode) with padding \(padding), or an unknown extent, its rule is not written") }
    let isAligned = attributes.flag(.alignCorners)
    let rank = extents.count
    // By spatial axis, the indices around each place with their shares, [images, places].
    let corners = extents.enumerated().map { axis, extent -> [(index: Term, share: Term)] in
      // Coordinates name the last axis first.
      let coordinate = grid.selecting(axis: grid.rank - 1, rank - 1 - axis).reshaped([grid.shape[0], -1])
      var place =
        isAligned
        ? (coordinate + 1) * (Double(extent - 1) / 2) : ((coordinate + 1) * Double(extent) - 1) / 2
      if padding == "border" {
        place = place.applying(.max, place.number(0)).applying(.min, place.number(Double(extent - 1)))
      }
      if mode == "nearest" { return [settled(place.applying(.round), place.number(1), extent)] }
      let base = place.applying(.floor)
      let part = place - base
      return [settled(base, 1 - part, extent), settled(base + 1, part, extent)]
    }
    let flat = x.reshaped([x.shape[0], x.shape[1], -1])
    var sum: Term?
    for corner in 0..<(corners.reduce(1) { $0 * $1.count }) {
      var (rest, index, share): (Int, Term?, Term?) = (corner, nil, nil)
      for axis in 0..<rank {
        let chosen = corners[axis][rest % corners[axis].count]
        rest /= corners[axis].count
        index = index.map { $0 * Double(extents[axis]) + chosen.index } ?? chosen.index
        share = share.map { $0 * chosen.share } ?? chosen.share
      }
      guard let index, let share else { continue }
      let places = index.cast(to: .i64).unsqueezed([1])
      let read = flat.picked(axis: 2, places.expanded([x.shape[0], x.shape[1], places.shape[2]]))
      let part = read * share.unsqueezed([1])
      sum = sum.map { $0 + part } ?? part
    }
    guard let sum else { throw context.failure("it has no spatial axes") }
    context.set(0, sum.reshaped([x.shape[0], x.shape[1]] + grid.shape[1..<grid.rank - 1]))
  }

  /// An index inside its axis, with a share of zero where it was outside.
  private static func settled(_ index: Term, _ share: Term, _ extent: Int) -> (index: Term, share: Term) {
    let isInside = (index > -0.5).applying(.and, index < Double(extent) - 0.5)
    let bounded = index.applying(.max, index.number(0)).applying(.min, index.number(Double(extent - 1)))
    return (bounded, isInside.choosing(share, share.number(0)))
  }

  /// Evenly spaced places, each with a one behind it, times the affine map.
  static func mapped(_ context: inout PiecesContext) throws(Diagnostic) {
    let theta = try context.input(0)
    let shape = try context.shape()
    let spatial = shape.dropFirst().dropLast().compactMap(\.constant)
    guard spatial.count == shape.count - 2, !spatial.isEmpty, let count = Tensor.count(spatial), count < 1 << 24 else {
      throw context.failure("its size is computed when the model runs")
    }
    let isAligned = context.attributes.flag(.alignCorners)
    func coordinate(_ index: Int, _ extent: Int) -> Double {
      if isAligned { return extent > 1 ? -1 + 2 * Double(index) / Double(extent - 1) : 0 }
      return (2 * Double(index) + 1) / Double(extent) - 1
    }
    var places: [Double] = []
    for place in 0..<count {
      let at = WindowPlan.unravel(place, spatial)
      for axis in spatial.indices.reversed() { places.append(coordinate(at[axis], spatial[axis])) }
      places.append(1)
    }
    let even = theta.writer.constant(Tensor(reals: places, theta.element, [count, spatial.count + 1]))
    context.set(0, even.times(theta.transposed).reshaped([theta.shape[0]] + shape.dropFirst()))
  }
}
