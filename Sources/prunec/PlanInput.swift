import Formats
import Foundation
import Graph
import Passes

/// The plan that `--apply` names.
enum PlanInput {
  /// Reads a plan, and checks that it was made for this model.
  static func read(
    _ path: String, for file: ModelFile, _ progress: ProgressBar, _ console: Console
  ) throws(Diagnostic) -> PlanFile {
    do throws(Diagnostic) {
      let bytes = try MappedFile.open(path).withUnsafeBytes { Data($0) }
      let plan = try PlanFile(reading: bytes)
      guard let digest = plan.digest, !digest.isEmpty else { return plan }
      progress.report("computing the digest of \(file.path)")
      guard let own = try file.digest() else {
        console.note("\(path): cannot be checked against \(file.path), which does not say what ONNX file it came from")
        return plan
      }
      if digest.lowercased() != own {
        throw Diagnostic(
          .invalid,
          "the plan was made for another model (sha256 \(digest.prefix(12))…, but \(file.path) has \(own.prefix(12))…); "
            + "give that model, or make a new plan with --plan")
      }
      return plan
    } catch {
      throw error.inFile(path)
    }
  }
}
