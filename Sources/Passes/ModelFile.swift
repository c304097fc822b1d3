import Formats
import Foundation
import Graph

/// A model as a file has it: the module, and what is needed to write it again with everything the file said that a module does not.
///
/// `.onnx` files and `.ir` files (as text, or in a safetensors file) are told apart by content, never by name. Weights lie in the mapped file.
public struct ModelFile: Sendable {
  /// What a file turned out to be.
  public enum Format: String, Sendable {
    case onnx
    /// The text of a module, without weights or with a few small ones.
    case irText = "ir text"
    /// The text of a module and its weights in a safetensors file.
    case irContainer = "ir"
    /// A folder with config.json and safetensors.
    case folder = "checkpoint folder"
  }

  /// In which format a model is written.
  public enum OutputFormat: String, Sendable, CaseIterable {
    case onnx, ir
  }

  /// Where the model came from.
  public let path: String
  /// What the file turned out to be.
  public let format: Format
  /// The model.
  public let module: Module
  /// The ONNX file behind the model (for `.ir`: its skeleton); nil when there never was one.
  public let document: OnnxDocument?
  /// The file, and those beside it that hold its weights; outputs never go there.
  public let files: [String]
  /// The checkpoint folder behind the model, where it came from one.
  public let folder: CheckpointFolder?
  private let sourceDigest: String?
  private let others: [NamedTensor]

  /// Reads a model.
  ///
  /// What cannot be read, or is no model, is a `Diagnostic` of kind `invalid` that names the file.
  public static func read(_ path: String) throws(Diagnostic) -> ModelFile {
    do throws(Diagnostic) {
      let store = try MappedFile.open(path)
      if store.count == 0 { throw Diagnostic(.invalid, "is empty; the download or export that made it did not finish") }
      let isIr = Safetensors.isLikely(store) || IrFile.isText(store)
      if !isIr, isForeignText(store) {
        throw Diagnostic(.invalid, "is text, but no model: prunec reads ONNX files, and texts that begin with 'module NAME {'")
      }
      let file = isIr ? try ModelFile(ir: store, path: path) : try ModelFile(onnx: path)
      if let fault = Verifier.check(file.module).first { throw fault }
      return file
    } catch {
      throw error.inFile(path)
    }
  }

  /// Readable ASCII throughout its beginning, of no kind that the ONNX reader has a better word for. An ONNX file never looks so: lengths and
  /// field numbers are control characters.
  private static func isForeignText(_ store: ByteStore) -> Bool {
    store.withUnsafeBytes { bytes in
      let start = bytes.prefix(512)
      if start.starts(with: "version https://git-lfs".utf8) || start.first == UInt8(ascii: "<") { return false }
      return start.count >= 16 && start.allSatisfy { (0x20..<0x7F).contains($0) || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
    }
  }

  private init(onnx path: String) throws(Diagnostic) {
    let document = try OnnxDocument.read(path: path)
    self.path = path
    format = .onnx
    module = try Importer.module(from: document.model)
    self.document = document
    files = document.files
    folder = nil
    sourceDigest = nil
    others = []
  }

  private init(ir store: ByteStore, path: String) throws(Diagnostic) {
    let file = try IrFile(store, file: path)
    var module = file.module
    var document: OnnxDocument?
    if let skeleton = file.skeleton {
      let original = try OnnxDocument(skeleton: skeleton, tensors: file.contents)
      // A text that somebody edited no longer fits its skeleton: then it is a model of its own.
      if module.adopt(dressing: original.model) { document = original }
    }
    self.path = path
    format = Safetensors.isLikely(store) ? .irContainer : .irText
    self.module = module
    self.document = document
    files = [path]
    folder = nil
    sourceDigest = file.sourceDigest
    others = document == nil ? [] : file.others
  }

  /// The model that a checkpoint folder holds. Its module reads its weights from the folder's files, under the names that they have there.
  public init(_ folder: CheckpointFolder, module: Module) throws(Diagnostic) {
    path = folder.path
    format = .folder
    self.module = module
    document = nil
    files = ([CheckpointFolder.configurationName] + folder.shards.map(\.name)).map { "\(folder.path)/\($0)" }
    self.folder = folder
    sourceDigest = nil
    others = []
    if let fault = Verifier.check(module).first { throw fault.inFile(path) }
  }

  /// SHA-256 of the `.onnx` file that the model came from, in hexadecimal: plans are made for that. Nil for a `.ir` that never was ONNX.
  ///
  /// Reads the whole file of an ONNX model; a `.ir` file carries the digest.
  public func digest() throws(Diagnostic) -> String? {
    switch format {
    case .onnx: try Sha256.hex(ofFile: path)
    case .irText, .irContainer, .folder: sourceDigest
    }
  }

  /// Bytes of the file and of those beside it that hold its weights.
  public var byteCount: Int { files.reduce(0) { $0 + Self.byteCount(of: $1) } }

  /// Bytes of a file; 0 when there is none.
  private static func byteCount(of path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
  }

  // MARK: Writing

  /// The format that the ending of a path asks for; throws `usage` for any other.
  public static func outputFormat(of path: String) throws(Diagnostic) -> OutputFormat {
    for format in OutputFormat.allCases where path.lowercased().hasSuffix(".\(format.rawValue)") { return format }
    throw Diagnostic(.usage, "the name of an output ends in .onnx or .ir, which chooses its format", file: path)
  }

  /// True for paths that end as those of files do; what a checkpoint folder becomes is a folder otherwise.
  public static func isFile(_ path: String) -> Bool { (try? outputFormat(of: path)) != nil }

  /// Throws what would keep `write` from writing to a path, as far as it can be known before there is anything to write.
  public func checkOutput(_ path: String) throws(Diagnostic) {
    if let folder, !Self.isFile(path) { return try PendingFolder.check(path, notOver: folder.path) }
    _ = try Self.outputFormat(of: path)
    if files.contains(where: { Self.isSameFile($0, path) }) {
      throw Diagnostic(.unwritable, "would overwrite the input; choose another name for the output", file: path)
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
      throw Diagnostic(.unwritable, "cannot be written: there is no folder \(folder)", file: path)
    }
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      throw Diagnostic(.unwritable, "is a folder; give the name of a file", file: path)
    }
    if let first = module.parametersWithoutData.first, try Self.outputFormat(of: path) == .onnx {
      throw Diagnostic(
        .invalid, "has no numbers: this .ir is text alone, so it cannot become ONNX; write a .ir instead",
        at: .tensor(module[first].name),
        file: self.path)
    }
  }

