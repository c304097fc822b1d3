import Graph

/// Takes the f of residual blocks out: sums become their streams, and what served the dropped blocks alone vanishes, parameters too.
///
///     %b = matmul %h, %w                    (gone, with %h and %w)
///     %s = add %x, %b
///     %n = layer_norm %s, …                 %n = layer_norm %x, …
///
/// A sum that is an output of the model, or that an operator reads which prunec keeps byte for byte, becomes `%s = identity %x` and keeps its
/// name. What nobody needed before stays.
enum BlockDropper {
  /// The module without some of its blocks.
  static func run(_ found: ResidualBlocks, dropping blocks: [Int]) -> Module {
    let module = found.module
    var editor = GraphEditor(module)
    let dropped = found.outermost(blocks)
    var streams = Dictionary(dropped.map { ($0.result, $0.stream) }, uniquingKeysWith: { first, _ in first })
    for block in dropped {
      var stream = block.stream
      while let earlier = streams[stream] { stream = earlier }
      streams[block.result] = stream
    }
    let uses = module.uses()
    let outputs = Set(module.outputs)
    var removed: Set<Int> = []
    for block in dropped {
      guard let stream = streams[block.result] else { continue }
      let readByName = uses[block.result.index].contains { $0.operand < 0 || module.nodes[$0.node].operation.isOpaque }
      for use in uses[block.result.index] where use.operand >= 0 && !module.nodes[use.node].operation.isOpaque {
        editor.replaceInput(node: use.node, operand: use.operand, with: stream, "reads the stream, the block being dropped")
      }
      removed.insert(block.sum)
      editor.remove(node: block.sum, "its block is dropped")
      guard readByName || outputs.contains(block.result) else { continue }
      let sum = module.nodes[block.sum]
      let copy = Node(
        .elementwise(.identity), inputs: [stream], outputs: [block.result], name: sum.name, position: sum.position)
      _ = editor.insert(copy, .after(block.sum), "keeps the name of the sum")
    }
    // Streams have the readers of the sums now.
    let needed = outputs.union(streams.values)
    removeServants(&editor, module, uses, needed, sums: removed, branches: dropped.map(\.branch))
    var result = editor.finished()
    result.removeUndefinedValues()
    return result
  }

  /// Takes out what nothing reads any more, beginning with what the sums read. What is `needed` stays.
  private static func removeServants(
    _ editor: inout GraphEditor, _ module: Module, _ uses: [[Module.Use]], _ needed: Set<ValueID>, sums: Set<Int>,
    branches: [ValueID]
  ) {
    let producers = module.producers()
    var gone = sums
    var open = branches
    while let value = open.popLast() {
      func isUnread(_ value: ValueID) -> Bool {
        !needed.contains(value) && uses[value.index].allSatisfy { gone.contains($0.node) }
      }
      guard isUnread(value) else { continue }
      guard let index = producers[value.index] else {
        if editor.parameter(value) != nil { editor.remove(parameter: value, "it served dropped blocks alone") }
        continue
      }
      let node = module.nodes[index]
      guard !gone.contains(index), node.outputs.allSatisfy({ $0.map(isUnread) ?? true }) else { continue }
      gone.insert(index)
      editor.remove(node: index, "it served dropped blocks alone")
      open += node.read
    }
  }
}

extension Operator {
  /// True where the node comes out byte for byte, so that what it reads must keep its name.
  fileprivate var isOpaque: Bool {
    if case .opaque = self { true } else { false }
  }
}

extension ResidualBlocks {
  /// Blocks, among some, that lie inside none of the others: these vanish with them.
  func outermost(_ ids: [Int]) -> [ResidualBlock] {
    let chosen = Set(ids)
    return chosen.sorted().map { blocks[$0] }.filter { block in
      var parent = block.parent
      while let outer = parent {
        if chosen.contains(outer) { return false }
        parent = blocks[outer].parent
      }
      return true
    }
  }
}
