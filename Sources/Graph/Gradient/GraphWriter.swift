/// Appends nodes to a module. Types and known numbers come from the operators' own inference rules, node by node.
///
/// Values are handled as `Term`s, so that rules read as formulas. The first failure is kept and told by `check`; what follows it is of no
/// use. Nodes keep the order in which they were added, so an operand must be made before its reader.
public final class GraphWriter {
  /// The module as it stands.
  public private(set) var module: Module
  /// Name of the node that new ones serve: new names begin with it.
  public var scope = ""
  /// Place among the nodes of the file that new ones take.
  public var position = 0
  private var numbers: [KnownValue?]
  private var contents: [ValueID: TensorContent]
  private var names: Set<String>
  private var suffixes: [String: Int] = [:]
  /// A value and axis that has an extent, for extents that only running the model tells.
  private var lengths: [Extent: (value: ValueID, axis: Int)] = [:]
  private var made: [Key: ValueID] = [:]
  private var failure: Diagnostic?

  /// What may be made once and read often: constants, and lengths of axes.
  private enum Key: Hashable {
    case real(Double, ElementType)
    case list([Int])
    case length(Extent)
    case shape(ValueID)
  }

  /// A writer that goes on behind the nodes of a module; with `isEmpty`, one that begins without them but knows the types of all values.
  ///
  /// Throws where the module's types do not fit together.
  public init(_ module: Module, isEmpty: Bool = false) throws(Diagnostic) {
    let inferred = try TypeInference.run(
      module,
      declared: Dictionary(
        module.values.indices.map { (ValueID($0), module.values[$0].type) }, uniquingKeysWith: { first, _ in first }))
    self.module = module
    for index in module.values.indices where inferred.types[index].element != .unknown {
      self.module.values[index].type = inferred.types[index]
    }
    numbers = inferred.numbers
    contents = Dictionary(module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    names = Set(module.values.map(\.name))
    if isEmpty { self.module.nodes = [] }
    let made = isEmpty ? [] : module.nodes.flatMap { $0.outputs.compactMap(\.self) }
    for value in module.inputs + module.parameters.map(\.value) + made { noteLengths(value) }
  }

  /// Throws the first failure.
  public func check() throws(Diagnostic) {
    if let failure { throw failure }
  }

  /// Version of the operator set of an operator.
  func opset(of operation: Operator) -> Int {
    let domain = operation.onnxName.domain
    return domain.isEmpty ? module.opset : module.opsets[domain] ?? 1
  }

  /// What is known of a value's numbers.
  package func known(_ value: ValueID) -> KnownValue? {
    numbers[value.index] ?? contents[value].flatMap { $0.elementCount <= KnownValue.limit ? KnownValue($0) : nil }
  }

  /// The stored numbers of a parameter.
  func content(_ value: ValueID) -> TensorContent? { contents[value] }

  /// What inference sees of a node.
  func inference(of node: Node, label: String) -> InferenceContext {
    InferenceContext(
      node: node, opset: opset(of: node.operation), label: label, inputTypes: node.inputs.map { $0.map { module[$0].type } },
      inputNumbers: node.inputs.map { $0.flatMap { known($0) } }, contents: node.inputs.map { $0.flatMap { contents[$0] } })
  }

  // MARK: - Values and nodes

  private func noteLengths(_ value: ValueID) {
    for (axis, extent) in module[value].type.shape.enumerated() where !extent.isConstant && lengths[extent] == nil {
      lengths[extent] = (value, axis)
    }
  }

  /// A name that nothing has: the one asked for, or with the next number.
  private func free(_ wanted: String) -> String {
    // Symbols of unknown lengths are named after values, and sums and products are made of these characters.
    let name = String(wanted.map { "+-*(), ".contains($0) ? "_" : $0 })
    var number = suffixes[name] ?? 1
    var candidate = number == 1 ? name : "\(name)_\(number)"
    while !names.insert(candidate).inserted {
      number += 1
      candidate = "\(name)_\(number)"
    }
    suffixes[name] = number + 1
    return candidate
  }

  private func add(_ name: String, _ type: TensorType) -> ValueID {
    let value = module.add(Value(name: free(scope.isEmpty ? name : "\(scope)/\(name)"), type: type))
    numbers.append(nil)
    return value
  }

  /// Appends a node that the module had, with its own results.
  public func append(_ node: Node) {
    module.nodes.append(node)
    for case let output? in node.outputs { noteLengths(output) }
  }

  /// Appends a node whose result is a value that nothing makes any more.
  public func append(_ operation: Operator, _ operands: [Term], making value: ValueID) {
    module.nodes.append(Node(operation, inputs: operands.map(\.value), outputs: [value], name: scope, position: position))
    noteLengths(value)
  }

  /// Adds a node; exactly as many terms come back as results are asked for.
  package func nodes(_ operation: Operator, _ operands: [Term?], _ attributes: [Attributes.Entry] = [], results: Int) -> [Term] {
    let inputs = operands.map { $0?.value }
    let first = module.values.count
    let outputs = (0..<results).map { _ in add(operation.textName, .unranked(.unknown)) }
    let node = Node(
      operation, inputs: inputs, outputs: outputs, attributes: Attributes(attributes), name: module.values[first].name,
      position: position)
    var context = inference(of: node, label: node.name)
    do throws(Diagnostic) {
      try operation.rules?.infer(&context)
    } catch {
      if failure == nil { failure = Diagnostic(error.kind, error.message, at: .node(scope)) }
    }
    for (index, output) in outputs.enumerated() {
      module[output].type = context.outputTypes[index] ?? .unranked(.unknown)
      numbers[output.index] = context.outputNumbers[index]
      if !module[output].type.isRanked, failure == nil {
        failure = Diagnostic(
          .unsupported, "\(operation.textName): the rank of a tensor is not known; fix the shapes of the inputs with --dim",
          at: .node(scope))
      }
      noteLengths(output)
    }
    module.nodes.append(node)
    return outputs.map { Term(self, $0) }
  }

  /// Adds a node with one result.
  package func node(_ operation: Operator, _ operands: [Term?], _ attributes: [Attributes.Entry] = []) -> Term {
    nodes(operation, operands, attributes, results: 1)[0]
  }

  /// Adds an input.
  public func input(_ name: String, _ type: TensorType) -> Term {
    names.insert(name)
    let value = module.add(Value(name: name, type: type))
    numbers.append(nil)
    module.inputs.append(value)
    noteLengths(value)
    return Term(self, value)
  }

  /// Makes a term an output under a name that nothing has.
  public func output(_ name: String, _ term: Term) {
    let value = module.add(Value(name: name, type: term.type))
    names.insert(name)
    numbers.append(nil)
    module.nodes.append(
      Node(.elementwise(.identity), inputs: [term.value], outputs: [value], name: name, position: position))
    module.outputs.append(value)
  }

  // MARK: - Constants and lengths

  /// A tensor of stored numbers.
  package func constant(_ tensor: Tensor) -> Term {
    let value = add("constant", tensor.type)
    let content = TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)
    module.parameters.append(Parameter(value: value, content: content))
    contents[value] = content
    if tensor.count <= 64 { numbers[value.index] = KnownValue(content) }
    return Term(self, value)
  }

