import Graph

/// Puts consecutive blocks of one stream together as layers, where a model repeats them.
struct LayerFinder {
  private let blocks: [ResidualBlock]
  private let origins: [ValueID?]

  init(_ module: Module, _ blocks: [ResidualBlock]) {
    self.blocks = blocks
    origins = Self.origins(module, Set(blocks.map(\.result)))
  }

  func layers() -> [ResidualLayer] {
    let parts = chains().flatMap { chain in
      Self.pieces(chain.map { blocks[$0].kind }).filter { $0.count > 1 }.map { Array(chain[$0]) }
    }
    return parts.sorted { $0[0] < $1[0] }.enumerated().map { ResidualLayer(id: $0.offset, blocks: $0.element) }
  }

  /// Per value, the last place of the stream that it follows from: the sum of a block, an input, or what a product or convolution made. A
  /// norm, an activation or a reshape between two blocks does not part them.
  private static func origins(_ module: Module, _ sums: Set<ValueID>) -> [ValueID?] {
    var origins = [ValueID?](repeating: nil, count: module.values.count)
    for input in module.inputs { origins[input.index] = input }
    for node in module.nodes {
      let read = Set(node.read.compactMap { origins[$0.index] })
      for case let output? in node.outputs {
        if case .generation = node.operation { continue }
        if sums.contains(output) || node.operation.isMixing || read.count > 1 {
          origins[output.index] = output
        } else {
          origins[output.index] = read.first
        }
      }
    }
    return origins
  }

  /// Blocks that follow one another on a stream, inside the same block.
  private func chains() -> [[Int]] {
    var next: [Int: Int] = [:]
    var heads: [Int] = []
    let makers = Dictionary(blocks.map { ($0.result, $0.id) }, uniquingKeysWith: { first, _ in first })
    for block in blocks {
      if let origin = origins[block.stream.index], let before = makers[origin], blocks[before].parent == block.parent,
        next[before] == nil
      {
        next[before] = block.id
      } else {
        heads.append(block.id)
      }
    }
    return heads.map { head in
      var chain = [head]
      while let last = chain.last, let following = next[last] { chain.append(following) }
      return chain
    }
  }

  /// Cuts a chain into the shortest pieces that it repeats, by what their blocks are. One that repeats nothing is cut so that attention and
  /// the block behind it stay together.
  static func pieces(_ kinds: [BlockKind]) -> [Range<Int>] {
    for length in 1..<max(1, kinds.count / 2 + 1) where kinds.count % length == 0 {
      if kinds.indices.allSatisfy({ kinds[$0] == kinds[$0 % length] }) {
        return stride(from: 0, to: kinds.count, by: length).map { $0..<$0 + length }
      }
    }
    var result: [Range<Int>] = []
    var start = 0
    for (index, kind) in kinds.enumerated() {
      let isLast = index + 1 == kinds.count
      if kind == .attention, !isLast { continue }
      result.append(start..<index + 1)
      start = index + 1
    }
    return result
  }
}
