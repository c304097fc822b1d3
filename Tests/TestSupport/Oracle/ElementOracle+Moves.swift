import Graph

/// Operators that move elements, drop axes, or make new elements.
extension ElementOracle {
  /// Follows one node.
  mutating func follow(_ node: Node) throws(Fault) {
    switch node.operation {
    case .elementwise(let operation): try elementwise(operation)
    case .matrixProduct(let operation): try product(operation)
    case .convolution(let operation): try convolution(operation)
    case .normalisation(let operation): try normalisation(operation)
    case .reduction(let operation): try reduction(operation)
    case .reshaping(let operation): try reshaping(operation)
    case .joining(let operation): try joining(operation)
    case .indexing(let operation): try indexing(operation)
    case .pooling(let operation): try pooling(operation)
    case .recurrence(let operation): try recurrence(operation)
    case .attention(let operation): try attention(operation)
    case .quantisation(let operation): try quantisation(operation)
    case .generation(let operation): try generation(operation)
    case .opaque:
      for index in node.inputs.indices {
        let kept = try operand(index)
        for axis in kept.shape.indices { try demandWhole(kept, axis, "nobody knows what reads it") }
      }
      try demandNoPositions()
      for case let output? in node.outputs { try store(output, axes: Array(repeating: nil, count: module[output].type.rank)) }
    }
  }

  /// Gives each element of a result the flag of the element it comes from; nil where all are kept.
  private func moved(_ kept: Kept, to shape: [Int], _ source: ([Int]) -> [Int]) -> [Bool]? {
    guard let flags = elements(kept) else { return nil }
    var strides = [Int](repeating: 1, count: kept.shape.count)
    for axis in stride(from: kept.shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * kept.shape[axis + 1]
    }
    var result: [Bool] = []
    let count = shape.reduce(1, *)
    result.reserveCapacity(count)
    var index = [Int](repeating: 0, count: shape.count)
    for _ in 0..<count {
      let place = source(index)
      var at = 0
      for axis in place.indices { at += place[axis] * strides[axis] }
      result.append(flags[at])
      Self.advance(&index, shape)
    }
    return result
  }

  private mutating func reshaping(_ operation: Reshaping) throws(Fault) {
    let x = try operand(0)
    guard let output = result(0) else { return }
    let target = try shape(output)
    switch operation {
    case .reshape, .flatten, .squeeze, .unsqueeze: try store(output, elements: elements(x), range: x.range)
    case .transpose:
      let order = current.attributes.ints(.perm) ?? Array(x.shape.indices.reversed())
      let flags = moved(x, to: target) { index in
        var place = index
        for (to, from) in order.enumerated() { place[from] = index[to] }
        return place
      }
      try store(output, elements: flags, range: x.range)
    case .expand:
      let added = target.count - x.shape.count
      var axes: [[Bool]?] = []
      for at in target.indices {
        let isRepeated = at < added || (x.shape[at - added] == 1 && target[at] > 1)
        axes.append(isRepeated ? created(output, at) : x.axes[at - added])
      }
      try store(output, axes: axes, range: x.range)
    case .tile:
      guard let repeats = wholes(1) else { throw fault("repeats are not known") }
      var axes: [[Bool]?] = []
      for at in target.indices {
        if repeats[at] == 1 {
          axes.append(x.axes[at])
          continue
        }
        // Whole repeats may go.
        let inner = x.axes[at] ?? [Bool](repeating: true, count: x.shape[at])
        let all = try blocks(created(output, at), outer: repeats[at], inner: x.shape[at])
        axes.append(all.outer.flatMap { isKept in inner.map { isKept && $0 } })
      }
      try store(output, axes: axes, range: x.range)
    case .depthToSpace:
      let block = current.attributes.int(.blocksize) ?? 1
      let isColumnFirst = current.attributes.string(.mode) == "CRD"
      let channels = target[1]
      let flags = moved(x, to: target) { index in
        let (row, column) = (index[2] % block, index[3] % block)
        let channel =
          isColumnFirst
          ? (index[1] * block + row) * block + column : (row * block + column) * channels + index[1]
        return [index[0], channel, index[2] / block, index[3] / block]
      }
      try store(output, elements: flags)
    case .spaceToDepth:
      let block = current.attributes.int(.blocksize) ?? 1
      let isColumnFirst = current.attributes.string(.mode) == "CRD"
      let channels = x.shape[1]
      let flags = moved(x, to: target) { index in
        let (place, channel) =
          isColumnFirst
          ? (index[1] % (block * block), index[1] / (block * block)) : (index[1] / channels, index[1] % channels)
        return [index[0], channel, index[2] * block + place / block, index[3] * block + place % block]
      }
      try store(output, elements: flags)
    }
  }

