import Foundation
import Testing

@testable import TestSupport

/// Every file below `Tests/Golden`. `PRUNEC_BLESS=1 swift test --filter Golden` rewrites what they expect.
@Suite struct GoldenTests {
  @Test(arguments: Golden.all)
  func fileHolds(_ golden: Golden) {
    if let fault = golden.fault() { Issue.record(Comment(rawValue: fault)) }
  }

  /// Traps of the design by number: each with what must happen and, beside it, what must not.
  @Test func everyTrapHasADoesAndAMustNot() {
    let names = Golden.all.map(\.name).filter { $0.hasPrefix("traps/") }.map { $0.dropFirst("traps/".count) }
    for trap in 1...25 {
      let files = names.filter { $0.hasPrefix(trap < 10 ? "0\(trap)-" : "\(trap)-") }
      #expect(files.contains { !$0.contains("-not-") }, "trap \(trap) has no golden")
      #expect(files.contains { $0.contains("-not-") }, "trap \(trap) has no golden that says what must not happen")
    }
  }

  /// However much is asked for, something of every group stays, and the dimensions of what is left agree.
  @Test(arguments: Golden.all.filter { $0.name.hasPrefix("cases/") })
  func almostEverythingGoes(_ golden: Golden) throws {
    let text = try String(contentsOfFile: golden.path, encoding: .utf8)
    let options = "--ratio 0.99 --round-to 1 --kinds all"
    let rendered = try Golden.rendered("// prunec: shrink \(options)\n// Almost everything goes.\n" + Golden.input(of: text))
    #expect(!rendered.contains("// expected:"), "\(rendered)")
    let kept = rendered.split(separator: "\n").filter { $0.hasPrefix("keep ") }
    #expect(kept.allSatisfy { !$0.contains(": all ") && !$0.contains(":  of ") })
    #expect(kept.isEmpty == text.contains("\nno groups\n"))
  }
}

extension Golden: CustomTestStringConvertible {
  /// The golden's name.
  public var testDescription: String { name }
}

/// The runner itself: that it fails, and how.
@Suite struct GoldenRunnerTests {
  static let input = """
    // prunec: groups
    // The hidden units are a group; what is read and answered is none.
    module two {
      param %w1 : f32[3, 6]
      param %w2 : f32[6, 5]
      func (%x: f32[2, 3]) -> (%y: f32[2, 5]) {
        %h = matmul %x, %w1 : f32[2, 6]
        %r = relu %h : f32[2, 6]
        %y = matmul %r, %w2 : f32[2, 5]
      }
    }

    """
  static let groups = """
    // ---- groups
    group w1.hidden: 6 hidden, default
    w1: [3, w1.hidden]
    w2: [w1.hidden, 5]
    stays: w1:0: it is part of the interface: input x
    stays: w2:1: it is part of the interface: output y

    """

  @Test func resultsFollowTheSeparator() throws {
    #expect(try Golden.rendered(Self.input) == Self.input + Self.groups)
    #expect(try Golden.rendered(Self.input + "// ---- groups\nsomething else\n") == Self.input + Self.groups)
  }

  @Test func theUpperHalfOfEveryGroupStays() throws {
    let text = try Golden.rendered(Self.input.replacing("groups\n", with: "shrink --ratio 0.5 --round-to 1\n"))
    #expect(text.contains("keep w1.hidden: 3…5 of 6\n"))
    #expect(text.contains("param %w2 : f32[3, 5]"))
  }

  @Test func aPlanNamesWhatStays() throws {
    let text = try Golden.rendered(Self.input.replacing("groups\n", with: "shrink --keep w1.hidden=0,3-5\n"))
    #expect(text.contains("keep w1.hidden: 0, 3…5 of 6\n"))
  }

  @Test func complaintsStandOnTheFaultyLine() throws {
    let wrong = Self.input.replacing("groups\n", with: "verify-dimensions\n").replacing(
      "%w2 : f32[6, 5]", with: "%w2 : f32[7, 5]")
    let text = try Golden.rendered(wrong)
    let marked = text.split(separator: "\n").filter { $0.contains(" // expected: ") }
    #expect(marked.count == 1)
    #expect(marked.first?.hasPrefix("    %y = matmul %r, %w2 : f32[2, 5] // expected: ") == true)
    #expect(!text.contains("// ----"))
    #expect(try Golden.rendered(text) == text)
    // A complaint that is no longer true goes.
    #expect(try !Golden.rendered(text.replacing("[7, 5]", with: "[6, 5]")).contains("expected"))
  }

  @Test func mismatchesShowTheLinesAndTheCommand() throws {
    let path = NSTemporaryDirectory() + "golden-runner-\(UInt64.random(in: 0 ... .max)).ir"
    defer { unlink(path) }
    let stale = Self.input + Self.groups.replacing("6 hidden", with: "7 hidden")
    try stale.write(toFile: path, atomically: true, encoding: .utf8)
    let golden = Golden(path: path, name: "runner")
    let fault = try #require(golden.fault(blessing: false))
    #expect(fault.contains("\n- group w1.hidden: 7 hidden, default\n+ group w1.hidden: 6 hidden, default\n"))
    #expect(fault.contains("PRUNEC_BLESS=1 swift test --filter Golden"))
    #expect(!fault.contains("module two"))
    #expect(golden.fault(blessing: true) == nil)
    #expect(golden.fault(blessing: false) == nil)
  }

  @Test(arguments: [
    "// prunec: groups\nmodule m {\n", "module m {\n", "// prunec: bake\n// A sentence.\n",
    "// prunec: groups --deep 1\n// A sentence.\n",
  ])
  func filesThatAreNoGoldensAreRefused(_ text: String) {
    #expect(throws: Golden.Malformed.self) { try Golden.rendered(text) }
  }
}
