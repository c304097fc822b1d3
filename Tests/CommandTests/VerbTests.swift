import Formats
import Foundation
import Graph
import Testing

@testable import prunec

@Suite("What the verbs do")
struct VerbTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func shape(_ tensor: String, in file: String) throws -> [Int]? {
    try OnnxDocument.read(path: runner.path(file)).model.initializers.first { $0.name == tensor }?.content.shape
  }

  @Test("compile halves every group unless told otherwise, and reports what that did")
  func compile() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx")
    #expect(outcome.code == 0)
    #expect(try shape("fc1.weight", in: "s.onnx") == [8, 4])
    #expect(try shape("fc2.weight", in: "s.onnx") == [3, 8])
    #expect(try shape("fc2.bias", in: "s.onnx") == [3])
    for line in [
      "m.onnx → s.onnx", "hidden         1 of 1       8 of 16", "parameters        131     67  -48.9 %",
      "Asked for: 50.0 % of every group's indices to go; 50.0 % of the pruned groups' are gone",
      "COVERAGE  97.7 % of the parameters lie on at least one prunable axis (128 of 131)",
    ] {
      #expect(outcome.output.contains(line), "\(outcome.output)")
    }
    #expect(!outcome.output.contains("\u{1B}"), "no colours where nobody looks")
  }

  @Test("--quiet says nothing, --json says it for machines, --dry-run writes nothing")
  func reports() throws {
    #expect(try runner.run("m.onnx", "-o", "q.onnx", "--quiet").output == "")
    let report = try object(try runner.run("m.onnx", "-o", "j.onnx", "--json", "--keep-params", "0.75").output)
    #expect(report["written"] as? Bool == true)
    #expect((report["parameters"] as? [String: Int])?["before"] == 131)
    #expect((report["asked"] as? [String: Any])?["keepParams"] as? Double == 0.75)
    let dry = try runner.run("m.onnx", "-o", "d.onnx", "--plan", "d.json", "--dry-run")
    #expect(dry.output.hasPrefix("m.onnx → d.onnx (dry run, nothing is written)"))
    #expect(!runner.exists("d.onnx"))
    #expect(!runner.exists("d.json"))
  }

  @Test("A ratio of 0 is a copy, and says so")
  func zero() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--ratio", "0")
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("Nothing is removed: the ratio is 0, so the result is a copy"))
    #expect(try shape("fc1.weight", in: "s.onnx") == [16, 4])
    // Elsewhere another reason is given.
    let none = try runner.run("m.onnx", "-o", "s.onnx", "--kinds", "heads")
    #expect(none.output.contains("Nothing is removed: no group that --kinds, --only and --ignore leave over can lose an index"))
  }

  @Test("Options reach the choice: patterns, bounds, rounding")
  func options() throws {
    func kept(_ options: String...) throws -> Int? {
      #expect(try runner.run(CommandRunner.command, ["m.onnx", "-o", "s.onnx"] + options).code == 0)
      return try shape("fc1.bias", in: "s.onnx")?.first
    }
    #expect(try kept("--ratio", "0.25") == 12)
    #expect(try kept("--ratio", "fc1=0.75") == 4)
    #expect(try kept("--ratio", "0.9", "--min-keep", "5") == 5)
    #expect(try kept("--ratio", "0.9", "--max-ratio", "0.5") == 8)
    #expect(try kept("--ratio", "0.3", "--round-to", "4") == 12)
    #expect(try kept("--ignore", "fc1.*") == 16)
    #expect(try kept("--only", "fc2.weight") == 8)
  }

  @Test("A plan that is written and applied gives the same file, byte for byte")
  func plan() throws {
    #expect(try runner.run("m.onnx", "-o", "a.onnx", "--plan", "p.json", "--ratio", "0.4").code == 0)
    #expect(try runner.run("m.onnx", "-o", "b.onnx", "--apply", "p.json").code == 0)
    #expect(try runner.contents("a.onnx") == runner.contents("b.onnx"))
    let plan = try object(String(decoding: try runner.contents("p.json"), as: UTF8.self))
    #expect((plan["model"] as? [String: String])?["sha256"] == (try Sha256.hex(ofFile: runner.path("m.onnx"))))
    #expect((plan["tensors"] as? [String: Any])?.keys.sorted() == ["a", "fc1.bias", "fc1.weight", "fc2.weight", "h"])
  }

  @Test("convert there and back gives the same file; the container goes by the original's digest")
  func convert() throws {
    #expect(try runner.run("convert", "m.onnx", "-o", "m.ir").output.hasPrefix("m.ir: "))
    #expect(try runner.run("convert", "m.ir", "-o", "back.onnx").code == 0)
    #expect(try runner.contents("back.onnx") == runner.contents("m.onnx"))
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--plan", "p.json").code == 0)
    #expect(try runner.run("m.ir", "-o", "s.ir", "--apply", "p.json").code == 0)
    #expect(try runner.run("convert", "s.ir", "-o", "again.onnx").code == 0)
    #expect(try runner.contents("again.onnx") == runner.contents("s.onnx"))
    // The smaller container still says which ONNX file it came from, so the plan fits it no more in size, but in origin.
    #expect(try IrFile.read(runner.path("s.ir")).sourceDigest == (try Sha256.hex(ofFile: runner.path("m.onnx"))))
  }

  @Test("print gives a text that the other verbs read; it has no weights to write")
  func print() throws {
    let text = try runner.run("print", "m.onnx").output
    #expect(text.contains("%h = gemm %x, %fc1.weight, %fc1.bias"))
    try runner.write(text, "m.ir")
    #expect(try runner.run("groups", "m.ir").output.contains("fc1.hidden"))
    #expect(try runner.run("print", "m.ir").output == text)
    let compiled = try runner.run("m.ir", "-o", "s.onnx")
    #expect(compiled.code == 4)
    #expect(compiled.errors.contains("this .ir is text alone"))
  }

  @Test("groups lists groups and what is frozen, for people and for machines")
  func groups() throws {
    let text = try runner.run("groups", "m.onnx").output
    #expect(text.contains("m.onnx: 131 parameters, 1 group, 1 pruned by default"))
    #expect(text.contains("fc1.hidden  hidden      16  yes      fc1.weight:0, fc1.bias:0, fc2.weight:1"))
    #expect(text.contains("it is part of the interface: output y"))
    let report = try object(try runner.run("groups", "m.onnx", "--json").output)
    let group = try #require((report["groups"] as? [[String: Any]])?.first)
    #expect(group["name"] as? String == "fc1.hidden")
    #expect(group["kind"] as? String == "hidden")
    #expect(group["extent"] as? Int == 16)
    #expect(
      (group["occurrences"] as? [[String: Any]])?.compactMap { $0["tensor"] as? String } == [
        "fc1.weight", "fc1.bias", "fc2.weight",
      ])
    let tensors = try #require(report["tensors"] as? [String: [Any]])
    #expect(tensors["fc2.weight"]?.first as? Int == 3)
    #expect(tensors["fc2.weight"]?.last as? String == "fc1.hidden")
    #expect(tensors["x"]?.count == 2)
  }

  @Test("explain says what an axis is tied to and through which nodes, or why it stays")
  func explain() throws {
    let weight = try runner.run("explain", "m.onnx", "fc1.weight").output
    #expect(
      weight == """
        fc1.weight : f32[16, 4], a parameter

        axis 0, 16 indices: fc1.hidden
          fc1.hidden: 16 hidden units, pruned by default
            tied to fc1.bias:0    through gemm
            tied to fc2.weight:1  through gemm → relu → gemm

        axis 1, 4 indices: stays because it is part of the interface: input x

        """)
    #expect(
      try runner.run("explain", "m.onnx", "fc1.weight:-1").output.hasSuffix(
        "axis 1, 4 indices: stays because it is part of the interface: input x\n"))
    let group = try runner.run("explain", "m.onnx", "fc1.hidden").output
    #expect(group.hasPrefix("fc1.hidden: 16 hidden units, pruned by default\n"))
    #expect(group.contains("fc2.weight:1"))
    let report = try object(try runner.run("explain", "m.onnx", "fc1.weight:0", "--json").output)
    #expect((report["axes"] as? [[String: Any]])?.first?["layout"] as? String == "fc1.hidden")
  }

  @Test("explain says what varies over what, and names what forbids it; --no-vary keeps plain sets")
  func variation() throws {
    let dims = """
      module heads {
        param %q : f32[6, 8]
        param %k : f32[6, 8]
        param %v : f32[6, 8]
        param %cos : f32[5, 4]
        param %split : i64[4] = [1, 5, 2, 4]
        param %merged : i64[3] = [1, 5, 8]
        param %o : f32[8, 6]
        func (%x: f32[1, 5, 6]) -> (%y: f32[1, 5, 6]) {
          %q.flat = matmul %x, %q : f32[1, 5, 8]
          %k.flat = matmul %x, %k : f32[1, 5, 8]
          %v.flat = matmul %x, %v : f32[1, 5, 8]
          %q.split = reshape %q.flat, %split : f32[1, 5, 2, 4]
          %q.heads = transpose %q.split perm=[0, 2, 1, 3] : f32[1, 2, 5, 4]
          %q.turned = mul %q.heads, %cos : f32[1, 2, 5, 4]
          %k.split = reshape %k.flat, %split : f32[1, 5, 2, 4]
          %k.heads = transpose %k.split perm=[0, 2, 3, 1] : f32[1, 2, 4, 5]
          %v.split = reshape %v.flat, %split : f32[1, 5, 2, 4]
          %v.heads = transpose %v.split perm=[0, 2, 1, 3] : f32[1, 2, 5, 4]
          %scores = matmul %q.turned, %k.heads : f32[1, 2, 5, 5]
          %weights = softmax %scores axis=-1 : f32[1, 2, 5, 5]
          %context = matmul %weights, %v.heads : f32[1, 2, 5, 4]
          %by_token = transpose %context perm=[0, 2, 1, 3] : f32[1, 5, 2, 4]
          %joined = reshape %by_token, %merged : f32[1, 5, 8]
          %y = matmul %joined, %o : f32[1, 5, 6]
        }
      }

      """
    try runner.write(dims, "heads.ir")
    func explained(_ group: String) throws -> String { try runner.run("explain", "heads.ir", group).output }
    #expect(try explained("v.head-dims").hasSuffix("\n\nvaries over q.heads (2): 2 lists of its own, equally long\n"))
    #expect(try explained("q.head-dims").hasSuffix("\n\ndoes not vary over q.heads: cos is shared by all of them\n"))
    #expect(try explained("v:1").contains("    varies over q.heads (2): 2 lists of its own, equally long\n"))
    let report = try object(try runner.run("explain", "heads.ir", "q.head-dims", "--json").output)
    #expect((report["variesOver"] as? [Any])?.isEmpty == true)
    #expect((report["doesNotVaryOver"] as? [[String: Any]])?.first?["tensor"] as? String == "cos")

    let options = ["heads.ir", "-o", "s.ir", "--plan", "p.json", "--kinds", "head-dims", "--criterion", "random", "-q"]
    func plan() throws -> String { String(decoding: try runner.contents("p.json"), as: UTF8.self) }
    #expect(try runner.run(CommandRunner.command, options).code == 0)
    let varied = try plan()
    #expect(varied.contains(#""over": ["q.heads"]"#))
    #expect(try runner.run("heads.ir", "--apply", "p.json", "-o", "again.ir", "--plan", "q.json", "-q").code == 0)
    #expect(try runner.contents("again.ir") == runner.contents("s.ir"))
    #expect(try runner.contents("q.json") == Array(varied.utf8))
    #expect(try runner.run(CommandRunner.command, options + ["--no-vary"]).code == 0)
    #expect(try !plan().contains("over"))
  }

  @Test("dot draws the graph; edges whose axes share a group share a colour")
  func dot() throws {
    let drawing = try runner.run("dot", "m.onnx").output
    #expect(drawing.hasPrefix("digraph \"perceptron\" {\n"))
    #expect(drawing.contains("fc1.hidden"))
    #expect(try runner.run("dot", "m.onnx", "-o", "m.dot").output == "")
    #expect(try runner.contents("m.dot") == Array(drawing.utf8))
    #expect(try runner.run("dot", "m.onnx", "-o", "m.onnx").code == 5)
  }

  @Test("verify-dimensions says yes, or no with a list")
  func verify() throws {
    #expect(try runner.run("verify-dimensions", "m.onnx").output == "ok: m.onnx: 8 values\n")
    #expect(try object(try runner.run("verify-dimensions", "m.onnx", "--json").output)["ok"] as? Bool == true)
  }

  @Test("A model of which prunec knows only parts keeps its interface to the letter")
  func opaque() throws {
    try runner.write(
      SmallModel.model(
        [
          SmallModel.node("Gemm", ["x", "fc1.weight", "fc1.bias"], "h", [("transB", .int(1))]),
          SmallModel.node("Frobnicate", ["h"], "a", domain: "my.operators"),
          SmallModel.node("Gemm", ["a", "fc2.weight", "fc2.bias"], "y", [("transB", .int(1))]),
        ], opsets: ["": 20, "my.operators": 1]), "opaque.onnx")
    #expect(try runner.run("opaque.onnx", "-o", "s.onnx").code == 0)
    #expect(try runner.contents("s.onnx") == runner.contents("opaque.onnx"))
  }

  @Test("--print-after shows the model between passes, --timing says how long they took")
  func passes() throws {
    let shown = try runner.run("m.onnx", "-o", "s.onnx", "--print-after", "shrink", "--timing")
    #expect(shown.output.hasPrefix("// after shrink: "))
    #expect(shown.output.contains("param %fc1.weight : f32[8, 4]"))
    #expect(!shown.output.contains("// after solve"))
    #expect(shown.errors.contains("solve"))
    #expect(shown.errors.contains("total"))
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--print-after", "all").output.contains("// after solve"))
  }

  @Test("A reader that goes away is no failure; a disk that is full is one")
  func pipes() throws {
    guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
    let command = quoted(CommandRunner.command.path)
    func shell(_ line: String) throws -> CommandRunner.Outcome { try runner.run(URL(fileURLWithPath: "/bin/sh"), ["-c", line]) }
    let closed = try shell("(\(command) groups m.onnx --json; echo $? >&2) | head -c 1")
    #expect(closed.errors == "0\n")
    let full = try shell("\(command) groups m.onnx > /dev/full")
    #expect(full.code == 5)
    #expect(full.errors == "prunec: error: standard output cannot be written: No space left on device\n")
  }

  @Test("Without arguments the help is shown, and the code says that the call was wrong")
  func help() throws {
    let nothing = try runner.run()
    #expect(nothing.code == 2)
    #expect(nothing.output == Help.overview())
    #expect(try runner.run("--help").code == 0)
    #expect(try runner.run("groups", "--help").output == Help.text(.groups))
    #expect(try runner.run("--version").output == "prunec \(Command.version)\n")
  }
}
