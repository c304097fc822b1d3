/// What one index of a resized axis is made of: indices of the old axis and how much each counts.
private struct Taps {
  /// Old indices with their shares; none where the index lies outside the region of interest.
  var shares: [(index: Int, share: Double)] = []
  /// True where the result is the attribute `extrapolation_value`.
  var isOutside = false
}

/// How Resize finds the numbers of one axis.
private struct AxisResizer {
  let mode: String
  let nearest: String
  let coordinates: String
  let cubic: Double
  let excludesOutside: Bool
  let antialias: Bool
  let extent: Int
  let target: Int
  let scale: Double
  let region: (start: Double, end: Double)

  init(
    _ attributes: Attributes, isOld: Bool, extent: Int, target: Int, scale: Double, region: (start: Double, end: Double)
  ) {
    let mode = Self.mode(attributes)
    self.mode = mode == "bilinear" ? "linear" : mode
    nearest = isOld ? "floor" : attributes.string(.nearestMode) ?? "round_prefer_floor"
    coordinates = Self.coordinates(attributes, isOld: isOld)
    cubic = Double(attributes.float(.cubicCoefficientA) ?? -0.75)
    (excludesOutside, antialias) = (attributes.flag(.excludeOutside), attributes.flag(.antialias))
    (self.extent, self.target, self.scale, self.region) = (extent, target, scale, region)
  }

  static func mode(_ attributes: Attributes) -> String { attributes.string(.mode) ?? "nearest" }

  static func coordinates(_ attributes: Attributes, isOld: Bool) -> String {
    isOld ? "asymmetric" : attributes.string(.coordinateTransformationMode) ?? "half_pixel"
  }

  /// True where each index is its own.
  var isIdentity: Bool { scale == 1 && extent == target && coordinates != "tf_crop_and_resize" }

  /// The place on the old axis of an index of the new one; nil for an unknown rule.
  private func place(_ index: Int) -> Double? {
    let x = Double(index)
    let last = Double(extent - 1)
    let width = scale * Double(extent)
    switch coordinates {
    case "half_pixel": return (x + 0.5) / scale - 0.5
    case "half_pixel_symmetric":
      return Double(extent) / 2 * (1 - Double(target) / width) + (x + 0.5) / scale - 0.5
    case "pytorch_half_pixel": return target > 1 ? (x + 0.5) / scale - 0.5 : 0
    case "tf_half_pixel_for_nn": return (x + 0.5) / scale
    case "asymmetric": return x / scale
    case "align_corners": return target == 1 || width == 1 ? 0 : x * last / (width - 1)
    case "tf_crop_and_resize":
      let (start, end) = region
      return target > 1 && width != 1 ? start * last + x * (end - start) * last / (width - 1) : 0.5 * (start + end) * last
    case _: return nil
    }
  }

  /// What every index of the new axis is made of; nil for an unknown mode or rule of coordinates.
  func taps() -> [Taps]? {
    var all: [Taps] = []
    for index in 0..<target {
      guard let place = place(index) else { return nil }
      guard place.isFinite, place.magnitude < 0x1p40 else { return nil }
      if coordinates == "tf_crop_and_resize", place < 0 || place > Double(extent - 1) {
        all.append(Taps(isOutside: true))
        continue
      }
      guard let shares = shares(place) else { return nil }
      all.append(Taps(shares: shares))
    }
    return all
  }

  private func shares(_ place: Double) -> [(index: Int, share: Double)]? {
    let below = place.rounded(.down)
    let base = Int(below)
    let part = place - below
    var found: [(index: Int, share: Double)]
    switch mode {
    case "nearest":
      guard let index = nearestIndex(place) else { return nil }
      return [(min(max(index, 0), extent - 1), 1)]
    case "linear" where antialias: found = spread(base, part, support: 1) { max(0, 1 - abs($0)) }
    case "linear": found = [(base, 1 - part), (base + 1, part)]
    case "cubic" where antialias: found = spread(base, part, support: 2, weight)
    case "cubic": found = (-1...2).map { (base + $0, weight(Double($0) - part)) }
    case _: return nil
    }
    if excludesOutside {
      found = found.filter { (0..<extent).contains($0.index) }
      let sum = found.reduce(0) { $0 + $1.share }
      if sum != 0 { found = found.map { ($0.index, $0.share / sum) } }
    }
    return found.map { (min(max($0.index, 0), extent - 1), $0.share) }
  }

