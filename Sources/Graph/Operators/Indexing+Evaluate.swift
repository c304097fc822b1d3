extension Indexing {
  /// The plain evaluation. Indices are checked: what they name outside a tensor is a failure.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .compress: try Self.evaluateCompress(&context)
    case .gather: try Self.evaluateGather(&context)
    case .gatherElements: try Self.evaluateGatherElements(&context)
    case .gatherND: try Self.evaluateGatherND(&context)
    case .nonMaxSuppression: try Self.suppress(&context)
    case .nonZero: try Self.evaluateNonZero(&context)
    case .oneHot: try Self.evaluateOneHot(&context)
    case .reverseSequence: try Self.reverse(&context)
    case .scatterElements: try Self.evaluateScatterElements(&context)
    case .scatterND: try Self.evaluateScatterND(&context)
    case .trilu: try Self.evaluateTrilu(&context)
    case .unique: try Self.evaluateUnique(&context)
    }
  }
}

// MARK: - Reading

extension Indexing {
  private static func evaluateCompress(_ context: inout EvaluationContext) throws(Diagnostic) {
    var input = try context.input(0)
    let condition = try context.input(1).truths
    var axis = 0
    if let given = context.attributes.int(.axis) {
      axis = try context.axis(given, rank: input.rank)
    } else {
      input = input.reshaped([input.count])
    }
    let taken = condition.indices.filter { condition[$0] }
    if let last = taken.last { _ = try context.position(last, of: input.shape[axis], axis: axis) }
    context.set(0, input.picking(taken, axis: axis))
  }

  /// The indices of an operand, counted from the front of an axis.
  private static func positions(_ context: EvaluationContext, _ operand: Int, axis: Int, of extent: Int) throws(Diagnostic)
    -> [Int]
  {
    let indices = try context.input(operand)
    guard indices.element.isInteger else {
      throw context.failure("the indices are \(indices.type), which are no whole numbers")
    }
    var positions = indices.wholes
    for at in positions.indices where positions[at] < 0 || positions[at] >= extent {
      positions[at] = try context.position(positions[at], of: extent, axis: axis)
    }
    return positions
  }

  private static func evaluateGather(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    let positions = try positions(context, 1, axis: axis, of: data.shape[axis])
    let shape = data.shape[..<axis] + (try context.input(1).shape) + data.shape[(axis + 1)...]
    try context.requireSize(data.element, Array(shape))
    context.set(0, data.picking(positions, axis: axis).reshaped(Array(shape)))
  }

  /// Flat positions in a tensor of `shape` that indices along an axis name, everything else at the indices' own places.
  private static func elementPositions(
    _ context: EvaluationContext, shape: [Int], axis: Int
  ) throws(Diagnostic) -> [Int] {
    let target = try context.input(1).shape
    for other in shape.indices where other != axis && target[other] > shape[other] {
      throw context.failure("the indices have extent \(target[other]) on axis \(other), the data \(shape[other])")
    }
    var positions = try positions(context, 1, axis: axis, of: shape[axis])
    var strides = Tensor.strides(shape)
    let along = strides[axis]
    strides[axis] = 0
    let walk = StridedWalk(target, strides: [strides])
    let step = walk.steps[0]
    positions.withUnsafeMutableBufferPointer { positions in
      walk.forEachRun { at, starts in
        for index in 0..<walk.run { positions[at + index] = positions[at + index] * along + starts[0] + index * step }
      }
    }
    return positions
  }

  private static func evaluateGatherElements(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    guard data.rank > 0 else { throw context.failure("the data has no axis") }
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    let positions = try elementPositions(context, shape: data.shape, axis: axis)
    context.set(0, data.picking(positions, shape: try context.input(1).shape))
  }

