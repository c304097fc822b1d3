import Graph

/// Writes ONNX files. Weights are streamed: no more than a small buffer of them is in memory.
public enum OnnxWriter {
  /// Protobuf's largest message.
  static let largestFile = Int(Int32.max)

  /// Writes a model to a file, which appears whole or not at all.
  ///
  /// With `original` (what the model was read from) everything in the original comes out as it was, in its order and byte for byte, except:
  /// nodes follow `model.nodes`, and of a node whose first result is one of the original's only the fields that differ are written anew;
  /// initialisers and inputs and outputs that `model` lacks are left out, changed ones get their new type and numbers, new ones come last;
  /// types of intermediate values follow `model.valueTypes`, and those that are unranked there are left out.
  /// Without `original` a new file is made, of the names and types of `model`.
  ///
  /// Tensors that were external come out in one file `<name of the output>.data` beside it, as do all initialisers of more than a KiB of a model
  /// that would be larger than 2 GiB. Neither file may be one of `inputs` or of the original's files. Failures to write are diagnostics of kind
  /// `unwritable`.
  public static func write(
    _ model: NamedModel, patching original: OnnxDocument?, to path: String, notOver inputs: [String] = []
  ) throws(Diagnostic) {
    try write(model, patching: original, to: path, notOver: inputs, largest: largestFile)
  }

  static func write(
    _ model: NamedModel, patching original: OnnxDocument?, to path: String, notOver inputs: [String], largest: Int
  ) throws(Diagnostic) {
    let dataPath = path + ".data"
    let dataName = dataPath.lastIndex(of: "/").map { String(dataPath[dataPath.index(after: $0)...]) } ?? dataPath
    var emitter = OnnxEmitter(model, patching: original, mode: .file(spills: false), externalName: dataName)
    var message = try emitter.message()
    if message.byteCount > largest {
      emitter = OnnxEmitter(model, patching: original, mode: .file(spills: true), externalName: dataName)
      message = try emitter.message()
    }
    guard message.byteCount <= largest else {
      throw Diagnostic(.unwritable, "the model without its initialisers is larger than 2 GiB, which ONNX cannot hold", file: path)
    }
    let files = inputs + (original?.files ?? [])
    if emitter.external.parts.isEmpty { return try AtomicFile.write(to: path, notOver: files) { try write(message, to: $0) } }
    let main = try PendingFile(path, notOver: files)
    guard main.isReplaceable else {
      throw Diagnostic(.unwritable, "is no regular file, but the model needs a second file beside it", file: path)
    }
    let data = try PendingFile(dataPath, notOver: files)
    try emitter.external.write(to: data.sink)
    try write(message, to: main.sink)
    try data.commit()
    try main.commit()
  }

  /// The ModelProto that `write` would make, but without the numbers of initialisers and `Constant` nodes, whose messages say only name, type and
  /// shape. `OnnxDocument(skeleton:tensors:)` reads it.
  public static func skeleton(_ model: NamedModel, patching original: OnnxDocument?) throws(Diagnostic) -> [UInt8] {
    var emitter = OnnxEmitter(model, patching: original, mode: .skeleton, externalName: "")
    return try emitter.message().bytes()
  }

  /// The whole file in memory, with all numbers inline. For small models.
  public static func bytes(_ model: NamedModel, patching original: OnnxDocument?) throws(Diagnostic) -> [UInt8] {
    var emitter = OnnxEmitter(model, patching: original, mode: .memory, externalName: "")
    return try emitter.message().bytes()
  }

  private static func write(_ message: WireMessage, to sink: FileSink) throws(Diagnostic) {
    try diagnosing { try message.write { try sink.write($0) } }
  }
}
