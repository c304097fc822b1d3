import Formats
import Foundation
import Graph
import Testing

/// `--data` on the command line: what it prints, and what it refuses.
@Suite("Calibration data on the command line") struct CalibrationTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    _ = try runner.run("trace", "lenet", "-o", "m.onnx")
    try write("x.npz", [("x", images(24))])
  }

  private func images(_ count: Int, _ shape: [Int] = [1, 28, 28]) -> NpyArray {
    var generator = SplitMix(seed: 1)
    let numbers = (0..<count * shape.reduce(1, *)).map { _ in Float(generator.normal()) }
    return NpyArray(code: "f4", shape: [count] + shape, data: TensorData(numbers))
  }

  private func write(_ name: String, _ arrays: [(name: String, array: NpyArray)]) throws {
    try NpzFile.write(arrays, to: runner.path(name))
  }

  private func refusal(_ arguments: String...) throws -> (code: Int32, message: String) {
    let outcome = try runner.run(CommandRunner.command, ["m.onnx", "-o", "none.onnx"] + arguments)
    #expect(outcome.errors.split(separator: "\n").filter { !$0.hasSuffix("…") }.count == 1, "\(outcome.errors)")
    #expect(!runner.exists("none.onnx"), "nothing may be written")
    return (outcome.code, outcome.errors)
  }

  @Test("samples say what goes, the report says what was done, and the result is proved")
  func compensates() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--data", "x.npz", "--keep-params", "0.5", "--check")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("Calibrated with 24 samples"))
    #expect(outcome.output.contains("Tried on held-back samples"))
    #expect(outcome.output.contains("Proved:"))
    #expect(outcome.output.contains("Asked for: 50.0 % of the parameters to stay"))
  }

  @Test("few samples are used, and said to be few")
  func few() throws {
    try write("few.npz", [("x", images(2))])
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--data", "few.npz", "--compensate", "ridge")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("more samples would make the result better"))
  }

  @Test("a budget of memory is measured, asked-for and achieved are printed")
  func memory() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--keep-memory", "0.6")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("of the memory of a run to stay"))
  }

  @Test(
    "calls that make no sense are refused in a line",
    arguments: [
      (["--compensate", "ridge"], "needs --data"), (["--criterion", "activation"], "needs --data"),
      (["--criterion", "taylor"], "needs --data"), (["--criterion", "obs", "--compensate", "bias", "--data", "x.npz"], "obs"),
      (["--criterion", "l1", "--compensate", "obs", "--data", "x.npz"], "chooses what goes by itself"),
      (["--aggregate", "max", "--data", "x.npz"], "works on scores"), (["--scope", "global", "--data", "x.npz"], "--scope"),
      (["--keep-latency", "0.5", "--keep-params", "0.5"], "say the same thing twice"),
      (["--keep-latency", "0"], "--keep-latency"),
    ])
  func combinations(_ arguments: [String], message: String) throws {
    let outcome = try runner.run(CommandRunner.command, ["m.onnx", "-o", "none.onnx"] + arguments)
    #expect(outcome.code == 2 && outcome.errors.contains(message), "\(outcome.errors)")
    #expect(outcome.errors.split(separator: "\n").count == 1 && !runner.exists("none.onnx"))
  }

  @Test("data that do not fit are refused in a line that names the file")
  func misfits() throws {
    try write("name.npz", [("picture", images(4))])
    try write("shape.npz", [("x", images(4, [1, 28, 27]))])
    try write(
      "type.npz", [("x", NpyArray(code: "i8", shape: [1, 1, 28, 28], data: TensorData([Int](repeating: 1, count: 784))))])
    try write("labels.npz", [("x", images(4)), ("labels", NpyArray(code: "i8", shape: [3], data: TensorData([0, 1, 2])))])
    try runner.write("no archive", "text.npz")
    for file in ["name.npz", "shape.npz", "type.npz", "labels.npz", "text.npz", "absent.npz"] {
      let (code, message) = try refusal("--data", file)
      #expect(code == 4 && message.contains(file), "\(message)")
    }
  }

  @Test("labels beyond the classes are refused by a criterion that reads them")
  func labels() throws {
    try write("wide.npz", [("x", images(4)), ("labels", NpyArray(code: "i8", shape: [4], data: TensorData([0, 1, 2, 10])))])
    let (code, message) = try refusal("--data", "wide.npz", "--criterion", "taylor", "--compensate", "none")
    #expect(code == 4 && message.contains("10"), "\(message)")
  }

  @Test("a link to a checkpoint folder is that folder")
  func link() throws {
    try FileManager.default.createDirectory(atPath: runner.path("real"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: runner.path("link"), withDestinationPath: runner.path("real"))
    try runner.write("{}", "real/config.json")
    let outcome = try runner.run("groups", "link")
    #expect(outcome.code == 4 && !outcome.errors.contains("without config.json"), "\(outcome.errors)")
  }
}