  private mutating func joining(_ operation: Joining) throws(Fault) {
    let x = try operand(operation == .quantisedConcat ? 2 : 0)
    let rank = x.shape.count
    switch operation {
    case .concat, .quantisedConcat:
      guard let output = result(0) else { return }
      let axis = axis(current.attributes.int(.axis) ?? 0, rank)
      var joined: [Bool] = []
      var operands: [(kept: Kept, labels: Labels)] = []
      let parts = current.inputs.indices.compactMap { index in
        operation == .concat || index % 3 == 2 ? optional(index) : nil
      }
      for (at, part) in parts.enumerated() {
        joined += part.axes[axis] ?? [Bool](repeating: true, count: part.shape[axis])
        var labels = fromRight(rank)
        labels[axis] = "part \(at)"
        operands.append((part, labels))
      }
      let others = try join(operands)
      let ranges = parts.compactMap(\.range)
      if !ranges.isEmpty, Set(ranges).count > 1 || ranges.count < parts.count { try demandNoPositions() }
      var axes: [[Bool]?] = []
      for (at, label) in fromRight(rank).enumerated() { axes.append(at == axis ? joined : others[label] ?? nil) }
      try store(output, axes: axes, range: ranges.count == parts.count ? ranges.first : nil)
    case .split:
      let axis = axis(current.attributes.int(.axis) ?? 0, rank)
      var start = 0
      for case let output? in current.outputs {
        let target = try shape(output)
        let flags = moved(x, to: target) { index in
          var place = index
          place[axis] += start
          return place
        }
        try store(output, elements: flags, range: x.range)
        start += target[axis]
      }
    case .slice:
      guard let output = result(0), let starts = wholes(1) else { throw fault("bounds are not known") }
      let axes = current.inputs.count > 3 && current.inputs[3] != nil ? wholes(3) ?? [] : Array(starts.indices)
      let steps = current.inputs.count > 4 && current.inputs[4] != nil ? wholes(4) ?? [] : starts.map { _ in 1 }
      var first = [Int](repeating: 0, count: rank)
      var step = [Int](repeating: 1, count: rank)
      for (at, axis) in axes.enumerated() {
        let axis = self.axis(axis, rank)
        let length = x.shape[axis]
        let start = starts[at] < 0 ? starts[at] + length : starts[at]
        first[axis] = steps[at] > 0 ? min(max(start, 0), length) : min(max(start, 0), length - 1)
        step[axis] = steps[at]
      }
      let flags = moved(x, to: try shape(output)) { index in index.indices.map { first[$0] + index[$0] * step[$0] } }
      try store(output, elements: flags, range: x.range)
    case .pad:
      try demandNoPositions()
      guard let output = result(0), let pads = wholes(1), current.attributes.string(.mode) ?? "constant" == "constant",
        pads.count == 2 * rank
      else { throw fault("the oracle does not know this pad") }
      var axes: [[Bool]?] = []
      for at in x.shape.indices {
        let (before, after) = (pads[at], pads[at + rank])
        if before == 0, after == 0 {
          axes.append(x.axes[at])
          continue
        }
        // The operand's part is what the operand keeps; zeros around it come from nowhere.
        let inner = x.axes[at] ?? [Bool](repeating: true, count: x.shape[at])
        let around = created(output, at) ?? [Bool](repeating: true, count: before + inner.count + after)
        axes.append(Array(around.prefix(before)) + inner + Array(around.suffix(after)))
      }
      try store(output, axes: axes)
    }
  }

