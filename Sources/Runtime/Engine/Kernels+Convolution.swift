import Graph
import Kernels

/// An image with its channels last: where it begins, and how many numbers lie between images and between pixels.
struct ImagePlacement: Sendable {
  let operand: Operand
  let imageStride: Int
  let pixelStride: Int

  init?(_ placement: Placement, _ shape: [Int]) {
    let spatial = Array(shape.indices.dropFirst(2))
    guard shape.count >= 3, shape[1] == 1 || placement.strides[1] == 1, let stride = placement.collapsed(spatial, shape) else {
      return nil
    }
    let pixels = spatial.reduce(1) { $0 * shape[$1] }
    let pixel = pixels == 1 ? shape[1] : stride
    let image = shape[0] == 1 ? 0 : placement.strides[0]
    guard pixel >= shape[1], image >= 0 else { return nil }
    operand = placement.operand
    imageStride = image
    pixelStride = pixel
  }
}

extension ProgramBuilder {
  /// A value of shape [images, channels, …] with its channels last, moved there if need be.
  mutating func image(_ value: ValueID) -> ImagePlacement? {
    guard let shape = shape(value), shape.count >= 3 else { return nil }
    let order = [0] + Array(2..<shape.count) + [1]
    return placement(value, copiedTo: order) { ImagePlacement($0, shape) != nil }.flatMap { ImagePlacement($0, shape) }
  }

  /// Where a value of shape [images, channels, …] is to lie with its channels last.
  mutating func writingImage(_ value: ValueID) -> ImagePlacement? {
    guard let shape = shape(value) else { return nil }
    return writingChannelsLast(value).flatMap { ImagePlacement($0, shape) }
  }

  /// Convolutions of f32 numbers with fixed weights, over one or two spatial axes, with their epilogue.
  mutating func bindConvolution(_ node: Node, _ fused: FusedStep, _ epilogue: FusedEpilogue) -> Bool {
    guard case .convolution(.conv) = node.operation, node.inputs.count > 1, let input = node.inputs[0],
      let weight = node.inputs[1],
      let made = node.outputs[0], isFloat(input), isFloat(made), let from = shape(input), let to = shape(made),
      (3...4).contains(from.count), !from.contains(0), !to.contains(0), let numbers = parameters[weight],
      numbers.element == .f32, !numbers.isMissing,
      let window = try? WindowPlan(
        node.attributes, kernel: Array(numbers.shape.dropFirst(2)), extents: Array(from.dropFirst(2)),
        positions: Array(to.dropFirst(2))),
      window.before.allSatisfy({ $0 >= 0 })
    else { return false }
    var epilogue = epilogue
    if node.inputs.count > 2, let summand = node.inputs[2] {
      guard epilogue.bias == nil, isFloat(summand), shape(summand) == [to[1]] else { return false }
      epilogue.bias = summand
    }
    /// A list over the spatial axes as height and width.
    func pair(_ list: [Int], _ one: Int) -> (Int, Int) { list.count == 2 ? (list[0], list[1]) : (one, list[0]) }
    var sample = pk_convolution()
    (sample.height, sample.width) = pair(window.extents, 1)
    (sample.output_height, sample.output_width) = pair(window.positions, 1)
    (sample.kernel_height, sample.kernel_width) = pair(window.kernel, 1)
    (sample.stride_height, sample.stride_width) = pair(window.strides, 1)
    (sample.dilation_height, sample.dilation_width) = pair(window.dilations, 1)
    (sample.pad_top, sample.pad_left) = pair(window.before, 0)
    sample.channels = from[1]
    sample.output_channels = to[1]
    sample.groups = node.attributes.int(.group) ?? 1
    guard sample.groups > 0, from[1] == numbers.shape[1] * sample.groups, let source = image(input) else { return false }
    let result = fused.result ?? made
    var residual: ImagePlacement?
    if let summand = epilogue.residual {
      residual = image(summand)
      if residual == nil { return false }
    }
    let bias = epilogue.bias.flatMap { dense($0) }
    guard (bias == nil) == (epilogue.bias == nil), let target = writingImage(result) else { return false }
    let (function, first, second) = Self.kernelActivation(epilogue.activation)
    sample.input_pixel_stride = source.pixelStride
    sample.output_pixel_stride = target.pixelStride
    sample.epilogue = pk_epilogue(
      alpha: 1, bias: nil, bias_per_row: false, residual_after_activation: epilogue.isResidualAfterActivation, residual: nil,
      residual_row_stride: residual?.pixelStride ?? 0, activation: function, first: first, second: second)
    let packing = KernelParameters(sample)
    let packed = addConstant(numbers) {
      var sample = packing.value
      return TensorData(count: pk_packed_convolution_size(&sample) * 4) { target in
        Self.withFloats(numbers) { pk_pack_convolution(&sample, $0, target.baseAddress?.assumingMemoryBound(to: Float.self)) }
      }
    }
    needScratch(floats: pk_convolution_scratch_size(&sample))
    let panels = pk_convolution_panel_count(&sample)
    let pixels = window.positionCount
    let work = Double(pixels) * Double(to[1]) * Double(numbers.shape.dropFirst().reduce(1, *))
    let tasks = Self.pieces(
      pixels: pixels, row: sample.output_width, panels: panels, work: work, threads: threads, images: from[0])
    let prepared = KernelParameters(sample)
    let images = from[0]
    let addend = residual
    add(fused) { frame in
      let (input, output) = (frame.floats(source.operand), frame.floats(target.operand))
      let summand = addend.map { frame.floats($0.operand) }
      let bias = bias.map { UnsafePointer(frame.floats($0)) }
      let weights = UnsafePointer(frame.floats(packed))
      frame.pool.run(images * tasks.count) { index, worker in
        let (image, task) = (index / tasks.count, tasks[index % tasks.count])
        var problem = prepared.value
        problem.input = UnsafePointer(input + image * source.imageStride)
        problem.output = output + image * target.imageStride
        problem.packed_weights = weights
        problem.epilogue.bias = bias
        if let addend, let summand { problem.epilogue.residual = UnsafePointer(summand + image * addend.imageStride) }
        pk_convolution_run(
          &problem, task.pixels.lowerBound, task.pixels.upperBound, task.panels.lowerBound, task.panels.upperBound,
          frame.scratch(worker))
      }
    }
    return true
  }

