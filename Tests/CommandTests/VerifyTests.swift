import Formats
import Foundation
import Graph
import Testing

@testable import TestSupport
@testable import prunec

/// `prunec verify`: 0 where the smaller model is what the plan says, 1 and the names of what differs where it is not.
@Suite("verify compares the smaller model with the masked original")
struct VerifyTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--plan", "p.json").code == 0)
  }

  /// Changes the numbers of a tensor in a file; `change` gets them and the tensor's shape.
  private func change(_ tensor: String, in file: String, as copy: String, _ change: (inout [Double], [Int]) -> Void) throws {
    var model = try OnnxDocument.read(path: runner.path(file)).model
    let index = try #require(model.initializers.firstIndex { $0.name == tensor })
    let content = model.initializers[index].content
    var numbers = try #require(Tensor(content)).reals
    change(&numbers, content.shape)
    model.initializers[index].content = TensorContent(
      Tensor(reals: numbers, .f32, content.shape).data, element: .f32, shape: content.shape)
    try runner.write(model, copy)
  }

  /// The complaint of `verify`, which must say no.
  private func refusal(_ smaller: String, of model: String = "m.onnx", plan: String = "p.json") throws -> String {
    let outcome = try runner.run("verify", model, smaller, "--plan", plan)
    #expect(outcome.code == 1)
    #expect(!outcome.output.contains("Proved"))
    #expect(outcome.errors.hasPrefix("prunec: error: \(smaller): the smaller model computes something else than the plan says: "))
    #expect(outcome.errors.split(separator: "\n").count == 1)
    return outcome.errors
  }

  @Test("what compile wrote is proved")
  func proved() throws {
    let outcome = try runner.run("verify", "m.onnx", "s.onnx", "--plan", "p.json")
    #expect(outcome.code == 0)
    #expect(outcome.errors == "")
    #expect(outcome.output.contains("Proved: the original, run on the kept indices only, gives the same outputs"))
    let report = try runner.run("verify", "m.onnx", "s.onnx", "--plan", "p.json", "--json")
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(report.output.utf8)) as? [String: Any])
    #expect(fields["ok"] as? Bool == true)
    #expect((fields["faults"] as? [Any])?.isEmpty == true)
  }

  @Test("two rows swapped in one tensor")
  func swapped() throws {
    try change("fc1.weight", in: "s.onnx", as: "wrong.onnx") { numbers, shape in
      for column in 0..<shape[1] { numbers.swapAt(column, shape[1] + column) }
    }
    let complaint = try refusal("wrong.onnx")
    #expect(complaint.contains("fc1.weight (f32[8, 4]) is not what the plan keeps of the original's numbers (f32[8, 4])"))
    #expect(complaint.contains("; h differs by "))
  }

  @Test("one row taken from the neighbouring index")
  func neighbour() throws {
    let plan = try #require(try JSONSerialization.jsonObject(with: Data(try runner.contents("p.json"))) as? [String: Any])
    let kept = try #require((plan["groups"] as? [[String: Any]])?.first?["kept"] as? [Int])
    let row = try #require(kept.indices.first { !kept.contains(kept[$0] + 1) && kept[$0] < 15 })
    let original = try OnnxDocument.read(path: runner.path("m.onnx")).model
    let bias = try #require(original.initializers.first { $0.name == "fc1.bias" }.flatMap { Tensor($0.content) }).reals
    try change("fc1.bias", in: "s.onnx", as: "wrong.onnx") { numbers, _ in numbers[row] = bias[kept[row] + 1] }
    #expect(try refusal("wrong.onnx").contains("; h differs by "))
  }

  @Test("a plan that keeps another index")
  func plan() throws {
    var plan = try #require(try JSONSerialization.jsonObject(with: Data(try runner.contents("p.json"))) as? [String: Any])
    var groups = try #require(plan["groups"] as? [[String: Any]])
    let kept = try #require(groups[0]["kept"] as? [Int])
    let other = try #require((0..<16).first { !kept.contains($0) })
    groups[0]["kept"] = (kept.dropFirst() + [other]).sorted()
    plan["groups"] = groups
    try runner.write([UInt8](try JSONSerialization.data(withJSONObject: plan)), "other.json")
    let complaint = try refusal("s.onnx", plan: "other.json")
    for tensor in ["fc1.weight", "fc1.bias", "fc2.weight"] { #expect(complaint.contains(tensor)) }
  }

  @Test("one head of the queries pruned apart from the keys")
  func head() throws {
    let golden = try String(contentsOfFile: "\(Golden.folder)/cases/rope_half.ir", encoding: .utf8)
    let module = RandomWeights.filling(try ModuleParser.parse(Golden.input(of: golden)), seed: 1)
    try runner.write(Exporter.model(of: module), "attention.onnx")
    let keep = #"{"format": "prunec-plan-1", "groups": [{"name": "attention.q.heads", "kept": [0, 2]}]}"#
    try runner.write(keep, "heads.json")
    #expect(try runner.run("attention.onnx", "-o", "two.onnx", "--apply", "heads.json").code == 0)
    #expect(try runner.run("verify", "attention.onnx", "two.onnx", "--plan", "heads.json").code == 0)
    let weight = try #require(module.parameters.first { module[$0.value].name == "attention.q.weight" })
    let numbers = try #require(Tensor(weight.content)).reals
    try change("attention.q.weight", in: "two.onnx", as: "wrong.onnx") { kept, shape in
      for row in 0..<shape[0] { for column in 16..<32 { kept[row * shape[1] + column] = numbers[row * 48 + column] } }
    }
    let complaint = try refusal("wrong.onnx", of: "attention.onnx", plan: "heads.json")
    #expect(complaint.contains("attention.q.weight (f32[20, 32]) is not"))
    #expect(complaint.contains("; attention.q differs by "))
  }
}
