/// x Wᵀ + b over the last axis. The weight is [outputs, inputs].
public struct Linear: Layer {
  /// [outputs, inputs].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?

  /// Filled as PyTorch fills it.
  public init(_ inputs: Int, _ outputs: Int, bias: Bool = true) {
    weight = Parameter([outputs, inputs], .scaled(inputs: inputs))
    self.bias = bias ? Parameter([outputs], .scaled(inputs: inputs)) : nil
  }

  /// [..., inputs] to [..., outputs].
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    x.linear(weight.tensor, bias?.tensor, file: file, line: line)
  }
}

/// A table of vectors, looked up by index.
public struct Embedding: Layer {
  /// [count, size].
  public let weight: Parameter

  /// A table of `count` vectors, normally distributed.
  public init(_ count: Int, _ size: Int, deviation: Double = 1) {
    weight = Parameter([count, size], .normal(deviation: deviation))
  }

  /// Whole numbers [...] to vectors [..., size].
  public func callAsFunction(_ indices: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    indices.embedded(in: weight.tensor, file: file, line: line)
  }
}

/// Normalises the last axis to mean 0 and variance 1, then scales and shifts it.
public struct LayerNorm: Layer {
  /// [size].
  public let weight: Parameter
  /// [size].
  public let bias: Parameter?
  let epsilon: Double

  /// Over vectors of a size.
  public init(_ size: Int, epsilon: Double = 1e-5, bias: Bool = true) {
    weight = Parameter([size], .ones)
    self.bias = bias ? Parameter([size], .zeros) : nil
    self.epsilon = epsilon
  }

  /// [..., size] to the same shape.
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    x.layerNorm(weight.tensor, bias?.tensor, epsilon: epsilon, file: file, line: line)
  }
}

/// Divides the last axis by its root mean square, then scales it.
public struct RMSNorm: Layer {
  /// [size].
  public let weight: Parameter
  let epsilon: Double
  let isOffset: Bool

  /// Over vectors of a size. With `offset` the stored numbers are the scale less 1, as in Gemma.
  public init(_ size: Int, epsilon: Double = 1e-6, offset: Bool = false) {
    weight = Parameter([size], offset ? .zeros : .ones)
    self.epsilon = epsilon
    isOffset = offset
  }

  /// [..., size] to the same shape.
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    x.rmsNorm(isOffset ? weight.tensor + 1 : weight.tensor, epsilon: epsilon, file: file, line: line)
  }
}

/// Normalises each channel of [batch, channels, ...] by stored means and variances.
public struct BatchNorm: Layer {
  /// [channels].
  public let weight: Parameter
  /// [channels].
  public let bias: Parameter
  /// Means, [channels].
  public let runningMean: Parameter
  /// Variances, [channels].
  public let runningVariance: Parameter
  let epsilon: Double

  /// PyTorch's names of the stored statistics.
  public static let names = ["runningMean": "running_mean", "runningVariance": "running_var"]
  /// PyTorch counts batches, which changes nothing.
  public static let ignored = ["num_batches_tracked"]

  /// Over a number of channels.
  public init(_ channels: Int, epsilon: Double = 1e-5) {
    weight = Parameter([channels], .ones)
    bias = Parameter([channels], .zeros)
    runningMean = Parameter([channels], .zeros)
    runningVariance = Parameter([channels], .ones)
    self.epsilon = epsilon
  }

  /// [batch, channels, ...] to the same shape.
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    x.batchNorm(
      scale: weight.tensor, bias: bias.tensor, mean: runningMean.tensor, variance: runningVariance.tensor, epsilon: epsilon,
      file: file, line: line)
  }
}

/// Normalises equally large groups of channels of [batch, channels, ...].
public struct GroupNorm: Layer {
  /// [channels].
  public let weight: Parameter
  /// [channels].
  public let bias: Parameter
  let groups: Int
  let epsilon: Double

  /// `groups` groups of `channels` channels.
  public init(_ groups: Int, _ channels: Int, epsilon: Double = 1e-5) {
    weight = Parameter([channels], .ones)
    bias = Parameter([channels], .zeros)
    self.groups = groups
    self.epsilon = epsilon
  }

  /// [batch, channels, ...] to the same shape.
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    x.groupNorm(groups: groups, scale: weight.tensor, bias: bias.tensor, epsilon: epsilon, file: file, line: line)
  }
}

/// Convolution over one or two spatial axes. The weight is [outputs, inputs / groups, kernel…].
public struct Convolution: Layer {
  /// [outputs, inputs / groups, kernel…].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride: Int
  let padding: Int
  let dilation: Int
  let groups: Int

  /// A square kernel, and the same stride, padding and dilation on each of the spatial axes.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
    bias: Bool = true, axes: Int = 2
  ) {
    let fan = inputs / max(groups, 1)
    let window = Array(repeating: kernel, count: axes)
    let reads = window.reduce(fan) { $0.multipliedReportingOverflow(by: $1).partialValue }
    weight = Parameter([outputs, fan] + window, .scaled(inputs: reads))
    self.bias = bias ? Parameter([outputs], .scaled(inputs: reads)) : nil
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// [batch, inputs, ...] to [batch, outputs, ...].
  public func callAsFunction(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let axes = max(weight.shape.count - 2, 0)
    func each(_ number: Int) -> [Int] { Array(repeating: number, count: axes) }
    return x.convolved(
      weight.tensor, bias?.tensor, stride: each(stride), padding: each(padding), dilation: each(dilation), groups: groups,
      file: file, line: line)
  }
}
