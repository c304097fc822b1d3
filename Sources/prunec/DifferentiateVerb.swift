import Formats
import Graph
import Passes

/// `prunec differentiate`: the gradients of a loss as a model.
struct DifferentiateVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    guard let loss = try Self.loss(invocation) else {
      let names = Loss.names.map(\.name).joined(separator: ", ")
      throw Diagnostic(.usage, "--loss is missing: prunec \(invocation.verb.usage); it is one of \(names)")
    }
    if let output = invocation.text(.output) { _ = try ModelFile.outputFormat(of: output) }
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(path)")
    let file = try ModelReader.read(path)
    progress.report("differentiating")
    let module: Module
    do throws(Diagnostic) {
      var original = file.module
      try fixLengths(&original)
      let placed = try loss.appended(to: original, output: invocation.text(.of))
      module = try Differentiate.run(
        placed.module, of: placed.value, by: try targets(placed.module), keeping: [placed.value])
    } catch {
      throw error.inFile(path)
    }
    guard let output = invocation.text(.output) else {
      progress.finish()
      return try console.report(ModulePrinter.print(module, options: .names))
    }
    progress.report("writing \(output)")
    switch try ModelFile.outputFormat(of: output) {
    case .onnx: try OnnxWriter.write(Exporter.model(of: module), patching: nil, to: output, notOver: file.files)
    case .ir: try IrFile.write(module, skeleton: nil, sourceDigest: nil, others: [], to: output, notOver: file.files)
    }
    progress.finish()
    if !console.isQuiet {
      try console.report("\(Wording.name(output)): \(module.outputs.count - 1) gradients, \(module.nodes.count) nodes\n")
    }
  }

  /// The loss that a call names; nil where it names none.
  static func loss(_ invocation: Invocation) throws(Diagnostic) -> Loss? {
    guard let text = invocation.text(.loss) else { return nil }
    if let named = Loss.names.first(where: { $0.name == text }) { return named.loss }
    let names = Loss.names.map(\.name)
    throw Diagnostic(
      .usage, "--loss \(text): no such loss\(meant(text, among: names) ?? "; they are \(names.joined(separator: ", "))")")
  }

  /// `--dim NAME=N`: symbols of the inputs become numbers.
  private func fixLengths(_ module: inout Module) throws(Diagnostic) {
    let extents = try ModelInputs.extents(invocation, module)
    if extents.isEmpty { return }
    for input in module.inputs {
      let type = module[input].type
      guard type.isRanked else { continue }
      module[input].type = TensorType(type.element, type.shape.map { $0.evaluated { extents[$0] }.map { Extent($0) } ?? $0 })
    }
    let inferred = try TypeInference.run(module)
    for index in module.values.indices { module.values[index].type = inferred.types[index] }
  }

  /// The parameters that `--only` names, or all real ones.
  private func targets(_ module: Module) throws(Diagnostic) -> [ValueID] {
    let globs = try invocation.list(.only).map(Glob.init)
    let found = module.trainable.filter { value in globs.isEmpty || globs.contains { $0.matches(module[value].name) } }
    guard !found.isEmpty else {
      throw Diagnostic(
        .usage, globs.isEmpty ? "the model has no stored real parameters to differentiate by" : "--only matches no real parameter"
      )
    }
    return found
  }
}
