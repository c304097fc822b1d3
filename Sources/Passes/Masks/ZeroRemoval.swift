import Graph

/// What `--remove-zeros` found: every index that can go without changing what the model computes, and those that look empty but cannot.
public struct ZeroRemoval: Sendable {
  /// Indices of one group.
  public struct Removed: Sendable {
    /// Name of the group.
    public let group: String
    /// What it is.
    public let kind: GroupKind
    /// How many indices it had.
    public let extent: Int
    /// Indices that go, ascending.
    public let indices: [Int]
    /// Those of them whose constant was written into a bias.
    public let folded: [Int]
  }

  /// Indices of one group that something emptied, and that stay all the same.
  public struct Kept: Sendable {
    /// Name of the group.
    public let group: String
    /// Which indices.
    public let indices: [Int]
    /// Why.
    public let reason: KeptReason
  }

  /// By group, in the order of the solution.
  public let removed: [Removed]
  /// By group and reason.
  public let kept: [Kept]
  /// Biases that were changed, or added, by name.
  public let biases: [String]

  /// True when nothing can go.
  public var isEmpty: Bool { removed.isEmpty }
}

/// Finds and removes, in a solved module, what adds nothing.
struct ZeroRemover {
  /// The module with constants written into biases; as before where there are none.
  let module: Module
  /// What was found.
  let result: ZeroRemoval
  /// By group of the solution that was looked at: kept indices, nil for all.
  let kept: [[Int]?]
  private let solution: Solution

  /// Looks at the groups for which `isWanted` holds.
  init(_ solution: Solution, isWanted: (Group) -> Bool, progress: (Double) -> Void = { _ in }) {
    self.solution = solution
    let analysis = ZeroAnalysis(solution)
    let wanted = solution.groups.map(isWanted)
    var folded: [Set<Int>] = solution.groups.map { _ in [] }
    var obstacles: [[KeptReason?]] = []
    var empties: [[Bool]] = []
    for round in 0..<Self.mostRounds {
      progress(Double(round) / Double(Self.mostRounds))
      analysis.run()
      if round == 0 { empties = analysis.emptied() }
      obstacles = analysis.obstacles
      var found = solution.groups.map { _ in Set<Int>() }
      for (index, group) in solution.groups.enumerated() where wanted[index] && analysis.isAsked[index] {
        let left = analysis.gone[index].indices.filter { !analysis.gone[index][$0] }
        let free = left.filter { analysis.obstacles[index][$0] == nil }
        let most = max(0, left.count - group.least)
        // The first stay, where not all can go.
        found[index] = Set(free.suffix(most))
        for spared in free.dropLast(min(most, free.count)) {
          obstacles[index][spared] = KeptReason(cause: .least(group.least), node: "")
        }
      }
      if found.allSatisfy(\.isEmpty) { break }
      for fold in analysis.folds where found[fold.group].contains(fold.index) {
        folded[fold.group].insert(fold.index)
        let sum = analysis.additions[fold.node] ?? Array(repeating: 0, count: fold.additions.count)
        analysis.additions[fold.node] = zip(sum, fold.additions).map { $0 + $1 }
      }
      for (index, indices) in found.enumerated() { for at in indices { analysis.gone[index][at] = true } }
    }
    kept = analysis.gone.map { gone in gone.contains(true) ? gone.indices.filter { !gone[$0] } : nil }
    var editor = BiasEditor(solution.module, analysis)
    for (node, additions) in analysis.additions.sorted(by: { $0.key < $1.key }) where additions.contains(where: { $0 != 0 }) {
      editor.add(additions, to: node)
    }
    let biases = editor.names
    module = editor.finished()
    result = ZeroRemoval(
      removed: solution.groups.indices.compactMap { index in
        let indices = analysis.gone[index].indices.filter { analysis.gone[index][$0] }
        if indices.isEmpty { return nil }
        let group = solution.groups[index]
        return ZeroRemoval.Removed(
          group: group.name, kind: group.kind, extent: group.extent, indices: indices, folded: folded[index].sorted())
      },
      kept: solution.groups.indices.flatMap { index -> [ZeroRemoval.Kept] in
        guard wanted[index] else { return [] }
        var byReason: [(reason: KeptReason, indices: [Int])] = []
        for at in analysis.gone[index].indices where !analysis.gone[index][at] && empties[index][at] {
          guard let reason = obstacles[index][at] else { continue }
          // Constants differ from index to index; the reason is the same.
          if let same = byReason.firstIndex(where: { $0.reason.isLike(reason) }) {
            byReason[same].indices.append(at)
          } else {
            byReason.append((reason, [at]))
          }
        }
        return byReason.map { ZeroRemoval.Kept(group: solution.groups[index].name, indices: $0.indices, reason: $0.reason) }
      }, biases: biases)
  }

  private static let mostRounds = 64

  /// The same choice for a solution of `module`, whose groups may be listed in another order.
  func plan(for other: Solution) throws(Diagnostic) -> Plan {
    var plan = Plan(kept: Array(repeating: nil, count: other.groups.count))
    for (index, kept) in kept.enumerated() {
      guard let kept else { continue }
      let group = solution.groups[index]
      let same = group.occurrences.first.flatMap { place -> Int? in
        let layout = solution.axes[place.value.index][place.axis]
        let wanted = solution.positions(of: group.leaf, in: layout)
        let theirs = other.axes[place.value.index][place.axis]
        return other.groups(in: theirs).first { other.positions(of: other.groups[$0].leaf, in: theirs) == wanted }
      }
      guard let same else {
        throw Diagnostic(
          .unsupported, "the group \(group.name) is another one once constants are written into biases; please report this")
      }
      plan.kept[same] = kept
    }
    return plan
  }
}

