import Graph
import Kernels

extension ProgramBuilder {
  /// Elementwise nodes in one pass over the numbers. The result lies in the order of axes that most of what is read has.
  mutating func bindChain(_ fused: FusedStep) -> Bool {
    guard let code = ChainCode(fused.nodes, in: module, constants: parameters), let (instructions, register) = code.allocated(),
      let last = fused.nodes.last, let output = module.nodes[last].outputs.first.flatMap({ $0 }), let shape = shape(output),
      shape.count <= Int(PK_RANK_LIMIT), let kind = ChainCode.element(element(output))
    else { return false }
    var sources: [(placement: Placement, shape: [Int], element: pk_element)] = []
    for operand in code.operands {
      guard let placement = placement(operand), let own = self.shape(operand), own.count <= shape.count,
        let element = ChainCode.castElement(element(operand))
      else { return false }
      sources.append((placement, own, element))
    }
    let whole = zip(code.operands, sources).filter { $0.1.shape == shape && parameters[$0.0] == nil }
    let order = whole.isEmpty ? Array(shape.indices) : commonOrder(whole.map { ($0.1.placement, $0.1.shape) })
    let isImage = shape.count >= 3 && order == [0] + Array(2..<shape.count) + [1]
    guard let target = isImage ? writingChannelsLast(output) : writing(output, order: order) else { return false }
    /// Strides in the order of the walk.
    func walked(_ strides: [Int]) -> [Int] { order.map { strides[$0] } }
    var chain = pk_chain()
    chain.rank = shape.count
    fill(&chain.extents, with: order.map { shape[$0] })
    chain.operand_count = sources.count
    fill(
      &chain.operands,
      with: sources.map { source in
        var operand = pk_chain_operand()
        operand.element = source.element
        fill(&operand.strides, with: walked(source.placement.broadcast(source.shape, to: shape)))
        return operand
      })
    chain.instruction_count = instructions.count
    fill(&chain.instructions, with: instructions)
    chain.result_register = register
    chain.result.element = kind
    fill(&chain.result.strides, with: walked(target.strides))
    pk_chain_simplify(&chain)
    needScratch(floats: pk_chain_scratch_size(&chain))
    let prepared = KernelParameters(chain)
    let operands = sources.map(\.placement.operand)
    let count = shape.reduce(1, *)
    let work = count * (instructions.count + sources.count)
    let tasks = work < 60_000 ? 1 : min(threads * 4, work / 30_000)
    add(fused) { frame in
      var chain = prepared.value
      withUnsafeMutableBytes(of: &chain.operands) { bytes in
        let room = bytes.bindMemory(to: pk_chain_operand.self)
        for (index, operand) in operands.enumerated() { room[index].data = frame.bytes(operand) }
      }
      chain.result.data = frame.bytes(target.operand)
      withUnsafePointer(to: chain) { chain in
        frame.pool.run(tasks) { task, worker in
          pk_chain_run(chain, count * task / tasks, count * (task + 1) / tasks, frame.scratch(worker))
        }
      }
    }
    return true
  }
}
