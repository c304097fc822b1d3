import Graph

/// Products.
extension Tensor {
  /// Matrix product of the last two axes; the axes before them broadcast.
  public func matmul(_ other: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.matrixProduct(.matMul), [other], [], Site(file, line))
  }

  /// x Wᵀ + b over the last axis, for a weight of shape [out, in] and a bias of [out].
  public func linear(
    _ weight: Tensor, _ bias: Tensor? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line, path: builder.path(of: weight))
    let product: Tensor
    if rank == 2 {
      return builder.node(
        .matrixProduct(.gemm), [self, weight] + (bias.map { [$0] } ?? []), [.init(.transB, .int(1))], site)
    }
    product = made(
      .matrixProduct(.matMul), [weight.made(.reshaping(.transpose), [], [.init(.perm, .ints([1, 0]))], site)], [], site)
    return bias.map { product.made(.elementwise(.add), [$0], [], site) } ?? product
  }

  /// Convolution over the axes after [batch, channels], for a weight of shape [out, in / groups, kernel…]. `padding` goes to both ends.
  public func convolved(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: [Int], padding: [Int], dilation: [Int]? = nil, groups: Int = 1,
    file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    var attributes: [Attributes.Entry] = []
    if let dilation, dilation.contains(where: { $0 != 1 }) { attributes.append(.init(.dilations, .ints(dilation))) }
    if groups != 1 { attributes.append(.init(.group, .int(groups))) }
    if let kernel = weight.type.staticShape?.dropFirst(2), !kernel.isEmpty {
      attributes.append(.init(.kernelShape, .ints(Array(kernel))))
    }
    attributes.append(.init(.pads, .ints(padding + padding)))
    attributes.append(.init(.strides, .ints(stride)))
    return builder.node(
      .convolution(.conv), [self, weight] + (bias.map { [$0] } ?? []), attributes,
      Site(file, line, path: builder.path(of: weight)))
  }

  /// The largest number of every window over the axes after [batch, channels].
  public func maxPooled(
    _ kernel: [Int], stride: [Int]? = nil, padding: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    made(.pooling(.maxPool), [], Self.window(kernel, stride, padding), Site(file, line))
  }

  /// The mean of every window over the axes after [batch, channels]; pads count as zeros.
  public func averagePooled(
    _ kernel: [Int], stride: [Int]? = nil, padding: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    made(
      .pooling(.averagePool), [], Self.window(kernel, stride, padding) + [.init(.countIncludePad, .int(1))], Site(file, line))
  }

  /// The mean over all axes after [batch, channels], which become 1 long.
  public func globalAveragePooled(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.pooling(.globalAveragePool), [], [], Site(file, line))
  }

  private static func window(_ kernel: [Int], _ stride: [Int]?, _ padding: [Int]?) -> [Attributes.Entry] {
    var entries: [Attributes.Entry] = [.init(.kernelShape, .ints(kernel))]
    if let padding { entries.append(.init(.pads, .ints(padding + padding))) }
    entries.append(.init(.strides, .ints(stride ?? kernel)))
    return entries
  }
}

