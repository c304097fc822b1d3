/// A model as an exchange format spells it: nodes that refer to values by name, with no operator's meaning known.
/// Formats read and write this; `Importer` and `Exporter` turn it into a `Module` and back.
public struct NamedModel: Sendable {
  /// Name of the graph.
  public var name: String
  /// Nodes in the order of the file, which need not be topological: the importer sorts them.
  public var nodes: [NamedNode]
  /// Constant tensors that the file stores.
  public var initializers: [NamedTensor]
  /// Inputs in order. Old files list initializers here too; the importer leaves those out.
  public var inputs: [NamedValue]
  /// Outputs in order.
  public var outputs: [NamedValue]
  /// Types that the file states for intermediate values.
  public var valueTypes: [String: TensorType]
  /// Version of each operator set by domain; the standard domain is "".
  public var opsets: [String: Int]
  /// (domain, name) of the functions the file defines. Calls of them are unknown operators.
  public var functions: [NamedFunction]

  /// A model of the given parts.
  public init(
    name: String, nodes: [NamedNode] = [], initializers: [NamedTensor] = [], inputs: [NamedValue] = [],
    outputs: [NamedValue] = [],
    valueTypes: [String: TensorType] = [:], opsets: [String: Int] = ["": 20], functions: [NamedFunction] = []
  ) {
    self.name = name
    self.nodes = nodes
    self.initializers = initializers
    self.inputs = inputs
    self.outputs = outputs
    self.valueTypes = valueTypes
    self.opsets = opsets
    self.functions = functions
  }
}

/// A node of a file: operator by domain and type, values by name ("" for an operand left out).
public struct NamedNode: Sendable {
  /// Operator set, "" for the standard one ("ai.onnx" is read as "").
  public var domain: String
  /// Operator, as ONNX spells it: `Conv`, `MatMul`.
  public var type: String
  /// The node's own name, often empty.
  public var name: String
  /// Names of the values read, "" for none.
  public var inputs: [String]
  /// Names of the values made, "" for none.
  public var outputs: [String]
  /// Attributes in order, names as in the file.
  public var attributes: [(name: String, value: AttributeValue)]
  /// Names of values of the enclosing graph that the node's subgraphs read, at any depth; empty without subgraphs.
  public var captures: [String]
  /// The node's subgraphs by attribute name, for control flow whose branch is known.
  public var subgraphs: [(name: String, graph: NamedModel)]
  /// The node's message as it stands in the file, for operators that prunec does not know; empty where the node was made by prunec.
  public var source: TensorData?

  /// A node of the given parts.
  public init(
    domain: String = "", type: String, name: String = "", inputs: [String], outputs: [String],
    attributes: [(name: String, value: AttributeValue)] = [], captures: [String] = [],
    subgraphs: [(name: String, graph: NamedModel)] = [], source: TensorData? = nil
  ) {
    self.domain = domain
    self.type = type
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.captures = captures
    self.subgraphs = subgraphs
    self.source = source
  }
}

/// A stored tensor of a file.
public struct NamedTensor: Sendable {
  /// Its name.
  public var name: String
  /// Element type and shape, all extents fixed.
  public var type: TensorType
  /// Its numbers, little-endian and row-major. Strings have no bytes here.
  public var content: TensorContent
  /// A tensor of the given parts.
  public init(name: String, type: TensorType, content: TensorContent) {
    self.name = name
    self.type = type
    self.content = content
  }
}

/// An input or output of a file; unranked where the file does not say, or says something that is no tensor.
public struct NamedValue: Sendable {
  /// Its name.
  public var name: String
  /// Its type.
  public var type: TensorType
  /// A value of the given type.
  public init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }
}

/// A function that a file defines: a graph with formal parameters.
public struct NamedFunction: Sendable {
  /// Its domain.
  public var domain: String
  /// Its name.
  public var type: String
  /// Names of formal inputs.
  public var inputs: [String]
  /// Names of formal outputs.
  public var outputs: [String]
  /// Its nodes.
  public var nodes: [NamedNode]
  /// Versions of the operator sets its nodes use.
  public var opsets: [String: Int]
  /// A function of the given parts.
  public init(domain: String, type: String, inputs: [String], outputs: [String], nodes: [NamedNode], opsets: [String: Int]) {
    self.domain = domain
    self.type = type
    self.inputs = inputs
    self.outputs = outputs
    self.nodes = nodes
    self.opsets = opsets
  }
}
