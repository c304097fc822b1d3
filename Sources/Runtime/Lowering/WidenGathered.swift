import Graph

extension Lowering {
  /// Picks numbers of a stored table before it widens them, where that is less work: an embedding is not widened for a few of its rows.
  ///
  ///     %t = cast %table to=1 : f32[9000, 64];  %y = gather %t, %i : f32[8, 64]
  ///     becomes     %g = gather %table, %i : bf16[8, 64];  %y = cast %g to=1 : f32[8, 64]
  ///
  /// Tables that are computed, and those of which more numbers are picked than there are, are left as they are.
  static let widenGathered = LoweringPass(name: "widen-gathered", summary: "rows of a table are picked before they are cast") {
    module throws(Diagnostic) in
    guard module.nodes.contains(where: { isGather($0) }) else { return }
    module = Rewriter.rewrite(module) { rewriter, node in
      guard isGather(node), let output = node.outputs[0], let cast = rewriter.maker(node.inputs[0], .elementwise(.cast)),
        let table = cast.inputs[0], rewriter.isConstant(table), let bits = rewriter.element(table).bits, bits >= 8,
        let rows = rewriter.shape(table), let shape = rewriter.shape(output), isFewer(shape, than: rows)
      else { return nil }
      let picked = rewriter.value(like: output, rewriter.element(table), shape)
      var gather = node
      gather.inputs[0] = table
      gather.outputs = [picked]
      return [gather, rewriter.node(.elementwise(.cast), [picked], output, for: node, cast.attributes.entries)]
    }
  }

  static func isGather(_ node: Node) -> Bool { node.operation == .indexing(.gather) }

  /// True where a tensor of one shape has fewer numbers than one of another.
  static func isFewer(_ shape: [Int], than other: [Int]) -> Bool {
    guard let count = Tensor.count(shape), let more = Tensor.count(other) else { return false }
    return count < more
  }
}
