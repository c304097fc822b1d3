import Graph

/// A consumer of groups: a linear layer or a convolution whose weight can be fitted anew to what is left of its inputs.
///
///     %h : f32[b, 1536]                      group `hidden` on the contracted axis: 1536 columns
///     %y = matmul %h, %w                     the site
///     %z = add %y, %bias                     its bias
///     %s = add %z, %stream                   its sum: where its error is counted, as the norm after it sees it
struct Site {
  /// How rows are made of the input.
  enum Geometry {
    /// Each vector along the last axis is a row.
    case lastAxis
    /// Each place of the window is a row of channels times window; one matrix for each of so many groups of channels.
    case window(kernel: [Int], groups: Int)
    /// Each place of an image is a row of channels, one matrix for each group of them; its results, channels times window, are added into the
    /// image that is made, so many (`overlap`, on average) at each place of that: a transposed convolution.
    case scattered(groups: Int, window: Int, overlap: Double)
  }

  /// Where the constant part of the result stands.
  enum Bias {
    /// One number for each result, added.
    case parameter(ValueID)
    /// The mean of a batch norm that follows, subtracted.
    case mean(ValueID)
    /// Nowhere, so that nothing can be added.
    case none
  }

  /// How an error of the sum is counted.
  enum Metric {
    /// Each vector of the sum over its standard deviation, times the gain of a norm that reads it alone, where there is one.
    case normalised(gain: [Double]?)
    /// All of the sum over its standard deviation.
    case whole
  }

  /// Index of the node.
  let node: Int
  /// What it contracts.
  let data: ValueID
  let geometry: Geometry
  let weight: WeightView
  /// What it makes.
  let result: ValueID
  let bias: Bias
  /// What the result becomes without anything but constants, or the residual sum it goes into.
  let sum: ValueID
  /// What each result is multiplied with on its way to the sum; nil for ones.
  let gain: [Double]?
  let metric: Metric
  /// Groups on the contracted axis.
  let groups: [Int]

  /// Numbers in a row.
  var columns: Int { weight.columns }
  /// Results of a row.
  var outputs: Int { weight.outputs }
  /// How many matrices there are: groups of channels.
  var blocks: Int { weight.blocks }
  /// True where results of one row are added to those of others.
  var isScattered: Bool {
    switch geometry {
    case .lastAxis, .window: false
    case .scattered: true
    }
  }

  /// What a constant part of each row's results comes to, per number of the bias.
  func shares(_ constant: [Double]) -> [Double] {
    switch geometry {
    case .lastAxis, .window: return constant
    case .scattered(_, let window, let overlap):
      return stride(from: 0, to: constant.count, by: window).map { start in
        constant[start..<start + window].reduce(0, +) / Double(window) * overlap
      }
    }
  }

  /// The same site, its error counted at the result itself.
  var observedAtResult: Site {
    Site(
      node: node, data: data, geometry: geometry, weight: weight, result: result, bias: bias, sum: result, gain: nil,
      metric: .whole,
      groups: groups)
  }
}

/// The weight of a site as matrices, wherever its numbers lie: `blocks` matrices of columns × outputs.
struct WeightView {
  let parameter: ValueID
  let blocks: Int
  let columns: Int
  let outputs: Int
  /// Distances in numbers.
  let blockStride: Int
  let columnStride: Int
  let outputStride: Int

  /// The numbers of one matrix; nil where the parameter has none.
  func matrix(_ tensor: Tensor, block: Int) -> Matrix {
    let reals = tensor.reals
    let matrix = Matrix(columns, outputs)
    for column in 0..<columns {
      for output in 0..<outputs {
        matrix[column, output] = reals[block * blockStride + column * columnStride + output * outputStride]
      }
    }
    return matrix
  }

  /// Writes one matrix over the numbers of the parameter.
  func write(_ matrix: Matrix, block: Int, to reals: inout [Double]) {
    for column in 0..<columns {
      for output in 0..<outputs {
        reals[block * blockStride + column * columnStride + output * outputStride] = matrix[column, output]
      }
    }
  }
}
