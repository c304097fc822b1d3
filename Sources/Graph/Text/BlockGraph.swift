/// A module as a small graph, for drawings that must stay readable: every layer a box where these are few, else the layers of a block, as names
/// tell, one box. What has no weights belongs to what it follows; shape arithmetic is left out.
public struct BlockGraph: Sendable {
  /// What a box stands for.
  public enum Kind: Sendable, Hashable {
    case input, output
    /// Nodes of the module.
    case block
    /// A node without weights that several boxes flow into: a sum, a product.
    case junction
  }

  /// One box.
  public struct Block: Sendable {
    /// What it stands for.
    public let kind: Kind
    /// Its name; that of the first and the last, where many were made one.
    public let name: String
    /// Indices of the module's nodes, ascending; empty for inputs and outputs.
    public let nodes: [Int]
    /// Parameters that it is the first to read.
    public let parameters: [ValueID]
  }

  /// A connection between boxes, by their places in `blocks`.
  public struct Edge: Sendable, Hashable {
    /// Where the value is made.
    public let from: Int
    /// Where it is read.
    public let to: Int
  }

  /// Boxes in an order in which edges lead onwards only.
  public let blocks: [Block]
  /// Edges, each once.
  public let edges: [Edge]

  /// The graph of a module in at most about `limit` boxes; `layers`: at most so many boxes of single layers.
  public init(_ module: Module, limit: Int = 64, layers: Int = 40) {
    let names = BlockNames(module).blocks
    var sketch = Sketch(module, Sketch.layers(module, names), depth: 3)
    if sketch.boxes.count(where: { !$0.isJunction }) > layers || sketch.boxes.count > 3 * layers {
      sketch = Sketch(module, names, depth: 2)
    }
    if sketch.boxes.count > limit { sketch = Sketch(module, names, depth: 1) }
    (blocks, edges) = sketch.graph(module, limit: max(4, limit))
  }
}

/// Boxes in the making.
private struct Sketch {
  struct Box {
    var name: String
    var nodes: [Int]
    var isJunction = false
    var followers: Set<Int> = []
  }

  private(set) var boxes: [Box] = []
  /// Per node its box; nil for shape arithmetic.
  private var boxOf: [Int?]
  /// Per value the boxes that it comes from: one, or those that feed the shape arithmetic it is made by (none of interest).
  private let producers: [Int?]

  init(_ module: Module, _ names: [[String]], depth: Int) {
    boxOf = Array(repeating: nil, count: module.nodes.count)
    producers = module.producers()
    let weights = Self.weights(module)
    let inputs = Set(module.inputs)
    let isWhole = depth > 2
    var latest: [[String]: Int] = [:]
    for (index, node) in module.nodes.enumerated() where !Self.isShapeArithmetic(node, module) {
      let key = Array(names[index].prefix(depth))
      let sources = sources(of: node)
      let hasWeights = Self.isLayer(node, module, weights)
      let wanted = key.isEmpty || isWhole && !hasWeights ? (hasWeights ? nil : sources.max()) : latest[key]
      let given = Set(node.inputs.compactMap { $0 }.filter(inputs.contains))
      let isJunction = isWhole && !hasWeights && sources.count + given.count > 1
      if let wanted, !isJunction, !sources.contains(where: { $0 != wanted && reaches(wanted, $0) }) {
        boxes[wanted].nodes.append(index)
        boxOf[index] = wanted
      } else {
        boxOf[index] = boxes.count
        let name =
          isJunction
          ? node.operation.textName
          : key.isEmpty ? Self.layer(of: node, module, weights) ?? node.operation.textName : Self.spelt(key)
        boxes.append(Box(name: name, nodes: [index], isJunction: isJunction))
        if !key.isEmpty, !isWhole || hasWeights { latest[key] = boxes.count - 1 }
      }
      guard let own = boxOf[index] else { continue }
      for source in sources where source != own { boxes[source].followers.insert(own) }
    }
  }

  private func sources(of node: Node) -> Set<Int> {
    Set((node.inputs.compactMap { $0 } + node.captures).compactMap { value in producers[value.index].flatMap { boxOf[$0] } })
  }

  /// True when a way leads from one box to another.
  private func reaches(_ from: Int, _ to: Int) -> Bool {
    var seen: Set<Int> = [from]
    var stack = [from]
    while let box = stack.popLast() {
      if box == to { return true }
      for next in boxes[box].followers where seen.insert(next).inserted { stack.append(next) }
    }
    return false
  }

  /// A path as a name; the number that tells nameless layers apart is left out.
  private static func spelt(_ key: [String]) -> String {
    key.map { part in part.last?.isNumber == true ? String(part.prefix { $0 != " " }) : part }.joined(separator: " · ")
  }

  private static func weights(_ module: Module) -> Set<ValueID> {
    Set(module.parameters.filter { $0.content.element.isData && $0.content.elementCount > 1 }.map(\.value))
  }

  /// True for nodes with parameters; tables and constants that are added or multiplied without a name of their own are none.
  private static func isLayer(_ node: Node, _ module: Module, _ weights: Set<ValueID>) -> Bool {
    guard node.inputs.contains(where: { $0.map(weights.contains) ?? false }) else { return false }
    if case .elementwise = node.operation { return layer(of: node, module, weights) != nil }
    return true
  }

