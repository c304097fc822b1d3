import Formats
import Foundation
import Graph
import Testing

@Suite("prunec run: what goes in, what comes out, and what is refused")
struct RunTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
  }

  // MARK: - Helpers

  private func arrays(_ name: String, _ arrays: [(name: String, array: NpyArray)]) throws {
    try NpzFile.write(arrays, to: runner.path(name))
  }

  private func floats(_ numbers: [Float], _ shape: [Int]) -> NpyArray {
    NpyArray(code: "f4", shape: shape, data: TensorData(numbers))
  }

  /// Runs the model on a file of arrays; the numbers of its output.
  private func outputs(_ inputs: String, model: String = "m.onnx") throws -> [Float] {
    let outcome = try runner.run("run", model, "--inputs", inputs, "--outputs", "y.npz", "--quiet")
    #expect(outcome.errors == "")
    #expect(outcome.code == 0)
    let read = try NpzFile.read(runner.path("y.npz"))
    #expect(read.map(\.name) == ["out.y"])
    return read.first?.array.data.numbers(as: Float.self) ?? []
  }

  /// Runs, and expects this one line on standard error, this code, and no outputs.
  private func expect(
    _ message: String, code: Int32 = 4, inputs: String = "x.npz", model: String = "m.onnx", _ more: String...,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try runner.run(
      CommandRunner.command, ["run", model, "--inputs", inputs, "--outputs", "none.npz"] + more)
    #expect(outcome.errors == "prunec: error: \(message)\n", sourceLocation: location)
    #expect(outcome.code == code, sourceLocation: location)
    #expect(outcome.output == "" && !runner.exists("none.npz"), "nothing may be written", sourceLocation: location)
  }

  /// A model without parameters over inputs of given types.
  private func model(_ nodes: [NamedNode], _ inputs: [(String, TensorType)], _ output: String = "y") throws {
    try runner.write(
      NamedModel(
        name: "small", nodes: nodes, inputs: inputs.map { NamedValue(name: $0.0, type: $0.1) },
        outputs: [NamedValue(name: output, type: .unranked(.unknown))], opsets: ["": 20, "my.operators": 1]), "s.onnx")
  }

  // MARK: - What goes in

  @Test("the same numbers give the same result, however the file holds them")
  func forms() throws {
    try arrays("x.npz", [("in.x", floats([0, 1, 2, 3], [1, 4]))])
    let expected = try outputs("x.npz")
    #expect(expected.count == 3)
    // numpy.savez_compressed of the same array.
    try runner.write(try #require(Data(base64Encoded: Self.compressed)).map(\.self), "c.npz")
    #expect(try outputs("c.npz") == expected)
    try runner.write(Self.zip("in.x.npy", Self.npy("'<f4'", "(1, 4)", fortran: true, [0, 1, 2, 3].flatMap(Self.bytes))), "f.npz")
    #expect(try outputs("f.npz") == expected)
    try runner.write(
      Self.zip("in.x.npy", Self.npy("'>f4'", "(1, 4)", fortran: false, [0, 1, 2, 3].flatMap { Self.bytes($0).reversed() })),
      "b.npz")
    #expect(try outputs("b.npz") == expected)
    // Without one named in.NAME, arrays are called as the inputs are.
    try arrays("n.npz", [("x", floats([0, 1, 2, 3], [1, 4]))])
    #expect(try outputs("n.npz") == expected)
    // Arrays that are no inputs may lie beside them.
    try arrays("o.npz", [("in.x", floats([0, 1, 2, 3], [1, 4])), ("out.y", floats([9], [1])), ("note", floats([], [0]))])
    #expect(try outputs("o.npz") == expected)
  }

  @Test("columns first becomes rows first")
  func fortran() throws {
    try model([SmallModel.node("Identity", ["x"], "y")], [("x", TensorType(.f32, [2, 2]))])
    try runner.write(Self.zip("in.x.npy", Self.npy("'<f4'", "(2, 2)", fortran: true, [1, 3, 2, 4].flatMap(Self.bytes))), "f.npz")
    #expect(try outputs("f.npz", model: "s.onnx") == [1, 2, 3, 4])
  }

  @Test("no number and infinity flow through, and nothing traps")
  func special() throws {
    try arrays("x.npz", [("in.x", floats([.nan, 0, 0, 0], [1, 4]))])
    #expect(try outputs("x.npz").allSatisfy(\.isNaN))
    try arrays("x.npz", [("in.x", floats([.infinity, -.infinity, 1, .greatestFiniteMagnitude], [1, 4]))])
    #expect(try outputs("x.npz").contains { !$0.isFinite })
    try model([SmallModel.node("Neg", ["x"], "y")], [("x", TensorType(.f32, [2]))])
    try arrays("x.npz", [("in.x", floats([.infinity, 1], [2]))])
    #expect(try outputs("x.npz", model: "s.onnx") == [-.infinity, -1])
    let outcome = try runner.run("run", "s.onnx", "--inputs", "x.npz")
    #expect(outcome.output.contains("-inf"))
  }

  @Test("without --inputs the numbers are random and the lengths those of --dim")
  func random() throws {
    try model([SmallModel.node("Neg", ["x"], "y")], [("x", TensorType(.f32, [.symbol("n"), 2]))])
    let outcome = try runner.run("run", "s.onnx", "--dim", "n=3")
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("f32[3, 2]"))
    #expect(try runner.run("run", "s.onnx", "--dim", "n=3").output == outcome.output)
    #expect(try runner.run("run", "s.onnx", "--dim", "n=3", "--seed", "1").output != outcome.output)
    try arrays("x.npz", [("in.x", floats([1, 2], [1, 2]))])
    try expect(
      "--dim n=3: lengths follow from the arrays of --inputs; give one or the other", code: 2, model: "s.onnx", "--dim", "n=3")
  }

  // MARK: - What is refused

  @Test("inputs that are missing, too many, or something else")
  func wrongInputs() throws {
    try arrays("x.npz", [("in.z", floats([0, 1, 2, 3], [1, 4]))])
    try expect("x.npz: tensor x: the input is missing: there is no array in.x; the file holds in.z")
    try arrays("x.npz", [("x", floats([0, 1, 2, 3], [1, 4])), ("in.z", floats([1], [1]))])
    try expect("x.npz: tensor x: the input is missing: there is no array in.x; rename x to it")
    try arrays("x.npz", [("z", floats([0, 1, 2, 3], [1, 4]))])
    try expect("x.npz: tensor x: the input is missing: there is no array x; the file holds z")
    try arrays("x.npz", [])
    try expect("x.npz: tensor x: the input is missing: there is no array x; the file holds no arrays")
    try arrays("x.npz", [("in.x", floats([0, 1, 2, 3], [1, 4])), ("in.q", floats([1], [1]))])
    try expect("x.npz: in.q is given, but the model has no such input; it takes x")
    try arrays("x.npz", [("in.x", floats([0, 1, 2, 3], [4, 1]))])
    try expect("x.npz: tensor x: the model takes f32[1, 4], but an array of f32[4, 1] is given")
    try arrays("x.npz", [("in.x", floats([0, 1, 2, 3], [4]))])
    try expect("x.npz: tensor x: the model takes f32[1, 4], but an array of f32[4] is given")
    try arrays("x.npz", [("in.x", NpyArray(code: "i8", shape: [1, 4], data: TensorData([0, 1, 2, 3])))])
    try expect(
      "x.npz: tensor x: the model takes f32[1, 4], but an array of i64[1, 4] is given; convert it with .astype('float32')")
  }

  @Test("one symbol has one length in all inputs")
  func symbols() throws {
    let type = TensorType(.f32, [.symbol("n")])
    try model([SmallModel.node("Add", ["a", "b"], "y")], [("a", type), ("b", type)])
    try arrays("x.npz", [("in.a", floats([1, 2], [2])), ("in.b", floats([1], [1]))])
    try expect(
      "x.npz: tensor b: the model takes f32[n], but an array of f32[1] is given, and n is 2 in an input before it",
      model: "s.onnx")
    try arrays("x.npz", [("in.a", floats([1, 2], [2])), ("in.b", floats([1, 1], [2]))])
    #expect(try outputs("x.npz", model: "s.onnx") == [2, 3])
  }

  @Test("files that are no archives of arrays, or not whole")
  func damagedFiles() throws {
    try expect("gone.npz: no such file", inputs: "gone.npz")
    try runner.write("", "x.npz")
    try expect("x.npz: is empty; make it with numpy.savez")
    try runner.write("A letter to whom it may concern.\n", "x.npz")
    try expect("x.npz: is no .npz archive; make one with numpy.savez")
    try runner.write(Self.npy("'<f4'", "(1, 4)", fortran: false, [0, 1, 2, 3].flatMap(Self.bytes)), "x.npz")
    try expect("x.npz: is a single .npy array; make an .npz archive of named arrays with numpy.savez")
    try arrays("whole.npz", [("in.x", floats([0, 1, 2, 3], [1, 4]))])
    let whole = try runner.contents("whole.npz")
    for count in stride(from: 1, to: whole.count, by: 29) {
      try runner.write(Array(whole.prefix(count)), "x.npz")
      let outcome = try runner.run("run", "m.onnx", "--inputs", "x.npz")
      #expect(outcome.code == 4, "cut at \(count)")
      #expect(outcome.errors.hasPrefix("prunec: error: x.npz: is no"), "cut at \(count): \(outcome.errors)")
      #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }
    var flipped = whole
    flipped[whole.count / 2] ^= 1
    try runner.write(flipped, "x.npz")
    #expect(try runner.run("run", "m.onnx", "--inputs", "x.npz").code == 4)
  }

  @Test("Python objects are never unpickled")
  func objects() throws {
    // Loading it with pickle would run `touch pickled`.
    try runner.write(try #require(Data(base64Encoded: Self.pickled)).map(\.self), "x.npz")
    try expect("x.npz: array in.x: holds Python objects, which are never loaded", code: 3)
    #expect(!runner.exists("pickled"))
  }

  @Test("types that prunec does not compute with are named")
  func types() throws {
    func write(_ type: String, _ count: Int) throws {
      try runner.write(
        Self.zip("in.x.npy", Self.npy(type, "(1, 4)", fortran: false, Array(repeating: 0, count: 4 * count))), "x.npz")
    }
    try write("'<U1'", 4)
    try expect("x.npz: array in.x: holds strings, which prunec cannot compute with", code: 3)
    try write("'<M8[D]'", 8)
    try expect("x.npz: array in.x: is of type '<M8[D]', which prunec cannot read; convert it with .astype", code: 3)
    try write("[('a', '<f4')]", 4)
    try expect("x.npz: array in.x: has a structured type or a damaged header; save plain numbers")
    // A shape that no machine can hold is no reason to try.
    try runner.write(Self.zip("in.x.npy", Self.npy("'<f4'", "(9223372036854775807, 2)", fortran: true, [])), "x.npz")
    #expect(try runner.run("run", "m.onnx", "--inputs", "x.npz").errors.contains("do not fit its shape"))
  }

  @Test("an operator that nobody knows is named, and so is a type without numbers")
  func unsupported() throws {
    try model(
      [SmallModel.node("Relu", ["x"], "a"), SmallModel.node("Frobnicate", ["a"], "y", domain: "my.operators")],
      [("x", TensorType(.f32, [2]))])
    try arrays("x.npz", [("in.x", floats([1, 2], [2]))])
    try expect(
      "s.onnx: node node_y: my.operators::Frobnicate: prunec cannot execute this operator", code: 3, model: "s.onnx")
    try model([SmallModel.node("Identity", ["x"], "y")], [("x", TensorType(.string, [2]))])
    let outcome = try runner.run("run", "s.onnx")
    #expect(outcome.code == 3)
    #expect(outcome.errors == "prunec: error: s.onnx: tensor x: is string[2], which cannot be made up; give it with --inputs\n")
  }

  @Test("what needs more memory than the machine has is refused with the figure")
  func memory() throws {
    let shape = TensorType(.i64, [1])
    try model([SmallModel.node("Expand", ["x", "n"], "y")], [("x", TensorType(.f32, [1])), ("n", shape)])
    try arrays(
      "x.npz", [("in.x", floats([1], [1])), ("in.n", NpyArray(code: "i8", shape: [1], data: TensorData([1 << 44])))])
    let limit = ProcessInfo.processInfo.physicalMemory / 8 * 7
    try expect(
      "s.onnx: node node_y: makes a tensor f32[17592186044416], which takes 211106232532992 bytes to compute; at most \(limit) are "
        + "allowed here", model: "s.onnx")
    try arrays(
      "x.npz", [("in.x", floats([1], [1])), ("in.n", NpyArray(code: "i8", shape: [1], data: TensorData([3])))])
    #expect(try outputs("x.npz", model: "s.onnx") == [1, 1, 1])
    try model([SmallModel.node("Neg", ["x"], "y")], [("x", TensorType(.f32, [.symbol("n")]))])
    let random = try runner.run("run", "s.onnx", "--dim", "n=17592186044416")
    #expect(random.code == 4)
    #expect(
      random.errors
        == "prunec: error: s.onnx: tensor x: would be of shape [17592186044416], which takes 211106232532992 bytes to "
        + "make up; at most \(limit) are allowed here; give smaller lengths with --dim\n")
  }

  @Test("a loop without end is given up after --max-iterations turns")
  func endless() throws {
    try runner.write(try #require(Data(base64Encoded: Self.endlessLoop)).map(\.self), "s.onnx")
    try arrays("x.npz", [("in.x", floats([1], [1]))])
    try expect(
      "s.onnx: node y: Loop: did not end after 7 turns; allow more with --max-iterations", code: 1, model: "s.onnx",
      "--max-iterations", "7")
    try expect(
      "--max-iterations 0: a whole number of at least 1 is expected", code: 2, model: "s.onnx", "--max-iterations", "0")
  }

  @Test("outputs never go over what was read")
  func outputsOverInputs() throws {
    try arrays("x.npz", [("in.x", floats([0, 1, 2, 3], [1, 4]))])
    for target in ["x.npz", "m.onnx"] {
      let before = try runner.contents(target)
      let outcome = try runner.run("run", "m.onnx", "--inputs", "x.npz", "--outputs", target)
      #expect(outcome.code == 5)
      #expect(outcome.errors == "prunec: error: \(target): would overwrite the input; choose another name for the output\n")
      #expect(try runner.contents(target) == before)
    }
  }

  // MARK: - Files as numpy writes them

  private static func bytes(_ number: Float) -> [UInt8] { withUnsafeBytes(of: number.bitPattern.littleEndian, Array.init) }

  /// A .npy array of version 1.
  private static func npy(_ type: String, _ shape: String, fortran: Bool, _ content: [UInt8]) -> [UInt8] {
    let header = "{'descr': \(type), 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8) + content
  }

  /// A zip archive of one stored file.
  private static func zip(_ name: String, _ content: [UInt8]) -> [UInt8] {
    func little(_ number: Int, _ width: Int) -> [UInt8] { (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    var checksum: UInt32 = 0xFFFF_FFFF
    for byte in content {
      checksum ^= UInt32(byte)
      for _ in 0..<8 { checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xEDB8_8320 : checksum >> 1 }
    }
    let sizes = little(Int(~checksum), 4) + little(content.count, 4) + little(content.count, 4) + little(name.utf8.count, 2)
    let common = little(20, 2) + little(0, 8) + sizes + little(0, 2)
    let local = little(0x0403_4B50, 4) + common + Array(name.utf8) + content
    let directory = little(0x0201_4B50, 4) + little(20, 2) + common + little(0, 14) + Array(name.utf8)
    let end = little(0x0605_4B50, 4) + little(0, 4) + little(1, 2) + little(1, 2) + little(directory.count, 4)
    return local + directory + end + little(local.count, 4) + little(0, 2)
  }

  /// numpy.savez_compressed of in.x = [[0, 1, 2, 3]] in 32 bits.
  private static let compressed =
    "UEsDBC0AAAAIAAAAIQDt2baZ//////////8IABQAaW4ueC5ucHkBABAAkAAAAAAAAABQAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6Ce"
    + "ll9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GoY6CiaaOgq1CmQDLgYwaLAHEg5A5AAAUEsBAi0DLQAAAAgAAAAhAO3ZtplQAAAAkAAAAAgAAAAAAAAA"
    + "AAAAAIABAAAAAGluLngubnB5UEsFBgAAAAABAAEANgAAAIoAAAAAAA=="

  /// numpy.savez of an array of one object whose loading runs a command.
  private static let pickled =
    "UEsDBC0AAAAAAAAAIQCmot0i//////////8IABQAaW4ueC5ucHkBABAAPQEAAAAAAAA9AQAAAAAAAJNOVU1QWQEAdgB7J2Rlc2NyJzogJ3xPJywgJ2Zv"
    + "cnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEsIDEpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg"
    + "ICAgICAgICAgICAKgASVsgAAAAAAAACMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsA"
    + "hZRDAWKUh5RSlChLAUsBSwGGlGgDjAVkdHlwZZSTlIwCTziUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LP3SUYoldlIwFcG9zaXiUjAZzeXN0ZW2U"
    + "k5SMDXRvdWNoIHBpY2tsZWSUhZRSlGF0lGIuUEsBAi0DLQAAAAAAAAAhAKai3SI9AQAAPQEAAAgAAAAAAAAAAAAAAIABAAAAAGluLngubnB5UEsFBgAA"
    + "AAABAAEANgAAAHcBAAAAAA=="

  /// An ONNX model: a loop over x [1] without a bound on its turns whose body passes its condition on.
  private static let endlessLoop =
    "CA46gQEKWgoACgAKAXgSAXkiBExvb3AqSAoEYm9keTI9ChEKAWMSAm9uIghJZGVudGl0eQoLCgF2EgF3IgNOZWcSAWJaAwoBaVoDCgFjWgMKAXZiBAoCb2"
    + "5iAwoBd6ABBRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBI="
}
