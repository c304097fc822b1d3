import Graph

/// A `.ir` file: a module as text alone, or as text in a safetensors file whose tensors are the parameters. Content tells which, not the name.
public struct IrFile: Sendable {
  /// The module. Weights lie in the mapped file; those of a text are missing (`Module.parametersWithoutData`).
  public var module: Module
  /// The ONNX file that the module came from, without numbers (`OnnxWriter.skeleton`); nil when it came from elsewhere.
  public var skeleton: [UInt8]?
  /// SHA-256 of that ONNX file, in hexadecimal.
  public var sourceDigest: String?
  /// Tensors of the file that are no parameters of the module, such as those that only the skeleton knows.
  public var others: [NamedTensor]

  /// A file of the given parts.
  public init(module: Module, skeleton: [UInt8]? = nil, sourceDigest: String? = nil, others: [NamedTensor] = []) {
    self.module = module
    self.skeleton = skeleton
    self.sourceDigest = sourceDigest
    self.others = others
  }

  /// All numbers by name, as `OnnxDocument(skeleton:tensors:)` takes them; parameters without data are left out.
  public var contents: [String: TensorContent] {
    var result = Dictionary(others.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
    for parameter in module.parameters where !parameter.content.isMissing {
      result[module[parameter.value].name] = parameter.content
    }
    return result
  }

  /// True when a file begins as a module's text does: the word `module`, after blanks and comments.
  public static func isText(_ store: ByteStore) -> Bool {
    store.withUnsafeBytes { bytes in
      var rest = bytes.prefix(1 << 16)
      while let first = rest.first {
        switch first {
        case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): rest = rest.dropFirst()
        case UInt8(ascii: "/"):
          guard rest.dropFirst().first == first else { return false }
          rest = rest.drop { $0 != UInt8(ascii: "\n") }
        case _: return rest.starts(with: "module".utf8)
        }
      }
      return false
    }
  }

  /// Maps and reads a file; weights are not copied.
  ///
  /// What is neither, a text with a fault (with line and column), and a container that lacks a parameter's numbers or has others than the text
  /// states, are diagnostics of kind `invalid` that name the file.
  public static func read(_ path: String) throws(Diagnostic) -> IrFile {
    do throws(Diagnostic) { return try IrFile(try MappedFile.open(path), file: path) } catch { throw error.inFile(path) }
  }

  /// Reads a file in memory or mapped; `file` is its name in messages.
  public init(_ store: ByteStore, file: String? = nil) throws(Diagnostic) {
    if Safetensors.isLikely(store) {
      guard let container = try IrContainer(try Safetensors(store)) else {
        throw Diagnostic(.invalid, "is a safetensors file of weights alone, without the module that prunec writes into a .ir")
      }
      try self.init(container)
    } else {
      let isBinary = store.withUnsafeBytes { $0.prefix(4096).contains(0) }
      guard !isBinary else {
        throw Diagnostic(
          .invalid, "is neither the text of a module nor a safetensors file; 'prunec convert' makes a .ir of an .onnx file")
      }
      self.init(module: try ModuleParser.parse(bytes: store.withUnsafeBytes { [UInt8]($0) }, file: file))
    }
  }

  private init(_ container: IrContainer) throws(Diagnostic) {
    module = try IrFile.module(container)
    skeleton = container.skeleton
    sourceDigest = container.sourceDigest
    let names = Set(module.parameters.map { [module] in module[$0.value].name })
    others = container.tensors.filter { !names.contains($0.name) }
    let missing = module.parametersWithoutData.map { [module] in module[$0].name }
    if let first = missing.first {
      let more = missing.count > 1 ? " (and those of \(missing.count - 1) more)" : ""
      throw Diagnostic(.invalid, "its numbers are not in the file\(more)", at: .tensor(first))
    }
  }

  /// The module of the text inside a container; messages say that line and column count within that text.
  private static func module(_ container: IrContainer) throws(Diagnostic) -> Module {
    do throws(Diagnostic) {
      return try ModuleParser.parse(container.text, parameters: container.contents)
    } catch {
      throw Diagnostic(error.kind, "in the module's text: \(error.description)")
    }
  }

  /// Writes a `.ir` file that appears whole or not at all, never over one of `inputs`.
  ///
  /// A module without data (and without skeleton) is written as text, any other as a container: its small whole-number parameters stand in the
  /// text, all others are tensors. Text parameters cannot be stored (`unsupported`); a module that has some of its weights only is `invalid`.
  public static func write(
    _ module: Module, skeleton: [UInt8]? = nil, sourceDigest: String? = nil, others: [NamedTensor] = [], to path: String,
    notOver inputs: [String] = []
  ) throws(Diagnostic) {
    try IrFile(module: module, skeleton: skeleton, sourceDigest: sourceDigest, others: others).write(to: path, notOver: inputs)
  }

  /// Writes the file; see `write(_:skeleton:sourceDigest:others:to:notOver:)`.
  public func write(to path: String, notOver inputs: [String] = []) throws(Diagnostic) {
    for parameter in module.parameters where parameter.content.element.bits == nil {
      let name = module[parameter.value].name
      throw Diagnostic(
        .unsupported, "\(module[parameter.value].type) cannot be stored in a .ir file", at: .tensor(name), file: path)
    }
    let missing = module.parametersWithoutData
    let options: ModulePrinter.Options = [.names, .withoutFloats]
    let stored = module.parameters.filter { !ModulePrinter.isInline($0.content, options: options) }
    let fitText = module.parameters.allSatisfy { $0.content.isMissing || ModulePrinter.isInline($0.content) }
    if skeleton == nil && others.isEmpty && fitText && (!missing.isEmpty || stored.isEmpty) {
      let text = ModulePrinter.print(module, options: .names)
      return try AtomicFile.write(to: path, notOver: inputs) { try $0.write(Array(text.utf8)) }
    }
    if let first = missing.first {
      throw Diagnostic(
        .invalid, "has no numbers, but others have; read the model with all its weights", at: .tensor(module[first].name))
    }
    let tensors = stored.map { NamedTensor(name: module[$0.value].name, type: module[$0.value].type, content: $0.content) }
    let text = ModulePrinter.print(module, options: options)
    try IrContainer(text: text, tensors: tensors + others, skeleton: skeleton, sourceDigest: sourceDigest).write(
      to: path, notOver: inputs)
  }
}
