/// What reverse mode does at an operator (Linnainmaa 1970; Griewank and Walther, "Evaluating Derivatives", 2008).
public enum GradientRule {
  /// From the gradients of the results, those of the operands.
  case chain((inout GradientContext) throws(Diagnostic) -> Void)
  /// The results by simpler operators; these are differentiated in its place.
  case pieces((inout PiecesContext) throws(Diagnostic) -> Void)
  /// The results are whole numbers or truth values, or constant between jumps: no gradient passes, and none is missed.
  case flat
  /// No gradient can pass, for this reason.
  case none(String)
}

/// What a chain rule sees of one node, and where it puts the gradients that it finds.
public struct GradientContext {
  /// The node.
  public let node: Node
  /// Name of the node for messages.
  public let label: String
  /// Version of the operator set of the node's domain.
  public let opset: Int
  /// Where the nodes of the gradient go.
  let writer: GraphWriter
  private let resultGradients: [ValueID?]
  /// Which operands a gradient is asked for.
  private let wanted: [Bool]
  /// Gradients of the operands found, by operand.
  public private(set) var found: [Int: ValueID] = [:]

  /// A context for one node. `resultGradients` are the gradients of its results, nil for zero; `wanted` says which operands need theirs.
  public init(node: Node, writer: GraphWriter, resultGradients: [ValueID?], wanted: [Bool]) {
    self.node = node
    self.writer = writer
    self.resultGradients = resultGradients
    self.wanted = wanted
    label = writer.module.label(of: node)
    opset = writer.opset(of: node.operation)
  }

  /// Shorthand for the node's attributes.
  public var attributes: Attributes { node.attributes }

  /// The gradient of a result; zero where nothing that counts reads the result.
  public func gradient(_ index: Int = 0) throws(Diagnostic) -> Term {
    if let given = optionalGradient(index) { return given }
    return try output(index).zeros
  }

  /// The gradient of a result, nil for zero.
  public func optionalGradient(_ index: Int) -> Term? {
    (resultGradients.indices.contains(index) ? resultGradients[index] : nil).map { Term(writer, $0) }
  }

  /// An operand; throws where it is missing.
  public func input(_ index: Int) throws(Diagnostic) -> Term {
    guard let term = optional(index) else { throw failure("operand \(index) is missing") }
    return term
  }

  /// An operand, nil where it is left out.
  public func optional(_ index: Int) -> Term? {
    (node.inputs.indices.contains(index) ? node.inputs[index] : nil).map { Term(writer, $0) }
  }

  /// A result as the forward pass made it; throws where nobody asked for it.
  public func output(_ index: Int = 0) throws(Diagnostic) -> Term {
    guard node.outputs.indices.contains(index), let value = node.outputs[index] else {
      throw failure("result \(index) is needed for the gradient, but not made")
    }
    return Term(writer, value)
  }

  /// True where the gradient of an operand is asked for.
  public func isWanted(_ index: Int) -> Bool { wanted.indices.contains(index) && wanted[index] }

  /// Gives an operand its gradient; gradients of operands that nobody asked for are dropped.
  public mutating func give(_ index: Int, _ gradient: Term) {
    if isWanted(index) { found[index] = gradient.value }
  }

  /// A failure of this node: no gradient passes, for this reason.
  public func failure(_ reason: String) -> Diagnostic {
    Diagnostic(.unsupported, "\(node.operation.textName): no gradient passes: \(reason)", at: .node(label))
  }

  /// The inference context of the node, whose rules say what its attributes mean.
  func inference() -> InferenceContext { writer.inference(of: node, label: label) }
}

/// What the rule of a composite operator sees of one node, and where it puts the results made by simpler ones.
public struct PiecesContext {
  /// The node.
  public let node: Node
  /// Name of the node for messages.
  public let label: String
  /// Version of the operator set of the node's domain.
  public let opset: Int
  /// Where the simpler nodes go.
  let writer: GraphWriter
  /// Results found, by result.
  public private(set) var found: [Int: ValueID] = [:]

  /// A context for one node.
  public init(node: Node, writer: GraphWriter) {
    self.node = node
    self.writer = writer
    label = writer.module.label(of: node)
    opset = writer.opset(of: node.operation)
  }

  /// Shorthand for the node's attributes.
  public var attributes: Attributes { node.attributes }

  /// An operand; throws where it is missing.
  public func input(_ index: Int) throws(Diagnostic) -> Term {
    guard let term = optional(index) else { throw failure("operand \(index) is missing") }
    return term
  }

  /// An operand, nil where it is left out.
  public func optional(_ index: Int) -> Term? {
    (node.inputs.indices.contains(index) ? node.inputs[index] : nil).map { Term(writer, $0) }
  }

  /// Whether somebody reads a result.
  public func isWanted(_ index: Int) -> Bool { node.outputs.indices.contains(index) && node.outputs[index] != nil }

  /// Shape of a result, as inferred.
  public func shape(_ index: Int = 0) throws(Diagnostic) -> [Extent] {
    guard isWanted(index), let value = node.outputs[index] else { throw failure("result \(index) is not made") }
    return writer.module[value].type.shape
  }

  /// Gives a result the term that it is.
  public mutating func set(_ index: Int = 0, _ term: Term) {
    if isWanted(index) { found[index] = term.value }
  }

  /// An axis attribute counted from the front; throws where it is outside the rank.
  public func axis(_ axis: Int, rank: Int) throws(Diagnostic) -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw failure("axis \(axis) is outside a tensor of \(rank) axes") }
    return positive
  }

  /// A failure of this node: no gradient passes, for this reason.
  public func failure(_ reason: String) -> Diagnostic {
    Diagnostic(.unsupported, "\(node.operation.textName): no gradient passes: \(reason)", at: .node(label))
  }

  /// The inference context of the node, whose rules say what its attributes mean.
  func inference() -> InferenceContext { writer.inference(of: node, label: label) }
}
