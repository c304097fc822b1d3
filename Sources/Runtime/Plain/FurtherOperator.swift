import Graph

/// Operators that run although the compiler does not know them: to it they are opaque, so that nothing next to them is pruned.
enum FurtherOperator: String, CaseIterable {
  case bitCast = "BitCast"
  case blackmanWindow = "BlackmanWindow"
  case causalConvolution = "CausalConvWithState"
  case centerCropPad = "CenterCropPad"
  case columnsToImage = "Col2Im"
  case cumulativeProduct = "CumProd"
  case determinant = "Det"
  case hammingWindow = "HammingWindow"
  case hannWindow = "HannWindow"
  case linearAttention = "LinearAttention"
  case logLikelihoodLoss = "NegativeLogLikelihoodLoss"
  case melWeightMatrix = "MelWeightMatrix"
  case scatter = "Scatter"
  case softmaxLoss = "SoftmaxCrossEntropyLoss"
  case swiGlu = "SwiGLU"
  case tensorScatter = "TensorScatter"

  init?(_ opaque: Opaque) {
    guard opaque.domain.isEmpty else { return nil }
    self.init(rawValue: opaque.type)
  }

  /// Results in order.
  func evaluate(_ call: FurtherCall) throws(Diagnostic) -> [Tensor] {
    switch self {
    case .bitCast: [try call.reinterpreted()]
    case .blackmanWindow: [try call.window([0.42, 0.5, 0.08])]
    case .causalConvolution: try call.causalConvolution()
    case .centerCropPad: [try call.centred()]
    case .columnsToImage: [try call.image()]
    case .cumulativeProduct: [try call.products()]
    case .determinant: [try call.determinants()]
    case .hammingWindow: [try call.window([25.0 / 46, 21.0 / 46])]
    case .hannWindow: [try call.window([0.5, 0.5])]
    case .linearAttention: try call.linearAttention()
    case .logLikelihoodLoss: [try call.logLikelihoodLoss()]
    case .melWeightMatrix: [try call.melWeights()]
    case .scatter: [try call.scattered()]
    case .softmaxLoss: try call.softmaxLoss()
    case .swiGlu: [try call.gated()]
    case .tensorScatter: [try call.cacheUpdated()]
    }
  }
}

/// What the evaluation of a further operator sees.
struct FurtherCall {
  /// The operator, for messages.
  let type: String
  /// Name of the node, for messages.
  let label: String
  private let attributes: [String: AttributeValue]
  private let operands: [Tensor?]
  private let limit: Int

  /// A call with at most `limit` bytes for a result.
  init(_ node: NamedNode, _ operands: [RuntimeValue?], label: String, limit: Int) {
    type = node.type
    self.label = label
    attributes = Dictionary(node.attributes.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    self.operands = operands.map { $0?.tensor }
    self.limit = limit
  }

  // MARK: - Failures

  func failure(_ message: String) -> Diagnostic { Diagnostic(.invalid, "\(type): \(message)", at: .node(label)) }

  func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(Diagnostic) {
    if !condition { throw failure(message()) }
  }

  /// Number of numbers of a result; throws where it is too large.
  @discardableResult func room(_ element: ElementType, _ shape: [Int]) throws(Diagnostic) -> Int {
    // Numbers are computed in 64 bits before they get their type.
    guard shape.allSatisfy({ $0 >= 0 }), let count = Tensor.count(shape.map { max(1, $0) }),
      let bytes = element.byteCount(of: count), count < Int.max / 32
    else {
      throw failure("makes a tensor of shape \(shape), which no machine can hold")
    }
    try require(
      bytes + 8 * count <= limit,
      "makes a tensor of shape \(shape), which takes \(bytes + 8 * count) bytes to compute; at most \(limit) are allowed here")
    return shape.reduce(1, *)
  }

  // MARK: - Operands

  func optional(_ index: Int) -> Tensor? { operands.indices.contains(index) ? operands[index] : nil }

  /// An operand; throws where it is missing or no tensor.
  func tensor(_ index: Int) throws(Diagnostic) -> Tensor {
    guard let tensor = optional(index) else { throw failure("operand \(index) is missing") }
    guard tensor.element.bits != nil else { throw unsupported(tensor.element) }
    return tensor
  }

  /// An operand that can be computed with.
  func numbers(_ index: Int) throws(Diagnostic) -> Tensor {
    let tensor = try tensor(index)
    guard tensor.element.isFloat || tensor.element.isInteger else { throw unsupported(tensor.element) }
    return tensor
  }

  /// An operand of one whole number.
  func whole(_ index: Int) throws(Diagnostic) -> Int {
    let tensor = try numbers(index)
    guard let number = tensor.scalarWhole else {
      throw failure("operand \(index) holds \(tensor.count) numbers where one is expected")
    }
    return number
  }

  func unsupported(_ element: ElementType) -> Diagnostic {
    Diagnostic(.unsupported, "\(type): numbers of type \(element.rawValue) cannot be computed with", at: .node(label))
  }

  // MARK: - Attributes

  func number(_ name: String, default value: Int) -> Int { number(name) ?? value }

  func number(_ name: String) -> Int? { if case .int(let number)? = attributes[name] { number } else { nil } }

  func real(_ name: String, default value: Double) -> Double {
    if case .float(let number)? = attributes[name] { Double(number) } else { value }
  }

  func text(_ name: String, default value: String) -> String {
    if case .string(let text)? = attributes[name] { text } else { value }
  }

  func list(_ name: String) -> [Int]? { if case .ints(let list)? = attributes[name] { list } else { nil } }

  /// The element type that an attribute names by ONNX's number.
  func element(_ name: String, default value: ElementType) throws(Diagnostic) -> ElementType {
    guard let code = number(name) else { return value }
    guard let element = ElementType(onnxCode: code) else { throw failure("\(name) is \(code), which is no type") }
    guard element.bits != nil else { throw unsupported(element) }
    return element
  }

  /// An axis counted from the front.
  func axis(_ axis: Int, rank: Int) throws(Diagnostic) -> Int {
    let positive = axis < 0 ? axis &+ rank : axis
    try require((0..<rank).contains(positive), "axis \(axis) is outside a tensor of \(rank) axes")
    return positive
  }
}
