import Formats
import Foundation
import Graph
import Testing

@Suite("Bad input: one line that says what, where, and what to do")
struct BadInputTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
  }

  /// Runs, and expects this one line on standard error, this code, nothing on standard output and no file.
  private func expect(_ message: String, code: Int32, _ arguments: String..., location: SourceLocation = #_sourceLocation) throws
  {
    let outcome = try runner.run(CommandRunner.command, arguments)
    #expect(outcome.errors == "prunec: error: \(message)\n", sourceLocation: location)
    #expect(outcome.code == code, sourceLocation: location)
    #expect(outcome.output == "", sourceLocation: location)
    #expect(!runner.exists("s.onnx"), "nothing may be written", sourceLocation: location)
  }

  @Test("A call that is right succeeds without a word on standard error")
  func good() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx")
    #expect(outcome.code == 0)
    #expect(outcome.errors == "")
    #expect(runner.exists("s.onnx"))
  }

  @Test("Files that are not there, or are folders")
  func missing() throws {
    try expect("gone.onnx: no such file", code: 4, "gone.onnx", "-o", "s.onnx")
    try FileManager.default.createDirectory(atPath: runner.path("empty"), withIntermediateDirectories: true)
    try expect(
      "empty: is a folder without config.json, so no checkpoint; give an .onnx or .ir file", code: 4, "empty", "-o", "s.onnx")
    try FileManager.default.createDirectory(atPath: runner.path("checkpoint"), withIntermediateDirectories: true)
    try runner.write("{}", "checkpoint/config.json")
    try expect(
      "checkpoint: holds no weights as safetensors; save the model with save_pretrained of a recent transformers", code: 4,
      "checkpoint", "-o", "s")
    #expect(!runner.exists("s.onnx") && !runner.exists("s"))
  }

  @Test("Files that are no models")
  func noModel() throws {
    try runner.write("", "e.onnx")
    try expect("e.onnx: is empty; the download or export that made it did not finish", code: 4, "e.onnx", "-o", "s.onnx")
    try runner.write("A letter to whom it may concern.\n", "t.onnx")
    try expect(
      "t.onnx: is text, but no model: prunec reads ONNX files, and texts that begin with 'module NAME {'", code: 4, "t.onnx",
      "-o", "s.onnx")
    try runner.write([UInt8](repeating: 0xFF, count: 400), "n.onnx")
    let noise = try runner.run("n.onnx", "-o", "s.onnx")
    #expect(noise.code == 4)
    #expect(noise.errors.hasPrefix("prunec: error: n.onnx: byte "))
    #expect(noise.errors.contains("is not an ONNX model"))
    try runner.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "l.onnx")
    #expect(try runner.run("l.onnx", "-o", "s.onnx").errors.contains("Git LFS"))
  }

  @Test("A file that was cut off, wherever it was cut")
  func truncated() throws {
    let whole = try runner.contents("m.onnx")
    for count in stride(from: 1, to: whole.count, by: 37) {
      try runner.write(Array(whole.prefix(count)), "cut.onnx")
      let outcome = try runner.run("groups", "cut.onnx")
      #expect(outcome.code == 4, "cut at \(count)")
      #expect(outcome.errors.hasPrefix("prunec: error: cut.onnx: "))
      #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }
    try runner.write(Array(whole.dropLast(6)), "cut.onnx")
    try expect("cut.onnx: the module names no operator set", code: 4, "cut.onnx", "-o", "s.onnx")
  }

  @Test("Graphs that are none")
  func graphs() throws {
    func write(_ nodes: [NamedNode]) throws { try runner.write(SmallModel.model(nodes), "bad.onnx") }
    let last = SmallModel.node("MatMul", ["a", "t"], "y")
    try write([SmallModel.node("Add", ["x", "b"], "a"), SmallModel.node("Relu", ["a"], "b"), last])
    try expect(
      "bad.onnx: node node_a: Add: reads b, which node node_b (Relu) makes out of its result: a cycle", code: 4, "bad.onnx", "-o",
      "s.onnx")
    try write([SmallModel.node("Relu", ["x"], "a"), SmallModel.node("Relu", ["x"], "a"), last])
    try expect(
      "bad.onnx: tensor a: is made by node node_a (Relu) and node node_a (Relu); names must be unique", code: 4, "bad.onnx", "-o",
      "s.onnx")
    try write([SmallModel.node("Relu", ["nobody"], "a"), last])
    try expect(
      "bad.onnx: node node_a: Relu: reads nobody, which no node, input or initializer makes", code: 4, "bad.onnx", "-o", "s.onnx")
    try write([SmallModel.node("Gemm", ["x", "fc2.weight", "fc2.bias"], "y", [("transB", .int(1))])])
    let mismatch = try runner.run("bad.onnx", "-o", "s.onnx")
    #expect(mismatch.code == 4)
    #expect(mismatch.errors.hasPrefix("prunec: error: bad.onnx: node node_y: gemm: "))
  }

  @Test("The text form: the fault has a line and a column")
  func text() throws {
    try runner.write("module m {\n  opset 20\n  func (%x: f32[1]) -> (%y: f32[1]) {\n    %y = relu %z : f32[1]\n  }\n}\n", "m.ir")
    let outcome = try runner.run("groups", "m.ir")
    #expect(outcome.code == 4)
    #expect(outcome.errors.hasPrefix("prunec: error: m.ir:4:15: "))
  }

  @Test("Plans for another model, out of range, or no plans")
  func plans() throws {
    try runner.write(SmallModel.perceptron(hidden: 12), "other.onnx")
    #expect(try runner.run("other.onnx", "-o", "o.onnx", "--plan", "p.json").code == 0)
    let digests = try ["other.onnx", "m.onnx"].map { String(try Sha256.hex(ofFile: runner.path($0)).prefix(12)) }
    try expect(
      "p.json: the plan was made for another model (sha256 \(digests[0])…, but m.onnx has \(digests[1])…); give that model, or make a new "
        + "plan with --plan", code: 4, "m.onnx", "-o", "s.onnx", "--apply", "p.json")
    func plan(_ groups: String) throws { try runner.write("{\"format\": \"prunec-plan-1\", \"groups\": [\(groups)]}", "p.json") }
    try plan("{\"name\": \"fc1.hidden\", \"kept\": [0, 16]}")
    try expect(
      "p.json: group 'fc1.hidden' keeps index 16, but has indices 0 to 15", code: 4, "m.onnx", "-o", "s.onnx", "--apply", "p.json"
    )
    try plan("{\"name\": \"fc1.hiden\", \"kept\": [0]}")
    try expect(
      "p.json: group 'fc1.hiden' is not in this model; did you mean 'fc1.hidden'?", code: 4, "m.onnx", "-o", "s.onnx", "--apply",
      "p.json")
    try plan("{\"name\": \"fc1.hidden\", \"kept\": []}")
    try expect(
      "p.json: group 'fc1.hidden' keeps nothing; at least one index must stay", code: 4, "m.onnx", "-o", "s.onnx", "--apply",
      "p.json")
    try runner.write("[", "p.json")
    try expect("p.json: is not a plan: it is no JSON", code: 4, "m.onnx", "-o", "s.onnx", "--apply", "p.json")
    try expect("gone.json: no such file", code: 4, "m.onnx", "-o", "s.onnx", "--apply", "gone.json")
    try plan("{\"name\": \"fc1.hidden\", \"kept\": [0, 3]}")
    #expect(try runner.run("m.onnx", "-o", "fine.onnx", "--apply", "p.json").code == 0)
  }

  @Test("Outputs that cannot be written")
  func outputs() throws {
    let before = try runner.contents("m.onnx")
    try expect("m.onnx: would overwrite the input; choose another name for the output", code: 5, "m.onnx", "-o", "m.onnx")
    try expect("./m.onnx: would overwrite the input; choose another name for the output", code: 5, "m.onnx", "-o", "./m.onnx")
    try FileManager.default.createSymbolicLink(atPath: runner.path("link.onnx"), withDestinationPath: "m.onnx")
    try expect("link.onnx: would overwrite the input; choose another name for the output", code: 5, "m.onnx", "-o", "link.onnx")
    #expect(try runner.contents("m.onnx") == before)
    let missing = try runner.run("m.onnx", "-o", "gone/s.onnx")
    #expect(missing.code == 5)
    #expect(missing.errors.hasPrefix("prunec: error: gone/s.onnx: cannot be written: there is no folder "))
    try FileManager.default.createDirectory(atPath: runner.path("folder.onnx"), withIntermediateDirectories: true)
    try expect("folder.onnx: is a folder; give the name of a file", code: 5, "m.onnx", "-o", "folder.onnx")
    try expect("s.pt: the name of an output ends in .onnx or .ir, which chooses its format", code: 2, "m.onnx", "-o", "s.pt")
  }

  @Test("A call that is wrong is refused before the model is read")
  func calls() throws {
    try expect(
      "--ratio 1: a number from 0 to below 1 is expected, the share to remove", code: 2, "gone.onnx", "-o", "s.onnx", "--ratio",
      "1")
    try expect(
      "--ratio -1: a number from 0 to below 1 is expected, the share to remove", code: 2, "m.onnx", "-o", "s.onnx", "--ratio",
      "-1")
    try expect(
      "--ratio nan: a number from 0 to below 1 is expected, the share to remove", code: 2, "m.onnx", "-o", "s.onnx", "--ratio=nan"
    )
    try expect("unknown option '--ratoi'; did you mean '--ratio'?", code: 2, "m.onnx", "-o", "s.onnx", "--ratoi", "0.5")
    try expect("unknown verb 'compil'; did you mean 'compile'?", code: 2, "compil", "m.onnx", "-o", "s.onnx")
    try expect(
      "m.onnx: the pattern 'fc3.*' matches no group and no tensor; 'prunec groups' lists them", code: 2, "m.onnx", "-o", "s.onnx",
      "--only",
      "fc3.*")
    try expect(
      "m.onnx: the pattern 'fc1.wieght' matches no group and no tensor; did you mean 'fc1.weight'?", code: 2, "m.onnx", "-o",
      "s.onnx",
      "--ignore", "fc1.wieght")
    try expect(
      "m.onnx: no tensor or group is called 'fc1.wieght'; did you mean 'fc1.weight'?", code: 2, "explain", "m.onnx",
      "fc1.wieght:0")
    try expect("m.onnx: fc1.weight has no axis 2: its 2 axes are 0 to 1", code: 2, "explain", "m.onnx", "fc1.weight:2")
  }

  @Test("--strict writes nothing where something had to be given up, and says what")
  func strict() throws {
    try runner.write(
      SmallModel.model(
        [
          SmallModel.node("Gemm", ["x", "fc1.weight", "fc1.bias"], "h", [("transB", .int(1))]),
          SmallModel.node("Frobnicate", ["h"], "a", domain: "my.operators"),
          SmallModel.node("Gemm", ["a", "fc2.weight", "fc2.bias"], "y", [("transB", .int(1))]),
        ], opsets: ["": 20, "my.operators": 1]), "opaque.onnx")
    let outcome = try runner.run("opaque.onnx", "-o", "s.onnx", "--strict")
    #expect(outcome.code == 1)
    #expect(outcome.errors.hasPrefix("prunec: error: opaque.onnx: --strict: prunec had to give up in "))
    #expect(outcome.output.contains("my.operators::Frobnicate"))
    #expect(!runner.exists("s.onnx"))
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--strict").code == 0)
  }
}
