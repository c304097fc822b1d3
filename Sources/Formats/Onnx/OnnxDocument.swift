import Graph

/// An ONNX file, read: the neutral model, and what `OnnxWriter` needs to bring everything else in the file out again byte for byte.
///
/// Weights are not copied: they lie in the mapped file, or in the mapped files beside it.
public struct OnnxDocument: Sendable {
  /// The model as neutral nodes and tensors.
  public let model: NamedModel
  /// The file and the external data files it refers to; a writer must not overwrite them.
  public let files: [String]

  /// An initialiser of the main graph with its message.
  struct Initializer: Sendable {
    let name: String
    let type: TensorType
    /// Nil in a skeleton whose container has no numbers for it.
    let content: TensorContent?
    let form: TensorForm
    let message: TensorData
  }

  /// A tensor inside a node or a subgraph whose numbers are not in its message.
  struct Displaced: Sendable {
    /// Nil in a skeleton whose container has no numbers for it.
    let data: TensorData?
    let isExternal: Bool
  }

  let store: ByteStore
  let graph: Range<Int>
  let initializers: [Initializer]
  let displaced: [Int: Displaced]
  /// The keys of `displaced`, ascending.
  let displacedStarts: [Int]

  /// Maps and reads an ONNX file.
  ///
  /// What is no ONNX model, is cut off or damaged, or refers to data that is not there, is a `Diagnostic` of kind `invalid`; sparse
  /// initialisers are `unsupported`. The diagnostic names the file.
  public static func read(path: String) throws(Diagnostic) -> OnnxDocument {
    do throws(Diagnostic) {
      let store = try MappedFile.open(path)
      let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
      return try OnnxDocument(store, folder: folder, path: path, tensors: [:])
    } catch {
      throw error.inFile(path)
    }
  }

  /// Reads a model in memory. It can have no external data.
  public init(bytes: [UInt8]) throws(Diagnostic) {
    try self.init(TensorData(bytes).store, folder: nil, path: nil, tensors: [:])
  }

  /// Reads a skeleton (`OnnxWriter.skeleton`), its numbers from elsewhere: initialisers by their name, the tensor of a `Constant` node by the
  /// name of the node's output.
  ///
  /// A tensor that `tensors` does not have is left out of `model` (that of a `Constant` node stays as raw bytes); who writes the model must
  /// supply it. Numbers of another type than the skeleton states are a `Diagnostic` of kind `invalid`.
  public init(skeleton: [UInt8], tensors: [String: TensorContent]) throws(Diagnostic) {
    try self.init(TensorData(skeleton).store, folder: nil, path: nil, tensors: tensors)
  }

  private init(_ store: ByteStore, folder: String?, path: String?, tensors: [String: TensorContent]) throws(Diagnostic) {
    self = try store.reading { (bytes) throws(Diagnostic) -> OnnxDocument in
      var reader = OnnxReader(bytes: bytes, store: store, folder: folder, tensors: tensors)
      let (model, graph) = try reader.model()
      return OnnxDocument(reader, model: model, graph: graph, path: path)
    }
  }

  private init(_ reader: OnnxReader, model: NamedModel, graph: Range<Int>, path: String?) {
    self.model = model
    self.graph = graph
    files = (path.map { [$0] } ?? []) + reader.external.paths
    store = reader.store
    initializers = reader.records
    displaced = reader.displaced
    displacedStarts = reader.displaced.keys.sorted()
  }
}
