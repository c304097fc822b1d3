/// Turns a model as a file spells it into a module: names become values, operators of the set are known, everything is typed.
public struct Importer {
  /// The module that a file's model describes.
  ///
  /// Constant nodes become parameters that remember their place. Operators outside the set, known ones with attributes that prunec does not
  /// know, control flow, and calls of the file's functions are opaque. Values that no node reads stay. Nodes that stand before what they
  /// read, as conversions to half precision leave them, are moved behind it; all others keep their order.
  ///
  /// Throws `invalid` for names that are made twice, never, or out of what reads them, for operands and results that an operator does
  /// not have, and for types that do not fit; `unsupported` for sparse constants.
  public static func module(from model: NamedModel) throws(Diagnostic) -> Module {
    do throws(Diagnostic) {
      return try read(model)
    } catch {
      let opset = model.opsets[""] ?? model.opsets["ai.onnx"] ?? oldestOpset
      guard opset < oldestOpset, error.kind == .invalid else { throw error }
      let advice = "the model uses operator set \(opset), prunec reads \(oldestOpset) and newer: convert it first"
      throw Diagnostic(.unsupported, "\(error.message) (\(advice))", at: error.place, file: error.file)
    }
  }

  /// Models of older operator sets are read as far as their operators mean the same.
  private static let oldestOpset = 11

  private static func read(_ model: NamedModel) throws(Diagnostic) -> Module {
    var model = model
    if let sorted = NodeOrder.sorted(model.nodes) { model.nodes = sorted }
    var importer = Importer(model)
    try importer.readParameters()
    try importer.readInputs()
    for (position, node) in model.nodes.enumerated() { try importer.read(node, at: position) }
    try importer.readOutputs()
    importer.declareOpaqueResults()
    let inferred = try TypeInference.run(importer.module, declared: importer.declared)
    for index in importer.module.values.indices { importer.module.values[index].type = inferred.types[index] }
    return importer.module
  }

  private let model: NamedModel
  private var module: Module
  private var byName: [String: ValueID] = [:]
  private var declared: [ValueID: TensorType] = [:]
  /// Qualified names of the functions that the file defines.
  private let functions: Set<String>

  private init(_ model: NamedModel) {
    self.model = model
    module = Module(name: model.name, opsets: model.opsets)
    module.values.reserveCapacity(model.initializers.count + model.inputs.count + model.nodes.count)
    module.nodes.reserveCapacity(model.nodes.count)
    byName.reserveCapacity(model.initializers.count + model.inputs.count + model.nodes.count)
    functions = Set(model.functions.map { Opaque(domain: $0.domain, type: $0.type).qualifiedName })
  }

  // MARK: - Values

  private mutating func define(_ name: String, _ type: TensorType) throws(Diagnostic) -> ValueID {
    guard byName[name] == nil else { throw Diagnostic(.invalid, "\(makers(of: name)); names must be unique", at: .tensor(name)) }
    let value = module.add(Value(name: name, type: type))
    byName[name] = value
    return value
  }

  private mutating func readParameters() throws(Diagnostic) {
    for tensor in model.initializers {
      guard let shape = tensor.type.staticShape, shape == tensor.content.shape, tensor.type.element == tensor.content.element
      else {
        let stored = TensorType(tensor.content.element, tensor.content.shape.map { Extent($0) })
        throw Diagnostic(.invalid, "is stated to be \(tensor.type), but holds \(stored)", at: .tensor(tensor.name))
      }
      let value = try define(tensor.name, tensor.type)
      module.parameters.append(Parameter(value: value, content: tensor.content))
    }
  }

  private mutating func readInputs() throws(Diagnostic) {
    let parameters = byName
    for input in model.inputs {
      // Files from before version 4 list their initializers among the inputs.
      if parameters[input.name] != nil { continue }
      guard !input.name.isEmpty else { throw Diagnostic(.invalid, "an input has no name") }
      module.inputs.append(try define(input.name, input.type))
    }
  }

  private mutating func readOutputs() throws(Diagnostic) {
    for output in model.outputs {
      guard let value = byName[output.name] else {
        throw Diagnostic(.invalid, "is an output, but no node, input or initializer makes it", at: .tensor(output.name))
      }
      module.outputs.append(value)
      if output.type.isRanked || output.type.element != .unknown { declared[value] = output.type }
    }
  }

  // MARK: - Nodes

  private mutating func read(_ node: NamedNode, at position: Int) throws(Diagnostic) {
    if Self.isConstant(node) { return try readConstant(node, at: position) }
    var inputs: [ValueID?] = []
    inputs.reserveCapacity(node.inputs.count)
    for name in node.inputs { inputs.append(name.isEmpty ? nil : try value(name, readBy: node, at: position)) }
    var captures: [ValueID] = []
    for name in node.captures { captures.append(try value(name, readBy: node, at: position)) }
    let (operation, attributes) = try self.operation(of: node)
    if let rules = operation.rules {
      try check(node, "operands", node.inputs.count, rules.signature.inputs)
      try check(node, "results", node.outputs.count, rules.signature.outputs)
    }
    var outputs: [ValueID?] = []
    outputs.reserveCapacity(node.outputs.count)
    for name in node.outputs { outputs.append(name.isEmpty ? nil : try make(name)) }
    declareBranches(of: node, outputs)
    module.nodes.append(
      Node(
        operation, inputs: inputs, outputs: outputs, attributes: attributes, name: node.name, position: position,
        captures: captures))
  }

