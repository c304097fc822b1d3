/// Constant index tuples that visit a box in row-major order: one run of consecutive indices per indexed axis.
struct IndexBox {
  /// The run of each indexed axis.
  let runs: [Range<Int>]

  /// Finds the box of `numbers`, tuples of as many indices as there are `lengths`; nil where they are none.
  init?(_ numbers: [Int], lengths: [Int]) {
    let width = lengths.count
    guard width > 0, !numbers.isEmpty, numbers.count % width == 0 else { return nil }
    let count = numbers.count / width
    func index(_ tuple: Int, _ column: Int) -> Int {
      let number = numbers[tuple * width + column]
      return number < 0 ? number &+ lengths[column] : number
    }
    var runs: [Range<Int>] = []
    for column in 0..<width {
      let first = index(0, column)
      let last = index(count - 1, column)
      guard first >= 0, first <= last, last < lengths[column] else { return nil }
      runs.append(first..<last + 1)
    }
    guard runs.reduce(1, { $0.multipliedReportingOverflow(by: $1.count).partialValue }) == count else { return nil }
    for tuple in 0..<count {
      var rest = tuple
      for column in stride(from: width - 1, through: 0, by: -1) {
        if index(tuple, column) != runs[column].lowerBound + rest % runs[column].count { return nil }
        rest /= runs[column].count
      }
    }
    self.runs = runs
  }
}

extension Indexing {
  /// Tuples of constant indices that visit a box are cuts; otherwise the indexed axes stay whole.
  func relateGatherND(_ solver: some AxisSolver, _ node: Node) {
    solver.carryCodomain()
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let indexAxes = solver.axes(ofInput: 1)
    let indexShape = solver.shape(ofInput: 1)
    let batch = node.attributes.int(.batchDims) ?? 0
    guard let width = indexShape.last?.constant, batch >= 0, indexAxes.count == indexShape.count, indexAxes.count > batch,
      axes.count == shape.count, width >= 0, batch <= axes.count, width <= axes.count - batch
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a gather whose tuples do not fit its tensor"))
    }
    let indexed = Array(axes[batch..<batch + width])
    solver.freeze(indexAxes[indexAxes.count - 1], .structure)
    for at in 0..<batch { solver.tie(axes[at], indexAxes[at]) }
    var gathered = Array(indexAxes[batch..<indexAxes.count - 1])
    let box = batch == 0 ? constantBox(solver, input: 1, Array(shape[..<width])) : nil
    if let box {
      let (layouts, extents) = pieces(solver, indexed, box)
      let targets = solver.regroup(layouts, extents, to: Array(indexShape[..<(indexShape.count - 1)]))
      for (index, target) in zip(gathered, targets) { solver.tie(index, target) }
      gathered = targets
    } else if width == 1, let codomain = solver.codomain(ofInput: 1) {
      solver.tie(codomain, indexed[0])
    } else {
      freezeIndexed(solver, indexed)
    }
    solver.give(axes[..<batch] + gathered + axes[(batch + width)...])
  }

  /// Writes a box: each indexed axis is cut at its run, and the piece is the updates' axis.
  func relateScatterND(_ solver: some AxisSolver, _ node: Node) {
    solver.escape(input: 0)
    solver.escape(input: 2)
    let axes = solver.axes(ofInput: 0)
    let shape = solver.shape(ofInput: 0)
    let indexAxes = solver.axes(ofInput: 1)
    let indexShape = solver.shape(ofInput: 1)
    let updates = solver.axes(ofInput: 2)
    let leading = indexAxes.count - 1
    guard let width = indexShape.last?.constant, indexAxes.count == indexShape.count, axes.count == shape.count,
      (0...axes.count).contains(width), updates.count == leading + axes.count - width
    else {
      solver.escapeAll()
      return solver.freezeNode(.unsupported("a scatter whose tuples do not fit its tensor"))
    }
    let indexed = Array(axes[..<width])
    solver.freeze(indexAxes[leading], .structure)
    for at in 0..<leading { solver.tie(indexAxes[at], updates[at]) }
    if let box = constantBox(solver, input: 1, Array(shape[..<width])) {
      let (layouts, extents) = pieces(solver, indexed, box)
      let targets = solver.regroup(layouts, extents, to: Array(indexShape[..<leading]))
      for (target, update) in zip(targets, updates) { solver.tie(target, update) }
    } else {
      // Where an update goes missing, what was there before stays: none may.
      for at in 0..<leading { solver.freeze(indexAxes[at], .selected) }
      if width == 1, let codomain = solver.codomain(ofInput: 1) {
        solver.tie(codomain, indexed[0])
      } else {
        freezeIndexed(solver, indexed)
      }
    }
    for at in width..<axes.count { solver.tie(axes[at], updates[at - width + leading]) }
    solver.pass()
  }

  private func freezeIndexed(_ solver: some AxisSolver, _ indexed: [Layout]) {
    solver.escape(input: 1)
    let reason: Reason = solver.isParameterOnly(input: 1) ? .selected : .indexedByData
    for layout in indexed { solver.freeze(layout, reason) }
    if solver.isParameterOnly(input: 0) { for layout in indexed { solver.note(.tableRows, layout) } }
  }

  private func constantBox(_ solver: some AxisSolver, input: Int, _ shape: [Extent]) -> IndexBox? {
    guard let numbers = solver.numbers(ofInput: input) else { return nil }
    var lengths: [Int] = []
    for extent in shape {
      guard let length = extent.constant else { return nil }
      lengths.append(length)
    }
    return IndexBox(numbers, lengths: lengths)
  }

  /// The pieces of a box, with their extents.
  private func pieces(_ solver: some AxisSolver, _ indexed: [Layout], _ box: IndexBox) -> ([Layout], [Extent]) {
    (zip(indexed, box.runs).map { solver.piece(of: $0, $1) }, box.runs.map { Extent($0.count) })
  }
}
