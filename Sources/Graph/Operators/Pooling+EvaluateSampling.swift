// MARK: - Regions

extension Pooling {
  /// Averages, or largest numbers, of places sampled in each cell of each region.
  static func evaluateRoiAlign(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let (data, regions, images) = (try context.input(0), try context.reals(1), try context.wholes(2))
    let shape = try context.outputShape()
    let (height, width) = (data.shape[2], data.shape[3])
    let halfPixel = (attributes.string(.coordinateTransformationMode) ?? (context.opset < 16 ? "" : "half_pixel")) == "half_pixel"
    let offset = halfPixel ? 0.5 : 0
    let scale = Double(attributes.float(.spatialScale) ?? 1)
    let ratio = attributes.int(.samplingRatio) ?? 0
    let takesLargest = attributes.string(.mode) == "max"
    let numbers = data.reals
    let (channels, cells) = (shape[1], shape[2] * shape[3])
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    for region in 0..<shape[0] {
      let image = images[region]
      guard (0..<data.shape[0]).contains(image) else {
        throw context.failure("region \(region) names image \(image) of \(data.shape[0])")
      }
      let sides = (0..<4).map { regions[region * 4 + $0] * scale - offset }
      var (wide, high) = (sides[2] - sides[0], sides[3] - sides[1])
      if !halfPixel { (wide, high) = (max(wide, 1), max(high, 1)) }
      let (cellHigh, cellWide) = (high / Double(shape[2]), wide / Double(shape[3]))
      let rows = ratio > 0 ? Double(ratio) : cellHigh.rounded(.up)
      let columns = ratio > 0 ? Double(ratio) : cellWide.rounded(.up)
      guard sides.allSatisfy(\.isFinite), rows * columns < 0x1p32, rows < 0x1p20, columns < 0x1p20 else {
        throw context.failure("region \(region) of \(wide) by \(high) numbers is beyond reason")
      }
      let (rowCount, columnCount) = (max(0, Int(rows)), max(0, Int(columns)))
      for cell in 0..<cells {
        var corners: [(index: Int, share: Double)] = []
        let top = sides[1] + Double(cell / shape[3]) * cellHigh
        let left = sides[0] + Double(cell % shape[3]) * cellWide
        for row in 0..<rowCount {
          let y = top + (Double(row) + 0.5) * cellHigh / rows
          for column in 0..<columnCount {
            corners += Self.corners(y, left + (Double(column) + 0.5) * cellWide / columns, height, width)
          }
        }
        let count = Double(max(rowCount * columnCount, 1))
        for channel in 0..<channels {
          let base = (image * channels + channel) * height * width
          var value = 0.0
          if takesLargest {
            value = corners.map { $0.share * numbers[base + $0.index] }.max() ?? 0
          } else {
            for corner in corners { value += corner.share * numbers[base + corner.index] }
            value /= count
          }
          result[(region * channels + channel) * cells + cell] = value
        }
      }
    }
    try context.setReals(result)
  }

  /// The four numbers around a place; places up to one outside count as on the border, those further out as zero.
  private static func corners(_ y: Double, _ x: Double, _ height: Int, _ width: Int) -> [(index: Int, share: Double)] {
    guard y >= -1, y <= Double(height), x >= -1, x <= Double(width), height > 0, width > 0 else { return [(0, 0)] }
    func split(_ place: Double, _ extent: Int) -> (low: Int, high: Int, part: Double) {
      let low = Int(max(place, 0))
      return low >= extent - 1 ? (extent - 1, extent - 1, 0) : (low, low + 1, max(place, 0) - Double(low))
    }
    let (row, column) = (split(y, height), split(x, width))
    return [
      (row.low * width + column.low, (1 - row.part) * (1 - column.part)),
      (row.low * width + column.high, (1 - row.part) * column.part),
      (row.high * width + column.low, row.part * (1 - column.part)), (row.high * width + column.high, row.part * column.part),
    ]
  }

