extension MatrixProduct {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .matMul: try Self.evaluateProduct(&context, try context.input(0), try context.input(1), scale: 1)
    case .fusedMatMul:
      let attributes = context.attributes
      let left = Self.moved(try context.input(0), batch: attributes.flag(.transBatchA), matrix: attributes.flag(.transA))
      let right = Self.moved(try context.input(1), batch: attributes.flag(.transBatchB), matrix: attributes.flag(.transB))
      try Self.evaluateProduct(&context, left, right, scale: Double(attributes.float(.alpha) ?? 1))
    case .gemm: try Self.evaluateGemm(&context)
    case .einsum: try Self.evaluateEinsum(&context)
    case .matMulInteger: try Self.evaluateInteger(&context)
    case .quantisedMatMul: try Self.evaluateQuantised(&context)
    case .matMulNBits: try Self.evaluatePacked(&context)
    case .fusedGemm, .quantisedGemm, .dynamicMatMul, .integerToFloat:
      throw context.unsupported("this fused operator can be pruned, but not executed")
    }
  }

  private static func evaluateProduct(
    _ context: inout EvaluationContext, _ left: Tensor, _ right: Tensor, scale: Double
  ) throws(Diagnostic) {
    if left.element.isFloat {
      let product = MatrixKernel.product(left.reals, left.shape, right.reals, right.shape)
      try context.setReals(scale == 1 ? product : product.map { $0 * scale })
    } else {
      try context.setWholes(MatrixKernel.product(left.wholes, left.shape, right.wholes, right.shape))
    }
  }

  /// An operand of FusedMatMul after its transpositions.
  private static func moved(_ tensor: Tensor, batch: Bool, matrix: Bool) -> Tensor {
    guard tensor.rank > 1, batch || matrix else { return tensor }
    var order = Array(0..<tensor.rank)
    if batch && tensor.rank > 2 { order.insert(order.remove(at: 0), at: tensor.rank - 2) }
    if matrix { order.swapAt(tensor.rank - 2, tensor.rank - 1) }
    return tensor.transposed(order)
  }

  private static func evaluateGemm(_ context: inout EvaluationContext) throws(Diagnostic) {
    var left = try context.input(0)
    var right = try context.input(1)
    if context.attributes.flag(.transA) { left = left.transposed([1, 0]) }
    if context.attributes.flag(.transB) { right = right.transposed([1, 0]) }
    let alpha = Double(context.attributes.float(.alpha) ?? 1)
    let beta = Double(context.attributes.float(.beta) ?? 1)
    let shape = try context.outputShape()
    if !left.element.isFloat && alpha == 1 && beta == 1 {
      var product = MatrixKernel.product(left.wholes, left.shape, right.wholes, right.shape)
      if let bias = context.optional(2) {
        try context.requireBroadcast(bias.shape, to: shape, "the bias")
        for (at, summand) in bias.broadcast(to: shape).wholes.enumerated() { product[at] &+= summand }
      }
      return try context.setWholes(product)
    }
    var product = MatrixKernel.product(left.reals, left.shape, right.reals, right.shape)
    if alpha != 1 { for at in product.indices { product[at] *= alpha } }
    if context.optional(2) != nil, beta != 0 {
      let bias = try context.broadcastReals(2, to: shape, "the bias")
      for at in product.indices { product[at] += beta * bias[at] }
    }
    try context.setReals(product)
  }
}

// MARK: - Quantised products

extension MatrixProduct {
  /// A scale or zero point of a matrix, one number per number of the matrix: one for all, a list per row (left) or per column (right), or
  /// the matrix' shape with 1s.
  private static func spread(
    _ context: EvaluationContext, _ index: Int, over matrix: Tensor, isColumn: Bool, _ what: String
  ) throws(Diagnostic) -> [Double]? {
    guard var tensor = context.optional(index) else { return nil }
    if tensor.count == 1 { return Array(repeating: tensor.scalarReal ?? 0, count: matrix.count) }
    if tensor.rank == 1 && !isColumn { tensor = tensor.reshaped(tensor.shape + [1]) }
    try context.requireBroadcast(tensor.shape, to: matrix.shape, what)
    return tensor.broadcast(to: matrix.shape).reals
  }

  private static func evaluateInteger(_ context: inout EvaluationContext) throws(Diagnostic) {
    try context.requireWholes(0..<4)
    let (a, b) = (try context.input(0), try context.input(1))
    var (left, right) = (a.wholes, b.wholes)
    if let zeros = try spread(context, 2, over: a, isColumn: false, "the left zero point") {
      for at in left.indices { left[at] -= Int(zeros[at]) }
    }
    if let zeros = try spread(context, 3, over: b, isColumn: true, "the right zero point") {
      for at in right.indices { right[at] -= Int(zeros[at]) }
    }
    try context.setWholes(MatrixKernel.product(left, a.shape, right, b.shape))
  }

