import Formats
import Graph
import TestSupport
import Testing

@Suite(".ir files")
struct IrFileTests {
  static let text = """
    module m {
      opset 20
      param %w : f32[3, 16]
      param %scale : f32[1] = [0.5]
      param %zero : u4[3]
      param %target : i64[2] = [-1, 16]
      param %empty : f16[0, 2]
      func (%x: f32[n, 3]) -> (%z: f32[n, 16]) {
        %y = matmul %x, %w : f32[n, 16] @"first"
        %z = reshape %y, %target : f32[n, 16]
      }
    }

    """

  /// The module of the text, with numbers for all parameters.
  static func module() throws -> Module {
    try ModuleParser.parse(
      text,
      parameters: [
        "w": TensorContent(TensorData((0..<48).map { Float($0) }), element: .f32, shape: [3, 16]),
        "zero": TensorContent(TensorData([UInt8(0x21), 3]), element: .u4, shape: [3]),
        "empty": TensorContent(TensorData([UInt8]()), element: .f16, shape: [0, 2]),
      ])
  }

  @Test("a module with weights is a safetensors file, and comes back with all it was given")
  func container() throws {
    let scratch = try Scratch()
    let path = scratch.file("m.anything")
    let module = try Self.module()
    let other = NamedTensor(
      name: "other", type: TensorType(.i64, [1]), content: TensorContent(TensorData([Int64(7)]), element: .i64, shape: [1]))
    try IrFile.write(module, skeleton: [1, 2, 3], sourceDigest: "abc", others: [other], to: path)
    let back = try IrFile.read(path)
    #expect(differences(module, back.module).isEmpty)
    #expect(back.module.nodes[0].name == "first")
    #expect(back.skeleton == [1, 2, 3] && back.sourceDigest == "abc" && back.others.map(\.name) == ["other"])
    #expect(Set(back.contents.keys) == ["w", "scale", "zero", "target", "empty", "other"])
    // Any safetensors reader finds the real numbers as tensors; small whole numbers stand in the text alone.
    let file = try Safetensors.read(path: path)
    #expect(Set(file.tensors.map(\.name)) == ["w", "scale", "zero", "empty", "other"])
    // Weights lie in the mapped file.
    let w = try #require(back.module.parameters.first?.content)
    let scale = back.module.parameters[1].content
    #expect(w.data.store === scale.data.store && w.data.store.count > 48 * 4)
  }

  @Test("a part of a parameter is written as what is left of it")
  func sliced() throws {
    let scratch = try Scratch()
    var module = try ModuleParser.parse("module m { param %w : f32[3, 16] func () -> () { } }")
    let whole = try #require(try Self.module().parameters.first?.content)
    module.parameters[0].content = whole.keeping([[0, 2], [1, 3]])
    module.values[module.parameters[0].value.index].type = TensorType(.f32, [2, 2])
    try IrFile.write(module, to: scratch.file("m.ir"))
    let content = try #require(try IrFile.read(scratch.file("m.ir")).module.parameters.first?.content)
    #expect(content.data.numbers(as: Float.self) == [1, 3, 33, 35])
  }

  @Test("a module without weights is text, and stays so")
  func text() throws {
    let scratch = try Scratch()
    let path = try scratch.write(("// by hand\n" + Self.text).utf8, to: "m.safetensors")
    let read = try IrFile.read(path)
    #expect(read.module.parametersWithoutData.count == 2 && read.skeleton == nil && read.sourceDigest == nil)
    try IrFile.write(read.module, to: scratch.file("again.ir"), notOver: [path])
    #expect(try String(decoding: contents(scratch.file("again.ir")), as: UTF8.self).hasPrefix("module m {\n"))
    #expect(differences(try IrFile.read(scratch.file("again.ir")).module, read.module).isEmpty)
  }

