import Graph
import Kernels

extension ProgramBuilder {
  /// Reductions of f32 numbers over axes that are known beforehand.
  mutating func bindReduction(_ reduction: Reduction, _ node: Node, _ fused: FusedStep) -> Bool {
    let kind: pk_reduction_kind
    switch reduction {
    case .reduceSum: kind = PK_REDUCTION_SUM
    case .reduceMean: kind = PK_REDUCTION_MEAN
    case .reduceMax: kind = PK_REDUCTION_MAXIMUM
    case .reduceMin: kind = PK_REDUCTION_MINIMUM
    case .reduceProd: kind = PK_REDUCTION_PRODUCT
    case .reduceSumSquare: kind = PK_REDUCTION_SUM_OF_SQUARES
    case .reduceL1: kind = PK_REDUCTION_SUM_OF_ABSOLUTES
    case .reduceL2: kind = PK_REDUCTION_ROOT_OF_SQUARES
    case .argMax, .argMin, .cumSum, .reduceLogSum, .reduceLogSumExp, .topK: return false
    }
    guard let input = node.inputs[0], let output = node.outputs[0], isFloat(input), isFloat(output), let from = shape(input)
    else {
      return false
    }
    var axes = node.attributes.ints(.axes) ?? []
    if node.inputs.count > 1, let given = node.inputs[1] {
      guard let known = constant(given)?.wholes else { return false }
      axes = known
    }
    if axes.isEmpty {
      if node.attributes.flag(.noopWithEmptyAxes) { return false }
      axes = Array(from.indices)
    }
    return reduce(input, axes: axes.map { $0 < 0 ? $0 + from.count : $0 }, kind, to: output, fused)
  }

  /// One reduction. The axes reduced must be walked with one stride, and either they or what lies within them must be contiguous.
  mutating func reduce(_ input: ValueID, axes: [Int], _ kind: pk_reduction_kind, to output: ValueID, _ fused: FusedStep) -> Bool {
    guard let from = shape(input), let to = shape(output), !from.contains(0), axes.allSatisfy({ from.indices.contains($0) }),
      Set(axes).count == axes.count
    else { return false }
    let reduced = from.indices.filter { axes.contains($0) }
    let kept = from.indices.filter { !axes.contains($0) }
    guard
      let source = placement(
        input, copiedTo: kept + reduced,
        if: { ReductionWalk($0, from, reduced: reduced, kept: kept) != nil }),
      let walk = ReductionWalk(source, from, reduced: reduced, kept: kept)
    else { return false }
    // The result lies as the kept axes were walked. Where they stay as axes of one index, so do they in the result.
    let keptInResult = to.count == from.count ? walk.order : walk.order.compactMap { axis in kept.firstIndex(of: axis) }
    let order = to.count == from.count ? reduced + keptInResult : keptInResult
    guard order.count == to.count, let target = writing(output, order: order) else { return false }
    var sample = pk_reduction()
    sample.kind = kind
    sample.count = walk.count
    sample.inner = walk.inner
    sample.outer_stride = walk.outerStride
    sample.count_stride = walk.countStride
    let prepared = KernelParameters(sample)
    let isShared = Double(walk.outer) * Double(walk.inner) * Double(walk.count) > 30_000
    let outerTasks = isShared ? min(walk.outer, threads * 4) : 1
    let innerTasks = isShared && outerTasks < threads ? max(1, min(threads * 2, walk.inner / 32)) : 1
    add(fused) { frame in
      var problem = prepared.value
      problem.from = UnsafePointer(frame.floats(source.operand))
      problem.to = frame.floats(target.operand)
      withUnsafePointer(to: problem) { problem in
        frame.pool.run(outerTasks * innerTasks) { index, _ in
          let (outer, inner) = (index / innerTasks, index % innerTasks)
          pk_reduction_run(
            problem, walk.outer * outer / outerTasks, walk.outer * (outer + 1) / outerTasks, walk.inner * inner / innerTasks,
            walk.inner * (inner + 1) / innerTasks)
        }
      }
    }
    return true
  }
}

/// How a reduction walks memory: from[outer][count][inner].
private struct ReductionWalk {
  var outer: Int
  var outerStride: Int
  var count: Int
  var countStride: Int
  var inner: Int
  /// The kept axes, from the outermost in memory to the innermost.
  var order: [Int]

  init?(_ placement: Placement, _ shape: [Int], reduced: [Int], kept: [Int]) {
    let memory = placement.order(shape)
    let keptOrder = memory.filter { kept.contains($0) }
    let reducedOrder = memory.filter { reduced.contains($0) }
    guard let stride = placement.collapsed(reducedOrder, shape), stride >= 0,
      keptOrder.allSatisfy({ shape[$0] == 1 || placement.strides[$0] > 0 })
    else { return nil }
    let count = reducedOrder.reduce(1) { $0 * shape[$1] }
    // Kept axes within the reduced ones, from the innermost outwards, as long as they are contiguous.
    var inner = 1
    var outerAxes = keptOrder
    while let axis = outerAxes.last, shape[axis] == 1 || placement.strides[axis] == inner, stride > inner || count == 1 {
      inner *= shape[axis]
      outerAxes.removeLast()
    }
    guard let outerStride = placement.collapsed(outerAxes, shape), inner > 1 || stride <= 1 || count == 1 else { return nil }
    outer = outerAxes.reduce(1) { $0 * shape[$1] }
    self.outerStride = outerStride
    self.count = count
    countStride = stride
    self.inner = inner
    order = keptOrder
  }
}
