import Graph

/// A `.ir` file with weights: a safetensors file whose tensors are the parameters and whose metadata carries the module as text.
public struct IrContainer: Sendable {
  /// The module in text form.
  public var text: String
  /// The parameters.
  public var tensors: [NamedTensor]
  /// The ONNX file that the module came from, without numbers (`OnnxWriter.skeleton`); nil when it came from elsewhere.
  public var skeleton: [UInt8]?
  /// SHA-256 of that ONNX file, in hexadecimal.
  public var sourceDigest: String?
  /// Further metadata, untouched.
  public var metadata: [String: String]

  private static let textKey = "prunec.ir"
  private static let skeletonKey = "prunec.onnx"
  private static let digestKey = "prunec.sha256"

  /// A container of the given parts.
  public init(
    text: String, tensors: [NamedTensor], skeleton: [UInt8]? = nil, sourceDigest: String? = nil, metadata: [String: String] = [:]
  ) {
    self.text = text
    self.tensors = tensors
    self.skeleton = skeleton
    self.sourceDigest = sourceDigest
    self.metadata = metadata
  }

  /// The container in a safetensors file; nil when the file carries no module.
  ///
  /// A skeleton that is not base64 is a `Diagnostic` of kind `invalid`.
  public init?(_ file: Safetensors) throws(Diagnostic) {
    var metadata = file.metadata
    guard let text = metadata.removeValue(forKey: IrContainer.textKey) else { return nil }
    var skeleton: [UInt8]?
    if let encoded = metadata.removeValue(forKey: IrContainer.skeletonKey) {
      guard let bytes = Base64.decode(encoded) else {
        throw Diagnostic(.invalid, "its metadata '\(IrContainer.skeletonKey)' is not base64; write the container anew")
      }
      skeleton = bytes
    }
    let digest = metadata.removeValue(forKey: IrContainer.digestKey)
    self.init(text: text, tensors: file.tensors, skeleton: skeleton, sourceDigest: digest, metadata: metadata)
  }

  /// Maps and reads a container. A safetensors file without a module is a `Diagnostic` of kind `invalid`, as is what is no safetensors file.
  public static func read(path: String) throws(Diagnostic) -> IrContainer {
    let file = try Safetensors.read(path: path)
    do throws(Diagnostic) {
      guard let container = try IrContainer(file) else {
        throw Diagnostic(.invalid, "is a safetensors file of weights alone, without the module that prunec writes into a .ir")
      }
      return container
    } catch {
      throw error.inFile(path)
    }
  }

  /// Writes the container; see `Safetensors.write`.
  public func write(to path: String, notOver inputs: [String] = []) throws(Diagnostic) {
    var metadata = metadata
    metadata[IrContainer.textKey] = text
    metadata[IrContainer.skeletonKey] = skeleton.map(Base64.encode)
    metadata[IrContainer.digestKey] = sourceDigest
    try Safetensors.write(tensors, metadata: metadata, to: path, notOver: inputs)
  }

  /// The numbers of the tensors by name, as `OnnxDocument(skeleton:tensors:)` takes them.
  public var contents: [String: TensorContent] {
    Dictionary(tensors.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
  }
}
