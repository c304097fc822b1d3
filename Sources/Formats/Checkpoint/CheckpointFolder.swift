import Foundation
import Graph

/// A checkpoint folder as people download it: `config.json`, the weights in one safetensors file or in several with an index, and what lies
/// beside them. Weights lie in the mapped files.
public struct CheckpointFolder: Sendable {
  /// One file of weights.
  public struct Shard: Sendable {
    /// Name of the file in the folder.
    public let name: String
    /// Its tensors in the order of their bytes.
    public let tensors: [NamedTensor]
    /// Text by key.
    public let metadata: [String: String]
  }

  /// Where it is.
  public let path: String
  /// `config.json`.
  public let configuration: JsonValue
  /// The files of weights, by name.
  public let shards: [Shard]
  /// The index of the shards and its name; nil for a single file.
  public let index: (name: String, contents: JsonValue)?
  /// Files that are no weights, relative to the folder, by name: they go along as they are.
  public let others: [String]
  /// Weights in other formats, which would be stale in a smaller model: they stay behind.
  public let leftOut: [String]

  /// What `config.json` is called.
  public static let configurationName = "config.json"

  /// True for a folder.
  public static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// Reads a folder, strictly: shards and index must agree in every tensor. What is wrong is one diagnostic of kind `invalid` that lists all of it.
  public static func read(_ path: String) throws(Diagnostic) -> CheckpointFolder {
    do throws(Diagnostic) { return try CheckpointFolder(path: path) } catch { throw error.inFile(path) }
  }

  private init(path: String) throws(Diagnostic) {
    let names = try Self.files(in: path)
    guard names.contains(Self.configurationName) else {
      throw Diagnostic(.invalid, "is a folder without config.json, so no checkpoint; give an .onnx or .ir file")
    }
    self.path = path
    configuration = try JsonValue.parse(try MappedFile.open("\(path)/config.json"), subject: "config.json")
    guard configuration.members != nil else { throw Diagnostic(.invalid, "config.json holds no object") }
    let (files, indexName) = try Self.weightFiles(names)
    var index: (name: String, contents: JsonValue)?
    var listed: [JsonValue.Member] = []
    if let indexName {
      let contents = try JsonValue.parse(try MappedFile.open("\(path)/\(indexName)"), subject: indexName)
      guard let map = contents["weight_map"]?.members else { throw Diagnostic(.invalid, "\(indexName) holds no weight_map") }
      index = (indexName, contents)
      listed = map
    }
    self.index = index
    let shardNames = index == nil ? files : Set(listed.compactMap(\.value.text)).sorted()
    shards = try Self.shards(shardNames, in: path, present: Set(names))
    try Self.check(listed, shards, isIndexed: index != nil)
    let weights = Set(shardNames + [indexName, Self.configurationName].compactMap { $0 })
    let rest = names.filter { !weights.contains($0) }
    leftOut = rest.filter(Self.holdsWeights)
    others = rest.filter { !Self.holdsWeights($0) }
  }

  /// Regular files in the folder and below, by name; version control and caches apart.
  private static func files(in path: String) throws(Diagnostic) -> [String] {
    // A link to a folder is not gone into unless it is named as what it leads to.
    let place = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    guard let walk = FileManager.default.enumerator(atPath: place) else { throw Diagnostic(.invalid, "cannot be read") }
    var names: [String] = []
    for case let name as String in walk {
      if isFolder("\(path)/\(name)") {
        if [".git", ".cache"].contains(name) { walk.skipDescendants() }
      } else {
        names.append(name)
      }
      if names.count > 10_000 { throw Diagnostic(.invalid, "holds more than 10000 files, so it is no checkpoint") }
    }
    return names.sorted()
  }

  /// The files of weights, or the index that lists them.
  private static func weightFiles(_ names: [String]) throws(Diagnostic) -> (files: [String], index: String?) {
    if names.contains("model.safetensors") { return (["model.safetensors"], nil) }
    let indices = names.filter { $0.hasSuffix(".safetensors.index.json") && !$0.contains("/") }
    let files = names.filter { $0.hasSuffix(".safetensors") && !$0.contains("/") }
    switch (indices.count, files.count) {
    case (1, _): return ([], indices[0])
    case (0, 1): return (files, nil)
    case (0, 0):
      let found = names.first(where: holdsWeights).map { " (it has \($0))" } ?? ""
      throw Diagnostic(
        .invalid, "holds no weights as safetensors\(found); save the model with save_pretrained of a recent transformers")
    case _:
      throw Diagnostic(
        .invalid, "holds several models (\((indices + files).prefix(4).joined(separator: ", "))); keep one in the folder")
    }
  }

  private static func shards(_ names: [String], in path: String, present: Set<String>) throws(Diagnostic) -> [Shard] {
    if let wrong = names.first(where: { $0.contains("/") || $0.contains("..") }) {
      throw Diagnostic(.invalid, "the index names a file outside the folder: \(wrong)")
    }
    let missing = names.filter { !present.contains($0) }
    if !missing.isEmpty {
      throw Diagnostic(
        .invalid,
        "\(missing.count == 1 ? "a file" : "files") of weights that the index names \(missing.count == 1 ? "is" : "are") "
          + "missing: \(missing.joined(separator: ", ")); download the folder again")
    }
    var shards: [Shard] = []
    for name in names {
      do throws(Diagnostic) {
        let file = try Safetensors(try MappedFile.open("\(path)/\(name)"))
        shards.append(Shard(name: name, tensors: file.tensors, metadata: file.metadata))
      } catch {
        throw error.inFile("\(path)/\(name)")
      }
    }
    return shards
  }

