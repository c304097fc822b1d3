import Graph

/// Looks at every sum, and asks whether it is a residual block.
struct BlockFinder {
  private let module: Module
  private let producers: [Int?]
  private let uses: [[Module.Use]]
  private let outputs: Set<ValueID>
  private let classes: ValueClasses

  init(_ module: Module) {
    self.module = module
    producers = module.producers()
    uses = module.uses()
    outputs = Set(module.outputs)
    classes = ValueClasses(module)
  }

  /// A block before it is known what it is part of.
  private struct Candidate {
    let sum: Int
    let stream: ValueID
    let branch: ValueID
    let result: ValueID
    let nodes: [Int]
    let kind: BlockKind
  }

  func blocks() -> [ResidualBlock] {
    var found: [Candidate] = []
    var sums: [ValueID: ValueID] = [:]
    for index in module.nodes.indices {
      guard let candidate = candidate(index, sums) else { continue }
      found.append(candidate)
      sums[candidate.result] = candidate.stream
    }
    let parents = parents(found)
    return found.indices.map { id in
      let candidate = found[id]
      let parameters = ownParameters(candidate.nodes)
      let inside = found.indices.filter { parents[$0] == id }.map { found[$0].kind }
      let isMixed = inside.contains(.layer) || inside.contains(.attention) && inside.contains { $0 != .attention }
      return ResidualBlock(
        id: id, kind: isMixed ? .layer : candidate.kind, sum: candidate.sum, stream: candidate.stream, branch: candidate.branch,
        result: candidate.result, nodes: candidate.nodes, parameters: parameters.map(\.value),
        parameterCount: parameters.reduce(0) { $0 + ($1.content.element.isData ? $1.content.elementCount : 0) },
        parent: parents[id])
    }
  }

  /// Per candidate, the smallest other one that holds its sum.
  private func parents(_ found: [Candidate]) -> [Int?] {
    var owner: [Int: Int] = [:]
    var parents = [Int?](repeating: nil, count: found.count)
    let fromLargest = found.indices.sorted { (-found[$0].nodes.count, $0) < (-found[$1].nodes.count, $1) }
    for id in fromLargest {
      parents[id] = owner[found[id].sum]
      for node in found[id].nodes { owner[node] = id }
    }
    return parents
  }

  /// Parameters that only these nodes read.
  private func ownParameters(_ nodes: [Int]) -> [Parameter] {
    let own = Set(nodes)
    var read: Set<ValueID> = []
    for index in nodes { read.formUnion(module.nodes[index].read) }
    return module.parameters.filter { parameter in
      read.contains(parameter.value) && !outputs.contains(parameter.value)
        && uses[parameter.value.index].allSatisfy { own.contains($0.node) }
    }
  }

  // MARK: One sum

  /// The block that a node closes; `sums` are the blocks found so far, results with their streams.
  private func candidate(_ index: Int, _ sums: [ValueID: ValueID]) -> Candidate? {
    let node = module.nodes[index]
    switch node.operation {
    case .elementwise(.add), .elementwise(.sum): break
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      return nil
    }
    guard node.inputs.count == 2, let first = node.inputs[0], let second = node.inputs[1], first != second,
      let result = node.outputs.first ?? nil
    else { return nil }
    // What f is made from stands before what f makes.
    let (stream, branch) = place(first) < place(second) ? (first, second) : (second, first)
    let type = module[result].type
    guard module[stream].type == type, type.isRanked, type.element.isFloat, producers[branch.index] != nil,
      uses[branch.index].count == 1, classes[stream] != .constant
    else { return nil }
    let nodes = servants(of: branch)
    guard nodes.contains(where: { module.nodes[$0].operation.isMixing }) else { return nil }
    // Branches side by side, as in (x + f(x)) + g(x), are made from an earlier part of the stream.
    var source = stream
    for _ in 0..<3 {
      if let kind = kind(of: nodes, branch, from: source, to: index) {
        return Candidate(sum: index, stream: stream, branch: branch, result: result, nodes: nodes, kind: kind)
      }
      guard let earlier = sums[source] else { return nil }
      source = earlier
    }
    return nil
  }

  /// Position of the node that makes a value; −1 for inputs and parameters.
  private func place(_ value: ValueID) -> Int { producers[value.index] ?? -1 }

  /// Nodes that nobody needs but for a value, which one node reads.
  private func servants(of value: ValueID) -> [Int] {
    var readers: [ValueID: Int] = [value: 1]
    var result: Set<Int> = []
    var open = [value]
    while let value = open.popLast() {
      guard let index = producers[value.index], !result.contains(index) else { continue }
      let node = module.nodes[index]
      let isFree = node.outputs.allSatisfy { output in
        output.map { !outputs.contains($0) && uses[$0.index].count == readers[$0, default: 0] } ?? true
      }
      guard isFree else { continue }
      result.insert(index)
      for input in node.read {
        readers[input, default: 0] += 1
        open.append(input)
      }
    }
    return result.sorted()
  }

  /// How a value follows from the stream.
  private enum Descent: Int, Comparable {
    case none
    /// Through norms, activations and movements of data alone.
    case plain
    /// Through a product, convolution, recurrence or pooling.
    case mixed

    static func < (a: Descent, b: Descent) -> Bool { a.rawValue < b.rawValue }
  }