  /// Per tuple of an index operand the number of the block that it names: the axes from `batch` on are indexed, those before are shared.
  private static func blocks(_ context: EvaluationContext, shape: [Int], batch: Int) throws(Diagnostic) -> [Int] {
    let indices = try context.input(1)
    guard indices.element.isInteger, let depth = indices.shape.last, batch >= 0, batch < indices.rank,
      (0...shape.count - min(batch, shape.count)).contains(depth)
    else { throw context.failure("indices \(indices.type) do not fit data of shape \(shape)") }
    guard Array(shape.prefix(batch)) == Array(indices.shape.prefix(batch)) else {
      throw context.failure("the first \(batch) axes of the data and of the indices differ")
    }
    let indexed = Array(shape[batch..<batch + depth])
    let tuples = indices.shape.dropLast().reduce(1, *)
    let perBatch = indices.shape[batch..<indices.rank - 1].reduce(1, *)
    let numbers = indices.wholes
    var blocks: [Int] = []
    blocks.reserveCapacity(tuples)
    for tuple in 0..<tuples {
      var block = tuple / perBatch
      for (at, extent) in indexed.enumerated() {
        block = block * extent + (try context.position(numbers[tuple * depth + at], of: extent, axis: batch + at))
      }
      blocks.append(block)
    }
    return blocks
  }

  private static func evaluateGatherND(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let indices = try context.input(1)
    let batch = context.attributes.int(.batchDims) ?? 0
    let blocks = try blocks(context, shape: data.shape, batch: batch)
    let first = batch + (indices.shape.last ?? 0)
    let rest = Array(data.shape[first...])
    let shape = Array(indices.shape.dropLast()) + rest
    try context.requireSize(data.element, shape)
    let rows = data.reshaped([data.shape[..<first].reduce(1, *), rest.reduce(1, *)])
    context.set(0, rows.picking(blocks, axis: 0).reshaped(shape))
  }

  private static func reverse(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    let time = try context.axis(context.attributes.int(.timeAxis) ?? 0, rank: input.rank)
    let batch = try context.axis(context.attributes.int(.batchAxis) ?? 1, rank: input.rank)
    let lengths = try context.input(1).wholes
    guard Set([time, batch]) == [0, 1] else { throw context.failure("time_axis and batch_axis are not the first two axes") }
    let steps = input.shape[time]
    guard lengths.count == input.shape[batch] else {
      throw context.failure("\(lengths.count) lengths are given for \(input.shape[batch]) sequences")
    }
    if let wrong = lengths.first(where: { !(0...steps).contains($0) }) {
      throw context.failure("a sequence of \(wrong) steps does not fit an axis of \(steps)")
    }
    var rows: [Int] = []
    for first in 0..<input.shape[0] {
      for second in 0..<input.shape[1] {
        let (step, sequence) = time == 0 ? (first, second) : (second, first)
        let from = step < lengths[sequence] ? lengths[sequence] - 1 - step : step
        rows.append(time == 0 ? from * input.shape[1] + sequence : sequence * input.shape[1] + from)
      }
    }
    let table = input.reshaped([input.shape[0] * input.shape[1], input.shape[2...].reduce(1, *)])
    context.set(0, table.picking(rows, axis: 0).reshaped(input.shape))
  }

  private static func evaluateOneHot(_ context: inout EvaluationContext) throws(Diagnostic) {
    let indices = try context.numbers(0)
    let values = try context.input(2)
    guard let depth = try context.whole(1, "the depth"), depth >= 0 else { throw context.failure("the depth is negative") }
    guard values.count == 2 else { throw context.failure("the values are \(values.count) where two are expected") }
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: indices.rank + 1)
    var shape = indices.shape
    shape.insert(depth, at: axis)
    try context.requireSize(values.element, shape)
    let inner = indices.shape[axis...].reduce(1, *)
    var which = [Int](repeating: 0, count: shape.reduce(1, *))
    for (at, index) in indices.wholes.enumerated() {
      let positive = index < 0 ? index &+ depth : index
      if (0..<depth).contains(positive) { which[(at / inner * depth + positive) * inner + at % inner] = 1 }
    }
    context.set(0, values.picking(which, shape: shape))
  }

  private static func evaluateTrilu(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    let (rows, columns) = (input.shape[input.rank - 2], input.shape[input.rank - 1])
    let offset = min(max(try context.whole(1, "k") ?? 0, -rows), columns)
    let isUpper = context.attributes.flag(.upper, default: true)
    let numbers = input.unpacked
    let (width, row) = (numbers.width, numbers.width * columns)
    let data = TensorData(count: numbers.data.count) { target in
      numbers.data.withUnsafeBytes { source in
        guard let to = target.baseAddress, let from = source.baseAddress, row > 0 else { return }
        for line in 0..<source.count / row {
          let diagonal = line % rows + offset
          let kept = isUpper ? min(max(diagonal, 0), columns)..<columns : 0..<min(max(diagonal + 1, 0), columns)
          let start = line * row + kept.lowerBound * width
          (to + start).copyMemory(from: from + start, byteCount: kept.count * width)
        }
      }
    }
    context.set(0, Tensor(numbers.element, input.shape, checked: data).repacked(as: input.element))
  }
}

