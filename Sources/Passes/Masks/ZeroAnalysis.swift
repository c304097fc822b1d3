import Graph

/// Which indices of which groups can be removed without changing what a model computes.
///
/// Values are followed once, from inputs to outputs, by what is known of their slices (`ConstantSlices`). An index of a group is harmless
/// at an operator that works on each index by itself. Where indices meet (a contraction, a norm, a softmax), removing one changes nothing
/// only if what it adds there is zero: its slice of the weight is zero, or what flows in is. A constant other than zero adds the same to
/// every place of the result, which a bias can say (a fold); not at the borders of a padded convolution. An index that is harmless at
/// every node is removable. Whatever has no rule here counts as harmful.
///
///     conv1.weight[2] = 0, bias[2] = 0.3   →   relu: 0.3   →   max pool: 0.3   →   conv2, no padding: bias += 0.3 · Σ conv2.weight[:, 2]
///
/// Removing indices can leave others without a reader, so the analysis is repeated on what is left until nothing more is found.
final class ZeroAnalysis {
  let solution: Solution
  /// By group and index: removed in an earlier round.
  var gone: [[Bool]]
  /// By node: what folds of earlier rounds add to each channel of its result.
  var additions: [Int: [Double]] = [:]
  /// By group and index: the first thing in the way.
  private(set) var obstacles: [[KeptReason?]] = []
  /// By group: true where some node was asked whether it can do without an index.
  private(set) var isAsked: [Bool] = []
  /// What would be added to the channels of nodes' results.
  private(set) var folds: [Fold] = []
  var constants: [ValueID: Tensor] = [:]
  var slices: [ValueID: ConstantSlices] = [:]
  private var axisConstants: [ValueID: AxisConstants?] = [:]
  private var placesOf: [ValueID: [CarriedGroup]] = [:]
  private var positionsOf: [GroupOnLayout: [Int32]] = [:]
  private var goneOn: [Layout: [Bool]?] = [:]
  /// Groups that stand twice in one product: a position of such an axis is of two indices at once.
  private let squared: Set<Int>

  /// A constant that an index carries into a node, and what it adds to each channel of the node's result.
  struct Fold {
    let node: Int
    let group: Int
    let index: Int
    let additions: [Double]
  }

  private struct GroupOnLayout: Hashable {
    let group: Int
    let layout: Layout
  }

  init(_ solution: Solution) {
    self.solution = solution
    gone = solution.groups.map { Array(repeating: false, count: $0.extent) }
    var seen: Set<Layout> = []
    squared = Set(solution.axes.joined().filter { seen.insert($0).inserted }.flatMap { Self.repeated(in: $0, solution) })
  }

  /// Groups that occur in more than one factor of a product.
  private static func repeated(in layout: Layout, _ solution: Solution) -> [Int] {
    switch solution.table.form(layout) {
    case .fixed, .group: return []
    case .sum(let parts): return parts.flatMap { repeated(in: $0, solution) }
    case .product(let factors):
      var counts: [Int: Int] = [:]
      for factor in factors { for group in solution.groups(in: factor) { counts[group, default: 0] += 1 } }
      return counts.filter { $0.value > 1 }.map(\.key) + factors.flatMap { repeated(in: $0, solution) }
    }
  }

  /// Looks at all nodes, with what is gone left out.
  func run() {
    slices = [:]
    axisConstants = [:]
    goneOn = [:]
    folds = []
    obstacles = solution.groups.map { Array(repeating: nil, count: $0.extent) }
    isAsked = Array(repeating: false, count: solution.groups.count)
    takeConstants()
    for case let codomain? in solution.codomains {
      for group in solution.groups(in: codomain) { block(group, KeptReason(cause: .positions, node: "")) }
    }
    for group in squared { block(group, KeptReason(cause: .squared, node: "")) }
    for parameter in solution.module.parameters { blockUnlessFinite(parameter.value) }
    for (index, node) in solution.module.nodes.enumerated() {
      let isConstant = foldConstant(node)
      askMixing(index, node)
      if isConstant {
        for case let output? in node.outputs { blockUnlessFinite(output) }
      } else {
        follow(index, node)
      }
    }
  }

