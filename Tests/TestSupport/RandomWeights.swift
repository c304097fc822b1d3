import Graph

/// Numbers for models that are written as text, without their weights.
public enum RandomWeights {
  /// The module with numbers for every parameter that has none: matrices are normally distributed around 0, vectors and single numbers
  /// lie between 0.5 and 1.5, so that they can be variances and scales; whole numbers are small.
  public static func filling(_ module: Module, seed: UInt64) -> Module {
    var module = module
    var random = SplitMix(seed: seed &+ 0x7765_6967)
    for index in module.parameters.indices where module.parameters[index].content.isMissing {
      let content = module.parameters[index].content
      let (count, isVector) = (content.elementCount, content.shape.count < 2)
      let tensor =
        if content.element.isFloat {
          Tensor(
            reals: (0..<count).map { _ in isVector ? 0.5 + random.unit() : 0.5 * random.normal() },
            content.element,
            content.shape)
        } else if content.element == .bool {
          Tensor(truths: (0..<count).map { _ in random.unit() < 0.5 }, content.shape)
        } else {
          Tensor(wholes: (0..<count).map { _ in Int(random.next() % 5) }, content.element, content.shape)
        }
      module.parameters[index].content = TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)
    }
    return module
  }
}
