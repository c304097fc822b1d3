import Graph

/// Goes through a graph from its inputs on, and puts other nodes in the place of some.
///
/// A rule looks at one node and at what makes its operands, and answers with the nodes that take its place; the last of them must make what
/// the node made. Nodes that nobody reads any more are dropped at the end, so a rule never removes anything.
struct Rewriter {
  private(set) var module: Module
  private var constants: [ValueID: TensorContent]
  private var makers: [ValueID: Node] = [:]
  private var readers: [Int]
  private var isOutput: Set<ValueID>

  /// The module after one go with a rule.
  static func rewrite(_ module: Module, _ rule: (inout Rewriter, Node) -> [Node]?) -> Module {
    var rewriter = Rewriter(module)
    var done: [Node] = []
    done.reserveCapacity(module.nodes.count)
    for node in module.nodes {
      for node in rule(&rewriter, node) ?? [node] {
        for case let output? in node.outputs { rewriter.makers[output] = node }
        done.append(node)
      }
    }
    rewriter.module.nodes = done
    rewriter.module.removeDead()
    return rewriter.module
  }

  private init(_ module: Module) {
    self.module = module
    constants = module.constants()
    readers = module.readerCounts()
    isOutput = Set(module.outputs)
  }

  // MARK: - Looking

  func shape(_ value: ValueID?) -> [Int]? { value.flatMap { module[$0].type.staticShape } }

  func element(_ value: ValueID) -> ElementType { module[value].type.element }

  /// The node that makes a value, where it is of a certain kind.
  func maker(_ value: ValueID?, _ operation: Operator) -> Node? {
    guard let value, let node = makers[value], node.operation == operation, node.outputs.first == value else { return nil }
    return node
  }

  /// True where one node alone reads a value, and once.
  func isReadOnce(_ value: ValueID) -> Bool { readers[value.index] == 1 && !isOutput.contains(value) }

  /// The numbers of a constant.
  func constant(_ value: ValueID?) -> Tensor? { value.flatMap { constants[$0] }.flatMap { Tensor($0) } }

  /// True for constants.
  func isConstant(_ value: ValueID?) -> Bool { value.map { constants[$0] != nil } ?? false }

  /// The only number of a constant that has one.
  func scalar(_ value: ValueID?) -> Double? {
    guard let value, let content = constants[value], content.elementCount == 1, content.element.isFloat else { return nil }
    return Tensor(content)?.scalarReal
  }

  /// The operand of a node of two operands that a test accepts, and the other one.
  func split(_ node: Node, _ test: (ValueID) -> Bool) -> (accepted: ValueID, other: ValueID)? {
    guard node.inputs.count == 2, let a = node.inputs[0], let b = node.inputs[1] else { return nil }
    if test(b) { return (b, a) }
    return test(a) ? (a, b) : nil
  }

  /// What a value is the product of, products that are read only here taken apart: x · y · (z / 2) is x, y, z and ½.
  func factors(_ value: ValueID) -> (values: [ValueID], scale: Double) {
    guard let node = makers[value] else { return ([value], 1) }
    return factors(node) ?? ([value], 1)
  }

  /// What a product or a division by a number is made of; nil for other nodes.
  func factors(_ node: Node) -> (values: [ValueID], scale: Double)? {
    func inner(_ value: ValueID) -> (values: [ValueID], scale: Double) {
      if let number = scalar(value) { return ([], number) }
      return isReadOnce(value) ? factors(value) : ([value], 1)
    }
    guard node.inputs.count == 2, let a = node.inputs[0], let b = node.inputs[1] else { return nil }
    switch node.operation {
    case .elementwise(.mul):
      let (left, right) = (inner(a), inner(b))
      return (left.values + right.values, left.scale * right.scale)
    case .elementwise(.div):
      guard let divisor = scalar(b) else { return nil }
      let left = inner(a)
      return (left.values, left.scale / divisor)
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  // MARK: - Making

  /// A value that a new node will make.
  mutating func value(like other: ValueID, _ element: ElementType, _ shape: [Int]) -> ValueID {
    let name = module[other].name + "#\(module.values.count)"
    readers.append(1)
    return module.add(Value(name: name, type: TensorType(element, shape.map { Extent($0) })))
  }

  /// A constant.
  mutating func constant(like other: ValueID, _ tensor: Tensor) -> ValueID {
    let value = value(like: other, tensor.element, tensor.shape)
    constants[value] = tensor.content
    module.parameters.append(Parameter(value: value, content: tensor.content))
    return value
  }

  /// f32 numbers.
  mutating func constant(like other: ValueID, _ numbers: [Double], _ shape: [Int]) -> ValueID {
    constant(like: other, Tensor(reals: numbers, .f32, shape))
  }

  /// A node that serves another one.
  func node(
    _ operation: Operator, _ inputs: [ValueID?], _ output: ValueID?, for other: Node, _ attributes: [Attributes.Entry] = []
  ) -> Node {
    Node(
      operation, inputs: inputs, outputs: [output], attributes: Attributes(attributes), name: other.name, position: other.position
    )
  }
}
