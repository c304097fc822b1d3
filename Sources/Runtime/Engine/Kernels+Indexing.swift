import Graph

extension ProgramBuilder {
  mutating func bindIndexing(_ indexing: Indexing, _ node: Node, _ fused: FusedStep) -> Bool {
    switch indexing {
    case .gather: bindGatherOfOne(node) || bindGather(node, fused)
    case .compress, .gatherElements, .gatherND, .nonMaxSuppression, .nonZero, .oneHot, .reverseSequence, .scatterElements,
      .scatterND, .trilu, .unique:
      false
    }
  }

  /// Rows of a table, by their numbers.
  private mutating func bindGather(_ node: Node, _ fused: FusedStep) -> Bool {
    guard let table = node.inputs[0], let list = node.inputs[1], let output = node.outputs[0], let from = shape(table),
      let indices = shape(list), shape(output) != nil, let bits = element(table).bits, bits % 8 == 0,
      element(list) == .i64 || element(list) == .i32
    else { return false }
    let axis = node.attributes.int(.axis) ?? 0
    let along = axis < 0 ? axis + from.count : axis
    guard from.indices.contains(along), let source = dense(table), let places = dense(list), let target = writing(output) else {
      return false
    }
    let outer = from[..<along].reduce(1, *)
    let row = from[(along + 1)...].reduce(bits / 8, *)
    let (extent, count) = (from[along], indices.reduce(1, *))
    let isLong = element(list) == .i64
    let label = module.label(of: node)
    add(fused) { (frame) throws(Diagnostic) in
      let (input, result, list) = (frame.bytes(source), frame.bytes(target), frame.bytes(places))
      for index in 0..<count {
        let number =
          isLong
          ? list.loadUnaligned(fromByteOffset: index * 8, as: Int.self)
          : Int(list.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
        guard (-extent..<extent).contains(number) else {
          throw Diagnostic(.invalid, "Gather: index \(number) is outside an axis of \(extent)", at: .node(label))
        }
        let position = number < 0 ? number + extent : number
        for line in 0..<outer {
          (result + (line * count + index) * row).copyMemory(
            from: input + (line * extent + position) * row, byteCount: row)
        }
      }
    }
    return true
  }
}
