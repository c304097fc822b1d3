/// Checks that a module is one: the invariants that every pass may rely on and must leave behind.
///
/// 1. Every value is defined at most once: by a parameter, an input, or a node's result. A value that nothing defines is a leftover of an
///    edit; nothing may refer to it.
/// 2. Every use comes after the definition: nodes stand in topological order; operands and captures refer to parameters, inputs or
///    results of earlier nodes; outputs are defined.
/// 3. Names of defined values are not empty and unique. (Nodes may share a name or have none.)
/// 4. Every reference lies within `Module.values`.
/// 5. No input comes twice, and an output may be a parameter or an input.
/// 6. A parameter's content has the element type and the shape of its value, all extents fixed; its stored bytes are as many as the type
///    takes, or none at all (`TensorContent.isMissing`); its kept indices lie inside the stored axis, in ascending order. A copy names an
///    original that is a parameter or a leftover.
/// 7. No extent is a negative number.
/// 8. A node has as many operands and results as its operator's signature allows; an operator with an ONNX name stands in an operator
///    set of which the module knows the version. An opaque operator has a type.
/// 9. No attribute comes twice, and each has a kind of value that ONNX lets it have (`AttributeName.kinds`).
///
/// What the operators make of the types is the business of type inference, not of this pass.
public struct Verifier {
  private let module: Module
  private var isDefined: [Bool]
  private var found: [Diagnostic] = []
  /// So that a module broken everywhere gives a report that ends.
  private static let limit = 100

  /// Everything that is wrong, at most a hundred faults; empty for a valid module.
  public static func check(_ module: Module) -> [Diagnostic] {
    var verifier = Verifier(module)
    verifier.checkAll()
    return Array(verifier.found.prefix(limit))
  }

  private init(_ module: Module) {
    self.module = module
    isDefined = Array(repeating: false, count: module.values.count)
  }

  private mutating func checkAll() {
    if module.opsets.isEmpty { report("the module names no operator set", at: .none) }
    for parameter in module.parameters { checkParameter(parameter) }
    for input in module.inputs { define(input, "an input") }
    for (index, node) in module.nodes.enumerated() where found.count < Self.limit { checkNode(node, index) }
    for output in module.outputs { use(output, "an output", at: .none) }
    checkNames()
    for parameter in module.parameters {
      guard let original = parameter.copyOf, !module.values.indices.contains(original.index) else { continue }
      report("is a copy of value \(original.index), which does not exist", at: place(parameter.value))
    }
  }

  private mutating func report(_ message: String, at place: Diagnostic.Place) {
    if found.count < Self.limit { found.append(Diagnostic(.invalid, message, at: place)) }
  }

  // MARK: values

  private func place(_ id: ValueID) -> Diagnostic.Place {
    .tensor(module.values.indices.contains(id.index) ? module[id].name : "number \(id.index)")
  }

  private mutating func define(_ id: ValueID, _ what: String) {
    guard isDefined.indices.contains(id.index) else {
      return report("\(what) is value \(id.index), of \(module.values.count) values", at: .none)
    }
    if isDefined[id.index] { report("\(what) is defined a second time", at: place(id)) }
    isDefined[id.index] = true
    for case let number? in module[id].type.shape.map(\.constant) where number < 0 {
      report("\(what) has an axis of \(number) indices", at: place(id))
    }
  }

  private mutating func use(_ id: ValueID, _ what: String, at place: Diagnostic.Place) {
    guard isDefined.indices.contains(id.index) else {
      return report("\(what) is value \(id.index), of \(module.values.count) values", at: place)
    }
    if !isDefined[id.index] { report("\(what) is '\(module[id].name)', which is not defined before", at: place) }
  }

  private mutating func checkNames() {
    var seen: Set<String> = []
    for (index, value) in module.values.enumerated() where isDefined[index] {
      if value.name.isEmpty { report("value \(index) has no name", at: .none) }
      if !seen.insert(value.name).inserted { report("two values have this name", at: .tensor(value.name)) }
    }
  }