/// Reductions, norms and softmax.
extension Tensor {
  private func reduced(
    _ operation: Reduction, _ axes: [Int], _ keep: Bool, _ file: StaticString, _ line: UInt, path: String? = nil
  ) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line, path: path)
    return made(
      .reduction(operation), [builder.constant(wholes: axes, [axes.count], site)],
      keep ? [] : [.init(.keepDims, .int(0))], site)
  }

  /// The sum over axes, which go, or are 1 long where `keepingAxes` says so.
  public func sum(
    _ axes: [Int], keepingAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor { reduced(.reduceSum, axes, keepingAxes, file, line) }

  /// The mean over axes.
  public func mean(
    _ axes: [Int], keepingAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor { reduced(.reduceMean, axes, keepingAxes, file, line) }

  /// The largest number over axes.
  public func max(
    _ axes: [Int], keepingAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor { reduced(.reduceMax, axes, keepingAxes, file, line) }

  /// The smallest number over axes.
  public func min(
    _ axes: [Int], keepingAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor { reduced(.reduceMin, axes, keepingAxes, file, line) }

  /// The Euclidean norm over axes.
  public func norm(
    _ axes: [Int], keepingAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor { reduced(.reduceL2, axes, keepingAxes, file, line) }

  /// e^x divided by its sum over an axis.
  public func softmax(axis: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.normalisation(.softmax), [], [.init(.axis, .int(axis))], Site(file, line))
  }

  /// Less the mean and divided by the standard deviation of the last axes, as many as `scale` has; then times scale plus bias.
  public func layerNorm(
    _ scale: Tensor, _ bias: Tensor? = nil, epsilon: Double = 1e-5, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    builder.node(
      .normalisation(.layerNorm), [self, scale] + (bias.map { [$0] } ?? []),
      [.init(.axis, .int(-Swift.max(scale.rank, 1))), .init(.epsilon, .float(Float(epsilon)))],
      Site(file, line, path: builder.path(of: scale)))
  }

  /// Divided by the root of the mean square of the last axis, times scale (Zhang and Sennrich 2019).
  public func rmsNorm(
    _ scale: Tensor, epsilon: Double = 1e-6, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line, path: builder.path(of: scale))
    let square = made(.elementwise(.pow), [scalar(2, site)], [], site)
    let mean = square.reduced(.reduceMean, [-1], true, file, line, path: site.path)
    let root = mean.made(.elementwise(.add), [mean.scalar(epsilon, site)], [], site)
      .made(.elementwise(.sqrt), [], [], site).made(.elementwise(.reciprocal), [], [], site)
    return scale.made(.elementwise(.mul), [made(.elementwise(.mul), [root], [], site)], [], site)
  }

  /// Per channel, axis 1: less the stored mean, divided by the root of the stored variance, times scale plus bias.
  public func batchNorm(
    scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: Double = 1e-5, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    builder.node(
      .normalisation(.batchNorm), [self, scale, bias, mean, variance], [.init(.epsilon, .float(Float(epsilon)))],
      Site(file, line, path: builder.path(of: scale)))
  }

  /// Over each of equally large groups of channels (axis 1) and all axes after: less the mean, divided by the standard deviation; then
  /// per channel times scale plus bias (Wu and He 2018).
  public func groupNorm(
    groups: Int, scale: Tensor, bias: Tensor, epsilon: Double = 1e-5, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    builder.node(
      .normalisation(.groupNorm), [self, scale, bias],
      [.init(.epsilon, .float(Float(epsilon))), .init(.numGroups, .int(groups))],
      Site(file, line, path: builder.path(of: scale)))
  }

  /// softmax(q kᵀ · scale + mask) v over the last two axes [positions, size]; the scale is 1/√size unless given. A mask of truth values
  /// says which keys each query sees; one of numbers is added to the scores.
  public func attention(
    keys: Tensor, values: Tensor, mask: Tensor? = nil, scale: Double? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    guard value != nil else { return self }
    let site = Site(file, line)
    guard let factor = scale ?? shape[-1].constant.map({ 1 / Double($0).squareRoot() }) else {
      builder.fail("attention: the size of a head must be a fixed number, \(type) has \(shape[-1])", site)
      return poisoned(site)
    }
    let product = matmul(keys.transposed(file: file, line: line), file: file, line: line)
    var scores = product.made(.elementwise(.mul), [product.scalar(factor, site)], [], site)
    if let mask {
      // The lowest f32 rather than −∞: a query that sees nothing gives the mean, not NaN.
      scores =
        mask.element == .bool
        ? mask.choose(scores, else: -Double(Float.greatestFiniteMagnitude), file: file, line: line)
        : scores.made(.elementwise(.add), [mask], [], site)
    }
    return scores.softmax(file: file, line: line).matmul(values, file: file, line: line)
  }
}