  /// Pieces of one image's result to share out: whole rows of pixels, or panels of channels where there are few pixels.
  private static func pieces(
    pixels: Int, row: Int, panels: Int, work: Double, threads: Int, images: Int
  ) -> [(pixels: Range<Int>, panels: Range<Int>)] {
    let wanted = threads == 1 ? 1 : min(threads * 4, max(1, Int(work / 100_000)))
    if wanted == 1 || images >= threads * 4 { return [(0..<pixels, 0..<panels)] }
    if pixels >= 48 * wanted || pixels >= panels * 16 {
      // Of one axis, or of long rows, parts of rows will do.
      let unit = row <= pixels / wanted ? row : 48
      let step = max(unit, (pixels / wanted + unit - 1) / unit * unit)
      return stride(from: 0, to: pixels, by: step).map { ($0..<min($0 + step, pixels), 0..<panels) }
    }
    let step = max(1, (panels + wanted - 1) / wanted)
    return stride(from: 0, to: panels, by: step).map { (0..<pixels, $0..<min($0 + step, panels)) }
  }

  /// Maxima and averages over windows of f32 numbers.
  mutating func bindPooling(_ pooling: Pooling, _ node: Node, _ fused: FusedStep) -> Bool {
    guard let input = node.inputs[0], let output = node.outputs[0], node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      isFloat(input), isFloat(output), let from = shape(input), let to = shape(output), !from.contains(0), !to.contains(0)
    else { return false }
    let kind: pk_pooling_kind
    switch pooling {
    case .maxPool: kind = PK_POOLING_MAX
    case .averagePool: kind = PK_POOLING_AVERAGE
    case .globalAveragePool:
      return reduce(input, axes: Array(from.indices.dropFirst(2)), PK_REDUCTION_MEAN, to: output, fused)
    case .globalMaxPool: return reduce(input, axes: Array(from.indices.dropFirst(2)), PK_REDUCTION_MAXIMUM, to: output, fused)
    case .affineGrid, .dft, .globalLpPool, .gridSample, .lpPool, .maxRoiPool, .maxUnpool, .resize, .roiAlign, .stft, .upsample,
      .quantisedAveragePool, .quantisedGlobalAveragePool:
      return false
    }
    guard (3...4).contains(from.count), let kernel = node.attributes.ints(.kernelShape),
      let window = try? WindowPlan(
        node.attributes, kernel: kernel, extents: Array(from.dropFirst(2)), positions: Array(to.dropFirst(2))),
      (window.before + window.after).allSatisfy({ $0 >= 0 }), let source = image(input), let target = writingImage(output)
    else { return false }
    func pair(_ list: [Int], _ one: Int) -> (Int, Int) { list.count == 2 ? (list[0], list[1]) : (one, list[0]) }
    var sample = pk_pooling()
    sample.kind = kind
    sample.counts_padding = node.attributes.flag(.countIncludePad)
    sample.channels = from[1]
    (sample.height, sample.width) = pair(window.extents, 1)
    (sample.output_height, sample.output_width) = pair(window.positions, 1)
    (sample.kernel_height, sample.kernel_width) = pair(window.kernel, 1)
    (sample.stride_height, sample.stride_width) = pair(window.strides, 1)
    (sample.dilation_height, sample.dilation_width) = pair(window.dilations, 1)
    (sample.pad_top, sample.pad_left) = pair(window.before, 0)
    (sample.pad_bottom, sample.pad_right) = pair(window.after, 0)
    sample.input_pixel_stride = source.pixelStride
    sample.output_pixel_stride = target.pixelStride
    let prepared = KernelParameters(sample)
    let (images, pixels) = (from[0], window.positionCount)
    let tasks = max(1, min(pixels, threads * 4, pixels * from[1] * window.points / 20_000))
    add(fused) { frame in
      let (input, output) = (frame.floats(source.operand), frame.floats(target.operand))
      frame.pool.run(images * tasks) { index, _ in
        let (image, task) = (index / tasks, index % tasks)
        var problem = prepared.value
        problem.input = UnsafePointer(input + image * source.imageStride)
        problem.output = output + image * target.imageStride
        pk_pooling_run(&problem, pixels * task / tasks, pixels * (task + 1) / tasks)
      }
    }
    return true
  }
}