  private static func isSameFile(_ a: String, _ b: String) -> Bool {
    func identity(_ path: String) -> [Int]? {
      // Follows links, as the writer would.
      let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
      guard let attributes = try? FileManager.default.attributesOfItem(atPath: resolved) else { return nil }
      guard let device = attributes[.systemNumber] as? NSNumber, let file = attributes[.systemFileNumber] as? NSNumber else {
        return nil
      }
      return [device.intValue, file.intValue]
    }
    guard let first = identity(a), let second = identity(b) else { return false }
    return first == second
  }

  /// Writes a module that was made from this file's, in the format of the path's ending, whole or not at all and never over the input.
  /// Returns the bytes written.
  ///
  /// What came from ONNX keeps everything the ONNX file said: `.onnx` is the original with what changed, `.ir` carries that skeleton and the
  /// original's digest.
  @discardableResult
  public func write(_ module: Module, to path: String) throws(Diagnostic) -> Int {
    try checkOutput(path)
    switch try Self.outputFormat(of: path) {
    case .onnx:
      try OnnxWriter.write(interchange(module), patching: document, to: path, notOver: files)
      let main = Self.byteCount(of: path)
      return main + (try hasExternalData(path) ? Self.byteCount(of: path + ".data") : 0)
    case .ir:
      var skeleton: [UInt8]?
      if let document { skeleton = try OnnxWriter.skeleton(interchange(module), patching: document) }
      try IrFile.write(module, skeleton: skeleton, sourceDigest: try digest(), others: others, to: path, notOver: files)
      return Self.byteCount(of: path)
    }
  }

  /// The module by names. A smaller model is a drop-in, so inputs and outputs stay as the original file spells them, even where inference
  /// knows a number for what the file calls a symbol.
  private func interchange(_ module: Module) -> NamedModel {
    var named = Exporter.model(of: module)
    if let document, named.inputs.map(\.name) == document.model.inputs.map(\.name) { named.inputs = document.model.inputs }
    if let document, named.outputs.map(\.name) == document.model.outputs.map(\.name) { named.outputs = document.model.outputs }
    return named
  }

  /// True where the writer put tensors beside the file that it wrote.
  private func hasExternalData(_ path: String) throws(Diagnostic) -> Bool {
    guard FileManager.default.fileExists(atPath: path + ".data") else { return false }
    return try OnnxDocument.read(path: path).files.count > 1
  }
}
