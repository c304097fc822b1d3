import Graph

/// An attention whose dims inside heads can be looked at one head at a time: where the channels of queries, keys and values lie in the layers that
/// make them, and which columns of the consumer each head fills.
struct HeadSite {
  /// One head as the consumer sees it.
  struct Head {
    /// Channels of the layers that make query, key and value, dim by dim; empty where they cannot be followed.
    var query: [Int] = []
    var key: [Int] = []
    var value: [Int] = []
    /// Columns of the consumer.
    let columns: [Int]
    /// The matrix of the product that it is: an index over the leading axes.
    let matrix: Int
  }

  /// A layer that makes queries, keys or values.
  struct Projection {
    /// Index of its node.
    let node: Int
    /// Its result, bias included.
    let result: ValueID
    let weight: WeightView
    let bias: ValueID?
  }

  /// The consumer.
  let site: Site
  let heads: [Head]
  /// What the keys are multiplied with: dims of queries are cut there, to see what that does to the consumer.
  let queryOperand: ValueID
  /// The layers that make queries, keys and values; nil where something lies between that is more than movement.
  let query: Projection?
  let key: Projection?
  let value: Projection?
  /// The group of queries' and keys' dims, and that of values'; equal for a fused projection that is split into three alike.
  let scoreDims: Int?
  let valueDims: Int?
}

/// Finds attentions around sites, by running the parts that only move numbers on the numbers of channels.
struct HeadFinder {
  private let solution: Solution
  private let module: Module
  private let producers: [Int?]
  private let constants: [ValueID: TensorContent]
  private let finder: SiteFinder
  private let source: NamedModel?
  /// Values of the module's inputs in one batch.
  private let given: [ValueID: Tensor]