  /// What an `if` returns is what both its branches return; lengths on which they differ are unknown.
  private mutating func declareBranches(of node: NamedNode, _ outputs: [ValueID?]) {
    guard node.type == "If", node.domain.isEmpty else { return }
    for case (let index, let output?) in outputs.enumerated() where declared[output] == nil {
      let types = node.subgraphs.compactMap { $0.graph.outputs.indices.contains(index) ? $0.graph.outputs[index].type : nil }
      guard types.count == 2, let first = types.first, let second = types.last, first.isRanked, second.isRanked,
        first.element == second.element, first.rank == second.rank
      else { continue }
      let shape = first.shape.indices.map { axis in
        first.shape[axis] == second.shape[axis] ? first.shape[axis] : Extent.symbol("?\(module[output].name).\(axis)")
      }
      declared[output] = TensorType(first.element, shape)
    }
  }

  /// What the results of operators that prunec does not know must be, where the file does not say: what the branches of an `if` return, and
  /// what the layer that reads them takes.
  private mutating func declareOpaqueResults() {
    let uses = module.uses()
    for node in module.nodes where node.operation.rules == nil {
      for case let output? in node.outputs where declared[output] == nil {
        let readers = uses[output.index].filter { $0.operand == 0 }.map { module.nodes[$0.node] }
        if let type = readers.compactMap({ typeRead(by: $0, as: output) }).first { declared[output] = type }
      }
    }
  }