  /// Index and shards name the same tensors, each once.
  private static func check(_ listed: [JsonValue.Member], _ shards: [Shard], isIndexed: Bool) throws(Diagnostic) {
    var places: [String: String] = [:]
    var faults: [String] = []
    for shard in shards {
      for tensor in shard.tensors {
        if let other = places[tensor.name] { faults.append("\(tensor.name) is in both \(other) and \(shard.name)") }
        places[tensor.name] = shard.name
      }
    }
    if isIndexed {
      let index = Dictionary(listed.map { ($0.key, $0.value.text) }, uniquingKeysWith: { first, _ in first })
      for (name, file) in listed.map({ ($0.key, $0.value.text) }) where places[name] != file {
        faults.append(
          "the index has \(name) in \(file ?? "no file"), but it is \(places[name].map { "in \($0)" } ?? "in no file")")
      }
      for name in places.keys.sorted() where index[name] == nil { faults.append("the index does not list \(name)") }
    }
    if !faults.isEmpty {
      throw Diagnostic(.invalid, "its weights do not agree with its index: \(faults.joined(separator: "; "))")
    }
  }

  /// True for names of files that hold weights or what belongs to training the model at its old size.
  private static func holdsWeights(_ name: String) -> Bool {
    let endings = [
      ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".h5", ".msgpack", ".onnx",
      ".onnx_data", ".gguf",
      ".ot", ".tflite",
    ]
    return endings.contains { name.hasSuffix($0) }
  }

  /// Bytes of all weights.
  public var byteCount: Int { shards.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.content.byteCount } } }

  /// All tensors by name. A pair `X_orig`, `X_mask`, as PyTorch's pruning leaves it, is X: its numbers where the mask is one, else zero.
  public func contents() throws(Diagnostic) -> [String: TensorContent] {
    var contents: [String: TensorContent] = [:]
    for shard in shards { for tensor in shard.tensors { contents[tensor.name] = tensor.content } }
    for name in contents.keys.sorted() where name.hasSuffix("_orig") {
      let base = Self.unmasked(name)
      guard let numbers = contents[name], let mask = contents[base + "_mask"], contents[base] == nil else { continue }
      contents[name] = nil
      contents[base + "_mask"] = nil
      contents[base] = try Self.masked(numbers, by: mask, name: base)
    }
    return contents
  }

  /// `X` for `X_orig`; other names as they are.
  private static func unmasked(_ name: String) -> String { name.hasSuffix("_orig") ? String(name.dropLast("_orig".count)) : name }

  private static func masked(_ numbers: TensorContent, by mask: TensorContent, name: String) throws(Diagnostic) -> TensorContent {
    guard numbers.shape == mask.shape, let bits = numbers.element.bits, bits >= 8, let ones = Tensor(mask)?.reals,
      ones.allSatisfy({ $0 == 0 || $0 == 1 })
    else {
      throw Diagnostic(.invalid, "\(name)_mask is no mask of zeros and ones over \(name)_orig", at: .tensor(name))
    }
    let width = bits / 8
    let whole = numbers.materialized()
    let data = TensorData(count: whole.count) { target in
      whole.withUnsafeBytes { target.copyMemory(from: $0) }
      for (index, one) in ones.enumerated() where one == 0 {
        for byte in index * width..<(index + 1) * width { target[byte] = 0 }
      }
    }
    return TensorContent(data, element: numbers.element, shape: numbers.shape)
  }

  /// Writes a folder like this one: the tensors that `tensors` has for the names of this one's, each in the shard where its namesake was, a
  /// new `config.json`, the index brought up to date, and the other files as they are. Appears whole or not at all.
  ///
  /// `progress` hears the share that is written.
  public func write(
    _ tensors: [String: NamedTensor], configuration: JsonValue, to path: String, progress: (Double) -> Void
  ) throws(Diagnostic) {
    let folder = try PendingFolder(path, notOver: self.path)
    do throws(Diagnostic) { try fill(folder, tensors, configuration, progress) } catch { throw folder.located(error) }
    try folder.commit()
  }

  private func fill(
    _ folder: PendingFolder, _ tensors: [String: NamedTensor], _ configuration: JsonValue, _ progress: (Double) -> Void
  ) throws(Diagnostic) {
    let total = max(1, tensors.values.reduce(0) { $0 + $1.content.byteCount })
    var written = 0
    var map: [JsonValue.Member] = []
    for shard in shards {
      let kept = shard.tensors.compactMap { tensor in tensors[tensor.name] ?? tensors[Self.unmasked(tensor.name)] }
      if kept.isEmpty { continue }
      written += kept.reduce(0) { $0 + $1.content.byteCount }
      map += kept.map { JsonValue.Member($0.name, .text(shard.name)) }
      try Safetensors.write(kept, metadata: shard.metadata, to: try folder.file(shard.name))
      progress(Double(written) / Double(total))
    }
    if let index {
      var contents = index.contents
      contents["weight_map"] = .object(map.sorted { $0.key < $1.key })
      if var metadata = contents["metadata"] {
        if metadata["total_size"] != nil { metadata["total_size"] = .int(written) }
        metadata["total_parameters"] = nil
        contents["metadata"] = metadata
      }
      try Self.write(contents, to: try folder.file(index.name))
    }
    try Self.write(configuration, to: try folder.file(Self.configurationName))
    for name in others { try folder.copy("\(self.path)/\(name)", as: name) }
  }

  private static func write(_ value: JsonValue, to path: String) throws(Diagnostic) {
    try AtomicFile.write(to: path, notOver: []) { try $0.write(Array((value.text() + "\n").utf8)) }
  }
}
