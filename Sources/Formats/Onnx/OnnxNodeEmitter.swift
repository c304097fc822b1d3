import Graph

extension OnnxEmitter {
  /// A node's message: that of the file, with only those fields replaced that differ; a fresh one where the file has none.
  mutating func node(_ node: NamedNode) throws(Diagnostic) -> WireMessage {
    guard let (base, message) = try originalNode(of: node) else { return try freshNode(node) }
    var groups: [FieldGroup] = []
    if node.inputs != base.inputs { groups.append(FieldGroup([1], .of { m in node.inputs.forEach { m.field(1, text: $0) } })) }
    if node.outputs != base.outputs { groups.append(FieldGroup([2], .of { m in node.outputs.forEach { m.field(2, text: $0) } })) }
    if node.name != base.name { groups.append(FieldGroup([3], .of { $0.field(3, text: node.name) })) }
    if node.type != base.type { groups.append(FieldGroup([4], .of { $0.field(4, text: node.type) })) }
    if node.domain != base.domain { groups.append(FieldGroup([7], .of { $0.field(7, text: node.domain) })) }
    let isPlain = !isDisplaced(message.range, in: message.store) && !hidesConstant(node)
    // A node that carries its message and no attributes is one that prunec does not know: its attributes are those of the message.
    let isOpaque = node.source != nil && node.attributes.isEmpty
    if isPlain && (isOpaque || OnnxEmitter.isSame(node.attributes, base.attributes)) {
      if groups.isEmpty { return .of { $0.verbatim(message) } }
    } else {
      let old = try OnnxEncoding.all(message, 5)
      var attributes = WireMessage()
      for (index, attribute) in node.attributes.enumerated() {
        let at =
          base.attributes.indices.contains(index) && base.attributes[index].name == attribute.name
          ? index : base.attributes.firstIndex { $0.name == attribute.name }
        let known = at.flatMap { old.indices.contains($0) ? (base.attributes[$0].value, old[$0]) : nil }
        attributes.field(5, message: try self.attribute(attribute, of: node, original: known))
      }
      groups.append(FieldGroup([5], attributes))
    }
    return try WireMessage(patching: message, groups)
  }

  private mutating func freshNode(_ node: NamedNode) throws(Diagnostic) -> WireMessage {
    var message = WireMessage()
    for name in node.inputs { message.field(1, text: name) }
    for name in node.outputs { message.field(2, text: name) }
    if !node.name.isEmpty { message.field(3, text: node.name) }
    message.field(4, text: node.type)
    for attribute in node.attributes {
      message.field(5, message: try self.attribute(attribute, of: node, original: nil))
    }
    if !node.domain.isEmpty { message.field(7, text: node.domain) }
    return message
  }

  /// The node and message of the file that a node came from: the one with the same first result, otherwise the message that the node
  /// carries with it (a copy of another node, or a node of a subgraph).
  private mutating func originalNode(of node: NamedNode) throws(Diagnostic) -> (NamedNode, TensorData)? {
    if let index = originals.index(of: node) {
      let base = originals.nodes[index]
      return base.source.map { (base, $0) }
    }
    guard let source = node.source, !isDisplaced(source.range, in: source.store) else { return nil }
    let base = try source.store.reading { (bytes) throws(Diagnostic) -> NamedNode in
      var reader = OnnxReader(bytes: bytes, store: source.store, folder: nil, tensors: [:])
      return try reader.node(source.range, depth: 0)
    }
    return (base, source)
  }

