import Formats
import Foundation
import Graph
import Passes
import Tracing
import Zoo

/// `prunec trace`: a model of the zoo, from Swift to a file.
struct TraceVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    if invocation.has(.list) { return try console.report(list) }
    let name = try invocation.operand(0)
    let seed = try invocation.number(.seed, least: 0) ?? 0
    let model = try model(name)
    guard let output = invocation.text(.output) else {
      let weights = try invocation.text(.weights).map { path throws(Diagnostic) in try Self.weights(path) } ?? .absent
      return try console.report(ModulePrinter.print(try model.module(named: Self.title(name), weights: weights), options: .names))
    }
    let format = try ModelFile.outputFormat(of: output)
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("tracing \(name)")
    let weights =
      try invocation.text(.weights).map { path throws(Diagnostic) in try Self.weights(path) } ?? .random(seed: UInt64(seed))
    let module = try model.module(named: Self.title(name), weights: weights)
    progress.report("writing \(output)")
    let inputs = invocation.text(.weights).map { [$0] } ?? []
    switch format {
    case .onnx: try OnnxWriter.write(Exporter.model(of: module), patching: nil, to: output, notOver: inputs)
    case .ir: try IrFile.write(module, skeleton: nil, sourceDigest: nil, others: [], to: output, notOver: inputs)
    }
    progress.finish()
    if !console.isQuiet {
      try console.report("\(Wording.name(output)): \(module.nodes.count) nodes, \(module.parameterCount) parameters\n")
    }
  }

  private var list: String {
    let width = models.map(\.name.count).max() ?? 0
    return models.map { entry in
      "\(entry.name)\(String(repeating: " ", count: width - entry.name.count))  \(entry.summary)\n"
    }.joined()
  }

  /// The model of a name, or of a configuration.
  private func model(_ name: String) throws(Diagnostic) -> any ZooModel {
    guard name.hasSuffix(".json") else {
      if let entry = models.first(where: { $0.name == name }) { return entry.make() }
      let near = meant(name, among: models.map(\.name))
      throw Diagnostic(.usage, "there is no model '\(name)'\(near ?? "; 'prunec trace --list' names them all")")
    }
    do throws(Diagnostic) {
      let store = try MappedFile.open(name)
      return try Zoo.model(configuration: try Configuration(json: store.withUnsafeBytes { [UInt8]($0) }, name: name))
    } catch {
      throw error.inFile(name)
    }
  }

  /// What the module is called: the name, or that of the folder that holds the configuration.
  private static func title(_ name: String) -> String {
    guard name.hasSuffix(".json") else { return name }
    return URL(fileURLWithPath: name).deletingLastPathComponent().lastPathComponent
  }

  /// The tensors of a safetensors file.
  private static func weights(_ path: String) throws(Diagnostic) -> Weights {
    let file = try Safetensors.read(path: path)
    return .stored(Dictionary(file.tensors.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first }))
  }
}
