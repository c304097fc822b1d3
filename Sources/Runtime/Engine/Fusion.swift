import Graph

/// What happens to each sum of a product or convolution before it is stored.
struct FusedEpilogue: Sendable {
  /// One number per column of the result (per channel, for convolutions).
  var bias: ValueID?
  /// Numbers in the shape of the result, added before the activation or after it.
  var residual: ValueID?
  var isResidualAfterActivation = false
  var activation: FusedActivation?
}

/// A function of one number that a product's kernel applies as it stores.
enum FusedActivation: Sendable, Hashable {
  case relu
  case clip(Float, Float)
  case leakyRelu(Float)
  case hardSigmoid(Float, Float)
  case hardSwish, sigmoid, silu, gelu, geluTanh, tanh
}

/// Which nodes become one step.
struct FusedStep: Sendable {
  /// What the step does.
  enum Kind: Sendable {
    /// A node by itself.
    case single
    /// A product or convolution with what follows it.
    case product(FusedEpilogue)
    /// Elementwise nodes in one pass over the numbers.
    case chain
  }

  /// The nodes, in order; the first leads.
  var nodes: [Int]
  var kind: Kind
  /// What the step makes, where it is more than a node by itself.
  var result: ValueID?
}

/// Decides which nodes are carried out together. What is made and read only within a step needs no memory.
struct FusionPlanner {
  private let module: Module
  private let constants: [ValueID: TensorContent]
  private let readers: [[Module.Use]]
  private let makers: [Int?]
  private let isOutput: Set<ValueID>
  private var stepOf: [Int?]
  private var steps: [FusedStep] = []

  /// The steps of a lowered module, in an order in which they can run.
  static func plan(_ module: Module) -> [FusedStep] {
    var planner = FusionPlanner(module)
    for node in module.nodes.indices where planner.stepOf[node] == nil {
      if planner.isProduct(node) { planner.growProduct(node) }
    }
    for node in module.nodes.indices where planner.stepOf[node] == nil { planner.place(node) }
    // A step runs where its last node stands: by then everything it reads is made.
    return planner.steps.filter { !$0.nodes.isEmpty }.sorted { ($0.nodes.last ?? 0) < ($1.nodes.last ?? 0) }
  }

  private init(_ module: Module) {
    self.module = module
    constants = module.constants()
    readers = module.uses()
    makers = module.producers()
    isOutput = Set(module.outputs)
    stepOf = Array(repeating: nil, count: module.nodes.count)
  }

  private func type(_ value: ValueID) -> TensorType { module[value].type }

  /// The only node that reads a value, where there is one and the value is no output.
  private func onlyReader(_ value: ValueID) -> Int? {
    let uses = readers[value.index]
    guard !isOutput.contains(value), let first = uses.first, uses.allSatisfy({ $0.node == first.node && $0.operand >= 0 }) else {
      return nil
    }
    return first.node
  }

  private func scalar(_ value: ValueID?) -> Float? {
    guard let value, let content = constants[value], content.elementCount == 1 else { return nil }
    return Tensor(content)?.scalarReal.map { Float($0) }
  }

  // MARK: - Products

  private func isProduct(_ node: Int) -> Bool {
    guard let output = module.nodes[node].outputs.first.flatMap({ $0 }), type(output).element == .f32,
      type(output).staticShape != nil
    else {
      return false
    }
    switch module.nodes[node].operation {
    case .matrixProduct(.matMul), .matrixProduct(.gemm): return true
    case .convolution(.conv): return type(output).rank <= 4
    case .matrixProduct, .convolution, .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence,
      .attention, .quantisation, .generation, .opaque:
      return false
    }
  }

  private mutating func growProduct(_ leader: Int) {
    guard var result = module.nodes[leader].outputs.first.flatMap({ $0 }) else { return }
    var step = FusedStep(nodes: [leader], kind: .single, result: result)
    var epilogue = FusedEpilogue()
    while let reader = onlyReader(result), stepOf[reader] == nil, let next = absorbed(reader, result, leader, epilogue) {
      epilogue = next
      step.nodes.append(reader)
      guard let output = module.nodes[reader].outputs.first.flatMap({ $0 }) else { break }
      result = output
    }
    step.result = result
    step.kind = .product(epilogue)
    for node in step.nodes { stepOf[node] = steps.count }
    steps.append(step)
  }

  /// The epilogue with one more node; nil where it cannot take the node.
  private func absorbed(_ node: Int, _ result: ValueID, _ leader: Int, _ epilogue: FusedEpilogue) -> FusedEpilogue? {
    guard case .elementwise(let function) = module.nodes[node].operation,
      let output = module.nodes[node].outputs.first.flatMap({ $0 }), type(output) == type(result)
    else { return nil }
    var epilogue = epilogue
    if function == .add {
      let others = module.nodes[node].inputs.compactMap { $0 }.filter { $0 != result }
      guard others.count == 1, let other = others.first, type(other).element == .f32 else { return nil }
      if isBias(other, of: leader), epilogue.bias == nil, epilogue.residual == nil, epilogue.activation == nil,
        !hasOwnBias(leader)
      {
        epilogue.bias = other
        return epilogue
      }
      guard epilogue.residual == nil, type(other) == type(result), constants[other] == nil else { return nil }
      epilogue.residual = other
      epilogue.isResidualAfterActivation = epilogue.activation != nil
      return epilogue
    }
    guard epilogue.activation == nil, let activation = activation(module.nodes[node], function) else { return nil }
    epilogue.activation = activation
    return epilogue
  }

