import Graph
import Kernels

/// Heads of queries, keys or values: [images, heads, positions, size], the numbers of a position contiguous.
private struct HeadPlacement: Sendable {
  var operand: Operand
  var images: Int
  var heads: Int
  var positions: Int
  var size: Int
  var imageStride: Int
  var headStride: Int
  var positionStride: Int

  /// `count` heads where they are still side by side in the last of three axes.
  init?(_ placement: Placement, _ shape: [Int], heads count: Int?) {
    guard let last = placement.strides.last, last == 1 || shape.last == 1, placement.strides.allSatisfy({ $0 >= 0 }) else {
      return nil
    }
    operand = placement.operand
    images = shape[0]
    imageStride = placement.strides[0]
    if shape.count == 4 {
      (heads, positions, size) = (shape[1], shape[2], shape[3])
      (headStride, positionStride) = (placement.strides[1], placement.strides[2])
    } else {
      guard shape.count == 3, let count, count > 0, shape[2] % count == 0 else { return nil }
      (heads, positions, size) = (count, shape[1], shape[2] / count)
      (headStride, positionStride) = (size, placement.strides[1])
    }
  }
}

extension ProgramBuilder {
  private mutating func heads(_ value: ValueID?, _ count: Int?) -> HeadPlacement? {
    guard let value, isFloat(value), let shape = shape(value), (3...4).contains(shape.count), !shape.contains(0) else {
      return nil
    }
    return placement(value, copiedTo: Array(shape.indices)) { HeadPlacement($0, shape, heads: count) != nil }
      .flatMap { HeadPlacement($0, shape, heads: count) }
  }

  /// The standard operator without a cache, a window or a cap on the scores.
  mutating func bindAttention(_ attention: AttentionFamily, _ node: Node, _ fused: FusedStep) -> Bool {
    let attributes = node.attributes
    guard attention == .attention, node.inputs.dropFirst(4).allSatisfy({ $0 == nil }),
      node.outputs.dropFirst().allSatisfy({ $0 == nil }), attributes.float(.softcap) ?? 0 == 0,
      attributes.int(.leftWindowSize) ?? -1 < 0, attributes.int(.rightWindowSize) ?? -1 < 0, let output = node.outputs[0],
      isFloat(output), let shape = shape(output), let q = heads(node.inputs[0], attributes.int(.qNumHeads)),
      let k = heads(node.inputs[1], attributes.int(.kvNumHeads)), let v = heads(node.inputs[2], attributes.int(.kvNumHeads)),
      k.heads > 0, q.heads % k.heads == 0
    else { return false }
    var bias: Placement?
    if node.inputs.count > 3, let mask = node.inputs[3] {
      let scores = [q.images, q.heads, q.positions, k.positions]
      guard isFloat(mask), let own = self.shape(mask), own.last == k.positions || k.positions == 1, own.count <= 4,
        let placement = placement(mask)
      else { return false }
      let strides = placement.broadcast(own, to: scores)
      guard strides.allSatisfy({ $0 >= 0 }) else { return false }
      bias = Placement(placement.operand, strides: strides)
    }
    guard let target = shape.count == 4 ? writing(output, order: [0, 2, 1, 3]) : writing(output, order: [0, 1, 2]) else {
      return false
    }
    let (imageStride, headStride, positionStride) =
      shape.count == 4
      ? (target.strides[0], target.strides[1], target.strides[2]) : (target.strides[0], v.size, target.strides[1])
    var sample = pk_attention()
    sample.queries = q.positions
    sample.keys = k.positions
    sample.size = q.size
    sample.value_size = v.size
    sample.query_stride = q.positionStride
    sample.key_stride = k.positionStride
    sample.value_stride = v.positionStride
    sample.bias_query_stride = bias?.strides[2] ?? 0
    sample.bias_key_stride = bias?.strides[3] ?? 0
    sample.scale = attributes.float(.scale) ?? 1 / Float(q.size).squareRoot()
    sample.is_causal = attributes.flag(.isCausal)
    sample.causal_offset = 0
    switch attributes.int(.unseenKeys).flatMap({ UnseenKeys(rawValue: $0) }) ?? .zero {
    case .zero: sample.unseen = PK_UNSEEN_ZERO
    case .noNumber: sample.unseen = PK_UNSEEN_NAN
    case .allZero: sample.unseen = PK_UNSEEN_ALL_ZERO
    }
    sample.result_stride = positionStride
    needScratch(floats: pk_attention_scratch_size(&sample))
    let prepared = KernelParameters(sample)
    let mask = bias
    let all = q.images * q.heads
    let parts = all >= threads * 4 || threads == 1 ? 1 : max(1, min((threads * 4 + all - 1) / all, q.positions / 32))
    let shared = q.heads / k.heads
    add(fused) { frame in
      let (query, key, value) = (frame.floats(q.operand), frame.floats(k.operand), frame.floats(v.operand))
      let result = frame.floats(target.operand)
      let added = mask.map { frame.floats($0.operand) }
      frame.pool.run(all * parts) { index, worker in
        let (line, part) = (index / parts, index % parts)
        let (image, head) = (line / q.heads, line % q.heads)
        var problem = prepared.value
        problem.query = UnsafePointer(query + image * q.imageStride + head * q.headStride)
        problem.key = UnsafePointer(key + image * k.imageStride + head / shared * k.headStride)
        problem.value = UnsafePointer(value + image * v.imageStride + head / shared * v.headStride)
        if let mask, let added { problem.bias = UnsafePointer(added + image * mask.strides[0] + head * mask.strides[1]) }
        problem.result = result + image * imageStride + head * headStride
        pk_attention_run(
          &problem, q.positions * part / parts, q.positions * (part + 1) / parts, frame.scratch(worker))
      }
    }
    return true
  }
}
