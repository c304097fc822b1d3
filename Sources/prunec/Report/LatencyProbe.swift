import Foundation
import Graph
import Passes
import Runtime

/// How long a run takes before and after.
struct Latency {
  /// Median seconds of a run of the original.
  let before: Double
  /// Median seconds of a run of the smaller model.
  let after: Double
  /// Runs of each.
  let runs: Int
  /// Threads that computed.
  let threads: Int
  /// The inputs that they ran on: `x f32[2, 3]`.
  let inputs: String
}

/// What came of measuring.
enum LatencyOutcome {
  case measured(Latency)
  /// Nothing was measured, for a reason.
  case skipped(String)
}

/// A short measurement: original and smaller model take turns on random inputs for about a second.
enum LatencyProbe {
  private static let seconds = 1.0
  private static let mostRuns = 400

  static func run(original: Module, smaller: Module, source: NamedModel?, threads: Int, seed: UInt64) -> LatencyOutcome {
    let sessions = [original, smaller].map { Session($0, source: source, threads: threads, seed: seed) }
    do throws(Diagnostic) {
      let (inputs, _) = try InventedInputs.firstAccepted(for: original, seed: seed) { (inputs) throws(Diagnostic) in
        for session in sessions { _ = try session.run(inputs) }
      }
      var times: [[Double]] = [[], []]
      let clock = ContinuousClock()
      let begin = clock.now
      repeat {
        for (index, session) in sessions.enumerated() {
          let start = clock.now
          _ = try session.run(inputs)
          times[index].append((clock.now - start) / .seconds(1))
        }
      } while (clock.now - begin) / .seconds(1) < seconds && times[0].count < mostRuns
      let medians = times.map { $0.sorted()[$0.count / 2] }
      let shapes = zip(original.inputs, inputs).map { "\(original[$0].name) \($1.summary)" }
      return .measured(
        Latency(
          before: medians[0], after: medians[1], runs: times[0].count, threads: threads, inputs: shapes.joined(separator: ", ")))
    } catch {
      return .skipped("the models could not be run: \(error.message)")
    }
  }

  /// Seconds as people read them: `12.3 ms`.
  static func text(_ seconds: Double) -> String {
    let scales: [(Double, String)] = [(1e-3, "µs"), (1, "ms")]
    for (limit, unit) in scales where seconds < limit * 0.9995 {
      let value = seconds / limit * 1000
      return "\(Wording.fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0)) \(unit)"
    }
    return "\(Wording.fixed(seconds, 2)) s"
  }
}