  /// Zero times what is no number is no number either: what carries such numbers stays.
  private func blockUnlessFinite(_ value: ValueID) {
    guard constants[value] != nil, !places(value).isEmpty, axisConstants(value) == nil else { return }
    for place in places(value) { block(place.group, KeptReason(cause: .notFinite, node: solution.module[value].name)) }
  }

  /// Makes the stored numbers known.
  func takeConstants() {
    for parameter in solution.module.parameters
    where constants[parameter.value] == nil && StoredReals.canRead(parameter.content.element) {
      constants[parameter.value] = Tensor(parameter.content)
    }
  }

  // MARK: What values are

  func type(_ value: ValueID) -> TensorType { solution.inferred.types[value.index] }

  /// The groups that a value's axes carry.
  func places(_ value: ValueID) -> [CarriedGroup] {
    if let known = placesOf[value] { return known }
    let result = solution.axes[value.index].enumerated().flatMap { axis, layout in
      solution.groups(in: layout).map { CarriedGroup(axis: axis, group: $0) }
    }
    placesOf[value] = result
    return result
  }

  func groups(_ value: ValueID, axis: Int) -> [Int] {
    let axes = solution.axes[value.index]
    return axes.indices.contains(axis) ? solution.groups(in: axes[axis]) : []
  }

  /// For every position of an axis the index of a group that it stands for, −1 for none.
  func positions(_ group: Int, _ layout: Layout) -> [Int32] {
    let key = GroupOnLayout(group: group, layout: layout)
    if let known = positionsOf[key] { return known }
    let result = solution.positions(of: solution.groups[group].leaf, in: layout)
    positionsOf[key] = result
    return result
  }

  /// Positions of an axis that stand for something removed; nil where none does.
  func goneMask(_ layout: Layout) -> [Bool]? {
    if let known = goneOn[layout] { return known }
    var mask: [Bool]?
    for group in solution.groups(in: layout) where gone[group].contains(true) {
      let positions = positions(group, layout)
      var own = mask ?? Array(repeating: false, count: positions.count)
      for (position, index) in positions.enumerated() where index >= 0 && gone[group][Int(index)] { own[position] = true }
      mask = own
    }
    goneOn[layout] = .some(mask)
    return mask
  }

  /// What is known of the axes of a constant; nil for other values.
  func axisConstants(_ value: ValueID) -> AxisConstants? {
    if let known = axisConstants[value] { return known }
    let layouts = solution.axes[value.index]
    let found = constants[value].flatMap { tensor in
      layouts.count == tensor.rank ? AxisConstants(tensor, isGone: layouts.map(goneMask)) : nil
    }
    axisConstants[value] = .some(found)
    return found
  }

  /// What is known of a value's slices.
  func slices(_ value: ValueID) -> ConstantSlices {
    if let known = slices[value] { return known }
    var result = ConstantSlices()
    if let axes = axisConstants(value) {
      result.whole = axes.whole
      for place in places(value) {
        result.numbers[place] = indexNumbers(place.group, solution.axes[value.index][place.axis], axes.byAxis[place.axis])
      }
    }
    slices[value] = result
    return result
  }

  /// Numbers of indices, from those of positions: known where all positions of an index hold the same.
  func indexNumbers(_ group: Int, _ layout: Layout, _ numbers: [Double?]) -> [Double?] {
    let extent = solution.groups[group].extent
    let positions = positions(group, layout)
    guard positions.count == numbers.count else { return Array(repeating: nil, count: extent) }
    let mask = goneMask(layout)
    var numbersFound = [Double?](repeating: nil, count: extent)
    var isSeen = Array(repeating: false, count: extent)
    for (position, index) in positions.enumerated() where index >= 0 && !(mask?[position] ?? false) {
      let index = Int(index)
      if !isSeen[index] { numbersFound[index] = numbers[position] }
      if numbersFound[index] != numbers[position] { numbersFound[index] = nil }
      isSeen[index] = true
    }
    return numbersFound
  }

