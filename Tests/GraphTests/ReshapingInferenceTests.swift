import Graph
import Testing

@Suite("Types of reshaping operators")
struct ReshapingInferenceTests {
  @Test(
    "reshape resolves −1, 0 and symbols of its target",
    arguments: [
      ("batch, 17, 192", "batch, 17, 3, 4, 16", "batch, 17, 3, 4, 16"),
      ("batch, 17, 192", "0, -1, 64", "batch, 51, 64"),
      ("batch, seq, 192", "-1, 64", "3*batch*seq, 64"),
      ("batch, seq, 192", "batch, seq, 12, -1", "batch, seq, 12, 16"),
      ("3*batch, 4", "3, -1, 4", "3, batch, 4"),
      ("batch, 4", "_, 4", "batch, 4"),
      ("batch, 4", "_, _", "?y.0.0, ?y.0.1"),
      ("batch, 4", "-1, _", "?y.0.0, ?y.0.1"),
      ("seq, 4", "-1, 8", "floor(seq/2), 8"),
      ("6", "", ""),
    ])
  func reshape(input: String, target: String, result: String) throws {
    let input = target.isEmpty ? "1" : input
    #expect(try Trial("Reshape", [.tensor(input), .list(target)]).shape() == result)
  }

  @Test("a 0 of the target is an extent of 0 where allowzero says so, else the operand's")
  func allowZero() throws {
    #expect(try Trial("Reshape", [.tensor("0, 3"), .list("3, 0")], [.allowzero: .int(1)]).shape() == "3, 0")
    #expect(try Trial("Reshape", [.tensor("2, 3"), .list("0, 3")]).shape() == "2, 3")
  }

  @Test(
    "reshape refuses targets that do not hold the numbers",
    arguments: [
      ("2, 3", "4, -1", "f32[2, 3] of 6 numbers cannot take the shape [4, -1]"),
      ("2, 3", "7", "f32[2, 3] of 6 numbers cannot take the shape [7]"),
      ("2, 3", "-1, -1", "two axes of extent −1"),
      ("2, 3", "2, 3, 0", "copies an axis that f32[2, 3] does not have"),
      ("2, 3", "-2, 3", "negative extent -2"),
    ])
  func reshapeRefuses(input: String, target: String, message: String) {
    #expect { try Trial("Reshape", [.tensor(input), .list(target)]) } throws: {
      ($0 as? Diagnostic)?.message.contains(message) == true
    }
  }

  @Test("the rank follows from the target's extent even where its numbers are not known, and is unknown otherwise")
  func rank() throws {
    #expect(try Trial("Reshape", [.tensor("batch, 4"), .tensor("3", .i64)]).shape() == "?y.0.0, ?y.0.1, ?y.0.2")
    #expect(try Trial("Reshape", [.tensor("batch, 4"), .tensor("n", .i64)]).shape() == "?")
  }

  @Test("squeeze and unsqueeze take axes as an attribute before version 13, as an operand since")
  func axes() throws {
    #expect(try Trial("Squeeze", opset: 11, [.tensor("1, seq, 1")], [.axes: .ints([0, -1])]).shape() == "seq")
    #expect(try Trial("Squeeze", [.tensor("1, seq, 1"), .list("2")]).shape() == "1, seq")
    #expect(try Trial("Unsqueeze", opset: 11, [.tensor("seq")], [.axes: .ints([0, 2])]).shape() == "1, seq, 1")
    #expect(try Trial("Unsqueeze", [.tensor("seq"), .list("-1")]).shape() == "seq, 1")
    #expect(try Trial("Squeeze", [.tensor("1, 5, 1")]).shape() == "5")
  }

  @Test("squeezing without axes must not guess whether a symbol is 1; an axis that is named and is not 1 is refused")
  func squeezeRefuses() throws {
    #expect(try Trial("Squeeze", [.tensor("1, seq")]).shape() == "?")
    #expect { try Trial("Squeeze", [.tensor("1, 5"), .list("1")]) } throws: {
      ($0 as? Diagnostic)?.message == "squeeze: axis 1 of f32[1, 5] is 5, not 1"
    }
  }

  @Test(
    "expand stretches axes of extent 1 only",
    arguments: [
      ("4, 1, 16", "batch, 4, 3, 16", "batch, 4, 3, 16"),
      ("batch, 1, 16", "1, seq, 1", "batch, seq, 16"),
      ("5, 16", "_, _", "5, 16"),
      ("1, 16", "_, 16", "?y.0.0, 16"),
    ])
  func expand(input: String, target: String, result: String) throws {
    #expect(try Trial("Expand", [.tensor(input), .list(target)]).shape() == result)
  }

  @Test("expand refuses to stretch another axis")
  func expandRefuses() {
    #expect { try Trial("Expand", [.tensor("3, 4"), .list("2, 4")]) } throws: {
      ($0 as? Diagnostic)?.message == "expand: axis 0 of extent 3 does not expand to 2"
    }
  }

  @Test("tile multiplies, flatten joins, transpose orders, blocks move between channels and space")
  func others() throws {
    #expect(try Trial("Tile", [.tensor("batch, 4"), .list("2, seq")]).shape() == "2*batch, 4*seq")
    #expect(try Trial("Flatten", [.tensor("batch, 3, 4")]).shape() == "batch, 12")
    #expect(try Trial("Flatten", [.tensor("batch, 3, 4")], [.axis: .int(-1)]).shape() == "3*batch, 4")
    #expect(try Trial("Transpose", [.tensor("a, b, c")]).shape() == "c, b, a")
    #expect(try Trial("Transpose", [.tensor("a, b, c")], [.perm: .ints([1, 2, 0])]).shape() == "b, c, a")
    #expect(try Trial("DepthToSpace", [.tensor("n, 12, h, 5")], [.blocksize: .int(2)]).shape() == "n, 3, 2*h, 10")
    #expect(try Trial("SpaceToDepth", [.tensor("n, 3, 2*h, 10")], [.blocksize: .int(2)]).shape() == "n, 12, h, 5")
  }

  @Test("a perm that orders other axes, and blocks that do not divide, are refused")
  func othersRefuse() {
    #expect(throws: Diagnostic.self) { try Trial("Transpose", [.tensor("a, b")], [.perm: .ints([0, 0])]) }
    #expect(throws: Diagnostic.self) { try Trial("DepthToSpace", [.tensor("n, 10, h, w")], [.blocksize: .int(2)]) }
    #expect(throws: Diagnostic.self) { try Trial("Tile", [.tensor("a, b"), .list("2")]) }
    #expect(throws: Diagnostic.self) { try Trial("Flatten", [.tensor("a, b")], [.axis: .int(3)]) }
  }
}