  /// The curve stretched over as many numbers as are squeezed into one, shares summing up to one.
  private func spread(_ base: Int, _ part: Double, support: Double, _ curve: (Double) -> Double) -> [(index: Int, share: Double)]
  {
    let narrow = min(scale, 1)
    let reach = Int(min((support / narrow).rounded(.up), Double(2 * extent) + 2 * support))
    let taps = (-reach...reach + 1).map { (index: base + $0, share: curve((Double($0) - part) * narrow)) }
    let sum = taps.reduce(0) { $0 + $1.share }
    return taps.filter { $0.share != 0 }.map { ($0.index, $0.share / sum) }
  }

  /// Keys 1981, "Cubic convolution interpolation".
  private func weight(_ distance: Double) -> Double {
    let (x, a) = (abs(distance), cubic)
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }

  /// Ties are those of numbers rounded to 32 bits, as runtimes compute them.
  private func nearestIndex(_ place: Double) -> Int? {
    let rounded = Float(place)
    switch nearest {
    case "round_prefer_floor": return Int((rounded - 0.5).rounded(.up))
    case "round_prefer_ceil": return Int((rounded + 0.5).rounded(.down))
    case "floor": return Int(rounded.rounded(.down))
    case "ceil": return Int(rounded.rounded(.up))
    case _: return nil
    }
  }
}

extension Pooling {
  /// Axis by axis: all modes are products of what they do on each.
  func evaluateResize(_ context: inout EvaluationContext) throws(Diagnostic) {
    let attributes = context.attributes
    let data = try context.input(0)
    let shape = try context.outputShape()
    let isOld = self == .upsample || context.opset < 11
    let axes: [Int]
    if let listed = attributes.ints(.axes) {
      var found: [Int] = []
      for axis in listed { found.append(try context.axis(axis, rank: data.rank)) }
      axes = found
    } else {
      axes = Array(0..<data.rank)
    }
    let scales = try Self.scales(context, data.shape, shape, axes, operand: isOld ? 1 : 2)
    let regions = isOld ? [] : context.optional(1)?.reals ?? []
    let coordinates = AxisResizer.coordinates(attributes, isOld: isOld)
    if coordinates == "tf_crop_and_resize", regions.count != 2 * axes.count {
      throw context.failure("the region holds \(regions.count) numbers where \(2 * axes.count) are expected")
    }
    let mode = AxisResizer.mode(attributes)
    var numbers = data.reals
    var extents = data.shape
    var outside = [[Bool]](repeating: [], count: data.rank)
    for (at, axis) in axes.enumerated() {
      let region = regions.count == 2 * axes.count ? (regions[at], regions[at + axes.count]) : (0, 1)
      let resizer = AxisResizer(
        attributes, isOld: isOld, extent: extents[axis], target: shape[axis], scale: scales[at], region: region)
      if resizer.isIdentity { continue }
      guard extents[axis] > 0 || shape[axis] == 0 else { throw context.failure("axis \(axis) is empty and cannot grow") }
      guard let taps = resizer.taps() else {
        throw context.unsupported("the mode \(mode) with coordinates \(coordinates) is not known, or leads out of reach")
      }
      numbers = Self.resized(numbers, AxisLines(extents, axis: axis), taps)
      if taps.contains(where: \.isOutside) { outside[axis] = taps.map(\.isOutside) }
      extents[axis] = shape[axis]
    }
    if outside.contains(where: { !$0.isEmpty }) {
      let value = Double(attributes.float(.extrapolationValue) ?? 0)
      for (axis, list) in outside.enumerated() where !list.isEmpty {
        let lines = AxisLines(shape, axis: axis)
        for at in numbers.indices where list[at / lines.inner % lines.length] { numbers[at] = value }
      }
    }
    if let range = QuantisedNumbers.range(data.element) {
      numbers = numbers.map { min(max($0.rounded(.toNearestOrEven), range.lowerBound), range.upperBound) }
    }
    try context.setReals(numbers)
  }