  private static func evaluateQuantised(_ context: inout EvaluationContext) throws(Diagnostic) {
    func real(_ matrix: Tensor, _ scale: Int, _ zero: Int, isColumn: Bool) throws(Diagnostic) -> [Double] {
      var numbers = matrix.reals
      if let zeros = try spread(context, zero, over: matrix, isColumn: isColumn, "the zero point") {
        for at in numbers.indices { numbers[at] -= zeros[at] }
      }
      if let scales = try spread(context, scale, over: matrix, isColumn: isColumn, "the scale") {
        for at in numbers.indices { numbers[at] *= scales[at] }
      }
      return numbers
    }
    let (a, b) = (try context.input(0), try context.input(3))
    let product = MatrixKernel.product(
      try real(a, 1, 2, isColumn: false), a.shape, try real(b, 4, 5, isColumn: true), b.shape)
    let element = try context.outputElement()
    let shape = try context.outputShape()
    func result(_ index: Int) throws(Diagnostic) -> [Double] {
      guard var tensor = context.optional(index) else { return Array(repeating: 0, count: product.count) }
      if tensor.count == 1 { return Array(repeating: tensor.scalarReal ?? 0, count: product.count) }
      if tensor.rank == 1 { tensor = tensor.reshaped(tensor.shape + [1]) }
      try context.requireBroadcast(tensor.shape, to: shape, "the result's scale or zero point")
      return tensor.broadcast(to: shape).reals
    }
    let (scales, zeros) = (try result(6), try result(7))
    try context.setReals(product.indices.map { QuantisedNumbers.quantised(product[$0] / scales[$0], zero: zeros[$0], element) })
  }

  /// Weights of a few bits in blocks along the contracted axis, each block with a scale and a zero point.
  private static func evaluatePacked(_ context: inout EvaluationContext) throws(Diagnostic) {
    guard let inner = context.attributes.int(.packedContracted), let columns = context.attributes.int(.packedResults) else {
      throw context.failure("the attributes K and N are missing")
    }
    let bits = context.attributes.int(.bits) ?? 4
    let size = context.attributes.int(.blockSize) ?? 32
    guard max(inner, columns, size) < 1 << 31 else { throw context.failure("K, N or block_size is too large") }
    let blocks = (inner + size - 1) / size
    let blob = size * bits / 8
    let bytes = try context.wholes(1)
    let scales = try context.reals(2)
    guard scales.count == columns * blocks, bytes.count == scales.count * blob, blob * 8 == size * bits else {
      throw context.failure("the weight and its scales do not hold whole blocks of \(size) numbers of \(bits) bits")
    }
    let zeros = try zeroPoints(context, bits: bits, rows: columns, blocks: blocks)
    var places = (0..<inner).map { $0 / size }
    if let listed = context.optional(4) {
      places = listed.wholes
      guard places.count >= inner, places.allSatisfy({ (0..<blocks).contains($0) }) else {
        throw context.failure("g_idx does not name one of \(blocks) blocks for each of \(inner) columns")
      }
    }
    func code(_ bytes: [Int], from start: Int, _ index: Int) -> Int {
      let (byte, shift) = ((index * bits) / 8 + start, (index * bits) % 8)
      let next = shift + bits > 8 && byte + 1 < bytes.count ? bytes[byte + 1] << 8 : 0
      return ((bytes[byte] | next) >> shift) & (1 << bits - 1)
    }
    // [K, N], as the product wants it.
    var weight = [Double](repeating: 0, count: inner * columns)
    for row in 0..<columns {
      for k in 0..<inner {
        let group = row * blocks + places[k]
        let number = code(bytes, from: (row * blocks + k / size) * blob, k % size)
        weight[k * columns + row] = (Double(number) - zeros[group]) * scales[group]
      }
    }
    let data = try context.input(0)
    var product = MatrixKernel.product(data.reals, data.shape, weight, [inner, columns])
    if let bias = try context.reals(5, count: columns, "the bias") {
      for at in product.indices { product[at] += bias[at % columns] }
    }
    try context.setReals(product)
  }

  /// One zero point per block: half the range where none are given, bits in whole bytes per row where they are packed.
  private static func zeroPoints(
    _ context: EvaluationContext, bits: Int, rows: Int, blocks: Int
  ) throws(Diagnostic) -> [Double] {
    guard let given = context.optional(3) else { return Array(repeating: Double(1 << (bits - 1)), count: rows * blocks) }
    if given.element != .u8 {
      guard let zeros = try context.reals(3, count: rows * blocks, "the zero point") else { return [] }
      return zeros
    }
    let bytes = given.wholes
    let perRow = (blocks * bits + 7) / 8
    guard bytes.count == rows * perRow else { throw context.failure("the zero points hold \(bytes.count) bytes") }
    var zeros: [Double] = []
    for row in 0..<rows {
      for block in 0..<blocks {
        let (byte, shift) = (block * bits / 8, block * bits % 8)
        let next = byte + 1 < perRow ? bytes[row * perRow + byte + 1] << 8 : 0
        zeros.append(Double(((bytes[row * perRow + byte] | next) >> shift) & (1 << bits - 1)))
      }
    }
    return zeros
  }
}
