import Formats
import Foundation
import Graph
import Passes
import Runtime

/// `prunec run`: executes a model.
struct RunVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    let file = try ModelReader.read(path)
    var limits = PlainRunner.Limits()
    if let turns = try invocation.number(.maxIterations, least: 1) { limits.iterations = turns }
    let seed = UInt64(try invocation.number(.seed, least: 0) ?? 0)
    let inputs = try ModelInputs.read(invocation, file, seed: seed)
    try printStages(file, inputs)
    let outputs: [RuntimeValue]
    do throws(Diagnostic) {
      let session = Session(
        file.module, source: file.document?.model, threads: try Threads.count(invocation), limits: limits, seed: seed)
      outputs = try invocation.has(.profile) ? profile(session, inputs) : session.run(inputs)
    } catch {
      throw error.inFile(path)
    }
    if let target = invocation.text(.outputs) {
      let sources = file.files + [invocation.text(.inputs)].compactMap { $0 }
      try NpzFile.write(try ArrayExchange.arrays(of: file.module, outputs), to: target, notOver: sources)
    }
    guard !console.isQuiet else { return }
    var table = TextTable([.left, .left, .right, .right, .right])
    table.add(["output", "type", "least", "mean", "largest"])
    for (output, value) in zip(file.module.outputs, outputs) {
      table.add([Wording.name(file.module[output].name), value.summary] + Self.figures(value))
    }
    try console.report(table.lines.joined(separator: "\n") + "\n")
  }

  /// `--print-after`: the graph as it is made ready for these inputs.
  private func printStages(_ file: ModelFile, _ inputs: [RuntimeValue]) throws(Diagnostic) {
    guard let wanted = invocation.text(.printAfter) else { return }
    let names = Lowering.stages.map(\.name)
    guard wanted == "all" || names.contains(wanted) else {
      throw Diagnostic(
        .usage, "--print-after \(wanted): no such pass when a model is run; they are \(names.joined(separator: ", "))")
    }
    var text = ""
    do throws(Diagnostic) {
      let types = zip(file.module.inputs, inputs).map { $1.tensor?.type ?? .unranked(file.module[$0].type.element) }
      _ = try Lowering.lower(file.module, inputs: types) { pass, module in
        if wanted == "all" || wanted == pass.name {
          text += "// after \(pass.name): \(pass.summary)\n" + ModulePrinter.print(module, options: .names) + "\n"
        }
      }
    } catch {
      throw error.inFile(file.path)
    }
    try console.report(text)
  }

  /// Runs a few times, and shows where the time goes.
  private func profile(_ session: Session, _ inputs: [RuntimeValue]) throws(Diagnostic) -> [RuntimeValue] {
    let runs = 5
    let summary = try session.steps(for: inputs)
    var outputs = try session.run(inputs)
    var seconds = [Double](repeating: 0, count: summary.lines.count)
    for _ in 0..<runs { outputs = try session.run(inputs) { seconds[$0] += $1 / Double(runs) } }
    try console.report(Profile(summary, seconds).text)
    return outputs
  }

  private static func figures(_ value: RuntimeValue) -> [String] {
    guard let tensor = value.tensor, tensor.count > 0 else { return ["", "", ""] }
    let numbers = tensor.reals
    // What is no number shows in the mean alone.
    let least = numbers.reduce(Double.nan) { $1 < $0 || $0.isNaN ? $1 : $0 }
    let largest = numbers.reduce(Double.nan) { $1 > $0 || $0.isNaN ? $1 : $0 }
    return [least, numbers.reduce(0, +) / Double(numbers.count), largest].map { String(format: "%.5g", $0) }
  }
}

/// Inputs as a call gives them: from a file, or random.
enum ModelInputs {
  static func read(_ invocation: Invocation, _ file: ModelFile, seed: UInt64) throws(Diagnostic) -> [RuntimeValue] {
    guard let path = invocation.text(.inputs) else {
      do throws(Diagnostic) {
        return try RandomInputs.values(of: file.module, extents: try extents(invocation, file.module), seed: seed)
      } catch {
        throw error.inFile(file.path)
      }
    }
    if let text = invocation.texts(.dimension).first {
      throw Diagnostic(.usage, "--dim \(text): lengths follow from the arrays of --inputs; give one or the other")
    }
    return try arrays(path, file)
  }

  /// The arrays of an `.npz` as inputs of a model.
  static func arrays(_ path: String, _ file: ModelFile) throws(Diagnostic) -> [RuntimeValue] {
    let arrays = try NpzFile.read(path, limit: PlainRunner.Limits().bytes)
    do throws(Diagnostic) {
      return try ArrayExchange.inputs(of: file.module, from: arrays)
    } catch {
      throw error.inFile(path)
    }
  }

  /// `--dim NAME=N`.
  static func extents(_ invocation: Invocation, _ module: Module) throws(Diagnostic) -> [String: Int] {
    let symbols = Set(module.inputs.flatMap { module[$0].type.shape.flatMap(\.symbols) })
    var extents: [String: Int] = [:]
    for text in invocation.texts(.dimension) {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, let number = Int(parts[1]), number > 0 else {
        throw Diagnostic(.usage, "--dim \(text): NAME=N with a whole number of at least 1 is expected")
      }
      guard symbols.contains(parts[0]) else {
        let names = symbols.sorted().joined(separator: ", ")
        throw Diagnostic(
          .usage, "--dim \(text): no input has an extent of that name" + (names.isEmpty ? "" : "; there are \(names)"))
      }
      extents[parts[0]] = number
    }
    return extents
  }
}

/// The file of `--data`.
enum CalibrationFile {
  /// Its arrays as samples for a model's inputs.
  static func read(_ path: String, _ file: ModelFile) throws(Diagnostic) -> CalibrationData {
    let arrays = try NpzFile.read(path, limit: PlainRunner.Limits().bytes)
    do throws(Diagnostic) { return try CalibrationData(arrays, for: file.module) } catch { throw error.inFile(path) }
  }
}
