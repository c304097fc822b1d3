import Graph
import Kernels

/// An elementwise node as the kernels know it.
enum ChainOperation {
  case unary(pk_unary, Float, Float)

  /// Nil for functions that no kernel knows. `scalar` gives the number of a constant that has one.
  init?(_ function: Elementwise, _ node: Node, _ scalar: (ValueID?) -> Float?) {
    return nil
  }
}

extension ProgramBuilder {
  /// Elementwise nodes in one pass over the numbers.
  mutating func bindChain(_ fused: FusedStep) -> Bool { false }
}
