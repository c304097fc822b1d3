/// The way a graph changes: each edit is labelled and counted, so that a bad rewriting can be bisected (`--stop-after-edit N`).
///
/// Nodes are named by the index they have when the editor is made, or that `insert` returned; indices stay valid until
/// `finished`, which puts inserted nodes in their places. Inserted nodes may read what is made before their place, and nodes
/// inserted earlier.
public struct GraphEditor: Sendable {
  /// One change.
  public struct Edit: Sendable, Hashable, CustomStringConvertible {
    /// What was changed and why.
    public let label: String
    /// The node or tensor it happened at.
    public let place: String
    /// `node: label`.
    public var description: String { "\(place): \(label)" }
  }

  /// Where an inserted node goes.
  public enum Place: Sendable, Hashable {
    case before(Int)
    case after(Int)
    /// Ahead of all nodes.
    case first
  }

  /// The graph as it stands. Inserted nodes stand at the end until `finished`.
  public private(set) var module: Module
  /// What was done, in order.
  public private(set) var edits: [Edit] = []
  /// Edits after this many are left out; nil does all.
  public let limit: Int?
  private let originalCount: Int
  private var places: [Place] = []
  private var removed: Set<Int> = []
  private var removedParameters: Set<Int> = []
  private var redirected: [ValueID: ValueID] = [:]
  private var parameterIndex: [Int: Int]
  private var names: Set<String>
  private var nextSuffix: [String: Int] = [:]

  /// An editor of a graph.
  public init(_ module: Module, limit: Int? = nil) {
    self.module = module
    self.limit = limit
    originalCount = module.nodes.count
    names = Set(module.values.lazy.map(\.name))
    parameterIndex = Dictionary(
      module.parameters.enumerated().map { ($1.value.index, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// True when a node was removed.
  public func isRemoved(_ node: Int) -> Bool { removed.contains(node) }

  /// The parameter that carries a value; nil for inputs and results.
  public func parameter(_ value: ValueID) -> Parameter? { parameterIndex[value.index].map { module.parameters[$0] } }

  /// A new value called like another: its name, `#`, and the next free number.
  public mutating func addValue(like name: String, type: TensorType) -> ValueID {
    var number = nextSuffix[name] ?? 1
    while !names.insert("\(name)#\(number)").inserted { number += 1 }
    nextSuffix[name] = number + 1
    return module.add(Value(name: "\(name)#\(number)", type: type))
  }

  /// A new parameter called like another value.
  public mutating func addParameter(like name: String, _ content: TensorContent) -> ValueID {
    let value = addValue(like: name, type: TensorType(content.element, content.shape.map { Extent($0) }))
    parameterIndex[value.index] = module.parameters.count
    module.parameters.append(Parameter(value: value, content: content))
    return value
  }

  /// Makes a node read another value; operands left out in between stay so.
  public mutating func replaceInput(node: Int, operand: Int, with value: ValueID, _ label: String) {
    guard allow(label, module.label(of: module.nodes[node])) else { return }
    while module.nodes[node].inputs.count <= operand { module.nodes[node].inputs.append(nil) }
    module.nodes[node].inputs[operand] = value
  }

  /// Gives a parameter other numbers, and the type that goes with them. A value that is no parameter stays as it is.
  public mutating func setContent(_ value: ValueID, _ content: TensorContent, _ label: String) {
    guard let index = parameterIndex[value.index], allow(label, module[value].name) else { return }
    module.parameters[index].content = content
    module[value].type = TensorType(content.element, content.shape.map { Extent($0) })
  }

  /// Gives a node an attribute, or takes one away.
  public mutating func setAttribute(node: Int, _ name: AttributeName, _ value: AttributeValue?, _ label: String) {
    guard allow(label, module.label(of: module.nodes[node])) else { return }
    module.nodes[node].attributes[name] = value
  }

  /// Adds a node; returns its index. Nodes for the same place come in the order in which they were added.
  public mutating func insert(_ node: Node, _ place: Place, _ label: String) -> Int {
    module.nodes.append(node)
    places.append(place)
    let index = module.nodes.count - 1
    if !allow(label, module.label(of: node)) { removed.insert(index) }
    return index
  }

  /// Takes a node out. What it made must have no readers left.
  public mutating func remove(node: Int, _ label: String) {
    guard allow(label, module.label(of: module.nodes[node])) else { return }
    removed.insert(node)
  }

  /// Takes a parameter out. It must have no readers left.
  public mutating func remove(parameter value: ValueID, _ label: String) {
    guard let index = parameterIndex[value.index], allow(label, module[value].name) else { return }
    parameterIndex[value.index] = nil
    removedParameters.insert(index)
  }

  /// Lets `original`, which has no readers left, be what `copy` is: whatever reads `copy` reads `original` once the editor has
  /// finished. Both are parameters, or each is the only result of the node named, the nodes being of one kind.
  public mutating func adopt(_ copy: ValueID, as original: ValueID, nodes: (copy: Int, original: Int)? = nil, _ label: String) {
    guard allow(label, module[original].name) else { return }
    if let nodes {
      module.nodes[nodes.original].inputs = module.nodes[nodes.copy].inputs
      removed.insert(nodes.copy)
    } else if let from = parameterIndex[copy.index], let to = parameterIndex[original.index] {
      module.parameters[to].content = module.parameters[from].content
      parameterIndex[copy.index] = nil
      removedParameters.insert(from)
    } else {
      return
    }
    module[original].type = module[copy].type
    redirected[copy] = original
  }

  /// Lets whatever reads by name (subgraphs, nodes kept byte for byte, the model's outputs) read `replacement` under the name of
  /// `value`; whatever reads by operand still reads `value`, which has another name now.
  public mutating func exchangeNames(_ value: ValueID, _ replacement: ValueID, _ label: String) {
    guard allow(label, module[value].name) else { return }
    let name = module[value].name
    module[value].name = module[replacement].name
    module[replacement].name = name
    for node in module.nodes.indices {
      guard case .opaque = module.nodes[node].operation else { continue }
      module.nodes[node].captures = module.nodes[node].captures.map { $0 == value ? replacement : $0 }
      module.nodes[node].inputs = module.nodes[node].inputs.map { $0 == value ? replacement : $0 }
    }
    module.outputs = module.outputs.map { $0 == value ? replacement : $0 }
  }

  /// The graph with every node in its place.
  public consuming func finished() -> Module {
    var ahead: [Int] = []
    var before: [Int: [Int]] = [:]
    var after: [Int: [Int]] = [:]
    for (offset, place) in places.enumerated() where !removed.contains(originalCount + offset) {
      switch place {
      case .first: ahead.append(originalCount + offset)
      case .before(let node): before[node, default: []].append(originalCount + offset)
      case .after(let node): after[node, default: []].append(originalCount + offset)
      }
    }
    var order = ahead
    order.reserveCapacity(module.nodes.count)
    for index in 0..<originalCount {
      order += before[index] ?? []
      if !removed.contains(index) { order.append(index) }
      order += after[index] ?? []
    }
    var result = module
    result.nodes = order.map { index in
      var node = module.nodes[index]
      if !redirected.isEmpty { node.inputs = node.inputs.map { $0.map { redirected[$0] ?? $0 } } }
      return node
    }
    result.parameters = module.parameters.enumerated().filter { !removedParameters.contains($0.offset) }.map(\.element)
    return result
  }

  private mutating func allow(_ label: String, _ place: String) -> Bool {
    if let limit, edits.count >= limit { return false }
    edits.append(Edit(label: label, place: place))
    return true
  }
}
