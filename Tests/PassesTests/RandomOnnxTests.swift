import Formats
import Foundation
import Graph
import TestSupport
import Testing

@testable import Passes

/// Random graphs as files, for a judge that runs them: `PRUNEC_RANDOM_ONNX=DIR swift test --filter RandomOnnxTests` writes SEED.onnx,
/// SEED.smaller.onnx and SEED.json for `PRUNEC_RANDOM` seeds from `PRUNEC_RANDOM_SEED` on; `scripts/judge_random.py DIR` judges them.
@Suite struct RandomOnnxTests {
  static let folder = ProcessInfo.processInfo.environment["PRUNEC_RANDOM_ONNX"]

  @Test(.enabled(if: folder != nil, "set PRUNEC_RANDOM_ONNX to a folder"))
  func writeModelsSmallerModelsAndPlans() throws {
    let folder = try #require(Self.folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let first = UInt64(testCount("PRUNEC_RANDOM_SEED", default: 0))
    for seed in first..<first + UInt64(testCount("PRUNEC_RANDOM", default: 200)) { try Self.write(seed, folder) }
  }

  /// Reading, solving, shrinking and writing as the command does it.
  static func write(_ seed: UInt64, _ folder: String) throws {
    let path = "\(folder)/\(seed).onnx"
    try OnnxWriter.write(Exporter.model(of: try RandomGraphs.module(seed: seed, isJudged: true)), patching: nil, to: path)
    let file = try ModelFile.read(path)
    var compilation = Compilation(file.module, options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    let solution = try #require(compilation.solution)
    let plan = VariedPlans.random(solution, seed: seed)
    compilation.plan = plan
    for pass in [Pipeline.shrink, Pipeline.verify] { try pass.run(&compilation) }
    try file.write(compilation.module, to: "\(folder)/\(seed).smaller.onnx")
    let survivors = Set(compilation.module.parameters.map { compilation.module[$0.value].name })
    let text = PlanFile.text(
      plan: plan, solution: solution, survivors: survivors, file: "\(seed).onnx", digest: try file.digest() ?? "")
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(seed).json"))
  }
}
