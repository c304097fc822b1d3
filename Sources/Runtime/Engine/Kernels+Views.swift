import Graph

/// Operators that only look at numbers differently: nothing is computed, and where possible nothing moves.
extension ProgramBuilder {
  /// Views of 4- and 2-bit numbers would begin inside a byte.
  private func isViewable(_ value: ValueID) -> Bool { (element(value).bits ?? 0) >= 8 }

  private func width(_ value: ValueID) -> Int { (element(value).bits ?? 8) / 8 }

  mutating func bindIdentity(_ node: Node) -> Bool {
    // A dropout with a mask to make, or that may be training, is no identity.
    guard node.outputs.count == 1, node.inputs.count <= 2, let input = node.inputs.first.flatMap({ $0 }),
      let output = node.outputs.first.flatMap({ $0 }), shape(input) == shape(output), shape(output) != nil,
      let placement = placement(input)
    else { return false }
    return view(output, at: placement)
  }

  mutating func bindReshaping(_ reshaping: Reshaping, _ node: Node) -> Bool {
    guard let input = node.inputs.first.flatMap({ $0 }), let output = node.outputs.first.flatMap({ $0 }), let from = shape(input),
      let to = shape(output), byteCount(input) != nil, byteCount(output) != nil
    else { return false }
    switch reshaping {
    case .flatten, .reshape, .squeeze, .unsqueeze:
      guard let placement = placement(input) else { return false }
      if let same = placement.reshaped(from: from, to: to) { return view(output, at: same) }
      guard let rows = dense(input) else { return false }
      return view(output, at: Placement(dense: rows, to))
    case .transpose:
      let order = node.attributes.ints(.perm) ?? Array(from.indices.reversed())
      guard order.count == from.count, order.sorted() == Array(from.indices), isViewable(input), let placement = placement(input)
      else { return false }
      return view(output, at: Placement(placement.operand, strides: order.map { placement.strides[$0] }))
    case .expand:
      guard isViewable(input), to.count >= from.count, let placement = placement(input) else { return false }
      return view(output, at: Placement(placement.operand, strides: placement.broadcast(from, to: to)))
    case .depthToSpace, .spaceToDepth, .tile: return false
    }
  }

  mutating func bindJoining(_ joining: Joining, _ node: Node, _ fused: FusedStep) -> Bool {
    switch joining {
    case .slice: bindSlice(node)
    case .split: bindSplit(node)
    case .concat: bindConcat(node, fused)
    case .pad: bindPad(node, fused)
    case .quantisedConcat: false
    }
  }

  private mutating func bindSlice(_ node: Node) -> Bool {
    func numbers(_ index: Int, _ name: AttributeName) -> [Int]? {
      guard node.inputs.indices.contains(index), let value = node.inputs[index] else { return node.attributes.ints(name) }
      return constant(value)?.wholes
    }
    guard let input = node.inputs.first.flatMap({ $0 }), let output = node.outputs[0], let from = shape(input),
      let to = shape(output), isViewable(input), let starts = numbers(1, .starts), let ends = numbers(2, .ends),
      starts.count == ends.count
    else { return false }
    let isGiven = node.inputs.count > 3 && node.inputs[3] != nil
    let given = numbers(3, .axes)
    if isGiven && given == nil { return false }
    let axes = given ?? Array(starts.indices)
    let areSteps = node.inputs.count > 4 && node.inputs[4] != nil
    let steps = areSteps ? numbers(4, .steps) : Array(repeating: 1, count: starts.count)
    guard let steps, axes.count == starts.count, steps.count == starts.count, var placement = placement(input) else {
      return false
    }
    for (index, axis) in axes.enumerated() {
      let axis = axis < 0 ? axis + from.count : axis
      guard from.indices.contains(axis), steps[index] != 0 else { return false }
      let window = SliceWindow(
        of: Extent(from[axis]), from: Extent(starts[index]), to: Extent(ends[index]), step: steps[index])
      guard let first = window.first, window.count?.constant == to[axis] else { return false }
      if to[axis] > 0 { placement.operand.offset += first * placement.strides[axis] * width(input) }
      let (stride, overflow) = placement.strides[axis].multipliedReportingOverflow(by: steps[index])
      if overflow { return false }
      placement.strides[axis] = stride
    }
    return view(output, at: placement)
  }

  private mutating func bindSplit(_ node: Node) -> Bool {
    guard let input = node.inputs.first.flatMap({ $0 }), let from = shape(input), isViewable(input) else { return false }
    let axis = node.attributes.int(.axis) ?? 0
    let along = axis < 0 ? axis + from.count : axis
    let shapes = node.outputs.map { $0.flatMap { shape($0) } }
    // The extents of parts that nobody reads are not known, so what follows them is not either.
    guard from.indices.contains(along), !shapes.contains(where: { $0?.count != from.count }), var placement = placement(input)
    else { return false }
    for (output, shape) in zip(node.outputs, shapes) {
      guard let output, let shape else { return false }
      _ = view(output, at: placement)
      placement.operand.offset += shape[along] * placement.strides[along] * width(input)
    }
    return true
  }

