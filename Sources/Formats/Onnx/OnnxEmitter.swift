import Graph

/// Builds the ModelProto of a model: the original's with what changed, or a new one.
struct OnnxEmitter {
  enum Mode {
    /// Numbers inline, except those that were external, and with `spills` all initialisers of more than a KiB.
    case file(spills: Bool)
    /// Everything inline.
    case memory
    /// Initialisers and constants without their numbers.
    case skeleton
  }

  let model: NamedModel
  let original: OnnxDocument?
  let mode: Mode
  var external: ExternalLayout
  var originals: OriginalNodes
  private let initializers: [String: Int]
  private let recordTypes: [String: TensorType]

  init(_ model: NamedModel, patching original: OnnxDocument?, mode: Mode, externalName: String) {
    self.model = model
    self.original = original
    self.mode = mode
    external = ExternalLayout(name: externalName)
    originals = OriginalNodes(original?.model.nodes ?? [])
    recordTypes = Dictionary(
      original?.initializers.map { ($0.name, $0.type) } ?? [], uniquingKeysWith: { first, _ in first })
    initializers = Dictionary(model.initializers.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The whole message.
  mutating func message() throws(Diagnostic) -> WireMessage {
    guard let original else { return try freshModel() }
    var message = WireMessage()
    let whole = 0..<original.store.count
    for field in try fields(original.store, whole) {
      switch field.number {
      case 7: message.field(7, message: try patchedGraph(original))
      case 8: message.field(8, message: try opset(original, field.payload))
      case 25: message.field(25, message: try copy(stored(field.payload), as: .function))
      default: message.verbatim(stored(field.range))
      }
    }
    for domain in model.opsets.keys.sorted() where original.model.opsets[domain] == nil {
      message.field(8, message: OnnxEmitter.opset(domain, model.opsets[domain] ?? 0))
    }
    return message
  }

  private func stored(_ range: Range<Int>) -> TensorData {
    original.flatMap { TensorData($0.store, range: range) } ?? OnnxReader.noData
  }

  private func fields(_ store: ByteStore, _ range: Range<Int>) throws(Diagnostic) -> [WireField] {
    try store.reading { (bytes) throws(Diagnostic) -> [WireField] in
      var reader = WireReader(bytes, range)
      var fields: [WireField] = []
      while let field = try reader.next() { fields.append(field) }
      return fields
    }
  }

  private func opset(_ original: OnnxDocument, _ range: Range<Int>) throws(Diagnostic) -> WireMessage {
    let domain = try original.store.reading { (bytes) throws(Diagnostic) -> String in
      var domain = ""
      var reader = WireReader(bytes, range)
      while let field = try reader.next() { if field.number == 1 { domain = try field.text(bytes) } }
      return OnnxReader.standard(domain)
    }
    guard let version = model.opsets[domain], version != original.model.opsets[domain] else {
      return .of { $0.verbatim(stored(range)) }
    }
    return try WireMessage(patching: stored(range), [FieldGroup([2], .of { $0.field(2, int: version) })])
  }

  private static func opset(_ domain: String, _ version: Int) -> WireMessage {
    .of {
      $0.field(1, text: domain)
      $0.field(2, int: version)
    }
  }

  // MARK: The graph of the file, patched

  private mutating func patchedGraph(_ original: OnnxDocument) throws(Diagnostic) -> WireMessage {
    var message = WireMessage()
    var nodes = SlotQueue(model.nodes.indices, slots: original.model.nodes.count)
    let added = model.initializers.filter { recordTypes[$0.name] == nil }
    var slot = 0
    var inputSlot = 0
    var outputSlot = 0
    let gone = vanishedValues(original)
    let inputs = Dictionary(model.inputs.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
    let outputs = Dictionary(model.outputs.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
    if original.model.nodes.isEmpty { for node in model.nodes { message.field(1, message: try self.node(node)) } }
    for field in try fields(original.store, original.graph) {
      switch field.number {
      case 1:
        for index in nodes.next() { message.field(1, message: try node(model.nodes[index])) }
      case 2:
        if model.name == original.model.name { message.verbatim(stored(field.range)) } else { message.field(2, text: model.name) }
      case 5:
        let record = original.initializers[slot]
        slot += 1
        if let at = initializers[record.name] { message.field(5, message: try initializer(model.initializers[at], record)) }
        if slot == original.initializers.count { for tensor in added { message.field(5, message: try initializer(tensor, nil)) } }
      case 11:
        let value = original.model.inputs[inputSlot]
        inputSlot += 1
        let type =
          recordTypes[value.name] != nil
          ? initializers[value.name].map { changedType(at: $0, from: value.type) } : inputs[value.name]
        if let type { message.field(11, message: try valueInfo(field, value.type, type)) }
        if inputSlot == original.model.inputs.count { add(model.inputs, notIn: original.model.inputs, 11, to: &message) }
      case 12:
        let value = original.model.outputs[outputSlot]
        outputSlot += 1
        if let type = outputs[value.name] { message.field(12, message: try valueInfo(field, value.type, type)) }
        if outputSlot == original.model.outputs.count { add(model.outputs, notIn: original.model.outputs, 12, to: &message) }
      case 13:
        if let kept = try intermediate(field, original, gone: gone) { message.field(13, message: kept) }
      default: message.verbatim(stored(field.range))
      }
    }
    if original.initializers.isEmpty { for tensor in added { message.field(5, message: try initializer(tensor, nil)) } }
    if original.model.inputs.isEmpty { add(model.inputs, notIn: [], 11, to: &message) }
    if original.model.outputs.isEmpty { add(model.outputs, notIn: [], 12, to: &message) }
    return message
  }

  private func add(_ values: [NamedValue], notIn old: [NamedValue], _ number: Int, to message: inout WireMessage) {
    let known = Set(old.map(\.name))
    for value in values where !known.contains(value.name) { message.field(number, message: OnnxEncoding.value(value)) }
  }

  private func valueInfo(_ field: WireField, _ old: TensorType, _ new: TensorType) throws(Diagnostic) -> WireMessage {
    old == new ? .of { $0.verbatim(stored(field.payload)) } : try OnnxEncoding.value(stored(field.payload), from: old, to: new)
  }

  /// The type that an initialiser's value info must state: that of the file, unless the numbers have another.
  private func changedType(at index: Int, from stated: TensorType) -> TensorType {
    let tensor = model.initializers[index]
    return recordTypes[tensor.name] == tensor.type ? stated : tensor.type
  }

  /// The value info of an intermediate value; nil when it is dropped.
  private func intermediate(_ field: WireField, _ original: OnnxDocument, gone: Set<String>) throws(Diagnostic) -> WireMessage? {
    let name = try original.store.reading { (bytes) throws(Diagnostic) -> String in
      var name = ""
      var reader = WireReader(bytes, field.payload)
      while let field = try reader.next() { if field.number == 1 { name = try field.text(bytes) } }
      return name
    }
    let stated = original.model.valueTypes[name] ?? .unranked(.unknown)
    if gone.contains(name) { return nil }
    let type = model.valueTypes[name] ?? initializers[name].map { changedType(at: $0, from: stated) } ?? stated
    if !type.isRanked && type != stated { return nil }
    return try valueInfo(field, stated, type)
  }

  /// Values that the file's nodes make or its initialisers hold, and the model does not have.
  private func vanishedValues(_ original: OnnxDocument) -> Set<String> {
    let (old, new) = (original.model.nodes, model.nodes)
    if original.model.valueTypes.isEmpty { return [] }
    var gone = Set(original.initializers.lazy.map(\.name).filter { initializers[$0] == nil })
    if gone.isEmpty, old.count == new.count, zip(old, new).allSatisfy({ $0.outputs == $1.outputs }) { return [] }
    gone.formUnion(old.lazy.flatMap(\.outputs))
    for node in new { for name in node.outputs { gone.remove(name) } }
    for tensor in model.initializers { gone.remove(tensor.name) }
    return gone
  }

  // MARK: Tensors

  private mutating func initializer(_ tensor: NamedTensor, _ record: OnnxDocument.Initializer?) throws(Diagnostic) -> WireMessage
  {
    if let record, case .string = tensor.type.element, record.type == tensor.type { return .of { $0.verbatim(record.message) } }
    let placement = placement(tensor, record)
    if let record, case .inline = record.form, case .inline = placement, record.type == tensor.type, let before = record.content,
      tensor.content.isWhole, OnnxEmitter.isSame(tensor.content.data, before.data)
    {
      return .of { $0.verbatim(record.message) }
    }
    return try OnnxEncoding.tensor(
      tensor.content, type: tensor.type, name: tensor.name, base: record?.message, placement: placement, external: &external)
  }

  private func placement(_ tensor: NamedTensor, _ record: OnnxDocument.Initializer?) -> TensorPlacement {
    let isLarge = tensor.content.byteCount > 1024 && tensor.type.element != .string
    let wasExternal: Bool
    switch record?.form {
    case .inline: wasExternal = false
    case .external: wasExternal = true
    case .missing(let external): wasExternal = external
    case nil: wasExternal = isLarge && hasExternal
    }
    switch mode {
    case .memory: return .inline
    case .file(let spills): return wasExternal || (spills && isLarge) ? .external : .inline
    case .skeleton: return tensor.content.byteCount > 0 ? .missing(wasExternal: wasExternal) : .inline
    }
  }

  private var hasExternal: Bool {
    original?.initializers.contains {
      switch $0.form {
      case .inline: false
      case .external: true
      case .missing(let wasExternal): wasExternal
      }
    } ?? false
  }

  // MARK: Copies with displaced tensors

  /// The messages of ONNX on the way from a node to the tensors inside it.
  enum MessageKind {
    case node, attribute, graph, tensor, function

    func child(_ number: Int) -> MessageKind? {
      switch (self, number) {
      case (.node, 5): .attribute
      case (.attribute, 5), (.attribute, 10), (.graph, 5): .tensor
      case (.attribute, 6), (.attribute, 11): .graph
      case (.graph, 1), (.function, 7): .node
      case (.node, _), (.attribute, _), (.graph, _), (.tensor, _), (.function, _): nil
      }
    }
  }

  /// True when a message of the original holds a tensor whose numbers lie elsewhere.
  func isDisplaced(_ range: Range<Int>, in store: ByteStore) -> Bool {
    guard let original, original.store === store, !original.displacedStarts.isEmpty else { return false }
    let starts = original.displacedStarts
    var (low, high) = (0, starts.count)
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    return low < starts.count && starts[low] < range.upperBound
  }

  /// A message as it stands, except for tensors in it whose numbers lie beside the original: those get a place beside the new file.
  mutating func copy(_ message: TensorData, as kind: MessageKind) throws(Diagnostic) -> WireMessage {
    guard isDisplaced(message.range, in: message.store) else { return .of { $0.verbatim(message) } }
    if case .tensor = kind { return try displacedTensor(message) }
    var copied = WireMessage()
    for field in try fields(message.store, message.range) {
      if let child = kind.child(field.number), let data = TensorData(message.store, range: try field.message()) {
        copied.field(field.number, message: try copy(data, as: child))
      } else {
        copied.verbatim(stored(field.range))
      }
    }
    return copied
  }

  private mutating func displacedTensor(_ message: TensorData) throws(Diagnostic) -> WireMessage {
    guard let original, let displaced = original.displaced[message.range.lowerBound] else { return .of { $0.verbatim(message) } }
    var (name, type, shape) = ("", TensorType(.unknown, []), [Int]())
    try original.store.reading { (bytes) throws(Diagnostic) in
      var reader = OnnxReader(bytes: bytes, store: original.store, folder: nil, tensors: [:])
      (name, type, shape) = try reader.tensorType(message.range)
    }
    guard let data = displaced.data else {
      throw Diagnostic(.invalid, "the container has no numbers for it", at: .tensor(name))
    }
    let placement: TensorPlacement
    switch mode {
    case .file: placement = displaced.isExternal ? .external : .inline
    case .memory, .skeleton: placement = .inline
    }
    return try OnnxEncoding.tensor(
      TensorContent(data, element: type.element, shape: shape), type: type, name: nil, base: message, placement: placement,
      external: &external)
  }

  // MARK: A new file

  private mutating func freshModel() throws(Diagnostic) -> WireMessage {
    var graph = WireMessage()
    for node in model.nodes { graph.field(1, message: try self.node(node)) }
    graph.field(2, text: model.name.isEmpty ? "graph" : model.name)
    for tensor in model.initializers { graph.field(5, message: try initializer(tensor, nil)) }
    for value in model.inputs { graph.field(11, message: OnnxEncoding.value(value)) }
    for value in model.outputs { graph.field(12, message: OnnxEncoding.value(value)) }
    for (name, type) in model.valueTypes.sorted(by: { $0.key < $1.key }) where type.isRanked {
      graph.field(13, message: OnnxEncoding.value(NamedValue(name: name, type: type)))
    }
    var message = WireMessage()
    message.field(1, int: 10)
    message.field(2, text: "prunec")
    message.field(7, message: graph)
    for domain in model.opsets.keys.sorted() { message.field(8, message: OnnxEmitter.opset(domain, model.opsets[domain] ?? 0)) }
    for function in model.functions { message.field(25, message: try self.function(function)) }
    return message
  }

  private mutating func function(_ function: NamedFunction) throws(Diagnostic) -> WireMessage {
    var message = WireMessage()
    message.field(1, text: function.type)
    for name in function.inputs { message.field(4, text: name) }
    for name in function.outputs { message.field(5, text: name) }
    for node in function.nodes { message.field(7, message: try self.node(node)) }
    for domain in function.opsets.keys.sorted() {
      message.field(9, message: OnnxEmitter.opset(domain, function.opsets[domain] ?? 0))
    }
    message.field(10, text: function.domain)
    return message
  }
}

/// Hands out a list over the places where the original had its own: one for each, and all that are left at the last.
private struct SlotQueue {
  private var rest: Range<Int>
  private var slots: Int

  init(_ items: Range<Int>, slots: Int) {
    rest = items
    self.slots = slots
  }

  mutating func next() -> Range<Int> {
    slots -= 1
    let taken = slots <= 0 ? rest : rest.prefix(1)
    rest = rest.dropFirst(taken.count)
    return taken
  }
}