  private mutating func indexing(_ operation: Indexing) throws(Fault) {
    let x = try operand(0)
    guard let output = result(0) else { return }
    switch operation {
    case .gather:
      let axis = axis(current.attributes.int(.axis) ?? 0, x.shape.count)
      let positions = try operand(1)
      if let picks = wholes(1), positions.range == nil {
        let (picked, count) = (positions.shape, positions.shape.count)
        let target = try shape(output)
        let flags = moved(x, to: target) { index in
          var flat = 0
          for at in 0..<count { flat = flat * picked[at] + index[axis + at] }
          let pick = picks[flat] < 0 ? picks[flat] + x.shape[axis] : picks[flat]
          return Array(index[..<axis]) + [pick] + Array(index[(axis + count)...])
        }
        return try store(output, elements: flags, range: x.range)
      }
      if let range = positions.range {
        if range.nilIfWhole != x.axes[axis] {
          throw fault("positions range over \(text(range)), the axis keeps \(text(x.axes[axis]))")
        }
      } else {
        try demandWhole(x, axis, "it is indexed by data")
      }
      try store(output, axes: Array(x.axes[..<axis]) + positions.axes + Array(x.axes[(axis + 1)...]), range: x.range)
    case .gatherND:
      guard (current.attributes.int(.batchDims) ?? 0) == 0 else { throw fault("the oracle does not know batches here") }
      let indices = try operand(1).shape
      guard let picks = wholes(1) else {
        try demandNoPositions()
        let width = indices[indices.count - 1]
        for at in 0..<width { try demandWhole(x, at, "it is indexed by data") }
        try demandWhole(try operand(1), indices.count - 1, "it holds tuples")
        return try store(output, axes: try operand(1).axes.dropLast() + x.axes[width...])
      }
      let width = indices[indices.count - 1]
      let leading = indices.count - 1
      let flags = moved(x, to: try shape(output)) { index in
        var flat = 0
        for at in 0..<leading { flat = flat * indices[at] + index[at] }
        let tuple = (0..<width).map { column in
          let pick = picks[flat * width + column]
          return pick < 0 ? pick + x.shape[column] : pick
        }
        return tuple + Array(index[leading...])
      }
      try store(output, elements: flags)
    case .scatterND:
      let indices = try operand(1).shape
      let updates = try operand(2)
      guard let picks = wholes(1) else {
        try demandNoPositions()
        let width = indices[indices.count - 1]
        for at in 0..<width { try demandWhole(x, at, "it is indexed by data") }
        if Array(updates.axes[(indices.count - 1)...]) != Array(x.axes[width...]) { throw fault("updates and data differ") }
        if Array(updates.axes[..<(indices.count - 1)]) != Array(try operand(1).axes.dropLast()) {
          throw fault("updates and tuples differ")
        }
        return try store(output, axes: x.axes)
      }
      let width = indices[indices.count - 1]
      let old = elements(x) ?? [Bool](repeating: true, count: x.shape.reduce(1, *))
      let new = elements(updates) ?? [Bool](repeating: true, count: updates.shape.reduce(1, *))
      let inner = x.shape[width...].reduce(1, *)
      for tuple in 0..<picks.count / max(1, width) {
        var at = 0
        for column in 0..<width {
          let pick = picks[tuple * width + column]
          at = at * x.shape[column] + (pick < 0 ? pick + x.shape[column] : pick)
        }
        for offset in 0..<inner where old[at * inner + offset] != new[tuple * inner + offset] {
          throw fault("element \(offset) of update \(tuple) and what it replaces do not go together")
        }
      }
      try store(output, elements: old)
    case .oneHot:
      let rank = x.shape.count + 1
      let axis = axis(current.attributes.int(.axis) ?? -1, rank)
      var axes = x.axes
      axes.insert(x.range, at: axis)
      try store(output, axes: axes)
    case .gatherElements, .scatterElements:
      let axis = axis(current.attributes.int(.axis) ?? 0, x.shape.count)
      let positions = try operand(1)
      if let range = positions.range {
        if range.nilIfWhole != x.axes[axis] {
          throw fault("positions range over \(text(range)), the axis keeps \(text(x.axes[axis]))")
        }
      } else {
        try demandWhole(x, axis, "it is indexed by data")
      }
      for at in x.shape.indices where at != axis {
        if x.shape[at] != positions.shape[at] {
          try demandWhole(x, at, "only some of it is visited")
          try demandWhole(positions, at, "it visits some of a longer axis")
        } else if x.axes[at] != positions.axes[at] {
          throw fault("positions and data differ along axis \(at)")
        }
      }
      if operation == .scatterElements {
        let updates = try operand(2)
        if updates.axes != positions.axes { throw fault("updates and positions differ") }
        return try store(output, axes: x.axes)
      }
      try store(output, axes: positions.axes, range: x.range)
    case .trilu:
      for at in x.shape.indices.suffix(2) { try demandWhole(x, at, "the order along it matters") }
      try store(output, axes: x.axes)
    case .reverseSequence:
      try demandWhole(x, current.attributes.int(.timeAxis) ?? 0, "it is reversed")
      try store(output, axes: x.axes)
    case .nonZero:
      for at in x.shape.indices { try demandWhole(x, at, "places in it are used as numbers") }
      try store(output, axes: [nil, nil])
    case .compress:
      guard let axis = current.attributes.int(.axis) else { throw fault("the oracle does not know this form") }
      try demandWhole(x, self.axis(axis, x.shape.count), "it is picked by data")
      var axes = x.axes
      axes[self.axis(axis, x.shape.count)] = nil
      try store(output, axes: axes, range: x.range)
    case .unique:
      try demandNoPositions()
      for at in x.shape.indices { try demandWhole(x, at, "what is picked depends on data") }
      try store(output, axes: [nil])
    case .nonMaxSuppression: throw fault("the oracle does not know it")
    }
  }