  /// The largest number of each cell of each region, whose borders are rounded to whole numbers.
  static func evaluateMaxRoiPool(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, regions) = (try context.input(0), try context.reals(1))
    let shape = try context.outputShape()
    let scale = Double(context.attributes.float(.spatialScale) ?? 1)
    let (height, width, channels) = (data.shape[2], data.shape[3], shape[1])
    let numbers = data.reals
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    for region in 0..<shape[0] {
      let sides = (1..<5).map { (regions[region * 5 + $0] * scale).rounded() }
      guard let image = Int(exactly: regions[region * 5]), (0..<data.shape[0]).contains(image) else {
        throw context.failure("region \(region) names image \(regions[region * 5]) of \(data.shape[0])")
      }
      guard sides.allSatisfy({ $0.magnitude < 0x1p30 }) else { throw context.failure("region \(region) is beyond reason") }
      func span(_ cell: Int, _ start: Double, _ end: Double, _ cells: Int, _ extent: Int) -> Range<Int> {
        let size = max(end - start + 1, 1) / Double(cells)
        let first = Int((Double(cell) * size).rounded(.down) + start)
        let last = Int((Double(cell + 1) * size).rounded(.up) + start)
        let (low, high) = (min(max(first, 0), extent), min(max(last, 0), extent))
        return low..<max(low, high)
      }
      for row in 0..<shape[2] {
        let rows = span(row, sides[1], sides[3], shape[2], height)
        for column in 0..<shape[3] {
          let columns = span(column, sides[0], sides[2], shape[3], width)
          if rows.isEmpty || columns.isEmpty { continue }
          for channel in 0..<channels {
            let base = (image * channels + channel) * height * width
            var best = -Double.infinity
            for y in rows { for x in columns { best = max(best, numbers[base + y * width + x]) } }
            result[((region * channels + channel) * shape[2] + row) * shape[3] + column] = best
          }
        }
      }
    }
    try context.setReals(result)
  }
}

// MARK: - Grids

/// How GridSample reads one spatial axis.
private struct AxisSampler {
  enum Mode { case nearest, linear, cubic }
  enum Padding { case zeros, border, reflection }
  let mode: Mode
  let padding: Padding
  let extent: Int
  let alignCorners: Bool

  private var low: Double { alignCorners ? 0 : -0.5 }
  private var high: Double { Double(extent) - (alignCorners ? 1 : 0.5) }

  /// Indices and shares for a coordinate between −1 and 1; those outside the axis are left out, they count as zero.
  func shares(_ coordinate: Double) -> [(index: Int, share: Double)] {
    guard extent > 0 else { return [] }
    var place = alignCorners ? (coordinate + 1) / 2 * Double(extent - 1) : ((coordinate + 1) * Double(extent) - 1) / 2
    if place.isNaN { place = low }
    if mode == .nearest { place = Double(Float(place)).rounded(.toNearestOrEven) }
    if place < low || place > high {
      switch padding {
      case .zeros: break
      // The curve reads several numbers, each of which is bounded by itself.
      case .border: if mode != .cubic { place = min(max(place, 0), Double(extent - 1)) }
      case .reflection: place = reflected(place)
      }
    }
    place = min(max(place, -0x1p40), 0x1p40)
    let below = place.rounded(.down)
    let (base, part) = (Int(below), place - below)
    let found: [(index: Int, share: Double)] =
      switch mode {
      case .nearest: [(base, 1)]
      case .linear: [(base, 1 - part), (base + 1, part)]
      case .cubic: (-1...2).map { (base + $0, Self.cubic(Double($0) - part)) }
      }
    return found.compactMap { index, share in settled(index).map { ($0, share) } }
  }

  private func settled(_ index: Int) -> Int? {
    if (0..<extent).contains(index) { return index }
    switch padding {
    case .zeros: return nil
    case .border: return min(max(index, 0), extent - 1)
    case .reflection: return min(max(Int(reflected(Double(index))), 0), extent - 1)
    }
  }

