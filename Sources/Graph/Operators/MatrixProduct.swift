/// Contracts an axis of one operand with an axis of another.
public enum MatrixProduct: String, CaseIterable, Sendable, Hashable {
  case einsum = "Einsum"
  case gemm = "Gemm"
  case matMul = "MatMul"
  case matMulInteger = "MatMulInteger"
  case quantisedMatMul = "QLinearMatMul"
  case fusedMatMul = "com.microsoft.FusedMatMul"
  case matMulNBits = "com.microsoft.MatMulNBits"
  case fusedGemm = "com.microsoft.FusedGemm"
  case quantisedGemm = "com.microsoft.QGemm"
  case dynamicMatMul = "com.microsoft.DynamicQuantizeMatMul"
  case integerToFloat = "com.microsoft.MatMulIntegerToFloat"
}

extension MatrixProduct: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature {
    switch self {
    case .einsum: Signature(1...Signature.many)
    case .gemm, .fusedGemm: Signature(2...3)
    case .matMul, .fusedMatMul: Signature(2)
    case .matMulInteger: Signature(2...4)
    case .quantisedMatMul: Signature(8)
    case .matMulNBits: Signature(3...6)
    case .quantisedGemm: Signature(6...9)
    case .dynamicMatMul: Signature(3...5)
    case .integerToFloat: Signature(4...7)
    }
  }

  /// Types of the results. Contracted extents must be equal where both are numbers.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    switch self {
    case .einsum: try Self.inferEinsum(&context)
    case .gemm, .fusedGemm:
      let (rows, columns) = try Self.gemmExtents(try context.type(0), try context.type(1), context)
      if let bias = context.optionalType(2) { try context.requireBroadcast(bias.shape, to: [rows, columns], "the bias") }
      context.set(0, try context.sharedElement(operands: 0...2), [rows, columns])
    case .matMul:
      let element = try context.sharedElement(operands: 0...1)
      context.set(0, element, try Self.product(try context.type(0).shape, try context.type(1).shape, context))
    case .matMulInteger:
      context.set(0, .i32, try Self.product(try context.type(0).shape, try context.type(1).shape, context))
    case .quantisedMatMul:
      let shape = try Self.product(try context.type(0).shape, try context.type(3).shape, context)
      context.set(0, try context.type(7).element, shape)
    case .fusedMatMul:
      let attributes = context.attributes
      let a = Self.transposed(try context.type(0).shape, batch: attributes.flag(.transBatchA), matrix: attributes.flag(.transA))
      let b = Self.transposed(try context.type(1).shape, batch: attributes.flag(.transBatchB), matrix: attributes.flag(.transB))
      context.set(0, try context.sharedElement(operands: 0...1), try Self.product(a, b, context))
    case .matMulNBits: try Self.inferMatMulNBits(&context)
    case .quantisedGemm:
      let (rows, columns) = try Self.gemmExtents(try context.type(0), try context.type(3), context)
      if let bias = context.optionalType(6) { try context.requireBroadcast(bias.shape, to: [rows, columns], "the bias") }
      // Without a zero point of its own the result is real.
      context.set(0, context.optionalType(8)?.element ?? .f32, [rows, columns])
    case .dynamicMatMul, .integerToFloat:
      let shape = try Self.product(try context.type(0).shape, try context.type(1).shape, context)
      let bias = context.optionalType(self == .dynamicMatMul ? 4 : 6)
      if let bias { try context.requireBroadcast(bias.shape, to: shape, "the bias") }
      context.set(0, .f32, shape)
    }
  }

  /// The shape of numpy's `matmul`: the last axis of `a` meets the last but one of `b`; axes before those broadcast; a list counts as a
  /// row on the left, as a column on the right, and that axis is gone from the result.
  static func product(_ a: [Extent], _ b: [Extent], _ context: InferenceContext) throws(Diagnostic) -> [Extent] {
    guard let inner = a.last, let last = b.last else {
      throw context.failure("a scalar cannot be an operand of a matrix product")
    }
    let outer = b.count > 1 ? b[b.count - 2] : last
    try context.agree(inner, outer) {
      "the left operand contracts \($0) numbers, the right one \($1): shapes \(InferenceContext.text(a)) and \(InferenceContext.text(b))"
    }
    let batch = try context.broadcast(Array(a.dropLast(2)), Array(b.dropLast(2)))
    return batch + (a.count > 1 ? [a[a.count - 2]] : []) + (b.count > 1 ? [last] : [])
  }

  /// The shape of an operand of FusedMatMul after its transpositions: `batch` moves the first axis behind the other batch axes,
  /// `matrix` then exchanges the last two.
  static func transposed(_ shape: [Extent], batch: Bool, matrix: Bool) -> [Extent] {
    guard shape.count > 1 else { return shape }
    var result = shape
    if batch && shape.count > 2 { result.insert(result.remove(at: 0), at: shape.count - 2) }
    if matrix { result.swapAt(shape.count - 2, shape.count - 1) }
    return result
  }

  /// Rows and columns of the product of two matrices, each perhaps transposed.
  private static func gemmExtents(
    _ a: TensorType, _ b: TensorType, _ context: InferenceContext
  ) throws(Diagnostic) -> (Extent, Extent) {
    try context.require(rank: 2, of: a, "the left operand")
    try context.require(rank: 2, of: b, "the right operand")
    let (rows, left) = context.attributes.flag(.transA) ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
    let (right, columns) = context.attributes.flag(.transB) ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    try context.agree(left, right) { "the left operand contracts \($0) numbers, the right one \($1): \(a) and \(b)" }
    return (rows, columns)
  }

  private static func inferMatMulNBits(_ context: inout InferenceContext) throws(Diagnostic) {
    let data = try context.type(0)
    try context.require(rankAtLeast: 1, of: data, "the input")
    guard let contracted = context.attributes.int(.packedContracted), let columns = context.attributes.int(.packedResults) else {
      throw context.failure("the attributes K and N are missing")
    }
    let bits = context.attributes.int(.bits) ?? 4
    let size = context.attributes.int(.blockSize) ?? 32
    try context.require((1...8).contains(bits), "bits is \(bits), which is not between 1 and 8")
    try context.require(size > 0, "block_size is \(size), which is not positive")
    try context.require(contracted > 0 && columns > 0, "K is \(contracted) and N is \(columns), which are not both positive")
    try context.agree(data.shape[data.rank - 1], Extent(contracted)) { "the input contracts \($0) numbers, K is \($1)" }
    let blocks = (Extent(contracted) + Extent(size) - 1).floorDivided(by: Extent(size))
    let packed = (blocks * Extent(bits) + 7).floorDivided(by: 8)
    let blob = (Extent(size) * Extent(bits)).floorDivided(by: 8)
    let rows = Extent(columns)
    func count(_ index: Int, _ expected: Extent, _ what: String) throws(Diagnostic) {
      guard let type = context.optionalType(index) else { return }
      try context.agree(type.elementCount, expected) { "\(what) is \(type), \($0) numbers where \($1) are expected" }
    }
    try count(1, rows * blocks * blob, "the weight")
    try count(2, rows * blocks, "the scale")
    try count(3, rows * (context.optionalType(3)?.element == .u8 ? packed : blocks), "the zero point")
    try context.requireList(5, of: rows, "the bias")
    context.set(0, data.element, data.shape.dropLast() + [rows])
  }

  private static func inferEinsum(_ context: inout InferenceContext) throws(Diagnostic) {
    guard let text = context.attributes.string(.equation) else { throw context.failure("the attribute equation is missing") }
    guard let equation = EinsumEquation(text) else { throw context.failure("the equation \(text) cannot be read") }
    try context.require(
      equation.operands.count == context.inputCount,
      "the equation \(text) has \(equation.operands.count) operands, the node \(context.inputCount)")
    var extents: [Character: Extent] = [:]
    var ellipsis: [Extent] = []
    for index in 0..<context.inputCount {
      let type = try context.type(index)
      guard let labels = equation.axes(ofOperand: index, rank: type.rank) else {
        throw context.failure("operand \(index) is \(type), which does not fit its term of the equation \(text)")
      }
      var covered: [Extent] = []
      for (label, extent) in zip(labels, type.shape) {
        switch label {
        case .letter(let letter): extents[letter] = try context.broadcast(extents[letter] ?? 1, extent)
        case .ellipsis: covered.append(extent)
        }
      }
      ellipsis = try context.broadcast(ellipsis, covered)
    }
    var shape: [Extent] = []
    for label in equation.result {
      switch label {
      case .letter(let letter): shape.append(extents[letter] ?? 1)
      case .ellipsis: shape += ellipsis
      }
    }
    context.set(0, try context.sharedElement(operands: 0..<context.inputCount), shape)
  }
}
