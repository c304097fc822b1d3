import Graph

/// Contractions: where what an index carries is multiplied and summed.
extension ZeroAnalysis {
  /// A convolution or linear layer whose weight is known; nil for other nodes.
  func affine(_ node: Node) -> AffineNode? {
    switch node.operation {
    case .matrixProduct(let product):
      guard let contraction = contraction(node, product), node.inputs.count >= 2, let weight = node.inputs[1],
        let tensor = constants[weight], let data = node.inputs[0], constants[data] == nil
      else { return nil }
      return AffineNode(node, contraction, weight: tensor, dataRank: solution.axes[data.index].count)
    case .convolution(.conv):
      guard node.inputs.count >= 2, let tensor = node.inputs[1].flatMap({ constants[$0] }) else { return nil }
      return AffineNode(convolution: node, weight: tensor)
    case .convolution, .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .recurrence,
      .attention,
      .quantisation, .generation, .opaque:
      return nil
    }
  }

  func contraction(_ node: Node, _ product: MatrixProduct) -> Contraction? {
    let ranks = node.inputs.map { $0.map { solution.axes[$0.index].count } ?? 0 }
    guard let contraction = Contraction(node, product: product, ranks: ranks),
      zip(contraction.factors, ranks).allSatisfy({ $0.count == $1 }),
      node.outputs.first.flatMap({ $0 }).map({ solution.axes[$0.index].count == contraction.result.count }) ?? false
    else { return nil }
    return contraction
  }

  // MARK: Results

  /// Channels whose result is the same number everywhere.
  func productResult(_ index: Int, _ node: Node, _ output: ValueID) -> ConstantSlices {
    if let affine = affine(node) { return affineResult(index, node, affine, output) }
    guard case .matrixProduct(let product) = node.operation, let contraction = contraction(node, product) else {
      return convolutionResult(node, output)
    }
    // A sum of products with a zero slice.
    guard contraction.bias.map({ !node.inputs.indices.contains($0.operand) || node.inputs[$0.operand] == nil }) ?? true else {
      return ConstantSlices()
    }
    var result = ConstantSlices()
    let known = contraction.factors.indices.map { node.inputs[$0].map { slices($0) } ?? ConstantSlices() }
    if known.contains(where: { $0.whole == 0 }) { result.whole = 0 }
    for place in places(output) {
      let label = contraction.result[place.axis]
      let numbers = gone[place.group].indices.map { at -> Double? in
        let isZero = zip(contraction.factors, known).contains { labels, slices in
          if slices.whole == 0 { return true }
          guard let axis = labels.firstIndex(of: label) else { return false }
          return slices.number(CarriedGroup(axis: axis, group: place.group), at) == 0
        }
        return isZero ? 0 : nil
      }
      if numbers.contains(where: { $0 != nil }) { result.numbers[place] = numbers }
    }
    return result
  }

  private func affineResult(_ index: Int, _ node: Node, _ affine: AffineNode, _ output: ValueID) -> ConstantSlices {
    let count = affine.blocks * affine.inputs
    let layout = solution.axes[affine.data.index][affine.dataAxis]
    let incoming = positionNumbers(affine.data, axis: affine.dataAxis, layout: layout, count: count)
    let mask = goneMask(layout)
    let bias = biasNumbers(node, affine)
    let added = additions[index]
    var channels = [Double?](repeating: nil, count: affine.outputs)
    StoredReals.read(affine.tensor) { number in
      for channel in channels.indices {
        guard var sum = bias[channel] else { continue }
        sum += added?[channel] ?? 0
        let first = affine.firstInput(of: channel)
        var isKnown = true
        for input in 0..<affine.inputs {
          let position = first + input
          if mask?[position] ?? false { continue }
          let flow = incoming[position]
          if flow == 0 { continue }
          if let flow, affine.keepsConstants {
            sum += affine.scale * flow * affine.sum(number, output: channel, input: input)
          } else if !affine.isZero(number, output: channel, input: input) {
            isKnown = false
            break
          }
        }
        if isKnown { channels[channel] = Double(Float(sum)) }
      }
    }
    var result = ConstantSlices()
    let made = solution.axes[affine.weight.index][affine.outputAxis]
    for place in places(output) where place.axis == affine.resultAxis {
      let numbers = indexNumbers(place.group, made, channels)
      if numbers.contains(where: { $0 != nil }) { result.numbers[place] = numbers }
    }
    return result
  }

