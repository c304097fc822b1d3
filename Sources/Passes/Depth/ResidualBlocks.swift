import Graph

/// What a residual block computes, from the operators inside it alone.
public enum BlockKind: String, Sendable, Hashable, CaseIterable {
  /// Products of two activations: queries with keys, weights with values.
  case attention
  /// Products with weights, and what stands between.
  case mlp
  /// Convolutions.
  case convolution
  /// Recurrences.
  case recurrence
  /// Poolings, Fourier transforms, and operators that prunec does not know.
  case other
  /// Attention and something else, in one.
  case layer
}

/// A sum `x + f(x)` whose f can be left out: the sum then is x.
///
///     %s = add %x, %b        %x and %s have one type, %b is made from %x by nodes that nothing else reads
public struct ResidualBlock: Sendable, Hashable {
  /// Its number: blocks are counted in the order of their sums.
  public let id: Int
  /// What f computes.
  public let kind: BlockKind
  /// The node that adds.
  public let sum: Int
  /// x: what the sum becomes when the block is dropped.
  public let stream: ValueID
  /// What f makes; the sum alone reads it.
  public let branch: ValueID
  /// What the sum makes.
  public let result: ValueID
  /// Nodes that serve this block alone, in order, without the sum. What others read as well (a norm of x before two branches, masks, rotary
  /// tables) is not among them.
  public let nodes: [Int]
  /// Parameters that no other node reads.
  public let parameters: [ValueID]
  /// Numbers in those of them that are data.
  public let parameterCount: Int
  /// The smallest block whose f holds this one; nil for an outermost one.
  public let parent: Int?
}

/// Consecutive blocks on one stream that a model repeats: attention and MLP of a transformer.
public struct ResidualLayer: Sendable, Hashable {
  /// Its number; reports write it `L0`.
  public let id: Int
  /// Its blocks, in order.
  public let blocks: [Int]
}

/// The residual blocks of a module, found from the graph alone.
///
/// A sum of two values is a block when
/// - one of them, x, has the type of the sum, and the other is made from x (or, where branches stand side by side, from the stream that x
///   came from), with a product, convolution, recurrence or pooling on the way;
/// - the sum alone reads f(x), and no value that such an operator made inside f is read anywhere else or is an output of the model.
///
/// What stands behind a sum is no part of the block: an activation, or the norm of a post-norm encoder, stays when the block is dropped.
///
///     %n = layer_norm %x, …                  block 0: mlp, sum %s, nodes %n %h %r %b
///     %h = matmul %n, %up
///     %r = relu %h
///     %b = matmul %r, %down
///     %s = add %x, %b
public struct ResidualBlocks: Sendable {
  /// The module that was looked at.
  public let module: Module
  /// All blocks, in the order of their sums.
  public let blocks: [ResidualBlock]
  /// Layers of more than one block.
  public let layers: [ResidualLayer]

  /// Finds the blocks of a module, by the types that stand there.
  public init(of module: Module) {
    self.module = module
    blocks = BlockFinder(module).blocks()
    layers = LayerFinder(module, blocks).layers()
  }

  /// The layer that a block is part of.
  public func layer(of block: Int) -> ResidualLayer? { layers.first { $0.blocks.contains(block) } }

  /// What messages call a block: the name of the value that its sum makes.
  public func name(of block: ResidualBlock) -> String { module[block.result].name }

  /// What is dropped or kept as a whole: layers, and blocks that are part of none, as lists of blocks in order. Where one block
  /// holds all others, as in a network whose output is added to its input, these are the ones inside it.
  public var units: [[Int]] {
    func units(inside parent: Int?) -> [[Int]] {
      let level = blocks.filter { $0.parent == parent }
      if level.count == 1, let only = level.first, blocks.contains(where: { $0.parent == only.id }) {
        return units(inside: only.id)
      }
      var result: [[Int]] = []
      for block in level {
        if let layer = layer(of: block.id) {
          if layer.blocks.first == block.id { result.append(layer.blocks) }
        } else {
          result.append([block.id])
        }
      }
      return result
    }
    return units(inside: nil)
  }
}
