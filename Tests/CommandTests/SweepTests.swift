import Formats
import Foundation
import Graph
import Testing

@testable import prunec

/// `sweep` as a user calls it.
@Suite("Sweeps")
struct SweepTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
    try data(labels: [0, 1, 2, 0, 1, 2, 0, 1, 2, 0], "x.npz")
  }

  /// Ten samples for the perceptron, with a label each.
  private func data(labels: [Int], _ name: String) throws {
    let numbers = (0..<40).map { (at: Int) -> Double in Double((at * 37 + at * at) % 23) / 11 - 1 }
    let inputs = Tensor(reals: numbers, .f32, [10, 4])
    let classes = Tensor(wholes: labels, .i64, [labels.count])
    try NpzFile.write(
      [
        ("x", NpyArray(code: "f4", shape: inputs.shape, data: inputs.data)),
        ("labels", NpyArray(code: "i8", shape: classes.shape, data: classes.data)),
      ], to: runner.path(name), notOver: [])
  }

  private func points(_ arguments: String...) throws -> [[String: Any]] {
    let outcome = try runner.run(CommandRunner.command, ["sweep", "m.onnx", "--json"] + arguments)
    #expect(outcome.code == 0)
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    return try #require(fields["points"] as? [[String: Any]])
  }

  @Test("every criterion is compiled at every ratio; sizes fall, and nothing removed loses nothing")
  func table() throws {
    let points = try points("--ratios", "0.5,0,0.25", "--criteria", "l1,l2")
    #expect(points.map { $0["criterion"] as? String } == ["l1", "l1", "l1", "l2", "l2", "l2"])
    #expect(points.prefix(3).map { $0["ratio"] as? Double } == [0, 0.25, 0.5])
    let sizes = points.prefix(3).compactMap { ($0["parameters"] as? [String: Any])?["after"] as? Double }
    #expect(sizes == [131, 99, 67])
    let lost = points.compactMap { $0["lost"] as? Double }
    #expect(lost[0] == 0 && lost[3] == 0)
    #expect(lost[1] > 0 && lost[2] > 0)
    #expect(points[0]["agreement"] as? Double == 1)
    #expect(points.allSatisfy { $0["accuracy"] is NSNull })
  }

  @Test("no model is written, and random inputs are said to be random")
  func writesNothing() throws {
    let before = try FileManager.default.contentsOfDirectory(atPath: runner.folder.path).filter { !$0.hasPrefix(".") }
    let outcome = try runner.run("sweep", "m.onnx", "--ratios", "0.5")
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("random inputs, which say little about real ones"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: runner.folder.path).filter { !$0.hasPrefix(".") } == before)
  }

  @Test(
    "with data, every way of compensating stands beside the criteria, and labels give accuracy; held-back samples are counted")
  func compensation() throws {
    let points = try points("--ratios", "0.5", "--data", "x.npz")
    #expect(points.map { $0["criterion"] as? String } == ["l2", "data, none", "data, bias", "data, ridge", "data, obs"])
    #expect(points.allSatisfy { ($0["accuracy"] as? Double).map { (0...1).contains($0) } ?? false })
    let chosen = try self.points("--ratios", "0.5", "--data", "x.npz", "--criteria", "taylor,l1,obs", "--compensate", "ridge")
    #expect(chosen.map { $0["criterion"] as? String } == ["taylor, ridge", "l1, ridge", "data, obs"])
    let outcome = try runner.run("sweep", "m.onnx", "--ratios", "0.5", "--data", "x.npz", "--compensate", "bias")
    #expect(outcome.output.contains("2 held-back samples of 10"))
    #expect(outcome.output.contains("data, bias") && !outcome.output.contains("data, ridge"))
  }

  @Test("the page draws a line per criterion against parameters and multiply-adds, and stands alone")
  func drawing() throws {
    let outcome = try runner.run("sweep", "m.onnx", "--ratios", "0.25,0.5", "--criteria", "l1,l2", "--report", "r.html")
    #expect(outcome.code == 0)
    let page = PageReader(try runner.contents("r.html"))
    #expect(page.fault == nil && page.foreign.isEmpty)
    #expect(page.values("id") == ["charts", "numbers"])
    let charts = page.elements.filter { $0.attributes["class"] == "chart" }.compactMap { $0.attributes["aria-label"] }
    #expect(charts.count == 4)
    #expect(charts[0].hasSuffix("against parameters left") && charts[1].hasSuffix("against multiply-adds left"))
    let lines = page.elements.filter { $0.name == "path" && $0.attributes["class"]?.hasPrefix("series") == true }
    // Two lines in each of four drawings, and two in the legend.
    #expect(lines.count == 10)
    #expect(page.text.contains("l2: 25.0 % removed"))
  }

  @Test(
    "calls that make no sense are refused in a line",
    arguments: [
      ["--ratios", "1"], ["--ratios", "0.1,,0.2"], ["--ratios", "half"], [], ["--ratios", "0.5", "--criteria", "l3"],
      ["--ratios", "0.5", "--compensate", "ridge"], ["--ratios", "0.5", "-o", "s.onnx"],
      ["--ratios", "0.5", "--report", "r.pdf"],
      ["--ratios", "0.5", "--only", "nothing"], ["--ratios", "0.5", "--criteria", "taylor"],
      ["--ratios", "0.5", "--criteria", "l1", "--loss", "cross-entropy", "--data", "x.npz"],
    ])
  func refused(_ arguments: [String]) throws {
    let outcome = try runner.run(CommandRunner.command, ["sweep", "m.onnx"] + arguments)
    #expect(outcome.code == 2)
    #expect(outcome.errors.split(separator: "\n").count == 1)
  }

  @Test("data that cannot be judged by are refused: labels out of range, a sample alone, a page over the data")
  func badData() throws {
    try data(labels: [0, 0, 0, 0, 0, 0, 0, 0, 7, 9], "wrong.npz")
    let outcome = try runner.run("sweep", "m.onnx", "--ratios", "0.5", "--data", "wrong.npz")
    #expect(outcome.code == 4)
    #expect(outcome.errors.contains("a label is 7, but there are 3 classes, 0 to 2"))
    let one = Tensor(reals: [0, 1, 2, 3], .f32, [1, 4])
    try NpzFile.write(
      [("x", NpyArray(code: "f4", shape: one.shape, data: one.data))], to: runner.path("one.npz"), notOver: [])
    #expect(try runner.run("sweep", "m.onnx", "--ratios", "0.5", "--data", "one.npz").code == 4)
  }
}