  /// What is added to each channel, already scaled; nil where that is not known.
  private func biasNumbers(_ node: Node, _ affine: AffineNode) -> [Double?] {
    guard let bias = affine.bias, node.inputs.indices.contains(bias.operand), let value = node.inputs[bias.operand] else {
      return Array(repeating: 0, count: affine.outputs)
    }
    guard let axes = axisConstants(value) else { return Array(repeating: nil, count: affine.outputs) }
    if let whole = axes.whole { return Array(repeating: whole * bias.scale, count: affine.outputs) }
    guard let last = axes.byAxis.last, last.count == affine.outputs else { return Array(repeating: nil, count: affine.outputs) }
    return last.map { $0.map { $0 * bias.scale } }
  }

  /// A transposed convolution of zeros is its bias.
  private func convolutionResult(_ node: Node, _ output: ValueID) -> ConstantSlices {
    var result = ConstantSlices()
    guard case .convolution(.convTranspose) = node.operation, node.inputs.count >= 2, let weight = node.inputs[1],
      (node.attributes.int(.group) ?? 1) == 1
    else { return result }
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    for place in places(output) where place.axis == 1 {
      let zeros = slices(weight).numbers[CarriedGroup(axis: 1, group: place.group)]
      let numbers = bias.map { slices($0).numbers[CarriedGroup(axis: 0, group: place.group)] }
      result.numbers[place] = gone[place.group].indices.map { at in
        guard zeros?[at] == .some(0) else { return nil }
        guard let numbers else { return 0 }
        return numbers?[at] ?? nil
      }
    }
    return result
  }

  // MARK: Meeting

  /// Asks a convolution or linear layer whether it can do without indices of what it contracts.
  func askAffine(_ index: Int, _ node: Node, _ affine: AffineNode) {
    let count = affine.blocks * affine.inputs
    let layout = solution.axes[affine.data.index][affine.dataAxis]
    let incoming = positionNumbers(affine.data, axis: affine.dataAxis, layout: layout, count: count)
    let columns = axisConstants(affine.weight)?.byAxis[affine.inputAxis]
    let mask = goneMask(layout)
    for group in groups(affine.weight, axis: affine.inputAxis) {
      note(asked: group)
      let positions = positions(group, layout)
      guard positions.count == count else {
        block(group, reason(.noRule, node))
        continue
      }
      var constants: [Int: [(position: Int, number: Double)]] = [:]
      for (position, at) in positions.enumerated() where at >= 0 && !(mask?[position] ?? false) {
        let at = Int(at)
        if columns?[position % affine.inputs] == .some(0) || incoming[position] == .some(0) { continue }
        if let number = incoming[position] {
          if !affine.keepsConstants { block(group, at, reason(.constantAtBorders(number), node)) }
          constants[at, default: []].append((position, number))
        } else {
          block(group, at, reason(.carriesSignal, node))
        }
      }
      for (at, parts) in constants.sorted(by: { $0.key < $1.key }) where obstacles[group][at] == nil {
        add(Fold(node: index, group: group, index: at, additions: affine.additions(of: parts)))
      }
    }
  }

  /// Asks another matrix product.
  func askContraction(_ node: Node, _ contraction: Contraction) {
    var asked: Set<Int> = []
    for (factor, labels) in contraction.factors.enumerated() {
      guard let value = node.inputs[factor] else { continue }
      for place in places(value) {
        let label = labels[place.axis]
        guard !contraction.result.contains(label), asked.insert(place.group &* 4096 &+ label).inserted else { continue }
        ask(place.group, node) { at in
          zip(contraction.factors, node.inputs).contains { labels, value in
            guard let value, let axis = labels.firstIndex(of: label) else { return false }
            let known = slices(value)
            return known.whole == 0 || known.number(CarriedGroup(axis: axis, group: place.group), at) == 0
          }
        }
      }
    }
  }
}

extension AffineNode {
  /// What constants that flow in at some positions add to each channel of the result.
  func additions(of parts: [(position: Int, number: Double)]) -> [Double] {
    var result = [Double](repeating: 0, count: outputs)
    StoredReals.read(tensor) { number in
      for part in parts {
        let block = inputs == 0 ? 0 : part.position / inputs
        let perBlock = outputs / max(1, blocks)
        for channel in block * perBlock..<(block + 1) * perBlock {
          result[channel] += scale * part.number * sum(number, output: channel, input: part.position - block * inputs)
        }
      }
    }
    return result
  }
}
