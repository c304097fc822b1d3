import Graph
import Passes
import Testing

@testable import prunec

@Suite("How a command line is read")
struct InvocationTests {
  private func parse(_ arguments: [String], files: Set<String> = []) throws -> Invocation.Request {
    try Invocation.parse(arguments, isFile: files.contains)
  }

  private func invocation(_ arguments: String..., files: Set<String> = []) throws -> Invocation {
    guard case .run(let invocation) = try parse(arguments, files: files) else {
      throw Diagnostic(.usage, "is no call of a verb")
    }
    return invocation
  }

  private func refusal(_ arguments: String...) -> String {
    do {
      _ = try parse(arguments)
      return "accepted"
    } catch let failure as Diagnostic {
      #expect(failure.kind == .usage)
      return failure.message
    } catch {
      return "\(error)"
    }
  }

  private func compile(_ arguments: String...) throws -> CompileRequest {
    guard case .run(let invocation) = try parse(["m.onnx", "-o", "s.onnx"] + arguments) else {
      throw Diagnostic(.usage, "no call")
    }
    return try CompileRequest(invocation)
  }

  private func compileRefusal(_ arguments: [String]) -> String {
    do {
      guard case .run(let invocation) = try parse(["m.onnx", "-o", "s.onnx"] + arguments) else { return "no call" }
      _ = try CompileRequest(invocation)
      return "accepted"
    } catch let failure as Diagnostic {
      #expect(failure.kind == .usage)
      return failure.message
    } catch {
      return "\(error)"
    }
  }

  @Test("Compile may be left out; a file may be called like no verb")
  func defaultVerb() throws {
    #expect(try invocation("m.onnx", "-o", "s.onnx").verb == .compile)
    #expect(try invocation("compile", "m.onnx", "-o", "s.onnx").verb == .compile)
    #expect(try invocation("model", "-o", "s.onnx", files: ["model"]).operands == ["model"])
    #expect(try invocation("verify-dimensions", "m.onnx").verb == .verifyDimensions)
  }

  @Test("A value may stand behind its option or behind an equals sign; what is behind -- is no option")
  func values() throws {
    #expect(try invocation("m.onnx", "--output=s.onnx").text(.output) == "s.onnx")
    #expect(try invocation("-o", "s.onnx", "m.onnx").operands == ["m.onnx"])
    #expect(try invocation("-o", "s.onnx", "--", "--odd").operands == ["--odd"])
    #expect(try invocation("m.onnx", "-o", "s.onnx", "--pruning-ratio", "0.5").texts(.ratio) == ["0.5"])
    #expect(try invocation("m.onnx", "--ignore", "a,b", "--ignored-layers", "c").list(.ignore) == ["a", "b", "c"])
    #expect(try invocation("m.onnx", "--ratio", "-1").texts(.ratio) == ["-1"])
  }

  @Test("Help and version need nothing else")
  func help() throws {
    func isHelp(_ arguments: [String], on verb: Verb?) throws -> Bool {
      if case .help(let asked) = try parse(arguments) { return asked == verb }
      return false
    }
    #expect(try isHelp([], on: nil))
    #expect(try isHelp(["--help"], on: nil))
    #expect(try isHelp(["help"], on: nil))
    #expect(try isHelp(["help", "dot"], on: .dot))
    #expect(try isHelp(["groups", "-h"], on: .groups))
    #expect(try isHelp(["m.onnx", "--help"], on: .compile))
    if case .version = try parse(["--version"]) {} else { Issue.record("--version is no request for the version") }
  }

  @Test("What is misspelt is named, with what was meant")
  func misspelt() {
    #expect(refusal("grups", "m.onnx") == "unknown verb 'grups'; did you mean 'groups'?")
    #expect(refusal("frobnicate") == "unknown verb 'frobnicate'; there is no file of that name either, see 'prunec --help'")
    #expect(refusal("m.onnx", "--ratoi", "0.5") == "unknown option '--ratoi'; did you mean '--ratio'?")
    #expect(refusal("groups", "m.onnx", "--jsn") == "unknown option '--jsn'; did you mean '--json'?")
    #expect(refusal("groups", "m.onnx", "--frobnicate") == "unknown option '--frobnicate'; see 'prunec groups --help'")
    #expect(refusal("help", "explian") == "unknown verb 'explian'; did you mean 'explain'?")
  }

  @Test("What is missing, too much, or in the wrong place is named")
  func misplaced() {
    #expect(refusal("groups") == "MODEL is missing: prunec groups MODEL [--json]")
    #expect(refusal("explain", "m.onnx") == "TENSOR[:AXIS] is missing: prunec explain MODEL TENSOR[:AXIS] [--json]")
    #expect(refusal("print", "a.onnx", "b.onnx") == "'b.onnx' is one argument too many: prunec print MODEL")
    #expect(refusal("--quiet", "print", "a.onnx") == "the verb comes first: prunec print MODEL")
    #expect(refusal("groups", "m.onnx", "--ratio", "0.5") == "--ratio is no option of 'groups', only of 'compile', 'masks'")
    #expect(refusal("m.onnx", "-o") == "-o needs a value: -o FILE")
    #expect(refusal("m.onnx", "-o", "--json") == "-o needs a value: -o FILE")
    #expect(refusal("m.onnx", "--json=yes") == "--json takes no value, but is given 'yes'")
    #expect(refusal("m.onnx", "-o", "a", "-o", "b") == "--output is given twice; say it once")
  }

