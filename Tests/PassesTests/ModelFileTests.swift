import Formats
import Foundation
import Graph
import Passes
import TestSupport
import Testing

@Suite("Models as files have them")
struct ModelFileTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("prunec-model-file-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(try OnnxWriter.bytes(Self.model, patching: nil)).write(to: folder.appendingPathComponent("m.onnx"))
  }

  private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  private func bytes(_ name: String) throws -> Data { try Data(contentsOf: folder.appendingPathComponent(name)) }

  private static let model = NamedModel(
    name: "m", nodes: [NamedNode(type: "MatMul", name: "product", inputs: ["x", "w"], outputs: ["y"])],
    initializers: [
      NamedTensor(
        name: "w", type: TensorType(.f32, [4, 3]),
        content: TensorContent(TensorData((0..<12).map { Float($0) }), element: .f32, shape: [4, 3]))
    ], inputs: [NamedValue(name: "x", type: TensorType(.f32, [.symbol("batch"), 4]))],
    outputs: [NamedValue(name: "y", type: TensorType(.f32, [.symbol("batch"), 3]))])

  private func failure(_ body: () throws -> Void) -> Diagnostic? {
    do {
      try body()
      return nil
    } catch { return error as? Diagnostic }
  }

  @Test("The content tells the format, not the name")
  func content() throws {
    let onnx = try ModelFile.read(path("m.onnx"))
    #expect(onnx.format == .onnx)
    #expect(onnx.document != nil)
    try onnx.write(onnx.module, to: path("m.ir"))
    try FileManager.default.copyItem(atPath: path("m.ir"), toPath: path("container.onnx"))
    try FileManager.default.copyItem(atPath: path("m.onnx"), toPath: path("weights.ir"))
    try ModulePrinter.print(onnx.module).write(toFile: path("text.onnx"), atomically: true, encoding: .utf8)
    #expect(try ModelFile.read(path("container.onnx")).format == .irContainer)
    #expect(try ModelFile.read(path("weights.ir")).format == .onnx)
    #expect(try ModelFile.read(path("text.onnx")).format == .irText)
    for name in ["container.onnx", "weights.ir"] {
      #expect(differences(try ModelFile.read(path(name)).module, onnx.module) == [])
    }
  }

  @Test("A container remembers the ONNX file it came from: its digest, and how to write it again")
  func memory() throws {
    let onnx = try ModelFile.read(path("m.onnx"))
    let digest = try #require(try onnx.digest())
    #expect(digest == (try Sha256.hex(ofFile: path("m.onnx"))))
    #expect(try onnx.write(onnx.module, to: path("m.ir")) == bytes("m.ir").count)
    let container = try ModelFile.read(path("m.ir"))
    #expect(try container.digest() == digest)
    #expect(container.document != nil)
    try container.write(container.module, to: path("back.onnx"))
    #expect(try bytes("back.onnx") == bytes("m.onnx"))
  }

  @Test("A text without weights has no digest, and cannot become ONNX")
  func text() throws {
    let onnx = try ModelFile.read(path("m.onnx"))
    try ModulePrinter.print(onnx.module).write(
      toFile: path("t.ir"), atomically: true, encoding: .utf8)
    let text = try ModelFile.read(path("t.ir"))
    #expect(try text.digest() == nil)
    #expect(text.document == nil)
    #expect(!text.module.parametersWithoutData.isEmpty)
    #expect(failure { try text.write(text.module, to: path("t.onnx")) }?.kind == .invalid)
    try text.write(text.module, to: path("again.ir"))
    #expect(differences(try ModelFile.read(path("again.ir")).module, text.module) == [])
  }

  @Test("Nothing is written over the input, into no folder, or in a format that is none")
  func refusals() throws {
    let onnx = try ModelFile.read(path("m.onnx"))
    let before = try bytes("m.onnx")
    #expect(failure { try onnx.write(onnx.module, to: path("m.onnx")) }?.kind == .unwritable)
    #expect(try bytes("m.onnx") == before)
    #expect(failure { try onnx.write(onnx.module, to: path("gone/m.onnx")) }?.kind == .unwritable)
    #expect(failure { try onnx.write(onnx.module, to: path("m.pt")) }?.kind == .usage)
    #expect(failure { try onnx.write(onnx.module, to: path("fine.onnx")) } == nil)
  }
}
