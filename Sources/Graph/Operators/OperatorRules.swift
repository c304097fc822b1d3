/// Everything prunec must know about the operators of a family. The compiler lists what is missing when an operator is added:
/// a case in the family's enum, and an arm in each of the switches behind these requirements. There is no default rule.
public protocol OperatorRules: Sendable {
  /// `Type` of the standard domain, or `com.microsoft.Type`.
  var onnxIdentifier: String { get }
  /// How many operands and results the operator takes.
  var signature: Signature { get }
  /// Infers the types of all results, and their numbers where they are shape arithmetic.
  func infer(_ context: inout InferenceContext) throws(Diagnostic)
  /// Says which axes are the same, which are made of which, and which must stay.
  func relate(_ solver: some AxisSolver)
  /// Says which numbers stand for extents and what they become: operands that carry shapes, and attributes.
  func shrink(_ context: inout ShrinkContext) throws(Diagnostic)
  /// Computes the results from the operands, plainly: correct before fast.
  func evaluate(_ context: inout EvaluationContext) throws(Diagnostic)
  /// How a gradient passes through the operator, or why none does.
  var gradient: GradientRule { get }
  /// Multiply-adds of one run at the given types; 0 for what moves or compares numbers only. Symbols count as 1.
  func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double
}

extension OperatorRules where Self: RawRepresentable, RawValue == String {
  /// The raw value of the case.
  public var onnxIdentifier: String { rawValue }
}

/// How many operands and results an operator takes.
public struct Signature: Sendable, Hashable {
  /// Fewest and most operands.
  public let inputs: ClosedRange<Int>
  /// Fewest and most results.
  public let outputs: ClosedRange<Int>

  /// The same number always.
  public init(_ inputs: Int, outputs: Int = 1) {
    self.init(inputs...inputs, outputs: outputs...outputs)
  }

  /// Between two numbers of operands.
  public init(_ inputs: ClosedRange<Int>, outputs: ClosedRange<Int> = 1...1) {
    self.inputs = inputs
    self.outputs = outputs
  }

  /// No upper bound.
  public static let many = Int.max - 1
}

/// What type inference of one node sees, and where it puts what it found.
///
/// The driver handles nodes with operands of unknown rank (their results are unranked), so rules see ranked operands only.
public struct InferenceContext: Sendable {
  /// The node.
  public let node: Node
  /// Version of the operator set of the node's domain.
  public let opset: Int
  /// Name of the node for messages, and of its first result for symbols.
  public let label: String
  private let inputTypes: [TensorType?]
  private let inputNumbers: [KnownValue?]
  private let contents: [TensorContent?]
  /// Types found, one per result.
  public private(set) var outputTypes: [TensorType?]
  /// Numbers found, one per result.
  public private(set) var outputNumbers: [KnownValue?]

  /// A context for one node. `contents` are the stored numbers of operands that are parameters.
  public init(
    node: Node, opset: Int, label: String, inputTypes: [TensorType?], inputNumbers: [KnownValue?], contents: [TensorContent?]
  ) {
    self.node = node
    self.opset = opset
    self.label = label
    self.inputTypes = inputTypes
    self.inputNumbers = inputNumbers
    self.contents = contents
    outputTypes = Array(repeating: nil, count: node.outputs.count)
    outputNumbers = Array(repeating: nil, count: node.outputs.count)
  }

  /// Shorthand for the node's attributes.
  public var attributes: Attributes { node.attributes }

  /// Type of an operand; throws where it is missing.
  public func type(_ index: Int) throws(Diagnostic) -> TensorType {
    guard let type = optionalType(index) else { throw failure("operand \(index) is missing") }
    return type
  }

  /// Type of an operand, nil where it is left out.
  public func optionalType(_ index: Int) -> TensorType? { inputTypes.indices.contains(index) ? inputTypes[index] : nil }

  /// Whether an operand is given.
  public func has(_ index: Int) -> Bool { optionalType(index) != nil }

  /// What is known of an operand's numbers.
  public func known(_ index: Int) -> KnownValue? { inputNumbers.indices.contains(index) ? inputNumbers[index] : nil }

  /// Stored numbers of an operand that is a parameter, of any size.
  public func content(_ index: Int) -> TensorContent? { contents.indices.contains(index) ? contents[index] : nil }

  /// Number of operands, those left out included.
  public var inputCount: Int { inputTypes.count }

  /// Number of results.
  public var outputCount: Int { outputTypes.count }

  /// Gives a result its type; results nobody asked for may be given one too.
  public mutating func set(_ index: Int = 0, _ element: ElementType, _ shape: [Extent]) { set(index, TensorType(element, shape)) }

  /// Gives a result its type.
  public mutating func set(_ index: Int = 0, _ type: TensorType) {
    if outputTypes.indices.contains(index) { outputTypes[index] = type }
  }

  /// Says what is known of a result's numbers.
  public mutating func setKnown(_ index: Int = 0, _ known: KnownValue?) {
    if outputNumbers.indices.contains(index) { outputNumbers[index] = known }
  }

  /// A length that depends on data: a symbol of its own for this result and axis.
  public func unknownExtent(output: Int = 0, axis: Int) -> Extent { .symbol("?\(label).\(output).\(axis)") }

