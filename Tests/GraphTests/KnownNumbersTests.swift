import Graph
import Testing

@Suite("Shape arithmetic is followed entry by entry")
struct KnownNumbersTests {
  @Test("moving numbers moves what is known of them")
  func moves() throws {
    #expect(try Trial("Gather", [.list("batch, seq, 64"), .scalar("-1")]).numbers() == "64")
    #expect(try Trial("Gather", [.list("batch, seq, 64"), .list("1, 0")]).numbers() == "seq, batch")
    #expect(try Trial("Gather", [.list("batch, seq, 64"), .list("_, 0")]).numbers() == "_, batch")
    #expect(try Trial("Gather", [.table([2, 2], "a, b, c, d"), .list("1")], [.axis: .int(1)]).numbers() == "b, d")
    #expect(try Trial("Slice", [.list("batch, seq, 64"), .list("-2"), .list("2147483647")]).numbers() == "seq, 64")
    #expect(try Trial("Slice", [.list("a, b, c"), .list("-1"), .list("-9"), .list("0"), .list("-1")]).numbers() == "c, b, a")
    #expect(try Trial("Concat", [.list("batch"), .tensor("1", .i64), .list("-1")], [.axis: .int(0)]).numbers() == "batch, _, -1")
    #expect(try Trial("Unsqueeze", [.scalar("seq"), .list("0")]).numbers() == "seq")
    #expect(try Trial("Squeeze", [.list("seq"), .list("0")]).numbers() == "seq")
    #expect(try Trial("Reshape", [.list("a, b, c, d"), .list("2, 2")]).numbers() == "a, b, c, d")
    #expect(try Trial("Transpose", [.table([2, 2], "a, b, c, d")]).numbers() == "a, c, b, d")
    #expect(try Trial("Expand", [.scalar("seq"), .list("3")]).numbers() == "seq, seq, seq")
    #expect(try Trial("Tile", [.list("a, b"), .list("2")]).numbers() == "a, b, a, b")
    #expect(try Trial("Pad", [.list("a, b"), .list("1, 2")]).numbers() == "0, a, b, 0, 0")
    let parts = try Trial("Split", [.list("a, b, c"), .list("1, 2")], outputs: 2)
    #expect(parts.numbers(0) == "a" && parts.numbers(1) == "b, c")
  }

  @Test("numbers of which nothing is known, and padding that copies them, leave the result unknown")
  func movesNothing() throws {
    #expect(try Trial("Gather", [.tensor("3", .i64), .scalar("0")]).numbers() == nil)
    #expect(try Trial("Concat", [.tensor("1", .i64), .tensor("1", .i64)], [.axis: .int(0)]).numbers() == nil)
    #expect(try Trial("Concat", [.list("a"), .tensor("n", .i64)], [.axis: .int(0)]).numbers() == nil)
    #expect(try Trial("Pad", [.list("a, b"), .list("1, 0")], [.mode: .string("edge")]).numbers() == nil)
    #expect(try Trial("Expand", [.scalar("1"), .list("5000")]).numbers() == nil, "more numbers than are followed")
  }

  @Test(
    "whole numbers are polynomials in the symbols",
    arguments: [
      ("Add", "seq, 2", "1, 3", "seq+1, 5"), ("Sub", "seq, 2", "seq, 3", "0, -1"),
      ("Mul", "seq, 2", "heads, -3", "heads*seq, -6"),
      ("Div", "4*seq, 7", "2, 2", "2*seq, 3"), ("Div", "-7, seq", "2, 2", "-3, floor(seq/2)"),
      ("Div", "5, seq", "0, seq", "_, 1"),
      ("Mod", "-7, 7", "3, -3", "2, -2"), ("Mod", "4*seq, seq", "4, 4", "0, mod(seq%4)"),
      ("Pow", "seq, 3", "2, 4", "seq*seq, 81"),
      ("Max", "seq, 3", "1, 5", "seq, 5"), ("Min", "seq, 3", "4, 5", "min(4,seq), 3"), ("Min", "seq, 3", "0, 5", "0, 3"),
    ])
  func arithmetic(operation: String, a: String, b: String, result: String) throws {
    #expect(try Trial(operation, [.list(a), .list(b)]).numbers() == result)
  }