  @Test("text is told by its first word")
  func recognition() {
    func isText(_ text: String) -> Bool { IrFile.isText(TensorData(Array(text.utf8)).store) }
    #expect(isText("module m {}") && isText(" // a\n//\n\tmodule") && isText("module"))
    #expect(!isText("") && !isText("/module") && !isText("// module") && !isText("\u{8}module") && !isText("{module"))
  }

  @Test("what cannot be read is refused, with the place")
  func refusals() throws {
    let scratch = try Scratch()
    func message(_ bytes: some Sequence<UInt8>) throws -> String? {
      let path = try scratch.write(bytes, to: "m.ir")
      return diagnostic { try IrFile.read(path) }?.description.replacing(scratch.path + "/", with: "")
    }
    #expect(try message("module m {".utf8) == "m.ir:1:11: expected opset, param or func, not the end of the text")
    #expect(
      try message([8, 7, 0, 1])
        == "m.ir: is neither the text of a module nor a safetensors file; 'prunec convert' makes a .ir of an .onnx file")
    #expect(diagnostic { try IrFile.read(scratch.file("none.ir")) }?.kind == .invalid)

    let module = try Self.module()
    let printed = ModulePrinter.print(module, options: .withoutFloats)
    let w = NamedTensor(name: "w", type: TensorType(.f32, [3, 16]), content: module.parameters[0].content)
    func message(text: String, _ tensors: [NamedTensor]) throws -> String? {
      try IrContainer(text: text, tensors: tensors).write(to: scratch.file("c.ir"))
      return diagnostic { try IrFile.read(scratch.file("c.ir")) }?.description.replacing(scratch.path + "/", with: "")
    }
    #expect(try message(text: printed, [w]) == "c.ir: tensor scale: its numbers are not in the file (and those of 1 more)")
    #expect(
      try message(text: printed.replacing("%w : f32[3, 16]", with: "%w : f32[16, 3]"), [w])
        == "c.ir: in the module's text: 3:14: states f32[16, 3], but f32[3, 16] is stored")
    try Safetensors.write([w], metadata: [:], to: scratch.file("w.ir"))
    #expect(diagnostic { try IrFile.read(scratch.file("w.ir")) }?.message.contains("weights alone") == true)
  }

  @Test("what cannot be stored is refused, and leaves no file")
  func unwritable() throws {
    let scratch = try Scratch()
    var module = try Self.module()
    module.parameters[0].content = TensorContent(TensorData([UInt8]()), element: .f32, shape: [3, 16])
    #expect(diagnostic { try IrFile.write(module, to: scratch.file("a.ir")) }?.place == .tensor("w"))
    var texts = try Self.module()
    let id = texts.add(Value(name: "labels", type: TensorType(.string, [2])))
    texts.parameters.append(Parameter(value: id, content: TensorContent(TensorData([UInt8]()), element: .string, shape: [2])))
    let refused = diagnostic { try IrFile.write(texts, to: scratch.file("a.ir")) }
    #expect(refused?.kind == .unsupported && refused?.place == .tensor("labels"))
    let whole = try Self.module()
    let input = try scratch.write([1], to: "input.ir")
    #expect(diagnostic { try IrFile.write(whole, to: input, notOver: [input]) } != nil)
    #expect(scratch.names == ["input.ir"])
    #expect(try contents(input) == [1])
  }

  @Test("damaged files are read or refused, never more")
  func fuzz() throws {
    let scratch = try Scratch()
    try IrFile.write(try Self.module(), skeleton: [1, 2], to: scratch.file("m.ir"))
    let whole = try contents(scratch.file("m.ir"))
    for round in 0..<testCount("PRUNEC_FUZZ", default: 2000) {
      var random = SeededGenerator(seed: UInt64(round))
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if round % 5 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
      do throws(Diagnostic) {
        let file = try IrFile(TensorData(bytes).store)
        #expect(file.module.parametersWithoutData.isEmpty)
      } catch {
        #expect([.invalid, .unsupported].contains(error.kind))
      }
    }
  }
}
