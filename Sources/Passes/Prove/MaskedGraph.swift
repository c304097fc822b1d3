import Graph

/// The original restricted to what a plan keeps, by the definition of masked equivalence: every contraction, reduction, normalisation,
/// softmax and pooling over an axis runs over the kept indices only. It knows nothing of how shrinking works.
///
/// Removed numbers are zero wherever they are made, which is all a contraction needs. Where zeros would count (a mean, a softmax), the
/// kept indices are gathered, the node runs on them, and its result is spread to the old places:
///
///     %y = softmax %x axis=1        %k = gather %x, 〈0, 2〉 axis=1;  %s = softmax %k axis=1
///                                   %u = gather %s, 〈0, 0, 1〉 axis=1;  %y = where 〈1, 0, 1〉, %u, 〈0.0〉
///
/// Where the kept indices differ from head to head, they are gathered head by head (`gather_elements`).
///
/// Values of the original keep their names and shapes.
struct MaskedGraph {
  /// The masked module of a solved module and its plan.
  ///
  /// Throws `unsupported`, naming the node, where a pruned tensor meets an operator for which there is no rule.
  static func make(_ solution: Solution, _ kept: KeptIndices) throws(Diagnostic) -> Module {
    var graph = MaskedGraph(solution, kept)
    for node in solution.module.nodes { try graph.add(node) }
    graph.module.nodes = graph.nodes
    graph.maskParameters()
    return graph.module
  }

  private let solution: Solution
  let kept: KeptIndices
  private let parameters: Set<ValueID>
  var module: Module
  var nodes: [Node] = []
  /// Parameters whose removed numbers may take part in something.
  private var exposed: Set<ValueID> = []

  private init(_ solution: Solution, _ kept: KeptIndices) {
    self.solution = solution
    self.kept = kept
    parameters = Set(solution.module.parameters.map(\.value))
    module = solution.module
  }

  // MARK: - What is kept

  func rank(_ value: ValueID) -> Int { solution.axes[value.index].count }

  /// Kept positions of an axis; nil where all are.
  private func kept(_ value: ValueID, _ axis: Int) -> [Int]? { kept.positions(solution.axes[value.index][axis]) }

  /// Kept positions of an axis, by all indices of the axes that they hang on; nil where all are.
  func selected(_ value: ValueID, _ axis: Int) -> TensorSelection.Axis? {
    if kept.plan.varied.isEmpty { return kept(value, axis).map { TensorSelection.Axis($0) } }
    return kept.selection(value, amongKept: false).axes[axis]
  }

  private func isPruned(_ value: ValueID) -> Bool { (0..<rank(value)).contains { kept(value, $0) != nil } }

  private func isFloat(_ value: ValueID) -> Bool { solution.inferred.types[value.index].element.isFloat }

  func extent(_ value: ValueID, _ axis: Int) -> Int? { kept.length(solution.inferred.types[value.index].shape[axis]) }

  // MARK: - Nodes

  /// An axis of a result on which old places are filled from the kept ones; -1 is the last axis.
  private struct Spread {
    let axis: Int
    /// For every old index of the axis, which kept one fills it; a list for every place of the axes in `over`.
    let places: [[Int]]
    /// Axes that the list hangs on, counted like `axis`.
    var over: [Int] = []

    init(axis: Int, places: [Int]) {
      self.axis = axis
      self.places = [places]
    }

    init(axis: Int, over: [Int], places: [[Int]]) {
      self.axis = axis
      self.over = over
      self.places = places
    }
  }