  @Test("Options of compile become what the compiler is asked for")
  func request() throws {
    let request = try compile(
      "--ratio", "0.25", "--ratio", "layer1.*=0.5", "--max-ratio=0.75", "--round-to", "16", "--min-keep", "4", "--scope",
      "global",
      "--criterion", "l1", "--seed", "7", "--only", "a.*,b", "--ignore", "c", "--kinds", "heads,head-dims")
    #expect(request.choice.budget == .ratio(0.25))
    #expect(request.choice.ratios.map(\.pattern.pattern) == ["layer1.*"])
    #expect(request.choice.ratios.map(\.ratio) == [0.5])
    #expect(request.choice.largestRatio == 0.75)
    #expect(request.choice.rounding == 16)
    #expect(request.choice.least == 4)
    #expect(request.choice.scope == .global)
    #expect(request.choice.only.map(\.pattern) == ["a.*", "b"])
    #expect(request.choice.ignored.map(\.pattern) == ["c"])
    #expect(request.choice.kinds == [.heads, .headDims])
    #expect(request.criterion == .l1)
    #expect(request.seed == 7)
    #expect(try compile("--kinds", "all").choice.kinds == Set(GroupKind.allCases))
    #expect(try compile("--keep-params", "0.5").choice.budget == .parameters(0.5))
    #expect(try compile("--keep-flops", "1").choice.budget == .multiplyAdds(1))
    #expect(try compile("--ratio", "0").choice.budget == .ratio(0))
    #expect(try compile().choice.budget == .ratio(0.5))
    #expect(try compile().choice.kinds == nil)
  }

  @Test(
    "A ratio that would leave nothing, or is none, is refused",
    arguments: [
      ("1", ""), ("-1", ""), ("nan", ""), ("inf", ""), ("half", ""), ("1.5", "; write 0.015 for 1.5 %"),
      ("30", "; write 0.3 for 30 %"),
      ("30%", "; write 0.3 for 30 %"),
    ])
  func ratio(text: String, hint: String) {
    #expect(
      compileRefusal(["--ratio", text]) == "--ratio \(text): a number from 0 to below 1 is expected, the share to remove\(hint)")
  }

  @Test(
    "Other values outside their range are refused with the range",
    arguments: [
      (["--keep-params", "0"], "--keep-params 0: a number above 0 up to 1 is expected, the share to keep"),
      (["--keep-flops", "nan"], "--keep-flops nan: a number above 0 up to 1 is expected, the share to keep"),
      (["--ratio", "a=2"], "--ratio a=2: a number from 0 to below 1 is expected, the share to remove; write 0.02 for 2 %"),
      (["--ratio", "=0.5"], "--ratio =0.5: a pattern is missing before '='"),
      (["--ratio", "0.5", "--ratio", "0.3"], "--ratio is given twice; only --ratio PATTERN=R may be repeated"),
      (["--round-to", "0"], "--round-to 0: a whole number of at least 1 is expected"),
      (["--min-keep", "x"], "--min-keep x: a whole number of at least 1 is expected"),
      (["--seed", "-1"], "--seed -1: a whole number from 0 to 18446744073709551615 is expected"),
      (["--scope", "globl"], "--scope globl: no such choice; did you mean 'global'?"),
      (
        ["--criterion", "biggest"],
        "--criterion biggest: no such choice; it is one of \((Criterion.allCases.map(\.rawValue) + ["magnitude"]).joined(separator: ", "))"
      ),
      (["--kinds", "heads,haeds"], "--kinds haeds: no such choice; did you mean 'heads'?"),
      (["--only", "a,,b"], "--only has an empty entry; write entries with single commas between"),
      (["--print-after", "solv"], "--print-after solv: no such pass; did you mean 'solve'?"),
    ])
  func ranges(arguments: [String], message: String) {
    #expect(compileRefusal(arguments) == message)
  }

  @Test("Options that contradict each other are refused")
  func conflicts() {
    #expect(
      compileRefusal(["--ratio", "0.5", "--keep-params", "0.5"])
        == "--ratio and --keep-params say the same thing twice; give one budget")
    #expect(
      compileRefusal(["--keep-flops", "0.5", "--keep-params", "0.5"])
        == "--keep-params and --keep-flops say the same thing twice; give one budget")
    #expect(
      compileRefusal(["--apply", "p.json", "--scope", "global"])
        == "--apply carries out a plan as it is, so --scope has nothing to choose; leave one of them out")
    #expect(
      compileRefusal(["--json", "--print-after", "all"]) == "--print-after and --json both write to standard output; choose one")
    #expect(compileRefusal(["--plan", "s.onnx"]) == "-o and --plan name the same file; the plan needs one of its own")
    // A ratio by pattern is no budget.
    #expect(compileRefusal(["--ratio", "a.*=0.5", "--keep-params", "0.5"]) == "accepted")
  }

  @Test("Where the result goes must be said, in a format that there is")
  func output() throws {
    func refusal(_ arguments: [String]) -> String {
      do {
        guard case .run(let invocation) = try parse(arguments) else { return "no call" }
        _ = try CompileRequest(invocation)
        return "accepted"
      } catch { return "\(error)" }
    }
    #expect(refusal(["m.onnx"]) == "-o is missing: prunec m.onnx -o SMALLER (or --dry-run, to write nothing)")
    #expect(refusal(["m.onnx", "--dry-run"]) == "accepted")
    let runner = try CommandRunner()
    try runner.write("module m {", "m.ir")
    let (file, folder) = (runner.path("m.ir"), runner.folder.path)
    for name in ["s.pt", "s"] {
      #expect(
        refusal([file, "-o", name]) == "\(name): the name of an output ends in .onnx or .ir, which chooses its format")
    }
    #expect(refusal([file, "-o", "s.ir"]) == "accepted")
    // A checkpoint folder becomes a folder, whatever its name.
    #expect(refusal([folder, "-o", "s"]) == "accepted")
  }
}
