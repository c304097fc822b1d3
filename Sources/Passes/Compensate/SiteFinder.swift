import Graph

/// Finds the sites of groups: every linear layer and convolution whose weight and input carry one.
struct SiteFinder {
  private let solution: Solution
  private let module: Module
  private let contents: [ValueID: TensorContent]
  private let producers: [Int?]
  private let uses: [[Module.Use]]
  private let outputs: Set<ValueID>

  init(_ solution: Solution) {
    self.solution = solution
    module = solution.module
    contents = Dictionary(module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    producers = module.producers()
    uses = module.uses()
    outputs = Set(module.outputs)
  }

  /// Sites of some groups, in order of execution. A sum that is made after another site was passed cannot be waited for: the error of its site is
  /// counted at the result.
  func sites(of groups: Set<Int>) -> [Site] {
    let found = module.nodes.indices.compactMap(site).filter { site in site.groups.contains(where: groups.contains) }
    return found.enumerated().map { index, site in
      let next = found.indices.contains(index + 1) ? found[index + 1].node : Int.max
      return (producers[site.sum.index] ?? site.node) < next ? site : site.observedAtResult
    }
  }

  /// A linear layer or convolution with a weight of its own.
  struct Linear {
    let data: ValueID
    let result: ValueID
    let geometry: Site.Geometry
    let weight: WeightView
    /// A bias among its operands.
    let bias: Site.Bias
    /// The layout of what it contracts.
    let contracted: Layout
    /// The axis of its results.
    let axis: Int
  }

  /// The layer that a node is; nil for any other node.
  func linear(_ index: Int) -> Linear? {
    let node = module.nodes[index]
    guard node.inputs.count > 1, let data = node.inputs[0], let operand = node.inputs[1], let result = node.outputs.first ?? nil,
      constant(data) == nil, solution.inferred.types[data.index].element.isFloat
    else { return nil }
    let axes = solution.axes[data.index]
    let geometry: Site.Geometry
    let weight: WeightView
    let contracted: Layout
    var bias = Site.Bias.none
    let axis: Int
    switch node.operation {
    case .matrixProduct(let product):
      guard product == .matMul || product == .gemm, !axes.isEmpty, let source = source(of: operand), source.extents.count == 2
      else { return nil }
      var (columns, outputs) = (0, 1)
      if product == .gemm {
        guard node.attributes.int(.transA) ?? 0 == 0, node.attributes.float(.alpha) ?? 1 == 1,
          node.attributes.float(.beta) ?? 1 == 1
        else { return nil }
        if node.attributes.int(.transB) ?? 0 != 0 { (columns, outputs) = (1, 0) }
        if let own = node.inputs.count > 2 ? node.inputs[2] : nil {
          guard isOwnVector(own, source.extents[outputs], axis: 1, rank: 2) else { return nil }
          bias = .parameter(stored(own))
        }
      }
      weight = WeightView(
        parameter: source.parameter, blocks: 1, columns: source.extents[columns], outputs: source.extents[outputs],
        blockStride: 0,
        columnStride: source.strides[columns], outputStride: source.strides[outputs])
      geometry = .lastAxis
      contracted = axes[axes.count - 1]
      axis = axes.count - 1
    case .convolution(.conv):
      guard let source = source(of: operand), let rank = Optional(source.extents.count), rank >= 3, axes.count == rank,
        source.strides == Tensor.strides(source.extents)
      else { return nil }
      let groups = node.attributes.int(.group) ?? 1
      let (made, taken) = (source.extents[0], source.extents[1])
      let window = Array(source.extents[2...])
      // Channels that are never summed are passed on, not consumed.
      guard groups > 0, made % groups == 0, !(groups > 1 && taken == 1) else { return nil }
      let columns = taken * window.reduce(1, *)
      if let own = node.inputs.count > 2 ? node.inputs[2] : nil {
        guard isOwnVector(own, made, axis: 0, rank: 1) else { return nil }
        bias = .parameter(stored(own))
      }
      weight = WeightView(
        parameter: source.parameter, blocks: groups, columns: columns, outputs: made / groups,
        blockStride: made / groups * columns, columnStride: 1, outputStride: columns)
      geometry = .window(kernel: window, groups: groups)
      contracted = axes[1]
      axis = 1
    case .convolution(.convTranspose):
      guard let source = source(of: operand), source.extents.count >= 3, axes.count == source.extents.count,
        source.strides == Tensor.strides(source.extents)
      else { return nil }
      let groups = node.attributes.int(.group) ?? 1
      let (taken, made) = (source.extents[0], source.extents[1])
      let window = source.extents[2...].reduce(1, *)
      guard groups > 0, taken % groups == 0, !(groups > 1 && taken == groups) else { return nil }
      if let own = node.inputs.count > 2 ? node.inputs[2] : nil {
        guard isOwnVector(own, made * groups, axis: 0, rank: 1) else { return nil }
        bias = .parameter(stored(own))
      }
      weight = WeightView(
        parameter: source.parameter, blocks: groups, columns: taken / groups, outputs: made * window,
        blockStride: taken / groups * made * window, columnStride: made * window, outputStride: 1)
      let strides = node.attributes.ints(.strides) ?? []
      geometry = .scattered(groups: groups, window: window, overlap: Double(window) / Double(max(1, strides.reduce(1, *))))
      contracted = axes[1]
      axis = 1
    case .convolution, .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .recurrence,
      .attention, .quantisation, .generation, .opaque:
      return nil
    }
    return Linear(
      data: data, result: result, geometry: geometry, weight: weight, bias: bias, contracted: contracted, axis: axis)
  }

  private func site(_ index: Int) -> Site? {
    guard let layer = linear(index) else { return nil }
    let groups = solution.groups(in: layer.contracted)
    guard !groups.isEmpty, layer.weight.columns > 0, layer.weight.outputs > 0 else { return nil }
    var channels = layer.weight.blocks * layer.weight.outputs
    if case .scattered(_, let window, _) = layer.geometry { channels /= window }
    let way = follow(layer.result, count: channels, axis: layer.axis, bias: layer.bias)
    if case .scattered = layer.geometry {
      // What is added to one result is no longer one number for each of a row's.
      return Site(
        node: index, data: layer.data, geometry: layer.geometry, weight: layer.weight, result: layer.result,
        bias: way.bias, sum: layer.result, gain: nil, metric: .whole, groups: groups)
    }
    return Site(
      node: index, data: layer.data, geometry: layer.geometry, weight: layer.weight, result: layer.result, bias: way.bias,
      sum: way.sum, gain: way.gain, metric: metric(way.sum, isResidual: way.isResidual, layer.geometry), groups: groups)
  }

  /// The layer whose result, bias included, a value is: its weight, and the parameter that holds the bias.
  func layer(making value: ValueID) -> (node: Int, weight: WeightView, bias: ValueID?)? {
    guard let producer = producers[value.index] else { return nil }
    if let layer = linear(producer), case .lastAxis = layer.geometry {
      guard case .parameter(let bias) = layer.bias else { return (producer, layer.weight, nil) }
      return (producer, layer.weight, bias)
    }
    let node = module.nodes[producer]
    guard case .elementwise(.add) = node.operation, node.inputs.count == 2 else { return nil }
    for operand in 0..<2 {
      guard let bias = node.inputs[operand], let result = node.inputs[1 - operand], uses[result.index].count == 1,
        let inner = producers[result.index], let layer = linear(inner), case .lastAxis = layer.geometry, case .none = layer.bias,
        isOwnVector(bias, layer.weight.outputs, axis: layer.axis, rank: layer.axis + 1)
      else { continue }
      return (inner, layer.weight, stored(bias))
    }
    return nil
  }

  // MARK: Weights

  private func isReadOnce(_ value: ValueID) -> Bool { uses[value.index].count == 1 && !outputs.contains(value) }

  /// What a value is cast from: weights may be stored in half precision, and computed with in single.
  private func stored(_ value: ValueID) -> ValueID {
    var value = value
    while let producer = producers[value.index], let input = module.nodes[producer].inputs.first ?? nil,
      solution.inferred.types[input.index].element.isFloat
    {
      switch module.nodes[producer].operation {
      case .elementwise(.cast), .elementwise(.castLike), .elementwise(.identity): value = input
      case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
        .recurrence, .attention, .quantisation, .generation, .opaque:
        return value
      }
    }
    return value
  }

  /// The numbers of a constant, perhaps cast.
  private func constant(_ value: ValueID) -> TensorContent? { contents[stored(value)] }

  /// A parameter that nobody else reads, behind transposes and casts.
  private func source(of operand: ValueID) -> (parameter: ValueID, extents: [Int], strides: [Int])? {
    guard isReadOnce(operand) else { return nil }
    let operand = stored(operand)
    guard isReadOnce(operand) else { return nil }
    if let content = contents[operand] {
      guard content.element.isFloat, content.isWhole, !content.isMissing else { return nil }
      return (operand, content.shape, Tensor.strides(content.shape))
    }
    guard let producer = producers[operand.index], case .reshaping(.transpose) = module.nodes[producer].operation,
      let input = module.nodes[producer].inputs.first ?? nil, let inner = source(of: input)
    else { return nil }
    let order = module.nodes[producer].attributes.ints(.perm) ?? Array(inner.extents.indices.reversed())
    guard order.sorted() == Array(inner.extents.indices) else { return nil }
    return (inner.parameter, order.map { inner.extents[$0] }, order.map { inner.strides[$0] })
  }

  /// A parameter that nobody else reads, with `count` numbers along `axis` of a value of `rank` axes and one along the others.
  private func isOwnVector(_ value: ValueID, _ count: Int, axis: Int, rank: Int) -> Bool {
    isReadOnce(value) && isReadOnce(stored(value)) && isVector(value, count, axis: axis, rank: rank)
  }

  private func isVector(_ value: ValueID, _ count: Int, axis: Int, rank: Int) -> Bool {
    guard let content = constant(value), content.element.isFloat, content.isWhole, !content.isMissing else { return false }
    let shape = content.shape
    let own = axis - (rank - shape.count)
    return shape.indices.allSatisfy { shape[$0] == ($0 == own ? count : 1) } && (shape.indices.contains(own) || count == 1)
  }

  // MARK: The way to the sum

  private struct Way {
    var bias: Site.Bias
    var sum: ValueID
    var gain: [Double]?
    var isResidual: Bool
  }

  private func follow(_ result: ValueID, count: Int, axis: Int, bias: Site.Bias) -> Way {
    var way = Way(bias: bias, sum: result, gain: nil, isResidual: false)
    var isBiased = if case .none = bias { false } else { true }
    let rank = solution.axes[result.index].count
    while uses[way.sum.index].count == 1, !outputs.contains(way.sum), let use = uses[way.sum.index].first, use.operand >= 0 {
      let node = module.nodes[use.node]
      guard let next = node.outputs.first ?? nil else { return way }
      switch node.operation {
      case .elementwise(.add):
        guard node.inputs.count == 2, let other = node.inputs[1 - use.operand] else { return way }
        if isVector(other, count, axis: axis, rank: rank) {
          if !isBiased, way.gain == nil, isOwnVector(other, count, axis: axis, rank: rank) {
            way.bias = .parameter(stored(other))
            isBiased = true
          }
          way.sum = next
          continue
        }
        // A residual sum: a stream of the same shape.
        guard constant(other) == nil, solution.inferred.types[other.index].shape == solution.inferred.types[way.sum.index].shape
        else { return way }
        way.sum = next
        way.isResidual = true
        return way
      case .elementwise(.mul):
        guard node.inputs.count == 2, let other = node.inputs[1 - use.operand], let content = constant(other),
          let factors = Tensor(content)?.reals,
          isVector(other, count, axis: axis, rank: rank) || factors.count == 1
        else { return way }
        let own = factors.count == 1 ? Array(repeating: factors[0], count: count) : factors
        way.gain = way.gain.map { zip($0, own).map(*) } ?? own
      case .normalisation(.batchNorm):
        let parts = node.inputs[1...].map { $0.flatMap { constant($0) }.flatMap { Tensor($0)?.reals } }
        guard use.operand == 0, axis == 1, node.attributes.int(.trainingMode) ?? 0 == 0, parts.count == 4,
          let scale = parts[0], let variance = parts[3], let mean = node.inputs[3], scale.count == count, variance.count == count
        else { return way }
        let epsilon = Double(node.attributes.float(.epsilon) ?? 1e-5)
        if !isBiased, way.gain == nil, isReadOnce(mean), isReadOnce(stored(mean)) {
          way.bias = .mean(stored(mean))
          isBiased = true
        }
        let own = zip(scale, variance).map { $0 / ($1 + epsilon).squareRoot() }
        way.gain = way.gain.map { zip($0, own).map(*) } ?? own
      case .elementwise(.identity), .elementwise(.dropout): break
      case .elementwise, .normalisation, .matrixProduct, .convolution, .reduction, .reshaping, .joining, .indexing, .pooling,
        .recurrence,
        .attention, .quantisation, .generation, .opaque:
        return way
      }
      way.sum = next
    }
    return way
  }

  private func metric(_ sum: ValueID, isResidual: Bool, _ geometry: Site.Geometry) -> Site.Metric {
    guard case .lastAxis = geometry, isResidual else { return .whole }
    guard uses[sum.index].count == 1, let use = uses[sum.index].first, use.operand == 0,
      case .normalisation(let norm) = module.nodes[use.node].operation,
      norm == .layerNorm || norm == .rmsNorm || norm == .simplifiedLayerNorm,
      let scale = module.nodes[use.node].inputs.count > 1 ? module.nodes[use.node].inputs[1] : nil,
      let gain = constant(scale).flatMap({ Tensor($0)?.reals })
    else { return .normalised(gain: nil) }
    return .normalised(gain: gain)
  }
}
