import Graph
import Testing

@Suite("Types of indexing and generation")
struct IndexingInferenceTests {
  @Test("gather puts the indices' shape in place of the axis; a scalar drops it")
  func gather() throws {
    #expect(try Trial("Gather", [.tensor("1000, 64"), .tensor("batch, seq", .i64)]).shape() == "batch, seq, 64")
    #expect(try Trial("Gather", [.tensor("3, b, 4"), .scalar("0")], [.axis: .int(0)]).shape() == "b, 4")
    #expect(try Trial("Gather", [.tensor("3, b, 4"), .list("-1")], [.axis: .int(2)]).shape() == "3, b, 1")
    #expect { try Trial("Gather", [.tensor("3, 4"), .scalar("3")]) } throws: {
      ($0 as? Diagnostic)?.message == "gather: index 3 is outside axis 0 of f32[3, 4]"
    }
  }

  @Test("gathers along elements have the indices' shape; by tuples, what the tuples leave over")
  func otherGathers() throws {
    #expect(try Trial("GatherElements", [.tensor("a, 9"), .tensor("a, k", .i64)], [.axis: .int(1)]).shape() == "a, k")
    #expect(try Trial("GatherND", [.tensor("5, 6, 7"), .tensor("n, 2", .i64)]).shape() == "n, 7")
    #expect(try Trial("GatherND", [.tensor("b, 6, 7"), .tensor("b, 1", .i64)], [.batchDims: .int(1)]).shape() == "b, 7")
    #expect(throws: Diagnostic.self) { try Trial("GatherND", [.tensor("5"), .tensor("n, 2", .i64)]) }
  }

  @Test("scatters keep the data's type; updates must fit what the indices write")
  func scatter() throws {
    #expect(try Trial("ScatterND", [.tensor("b, 6, 7"), .tensor("n, 2", .i64), .tensor("n, 7")]).shape() == "b, 6, 7")
    #expect(throws: Diagnostic.self) { try Trial("ScatterND", [.tensor("b, 6, 7"), .tensor("n, 2", .i64), .tensor("n, 6")]) }
    #expect(try Trial("ScatterElements", [.tensor("5, 6"), .tensor("2, 6", .i64), .tensor("2, 6")]).shape() == "5, 6")
    #expect(throws: Diagnostic.self) { try Trial("ScatterElements", [.tensor("5, 6"), .tensor("2", .i64), .tensor("2")]) }
  }

  @Test("extents that depend on data are symbols of their own, one for all results that share them")
  func dataDependent() throws {
    #expect(try Trial("NonZero", [.tensor("a, b")]).shape() == "2, ?y.0.1")
    #expect(try Trial("NonMaxSuppression", [.tensor("b, n, 4"), .tensor("b, c, n")]).shape() == "?y.0.0, 3")
    #expect(try Trial("Compress", [.tensor("a, b"), .tensor("b", .bool)], [.axis: .int(1)]).shape() == "a, ?y.0.1")
    let unique = try Trial("Unique", [.tensor("a, 3")], outputs: 4)
    #expect((0..<4).map { unique.shape($0) } == ["?y.0.0", "?y.0.0", "3*a", "?y.0.0"])
  }

  @Test("one-hot's new axis is its depth, where that is known")
  func oneHot() throws {
    let one = try Trial("OneHot", [.tensor("b, s", .i64), .scalar("12"), .tensor("2")])
    #expect(one.shape() == "b, s, 12" && one.element() == .f32)
    #expect(
      try Trial("OneHot", [.tensor("b", .i64), .tensor("", .i64), .tensor("2", .bool)], [.axis: .int(0)]).shape() == "?y.0.0, b")
  }

  @Test(
    "a range counts its steps; a symbol flows through",
    arguments: [
      ("0", "seq", "1", "seq"), ("past", "past+seq", "1", "seq"), ("0", "10", "3", "4"), ("5", "0", "-2", "3"),
      ("3", "0", "1", "0"),
      ("0", "2*seq", "2", "seq"), ("0", "_", "1", "?y.0.0"),
    ])
  func range(start: String, limit: String, step: String, result: String) throws {
    #expect(try Trial("Range", [.scalar(start), .scalar(limit), .scalar(step)]).shape() == result)
  }

  @Test("shape and size tell a type's extents as numbers; a part of the shape since version 15")
  func shape() throws {
    let whole = try Trial("Shape", [.tensor("batch, 3, 32")])
    #expect(whole.shape() == "3" && whole.element() == .i64 && whole.numbers() == "batch, 3, 32")
    #expect(try Trial("Shape", [.tensor("batch, 3, 32")], [.start: .int(1), .end: .int(-1)]).numbers() == "3")
    #expect(try Trial("Shape", [.tensor("batch, 3, 32")], [.start: .int(-1)]).numbers() == "32")
    let size = try Trial("Size", [.tensor("batch, 3, 2")])
    #expect(size.shape() == "" && size.numbers() == "6*batch")
  }

  @Test("a constant of a shape has the value's type, f32 without one; negative extents are refused")
  func constantOfShape() throws {
    let ones = AttributeValue.tensor(TensorType(.i64, [1]), TensorData([Int64(1)]))
    let known = try Trial("ConstantOfShape", [.list("3")], [.value: ones])
    #expect(known.shape() == "3" && known.element() == .i64 && known.numbers() == "1, 1, 1")
    #expect(try Trial("ConstantOfShape", [.list("batch, _")]).shape() == "batch, ?y.0.1")
    #expect(try Trial("ConstantOfShape", [.list("")]).shape() == "")
    #expect(throws: Diagnostic.self) { try Trial("ConstantOfShape", [.list("-1")]) }
  }

  @Test("random numbers take shape and type from attributes, or the type of what they resemble")
  func random() throws {
    #expect(try Trial("RandomNormal", [], [.shape: .ints([2, 3])]).shape() == "2, 3")
    let like = try Trial("RandomUniformLike", [.tensor("a, 3", .f16)], [.dataType: .int(1)])
    #expect(like.shape() == "a, 3" && like.element() == .f32)
    #expect(try Trial("Multinomial", [.tensor("b, 9")], [.sampleSize: .int(4)]).shape() == "b, 4")
    #expect(try Trial("EyeLike", [.tensor("4, 5", .i32)]).element() == .i32)
    #expect(throws: Diagnostic.self) { try Trial("RandomNormal", [], [:]) }
  }
}