  private mutating func add(_ node: Node) throws(Diagnostic) {
    let touched = (node.inputs + node.outputs).contains { $0.map(isPruned) ?? false } || node.captures.contains(where: isPruned)
    guard touched else { return nodes.append(node) }
    let rule = try rule(for: node)
    let original = node
    var node = node
    for (operand, input) in node.inputs.enumerated() {
      guard let input, !(rule.zeroedWith.contains(operand)) else { continue }
      exposed.insert(input)
    }
    if case .attention(.attention) = node.operation { return try addAttention(node) }
    var spread: [Spread] = []
    var positions: [Int]?
    if node.inputs.indices.contains(rule.data), let data = node.inputs[rule.data] {
      // Lists that hang on another axis are taken while that one is whole.
      let chosen = rule.axes.compactMap { axis in selected(data, axis).map { (axis: axis, kept: $0) } }
      for (axis, kept) in chosen.filter({ !$0.kept.over.isEmpty }) + chosen.filter({ $0.kept.over.isEmpty }) {
        guard let length = extent(data, axis) else { continue }
        for operand in rule.gathered {
          guard node.inputs.indices.contains(operand), let input = node.inputs[operand] else { continue }
          // Scales and biases stand at the last axes.
          let own = operand == rule.data ? axis : axis - rank(data) + module[input].type.rank
          guard own >= 0, operand == rule.data || extentNow(input, own) == length else { continue }
          let lists = kept.over.isEmpty ? kept : original.inputs[operand].flatMap { selected($0, own) } ?? kept
          node.inputs[operand] = try gather(input, lists, axis: own, for: original)
        }
        spread.append(
          Spread(
            axis: axis - rank(data), over: kept.over.map { $0 - rank(data) },
            places: kept.lists.map { Self.places(of: $0, among: length) }))
        positions = positions ?? kept.lists.first
      }
    }
    if let groups = rule.groups, let (scale, count) = try keptGroups(original, groups) {
      node.attributes[.numGroups] = .int(count)
      for operand in [1, 2] where scale != nil {
        if let input = node.inputs[operand], let scale { node.inputs[operand] = gather(input, scale, axis: 0) }
      }
    }
    try finish(
      node, spread: Dictionary(rule.spreadOutputs.map { ($0, spread) }, uniquingKeysWith: { first, _ in first }),
      positions: rule.positionOutput.flatMap { output in positions.map { (output, $0) } })
  }

  /// Attention looks at the kept keys alone, remembered ones before new ones; a query that is removed gives zeros.
  private mutating func addAttention(_ original: Node) throws(Diagnostic) {
    var node = original
    func input(_ operand: Int) -> ValueID? { node.inputs.indices.contains(operand) ? node.inputs[operand] : nil }
    guard let key = input(1), let axis = input(0).map({ rank($0) == 3 ? 1 : 2 }), let length = extent(key, axis) else {
      return try finish(node)
    }
    for (operand, axis) in [(1, axis), (4, 2)] {
      if let value = input(operand), !(selected(value, axis)?.over.isEmpty ?? true) { throw refusal(original) }
    }
    let (new, past) = (kept(key, axis), input(4).flatMap { kept($0, 2) })
    let pastLength = input(4).flatMap { extent($0, 2) } ?? 0
    guard new != nil || past != nil else { return try finish(node) }
    for (operand, axis, list) in [(1, axis, new), (2, axis, new), (4, 2, past), (5, 2, past)] {
      if let value = input(operand), let list { node.inputs[operand] = gather(value, list, axis: axis) }
    }
    let list = (past ?? Array(0..<pastLength)) + (new ?? Array(0..<length)).map { $0 + pastLength }
    if let mask = input(3), let last = module[mask].type.shape.indices.last, extentNow(mask, last) == pastLength + length {
      node.inputs[3] = gather(mask, list, axis: last)
    }
    let places = Self.places(of: list, among: pastLength + length)
    let remembered = [Spread(axis: -2, places: places)]
    try finish(node, spread: [1: remembered, 2: remembered, 3: [Spread(axis: -1, places: places)]])
  }

  private func extentNow(_ value: ValueID, _ axis: Int) -> Int? {
    let shape = module[value].type.shape
    return shape.indices.contains(axis) ? kept.length(shape[axis]) : nil
  }

  /// Adds a node, then spreads its results to the old places and zeroes what is removed. `positions`: a result that holds positions
  /// among the indices listed.
  private mutating func finish(
    _ original: Node, spread: [Int: [Spread]] = [:], positions: (output: Int, list: [Int])? = nil
  ) throws(Diagnostic) {
    var node = original
    var after: [Node] = []
    for (index, output) in original.outputs.enumerated() {
      guard let output else { continue }
      var steps: [(ValueID) -> Node] = []
      for one in (spread[index] ?? []).reversed() {
        let axis = Attributes([.init(.axis, .int(one.axis))])
        if one.over.isEmpty {
          let constant = constant(Tensor(wholes: one.places[0], .i64, [one.places[0].count]))
          steps.append { Node(.indexing(.gather), inputs: [$0, constant], outputs: [], attributes: axis) }
        } else {
          let rank = rank(output)
          let index = try elementIndex(
            one.places, axis: one.axis + rank, over: one.over.map { $0 + rank },
            like: solution.inferred.types[output.index].shape,
            for: original)
          steps.append { Node(.indexing(.gatherElements), inputs: [$0, index], outputs: [], attributes: axis) }
        }
      }
      if let positions, positions.output == index {
        let constant = constant(Tensor(wholes: positions.list, .i64, [positions.list.count]))
        steps.append { Node(.indexing(.gather), inputs: [constant, $0], outputs: []) }
      }
      if isFloat(output), let mask = mask(output) {
        let mask = constant(mask)
        let zero = constant(Tensor(reals: [0], solution.inferred.types[output.index].element, []))
        steps.append { Node(.elementwise(.choose), inputs: [mask, $0, zero], outputs: []) }
      }
      if steps.isEmpty { continue }
      var value = fresh(output)
      node.outputs[index] = value
      for (position, step) in steps.enumerated() {
        var next = step(value)
        value = position == steps.count - 1 ? output : fresh(output)
        next.outputs = [value]
        next.position = original.position
        after.append(next)
      }
    }
    nodes.append(node)
    nodes += after
  }