  private mutating func reduction(_ operation: Reduction) throws(Fault) {
    try demandNoPositions()
    let x = try operand(0)
    let rank = x.shape.count
    switch operation {
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      let listed = (current.inputs.count > 1 ? wholes(1) : current.attributes.ints(.axes)) ?? []
      let gone = listed.isEmpty ? Array(0..<rank) : listed.map { axis($0, rank) }
      try drop(gone, of: x)
    case .argMax, .argMin:
      let axis = axis(current.attributes.int(.axis) ?? 0, rank)
      try drop([axis], of: x, range: x.axes[axis] ?? [Bool](repeating: true, count: x.shape[axis]))
    case .topK:
      let axis = axis(current.attributes.int(.axis) ?? -1, rank)
      let range = x.axes[axis] ?? [Bool](repeating: true, count: x.shape[axis])
      var axes = x.axes
      axes[axis] = nil
      for (at, output) in current.outputs.enumerated() {
        guard let output else { continue }
        if try shape(output)[axis] > range.count(where: { $0 }) { throw fault("more are asked for than stay") }
        try store(output, axes: axes, range: at == 1 ? range : nil)
      }
    case .cumSum:
      guard let axis = wholes(1)?.first else { throw fault("the axis is not known") }
      try demandWhole(x, self.axis(axis, rank), "sums run along it in order")
      if let output = result(0) { try store(output, axes: x.axes) }
    }
  }

