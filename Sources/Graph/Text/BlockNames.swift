/// Which block of a model each node belongs to, as far as names tell: `blocks.0` and, inside it, `attn`.
///
/// Names of parameters decide (`blocks.0.attn.qkv.weight`), then the node's own name where it is a path (`/blocks.0/attn/Softmax`). A node
/// without either belongs where its neighbours agree, else to the block before it. For drawings only: nothing else reads names.
struct BlockNames {
  /// Per node the names of its block, outermost first: none, one or two.
  let blocks: [[String]]

  /// A path of names, outermost first; numbers stand with the name before them (`layers.0`).
  typealias Path = [String]

  init(_ module: Module) {
    var paths: [Path?] = module.nodes.map { BlockNames.path(of: $0, in: module) }
    let producers = module.producers()
    let before = BlockNames.neighboursBefore(module, paths, producers)
    let after = BlockNames.neighboursAfter(module, paths, producers)
    let followers = BlockNames.onlyFollowers(module, producers)
    for index in module.nodes.indices where paths[index] == nil {
      // A product with a weight that lost its name belongs to the bias that is added to it.
      let isHalfLayer = followers[index].map { BlockNames.addsBias($0, module) } ?? false
      paths[index] = BlockNames.between(before[index], after[index], prefersAfter: isHalfLayer)
    }
    // What holds numbered blocks is the model rather than a block of it.
    let containers = Set(
      paths.compactMap { path in path.flatMap { $0.firstIndex(where: BlockNames.isNumbered) }.map { Array(path?[..<$0] ?? []) } }
        .flatMap { path in path.indices.map { Array(path[...$0]) } })
    blocks = BlockNames.merged(paths.map { BlockNames.levels($0 ?? [], containers: containers) })
  }

  // MARK: paths of names

  /// The path of a dotted name, its numbers joined to what they count.
  static func components(_ name: some StringProtocol) -> Path {
    var path: Path = []
    for part in name.split(separator: ".") {
      if let last = path.last, part.allSatisfy(\.isNumber), last.last?.isNumber != true || !last.contains(".") {
        path[path.count - 1] = last + "." + part
      } else {
        path.append(String(part))
      }
    }
    return path
  }

  /// The block that holds the layer of a parameter; nil for a name without a path.
  static func scope(ofParameter name: String) -> Path? {
    guard name.contains("."), !name.contains("::"), !name.contains("/") else { return nil }
    let path = components(name)
    let isLayerPart = path.last.map { last in ["weight", "bias", "running_"].contains { last.hasPrefix($0) } } ?? false
    return Array(path.dropLast(isLayerPart ? 2 : 1))
  }

  /// The path in a node's name of the form `/layers/layers.0/attn/Softmax`; nil for other names.
  static func scope(ofNode name: String) -> Path? {
    guard name.hasPrefix("/") else { return nil }
    var parts: [Substring] = []
    for part in name.split(separator: "/").dropLast() {
      if let last = parts.last, part.hasPrefix(last + ".") { parts.removeLast() }
      parts.append(part)
    }
    return parts.flatMap { components($0) }
  }

  private static func path(of node: Node, in module: Module) -> Path? {
    var common: Path?
    for case let input? in node.inputs {
      guard let path = parameterScope(input, module) else { continue }
      common = common.map { commonPrefix($0, path) } ?? path
    }
    return common ?? scope(ofNode: node.name)
  }

  private static func parameterScope(_ value: ValueID, _ module: Module) -> Path? {
    // A value that a node makes may have dots in its name too; only parameters name layers, and they have fixed shapes.
    module.values.indices.contains(value.index) && module[value].type.staticShape != nil
      ? scope(ofParameter: module[value].name) : nil
  }

  private static func commonPrefix(_ a: Path, _ b: Path) -> Path { zip(a, b).prefix { $0 == $1 }.map(\.0) }

  // MARK: nodes without names

  /// Per node, the path of the latest named node that it follows from.
  private static func neighboursBefore(_ module: Module, _ paths: [Path?], _ producers: [Int?]) -> [Path?] {
    var latest: [Int?] = []
    for node in module.nodes {
      let sources = node.inputs.compactMap { input -> Int? in
        guard let input, producers.indices.contains(input.index), let producer = producers[input.index], producer < latest.count
        else { return nil }
        return paths[producer] != nil ? producer : latest[producer]
      }
      latest.append(sources.max())
    }
    return latest.map { $0.flatMap { paths[$0] } }
  }

  /// Per node, the path of the first named node that follows from it.
  private static func neighboursAfter(_ module: Module, _ paths: [Path?], _ producers: [Int?]) -> [Path?] {
    var first = [Int?](repeating: nil, count: module.nodes.count)
    for (index, node) in module.nodes.enumerated().reversed() {
      guard let own = paths[index] != nil ? index : first[index] else { continue }
      for case let input? in node.inputs {
        guard producers.indices.contains(input.index), let producer = producers[input.index], producer < index else { continue }
        first[producer] = min(first[producer] ?? own, own)
      }
    }
    return first.map { $0.flatMap { paths[$0] } }
  }

  /// Per node, the only node that reads its results; nil where there are more or none.
  private static func onlyFollowers(_ module: Module, _ producers: [Int?]) -> [Int?] {
    var followers: [Set<Int>] = Array(repeating: [], count: module.nodes.count)
    for (index, node) in module.nodes.enumerated() {
      for case let input? in node.inputs {
        if producers.indices.contains(input.index), let producer = producers[input.index] { followers[producer].insert(index) }
      }
    }
    return followers.map { $0.count == 1 ? $0.first : nil }
  }

  private static func addsBias(_ index: Int, _ module: Module) -> Bool {
    let node = module.nodes[index]
    guard case .elementwise(.add) = node.operation else { return false }
    return node.inputs.contains { input in
      guard let input, module.values.indices.contains(input.index), module[input].type.rank == 1 else { return false }
      return scope(ofParameter: module[input].name) != nil
    }
  }

  private static func between(_ before: Path?, _ after: Path?, prefersAfter: Bool) -> Path? {
    guard let before, let after else { return before ?? after }
    let common = commonPrefix(before, after)
    if common.contains(where: isNumbered) { return common }
    return prefersAfter ? after : before
  }

  // MARK: blocks of drawings

  private static func isNumbered(_ name: String) -> Bool { name.last?.isNumber == true }

  /// The outer block is the first numbered one, with all that is around it, or else the first that is no container of such; the inner one
  /// is the next numbered one, or else what comes next.
  static func levels(_ path: Path, containers: Set<Path> = []) -> [String] {
    guard
      let outer = path.firstIndex(where: isNumbered) ?? path.indices.first(where: { !containers.contains(Array(path[...$0])) })
    else { return [] }
    let inside = path[(outer + 1)...]
    let head = path[...outer].joined(separator: ".")
    guard let inner = inside.firstIndex(where: isNumbered) ?? inside.indices.first else { return [head] }
    return [head, path[(outer + 1)...inner].joined(separator: ".")]
  }

  /// Blocks of a single node are no blocks.
  private static func merged(_ blocks: [[String]]) -> [[String]] {
    var blocks = blocks
    for depth in [2, 1] {
      var counts: [[String]: Int] = [:]
      for block in blocks where block.count >= depth { counts[Array(block.prefix(depth)), default: 0] += 1 }
      blocks = blocks.map { $0.count == depth && counts[$0] == 1 ? Array($0.dropLast()) : $0 }
    }
    return blocks
  }
}