  /// Mirrored at the borders until it lies between them.
  private func reflected(_ place: Double) -> Double {
    let range = high - low
    guard range > 0, place.isFinite else { return low }
    let distance = place < low ? low - place : place - high
    if place >= low, place <= high { return place }
    let turns = (distance / range).rounded(.down)
    let rest = distance - turns * range
    let even = turns.truncatingRemainder(dividingBy: 2) == 0
    return (place < low) == even ? low + rest : high - rest
  }

  private static func cubic(_ distance: Double) -> Double {
    let (x, a) = (abs(distance), -0.75)
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}

extension Pooling {
  /// Reads each image at the places of its grid, whose coordinates name the last axis first.
  static func evaluateGridSample(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (data, grid) = (try context.input(0), try context.input(1))
    let shape = try context.outputShape()
    let mode: AxisSampler.Mode
    switch context.attributes.string(.mode) ?? "linear" {
    case "nearest": mode = .nearest
    case "linear", "bilinear": mode = .linear
    case "cubic", "bicubic": mode = .cubic
    case let other: throw context.unsupported("the mode \(other) is not known")
    }
    let padding: AxisSampler.Padding
    switch context.attributes.string(.paddingMode) ?? "zeros" {
    case "zeros": padding = .zeros
    case "border": padding = .border
    case "reflection": padding = .reflection
    case let other: throw context.unsupported("the padding mode \(other) is not known")
    }
    let extents = Array(data.shape.dropFirst(2))
    let samplers = extents.map {
      AxisSampler(mode: mode, padding: padding, extent: $0, alignCorners: context.attributes.flag(.alignCorners))
    }
    let (rank, channels, extent) = (extents.count, shape[1], extents.reduce(1, *))
    let places = shape.dropFirst(2).reduce(1, *)
    let (numbers, coordinates) = (data.reals, grid.reals)
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    for image in 0..<shape[0] {
      for place in 0..<places {
        var corners: [(index: Int, share: Double)] = [(0, 1)]
        for axis in 0..<rank {
          let shares = samplers[axis].shares(coordinates[(image * places + place) * rank + rank - 1 - axis])
          corners = corners.flatMap { corner in
            shares.map { (corner.index * extents[axis] + $0.index, corner.share * $0.share) }
          }
        }
        for channel in 0..<channels {
          let base = (image * channels + channel) * extent
          var sum = 0.0
          for (index, share) in corners where share != 0 { sum += share * numbers[base + index] }
          result[(image * channels + channel) * places + place] = sum
        }
      }
    }
    try context.setReals(result)
  }

  /// The grid that an affine map makes of evenly spaced places.
  static func evaluateAffineGrid(_ context: inout EvaluationContext) throws(Diagnostic) {
    let theta = try context.input(0)
    let shape = try context.outputShape()
    let rank = shape.count - 2
    let spatial = Array(shape[1...rank])
    let numbers = theta.reals
    let aligned = context.attributes.flag(.alignCorners)
    let axes = spatial.map { extent in
      (0..<extent).map { index -> Double in
        if aligned { return extent > 1 ? -1 + 2 * Double(index) / Double(extent - 1) : 0 }
        return (2 * Double(index) + 1) / Double(extent) - 1
      }
    }
    var result: [Double] = []
    result.reserveCapacity(shape.reduce(1, *))
    for image in 0..<shape[0] {
      for place in 0..<spatial.reduce(1, *) {
        let at = WindowPlan.unravel(place, spatial)
        for row in 0..<rank {
          let base = (image * rank + row) * (rank + 1)
          var sum = numbers[base + rank]
          for axis in 0..<rank { sum += numbers[base + rank - 1 - axis] * axes[axis][at[axis]] }
          result.append(sum)
        }
      }
    }
    try context.setReals(result)
  }
}
