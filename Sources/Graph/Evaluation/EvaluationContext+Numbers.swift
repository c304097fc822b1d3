extension EvaluationContext {
  /// An operand's numbers as real ones; throws where it is missing.
  func reals(_ index: Int) throws(Diagnostic) -> [Double] { try input(index).reals }

  /// An operand's numbers as whole ones; throws where it is missing.
  func wholes(_ index: Int) throws(Diagnostic) -> [Int] { try input(index).wholes }

  /// The only number of an operand; `default` where it is left out, a failure where it holds another count of numbers.
  func realScalar(_ index: Int, default value: Double) throws(Diagnostic) -> Double {
    guard let tensor = optional(index) else { return value }
    guard let number = tensor.scalarReal else { throw failure("operand \(index) holds \(tensor.count) numbers, one is expected") }
    return number
  }

  /// Gives a result its numbers, in the type and shape that were inferred.
  mutating func setReals(_ reals: [Double], at index: Int = 0) throws(Diagnostic) {
    guard isWanted(index) else { return }
    let (element, shape) = (try outputElement(index), try outputShape(index))
    try require(reals.count, fit: shape, index)
    set(index, Tensor(reals: reals, element, shape))
  }

  /// Gives a result its whole numbers, in the type and shape that were inferred.
  mutating func setWholes(_ wholes: [Int], at index: Int = 0) throws(Diagnostic) {
    guard isWanted(index) else { return }
    let (element, shape) = (try outputElement(index), try outputShape(index))
    try require(wholes.count, fit: shape, index)
    set(index, Tensor(wholes: wholes, element, shape))
  }

  private func require(_ count: Int, fit shape: [Int], _ index: Int) throws(Diagnostic) {
    guard Tensor.count(shape) == count else { throw failure("result \(index) of shape \(shape) does not hold \(count) numbers") }
  }

  /// Throws unless a shape broadcasts to `target` without changing it. `what` names the tensor: `the mask`.
  func requireBroadcast(_ shape: [Int], to target: [Int], _ what: String) throws(Diagnostic) {
    let fits = shape.count <= target.count && zip(shape.reversed(), target.reversed()).allSatisfy { $0 == 1 || $0 == $1 }
    guard fits else { throw failure("\(what) of shape \(shape) does not broadcast to \(target)") }
  }

  /// An operand's real numbers broadcast to a shape; throws where they do not fit. `what` names the tensor: `the mask`.
  func broadcastReals(_ index: Int, to target: [Int], _ what: String) throws(Diagnostic) -> [Double] {
    let tensor = try input(index)
    try requireBroadcast(tensor.shape, to: target, what)
    return tensor.broadcast(to: target).reals
  }

  /// An operand's numbers where it is given, as many as expected. `what` names the tensor: `the bias`.
  func reals(_ index: Int, count: Int, _ what: String) throws(Diagnostic) -> [Double]? {
    guard let tensor = optional(index) else { return nil }
    guard tensor.count == count else { throw failure("\(what) holds \(tensor.count) numbers where \(count) are expected") }
    return tensor.reals
  }
}