  /// For every old index, where what is kept of it (or of one before it) stands among the kept.
  private static func places(of list: [Int], among count: Int) -> [Int] {
    if !zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) {
      var places = [Int](repeating: 0, count: count)
      for (place, index) in list.enumerated() { places[index] = place }
      return places
    }
    var place = 0
    return (0..<count).map { index in
      while place + 1 < list.count, list[place + 1] <= index { place += 1 }
      return place
    }
  }

  mutating func gather(_ value: ValueID, _ list: [Int], axis: Int) -> ValueID {
    let index = constant(Tensor(wholes: list, .i64, [list.count]))
    let result = fresh(value)
    var shape = module[value].type.shape
    shape[axis] = Extent(list.count)
    module[result].type = TensorType(module[value].type.element, shape)
    nodes.append(
      Node(.indexing(.gather), inputs: [value, index], outputs: [result], attributes: Attributes([.init(.axis, .int(axis))])))
    return result
  }

  func refusal(_ node: Node) -> Diagnostic {
    Diagnostic(
      .unsupported, "\(node.operation.textName): a pruned tensor meets it, and there is no rule to check what it makes",
      at: .node(module.label(of: node)))
  }

  mutating func fresh(_ like: ValueID) -> ValueID {
    module.add(Value(name: "\(module[like].name)//masked\(module.values.count)", type: module[like].type))
  }

  mutating func constant(_ tensor: Tensor) -> ValueID {
    let value = module.add(Value(name: "//masked\(module.values.count)", type: tensor.type))
    module.parameters.append(
      Parameter(value: value, content: TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)))
    return value
  }

  private mutating func maskParameters() {
    for index in module.parameters.indices {
      let value = module.parameters[index].value
      guard value.index < solution.axes.count, exposed.contains(value), isFloat(value), let mask = mask(value),
        let tensor = Tensor(module.parameters[index].content)
      else { continue }
      let truths = mask.broadcast(to: tensor.shape).truths
      let zeroed = tensor.picking(truths.enumerated().map { $1 ? $0 : -1 }, shape: tensor.shape)
      module.parameters[index].content = TensorContent(zeroed.data, element: zeroed.element, shape: zeroed.shape)
    }
  }

  /// Scale indices and the count of groups that a group norm has left; scale nil where it stays whole.
  private func keptGroups(_ node: Node, _ groups: Int) throws(Diagnostic) -> (scale: [Int]?, count: Int)? {
    guard let data = node.inputs.first.flatMap({ $0 }), let list = selected(data, 1)?.lists.first, let channels = extent(data, 1),
      groups > 0,
      let scale = node.inputs[1], let length = module[scale].type.shape.first?.constant
    else { return nil }
    let size = channels / groups
    var counts = [Int](repeating: 0, count: groups)
    for index in list { counts[index / size] += 1 }
    let left = counts.indices.filter { counts[$0] > 0 }
    guard let first = left.first, left.allSatisfy({ counts[$0] == counts[first] }) else {
      throw Diagnostic(
        .refused, "\(node.operation.textName): groups keep different numbers of channels", at: .node(module.label(of: node)))
    }
    return (length == channels ? list : left, left.count)
  }
}

// MARK: - Rules

extension MaskedGraph {
  /// What a node needs so that it works on kept indices alone.
  private struct Rule {
    /// The operand that `axes` are of.
    var data = 0
    /// Axes over which zeros would count.
    var axes: [Int] = []
    /// Operands that are gathered along these axes, aligned at the last axis.
    var gathered: [Int] = [0]
    /// Results that have these axes, aligned at the last one, and are spread back.
    var spreadOutputs: [Int] = []
    /// The result that holds positions on the axis.
    var positionOutput: Int?
    /// Groups of channels, of a group norm.
    var groups: Int?
    /// Operands whose removed numbers only ever meet zeros, or make what is zeroed afterwards.
    var zeroedWith: Set<Int> = []
  }

