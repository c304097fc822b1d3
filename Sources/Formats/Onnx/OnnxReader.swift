import Graph

/// Turns the bytes of a ModelProto into a `NamedModel`. Lives only inside `ByteStore.reading`.
struct OnnxReader {
  /// The whole file.
  let bytes: UnsafeRawBufferPointer
  let store: ByteStore
  var external: ExternalFiles
  /// Numbers of a skeleton's tensors by name; empty for ordinary files.
  let tensors: [String: TensorContent]
  /// Initialisers of the main graph in order, also those whose numbers a skeleton's container does not have.
  var records: [OnnxDocument.Initializer] = []
  /// Tensors inside nodes and subgraphs whose numbers lie elsewhere, by where their message starts.
  var displaced: [Int: OnnxDocument.Displaced] = [:]
  /// Symbolic dimensions that were read before.
  var extents: [String: Extent] = [:]
  private var opsets: [String: Int] = [:]

  /// Graphs inside graphs go no deeper than this.
  static let maximumDepth = 24
  static let noData = TensorData([UInt8]())

  init(bytes: UnsafeRawBufferPointer, store: ByteStore, folder: String?, tensors: [String: TensorContent]) {
    self.bytes = bytes
    self.store = store
    external = ExternalFiles(folder: folder)
    self.tensors = tensors
  }

  /// A part of the file as data.
  func stored(_ range: Range<Int>) -> TensorData { TensorData(store, range: range) ?? OnnxReader.noData }

  /// Reads the whole file as a ModelProto; also gives the range of its graph.
  mutating func model() throws(Diagnostic) -> (model: NamedModel, graph: Range<Int>) {
    guard bytes.count > 0 else { throw Diagnostic(.invalid, "is empty, not an ONNX model") }
    var graphs: [Range<Int>] = []
    var functions: [Range<Int>] = []
    var version: Int?
    do throws(Diagnostic) {
      var reader = WireReader(bytes, 0..<bytes.count)
      while let field = try reader.next() {
        switch field.number {
        case 1: version = try field.int()
        case 7: graphs.append(try field.message())
        case 8: try opset(try field.message(), into: &opsets)
        case 25: functions.append(try field.message())
        default: break
        }
      }
    } catch {
      throw Diagnostic(error.kind, "is not an ONNX model: \(familiarContent() ?? error.message)", at: error.place)
    }
    guard let graph = graphs.first else {
      throw Diagnostic(.invalid, "is not an ONNX model: \(familiarContent() ?? "it has no graph")")
    }
    guard graphs.count == 1 else { throw Diagnostic(.invalid, "is not an ONNX model: it has \(graphs.count) graphs") }
    if opsets[""] == nil, let version, version < 3 { opsets[""] = 1 }
    var model = try self.graph(graph, depth: 0)
    for range in functions { model.functions.append(try function(range)) }
    return (model, graph)
  }

  /// What the file is, when its first bytes are those of something that people have in place of a model.
  private func familiarContent() -> String? {
    func starts(_ text: String) -> Bool { bytes.starts(with: text.utf8) }
    if starts("version https://git-lfs") { return "it is a Git LFS pointer; fetch the file itself with `git lfs pull`" }
    if starts("PK\u{3}\u{4}") { return "it is a ZIP archive (a PyTorch checkpoint?); export the model to ONNX first" }
    if starts("<!DOCTYPE") || starts("<html") { return "it is a web page; download the file itself" }
    return nil
  }

  private func opset(_ range: Range<Int>, into opsets: inout [String: Int]) throws(Diagnostic) {
    var domain = ""
    var version = 0
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: domain = try field.text(bytes)
      case 2: version = try field.int()
      default: break
      }
    }
    opsets[OnnxReader.standard(domain)] = version
  }

  static func standard(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }

  /// Reads a GraphProto; `depth` 0 is the model's own.
  mutating func graph(_ range: Range<Int>, depth: Int) throws(Diagnostic) -> NamedModel {
    guard depth <= OnnxReader.maximumDepth else {
      throw Diagnostic(.invalid, "graphs are nested more than \(OnnxReader.maximumDepth) deep", at: .byte(range.lowerBound))
    }
    var model = NamedModel(name: "", opsets: opsets)
    var (nodeCount, typeCount) = (0, 0)
    var counter = WireReader(bytes, range)
    while let field = try counter.next() {
      if field.number == 1 { nodeCount += 1 } else if field.number == 13 { typeCount += 1 }
    }
    model.nodes.reserveCapacity(min(nodeCount, 1 << 18))
    model.valueTypes.reserveCapacity(min(typeCount, 1 << 18))
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: model.nodes.append(try node(try field.message(), depth: depth))
      case 2: model.name = try field.text(bytes)
      case 5: try initializer(try field.message(), depth: depth, into: &model)
      case 11: model.inputs.append(try valueInfo(try field.message()))
      case 12: model.outputs.append(try valueInfo(try field.message()))
      case 13:
        let value = try valueInfo(try field.message())
        model.valueTypes[value.name] = value.type
      case 15:
        throw Diagnostic(.unsupported, "sparse initialiser \(try sparseName(try field.message())): make it dense first")
      default: break
      }
    }
    return model
  }

  private mutating func initializer(_ range: Range<Int>, depth: Int, into model: inout NamedModel) throws(Diagnostic) {
    let tensor = try tensor(range, called: "")
    guard !tensor.name.isEmpty else { throw Diagnostic(.invalid, "an initialiser has no name", at: .byte(range.lowerBound)) }
    var content: TensorContent? = TensorContent(tensor.data, element: tensor.type.element, shape: tensor.shape)
    switch tensor.form {
    case .inline: break
    case .external:
      if depth > 0 { displaced[range.lowerBound] = .init(data: tensor.data, isExternal: true) }
    case .missing(let wasExternal):
      content = try containerContent(tensor, named: tensor.name)
      if depth > 0 { displaced[range.lowerBound] = .init(data: content?.materialized(), isExternal: wasExternal) }
    }
    if depth == 0 {
      records.append(.init(name: tensor.name, type: tensor.type, content: content, form: tensor.form, message: stored(range)))
    }
    if let content { model.initializers.append(NamedTensor(name: tensor.name, type: tensor.type, content: content)) }
  }

  /// The numbers that the container of a skeleton has for a tensor.
  func containerContent(_ tensor: OnnxTensor, named name: String) throws(Diagnostic) -> TensorContent? {
    guard let content = tensors[name] else { return nil }
    guard content.element == tensor.type.element, content.shape == tensor.shape else {
      throw Diagnostic(
        .invalid,
        "the container has \(TensorType(content.element, content.shape.map { Extent($0) })), its ONNX part \(tensor.type)",
        at: .tensor(name))
    }
    return content
  }

  private mutating func sparseName(_ range: Range<Int>) throws(Diagnostic) -> String {
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      var values = WireReader(bytes, try field.message())
      while let field = try values.next() {
        if field.number == 8 { return "'\(try field.text(bytes))'" }
      }
    }
    return "without a name"
  }

  private mutating func function(_ range: Range<Int>) throws(Diagnostic) -> NamedFunction {
    var function = NamedFunction(domain: "", type: "", inputs: [], outputs: [], nodes: [], opsets: [:])
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: function.type = try field.text(bytes)
      case 4: function.inputs.append(try field.text(bytes))
      case 5: function.outputs.append(try field.text(bytes))
      case 7: function.nodes.append(try node(try field.message(), depth: 1))
      case 9: try opset(try field.message(), into: &function.opsets)
      case 10: function.domain = OnnxReader.standard(try field.text(bytes))
      default: break
      }
    }
    return function
  }
}
