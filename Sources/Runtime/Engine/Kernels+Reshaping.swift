import Graph
import Kernels

extension ProgramBuilder {
  /// Reshapes that move nothing are views.
  mutating func bindReshaping(_ reshaping: Reshaping, _ node: Node, _ fused: FusedStep) -> Bool {
    guard let input = node.inputs.first.flatMap({ $0 }), let output = node.outputs.first.flatMap({ $0 }), let from = shape(input),
      let to = shape(output)
    else { return false }
    switch reshaping {
    case .flatten, .reshape, .squeeze, .unsqueeze: return view(output, of: input)
    case .transpose:
      let order = node.attributes.ints(.perm) ?? Array(from.indices.reversed())
      guard order.count == from.count else { return false }
      // Axes of one index may go anywhere; if the others keep their order, nothing moves.
      let moving = order.filter { from.indices.contains($0) && from[$0] != 1 }
      return moving == moving.sorted() ? view(output, of: input) : false
    case .expand: return from == to ? view(output, of: input) : false
    case .depthToSpace, .spaceToDepth, .tile: return false
    }
  }
}