// MARK: - Searching

extension Indexing {
  private static func evaluateNonZero(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let truths = input.truths
    let found = truths.indices.filter { truths[$0] }
    let shape = input.rank == 0 ? [1] : input.shape
    let strides = Tensor.strides(shape)
    let places = shape.indices.flatMap { axis in found.map { $0 / strides[axis] % shape[axis] } }
    context.set(0, Tensor(wholes: places, .i64, [shape.count, found.count]))
  }

  private static func evaluateUnique(_ context: inout EvaluationContext) throws(Diagnostic) {
    let given = try context.numbers(0)
    let isFlat = context.attributes.int(.axis) == nil
    let input = isFlat ? given.reshaped([given.count]) : given
    let axis = isFlat ? 0 : try context.axis(context.attributes.int(.axis) ?? 0, rank: input.rank)
    let lines = AxisLines(input.shape, axis: axis)
    let keys = input.orderKeys
    /// Compares two slices number by number.
    func order(_ a: Int, _ b: Int) -> Int {
      for block in 0..<lines.outer {
        for rest in 0..<lines.inner {
          let x = keys[(block * lines.length + a) * lines.inner + rest]
          let y = keys[(block * lines.length + b) * lines.inner + rest]
          if x != y { return x < y ? -1 : 1 }
        }
      }
      return 0
    }
    let sorted = (0..<lines.length).sorted { first, second in
      let order = order(first, second)
      return order == 0 ? first < second : order < 0
    }
    var firsts: [Int] = []
    var counts: [Int] = []
    var groups = [Int](repeating: 0, count: lines.length)
    for (at, index) in sorted.enumerated() {
      if at == 0 || order(sorted[at - 1], index) != 0 {
        firsts.append(index)
        counts.append(0)
      }
      counts[counts.count - 1] += 1
      groups[index] = firsts.count - 1
    }
    if !context.attributes.flag(.sorted, default: true) {
      let ranking = firsts.indices.sorted { firsts[$0] < firsts[$1] }
      var places = [Int](repeating: 0, count: ranking.count)
      for (place, group) in ranking.enumerated() { places[group] = place }
      (firsts, counts) = (ranking.map { firsts[$0] }, ranking.map { counts[$0] })
      groups = groups.map { places[$0] }
    }
    context.set(0, input.picking(firsts, axis: axis))
    context.set(1, Tensor(wholes: firsts, .i64, [firsts.count]))
    context.set(2, Tensor(wholes: groups, .i64, [groups.count]))
    context.set(3, Tensor(wholes: counts, .i64, [counts.count]))
  }

  private static func suppress(_ context: inout EvaluationContext) throws(Diagnostic) {
    let (boxes, scores) = (try context.numbers(0), try context.numbers(1))
    guard boxes.shape[0] == scores.shape[0] else {
      throw context.failure("there are boxes of \(boxes.shape[0]) images, scores of \(scores.shape[0])")
    }
    let most = max(0, try context.whole(2, "the number of boxes") ?? 0)
    let overlap = try context.real(3, "the overlap") ?? 0
    let least = try context.real(4, "the least score")
    let isCentred = context.attributes.flag(.centerPointBox)
    let count = boxes.shape[1]
    let classes = scores.shape[1]
    let (corners, points) = (boxes.reals, scores.reals)
    var selected: [Int] = []
    for image in 0..<boxes.shape[0] {
      let areas = (0..<count).map { box in
        BoxArea(corners[((image * count + box) * 4)..<((image * count + box) * 4 + 4)], isCentred: isCentred)
      }
      for kind in 0..<classes {
        let line = points[((image * classes + kind) * count)..<((image * classes + kind + 1) * count)]
        let first = line.startIndex
        let candidates = (0..<count).filter { index in least.map { line[first + index] > $0 } ?? true }.sorted {
          line[first + $0] == line[first + $1] ? $0 < $1 : line[first + $0] > line[first + $1]
        }
        var kept: [Int] = []
        for box in candidates {
          if kept.count >= most { break }
          if !kept.contains(where: { areas[$0].overlap(areas[box]) > overlap }) { kept.append(box) }
        }
        for box in kept { selected += [image, kind, box] }
      }
    }
    context.set(0, Tensor(wholes: selected, .i64, [selected.count / 3, 3]))
  }
}