  /// What f computes; nil where it is not made from `source`, or where something inside it is read elsewhere.
  private func kind(of nodes: [Int], _ branch: ValueID, from source: ValueID, to sum: Int) -> BlockKind? {
    var descents: [ValueID: Descent] = [source: .plain]
    for index in (place(source) + 1)..<max(sum, place(source) + 1) {
      let node = module.nodes[index]
      // What only asks for a shape hears nothing of the numbers.
      if case .generation = node.operation { continue }
      let descent = node.read.map { descents[$0] ?? .none }.max() ?? .none
      guard descent > .none else { continue }
      for case let output? in node.outputs { descents[output] = node.operation.isMixing ? .mixed : descent }
    }
    guard descents[branch] == .mixed else { return nil }
    let own = Set(nodes)
    var descended: [Int] = []
    for index in nodes {
      let node = module.nodes[index]
      for input in node.read where input != source && descents[input] == .mixed {
        guard let producer = producers[input.index], own.contains(producer) else { return nil }
      }
      if node.outputs.contains(where: { $0.map { descents[$0] != nil } ?? false }) { descended.append(index) }
    }
    guard descended.contains(where: { module.nodes[$0].operation.isMixing }) else { return nil }
    return sideBySide(branch, own) ? .layer : Self.kind(of: descended.map { module.nodes[$0] }, classes)
  }

  /// True for attention(x) + mlp(x) as one f.
  private func sideBySide(_ branch: ValueID, _ own: Set<Int>) -> Bool {
    guard let index = producers[branch.index], case .elementwise(.add) = module.nodes[index].operation else { return false }
    let parts = module.nodes[index].inputs.compactMap { $0 }.map { cone($0, own) }
    guard parts.count == 2 else { return false }
    let kinds = parts.map { part in
      part.contains(where: { module.nodes[$0].operation.isMixing })
        ? Self.kind(of: part.map { module.nodes[$0] }, classes) : nil
    }
    return kinds == [.attention, .mlp] || kinds == [.mlp, .attention]
  }

  /// Nodes, among some, that a value follows from.
  private func cone(_ value: ValueID, _ among: Set<Int>) -> [Int] {
    var result: Set<Int> = []
    var open = [value]
    while let value = open.popLast() {
      guard let index = producers[value.index], among.contains(index), result.insert(index).inserted else { continue }
      open += module.nodes[index].read
    }
    return result.sorted()
  }

  private static func kind(of nodes: [Node], _ classes: ValueClasses) -> BlockKind {
    var found: Set<BlockKind> = []
    for node in nodes {
      switch node.operation {
      case .attention(let attention): if attention.isMixing { found.insert(.attention) }
      case .matrixProduct:
        let activations = node.inputs.filter { $0.map { classes[$0] == .activation } ?? false }.count
        found.insert(activations > 1 ? .attention : .mlp)
      case .convolution: found.insert(.convolution)
      case .recurrence: found.insert(.recurrence)
      case .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .quantisation, .generation,
        .opaque:
        break
      }
    }
    let order: [BlockKind] = [.attention, .recurrence, .convolution, .mlp]
    return order.first(where: found.contains) ?? .other
  }
}

extension Node {
  /// Everything the node reads, subgraphs included.
  var read: [ValueID] { inputs.compactMap { $0 } + captures }
}

extension Operator {
  /// True where positions or channels of a tensor are combined with weights or with each other, rather than normalised, moved, or looked at
  /// one by one: without such an operator there is no block.
  var isMixing: Bool {
    switch self {
    case .matrixProduct, .convolution, .recurrence, .pooling, .opaque: true
    case .attention(let attention): attention.isMixing
    case .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .quantisation, .generation: false
    }
  }
}

extension AttentionFamily {
  /// False for what only turns queries and keys.
  var isMixing: Bool {
    switch self {
    case .rotaryEmbedding, .microsoftRotaryEmbedding: false
    case .attention, .microsoftAttention, .quantisedAttention, .groupQueryAttention, .multiHeadAttention: true
    }
  }
}

/// Where the numbers of values come from.
struct ValueClasses {
  enum Class {
    /// Parameters and shapes alone.
    case constant
    /// Parameters, picked by data: experts, embeddings.
    case picked
    /// Anything else.
    case activation
  }

  private var classes: [Class]

  subscript(_ value: ValueID) -> Class { classes[value.index] }

  init(_ module: Module) {
    classes = Array(repeating: .activation, count: module.values.count)
    for parameter in module.parameters { classes[parameter.value.index] = .constant }
    for node in module.nodes {
      let result = result(of: node)
      for case let output? in node.outputs { classes[output.index] = result }
    }
  }

  private func result(of node: Node) -> Class {
    let read = node.read.map { classes[$0.index] }
    switch node.operation {
    case .generation: return .constant
    case .indexing:
      if read.first == .constant { return read.contains { $0 != .constant } ? .picked : .constant }
      return read.first ?? .activation
    case .reshaping, .quantisation, .elementwise(.cast), .elementwise(.identity): return read.first ?? .constant
    case .joining: return read.contains(.activation) ? .activation : read.contains(.picked) ? .picked : .constant
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .pooling, .recurrence, .attention, .opaque:
      return read.allSatisfy { $0 == .constant } ? .constant : .activation
    }
  }
}