  @Test(
    "extents are positive, so that a symbol is never −1 or 0; what depends on data may be 0",
    arguments: [
      ("Equal", "seq", "-1", "0"), ("Equal", "seq", "0", "0"), ("Equal", "seq", "seq", "1"), ("Equal", "seq", "4", nil),
      ("Equal", "?n", "0", nil), ("Equal", "?n", "-1", "0"), ("Equal", "mod(seq%4)", "0", nil), ("Greater", "seq", "0", "1"),
      ("Less", "seq", "2", nil), ("LessOrEqual", "1", "seq", "1"), ("GreaterOrEqual", "seq+3", "4", "1"),
    ] as [(String, String, String, String?)])
  func comparisons(operation: String, a: String, b: String, result: String?) throws {
    #expect(try Trial(operation, [.list(a), .list(b)]).numbers() == result)
  }

  @Test("truth values combine even where one is unknown; a choice follows its condition")
  func logic() throws {
    #expect(try Trial("And", [.list("0, 1, _", .bool), .list("_, 1, 1", .bool)]).numbers() == "0, 1, _")
    #expect(try Trial("Or", [.list("1, 0", .bool), .list("_, _", .bool)]).numbers() == "1, _")
    #expect(try Trial("Not", [.list("1, 0", .bool)]).numbers() == "0, 1")
    #expect(try Trial("Where", [.list("1, 0, _", .bool), .list("a, b, c"), .list("d, e, c")]).numbers() == "a, e, c")
    #expect(try Trial("Where", [.list("1", .bool), .list("a"), .tensor("1", .i64)]).numbers() == "a")
    #expect(try Trial("Where", [.list("_", .bool), .list("a"), .list("b")]).numbers() == nil)
  }

  @Test("whole numbers that do not fit their type are unknown")
  func overflow() throws {
    #expect(try Trial("Add", [.list("2147483647", .i32), .list("1", .i32)]).numbers() == nil)
    #expect(try Trial("Neg", [.list("1, 0", .u8)]).numbers() == "_, 0")
    let edge = try Trial("Div", [.list("-9223372036854775808"), .list("-1")]).numbers()
    #expect(edge != "-9223372036854775808" && edge != "9223372036854775807")
  }

  @Test("real numbers are rounded to their type, as ONNX computes them")
  func reals() throws {
    let third = "\(Double(Float(1) / Float(3)))"
    #expect(try Trial("Div", [.reals("1"), .reals("3")]).numbers() == third)
    #expect(try Trial("Div", [.reals("1", .f64), .reals("3", .f64)]).numbers() == "\(1.0 / 3.0)")
    #expect(try Trial("Sqrt", [.reals("64, 2")]).numbers() == "8.0, \(Double(Float(2).squareRoot()))")
    #expect(try Trial("Pow", [.reals("64"), .reals("-0.5")]).numbers() == "0.125")
    #expect(try Trial("Add", [.reals("2048", .f16), .reals("1", .f16)]).numbers() == "2048.0")
    #expect(try Trial("Round", [.reals("2.5, -1.5")]).numbers() == "2.0, -2.0")
    #expect(try Trial("Cast", [.reals("2.9, -2.9")], [.to: .int(7)]).numbers() == "2, -2")
    #expect(try Trial("Cast", [.list("16777217")], [.to: .int(1)]).numbers() == "16777216.0")
    #expect(try Trial("Exp", [.reals("1")]).numbers() == nil, "libraries differ in the last bit")
  }

  @Test("a symbol passes through a float and back where nothing is rounded")
  func symbolsInFloats() throws {
    #expect(try Trial("Cast", [.list("seq")], [.to: .int(1)]).numbers() == "seq")
    #expect(try Trial("Mul", [.list("seq", .f32), .reals("2")]).numbers() == "2*seq")
    #expect(try Trial("Mul", [.list("2*seq", .f32), .reals("0.5")]).numbers() == "seq")
    #expect(try Trial("Mul", [.list("seq", .f32), .reals("0.5")]).numbers() == nil)
    #expect(try Trial("Floor", [.list("seq", .f32)]).numbers() == "seq")
  }