  private mutating func checkParameter(_ parameter: Parameter) {
    define(parameter.value, "a parameter")
    guard module.values.indices.contains(parameter.value.index) else { return }
    let content = parameter.content
    let type = module[parameter.value].type
    let place = place(parameter.value)
    guard NumberText.count(content.storedShape) != nil, content.kept.count == content.storedShape.count else {
      return report("its stored shape \(content.storedShape) is none", at: place)
    }
    for (list, extent) in zip(content.kept, content.storedShape) {
      guard let list else { continue }
      let ascends = zip(list, list.dropFirst()).allSatisfy { $0 < $1 }
      if !ascends || (list.first ?? 0) < 0 || (list.last ?? -1) >= extent {
        report("kept indices must ascend inside an axis of \(extent)", at: place)
      }
    }
    let stored = TensorType(content.element, content.shape.map { Extent($0) })
    if stored != type { report("its type is \(type), its numbers are \(stored)", at: place) }
    if let count = NumberText.count(content.storedShape), let bytes = content.element.byteCount(of: count),
      bytes != content.data.count,
      !content.isMissing
    {
      report("\(bytes) bytes fill it, there are \(content.data.count)", at: place)
    }
  }

  // MARK: nodes

  private mutating func checkNode(_ node: Node, _ index: Int) {
    let place = Diagnostic.Place.node(module.label(of: index))
    for case let (operand, input?) in node.inputs.enumerated() { use(input, "operand \(operand)", at: place) }
    for capture in node.captures { use(capture, "a capture", at: place) }
    for case let output? in node.outputs { define(output, "a result of node \(module.label(of: index))") }
    if case .opaque(let opaque) = node.operation, opaque.type.isEmpty { report("an opaque operator without a type", at: place) }
    if let signature = node.operation.rules?.signature {
      let name = node.operation.textName
      if !signature.inputs.contains(node.inputs.count) {
        report("\(name) takes \(Signature.describe(signature.inputs, "operand")), here are \(node.inputs.count)", at: place)
      }
      if !signature.outputs.contains(node.outputs.count) {
        report("\(name) makes \(Signature.describe(signature.outputs, "result")), here are \(node.outputs.count)", at: place)
      }
      let domain = node.operation.onnxName.domain
      if !domain.isEmpty && module.opsets[domain] == nil {
        report("\(name) needs the version of operator set \(domain), which the module does not name", at: place)
      }
    }
    checkAttributes(node.attributes, at: place)
  }

  private mutating func checkAttributes(_ attributes: Attributes, at place: Diagnostic.Place) {
    for (at, entry) in attributes.entries.enumerated() {
      if attributes.entries[..<at].contains(where: { $0.name == entry.name }) {
        report("attribute \(entry.name.rawValue) comes twice", at: place)
      }
      if !isSane(entry) { report("attribute \(entry.name.rawValue) must not be of kind \(kindText(entry.value))", at: place) }
      if case .tensor(let type, let data) = entry.value, let shape = type.staticShape, let count = NumberText.count(shape),
        let bytes = type.element.byteCount(of: count), bytes != data.count
      {
        report("\(bytes) bytes fill attribute \(entry.name.rawValue), there are \(data.count)", at: place)
      }
    }
  }

  private func isSane(_ entry: Attributes.Entry) -> Bool {
    guard let kind = entry.value.kind else { return true }
    let allowed = entry.name.kinds
    if allowed.contains(kind) { return true }
    let lists: Set<AttributeKind> = [.ints, .floats, .strings]
    switch entry.value {
    case .ints(let list): return list.isEmpty && !allowed.isDisjoint(with: lists)
    case .floats(let list): return list.isEmpty && !allowed.isDisjoint(with: lists)
    case .strings(let list): return list.isEmpty && !allowed.isDisjoint(with: lists)
    case .int, .float, .string, .tensor, .raw: return false
    }
  }

  private func kindText(_ value: AttributeValue) -> String { value.kind.map { "\($0)" } ?? "raw" }
}

extension Module {
  /// Everything that is wrong with the module's structure; empty when it is valid. See `Verifier`.
  public func faults() -> [Diagnostic] { Verifier.check(self) }

  /// Throws the first fault of the module's structure. See `Verifier`.
  public func verify() throws(Diagnostic) {
    if let first = faults().first { throw first }
  }

  /// What messages call a node: its name, or else that of its first result, or its operator and place.
  public func label(of node: Int) -> String {
    guard nodes.indices.contains(node) else { return "number \(node)" }
    if !nodes[node].name.isEmpty { return nodes[node].name }
    for case let output? in nodes[node].outputs where values.indices.contains(output.index) { return values[output.index].name }
    return "\(nodes[node].operation.textName) (number \(node))"
  }
}