  /// The layer that a node belongs to: the path of its parameter without `weight`; nil for parameters whose names tell nothing.
  private static func layer(of node: Node, _ module: Module, _ weights: Set<ValueID>) -> String? {
    for case let input? in node.inputs where weights.contains(input) {
      let parts = module[input].name.split(separator: ".")
      guard let last = parts.last else { continue }
      let isPart = ["weight", "bias"].contains { last.hasPrefix($0) }
      if parts.count > 1, isPart { return parts.dropLast().joined(separator: ".") }
      // Exporters number what has no name of its own.
      if !module[input].name.contains("/"), last.last?.isNumber != true { return module[input].name }
    }
    return nil
  }

  /// Per node its block with the layer in it: a path of one name, or of two. A product whose weight has lost its name is the layer whose bias is
  /// added to it.
  static func layers(_ module: Module, _ blocks: [[String]]) -> [[String]] {
    let weights = weights(module)
    var readers: [ValueID: [Int]] = [:]
    for (index, node) in module.nodes.enumerated() {
      for case let input? in node.inputs where !weights.contains(input) { readers[input, default: []].append(index) }
    }
    return module.nodes.enumerated().map { index, node in
      guard isLayer(node, module, weights) else { return blocks[index] }
      var name = layer(of: node, module, weights)
      if name == nil, let result = node.outputs.first ?? nil, let next = readers[result], next.count == 1,
        case .elementwise(.add) = module.nodes[next[0]].operation
      {
        name = layer(of: module.nodes[next[0]], module, weights)
      }
      if let name { return [name] }
      return blocks[index].isEmpty ? [] : [blocks[index].joined(separator: "."), "\(node.operation.textName) \(index)"]
    }
  }

  private static func isShapeArithmetic(_ node: Node, _ module: Module) -> Bool {
    let results = node.outputs.compactMap { $0 }
    return !results.isEmpty
      && results.allSatisfy { result in
        let type = module[result].type
        return (type.element.isInteger || type.element == .bool) && type.isRanked && type.rank <= 1
      }
  }

  // MARK: The graph

  /// Boxes in topological order, at most `limit` of them: neighbours in that order are made one where there are more.
  func graph(_ module: Module, limit: Int) -> ([BlockGraph.Block], [BlockGraph.Edge]) {
    let order = topological()
    let size = max(1, (order.count + limit - 1) / limit)
    let runs = stride(from: 0, to: order.count, by: size).map { Array(order[$0..<min(order.count, $0 + size)]) }
    var place = [Int](repeating: 0, count: boxes.count)
    let (ins, outs) = (Self.terminals(module.inputs, .input, module), Self.terminals(module.outputs, .output, module))
    let first = ins.count
    for (index, run) in runs.enumerated() { for box in run { place[box] = first + index } }
    var claimed: Set<ValueID> = []
    let known = Set(module.parameters.map(\.value))
    var blocks = ins
    for run in runs {
      let nodes = run.flatMap { boxes[$0].nodes }.sorted()
      let read = nodes.flatMap { module.nodes[$0].inputs.compactMap { $0 } + module.nodes[$0].captures }
      let names = run.map { boxes[$0].name }
      let name = names.count > 1 ? "\(names[0]) … \(names[names.count - 1])" : names.first ?? ""
      blocks.append(
        BlockGraph.Block(
          kind: run.count == 1 && boxes[run[0]].isJunction ? .junction : .block, name: name, nodes: nodes,
          parameters: read.filter { known.contains($0) && claimed.insert($0).inserted }))
    }
    var edges: Set<BlockGraph.Edge> = []
    let inputs = Dictionary(
      module.inputs.enumerated().map { ($1, min($0, ins.count - 1)) }, uniquingKeysWith: { first, _ in first })
    func home(_ value: ValueID) -> Int? { inputs[value] ?? producers[value.index].flatMap { boxOf[$0] }.map { place[$0] } }
    for (index, box) in boxOf.enumerated() {
      guard let box else { continue }
      for value in module.nodes[index].inputs.compactMap({ $0 }) + module.nodes[index].captures {
        if let from = home(value), from != place[box] { edges.insert(.init(from: from, to: place[box])) }
      }
    }
    for (at, output) in module.outputs.enumerated() {
      if let from = home(output) { edges.insert(.init(from: from, to: blocks.count + min(at, outs.count - 1))) }
    }
    return (blocks + outs, edges.sorted { ($0.from, $0.to) < ($1.from, $1.to) })
  }

  private static let mostTerminals = 6

  /// A box for each input or output; the last stands for all the others where there are many, as caches of language models are.
  private static func terminals(_ values: [ValueID], _ kind: BlockGraph.Kind, _ module: Module) -> [BlockGraph.Block] {
    let shown = values.count > mostTerminals ? values.prefix(mostTerminals - 1) : values[...]
    var names = shown.map { module[$0].name }
    if shown.count < values.count { names.append("and \(values.count - shown.count) more") }
    return names.map { BlockGraph.Block(kind: kind, name: $0, nodes: [], parameters: []) }
  }

  private func topological() -> [Int] {
    var waiting = [Int](repeating: 0, count: boxes.count)
    for box in boxes { for next in box.followers { waiting[next] += 1 } }
    var ready = boxes.indices.filter { waiting[$0] == 0 }.reversed() as [Int]
    var order: [Int] = []
    while let box = ready.popLast() {
      order.append(box)
      for next in boxes[box].followers.sorted(by: >) {
        waiting[next] -= 1
        if waiting[next] == 0 { ready.append(next) }
      }
    }
    return order
  }
}
