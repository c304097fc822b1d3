import Graph
import Testing

@Suite("Types of slices, splits, pads and concatenations")
struct JoiningInferenceTests {
  @Test(
    "a slice of a symbolic axis has an exact extent where its bounds decide it",
    arguments: [
      ("seq", "1", "9223372036854775807", "seq-1"),
      ("seq", "0", "-1", "seq-1"),
      ("seq", "0", "2147483647", "seq"),
      ("seq", "-1", "9223372036854775807", "1"),
      ("seq", "0", "1", "1"),
      ("seq", "1", "-1", "seq-2"),
      ("seq+4", "0", "5", "5"),
      ("seq+4", "-3", "9223372036854775807", "3"),
      ("seq", "0", "seq", "seq"),
      ("1024", "0", "seq", "seq"),
      ("1024", "seq", "seq+query", "query"),
      ("2*seq", "seq", "9223372036854775807", "seq"),
    ])
  func slice(extent: String, start: String, end: String, result: String) throws {
    #expect(
      try Trial("Slice", [.tensor("batch, \(extent)"), .list(start), .list(end), .list("1")]).shape() == "batch, \(result)")
  }

  @Test(
    "a fixed number never follows where the axis may be shorter: the same slice is the same symbol",
    arguments: [("0", "5", "?slice(seq,0:5)"), ("-5", "9223372036854775807", "?slice(seq,-5:)"), ("2", "5", "?slice(seq,2:5)")])
  func sliceMayClamp(start: String, end: String, result: String) throws {
    #expect(try Trial("Slice", [.tensor("seq"), .list(start), .list(end)]).shape() == result)
  }

  @Test(
    "bounds outside a fixed axis are cut off, steps count up or down",
    arguments: [
      ("2", "100", "1", "8"), ("-100", "3", "1", "3"), ("0", "10", "3", "4"), ("-1", "-100", "-1", "10"), ("8", "2", "-2", "3"),
      ("5", "5", "1", "0"), ("7", "3", "1", "0"), ("-9223372036854775807", "9223372036854775807", "2", "5"),
    ])
  func fixedSlice(start: String, end: String, step: String, result: String) throws {
    #expect(try Trial("Slice", [.tensor("10"), .list(start), .list(end), .list("0"), .list(step)]).shape() == result)
  }

  @Test("a step of 2 halves a symbolic axis, rounding up; −1 reverses it")
  func steps() throws {
    let far = "9223372036854775807"
    #expect(try Trial("Slice", [.tensor("seq"), .list("0"), .list(far), .list("0"), .list("2")]).shape() == "floor((seq-1)/2)+1")
    #expect(try Trial("Slice", [.tensor("2*seq"), .list("0"), .list(far), .list("0"), .list("2")]).shape() == "seq")
    #expect(try Trial("Slice", [.tensor("seq"), .list("-1"), .list("-\(far)"), .list("0"), .list("-1")]).shape() == "seq")
  }

  @Test("axes of which nothing is known have extents of their own; others pass")
  func unknownSlice() throws {
    #expect(try Trial("Slice", [.tensor("a, b"), .list("_"), .list("5"), .list("1")]).shape() == "a, ?y.0.1")
    #expect(try Trial("Slice", [.tensor("a, b"), .list("0"), .list("5"), .tensor("1", .i64)]).shape() == "?y.0.0, ?y.0.1")
    #expect(throws: Diagnostic.self) { try Trial("Slice", [.tensor("a"), .list("0"), .list("5"), .list("0"), .list("0")]) }
    #expect(throws: Diagnostic.self) { try Trial("Slice", [.tensor("a"), .list("0"), .list("5"), .list("1")]) }
  }

  @Test("split takes sizes as an attribute before version 13, as an operand since, or equal parts")
  func split() throws {
    let old = try Trial("Split", opset: 11, [.tensor("n, 5")], [.axis: .int(1), .split: .ints([2, 3])], outputs: 2)
    #expect([old.shape(0), old.shape(1)] == ["n, 2", "n, 3"])
    let sizes = try Trial("Split", [.tensor("n, 5"), .list("0, 5")], [.axis: .int(-1)], outputs: 2)
    #expect([sizes.shape(0), sizes.shape(1)] == ["n, 0", "n, 5"])
    let equal = try Trial("Split", opset: 13, [.tensor("6, n")], outputs: 3)
    #expect([equal.shape(0), equal.shape(2)] == ["2, n", "2, n"])
    let uneven = try Trial("Split", [.tensor("7")], [.numOutputs: .int(3)], outputs: 3)
    #expect([uneven.shape(0), uneven.shape(1), uneven.shape(2)] == ["3", "3", "1"])
    let symbolic = try Trial("Split", [.tensor("2*seq")], [.numOutputs: .int(2)], outputs: 2)
    #expect([symbolic.shape(0), symbolic.shape(1)] == ["seq", "seq"])
    let computed = try Trial("Split", [.tensor("7"), .tensor("2", .i64)], outputs: 2)
    #expect(computed.shape(1) == "?y.1.0")
  }

  @Test("sizes that do not add up, or are as many as there are no results, are refused")
  func splitRefuses() {
    #expect { try Trial("Split", [.tensor("5"), .list("2, 2")], outputs: 2) } throws: {
      ($0 as? Diagnostic)?.message == "split: the sizes [2, 2] add up to 4, but axis 0 is 5"
    }
    #expect(throws: Diagnostic.self) { try Trial("Split", [.tensor("5"), .list("5")], outputs: 2) }
    #expect(throws: Diagnostic.self) { try Trial("Split", opset: 13, [.tensor("5")], outputs: 2) }
  }

  @Test("concatenation adds its axis up, symbols included; the others must agree")
  func concat() throws {
    #expect(
      try Trial("Concat", [.tensor("batch, 1, 8"), .tensor("batch, seq, 8")], [.axis: .int(1)]).shape() == "batch, seq+1, 8")
    #expect(try Trial("Concat", [.tensor("2, 0"), .tensor("2, 4")], [.axis: .int(-1)]).shape() == "2, 4")
    #expect { try Trial("Concat", [.tensor("2, 3"), .tensor("4, 3")], [.axis: .int(1)]) } throws: {
      ($0 as? Diagnostic)?.message == "concat: operand 1 has extent 4 on axis 0, those before it 2"
    }
    #expect(throws: Diagnostic.self) { try Trial("Concat", [.tensor("2"), .tensor("2", .i64)], [.axis: .int(0)]) }
  }

  @Test("pads extend axes at both ends, may be negative, and may name axes since version 18")
  func pad() throws {
    #expect(try Trial("Pad", [.tensor("n, seq"), .list("0, 1, 0, 2")]).shape() == "n, seq+3")
    #expect(try Trial("Pad", [.tensor("4, 5"), .list("0, -1, 0, -1")]).shape() == "4, 3")
    #expect(try Trial("Pad", [.tensor("4, 5"), .list("1, 2"), .none, .list("-1")]).shape() == "4, 8")
    #expect(try Trial("Pad", [.tensor("4, 5"), .list("0, _, 0, 0")]).shape() == "4, ?y.0.1")
    #expect(throws: Diagnostic.self) { try Trial("Pad", [.tensor("4, 5"), .list("0, -3, 0, -3")]) }
    #expect(throws: Diagnostic.self) { try Trial("Pad", [.tensor("4, 5"), .list("0, 1")]) }
  }
}
