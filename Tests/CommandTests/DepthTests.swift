import Foundation
import Graph
import Testing

@testable import prunec

/// `--drop-blocks`, `--keep-depth` and `groups --blocks` as a user calls them.
@Suite("The command drops blocks")
struct DepthTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    var nodes = [SmallModel.node("Relu", ["x"], "x0", [])]
    var weights: [NamedTensor] = []
    for at in 0..<3 {
      nodes.append(SmallModel.node("MatMul", ["x\(at)", "w\(at)"], "b\(at)", []))
      nodes.append(SmallModel.node("Add", ["x\(at)", "b\(at)"], at == 2 ? "y" : "x\(at + 1)", []))
      let numbers = (0..<16).map { Float(($0 * 7 + at * 5) % 11 - 5) * 0.1 }
      weights.append(
        NamedTensor(
          name: "w\(at)", type: TensorType(.f32, [4, 4]),
          content: TensorContent(TensorData(numbers), element: .f32, shape: [4, 4])))
    }
    var model = NamedModel(name: "stack", nodes: nodes, opsets: ["": 18])
    model.initializers = weights
    model.inputs = [NamedValue(name: "x", type: TensorType(.f32, [2, 4]))]
    model.outputs = [NamedValue(name: "y", type: TensorType(.f32, [2, 4]))]
    try runner.write(model, "m.onnx")
  }

  private func fields(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test("blocks are listed, as a table and as JSON")
  func listed() throws {
    let table = try runner.run("groups", "m.onnx", "--blocks")
    #expect(table.code == 0)
    #expect(table.output.hasPrefix("m.onnx: 3 residual blocks\n"))
    #expect(table.output.contains("block  kind  sum"))
    let report = try fields(try runner.run("groups", "m.onnx", "--blocks", "--json").output)
    let blocks = try #require(report["blocks"] as? [[String: Any]])
    #expect(blocks.map { $0["sum"] as? String } == ["x1", "x2", "y"])
    #expect(blocks.map { $0["parameters"] as? Int } == [16, 16, 16])
  }

  @Test("what goes is gone, is proved, and nothing else is touched; the plan says it again")
  func dropped() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--drop-blocks", "1", "--plan", "p.json")
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("Dropped: 1 residual block of 3"))
    #expect(outcome.output.contains("Proved: the original, dropped blocks bypassed"))
    #expect(try runner.run("verify", "m.onnx", "s.onnx", "--plan", "p.json").code == 0)
    #expect(try runner.run("m.onnx", "-o", "again.onnx", "--apply", "p.json").code == 0)
    #expect(try runner.contents("again.onnx") == runner.contents("s.onnx"))
    let text = try runner.run("print", "s.onnx").output
    #expect(!text.contains("%w1"))
    #expect(text.contains("%w0 : f32[4, 4]") && text.contains("%w2 : f32[4, 4]"))
  }

  @Test("an output keeps its name, and verify says no to a model with another block dropped")
  func outputs() throws {
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--drop-blocks", "y", "--plan", "p.json").code == 0)
    #expect(try runner.run("print", "s.onnx").output.contains("%y = identity %x2"))
    #expect(try runner.run("m.onnx", "-o", "t.onnx", "--drop-blocks", "0").code == 0)
    #expect(try runner.run("verify", "m.onnx", "t.onnx", "--plan", "p.json").code == 1)
  }

  @Test("layers are kept by number or share, and the report says by what measure")
  func kept() throws {
    for (share, count) in [("2", 1), ("0.34", 2), ("1.0", 0)] {
      let report = try fields(try runner.run("m.onnx", "--dry-run", "--keep-depth", share, "--json").output)
      #expect((report["dropped"] as? [Any])?.count == count)
    }
    #expect(try runner.run("m.onnx", "--dry-run", "--keep-depth", "2").output.contains("Layers by output change, least first:"))
  }

  @Test(
    "calls that make no sense are refused in a line",
    arguments: [
      ["--drop-blocks", "3"], ["--drop-blocks", "2-1"], ["--drop-blocks", "L0"], ["--drop-blocks", "x3"], ["--drop-blocks", ","],
      ["--keep-depth", "0"], ["--keep-depth", "4"], ["--keep-depth", "half"], ["--keep-depth", "1.5"], ["--compensate", "bias"],
      ["--apply", "p.json", "--drop-blocks", "0"],
    ])
  func refused(_ arguments: [String]) throws {
    let outcome = try runner.run(CommandRunner.command, ["m.onnx", "--dry-run"] + arguments)
    #expect(outcome.code == 2)
    #expect(outcome.errors.split(separator: "\n").count == 1)
  }
}