  /// The type of a first operand that its reader leaves no choice about, but for lengths.
  private func typeRead(by node: Node, as value: ValueID) -> TensorType? {
    guard node.inputs.count > 1, let weight = node.inputs[1], module[weight].type.isRanked else { return nil }
    let name = module[value].name
    func unknown(_ axis: Int) -> Extent { .symbol("?\(name).\(axis)") }
    let type = module[weight].type
    switch node.operation {
    case .matrixProduct(.gemm):
      guard type.rank == 2 else { return nil }
      let contracted = type.shape[node.attributes.flag(.transB) ? 1 : 0]
      return TensorType(type.element, node.attributes.flag(.transA) ? [contracted, unknown(1)] : [unknown(0), contracted])
    case .convolution(.conv):
      guard type.rank > 2 else { return nil }
      let channels = type.shape[1] * Extent(node.attributes.int(.group) ?? 1)
      return TensorType(type.element, [unknown(0), channels] + (2..<type.rank).map(unknown))
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  private mutating func make(_ name: String) throws(Diagnostic) -> ValueID {
    let stated = model.valueTypes[name]
    let value = try define(name, stated ?? .unranked(.unknown))
    if let stated { declared[value] = stated }
    return value
  }

  private func value(_ name: String, readBy node: NamedNode, at position: Int) throws(Diagnostic) -> ValueID {
    if let value = byName[name] { return value }
    throw Diagnostic(.invalid, "\(node.type): \(reasonMissing(name, readAt: position))", at: .node(Self.name(of: node)))
  }

  /// The operator and its attributes. An operator that prunec knows is opaque with attributes that prunec does not know.
  private func operation(of node: NamedNode) throws(Diagnostic) -> (Operator, Attributes) {
    let isCall = !functions.isEmpty && functions.contains(Opaque(domain: node.domain, type: node.type).qualifiedName)
    let known = isCall || !node.subgraphs.isEmpty ? nil : Operator(domain: node.domain, type: node.type)
    var entries: [Attributes.Entry] = []
    var foreign: String?
    for (name, value) in node.attributes {
      if let attribute = AttributeName(rawValue: name), !Self.isRaw(value) {
        entries.append(Attributes.Entry(attribute, value))
      } else {
        foreign = foreign ?? name
      }
    }
    if let known, foreign == nil { return (known, Attributes(entries)) }
    let opaque = Opaque(domain: node.domain, type: node.type, source: node.source.map { $0.numbers(as: UInt8.self) })
    if opaque.source != nil { return (.opaque(opaque), Attributes()) }
    guard let foreign else { return (.opaque(opaque), Attributes(entries)) }
    throw Diagnostic(
      .unsupported, "\(opaque.qualifiedName): the attribute \(foreign) cannot be kept without the node's bytes",
      at: .node(Self.name(of: node)))
  }

  private static func isRaw(_ value: AttributeValue) -> Bool {
    switch value {
    case .raw: true
    case .int, .float, .string, .ints, .floats, .strings, .tensor: false
    }
  }

  private func check(_ node: NamedNode, _ what: String, _ count: Int, _ range: ClosedRange<Int>) throws(Diagnostic) {
    guard !range.contains(count) else { return }
    let wanted =
      range.count == 1
      ? "\(range.lowerBound)"
      : range.upperBound >= Signature.many ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
    throw Diagnostic(.invalid, "\(node.type) has \(count) \(what), but takes \(wanted)", at: .node(Self.name(of: node)))
  }

  /// The node as people know it: by its own name, or by what it makes.
  static func name(of node: NamedNode) -> String { node.name.isEmpty ? node.outputs.first { !$0.isEmpty } ?? "" : node.name }

  // MARK: - Constants

  static func isConstant(_ node: NamedNode) -> Bool {
    node.type == "Constant" && (node.domain.isEmpty || node.domain == "ai.onnx")
  }

  private mutating func readConstant(_ node: NamedNode, at position: Int) throws(Diagnostic) {
    guard node.inputs.allSatisfy(\.isEmpty), node.outputs.count == 1, let name = node.outputs.first, !name.isEmpty else {
      throw Diagnostic(.invalid, "Constant takes no operands and has one result", at: .node(Self.name(of: node)))
    }
    let content = try Self.content(of: node)
    let value = try define(name, TensorType(content.element, content.shape.map { Extent($0) }))
    module.parameters.append(Parameter(value: value, content: content, home: .node(node, position: position)))
  }

  /// The tensor that a Constant node holds.
  static func content(of node: NamedNode) throws(Diagnostic) -> TensorContent {
    func failure(_ kind: Diagnostic.Kind, _ message: String) -> Diagnostic {
      Diagnostic(kind, "Constant: \(message)", at: .node(name(of: node)))
    }
    guard node.attributes.count == 1, let (name, value) = node.attributes.first else {
      throw failure(.invalid, "has \(node.attributes.count) attributes, but takes one")
    }
    switch (AttributeName(rawValue: name), value) {
    case (.value, .tensor(let type, let data)):
      guard let shape = type.staticShape else { throw failure(.invalid, "its value is \(type), which is no stored tensor") }
      return TensorContent(data, element: type.element, shape: shape)
    case (.valueInt, .int(let number)): return TensorContent(TensorData([Int64(number)]), element: .i64, shape: [])
    case (.valueInts, .ints(let numbers)):
      return TensorContent(TensorData(numbers.map { Int64($0) }), element: .i64, shape: [numbers.count])
    case (.valueFloat, .float(let number)): return TensorContent(TensorData([number]), element: .f32, shape: [])
    case (.valueFloats, .floats(let numbers)):
      return TensorContent(TensorData(numbers), element: .f32, shape: [numbers.count])
    case (.valueString, .string): return TensorContent(TensorData([UInt8]()), element: .string, shape: [])
    case (.valueStrings, .strings(let texts)):
      return TensorContent(TensorData([UInt8]()), element: .string, shape: [texts.count])
    case (.valueString, .raw): return TensorContent(TensorData([UInt8]()), element: .string, shape: [])
    case (nil, _) where name == "sparse_value":
      throw failure(.unsupported, "sparse values are not supported; make it dense first")
    case _: throw failure(.invalid, "the attribute \(name) is no value that a Constant can have")
    }
  }

  // MARK: - Reasons

  /// Who makes a name that is made more than once.
  private func makers(of name: String) -> String {
    var makers: [String] = []
    for tensor in model.initializers where tensor.name == name { makers.append("an initializer") }
    for input in model.inputs where input.name == name && !model.initializers.contains(where: { $0.name == name }) {
      makers.append("an input")
    }
    for (position, node) in model.nodes.enumerated() {
      for output in node.outputs where output == name { makers.append(describe(position)) }
    }
    return "is made by \(makers.prefix(3).joined(separator: " and "))"
  }

  private func describe(_ position: Int) -> String {
    let node = model.nodes[position]
    return node.name.isEmpty ? "node \(position) (\(node.type))" : "node \(node.name) (\(node.type))"
  }

  /// Why a name has no value yet.
  private func reasonMissing(_ name: String, readAt position: Int) -> String {
    guard let maker = model.nodes.indices.first(where: { model.nodes[$0].outputs.contains(name) }) else {
      return "reads \(name), which no node, input or initializer makes"
    }
    var makerOf: [String: Int] = [:]
    for (index, node) in model.nodes.enumerated() {
      for output in node.outputs where !output.isEmpty { makerOf[output] = index }
    }
    var reached: Set<Int> = [maker]
    var open = [maker]
    while let next = open.popLast(), next != position {
      for input in model.nodes[next].inputs + model.nodes[next].captures {
        if let before = makerOf[input], reached.insert(before).inserted { open.append(before) }
      }
    }
    if reached.contains(position) {
      return maker == position
        ? "reads \(name), which it makes itself" : "reads \(name), which \(describe(maker)) makes out of its result: a cycle"
    }
    return "reads \(name), which \(describe(maker)) makes only later, and other nodes form a cycle"
  }
}
