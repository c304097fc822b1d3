/// Which value of a module: an index into `Module.values`.
public struct ValueID: Hashable, Sendable, Comparable {
  /// Position in `Module.values`.
  public let index: Int
  /// The value at a position.
  public init(_ index: Int) { self.index = index }
  /// Order of creation.
  public static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// A tensor of a graph: a parameter, an input, or what a node makes.
public struct Value: Sendable, Hashable {
  /// Its name, unique in the module.
  public var name: String
  /// Its type, as inferred.
  public var type: TensorType
  /// A value of a name and type.
  public init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }
}

/// A tensor with stored numbers.
public struct Parameter: Sendable {
  /// Where the exchange format keeps the numbers.
  public enum Home: Sendable {
    /// A tensor of the file.
    case initializer
    /// A node that makes the constant, at its place among the nodes of the file.
    case node(NamedNode, position: Int)
  }

  /// The value that carries it.
  public let value: ValueID
  /// Its numbers.
  public var content: TensorContent
  /// Where the file keeps it.
  public var home: Home
  /// The parameter this one was copied from, so that each use may shrink on its own; nil for an original.
  public var copyOf: ValueID?

  /// A parameter of the given parts.
  public init(value: ValueID, content: TensorContent, home: Home = .initializer, copyOf: ValueID? = nil) {
    self.value = value
    self.content = content
    self.home = home
    self.copyOf = copyOf
  }
}

/// One operation: values in, values out.
public struct Node: Sendable {
  /// What it does.
  public var operation: Operator
  /// Values read; nil for an optional operand left out.
  public var inputs: [ValueID?]
  /// Values made; nil for a result nobody asked for.
  public var outputs: [ValueID?]
  /// Attributes as ONNX names them; defaults are left out.
  public var attributes: Attributes
  /// The node's own name, possibly empty.
  public var name: String
  /// Place among the nodes of the file it came from; nodes that prunec adds share the place of the node they serve.
  public var position: Int
  /// Values that the subgraphs of control flow read.
  public var captures: [ValueID]

  /// A node of the given parts.
  public init(
    _ operation: Operator, inputs: [ValueID?], outputs: [ValueID?], attributes: Attributes = Attributes(), name: String = "",
    position: Int = 0, captures: [ValueID] = []
  ) {
    self.operation = operation
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.name = name
    self.position = position
    self.captures = captures
  }
}

/// A model: values in static single assignment, parameters, and nodes in topological order.
public struct Module: Sendable {
  /// Name of the graph.
  public var name: String
  /// Version of each operator set by domain, "" the standard one: operators mean what that version says.
  public var opsets: [String: Int]
  /// All values; their order says nothing.
  public var values: [Value]
  /// Tensors with stored numbers.
  public var parameters: [Parameter]
  /// Inputs in order.
  public var inputs: [ValueID]
  /// Outputs in order.
  public var outputs: [ValueID]
  /// Nodes in topological order.
  public var nodes: [Node]
  /// Results of nodes that were doubled so that each use may shrink on its own, and the results they double.
  public var clones: [ValueID: ValueID] = [:]

  /// A module of the given parts.
  public init(
    name: String, opsets: [String: Int] = ["": 20], values: [Value] = [], parameters: [Parameter] = [], inputs: [ValueID] = [],
    outputs: [ValueID] = [], nodes: [Node] = []
  ) {
    self.name = name
    self.opsets = opsets
    self.values = values
    self.parameters = parameters
    self.inputs = inputs
    self.outputs = outputs
    self.nodes = nodes
  }

  /// A value by its identity.
  public subscript(_ id: ValueID) -> Value {
    get { values[id.index] }
    set { values[id.index] = newValue }
  }

  /// Version of the standard operator set.
  public var opset: Int { opsets[""] ?? opsets["ai.onnx"] ?? 20 }

  /// Adds a value.
  public mutating func add(_ value: Value) -> ValueID {
    values.append(value)
    return ValueID(values.count - 1)
  }

  /// Drops values that nothing defines any more, and numbers the others anew.
  public mutating func removeUndefinedValues() {
    var defined = [Bool](repeating: false, count: values.count)
    for parameter in parameters { defined[parameter.value.index] = true }
    for input in inputs { defined[input.index] = true }
    for node in nodes { for case let output? in node.outputs { defined[output.index] = true } }
    if defined.allSatisfy({ $0 }) { return }
    var place = [Int](repeating: -1, count: values.count)
    var next = 0
    for index in values.indices where defined[index] {
      place[index] = next
      next += 1
    }
    func moved(_ id: ValueID) -> ValueID { ValueID(place[id.index]) }
    values = values.indices.filter { defined[$0] }.map { values[$0] }
    parameters = parameters.map {
      Parameter(value: moved($0.value), content: $0.content, home: $0.home, copyOf: $0.copyOf.map(moved))
    }
    inputs = inputs.map(moved)
    outputs = outputs.map(moved)
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { $0.map(moved) }
      nodes[index].outputs = nodes[index].outputs.map { $0.map(moved) }
      nodes[index].captures = nodes[index].captures.map(moved)
    }
    clones = Dictionary(
      clones.filter { defined[$0.key.index] && defined[$0.value.index] }.map { (moved($0.key), moved($0.value)) },
      uniquingKeysWith: { first, _ in first })
  }

  /// Numbers in parameters that are data (floats, and integers of eight bits or less).
  public var parameterCount: Int {
    parameters.reduce(0) { $0 + ($1.content.element.isData ? $1.content.elementCount : 0) }
  }

  /// What messages call a node: its own name, else the name of its first result.
  public func label(of node: Node) -> String {
    if !node.name.isEmpty { return node.name }
    return node.outputs.lazy.compactMap { $0 }.first.map { self[$0].name } ?? node.operation.textName
  }

  /// Per value, the index of the node that makes it; nil for parameters and inputs.
  public func producers() -> [Int?] {
    var result = [Int?](repeating: nil, count: values.count)
    for (index, node) in nodes.enumerated() {
      for case let output? in node.outputs { result[output.index] = index }
    }
    return result
  }

  /// Per value, the (node, operand) pairs that read it, in order; operand −1 for a capture by a subgraph.
  public func uses() -> [[Use]] {
    var result = [[Use]](repeating: [], count: values.count)
    for (index, node) in nodes.enumerated() {
      for (operand, input) in node.inputs.enumerated() {
        if let input { result[input.index].append(Use(node: index, operand: operand)) }
      }
      for capture in node.captures { result[capture.index].append(Use(node: index, operand: -1)) }
    }
    return result
  }

  /// One place that reads a value.
  public struct Use: Hashable, Sendable {
    /// Index of the node.
    public let node: Int
    /// Which operand; −1 for a capture by a subgraph.
    public let operand: Int
  }
}