  /// What is known of positions along an axis of a value, from what is known of the groups it carries.
  func positionNumbers(_ value: ValueID, axis: Int, layout: Layout, count: Int) -> [Double?] {
    let known = slices(value)
    if let whole = known.whole { return Array(repeating: whole, count: count) }
    if let constants = axisConstants(value), constants.byAxis.indices.contains(axis), constants.byAxis[axis].count == count {
      return constants.byAxis[axis]
    }
    var result = [Double?](repeating: nil, count: count)
    for place in places(value) where place.axis == axis {
      guard let numbers = known.numbers[place] else { continue }
      for (position, index) in positions(place.group, layout).enumerated() where index >= 0 && position < count {
        result[position] = result[position] ?? numbers[Int(index)]
      }
    }
    return result
  }

  // MARK: What is in the way

  func reason(_ cause: KeptReason.Cause, _ node: Node) -> KeptReason {
    KeptReason(cause: cause, node: solution.module.label(of: node))
  }

  /// No index of a group can go.
  func block(_ group: Int, _ reason: KeptReason) {
    for index in obstacles[group].indices { block(group, index, reason) }
  }

  func block(_ group: Int, _ index: Int, _ reason: KeptReason) {
    if obstacles[group][index] == nil { obstacles[group][index] = reason }
  }

  /// Nothing that a node reads can go.
  func blockAll(_ node: Node, operands: [Int]? = nil, _ cause: KeptReason.Cause = .noRule) {
    let read = operands.map { $0.compactMap { node.inputs.indices.contains($0) ? node.inputs[$0] : nil } }
    for value in read ?? node.inputs.compactMap({ $0 }) + node.captures {
      for place in places(value) { block(place.group, reason(cause, node)) }
    }
  }

  /// The groups on some axes of an operand can go only where `isHarmless` says so.
  func ask(_ group: Int, _ node: Node, isHarmless: (Int) -> Bool) {
    isAsked[group] = true
    for index in gone[group].indices where !gone[group][index] && !isHarmless(index) {
      block(group, index, reason(.carriesSignal, node))
    }
  }

  func note(asked group: Int) { isAsked[group] = true }

  func add(_ fold: Fold) { folds.append(fold) }

  // MARK: Constants

  /// Computes a node that hangs on stored numbers alone.
  private func foldConstant(_ node: Node) -> Bool {
    guard node.operation.rules != nil, !node.inputs.isEmpty, node.captures.isEmpty,
      node.inputs.allSatisfy({ $0.map { constants[$0] != nil } ?? true }), Self.isDetermined(node.operation)
    else { return false }
    if node.outputs.allSatisfy({ $0.map { constants[$0] != nil } ?? true }) { return true }
    let inputs = node.inputs.map { $0.flatMap { constants[$0] } }
    let read = inputs.reduce(0) { $0 + ($1?.data.count ?? 0) }
    var random = SplitMix(seed: 0)
    guard
      let results = try? Evaluation.run(
        node, opsets: solution.module.opsets, inputs: inputs, label: "", random: &random, limit: max(1 << 26, 16 * read))
    else { return false }
    for (output, result) in zip(node.outputs, results) {
      if let output, let result, StoredReals.canRead(result.element) { constants[output] = result }
    }
    return node.outputs.allSatisfy { $0.map { constants[$0] != nil } ?? true }
  }

  /// Products and norms of weights take long and are rare; what they make counts as unknown.
  private static func isDetermined(_ operation: Operator) -> Bool {
    switch operation {
    case .elementwise(.dropout): false
    case .elementwise, .reshaping, .joining, .indexing, .quantisation, .reduction: true
    case .generation(.constantOfShape): true
    case .matrixProduct, .convolution, .normalisation, .pooling, .recurrence, .attention, .generation, .opaque: false
    }
  }
}