  private func once(_ key: Key, _ make: () -> Term) -> Term {
    if let known = made[key] { return Term(self, known) }
    let term = make()
    made[key] = term.value
    return term
  }

  /// One number without an axis.
  package func scalar(_ number: Double, _ element: ElementType) -> Term {
    once(.real(number, element)) {
      constant(element.isFloat ? Tensor(reals: [number], element, []) : Tensor(wholes: [Int(number)], element, []))
    }
  }

  /// A list of whole numbers.
  package func list(_ numbers: [Int]) -> Term {
    once(.list(numbers)) { constant(Tensor(wholes: numbers, .i64, [numbers.count])) }
  }

  /// Lengths as a list; what is symbolic is read off a tensor that has such an axis.
  package func list(_ extents: [Extent]) -> Term {
    let numbers = extents.compactMap(\.constant)
    if numbers.count == extents.count { return list(numbers) }
    let parts = extents.map { length($0) }
    return parts.count == 1 ? parts[0] : node(.joining(.concat), parts, [.init(.axis, .int(0))])
  }

  /// One length as a list of one number.
  package func length(_ extent: Extent) -> Term {
    if let number = extent.constant { return list([number]) }
    guard let (value, axis) = lengths[extent] else {
      if failure == nil {
        failure = Diagnostic(
          .unsupported, "the length \(extent) is not that of any axis; fix the shapes of the inputs with --dim", at: .node(scope))
      }
      return list([1])
    }
    return once(.length(extent)) {
      // `Shape` takes a range of axes since version 15.
      if module.opset >= 15 {
        return node(.generation(.shape), [Term(self, value)], [.init(.start, .int(axis)), .init(.end, .int(axis + 1))])
      }
      return Term(self, value).dimensions.sliced(axis: 0, from: axis, to: axis + 1)
    }
  }

  /// The shape of a value as a list.
  package func shape(_ value: ValueID) -> Term {
    if let numbers = module[value].type.staticShape { return list(numbers) }
    return once(.shape(value)) { node(.generation(.shape), [Term(self, value)]) }
  }
}