  private func rule(for node: Node) throws(Diagnostic) -> Rule {
    let attributes = node.attributes
    let data = node.inputs.first.flatMap { $0 }
    let rank = data.map { self.rank($0) } ?? 0
    func positive(_ axes: [Int]) -> [Int] { axes.map { $0 < 0 ? $0 + rank : $0 }.filter { (0..<rank).contains($0) } }
    let refusal = refusal(node)
    switch node.operation {
    // As many numbers are drawn as are kept, so that both models draw the same.
    case .elementwise(.dropout): return Rule(axes: Array(0..<rank), spreadOutputs: [0, 1])
    case .generation(.bernoulli), .generation(.randomNormalLike), .generation(.randomUniformLike):
      return Rule(axes: Array(0..<rank), spreadOutputs: [0])
    case .elementwise, .reshaping, .joining, .generation, .quantisation, .recurrence: return Rule()
    case .matrixProduct: return Rule(zeroedWith: data.map { isParameter($0) } == true ? [] : [1])
    case .convolution: return Rule(zeroedWith: [1, 2])
    case .attention: return Rule()
    case .normalisation(let norm):
      switch norm {
      case .batchNorm:
        return attributes.flag(.trainingMode) ? Rule(axes: [0] + Array(2..<max(2, rank)), spreadOutputs: [0]) : Rule()
      case .groupNorm: return Rule(axes: Array(1..<max(2, rank)), spreadOutputs: [0], groups: attributes.int(.numGroups) ?? 1)
      case .hardmax, .logSoftmax, .softmax:
        let isNew = module.opset >= 13
        let axis = positive([attributes.int(.axis) ?? (isNew ? -1 : 1)])
        return Rule(axes: isNew ? axis : Array((axis.first ?? 0)..<rank), spreadOutputs: [0])
      case .instanceNorm: return Rule(axes: Array(2..<max(2, rank)), spreadOutputs: [0])
      case .layerNorm, .rmsNorm, .simplifiedLayerNorm:
        let start = positive([attributes.int(.axis) ?? -1]).first ?? 0
        return Rule(axes: Array(start..<rank), gathered: [0, 1, 2], spreadOutputs: [0])
      case .skipLayerNorm: return Rule(axes: [rank - 1], gathered: [0, 1, 2, 3, 4], spreadOutputs: [0, 3])
      case .skipSimplifiedLayerNorm: return Rule(axes: [rank - 1], gathered: [0, 1, 2, 3], spreadOutputs: [0, 3])
      case .lpNorm: return Rule(axes: positive([attributes.int(.axis) ?? -1]), spreadOutputs: [0])
      case .meanVarianceNorm: return Rule(axes: positive(attributes.ints(.axes) ?? [0, 2, 3]), spreadOutputs: [0])
      case .localResponseNorm: return Rule(axes: [1], spreadOutputs: [0])
      case .embedLayerNorm:
        // Tables of words, positions and segments, then scale and bias.
        return Rule(data: 2, axes: [1], gathered: Array(2...6), spreadOutputs: [0, 2])
      case .quantisedSoftmax: throw refusal
      }
    case .reduction(let reduction):
      switch reduction {
      case .cumSum:
        let axis = node.inputs[1].flatMap { solution.inferred.numbers[$0.index]?.numbers?.first }
        guard let axis else { throw refusal }
        return Rule(axes: positive([axis]), spreadOutputs: [0])
      case .argMax, .argMin: return Rule(axes: positive([attributes.int(.axis) ?? 0]), positionOutput: 0)
      case .topK: return Rule(axes: positive([attributes.int(.axis) ?? -1]), positionOutput: 1)
      case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
        .reduceSumSquare:
        let operand = node.inputs.count > 1 ? node.inputs[1] : nil
        let listed = attributes.ints(.axes) ?? operand.flatMap { solution.inferred.numbers[$0.index]?.numbers } ?? []
        if listed.isEmpty, operand != nil, solution.inferred.numbers[operand?.index ?? 0]?.numbers == nil { throw refusal }
        if listed.isEmpty { return attributes.flag(.noopWithEmptyAxes) ? Rule() : Rule(axes: Array(0..<rank)) }
        return Rule(axes: positive(listed))
      }
    case .pooling(let pooling):
      switch pooling {
      case .globalAveragePool, .globalLpPool, .globalMaxPool, .quantisedGlobalAveragePool:
        return Rule(axes: Array(2..<max(2, rank)))
      case .averagePool, .gridSample, .lpPool, .maxPool, .maxRoiPool, .resize, .roiAlign, .upsample, .affineGrid, .dft,
        .maxUnpool, .quantisedAveragePool, .stft:
        return Rule()
      }
    case .indexing(.gather): return Rule(zeroedWith: [0])
    case .indexing: return Rule()
    case .opaque: throw refusal
    }
  }

  private func isParameter(_ value: ValueID) -> Bool { parameters.contains(value) }
}
