/// What the plain evaluation of one node sees, and where it puts its results.
///
/// Types of all results are inferred from the operands as they are before the evaluation starts, so that operands are known to fit.
public struct EvaluationContext: Sendable {
  /// The node.
  public let node: Node
  /// Version of the operator set of the node's domain.
  public let opset: Int
  /// Name of the node for messages.
  public let label: String
  private let inputs: [Tensor?]
  private let inferred: [TensorType?]
  /// Results found, one per result of the node.
  public private(set) var outputs: [Tensor?]
  /// Source of everything random in this run.
  public var random: SplitMix
  /// Most bytes that computing one result may take.
  private let limit: Int

  fileprivate init(
    node: Node, opset: Int, label: String, inputs: [Tensor?], inferred: [TensorType?], random: SplitMix, limit: Int
  ) {
    self.limit = limit
    self.node = node
    self.opset = opset
    self.label = label
    self.inputs = inputs
    self.inferred = inferred
    self.random = random
    outputs = Array(repeating: nil, count: node.outputs.count)
  }

  /// Shorthand for the node's attributes.
  public var attributes: Attributes { node.attributes }

  /// An operand; throws where it is missing.
  public func input(_ index: Int) throws(Diagnostic) -> Tensor {
    guard let tensor = optional(index) else { throw failure("operand \(index) is missing") }
    return tensor
  }

  /// An operand, nil where it is left out.
  public func optional(_ index: Int) -> Tensor? { inputs.indices.contains(index) ? inputs[index] : nil }

  /// Number of operands, those left out included.
  public var inputCount: Int { inputs.count }

  /// Whether somebody reads a result.
  public func isWanted(_ index: Int) -> Bool { node.outputs.indices.contains(index) && node.outputs[index] != nil }

  /// Element type of a result, as inferred.
  public func outputElement(_ index: Int = 0) throws(Diagnostic) -> ElementType {
    guard inferred.indices.contains(index), let type = inferred[index] else { throw failure("result \(index) has no type") }
    return type.element
  }

  /// Shape of a result in numbers; throws where it depends on more than the operands' shapes and shape numbers.
  public func outputShape(_ index: Int = 0) throws(Diagnostic) -> [Int] {
    guard inferred.indices.contains(index), let shape = inferred[index]?.staticShape else {
      throw failure("the shape of result \(index) is not known")
    }
    return shape
  }

  /// Gives a result its numbers.
  public mutating func set(_ index: Int = 0, _ tensor: Tensor) {
    if outputs.indices.contains(index) { outputs[index] = tensor }
  }

  /// Throws where a shape that depends on data asks for more than may be computed.
  func requireSize(_ element: ElementType, _ shape: [Int]) throws(Diagnostic) {
    if let refusal = Evaluation.refusal(element, shape, limit: limit) { throw Diagnostic(.invalid, refusal, at: .node(label)) }
  }

  /// An axis attribute counted from the front; throws where it is outside the rank.
  public func axis(_ axis: Int, rank: Int) throws(Diagnostic) -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw failure("axis \(axis) is outside a tensor of \(rank) axes") }
    return positive
  }

  /// A failure of this node: the operands are wrong.
  public func failure(_ message: String) -> Diagnostic {
    Diagnostic(.invalid, "\(node.operation.onnxName.type): \(message)", at: .node(label))
  }

  /// A failure of this node: prunec cannot compute it. The message names the operator as ONNX spells it.
  public func unsupported(_ message: String) -> Diagnostic {
    Diagnostic(.unsupported, "\(node.operation.onnxName.type): \(message)", at: .node(label))
  }
}

/// The plain evaluation of one node: correct before fast, for every operator of the set. Kernels and lowered graphs are tested against it.
public enum Evaluation {
  /// Most bytes that computing one result may take; larger ones are refused with the figure.
  public static let defaultLimit = 1 << 36

  /// Results of a node for given operands. Operands left out are nil, as are results nobody asked for.
  ///
  /// Throws `invalid` where operands do not fit the operator, and `unsupported` for opaque operators, for what the evaluation does not
  /// cover; `invalid` too for results that take more than `limit` bytes to compute.
  public static func run(
    _ node: Node, opsets: [String: Int], inputs: [Tensor?], label: String, random: inout SplitMix, limit: Int = defaultLimit
  ) throws(Diagnostic) -> [Tensor?] {
    guard let rules = node.operation.rules else {
      throw Diagnostic(.unsupported, "\(node.operation.textName): the operator cannot be executed", at: .node(label))
    }
    let (domain, type) = node.operation.onnxName
    let opset = domain.isEmpty ? opsets[""] ?? opsets["ai.onnx"] ?? 20 : opsets[domain] ?? 1
    for case let input? in inputs where input.element.bits == nil {
      throw Diagnostic(
        .unsupported, "\(type): numbers of type \(input.element.rawValue) cannot be computed with", at: .node(label))
    }
    let contents = inputs.map { $0.map { TensorContent($0.data, element: $0.element, shape: $0.shape) } }
    var inference = InferenceContext(
      node: node, opset: opset, label: label, inputTypes: inputs.map { $0?.type },
      inputNumbers: contents.map { $0.flatMap { KnownValue($0) } }, contents: contents)
    do throws(Diagnostic) { try rules.infer(&inference) } catch {
      throw Diagnostic(error.kind, error.message, at: .node(label))
    }
    for case let type? in inference.outputTypes { try check(type, label: label, limit: limit) }
    var context = EvaluationContext(
      node: node, opset: opset, label: label, inputs: inputs, inferred: inference.outputTypes, random: random,
      limit: limit)
    try rules.evaluate(&context)
    random = context.random
    for (index, output) in node.outputs.enumerated() where output != nil && context.outputs[index] == nil {
      throw context.unsupported("result \(index) is not computed")
    }
    return context.outputs
  }

  private static func check(_ type: TensorType, label: String, limit: Int) throws(Diagnostic) {
    guard let shape = type.staticShape, type.element.bits != nil else { return }
    if let refusal = refusal(type.element, shape, limit: limit) { throw Diagnostic(.invalid, refusal, at: .node(label)) }
  }

  /// Why a result cannot be computed for its size; nil where it can. The plain evaluation computes in 64 bits before numbers get their type;
  /// kernels need no `spare` bytes per number beside the result. Empty axes do not make others cheap: places are counted axis by axis.
  public static func refusal(_ element: ElementType, _ shape: [Int], limit: Int, spare: Int = 8) -> String? {
    guard shape.allSatisfy({ $0 >= 0 }), let count = Tensor.count(shape.map { max(1, $0) }),
      let bytes = element.byteCount(of: count), count < Int.max / 32
    else {
      return "makes a tensor of shape \(shape), which no machine can hold"
    }
    let needed = bytes + spare * count
    if needed <= limit { return nil }
    let type = TensorType(element, shape.map { Extent($0) })
    return "makes a tensor \(type), which takes \(needed) bytes to compute; at most \(limit) are allowed here"
  }
}