  @Test("ranges, sums and products of known numbers are known")
  func others() throws {
    #expect(try Trial("Range", [.scalar("seq"), .scalar("seq+3"), .scalar("1")]).numbers() == "seq, seq+1, seq+2")
    #expect(try Trial("ReduceProd", [.list("batch, 3, 4")], [.keepDims: .int(0)]).numbers() == "12*batch")
    #expect(try Trial("ReduceSum", [.table([2, 2], "1, 2, 3, seq"), .list("1")], [.keepDims: .int(0)]).numbers() == "3, seq+3")
    #expect(try Trial("ReduceMax", [.list("1, 7, 3")]).numbers() == "7")
    #expect(try Trial("ReduceSum", [.reals("0.1, 0.2, 0.3")]).numbers() == nil, "the order of the sum is the runtime's")
    #expect(try Trial("NonZero", [.table([2, 2], "1, 0, 3, 4")]).numbers() == "0, 1, 1, 0, 0, 1")
    #expect(try Trial("ScatterND", [.list("1, 1, 1"), .table([1, 1], "2"), .list("seq")]).numbers() == "1, 1, seq")
    #expect(try Trial("ScatterND", [.list("1, 1, 1"), .table([1, 1], "_"), .list("seq")]).numbers() == nil)
    #expect(try Trial("ScatterElements", [.list("a, b, c"), .list("-1"), .list("d")]).numbers() == "a, b, d")
    #expect(try Trial("GatherElements", [.list("a, b, c"), .list("2, 0")]).numbers() == "c, a")
    #expect(try Trial("GatherND", [.list("a, b, c"), .table([1, 1], "-1")]).numbers() == "c")
  }

  @Test("stored numbers of every whole and real type are read, packed ones included")
  func stored() {
    func decoded(_ bytes: [UInt8], _ element: ElementType, _ count: Int) -> [KnownValue.Entry]? {
      KnownValue(TensorContent(TensorData(bytes), element: element, shape: [count]))?.entries
    }
    #expect(decoded([0xff, 0xff, 2, 0], .i16, 2) == [.whole(-1), .whole(2)])
    #expect(decoded([0xff, 1], .u8, 2) == [.whole(255), .whole(1)])
    #expect(decoded([0x2f, 0x08], .i4, 3) == [.whole(-1), .whole(2), .whole(-8)])
    #expect(decoded([0b1101_1000], .u2, 4) == [.whole(0), .whole(2), .whole(1), .whole(3)])
    #expect(decoded([0, 0x3c], .f16, 1) == [.real(1)])
    #expect(decoded([0x80, 0x3f], .bf16, 1) == [.real(1)])
    #expect(decoded([2, 0], .bool, 2) == [.whole(1), .whole(0)])
    #expect(decoded([255, 255, 255, 255, 255, 255, 255, 255], .u64, 1) == [.unknown], "larger than an Int")
    #expect(decoded([], .i64, 2) == nil, "the bytes are not there")
    #expect(decoded([1, 2], .f8e5m2, 2) == nil)
  }
}

@Suite("Extents")
struct ExtentArithmeticTests {
  @Test("quotients of equal expressions are the same symbol")
  func quotients() {
    let seq = Extent.symbol("seq")
    func half(_ extent: Extent) -> Extent { extent.floorDivided(by: 2) }
    #expect(half(seq + 1) == half(seq - 1) + 1)
    #expect("\(half(seq + 1))" == "floor((seq-1)/2)+1")
    #expect((4 * seq + 3).floorDivided(by: 4) == seq)
    #expect((4 * seq).floorDivided(by: 8) == half(seq))
    #expect((6 * seq + 5).floorDivided(by: 9) == (2 * seq + 1).floorDivided(by: 3))
    #expect(half(seq) != half(seq + 1))
    #expect(Extent(-7).floorDivided(by: 2) == -4)
  }

  @Test("division by −1 and expressions without end do not trap")
  func extremes() {
    #expect(Extent(Int.min).dividedExactly(by: -1) != Extent(Int.min))
    var extent = Extent.symbol("a") + Extent.symbol("b")
    for _ in 0..<80 { extent = extent * extent + Extent.function("floor", extent, "/", extent + 1) }
    #expect("\(extent)".utf8.count < 20_000)
  }
}
