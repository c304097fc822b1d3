import Formats
import Graph
import Passes

/// `prunec stats`: where a model's numbers are zero, and what that is worth.
struct StatsVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(path)")
    if let weights = try WeightsAlone(path) { return try report(weights, path, progress) }
    let file = try ModelReader.read(path)
    var module = file.module
    let masked = try MaskedInput.apply(invocation, to: &module, path)
    var options = CompileOptions()
    options.progress = { progress.report($0, $1 > 0 ? $1 : nil) }
    options.removesZeros = true
    var compilation = Compilation(module, options: options)
    do throws(Diagnostic) { try Pipeline.run(Pipeline.solve, on: &compilation) } catch { throw error.inFile(path) }
    guard let solution = compilation.solution else { throw Diagnostic(.invalid, "could not be solved", file: path) }
    let sparsity = Sparsity(solution) { progress.report("counting", $0) }
    do throws(Diagnostic) { try Pipeline.run([Pipeline.removeZeros], on: &compilation) } catch { throw error.inFile(path) }
    progress.finish()
    let report = SparsityReport(
      solution, sparsity, compilation.zeros, path: path, masked: masked, masks: invocation.text(.masks), console)
    try console.report(invocation.has(.json) ? report.json.text() + "\n" : report.lines.joined(separator: "\n") + "\n")
  }

  /// A file of weights has tensors, but no program that would say what is a channel.
  private func report(_ weights: WeightsAlone, _ path: String, _ progress: ProgressBar) throws(Diagnostic) {
    if let masks = invocation.text(.masks) {
      throw Diagnostic(
        .usage, "--masks \(masks): \(path) holds weights without a model; give the model, or see the file's own zeros")
    }
    progress.finish()
    if invocation.has(.json) {
      let lines = weights.lines.map { name, line in SparsityReport.json(name, line) }
      return try console.report(
        Json.object([("model", .text(path)), ("tensors", .array(lines)), ("groups", .array([]))]).text() + "\n")
    }
    var lines = ["\(Wording.name(path)): \(Wording.plural(weights.lines.count, "tensor")), weights without a model", ""]
    lines += SparsityReport.table(weights.lines)
    lines += [
      "", "Which channels or heads are empty only a model can tell: give the .onnx, .ir or folder, with --masks \(quoted(path))",
    ]
    try console.report(lines.joined(separator: "\n") + "\n")
  }
}

/// Masks that a call applies before anything else.
enum MaskedInput {
  /// Multiplies out the masks that a model holds, and those of `--masks`; returns the names of what is masked.
  static func apply(_ invocation: Invocation, to module: inout Module, _ path: String) throws(Diagnostic) -> [String] {
    var names: [String]
    do throws(Diagnostic) { names = try MaskFolding.run(&module) } catch { throw error.inFile(path) }
    if let masks = invocation.text(.masks) { names += try MaskFile.apply(masks, to: &module) }
    return names
  }
}

/// A safetensors file without a module.
private struct WeightsAlone {
  let lines: [(name: String, line: Sparsity.TensorLine)]

  /// Nil where a path is anything else.
  init?(_ path: String) throws(Diagnostic) {
    guard !CheckpointFolder.isFolder(path) else { return nil }
    let store = try MappedFile.open(path)
    guard Safetensors.isLikely(store) else { return nil }
    let file: Safetensors
    do throws(Diagnostic) { file = try Safetensors(store) } catch { throw error.inFile(path) }
    guard try IrContainer(file) == nil else { return nil }
    do throws(Diagnostic) {
      lines = try MaskFile.multipliedOut(file.tensors).map { tensor in
        (tensor.name, Sparsity.line(Parameter(value: ValueID(0), content: tensor.content)))
      }
    } catch {
      throw error.inFile(path)
    }
  }
}
