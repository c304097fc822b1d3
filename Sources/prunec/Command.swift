import Foundation
import Graph

/// The command: reads a call, runs its verb, and turns failures into one line and an exit code.
enum Command {
  /// Version of prunec.
  static let version = "0.1.0"

  /// Runs a call given without the command's name; returns the exit code.
  static func run(_ arguments: [String]) -> Int32 {
    do throws(Diagnostic) {
      switch try Invocation.parse(arguments, isFile: { FileManager.default.fileExists(atPath: $0) }) {
      case .help(let verb):
        let width = max(60, min(Console.width ?? Help.widest, Help.widest))
        try Console.write(verb.map { Help.text($0, width: width) } ?? Help.overview(width: width), to: STDOUT_FILENO)
      case .version: try Console.write("prunec \(version)\n", to: STDOUT_FILENO)
      case .run(let invocation): return try run(invocation)
      }
      // Without any argument a person is shown the help, but a script that called so made a mistake.
      return arguments.isEmpty ? exitCode(.usage) : 0
    } catch {
      Console.complain("prunec: error: \(Wording.name(error.description))")
      return exitCode(error.kind)
    }
  }

  private static func run(_ invocation: Invocation) throws(Diagnostic) -> Int32 {
    let console = Console(isQuiet: invocation.has(.quiet), isReportForMachines: invocation.has(.json))
    switch invocation.verb {
    case .compile: try CompileVerb(invocation, console).run()
    case .sweep: try SweepVerb(invocation, console).run()
    case .groups: try GroupsVerb(invocation, console).run()
    case .stats: try StatsVerb(invocation, console).run()
    case .masks: try MasksVerb(invocation, console).run()
    case .explain: try ExplainVerb(invocation, console).run()
    case .dot: try DotVerb(invocation, console).run()
    case .print: try PrintVerb(invocation, console).run()
    case .verifyDimensions: return try VerifyDimensionsVerb(invocation, console).run() ? 0 : exitCode(.refused)
    case .run: try RunVerb(invocation, console).run()
    case .bench: try BenchVerb(invocation, console).run()
    case .verify: return try VerifyVerb(invocation, console).run() ? 0 : exitCode(.refused)
    case .convert: try ConvertVerb(invocation, console).run()
    case .differentiate: try DifferentiateVerb(invocation, console).run()
    case .trace: try TraceVerb(invocation, console).run()
    case .completions: try CompletionsVerb(invocation, console).run()
    case .help: break
    }
    return 0
  }

  /// The exit code of a kind of failure.
  static func exitCode(_ kind: Diagnostic.Kind) -> Int32 {
    switch kind {
    case .refused: 1
    case .usage: 2
    case .unsupported: 3
    case .invalid: 4
    case .unwritable: 5
    }
  }
}

extension Invocation {
  /// The operand that names the model.
  func model() throws(Diagnostic) -> String { try operand(0) }

  /// An operand by position.
  func operand(_ index: Int) throws(Diagnostic) -> String {
    guard operands.indices.contains(index) else { throw Diagnostic(.usage, "an argument is missing: prunec \(verb.usage)") }
    return operands[index]
  }
}
