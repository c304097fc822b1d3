import Graph

extension OnnxReader {
  /// Reads a NodeProto of a graph at `depth`.
  mutating func node(_ range: Range<Int>, depth: Int) throws(Diagnostic) -> NamedNode {
    var node = NamedNode(type: "", inputs: [], outputs: [], source: stored(range))
    var attributes: [Range<Int>] = []
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: node.inputs.append(try field.text(bytes))
      case 2: node.outputs.append(try field.text(bytes))
      case 3: node.name = try field.text(bytes)
      case 4: node.type = try field.text(bytes)
      case 5: attributes.append(try field.message())
      case 7: node.domain = OnnxReader.standard(try field.text(bytes))
      default: break
      }
    }
    guard !node.type.isEmpty else {
      throw Diagnostic(
        .invalid, "a node has no operator type", at: node.name.isEmpty ? .byte(range.lowerBound) : .node(node.name))
    }
    node.attributes.reserveCapacity(attributes.count)
    for range in attributes { try attribute(range, depth: depth, of: &node) }
    return node
  }

  /// The parts of an AttributeProto that were present.
  private struct AttributeFields {
    var name = ""
    var type: Int?
    var float: Float?
    var int: Int?
    var text: Range<Int>?
    var tensor: Range<Int>?
    var graphs: [Range<Int>] = []
    var floats: [Float] = []
    var ints: [Int] = []
    var texts: [Range<Int>] = []
    var isReference = false
    var hasOther = false

    /// The kind by what is present, for files from before attributes stated it.
    var inferredType: Int {
      if float != nil { return 1 }
      if int != nil { return 2 }
      if text != nil { return 3 }
      if tensor != nil { return 4 }
      if !graphs.isEmpty { return 5 }
      if !floats.isEmpty { return 6 }
      if !ints.isEmpty { return 7 }
      if !texts.isEmpty { return 8 }
      return 0
    }
  }

  private mutating func attribute(_ range: Range<Int>, depth: Int, of node: inout NamedNode) throws(Diagnostic) {
    var fields = AttributeFields()
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: fields.name = try field.text(bytes)
      case 2: fields.float = try field.float()
      case 3: fields.int = try field.int()
      case 4: fields.text = try field.message()
      case 5: fields.tensor = try field.message()
      case 6, 11: fields.graphs.append(try field.message())
      case 7: try field.appendFloats(to: &fields.floats, bytes)
      case 8: try field.appendInts(to: &fields.ints, bytes)
      case 9: fields.texts.append(try field.message())
      case 20: fields.type = try field.int()
      case 21: fields.isReference = !field.payload.isEmpty
      case 10, 14, 15, 22, 23: fields.hasOther = true
      default: break
      }
    }
    let type = (fields.type ?? 0) == 0 ? fields.inferredType : fields.type ?? 0
    let value = fields.isReference || fields.hasOther ? nil : try value(fields, type: type, of: node)
    node.attributes.append((fields.name, value ?? .raw([UInt8](UnsafeRawBufferPointer(rebasing: bytes[range])))))
    guard !fields.graphs.isEmpty else { return }
    var captured = Set(node.captures)
    for range in fields.graphs {
      let graph = try graph(range, depth: depth + 1)
      for name in OnnxReader.captures(of: graph) where captured.insert(name).inserted { node.captures.append(name) }
      node.subgraphs.append((fields.name, graph))
    }
  }

  /// The value of an attribute; nil where it stays in its bytes.
  private mutating func value(_ fields: AttributeFields, type: Int, of node: NamedNode) throws(Diagnostic) -> AttributeValue? {
    switch type {
    case 1: return .float(fields.float ?? 0)
    case 2: return .int(fields.int ?? 0)
    case 3:
      guard let range = fields.text else { return .string("") }
      return String(utf8Of: bytes, range).map { .string($0) }
    case 4:
      guard let range = fields.tensor else { return nil }
      return try tensorValue(range, attribute: fields.name, of: node)
    case 6: return .floats(fields.floats)
    case 7: return .ints(fields.ints)
    case 8:
      var texts: [String] = []
      for range in fields.texts {
        guard let text = String(utf8Of: bytes, range) else { return nil }
        texts.append(text)
      }
      return .strings(texts)
    default: return nil
    }
  }

  private mutating func tensorValue(_ range: Range<Int>, attribute: String, of node: NamedNode) throws(Diagnostic)
    -> AttributeValue?
  {
    let owner = node.outputs.first { !$0.isEmpty } ?? node.name
    let tensor = try tensor(range, called: "")
    switch tensor.form {
    case .inline: return .tensor(tensor.type, tensor.data)
    case .external:
      displaced[range.lowerBound] = .init(data: tensor.data, isExternal: true)
      return .tensor(tensor.type, tensor.data)
    case .missing(let wasExternal):
      let data = try containerContent(tensor, named: owner)?.materialized()
      displaced[range.lowerBound] = .init(data: data, isExternal: wasExternal)
      return data.map { .tensor(tensor.type, $0) }
    }
  }

  /// Names that a graph reads and does not define, in order of first use.
  private static func captures(of graph: NamedModel) -> [String] {
    var known: Set<String> = [""]
    for value in graph.inputs { known.insert(value.name) }
    for tensor in graph.initializers { known.insert(tensor.name) }
    for node in graph.nodes { known.formUnion(node.outputs) }
    var captures: [String] = []
    func read(_ name: String) {
      if known.insert(name).inserted { captures.append(name) }
    }
    for node in graph.nodes {
      node.inputs.forEach(read)
      node.captures.forEach(read)
    }
    for value in graph.outputs { read(value.name) }
    return captures
  }
}