  private mutating func drop(_ axes: [Int], of x: Kept, range: [Bool]? = nil) throws(Fault) {
    guard let output = result(0) else { return }
    let keeps = current.attributes.flag(.keepDims, default: true)
    var rest: [[Bool]?] = []
    for at in x.shape.indices {
      if !axes.contains(at) { rest.append(x.axes[at]) } else if keeps { rest.append(nil) }
    }
    try store(output, axes: rest, range: range)
  }

  private mutating func pooling(_ operation: Pooling) throws(Fault) {
    try demandNoPositions()
    let x = try operand(0)
    guard let output = result(0) else { return }
    let target = try shape(output)
    var axes = x.axes
    switch operation {
    case .globalAveragePool, .globalMaxPool, .globalLpPool, .quantisedGlobalAveragePool:
      for at in 2..<x.shape.count { axes[at] = nil }
    case .maxPool, .averagePool, .lpPool, .quantisedAveragePool:
      let (kernel, pads) = (current.attributes.ints(.kernelShape) ?? [], current.attributes.ints(.pads))
      for at in 2..<x.shape.count {
        let isOne =
          kernel[at - 2] == 1 && (current.attributes.ints(.strides)?[at - 2] ?? 1) == 1 && (pads?[at - 2] ?? 0) == 0
          && (pads?[at - 2 + kernel.count] ?? 0) == 0
        if !isOne { try demandWhole(x, at, "windows run along it") }
      }
      if let places = result(1) { try store(places, axes: axes) }
    case .maxUnpool:
      if try operand(1).axes != x.axes { throw fault("values and their places differ") }
      for at in 2..<x.shape.count { try demandWhole(x, at, "values go back to places along it") }
    case .gridSample:
      for at in 2..<x.shape.count { try demandWhole(x, at, "it is sampled") }
      let grid = try operand(1)
      if grid.axes[0] != x.axes[0] { throw fault("images and grids differ") }
      for at in 1..<grid.shape.count { try demandWhole(grid, at, "it says where to sample") }
    case .roiAlign:
      for at in [0, 2, 3] { try demandWhole(x, at, "regions lie in it") }
      axes = [try operand(1).axes[0], x.axes[1], nil, nil]
      if try operand(2).axes[0] != axes[0] { throw fault("regions and their images differ") }
    case .resize: for at in x.shape.indices where x.shape[at] != target[at] { try demandWhole(x, at, "it is interpolated") }
    case .affineGrid:
      for at in 1...2 { try demandWhole(x, at, "it holds transforms") }
      axes = [x.axes[0]] + Array(repeating: nil, count: target.count - 1)
    case .dft:
      let given = current.inputs.count > 2 ? wholes(2)?.first : nil
      try demandWhole(x, axis(given ?? current.attributes.int(.axis) ?? 1, x.shape.count), "it is transformed")
    case .maxRoiPool:
      for at in [0, 2, 3] { try demandWhole(x, at, "regions lie in it") }
      axes = [try operand(1).axes[0], x.axes[1], nil, nil]
    case .stft, .upsample:
      throw fault("the oracle does not know it")
    }
    try store(output, axes: axes)
  }

  private mutating func generation(_ operation: Generation) throws(Fault) {
    switch operation {
    case .constantOfShape:
      guard let output = result(0) else { return }
      try store(output, axes: try shape(output).indices.map { created(output, $0) })
    case .randomNormal, .randomUniform:
      guard let output = result(0) else { return }
      try store(output, axes: Array(repeating: nil, count: module[output].type.rank))
    case .randomNormalLike, .randomUniformLike, .bernoulli:
      if let output = result(0) { try store(output, axes: try operand(0).axes) }
    case .eyeLike:
      for at in 0...1 { try demandWhole(try operand(0), at, "where its ones stand depends on both axes") }
      if let output = result(0) { try store(output, axes: [nil, nil]) }
    case .shape, .size, .range, .multinomial: throw fault("the oracle does not know it")
    }
  }
}
