extension EvaluationContext {
  /// An operand whose numbers can be computed with; throws where it is missing or of a complex type.
  func numbers(_ index: Int) throws(Diagnostic) -> Tensor {
    let tensor = try input(index)
    try requireNumbers(tensor.element)
    return tensor
  }

  /// Throws for types that are neither real nor whole numbers nor truth values.
  func requireNumbers(_ element: ElementType) throws(Diagnostic) {
    guard element.isFloat || element.isInteger || element == .bool else {
      throw unsupported("numbers of type \(element.rawValue) cannot be computed with")
    }
  }

  /// Throws where one of the operands is given and holds no whole numbers of at most 32 bits.
  func requireWholes(_ operands: Range<Int>) throws(Diagnostic) {
    for index in operands {
      guard let element = optional(index)?.element else { continue }
      guard element.isInteger, (element.bits ?? 64) <= 32 else {
        throw failure("operand \(index) is of type \(element.rawValue); whole numbers of at most 32 bits are expected")
      }
    }
  }

  /// The one number of an operand, nil where the operand is left out; throws where it holds another number of them.
  func whole(_ index: Int, _ what: String) throws(Diagnostic) -> Int? {
    guard let tensor = optional(index) else { return nil }
    guard let number = tensor.scalarWhole else { throw failure("\(what) holds \(tensor.count) numbers where one is expected") }
    return number
  }

  /// The one number of an operand, nil where the operand is left out; throws where it holds another number of them.
  func real(_ index: Int, _ what: String) throws(Diagnostic) -> Double? {
    guard let tensor = optional(index) else { return nil }
    guard let number = tensor.scalarReal else { throw failure("\(what) holds \(tensor.count) numbers where one is expected") }
    return number
  }

  /// A real attribute.
  func real(_ name: AttributeName, default value: Double) -> Double { attributes.float(name).map(Double.init) ?? value }

  /// The random numbers of this node: the run's own, or those of the node's `seed`.
  func generator() -> SplitMix {
    if let seed = attributes.float(.seed) { return SplitMix(seed: UInt64(seed.bitPattern)) }
    if let seed = attributes.int(.seed) { return SplitMix(seed: UInt64(bitPattern: Int64(seed))) }
    return random
  }

  /// An index read from a tensor, counted from the front; throws where it is outside the axis.
  func position(_ index: Int, of extent: Int, axis: Int) throws(Diagnostic) -> Int {
    let positive = index < 0 ? index &+ extent : index
    guard positive >= 0, positive < extent else { throw failure("index \(index) is outside axis \(axis) of extent \(extent)") }
    return positive
  }
}
