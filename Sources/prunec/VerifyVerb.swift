import Formats
import Foundation
import Graph
import Passes

/// `prunec verify`: the masked original beside the smaller model.
struct VerifyVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  /// True when the smaller model is what the plan makes of the original.
  func run() throws(Diagnostic) -> Bool {
    let (path, smallerPath) = (try invocation.model(), try invocation.operand(1))
    guard let planPath = invocation.text(.plan) else {
      throw Diagnostic(.usage, "--plan is missing: prunec \(invocation.verb.usage)")
    }
    let planFile: PlanFile
    do throws(Diagnostic) {
      planFile = try PlanFile(reading: try MappedFile.open(planPath).withUnsafeBytes { Data($0) })
    } catch {
      throw error.inFile(planPath)
    }
    let solved = try SolvedModel.read(path, console, plan: planFile)
    let smaller = try ModelReader.read(smallerPath)
    let plan: Plan
    do throws(Diagnostic) { plan = try planFile.plan(for: solved.solution) } catch { throw error.inFile(planPath) }
    var module = smaller.module
    if let folder = solved.file.folder, smaller.folder != nil, solved.drop != nil {
      module = try CheckpointModel.withOriginalNames(module, folder, solution: solved.solution, plan: plan)
    }
    var run = ProofRun(
      solution: solved.solution, plan: plan, smaller: module,
      sources: (solved.file.document?.model, smaller.document?.model), threads: try Threads.count(invocation))
    run.drop = solved.drop
    if let text = invocation.text(.tolerance) {
      guard let tolerance = Double(text), tolerance >= 0 else {
        throw Diagnostic(.usage, "--tolerance \(text): a number of at least 0 is expected")
      }
      run.tolerance = tolerance
    }
    let outcome =
      if invocation.has(.inputs) {
        run.outcome(on: try ModelInputs.read(invocation, solved.file, seed: 0))
      } else {
        run.outcome(
          seed: UInt64(try invocation.number(.seed, least: 0) ?? 0),
          extents: try ModelInputs.extents(invocation, solved.file.module))
      }
    switch outcome {
    case .impossible(let error): throw error
    case .compared(let proof):
      try report(proof, smallerPath, bypassing: solved.drop != nil)
      return proof.isProved
    }
  }

  private func report(_ proof: Proof, _ path: String, bypassing: Bool) throws(Diagnostic) {
    if invocation.has(.json) {
      let outputs = proof.outputs.map { Json.object([("name", .text($0.name)), ("error", .number($0.error))]) }
      let faults = proof.faults.map { Json.object([("name", .text($0.name)), ("message", .text($0.summary))]) }
      let fields: [(String, Json)] = [
        ("ok", .bool(proof.isProved)), ("values", .integer(proof.compared)), ("outputs", .array(outputs)),
        ("faults", .array(faults)),
      ]
      try console.report(Json.object(fields).text() + "\n")
    } else if !console.isQuiet {
      var table = TextTable([.left, .right])
      table.add(["output", "relative error"])
      for output in proof.outputs { table.add([Wording.name(output.name), String(format: "%.1e", output.error)]) }
      try console.report(table.lines.joined(separator: "\n") + "\n")
      if proof.isProved { try console.report(proof.line(bypassing: bypassing) + "\n") }
    }
    if !proof.isProved { Console.complain("prunec: error: \(Wording.name(path)): \(proof.refusal.message)") }
  }
}
