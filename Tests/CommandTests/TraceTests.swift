import Formats
import Foundation
import Graph
import Testing

@testable import prunec

@Suite("prunec trace")
struct TraceTests {
  @Test("--list names every model with a line, and takes no other argument")
  func list() throws {
    let outcome = try CommandRunner().run("trace", "--list")
    #expect(outcome.code == 0 && outcome.output.contains("resnet18 ") && outcome.output.contains("qwen3-0.6b "))
    #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 130 })
    #expect(try CommandRunner().run("trace").code == 2)
  }

  @Test("Writes a model that the other verbs read; the same seed writes the same bytes, another seed others")
  func writes() throws {
    let runner = try CommandRunner()
    for (file, seed) in [("a.ir", "1"), ("b.ir", "1"), ("c.ir", "2")] {
      #expect(try runner.run("trace", "lenet", "-o", file, "--seed", seed).code == 0)
    }
    #expect(try runner.contents("a.ir") == runner.contents("b.ir") && runner.contents("a.ir") != runner.contents("c.ir"))
    #expect(try runner.run("trace", "lenet", "-o", "lenet.onnx").output == "lenet.onnx: 12 nodes, 60074 parameters\n")
    #expect(try runner.run("lenet.onnx", "-o", "small.onnx").code == 0)
    #expect(try runner.run("verify-dimensions", "small.onnx").code == 0)
  }

  @Test("Without -o the program is printed, whatever its size")
  func prints() throws {
    let outcome = try CommandRunner().run("trace", "llama-2-7b")
    #expect(outcome.code == 0 && outcome.output.contains("%model.layers.31.mlp.down_proj.weight : f32[4096, 11008]"))
  }

  @Test("Weights of a file must be the model's; a failure writes nothing")
  func weights() throws {
    let runner = try CommandRunner()
    let content = TensorContent(TensorData([Float](repeating: 1, count: 10)), element: .f32, shape: [10])
    let tensor = NamedTensor(name: "fc3.bias", type: TensorType(.f32, [10]), content: content)
    try Safetensors.write([tensor], metadata: [:], to: runner.path("w.safetensors"))
    let outcome = try runner.run("trace", "lenet", "--weights", "w.safetensors", "-o", "lenet.onnx")
    #expect(outcome.code == 4 && outcome.errors.contains("9 missing: conv1.weight [6, 1, 3, 3], conv1.bias [6]"))
    #expect(!runner.exists("lenet.onnx"))
  }

  @Test("A config.json gives the sizes; one that is no model's is refused in one line")
  func configuration() throws {
    let runner = try CommandRunner()
    try runner.write(#"{"architecture": "resnet18", "num_classes": 3, "model_args": {"width": 8}}"#, "config.json")
    #expect(try runner.run("trace", "config.json", "-o", "r.onnx").code == 0)
    try runner.write(#"{"model_type": "mamba"}"#, "other.json")
    let outcome = try runner.run("trace", "other.json")
    #expect(outcome.code == 3 && outcome.errors.hasPrefix("prunec: error: other.json: 'model_type' is 'mamba'"))
    try runner.write("{", "broken.json")
    #expect(try runner.run("trace", "broken.json").code == 4)
    #expect(try runner.run("trace", "absent.json").code == 4)
  }

  @Test("A misspelt name is answered with the nearest")
  func misspelt() throws {
    let outcome = try CommandRunner().run("trace", "resnet81")
    #expect(outcome.code == 2 && outcome.errors.contains("resnet"))
  }
}
