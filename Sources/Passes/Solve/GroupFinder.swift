import Graph

/// Lists the groups of a solution: which parameters carry them, what kind they are (from structure, never from names), what they are
/// called, and which are pruned by default.
struct GroupFinder {
  let module: Module
  let inferred: InferredModule
  let table: LayoutTable
  let axes: [[Layout]]
  let codomains: [Layout?]
  let notes: [Solver.Note]
  let dependence: [Solver.Dependence]

  /// All groups that data parameters carry, in order of first occurrence. A parameter that nobody reads stays as it is.
  func groups() -> [Group] {
    let weights = weightParameters()
    var order: [Int32] = []
    var occurrences: [Int32: [Group.Occurrence]] = [:]
    let uses = module.uses()
    for parameter in module.parameters where parameter.content.element.isData && !uses[parameter.value.index].isEmpty {
      let id = parameter.value
      for (axis, layout) in axes[id.index].enumerated() {
        for leaf in table.leaves(layout) where occurrences[leaf]?.last.map({ $0.value != id || $0.axis != axis }) ?? true {
          if occurrences[leaf] == nil { order.append(leaf) }
          occurrences[leaf, default: []].append(
            Group.Occurrence(value: id, axis: axis, isWeight: weights.contains(id.index)))
        }
      }
    }
    let kinds = KindFinder(table: table, notes: notes, module: module, occurrences: occurrences).kinds(of: order)
    let defaults = DefaultChoice(table: table, kinds: kinds, weights: weights.sorted().map { axes[$0] }, tensors: axes).chosen()
    let least = fewestKept()
    var names = GroupNames(module: module)
    return order.map { leaf in
      let kind = kinds[leaf] ?? .channels
      let carried = occurrences[leaf] ?? []
      return Group(
        leaf: leaf, name: names.name(kind: kind, occurrences: carried), kind: kind, extent: table.groups[Int(leaf)].extent,
        least: least[leaf] ?? 1, isDefault: defaults.contains(leaf) && carried.contains { $0.isWeight }, occurrences: carried)
    }
  }

  /// Parameters that a contraction, convolution, embedding or recurrence reads as its weight, perhaps behind transposes, casts, scales.
  private func weightParameters() -> Set<Int> {
    var isWeight = [Bool](repeating: false, count: module.values.count)
    for node in module.nodes.reversed() {
      for operand in node.operation.weightOperands(count: node.inputs.count) {
        if let id = node.inputs[operand], dependence[id.index] != .activation { isWeight[id.index] = true }
      }
      // What a weight is computed from is a weight too, as long as it is not a scale or a position.
      guard let result = node.outputs.first ?? nil, isWeight[result.index], dependence[result.index] != .activation else {
        continue
      }
      for (operand, input) in node.inputs.enumerated() {
        guard let input, dependence[input.index] == .weight, inferred.types[input.index].element.isData else { continue }
        if operand == 0 || inferred.types[input.index].rank >= 2 { isWeight[input.index] = true }
      }
    }
    return Set(module.parameters.map(\.value.index).filter { isWeight[$0] })
  }

  /// The largest k of every top-k over a group.
  private func fewestKept() -> [Int32: Int] {
    var least: [Int32: Int] = [:]
    for node in module.nodes {
      guard case .reduction(.topK) = node.operation, let data = node.inputs.first ?? nil, node.inputs.count > 1,
        let k = node.inputs[1],
        let count = inferred.numbers[k.index]?.numbers?.first
      else { continue }
      let rank = axes[data.index].count
      let axis = node.attributes.int(.axis) ?? -1
      let at = axis < 0 ? axis + rank : axis
      guard axes[data.index].indices.contains(at) else { continue }
      for leaf in table.leaves(axes[data.index][at]) {
        least[leaf] = max(least[leaf] ?? 1, min(count, table.groups[Int(leaf)].extent))
      }
    }
    return least
  }
}

extension Operator {
  /// Operands that are weights of a contraction, convolution, embedding or recurrence when they follow from parameters.
  func weightOperands(count: Int) -> [Int] {
    let operands: [Int]
    switch self {
    case .matrixProduct(let product):
      switch product {
      case .einsum: operands = Array(0..<count)
      case .gemm, .matMul, .matMulInteger, .fusedMatMul, .fusedGemm, .dynamicMatMul, .integerToFloat: operands = [0, 1]
      case .quantisedMatMul, .quantisedGemm: operands = [0, 3]
      case .matMulNBits: operands = [1]
      }
    case .convolution(let convolution):
      switch convolution {
      case .conv, .convInteger, .convTranspose, .fusedConv: operands = [1]
      case .deformConv: operands = [1]
      case .quantisedConv: operands = [3]
      }
    case .recurrence: operands = [1, 2]
    case .indexing(.gather), .indexing(.gatherND): operands = [0]
    case .attention(let attention):
      switch attention {
      case .microsoftAttention, .quantisedAttention: operands = [1]
      case .attention, .rotaryEmbedding, .groupQueryAttention, .multiHeadAttention, .microsoftRotaryEmbedding: operands = []
      }
    case .normalisation(.embedLayerNorm): operands = [2, 3, 4]
    case .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .quantisation, .generation, .opaque:
      operands = []
    }
    return operands.filter { $0 < count }
  }
}

/// Names groups after the first parameter with a name that a person gave, and the part the group plays: `blocks.0.attn.qkv.heads`.
struct GroupNames {
  private let module: Module
  private var used: Set<String> = []

  init(module: Module) { self.module = module }

  mutating func name(kind: GroupKind, occurrences: [Group.Occurrence]) -> String {
    let names = occurrences.map { module[$0.value].name }
    let stem = Self.stem(names.first(where: Self.isGivenByPerson) ?? names.first ?? "group")
    var name = "\(stem).\(kind.rawValue)"
    var count = 1
    while !used.insert(name).inserted {
      count += 1
      name = "\(stem).\(kind.rawValue)\(count)"
    }
    return name
  }

  /// Exporters number what has no name of its own: `val_12`, `onnx::MatMul_42`, `unsqueeze_3`, `1234`.
  static func isGivenByPerson(_ name: String) -> Bool {
    if name.contains("::") || name.isEmpty { return false }
    if name.contains(".") { return true }
    let tail = name.drop { $0.isLetter }
    return !(tail.first == "_" && tail.dropFirst().allSatisfy(\.isNumber) && tail.count > 1) && !name.allSatisfy(\.isNumber)
  }

  static func stem(_ name: String) -> String {
    var name = Substring(name)
    if let copy = name.lastIndex(of: "#") { name = name[..<copy] }
    for suffix in ["_bias", ".weight", ".bias", "_weight", ".gamma", ".beta", ".running_mean", ".running_var"]
    where name.hasSuffix(suffix) {
      name = name.dropLast(suffix.count)
    }
    return String(name)
  }
}
