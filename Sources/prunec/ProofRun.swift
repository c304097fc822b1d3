import Foundation
import Graph
import Passes
import Runtime

/// When a compile proves its result.
enum CheckMode: Sendable {
  /// Unless the model is large, or cannot be executed.
  case usually
  case always, never

  /// Bytes of weights up to which a compile proves its result without being asked.
  static let usualLimit = Proof.usualLimit
}

/// What came of comparing the masked original with the smaller model.
enum ProofOutcome {
  case compared(Proof)
  /// The comparison could not be made.
  case impossible(Diagnostic)
}

/// Runs the comparison, on given inputs or random ones.
struct ProofRun {
  let solution: Solution
  let plan: Plan
  let smaller: Module
  let sources: (original: NamedModel?, smaller: NamedModel?)
  let threads: Int
  var tolerance = Proof.defaultTolerance
  /// Blocks that were dropped before the solution was found, and the module without them.
  var drop: (depth: Depth, remaining: Module)?
  /// The original as it was, where the smaller model must compute the same.
  var original: Module?

  /// Compares on inputs that are given.
  func outcome(on inputs: [RuntimeValue]) -> ProofOutcome {
    do throws(Diagnostic) { return .compared(try proof(on: inputs)) } catch { return .impossible(error) }
  }

  /// First that what is left without the dropped blocks is the original with these bypassed, then that the smaller model is what is left,
  /// run on the kept indices alone.
  private func proof(on inputs: [RuntimeValue]) throws(Diagnostic) -> Proof {
    var first: Proof?
    if let drop {
      first = try Proof.run(
        depth: drop.depth, dropped: drop.remaining, source: sources.original, inputs: inputs, threads: threads,
        tolerance: tolerance)
    }
    if let original {
      first = try Proof.run(
        original: original, same: smaller, sources: sources, inputs: inputs, threads: threads, tolerance: tolerance)
    }
    if let first, !first.isProved { return first }
    let second = try Proof.run(
      solution: solution, plan: plan, smaller: smaller, sources: sources, inputs: inputs, threads: threads,
      tolerance: tolerance)
    return first?.followed(by: second) ?? second
  }

  /// Compares on random inputs. Symbolic lengths that are not given get numbers that the model accepts, tried in order.
  func outcome(seed: UInt64, extents given: [String: Int] = [:]) -> ProofOutcome {
    do throws(Diagnostic) {
      return .compared(
        try InventedInputs.firstAccepted(for: solution.module, seed: seed, extents: given) { (inputs) throws(Diagnostic) in
          try proof(on: inputs)
        }.result)
    } catch {
      return .impossible(error)
    }
  }
}

extension Proof {
  /// One line for a report; `bypassing`: blocks were dropped; `unchanged`: the original itself computes the same.
  func line(bypassing: Bool, unchanged: Bool = false) -> String {
    let figure = String(format: "%.1e", worst)
    if unchanged {
      return "Proved: the outputs are the original's (largest difference \(figure), \(compared) values compared)."
    }
    let original = bypassing ? "the original, dropped blocks bypassed and run" : "the original, run"
    return
      "Proved: \(original) on the kept indices only, gives the same outputs (largest difference \(figure), \(compared) values compared)."
  }

  /// What to throw where the two differ.
  var refusal: Diagnostic {
    let found = faults.prefix(3).map { Wording.name($0.summary) }.joined(separator: "; ")
    return Diagnostic(
      .refused,
      compared == 0 ? "nothing could be compared" : "the smaller model computes something else than the plan says: \(found)")
  }
}