  /// The message of an attribute; `original` is its value and message in the file.
  private mutating func attribute(
    _ attribute: (name: String, value: AttributeValue), of node: NamedNode,
    original: (value: AttributeValue, message: TensorData)?
  ) throws(Diagnostic) -> WireMessage {
    let hides = hidesConstant(node)
    if let original, !hides, OnnxEmitter.isSame(attribute.value, original.value) {
      return try copy(original.message, as: .attribute)
    }
    var value = WireMessage()
    func kind(_ code: Int) { value.field(20, int: code) }
    switch attribute.value {
    case .float(let number):
      value.field(2, float: number)
      kind(1)
    case .int(let number):
      value.field(3, int: number)
      kind(2)
    case .string(let text):
      value.field(4, text: text)
      kind(3)
    case .tensor(let type, let data):
      let base = try original.flatMap { o throws(Diagnostic) in try OnnxEncoding.nested(o.message, 5) }
      value.field(5, message: try tensorAttribute(type, data, base: base, hides: hides, of: node))
      kind(4)
    case .floats(let numbers):
      for number in numbers { value.field(7, float: number) }
      kind(6)
    case .ints(let numbers):
      for number in numbers { value.field(8, int: number) }
      kind(7)
    case .strings(let texts):
      for text in texts { value.field(9, text: text) }
      kind(8)
    case .raw(let bytes):
      return .of { $0.verbatim(TensorData(bytes)) }
    }
    return try WireMessage(
      patching: original?.message ?? OnnxReader.noData,
      [
        FieldGroup([1], .of { $0.field(1, text: attribute.name) }),
        FieldGroup([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 20, 21, 22, 23], value),
      ])
  }

  private mutating func tensorAttribute(
    _ type: TensorType, _ data: TensorData, base: TensorData?, hides: Bool, of node: NamedNode
  ) throws(Diagnostic) -> WireMessage {
    guard let shape = type.staticShape else { throw Diagnostic(.invalid, "a constant's shape is symbolic", at: .node(node.name)) }
    let content = TensorContent(data, element: type.element, shape: shape)
    if type.element == .string, let base { return .of { $0.verbatim(base) } }
    let displaced = base.flatMap { base in
      self.original.flatMap { $0.store === base.store ? $0.displaced[base.range.lowerBound] : nil }
    }
    return try OnnxEncoding.tensor(
      content, type: type, name: nil, base: base,
      placement: hides ? .missing(wasExternal: displaced?.isExternal ?? false) : .inline, external: &external)
  }

  /// In a skeleton the numbers of constants are left out.
  private func hidesConstant(_ node: NamedNode) -> Bool {
    guard case .skeleton = mode, node.type == "Constant", node.domain.isEmpty else { return false }
    return node.attributes.contains { attribute in
      if case .tensor(let type, let data) = attribute.value { data.count > 0 && type.element != .string } else { false }
    }
  }

  static func isSame(
    _ a: [(name: String, value: AttributeValue)], _ b: [(name: String, value: AttributeValue)]
  ) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.name == $1.name && isSame($0.value, $1.value) }
  }

  /// Equal values; tensors are compared by their bytes where that is cheap.
  static func isSame(_ a: AttributeValue, _ b: AttributeValue) -> Bool {
    if case .tensor(let s, let x) = a, case .tensor(let t, let y) = b { return s == t && isSame(x, y) }
    return a == b
  }

  static func isSame(_ a: TensorData, _ b: TensorData) -> Bool {
    if a.isIdentical(to: b) { return true }
    guard a.count == b.count, a.count <= 4096 else { return false }
    return a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
  }
}

/// The nodes of the file, found by their first result.
struct OriginalNodes {
  let nodes: [NamedNode]
  /// The node after the one found last: nodes mostly come in the order of the file.
  private var expected = 0
  private var byResult: [String: Int]?
  private var byStart: [Int: Int] = [:]

  init(_ nodes: [NamedNode]) { self.nodes = nodes }

  mutating func index(of node: NamedNode) -> Int? {
    let result = node.outputs.first { !$0.isEmpty } ?? ""
    if nodes.indices.contains(expected), let source = node.source, nodes[expected].source?.isIdentical(to: source) ?? false,
      OriginalNodes.result(nodes[expected]) == result
    {
      expected += 1
      return expected - 1
    }
    let table = byResult ?? makeTables()
    let found = result.isEmpty ? node.source.flatMap { byStart[$0.range.lowerBound] } : table[result]
    if let found { expected = found + 1 }
    return found
  }

  private mutating func makeTables() -> [String: Int] {
    var table: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      let result = OriginalNodes.result(node)
      if result.isEmpty {
        if let source = node.source { byStart[source.range.lowerBound] = index }
      } else if table[result] == nil {
        table[result] = index
      }
    }
    byResult = table
    return table
  }

  private static func result(_ node: NamedNode) -> String { node.outputs.first { !$0.isEmpty } ?? "" }
}
