/// Reads between the numbers of a grid, by the shares of the corners around a place.
struct LinearSampler {
  /// A number of the grid and how much it counts.
  struct Corner {
    let index: Int
    let share: Double
  }

  /// Extents of the grid.
  let extents: [Int]

  /// Corners inside the grid around a place; those outside count as zero and are left out. A place that is no number has none.
  func corners(_ place: [Double]) -> [Corner] {
    var corners = [Corner(index: 0, share: 1)]
    for (extent, coordinate) in zip(extents, place) {
      guard coordinate > -1, coordinate < Double(extent) else { return [] }
      let below = coordinate.rounded(.down)
      let part = coordinate - below
      let index = Int(below)
      var next: [Corner] = []
      for corner in corners {
        if index >= 0 { next.append(Corner(index: corner.index * extent + index, share: corner.share * (1 - part))) }
        if part > 0, index + 1 < extent {
          next.append(Corner(index: corner.index * extent + index + 1, share: corner.share * part))
        }
      }
      corners = next
    }
    return corners
  }
}
