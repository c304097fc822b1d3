import Graph

// MARK: - Bits and places

extension FurtherCall {
  /// The same bits as another type of the same width.
  func reinterpreted() throws(Diagnostic) -> Tensor {
    let data = try tensor(0)
    guard number("to") != nil else { throw failure("the attribute to is missing") }
    let element = try element("to", default: data.element)
    guard element.bits == data.element.bits, let result = Tensor(element, data.shape, data: data.data) else {
      throw failure("numbers of type \(data.element.rawValue) are not as wide as those of type \(element.rawValue)")
    }
    return result
  }

  /// The middle of the data, or the data in the middle of zeros.
  func centred() throws(Diagnostic) -> Tensor {
    let data = try tensor(0)
    let wanted = try numbers(1).wholes
    var axes = Array(0..<data.rank)
    if let listed = list("axes") {
      axes = []
      for number in listed { axes.append(try axis(number, rank: data.rank)) }
    }
    try require(
      axes.count == wanted.count && Set(axes).count == axes.count, "\(wanted.count) extents do not fit the axes \(axes)")
    var shape = data.shape
    var starts = [Int](repeating: 0, count: data.rank)
    for (axis, extent) in zip(axes, wanted) {
      try require(extent >= 0, "extent \(extent) is negative")
      let missing = extent - data.shape[axis]
      starts[axis] = missing >= 0 ? -(missing / 2) : -missing / 2
      shape[axis] = extent
    }
    try room(data.element, shape)
    let strides = Tensor.strides(data.shape)
    var positions = [0]
    for axis in shape.indices {
      let steps = (0..<shape[axis]).map { index -> Int? in
        let source = index + starts[axis]
        return (0..<data.shape[axis]).contains(source) ? source * strides[axis] : nil
      }
      positions = positions.flatMap { position in steps.map { $0.map { position < 0 ? -1 : position + $0 } ?? -1 } }
    }
    return data.picking(positions, shape: shape)
  }

  /// Scatter is the old name of ScatterElements.
  func scattered() throws(Diagnostic) -> Tensor {
    let operands = [try tensor(0), try tensor(1), try tensor(2)]
    let node = Node(
      .indexing(.scatterElements), inputs: operands.indices.map { ValueID($0) }, outputs: [ValueID(operands.count)],
      attributes: Attributes([Attributes.Entry(.axis, .int(number("axis", default: 0)))]))
    var random = SplitMix(seed: 0)
    let results = try Evaluation.run(node, opsets: ["": 11], inputs: operands, label: label, random: &random)
    guard let result = results.first.flatMap(\.self) else { throw failure("has no result") }
    return result
  }

  /// A cache with new positions written over old ones, each image's from its own index on.
  func cacheUpdated() throws(Diagnostic) -> Tensor {
    let (cache, update) = (try tensor(0), try tensor(1))
    let axis = try axis(number("axis", default: -2), rank: cache.rank)
    var expected = cache.shape
    if update.rank == cache.rank { expected[axis] = update.shape[axis] }
    let length = cache.shape[axis]
    try require(
      axis > 0 && update.element == cache.element && update.shape == expected && update.shape[axis] <= length,
      "\(update.type) cannot be written along axis \(axis) of \(cache.type)")
    let batch = cache.shape[0]
    let indices = optional(2) == nil ? Array(repeating: 0, count: batch) : try numbers(2).wholes
    try require(indices.count == batch, "\(indices.count) indices for a batch of \(batch)")
    let mode = text("mode", default: "linear")
    try require(["linear", "circular"].contains(mode), "mode is \(mode), which is neither linear nor circular")
    let steps = update.shape[axis]
    let lines = cache.shape[1..<axis].reduce(1, *)
    let inner = cache.shape[(axis + 1)...].reduce(1, *)
    // Where a number comes from: the update's follow the cache's.
    var sources = Array(0..<cache.count)
    for image in 0..<batch {
      let isInside = indices[image] >= 0 && indices[image] <= length - steps
      try require(
        mode == "circular" || isInside, "\(steps) positions from \(indices[image]) on are outside a cache of \(length) positions")
      for line in image * lines..<(image + 1) * lines {
        for step in 0..<steps {
          let place = ((indices[image] % length + length) % length + step) % length
          for at in 0..<inner {
            sources[(line * length + place) * inner + at] = cache.count + (line * steps + step) * inner + at
          }
        }
      }
    }
    let flat = [cache.reshaped([cache.count]), update.reshaped([update.count])]
    guard let both = TensorList.concatenated(flat, axis: 0) else { throw unsupported(cache.element) }
    return both.picking(sources, shape: cache.shape)
  }

  /// Columns put back where a window took them from, added up where windows overlap.
  func image() throws(Diagnostic) -> Tensor {
    let (data, extents, window) = (try numbers(0), try numbers(1).wholes, try numbers(2).wholes)
    let rank = extents.count
    func settled(_ name: String, _ count: Int, _ value: Int, least: Int) throws(Diagnostic) -> [Int] {
      guard let given = list(name) else { return Array(repeating: value, count: count) }
      try require(
        given.count == count && given.allSatisfy { (least..<1 << 30).contains($0) }, "\(name) \(given) does not fit \(rank) axes")
      return given
    }
    let strides = try settled("strides", rank, 1, least: 1)
    let dilations = try settled("dilations", rank, 1, least: 1)
    let pads = try settled("pads", 2 * rank, 0, least: 0)
    try require(
      rank > 0 && window.count == rank && (extents + window).allSatisfy { (1..<1 << 30).contains($0) },
      "the image \(extents) and the window \(window) do not fit together")
    var positions: [Int] = []
    for axis in 0..<rank {
      let free = extents[axis] + pads[axis] + pads[rank + axis] - dilations[axis] * (window[axis] - 1) - 1
      try require(free >= 0, "the window \(window) is larger than the image \(extents)")
      positions.append(free / strides[axis] + 1)
    }
    guard let points = Tensor.count(window), let places = Tensor.count(positions) else { throw failure("is beyond reason") }
    try require(
      data.rank == 3 && data.shape[1] % points == 0 && data.shape[2] == places,
      "\(data.type) does not hold \(places) columns of windows of \(points)")
    let shape = [data.shape[0], data.shape[1] / points] + extents
    var result = [Double](repeating: 0, count: try room(data.element, shape))
    if data.count == 0 { return Tensor(reals: result, data.element, shape) }
    let size = extents.reduce(1, *)
    let steps = Tensor.strides(extents)
    let numbers = data.reals
    func unravelled(_ flat: Int, _ shape: [Int]) -> [Int] {
      zip(Tensor.strides(shape), shape).map { flat / $0 % $1 }
    }
    for point in 0..<points {
      let offset = unravelled(point, window)
      for place in 0..<places {
        let at = unravelled(place, positions)
        var target = 0
        var isInside = true
        for axis in 0..<rank {
          let index = at[axis] * strides[axis] - pads[axis] + offset[axis] * dilations[axis]
          isInside = isInside && index >= 0 && index < extents[axis]
          target &+= index &* steps[axis]
        }
        guard isInside else { continue }
        for line in 0..<shape[0] * shape[1] { result[line * size + target] += numbers[(line * points + point) * places + place] }
      }
    }
    return Tensor(reals: result, data.element, shape)
  }
}