  private func hasOwnBias(_ node: Int) -> Bool { module.nodes[node].inputs.count > 2 && module.nodes[node].inputs[2] != nil }

  /// A constant with one number per column of a matrix product (per channel of a convolution), or one for all.
  private func isBias(_ value: ValueID, of leader: Int) -> Bool {
    guard let content = constants[value], let output = module.nodes[leader].outputs.first.flatMap({ $0 }),
      let shape = type(output).staticShape
    else { return false }
    let own = Array(repeating: 1, count: max(0, shape.count - content.shape.count)) + content.shape
    guard own.count == shape.count, !shape.isEmpty else { return false }
    let isConvolution = if case .convolution = module.nodes[leader].operation { true } else { false }
    let axis = isConvolution ? 1 : shape.count - 1
    return own.indices.allSatisfy { own[$0] == ($0 == axis ? shape[$0] : 1) }
  }

  private func activation(_ node: Node, _ function: Elementwise) -> FusedActivation? {
    let attributes = node.attributes
    switch function {
    case .relu: return .relu
    case .sigmoid: return .sigmoid
    case .tanh: return .tanh
    case .hardSwish: return .hardSwish
    case .swish: return attributes.float(.alpha) ?? 1 == 1 ? .silu : nil
    case .gelu: return attributes.string(.approximate) == "tanh" ? .geluTanh : .gelu
    case .microsoftGelu: return .gelu
    case .leakyRelu: return .leakyRelu(attributes.float(.alpha) ?? 0.01)
    case .hardSigmoid: return .hardSigmoid(attributes.float(.alpha) ?? 0.2, attributes.float(.beta) ?? 0.5)
    case .clip:
      let bounds = node.inputs.dropFirst()
      let low = bounds.first.flatMap { $0 }
      let high = bounds.dropFirst().first.flatMap { $0 }
      guard low == nil || scalar(low) != nil, high == nil || scalar(high) != nil else { return nil }
      let range = (scalar(low) ?? -.greatestFiniteMagnitude, scalar(high) ?? .greatestFiniteMagnitude)
      return range.0 <= range.1 ? .clip(range.0, range.1) : nil
    case .abs, .acos, .acosh, .add, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr,
      .bitwiseXor,
      .cast, .castLike, .ceil, .celu, .cos, .cosh, .div, .dropout, .elu, .equal, .erf, .exp, .floor, .greater, .greaterOrEqual,
      .identity, .isInfinite, .isNaN, .less, .lessOrEqual, .log, .max, .mean, .min, .mish, .mod, .mul, .neg, .not, .or, .pow,
      .prelu,
      .reciprocal, .round, .selu, .shrink, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .sub, .sum, .tan, .thresholdedRelu,
      .choose, .xor, .biasGelu, .fastGelu, .quickGelu, .quantisedAdd, .quantisedMul,
      .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      return nil
    }
  }

  // MARK: - Elementwise chains

  /// Joins a node with the chains that make its operands, where nobody else reads what they make; else it is a step of its own.
  private mutating func place(_ node: Int) {
    guard let output = module.nodes[node].outputs.first.flatMap({ $0 }), isChain([node]) else { return begin(node, .single) }
    var nodes = [node]
    for case let input? in module.nodes[node].inputs {
      guard onlyReader(input) == node, type(input).staticShape == type(output).staticShape, let maker = makers[input.index],
        let step = stepOf[maker], case .chain = steps[step].kind, steps[step].result == input
      else { continue }
      let joined = (steps[step].nodes + nodes).sorted()
      guard isChain(joined) else { continue }
      nodes = joined
      steps[step].nodes = []
      steps[step].result = nil
    }
    for member in nodes { stepOf[member] = steps.count }
    steps.append(FusedStep(nodes: nodes, kind: .chain, result: output))
  }

  private mutating func begin(_ node: Int, _ kind: FusedStep.Kind) {
    stepOf[node] = steps.count
    steps.append(FusedStep(nodes: [node], kind: kind, result: module.nodes[node].outputs.first.flatMap { $0 }))
  }

  /// Whether the kernel can do these nodes in one pass.
  private func isChain(_ nodes: [Int]) -> Bool {
    guard let code = ChainCode(nodes, in: module, constants: constants), code.allocated() != nil else { return false }
    return nodes.allSatisfy { module.nodes[$0].outputs.first.flatMap { $0 }.map { type($0).staticShape != nil } ?? false }
  }
}