extension KeptReason {
  /// The same obstacle at the same node, whatever the number.
  func isLike(_ other: KeptReason) -> Bool {
    switch (cause, other.cause) {
    case (.constant, .constant), (.constantAtBorders, .constantAtBorders): node == other.node
    case (.carriesSignal, _), (.constant, _), (.constantAtBorders, _), (.mixed, _), (.positions, _), (.noRule, _),
      (.squared, _), (.notFinite, _), (.least, _):
      self == other
    }
  }
}

extension ZeroAnalysis {
  /// By group and index: true where some weight's slice is zero throughout, so that a mask may have meant to remove the index.
  func emptied() -> [[Bool]] {
    solution.groups.map { group in
      var result = Array(repeating: false, count: group.extent)
      for place in group.occurrences where place.isWeight {
        guard let axes = axisConstants(place.value) else { continue }
        let layout = solution.axes[place.value.index][place.axis]
        guard let index = solution.index(of: group.leaf) else { continue }
        for (at, number) in indexNumbers(index, layout, axes.byAxis[place.axis]).enumerated() where number == 0 {
          result[at] = true
        }
      }
      return result
    }
  }
}

/// Writes constants into biases: into the one that a node has, into that of an addition right behind it, or into a new addition.
private struct BiasEditor {
  private var editor: GraphEditor
  private let module: Module
  private let analysis: ZeroAnalysis
  private let uses: [[Module.Use]]
  private(set) var names: [String] = []

  init(_ module: Module, _ analysis: ZeroAnalysis) {
    self.module = module
    self.analysis = analysis
    uses = module.uses()
    editor = GraphEditor(module)
  }

  consuming func finished() -> Module { editor.finished() }

  /// Adds a number to each channel of a node's result.
  mutating func add(_ additions: [Double], to index: Int) {
    let node = module.nodes[index]
    guard let affine = analysis.affine(node), let output = node.outputs.first ?? nil else { return }
    if let bias = affine.bias, bias.scale != 0 {
      let value = node.inputs.indices.contains(bias.operand) ? node.inputs[bias.operand] : nil
      let scaled = additions.map { $0 / bias.scale }
      if let value {
        if change(value, reader: (index, bias.operand), by: scaled) { return }
      } else {
        let name = module[affine.weight].name
        let bias = editor.addParameter(like: name + ".bias", content(scaled, affine.tensor.element, [additions.count]))
        names.append(editor.module[bias].name)
        return editor.replaceInput(node: index, operand: affine.bias?.operand ?? 2, with: bias, "constants of removed indices")
      }
    }
    let readers = uses[output.index]
    if readers.count == 1, let reader = readers.first, !module.outputs.contains(output), reader.operand >= 0,
      case .elementwise(.add) = module.nodes[reader.node].operation,
      affine.resultAxis == analysis.solution.axes[output.index].count - 1,
      let other = module.nodes[reader.node].inputs[1 - reader.operand],
      change(other, reader: (reader.node, 1 - reader.operand), by: additions)
    {
      return
    }
    insertAddition(of: additions, behind: index, output, affine)
  }

  /// Adds to the numbers of a list of one number per channel; false where the value is none.
  private mutating func change(_ value: ValueID, reader: (node: Int, operand: Int), by additions: [Double]) -> Bool {
    guard let parameter = editor.parameter(value), let tensor = Tensor(parameter.content), tensor.element.isFloat,
      tensor.count == additions.count, tensor.shape.last == additions.count
    else { return false }
    let sum = content(zip(tensor.reals, additions).map { $0 + $1 }, tensor.element, tensor.shape)
    if uses[value.index].count == 1, !module.outputs.contains(value) {
      editor.setContent(value, sum, "constants of removed indices")
      names.append(module[value].name)
    } else {
      let own = editor.addParameter(like: module[value].name, sum)
      editor.replaceInput(node: reader.node, operand: reader.operand, with: own, "constants of removed indices")
      names.append(editor.module[own].name)
    }
    return true
  }

  private mutating func insertAddition(of additions: [Double], behind index: Int, _ output: ValueID, _ affine: AffineNode) {
    let after = analysis.solution.axes[output.index].count - 1 - affine.resultAxis
    let shape = [additions.count] + Array(repeating: 1, count: after)
    let bias = editor.addParameter(like: module[affine.weight].name + ".bias", content(additions, affine.tensor.element, shape))
    names.append(editor.module[bias].name)
    let sum = editor.addValue(like: module[output].name, type: module[output].type)
    let node = Node(
      .elementwise(.add), inputs: [output, bias], outputs: [sum], position: module.nodes[index].position)
    _ = editor.insert(node, .after(index), "constants of removed indices")
    for use in uses[output.index] where use.operand >= 0 {
      editor.replaceInput(node: use.node, operand: use.operand, with: sum, "constants of removed indices")
    }
    if module.outputs.contains(output) || uses[output.index].contains(where: { $0.operand < 0 }) {
      editor.exchangeNames(output, sum, "constants of removed indices")
    }
  }

  private func content(_ numbers: [Double], _ element: ElementType, _ shape: [Int]) -> TensorContent {
    let tensor = Tensor(reals: numbers, element, shape)
    return TensorContent(tensor.data, element: element, shape: shape)
  }
}