  /// One index, known beforehand, of an axis.
  mutating func bindGatherOfOne(_ node: Node) -> Bool {
    guard let input = node.inputs[0], let from = shape(input), isViewable(input), let output = node.outputs[0],
      let index = constant(node.inputs[1])
    else { return false }
    let axis = node.attributes.int(.axis) ?? 0
    let along = axis < 0 ? axis + from.count : axis
    guard from.indices.contains(along), index.count == 1, let number = index.scalarWhole else { return false }
    let position = number < 0 ? number + from[along] : number
    guard (0..<from[along]).contains(position), var placement = placement(input) else { return false }
    placement.operand.offset += position * placement.strides[along] * width(input)
    let stride = placement.strides.remove(at: along)
    placement.strides.insert(contentsOf: Array(repeating: stride, count: index.rank), at: along)
    return view(output, at: placement)
  }

  // MARK: - Joining

  /// The order of axes in memory that most numbers of the operands have; of equals the first.
  func commonOrder(_ placements: [(Placement, [Int])]) -> [Int] {
    var votes: [(order: [Int], numbers: Int)] = []
    for (placement, shape) in placements {
      let (order, count) = (placement.order(shape), shape.reduce(1, *))
      if let known = votes.firstIndex(where: { $0.order == order }) {
        votes[known].numbers += count
      } else {
        votes.append((order, count))
      }
    }
    let most = votes.map(\.numbers).max()
    return votes.first { $0.numbers == most }?.order ?? []
  }

  private mutating func bindConcat(_ node: Node, _ fused: FusedStep) -> Bool {
    guard let output = node.outputs[0], let to = shape(output), isViewable(output) else { return false }
    let axis = node.attributes.int(.axis) ?? 0
    let along = axis < 0 ? axis + to.count : axis
    guard to.indices.contains(along) else { return false }
    var parts: [(Placement, [Int])] = []
    for input in node.inputs {
      guard let input, element(input) == element(output), let own = shape(input), own.count == to.count,
        let placement = placement(input)
      else { return false }
      parts.append((placement, own))
    }
    let values = node.inputs.compactMap { $0 }
    if let (_, places) = joined(output, values) {
      var missing: [(kernel: CopyKernel, from: Operand, to: Operand)] = []
      for ((placement, own), (place, isThere)) in zip(parts, places) where !isThere {
        guard let kernel = CopyKernel(4, own, placement.strides, place.strides) else { return false }
        missing.append((kernel, placement.operand, place.operand))
      }
      let all = missing
      if all.isEmpty { return true }
      add(fused) { frame in
        for copy in all { copy.kernel.run(frame, from: copy.from, to: copy.to) }
      }
      return true
    }
    guard let target = writing(output, order: commonOrder(parts)) else { return false }
    var copies: [(kernel: CopyKernel, from: Operand, to: Operand)] = []
    var place = target.operand
    for (placement, own) in parts {
      guard let kernel = CopyKernel(width(output), own, placement.strides, target.strides) else { return false }
      if !own.contains(0) { copies.append((kernel, placement.operand, place)) }
      place.offset += own[along] * target.strides[along] * width(output)
    }
    let all = copies
    add(fused) { frame in
      for copy in all { copy.kernel.run(frame, from: copy.from, to: copy.to) }
    }
    return true
  }

  private mutating func bindPad(_ node: Node, _ fused: FusedStep) -> Bool {
    guard let input = node.inputs.first.flatMap({ $0 }), let output = node.outputs[0], let from = shape(input),
      let to = shape(output), element(input) == .f32, (node.attributes.string(.mode) ?? "constant") == "constant",
      from.count == to.count
    else { return false }
    let list = node.inputs.count > 1 ? constant(node.inputs[1])?.wholes : node.attributes.ints(.pads)
    var number: Float = node.attributes.float(.value) ?? 0
    if node.inputs.count > 2, let given = node.inputs[2] {
      guard let known = scalar(given) else { return false }
      number = known
    }
    // Pads of some of the axes only are left to the plain evaluation.
    guard node.inputs.count <= 3 || node.inputs[3] == nil, let pads = list, pads.count == 2 * from.count,
      pads.allSatisfy({ $0.magnitude < 1 << 40 }), !to.contains(0), byteCount(output) != nil, let source = placement(input)
    else { return false }
    let target = Placement(dense: Operand(buffer: 0), to, order: source.order(from))
    var (start, first, extents) = (0, 0, from)
    for axis in from.indices {
      // Negative pads cut off.
      let cut = (max(0, -pads[axis]), max(0, -pads[axis + from.count]))
      extents[axis] = from[axis] - cut.0 - cut.1
      first += cut.0 * source.strides[axis]
      start += max(0, pads[axis]) * target.strides[axis]
    }
    guard extents.allSatisfy({ $0 > 0 }), let kernel = CopyKernel(4, extents, source.strides, target.strides),
      let place = writing(output, order: source.order(from))
    else { return false }
    let (begin, end) = (
      Operand(buffer: source.operand.buffer, offset: source.operand.offset + first * 4),
      Operand(buffer: place.operand.buffer, offset: place.operand.offset + start * 4)
    )
    let count = to.reduce(1, *)
    let value = number
    add(fused) { frame in
      frame.floats(place.operand).update(repeating: value, count: count)
      kernel.run(frame, from: begin, to: end)
    }
    return true
  }
}
