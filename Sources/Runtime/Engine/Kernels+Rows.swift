import Graph
import Kernels

/// Rows of contiguous numbers: how many, how long, and how far apart.
struct RowPlacement: Sendable {
  let operand: Operand
  let rows: Int
  let count: Int
  let rowStride: Int
  /// All axes as they lie in memory, those of the rows last.
  let order: [Int]

  /// The rows along the axes `inner`, taken together; nil where they are not contiguous, or the rows not evenly spaced.
  init?(_ placement: Placement, _ shape: [Int], inner: [Int]) {
    let outer = placement.order(shape).filter { !inner.contains($0) }
    let count = inner.reduce(1) { $0 * shape[$1] }
    guard let step = placement.collapsed(inner, shape), step == 1 || count == 1, let stride = placement.collapsed(outer, shape),
      stride >= 0, outer.allSatisfy({ shape[$0] == 1 || placement.strides[$0] > 0 })
    else { return nil }
    operand = placement.operand
    rows = outer.reduce(1) { $0 * shape[$1] }
    self.count = count
    rowStride = rows == 1 ? count : stride
    order = outer + inner
  }
}

extension ProgramBuilder {
  /// A value as rows along some axes, moved there if need be.
  mutating func rows(_ value: ValueID, inner: [Int]) -> RowPlacement? {
    guard let shape = shape(value) else { return nil }
    let order = shape.indices.filter { !inner.contains($0) } + inner
    return placement(value, copiedTo: order) { RowPlacement($0, shape, inner: inner) != nil }
      .flatMap { RowPlacement($0, shape, inner: inner) }
  }

  mutating func bindNormalisation(_ normalisation: Normalisation, _ node: Node, _ fused: FusedStep) -> Bool {
    guard let input = node.inputs.first.flatMap({ $0 }), let output = node.outputs.first.flatMap({ $0 }), isFloat(input),
      isFloat(output), let shape = shape(input), !shape.contains(0), self.shape(output) == shape
    else { return false }
    switch normalisation {
    case .softmax: return bindSoftmax(input, output, shape, node, fused, isLogarithm: false)
    case .logSoftmax: return bindSoftmax(input, output, shape, node, fused, isLogarithm: true)
    case .layerNorm: return bindLayerNorm(input, output, shape, node, fused, isCentred: true)
    case .rmsNorm, .simplifiedLayerNorm: return bindLayerNorm(input, output, shape, node, fused, isCentred: false)
    case .skipLayerNorm: return bindSkip(input, output, shape, node, fused, isCentred: true)
    case .skipSimplifiedLayerNorm: return bindSkip(input, output, shape, node, fused, isCentred: false)
    case .instanceNorm: return bindGroupNorm(input, output, shape, node, fused, groups: shape.count > 1 ? shape[1] : 1)
    case .groupNorm: return bindGroupNorm(input, output, shape, node, fused, groups: node.attributes.int(.numGroups) ?? 0)
    case .batchNorm, .hardmax, .localResponseNorm, .lpNorm, .meanVarianceNorm, .quantisedSoftmax, .embedLayerNorm: return false
    }
  }

  /// How many tasks rows are shared out as.
  private func tasks(rows: Int, count: Int) -> Int { rows * count < 16_000 ? 1 : min(rows, threads * 4) }

  private mutating func bindSoftmax(
    _ input: ValueID, _ output: ValueID, _ shape: [Int], _ node: Node, _ fused: FusedStep, isLogarithm: Bool
  ) -> Bool {
    let isOld = module.opset < 13
    let axis = node.attributes.int(.axis) ?? (isOld ? 1 : -1)
    let first = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(first) else { return false }
    // Until version 13 all axes from there on were one.
    guard let source = rows(input, inner: Array(first..<(isOld ? shape.count : first + 1))),
      let target = writing(output, order: source.order)
    else { return false }
    var sample = pk_softmax()
    sample.count = source.count
    sample.from_row_stride = source.rowStride
    sample.to_row_stride = source.count
    sample.is_logarithm = isLogarithm
    let prepared = KernelParameters(sample)
    let tasks = tasks(rows: source.rows, count: source.count * 4)
    add(fused) { frame in
      var problem = prepared.value
      problem.from = UnsafePointer(frame.floats(source.operand))
      problem.to = frame.floats(target.operand)
      withUnsafePointer(to: problem) { problem in
        frame.pool.run(tasks) { task, _ in
          pk_softmax_run(problem, source.rows * task / tasks, source.rows * (task + 1) / tasks)
        }
      }
    }
    return true
  }

  /// A scale or an offset with one number for every number of a row.
  private mutating func perRow(_ value: ValueID?, _ count: Int) -> Operand? {
    guard let value, isFloat(value), shape(value)?.reduce(1, *) == count else { return nil }
    return dense(value)
  }