  init(_ solution: Solution, _ finder: SiteFinder, given: [ValueID: Tensor], source: NamedModel?) {
    self.solution = solution
    module = solution.module
    producers = solution.module.producers()
    constants = Dictionary(solution.module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    self.finder = finder
    self.given = given
    self.source = source
  }

  /// The attention whose result a site consumes; nil where there is none, or it is put together otherwise than can be followed.
  /// `shapes` gives the shape that a value has in the batch.
  func heads(_ site: Site, shape: (ValueID) throws(Diagnostic) -> [Int]?) throws(Diagnostic) -> HeadSite? {
    guard case .lastAxis = site.geometry, let context = origin(of: site.data), let maker = producers[context.index] else {
      return nil
    }
    let node = module.nodes[maker]
    let operands: (query: ValueID, key: ValueID, value: ValueID, isKeyTransposed: Bool)
    switch node.operation {
    case .matrixProduct(.matMul):
      guard let probabilities = node.inputs[0], let value = node.inputs[1], let scores = self.scores(behind: probabilities),
        let query = module.nodes[scores].inputs[0], let key = module.nodes[scores].inputs[1]
      else { return nil }
      operands = (query, key, value, true)
    case .attention(.attention):
      guard let query = node.inputs[0], let key = node.inputs[1], let value = node.inputs[2],
        solution.axes[query.index].count == 4
      else { return nil }
      operands = (query, key, value, false)
    case .matrixProduct, .attention, .convolution, .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing,
      .pooling,
      .recurrence, .quantisation, .generation, .opaque:
      return nil
    }
    guard let made = try shape(context), made.count >= 3, let dims = made.last, dims > 0 else { return nil }
    // Which (matrix, dim) of the product each column is.
    let leading = Array(made.dropLast(2))
    let matrices = leading.reduce(1, *)
    let codes = (0..<matrices).flatMap { matrix in
      (0..<made[made.count - 2]).flatMap { _ in (0..<dims).map { Double(matrix * dims + $0) } }
    }
    guard let columns = try moved(context, Tensor(reals: codes, .f32, made), to: site.data), let width = columns.shape.last,
      width == site.columns
    else { return nil }
    var places: [Int: [Int]] = [:]
    for (column, code) in columns.reals.prefix(width).enumerated() {
      places[Int(code) / dims, default: Array(repeating: -1, count: dims)][Int(code) % dims] = column
    }
    guard places.values.allSatisfy({ !$0.contains(-1) }), places.count * dims == width else { return nil }
    var heads = places.keys.sorted().map { HeadSite.Head(columns: places[$0] ?? [], matrix: $0) }
    let query = try projection(operands.query, leading, isTransposed: false, &heads, \.query, shape)
    let key = try projection(operands.key, leading, isTransposed: operands.isKeyTransposed, &heads, \.key, shape)
    let value = try projection(operands.value, leading, isTransposed: false, &heads, \.value, shape)
    let axes = solution.axes[operands.query.index]
    let scoreDims = axes.last.flatMap(only)
    let valueDims = solution.axes[operands.value.index].last.flatMap(only)
    return HeadSite(
      site: site, heads: heads, queryOperand: operands.query, query: query, key: key, value: value, scoreDims: scoreDims,
      valueDims: valueDims)
  }

  /// The only group that a layout is.
  private func only(_ layout: Layout) -> Int? {
    guard case .group(let leaf) = solution.table.form(layout) else { return nil }
    return solution.index(of: leaf)
  }

  /// The product of queries and keys behind probabilities: along the first operands of what turns scores into probabilities.
  private func scores(behind probabilities: ValueID) -> Int? {
    var waiting = [probabilities]
    var steps = 0
    while let value = waiting.popLast(), steps < 40 {
      steps += 1
      guard let producer = producers[value.index] else { continue }
      let node = module.nodes[producer]
      switch node.operation {
      case .matrixProduct(.matMul): return node.inputs.allSatisfy { $0.map { constants[$0] == nil } ?? false } ? producer : nil
      case .normalisation(.softmax), .elementwise(.add), .elementwise(.mul), .elementwise(.div), .elementwise(.choose),
        .elementwise(.cast), .elementwise(.dropout), .elementwise(.identity), .elementwise(.sub), .reshaping, .elementwise(.tanh):
        for case let input? in node.inputs where solution.inferred.types[input.index].element.isFloat && constants[input] == nil {
          waiting.append(input)
        }
      case .normalisation, .elementwise, .matrixProduct, .convolution, .reduction, .joining, .indexing, .pooling, .recurrence,
        .attention, .quantisation, .generation, .opaque:
        break
      }
    }
    return nil
  }

  // MARK: Channels

  /// Fills in which channels of a layer's result an operand's dims are, head by head; nil where they cannot be followed.
  private func projection(
    _ operand: ValueID, _ leading: [Int], isTransposed: Bool, _ heads: inout [HeadSite.Head],
    _ path: WritableKeyPath<HeadSite.Head, [Int]>, _ shape: (ValueID) throws(Diagnostic) -> [Int]?
  ) throws(Diagnostic) -> HeadSite.Projection? {
    guard let result = origin(of: operand), let layer = finder.layer(making: result), let made = try shape(result),
      let width = made.last, width == layer.weight.outputs
    else { return nil }
    let codes = (0..<made.dropLast().reduce(1, *)).flatMap { _ in (0..<width).map(Double.init) }
    guard let moved = try moved(result, Tensor(reals: codes, .f32, made), to: operand), moved.rank >= 2 else { return nil }
    let numbers = moved.reals
    let (rows, columns) = (moved.shape[moved.rank - 2], moved.shape[moved.rank - 1])
    let dims = isTransposed ? rows : columns
    let positions = isTransposed ? columns : rows
    let own = Array(moved.shape.dropLast(2))
    let strides = Tensor.strides(own)
    for index in heads.indices {
      // The operand's matrix by broadcasting.
      var rest = heads[index].matrix
      var matrix = 0
      for axis in leading.indices.reversed() {
        let at = rest % leading[axis]
        rest /= leading[axis]
        let place = axis - (leading.count - own.count)
        if own.indices.contains(place), own[place] > 1 { matrix += at * strides[place] }
      }
      let start = matrix * rows * columns
      let channels = (0..<dims).map { Int(numbers[start + (isTransposed ? $0 * columns : $0)]) }
      // Other positions are other tokens of the same channels.
      for position in 1..<max(1, positions) {
        for dim in 0..<dims {
          let at = start + (isTransposed ? dim * columns + position : position * columns + dim)
          if Int(numbers[at]) != channels[dim] { return nil }
        }
      }
      heads[index][keyPath: path] = channels
    }
    return HeadSite.Projection(node: layer.node, result: result, weight: layer.weight, bias: layer.bias)
  }

  /// Back from a value through nodes that move numbers, or multiply all of them with one.
  private func origin(of value: ValueID) -> ValueID? {
    var value = value
    while let producer = producers[value.index], let input = movedInput(module.nodes[producer]) { value = input }
    return producers[value.index] == nil ? nil : value
  }

  /// The operand whose numbers a node moves, or scales all alike; nil for any other node.
  private func movedInput(_ node: Node) -> ValueID? {
    switch node.operation {
    case .reshaping, .joining(.split), .indexing(.gather), .elementwise(.identity), .elementwise(.dropout), .joining(.slice):
      return node.inputs.first ?? nil
    case .elementwise(.mul), .elementwise(.div):
      guard node.inputs.count == 2, let left = node.inputs[0], let right = node.inputs[1] else { return nil }
      if isOne(right) { return left }
      return node.operation == .elementwise(.mul) && isOne(left) ? right : nil
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .joining, .indexing, .pooling, .recurrence,
      .attention,
      .quantisation, .generation, .opaque:
      return nil
    }
  }

  private func isOne(_ value: ValueID) -> Bool { constants[value].map { $0.elementCount == 1 } ?? false }

  /// What becomes of numbers at a value where only movement lies between.
  private func moved(_ start: ValueID, _ numbers: Tensor, to end: ValueID) throws(Diagnostic) -> Tensor? {
    if start == end { return numbers }
    var plain = module
    var value = end
    while value != start, let producer = producers[value.index], let input = movedInput(plain.nodes[producer]) {
      if case .elementwise = plain.nodes[producer].operation {
        plain.nodes[producer] = Node(.elementwise(.identity), inputs: [input], outputs: plain.nodes[producer].outputs)
      }
      value = input
    }
    let segment = Segment(plain, from: Set(module.inputs + [start]), to: [end], source: source, threads: 1)
    return try segment.run(given.merging([start: numbers]) { $1 })[end]
  }
}