/// A box of two axes.
private struct BoxArea {
  private let low: (Double, Double)
  private let high: (Double, Double)

  /// Two opposite corners, or centre and size.
  init(_ numbers: ArraySlice<Double>, isCentred: Bool) {
    let first = numbers.startIndex
    let (a, b, c, d) = (numbers[first], numbers[first + 1], numbers[first + 2], numbers[first + 3])
    if isCentred {
      (low, high) = ((a - c / 2, b - d / 2), (a + c / 2, b + d / 2))
    } else {
      (low, high) = ((min(a, c), min(b, d)), (max(a, c), max(b, d)))
    }
  }

  private var area: Double { (high.0 - low.0) * (high.1 - low.1) }

  /// The intersection's share of the union; 0 where either is empty.
  func overlap(_ other: BoxArea) -> Double {
    let first = min(high.0, other.high.0) - max(low.0, other.low.0)
    let second = min(high.1, other.high.1) - max(low.1, other.low.1)
    guard first > 0, second > 0, area > 0, other.area > 0 else { return 0 }
    return first * second / (area + other.area - first * second)
  }
}

// MARK: - Writing

extension Indexing {
  private static func evaluateScatterElements(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    guard data.rank > 0 else { throw context.failure("the data has no axis") }
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: data.rank)
    let positions = try elementPositions(context, shape: data.shape, axis: axis)
    try write(&context, at: positions, unit: 1)
  }

  private static func evaluateScatterND(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let indices = try context.input(1)
    let blocks = try blocks(context, shape: data.shape, batch: 0)
    let unit = data.shape[(indices.shape.last ?? 0)...].reduce(1, *)
    try write(&context, at: blocks, unit: unit)
  }

  /// Writes the updates to blocks of `unit` numbers, in order; combined with what is there where the attribute `reduction` says so.
  private static func write(_ context: inout EvaluationContext, at blocks: [Int], unit: Int) throws(Diagnostic) {
    let (data, updates) = (try context.input(0), try context.input(2))
    guard updates.element == data.element, updates.count == blocks.count * unit else {
      throw context.failure("updates \(updates.type) do not fit data \(data.type)")
    }
    let reduction = context.attributes.string(.reduction) ?? "none"
    let operation: Elementwise
    switch reduction {
    case "none": return context.set(0, replaced(data, at: blocks, unit: unit, by: updates))
    case "add": operation = .add
    case "mul": operation = .mul
    case "max": operation = .max
    case "min": operation = .min
    default: throw context.failure("reduction is \(reduction), which is none of none, add, mul, max, min")
    }
    try context.requireNumbers(data.element)
    let function = try operation.pairFunction(context, data.element)
    func combined<Number>(_ old: [Number], _ new: [Number], _ combine: (Number, Number) -> Number) -> [Number] {
      var results = old
      for (at, block) in blocks.enumerated() {
        for index in 0..<unit { results[block * unit + index] = combine(results[block * unit + index], new[at * unit + index]) }
      }
      return results
    }
    let result =
      data.element.isFloat
      ? Tensor(reals: combined(data.reals, updates.reals, function.real), data.element, data.shape)
      : Tensor(wholes: combined(data.wholes, updates.wholes, function.whole(of: data.element)), data.element, data.shape)
    context.set(0, result)
  }

  private static func replaced(_ data: Tensor, at blocks: [Int], unit: Int, by updates: Tensor) -> Tensor {
    let (old, new) = (data.unpacked, updates.unpacked)
    let size = unit * old.width
    let written = TensorData(count: old.data.count) { target in
      old.data.withUnsafeBytes { target.copyMemory(from: $0) }
      new.data.withUnsafeBytes { source in
        guard let to = target.baseAddress, let from = source.baseAddress else { return }
        for (at, block) in blocks.enumerated() { (to + block * size).copyMemory(from: from + at * size, byteCount: size) }
      }
    }
    return Tensor(old.element, data.shape, checked: written).repacked(as: data.element)
  }
}
