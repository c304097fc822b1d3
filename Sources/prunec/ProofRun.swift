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
  static let usualLimit = 1 << 30
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

  /// Compares on inputs that are given.
  func outcome(on inputs: [RuntimeValue]) -> ProofOutcome {
    do throws(Diagnostic) {
      return .compared(
        try Proof.run(
          solution: solution, plan: plan, smaller: smaller, sources: sources, inputs: inputs, threads: threads,
          tolerance: tolerance))
    } catch {
      return .impossible(error)
    }
  }

  /// Compares on random inputs. Symbolic lengths that are not given get numbers that the model accepts, tried in order.
  func outcome(seed: UInt64, extents given: [String: Int] = [:]) -> ProofOutcome {
    let shapes = solution.module.inputs.map { solution.module[$0].type.shape }
    let symbols = Set(shapes.flatMap { $0.flatMap(\.symbols) })
    let batches = Set(shapes.compactMap { $0.first?.symbols.first })
    var first: Diagnostic?
    for (batch, other) in [(2, 6), (2, 16), (1, 8), (1, 1), (2, 2), (1, 64)] {
      let extents = Dictionary(uniqueKeysWithValues: symbols.map { ($0, given[$0] ?? (batches.contains($0) ? batch : other)) })
      do throws(Diagnostic) {
        switch outcome(on: try RandomInputs.values(of: solution.module, extents: extents, seed: seed)) {
        case .compared(let proof): return .compared(proof)
        case .impossible(let error): throw error
        }
      } catch {
        first = first ?? error
        // What does not fit at one length may fit at another; what cannot be executed never can.
        if error.kind != .invalid || symbols.allSatisfy({ given[$0] != nil }) { break }
      }
    }
    return .impossible(first ?? Diagnostic(.unsupported, "no inputs could be made up; give some with --inputs"))
  }
}

extension Proof {
  /// One line for a report.
  var line: String {
    let figure = String(format: "%.1e", worst)
    return
      "Proved: the original, run on the kept indices only, gives the same outputs (largest difference \(figure), \(compared) values compared)."
  }

  /// What to throw where the two differ.
  var refusal: Diagnostic {
    let found = faults.prefix(3).map { Wording.name($0.summary) }.joined(separator: "; ")
    return Diagnostic(
      .refused,
      compared == 0 ? "nothing could be compared" : "the smaller model computes something else than the plan says: \(found)")
  }
}