  /// An axis attribute counted from the front; throws where it is outside the rank.
  public func axis(_ axis: Int, rank: Int) throws(Diagnostic) -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw failure("axis \(axis) is outside a tensor of \(rank) axes") }
    return positive
  }

  /// A failure of this node.
  public func failure(_ message: String) -> Diagnostic {
    Diagnostic(.invalid, "\(node.operation.textName): \(message)", at: .node(label))
  }
}

/// What a node's rule sees when its tensors shrink, and where it says what follows.
public struct ShrinkContext {
  /// The node as it was.
  public let node: Node
  /// Version of the operator set of the node's domain.
  public let opset: Int
  /// Name of the node for messages.
  public let label: String
  private let oldInputs: [TensorType?]
  private let newInputs: [TensorType?]
  private let oldOutputs: [TensorType?]
  private let newOutputs: [TensorType?]
  private let numbers: [KnownValue?]
  private let keptInput: (Int, Int) -> [Int]?
  private let keptOutput: (Int, Int) -> [Int]?
  private let contents: [TensorContent?]
  /// Numbers that operands must carry in the smaller graph, by operand.
  public private(set) var required: [Int: KnownValue] = [:]
  /// Attributes that change, in order.
  public private(set) var changed: [Attributes.Entry] = []
  /// Attributes that go, in order.
  public private(set) var removed: [AttributeName] = []

  /// A context for one node: types before and after, numbers of operands before, and by operand and axis the kept indices (nil where all
  /// are kept), which are asked for only where a rule needs them. `contents` are the stored numbers, before, of operands that are parameters.
  public init(
    node: Node, opset: Int, label: String, oldInputs: [TensorType?], newInputs: [TensorType?], oldOutputs: [TensorType?],
    newOutputs: [TensorType?], numbers: [KnownValue?], keptInput: @escaping (Int, Int) -> [Int]?,
    keptOutput: @escaping (Int, Int) -> [Int]?,
    contents: [TensorContent?] = []
  ) {
    self.node = node
    self.opset = opset
    self.label = label
    self.contents = contents
    self.oldInputs = oldInputs
    self.newInputs = newInputs
    self.oldOutputs = oldOutputs
    self.newOutputs = newOutputs
    self.numbers = numbers
    self.keptInput = keptInput
    self.keptOutput = keptOutput
  }

  /// Shorthand for the node's attributes.
  public var attributes: Attributes { node.attributes }
  /// Type of an operand before; nil where it is left out.
  public func oldInput(_ index: Int) -> TensorType? { oldInputs.indices.contains(index) ? oldInputs[index] : nil }
  /// Type of an operand after.
  public func newInput(_ index: Int) -> TensorType? { newInputs.indices.contains(index) ? newInputs[index] : nil }
  /// Type of a result before.
  public func oldOutput(_ index: Int = 0) -> TensorType? { oldOutputs.indices.contains(index) ? oldOutputs[index] : nil }
  /// Type of a result after.
  public func newOutput(_ index: Int = 0) -> TensorType? { newOutputs.indices.contains(index) ? newOutputs[index] : nil }
  /// What is known of an operand's numbers, before.
  public func known(_ index: Int) -> KnownValue? { numbers.indices.contains(index) ? numbers[index] : nil }
  /// Stored numbers, before, of an operand that is a parameter, of any size.
  public func content(_ index: Int) -> TensorContent? { contents.indices.contains(index) ? contents[index] : nil }
  /// Kept indices of an operand's axis (positions in the original), nil where all are kept.
  public func kept(input index: Int, axis: Int) -> [Int]? {
    oldInput(index).map { (0..<$0.rank).contains(axis) } == true ? keptInput(index, axis) : nil
  }
  /// Kept indices of a result's axis, nil where all are kept.
  public func kept(output index: Int = 0, axis: Int) -> [Int]? {
    oldOutput(index).map { (0..<$0.rank).contains(axis) } == true ? keptOutput(index, axis) : nil
  }
  /// How many of an operand's first `position` indices along an axis are kept.
  public func countKept(input index: Int, axis: Int, before position: Int) -> Int {
    guard let kept = kept(input: index, axis: axis) else { return position }
    return kept.prefix { $0 < position }.count
  }
  /// True when nothing the node touches changes its shape.
  public var isUnchanged: Bool { oldInputs == newInputs && oldOutputs == newOutputs }

  /// Says that an operand must carry these numbers in the smaller graph; for an entry `unknown` any number will do. An operand that
  /// carries shape numbers and is not named here keeps its old numbers. An operand that was left out is added.
  public mutating func require(input index: Int, _ value: KnownValue) { required[index] = value }
  /// Says that an operand must carry this list in the smaller graph.
  public mutating func require(input index: Int, list: [Extent]) { required[index] = KnownValue(list: list) }
  /// Changes an attribute.
  public mutating func set(_ name: AttributeName, _ value: AttributeValue) { changed.append(Attributes.Entry(name, value)) }
  /// Removes an attribute.
  public mutating func remove(_ name: AttributeName) { removed.append(name) }
  /// A failure of this node.
  public func failure(_ message: String) -> Diagnostic {
    Diagnostic(.unsupported, "\(node.operation.textName): \(message)", at: .node(label))
  }
}
