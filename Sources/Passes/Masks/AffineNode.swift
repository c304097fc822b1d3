import Graph

/// A convolution or linear layer with stored weights: result channel o is the sum over input channels i of weight(o, i, tap) times what
/// stands at the tap, plus a bias.
struct AffineNode {
  /// What flows in, and which of its axes is contracted.
  let data: ValueID
  let dataAxis: Int
  /// The weight, and which of its axes are contracted and made.
  let weight: ValueID
  let tensor: Tensor
  let inputAxis: Int
  let outputAxis: Int
  /// The axis of the result that the channels made stand on.
  let resultAxis: Int
  /// Groups of a convolution; 1 for linear layers.
  let blocks: Int
  /// Input channels per group.
  let inputs: Int
  /// Result channels.
  let outputs: Int
  /// Places of the window.
  let taps: Int
  private let inputStride: Int
  private let outputStride: Int
  /// What the sum is multiplied by.
  let scale: Double
  /// The operand that is added, and what it is multiplied by.
  let bias: (operand: Int, scale: Double)?
  /// True where a constant input gives the same everywhere: no window reaches over the border.
  let keepsConstants: Bool

  /// A matrix product with a stored matrix on its right.
  init?(_ node: Node, _ contraction: Contraction, weight tensor: Tensor, dataRank: Int) {
    guard contraction.isLinear, contraction.factors.count == 2, tensor.rank == 2, let data = node.inputs[0],
      let weight = node.inputs[1], let inputAxis = contraction.factors[1].firstIndex(where: { !contraction.result.contains($0) }),
      let dataAxis = contraction.factors[0].firstIndex(of: contraction.factors[1][inputAxis]), dataAxis < dataRank,
      let resultAxis = contraction.result.firstIndex(of: contraction.factors[1][1 - inputAxis])
    else { return nil }
    self.data = data
    self.dataAxis = dataAxis
    self.weight = weight
    self.tensor = tensor
    self.inputAxis = inputAxis
    outputAxis = 1 - inputAxis
    self.resultAxis = resultAxis
    blocks = 1
    inputs = tensor.shape[inputAxis]
    outputs = tensor.shape[1 - inputAxis]
    taps = 1
    inputStride = inputAxis == 0 ? tensor.shape[1] : 1
    outputStride = inputAxis == 0 ? 1 : tensor.shape[1]
    scale = contraction.scale
    bias = contraction.bias
    keepsConstants = true
  }

  /// A plain convolution.
  init?(convolution node: Node, weight tensor: Tensor) {
    let blocks = node.attributes.int(.group) ?? 1
    guard tensor.rank >= 3, blocks >= 1, tensor.shape[0].isMultiple(of: blocks), let data = node.inputs[0],
      let weight = node.inputs[1]
    else { return nil }
    self.data = data
    dataAxis = 1
    self.weight = weight
    self.tensor = tensor
    inputAxis = 1
    outputAxis = 0
    resultAxis = 1
    self.blocks = blocks
    inputs = tensor.shape[1]
    outputs = tensor.shape[0]
    taps = tensor.shape[2...].reduce(1, *)
    inputStride = taps
    outputStride = inputs * taps
    scale = 1
    bias = (2, 1)
    keepsConstants = ZeroAnalysis.isUnpadded(node.attributes)
  }

  /// The first input channel that a result channel reads.
  func firstInput(of output: Int) -> Int { outputs == 0 ? 0 : output / (outputs / blocks) * inputs }

  /// Sum over the window of the weight between an input channel (counted inside its group) and a result channel.
  func sum(_ number: (Int) -> Double, output: Int, input: Int) -> Double {
    let start = output * outputStride + input * inputStride
    return (0..<taps).reduce(0) { $0 + number(start + $1) }
  }

  /// True where the weight between two channels is zero at every place of the window.
  func isZero(_ number: (Int) -> Double, output: Int, input: Int) -> Bool {
    let start = output * outputStride + input * inputStride
    return (0..<taps).allSatisfy { number(start + $0) == 0 }
  }
}