  private mutating func bindLayerNorm(
    _ input: ValueID, _ output: ValueID, _ shape: [Int], _ node: Node, _ fused: FusedStep, isCentred: Bool
  ) -> Bool {
    let axis = node.attributes.int(.axis) ?? -1
    let first = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(first), node.outputs.dropFirst().allSatisfy({ $0 == nil }) else { return false }
    let inner = Array(first..<shape.count)
    let count = inner.reduce(1) { $0 * shape[$1] }
    let given = node.inputs.count > 2 ? node.inputs[2] : nil
    guard let scale = perRow(node.inputs[1], count), let source = rows(input, inner: inner) else { return false }
    let offset = perRow(given, count)
    guard (offset == nil) == (given == nil), let target = writing(output, order: source.order) else { return false }
    var sample = pk_layer_norm()
    sample.count = count
    sample.from_row_stride = source.rowStride
    sample.to_row_stride = count
    sample.epsilon = node.attributes.float(.epsilon) ?? 1e-5
    sample.is_centred = isCentred
    let prepared = KernelParameters(sample)
    let tasks = tasks(rows: source.rows, count: count)
    add(fused) { frame in
      var problem = prepared.value
      problem.from = UnsafePointer(frame.floats(source.operand))
      problem.to = frame.floats(target.operand)
      problem.scale = UnsafePointer(frame.floats(scale))
      problem.offset = offset.map { UnsafePointer(frame.floats($0)) }
      withUnsafePointer(to: problem) { problem in
        frame.pool.run(tasks) { task, _ in
          pk_layer_norm_run(problem, source.rows * task / tasks, source.rows * (task + 1) / tasks)
        }
      }
    }
    return true
  }

  /// The sum of two values, normalised; perhaps the sum is wanted too.
  private mutating func bindSkip(
    _ input: ValueID, _ output: ValueID, _ shape: [Int], _ node: Node, _ fused: FusedStep, isCentred: Bool
  ) -> Bool {
    func operand(_ index: Int) -> ValueID? { node.inputs.indices.contains(index) ? node.inputs[index] : nil }
    func result(_ index: Int) -> ValueID? { node.outputs.indices.contains(index) ? node.outputs[index] : nil }
    guard let skip = operand(1), self.shape(skip) == shape, isFloat(skip), result(1) == nil, result(2) == nil,
      let count = shape.last, let from = dense(input), let addend = dense(skip), let scale = perRow(operand(2), count)
    else { return false }
    let offset = isCentred ? perRow(operand(3), count) : nil
    let summand = perRow(operand(isCentred ? 4 : 3), count)
    guard (offset == nil) == (!isCentred || operand(3) == nil), (summand == nil) == (operand(isCentred ? 4 : 3) == nil),
      let target = writing(output)
    else { return false }
    let sum = result(3).flatMap { writing($0) }
    let rows = shape.dropLast().reduce(1, *)
    let epsilon = node.attributes.float(.epsilon) ?? 1e-12
    let tasks = tasks(rows: rows, count: count)
    add(fused) { frame in
      var problem = pk_layer_norm()
      problem.count = count
      problem.from = UnsafePointer(frame.floats(from))
      problem.from_row_stride = count
      problem.addend = UnsafePointer(frame.floats(addend))
      problem.addend_row_stride = count
      problem.addend_bias = summand.map { UnsafePointer(frame.floats($0)) }
      problem.sum = sum.map { frame.floats($0) }
      problem.sum_row_stride = count
      problem.to = frame.floats(target)
      problem.to_row_stride = count
      problem.scale = UnsafePointer(frame.floats(scale))
      problem.offset = offset.map { UnsafePointer(frame.floats($0)) }
      problem.epsilon = epsilon
      problem.is_centred = isCentred
      withUnsafePointer(to: problem) { problem in
        frame.pool.run(tasks) { task, _ in
          pk_layer_norm_run(problem, rows * task / tasks, rows * (task + 1) / tasks)
        }
      }
    }
    return true
  }

  private mutating func bindGroupNorm(
    _ input: ValueID, _ output: ValueID, _ shape: [Int], _ node: Node, _ fused: FusedStep, groups: Int
  ) -> Bool {
    guard shape.count >= 3, groups > 0, shape[1] % groups == 0, node.inputs.count > 2,
      let scale = perRow(node.inputs[1], shape[1]), let offset = perRow(node.inputs[2], shape[1]), let source = image(input),
      let target = writingImage(output)
    else { return false }
    var sample = pk_group_norm()
    sample.pixels = shape.dropFirst(2).reduce(1, *)
    sample.channels = shape[1]
    sample.groups = groups
    sample.from_pixel_stride = source.pixelStride
    sample.to_pixel_stride = target.pixelStride
    sample.epsilon = node.attributes.float(.epsilon) ?? 1e-5
    sample.activation = PK_ACTIVATION_NONE
    let prepared = KernelParameters(sample)
    let images = shape[0]
    let tasks = min(groups, threads * 4)
    add(fused) { frame in
      let (input, output) = (frame.floats(source.operand), frame.floats(target.operand))
      frame.pool.run(images * tasks) { index, _ in
        let (image, task) = (index / tasks, index % tasks)
        var problem = prepared.value
        problem.from = UnsafePointer(input + image * source.imageStride)
        problem.to = output + image * target.imageStride
        problem.scale = UnsafePointer(frame.floats(scale))
        problem.offset = UnsafePointer(frame.floats(offset))
        pk_group_norm_run(&problem, groups * task / tasks, groups * (task + 1) / tasks)
      }
    }
    return true
  }
}
