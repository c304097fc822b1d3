import Graph

extension Lowering {
  /// Repeats every pixel where an image grows by whole factors and each new pixel is the old one it lies in.
  ///
  ///     %y = resize %x, scales 〈1, 1, 2, 2〉 : f32[1, 8, 10, 10]     becomes
  ///     %a = reshape %x : f32[1, 8, 5, 1, 5, 1];  %b = expand %a : f32[1, 8, 5, 2, 5, 2];  %y = reshape %b
  static let expandResize = LoweringPass(name: "expand-resize", summary: "growing by whole factors is repeating") {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard case .pooling(.resize) = node.operation, let input = node.inputs[0], let output = node.outputs[0],
        let from = rewriter.shape(input), let to = rewriter.shape(output), from.count == to.count, !from.contains(0),
        node.attributes.string(.mode) ?? "nearest" == "nearest", isRepetition(node.attributes), rewriter.module.opset >= 11,
        node.attributes.ints(.axes) == nil, node.attributes.string(.keepAspectRatioPolicy) ?? "stretch" == "stretch",
        zip(from, to).allSatisfy({ $1 % $0 == 0 })
      else { return nil }
      // Scales that are not what the extents say lead elsewhere.
      if node.inputs.count > 2, let given = node.inputs[2], rewriter.shape(given) != [0] {
        guard let scales = rewriter.constant(given)?.reals, scales == zip(from, to).map({ Double($1 / $0) }) else { return nil }
      }
      let element = rewriter.element(output)
      var (apart, wide): ([Int], [Int]) = ([], [])
      for (before, after) in zip(from, to) {
        apart += before == after ? [before] : [before, 1]
        wide += before == after ? [before] : [before, after / before]
      }
      func list(_ shape: [Int]) -> ValueID { rewriter.constant(like: output, Tensor(wholes: shape, .i64, [shape.count])) }
      let (first, second) = (rewriter.value(like: output, element, apart), rewriter.value(like: output, element, wide))
      return [
        rewriter.node(.reshaping(.reshape), [input, list(apart)], first, for: node),
        rewriter.node(.reshaping(.expand), [first, list(wide)], second, for: node),
        rewriter.node(.reshaping(.reshape), [second, list(to)], output, for: node),
      ]
    }
  }

  /// True where a new pixel is the old one it lies in: x / scale cut off, or the nearest of the pixels' middles.
  private static func isRepetition(_ attributes: Attributes) -> Bool {
    let nearest = attributes.string(.nearestMode) ?? "round_prefer_floor"
    switch attributes.string(.coordinateTransformationMode) ?? "half_pixel" {
    case "asymmetric": return nearest == "floor"
    case "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel":
      return nearest == "round_prefer_floor" || nearest == "round_prefer_ceil"
    case _: return false
    }
  }
}