  /// How much each named axis grows: as stated, or what the sizes make of it.
  private static func scales(
    _ context: EvaluationContext, _ shape: [Int], _ target: [Int], _ axes: [Int], operand: Int
  ) throws(Diagnostic) -> [Double] {
    if let sizes = context.optional(3), sizes.count > 0 {
      let wanted = sizes.wholes
      guard wanted.count == axes.count else { throw context.failure("\(wanted.count) sizes for \(axes.count) axes") }
      let factors = zip(axes, wanted).map { shape[$0] > 0 ? Double($1) / Double(shape[$0]) : 1 }
      switch context.attributes.string(.keepAspectRatioPolicy) ?? "stretch" {
      case "not_larger": return factors.map { _ in factors.min() ?? 1 }
      case "not_smaller": return factors.map { _ in factors.max() ?? 1 }
      case _: return factors
      }
    }
    let scales = try context.reals(operand)
    guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw context.failure("the scales \(scales) do not fit \(axes.count) axes")
    }
    return scales
  }

  private static func resized(_ numbers: [Double], _ lines: AxisLines, _ taps: [Taps]) -> [Double] {
    var result = [Double](repeating: 0, count: lines.count * taps.count)
    for outer in 0..<lines.outer {
      for (at, tap) in taps.enumerated() {
        let to = (outer * taps.count + at) * lines.inner
        for (index, share) in tap.shares {
          let from = (outer * lines.length + index) * lines.inner
          // A share of one takes the number as it is, no number included; nothing else is added to it.
          if share == 1, tap.shares.count == 1 {
            for step in 0..<lines.inner { result[to + step] = numbers[from + step] }
          } else if share != 0 {
            for step in 0..<lines.inner { result[to + step] += share * numbers[from + step] }
          }
        }
      }
    }
    return result
  }
}

extension Pooling {
  /// Per resized axis, how much each old index counts in each new one: rows of the new axis, columns of the old one.
  ///
  /// Throws where the extents or the scales are not known before the model runs.
  func resizeShares(_ context: PiecesContext) throws(Diagnostic) -> [(axis: Int, shares: [[Double]])] {
    let (attributes, data) = (context.attributes, try context.input(0))
    let inference = context.inference()
    let isOld = self == .upsample || context.opset < 11
    var axes = Array(0..<data.rank)
    if let listed = attributes.ints(.axes) { axes = try inference.axes(listed, rank: data.rank) }
    guard let extents = data.type.staticShape, let shape = TensorType(data.element, try context.shape()).staticShape,
      AxisResizer.coordinates(attributes, isOld: isOld) != "tf_crop_and_resize"
    else { throw context.failure("its extents are not known, or a region is cut out; fix the shapes of the inputs with --dim") }
    let stated = inference.reals(operand: isOld ? 1 : 2)?.compactMap(\.self) ?? []
    var scales = axes.map { extents[$0] > 0 ? Double(shape[$0]) / Double(extents[$0]) : 1 }
    if inference.optionalType(3).map({ $0.elementCount == Extent(0) }) ?? true, stated.count == axes.count { scales = stated }
    if let sizes = inference.numbers(operand: 3), sizes.count == axes.count {
      let factors = zip(axes, sizes).map { extents[$0] > 0 ? Double($1) / Double(extents[$0]) : 1 }
      switch attributes.string(.keepAspectRatioPolicy) ?? "stretch" {
      case "not_larger": scales = factors.map { _ in factors.min() ?? 1 }
      case "not_smaller": scales = factors.map { _ in factors.max() ?? 1 }
      case _: scales = factors
      }
    }
    var result: [(axis: Int, shares: [[Double]])] = []
    for (at, axis) in axes.enumerated() {
      let resizer = AxisResizer(
        attributes, isOld: isOld, extent: extents[axis], target: shape[axis], scale: scales[at], region: (0, 1))
      if resizer.isIdentity { continue }
      guard let taps = resizer.taps() else { throw context.failure("its mode is not known") }
      result.append(
        (
          axis,
          taps.map { tap in
            tap.shares.reduce(into: Array(repeating: 0, count: extents[axis])) { $0[$1.index] += $1.share }
          }
        ))
    }
    return result
  }
}
