import Foundation
import Graph
import Testing

@testable import Formats

@Suite("Tensors in files beside the model")
struct ExternalDataTests {
  /// Writes a model whose tensor `w` (two rows of two) lies where `entries` say.
  private func model(in scratch: Scratch, _ entries: KeyValuePairs<String, String>) throws -> String {
    let bytes = OnnxSample.model { graph in
      graph.field(1, message: OnnxSample.node("MatMul", ["x", "w"], ["y"]))
      graph.field(5, message: OnnxSample.external("w", [2, 2], entries))
      graph.field(5, message: OnnxSample.floats("b", [1], [5]))
    }
    return try scratch.write(bytes, to: "m.onnx")
  }

  private func failure(_ scratch: Scratch, _ entries: KeyValuePairs<String, String>) throws -> String? {
    let path = try model(in: scratch, entries)
    return diagnostic { try OnnxDocument.read(path: path) }?.description.replacingOccurrences(of: path + ": ", with: "")
  }

  @Test("are read where they lie")
  func read() throws {
    let scratch = try Scratch()
    try scratch.write(bytes([Float(0), 1, 2, 3, 4]), to: "w.bin")
    let path = try model(in: scratch, ["location": "w.bin", "offset": "4", "length": "16"])
    let document = try OnnxDocument.read(path: path)
    #expect(document.model.initializer("w")?.floats == [1, 2, 3, 4])
    #expect(document.files == [path, scratch.file("w.bin")])
    let whole = try model(in: scratch, ["location": "./w.bin"])
    #expect(try OnnxDocument.read(path: whole).model.initializer("w")?.floats == [0, 1, 2, 3])
  }

  @Test("must lie in the model's folder")
  func outside() throws {
    let scratch = try Scratch()
    #expect(
      try failure(scratch, ["location": "../w.bin"]) == "tensor w: its external data '../w.bin' leaves the model's folder")
    #expect(
      try failure(scratch, ["location": "/etc/passwd"])
        == "tensor w: its external data '/etc/passwd' is an absolute path; it must be relative to the model's folder")
    try FileManager.default.createSymbolicLink(atPath: scratch.file("link.bin"), withDestinationPath: "/etc/passwd")
    #expect(
      try failure(scratch, ["location": "link.bin"])
        == "tensor w: its external data 'link.bin' is a symbolic link that leaves the model's folder; copy the file there")
    try scratch.write(bytes([Float(0), 1, 2, 3]), to: "w.bin")
    try FileManager.default.createSymbolicLink(atPath: scratch.file("inside.bin"), withDestinationPath: "w.bin")
    #expect(try failure(scratch, ["location": "inside.bin"]) == nil)
  }

  @Test("must be there, and long enough")
  func missing() throws {
    let scratch = try Scratch()
    #expect(
      try failure(scratch, ["location": "w.bin"])
        == "tensor w: its external data 'w.bin' does not exist beside the model; copy it there")
    #expect(try failure(scratch, [:]) == "tensor w: its external data '' is no file name")
    try scratch.write(bytes([Float(0), 1, 2, 3]), to: "w.bin")
    #expect(
      try failure(scratch, ["location": "w.bin", "offset": "4"])
        == "tensor w: its external data is bytes 4 to 20 of 'w.bin', which has 16")
    #expect(
      try failure(scratch, ["location": "w.bin", "offset": "-1"])
        == "tensor w: the offset of its external data is '-1', which is no byte count")
    #expect(
      try failure(scratch, ["location": "w.bin", "offset": "\(Int.max)", "length": "9"])?
        .hasPrefix("tensor w: its external data is bytes \(Int.max) to") ?? false)
    #expect(try failure(scratch, ["location": "w.bin", "length": "8"]) == "tensor w: holds 8 bytes, but f32[2, 2] needs 16")
    let memory = try contents(try model(in: scratch, ["location": "w.bin"]))
    #expect(
      diagnostic { try OnnxDocument(bytes: memory) }?.message
        == "its external data 'w.bin' cannot be found: the model was not read from a file")
  }

  @Test("come out in one file beside the new model; small inline ones stay inline")
  func written() throws {
    let scratch = try Scratch()
    try scratch.write(bytes([Float(1), 2, 3, 4]), to: "w.bin")
    let document = try OnnxDocument.read(path: try model(in: scratch, ["location": "w.bin", "checksum": "no longer true"]))
    var model = document.model
    model.keep([nil, [1]], of: "w")
    try OnnxWriter.write(model, patching: document, to: scratch.file("out.onnx"))
    #expect(scratch.names == ["m.onnx", "out.onnx", "out.onnx.data", "w.bin"])
    #expect(try contents(scratch.file("out.onnx.data")) == bytes([Float(2), 4]))
    let again = try OnnxDocument.read(path: scratch.file("out.onnx"))
    #expect(again.model.initializer("w")?.floats == [2, 4])
    #expect(again.model.initializer("b")?.floats == [5])
    #expect(again.files == [scratch.file("out.onnx"), scratch.file("out.onnx.data")])
    #expect(!String(decoding: try contents(scratch.file("out.onnx")), as: UTF8.self).contains("checksum"))
  }

  @Test("are never overwritten by the output's")
  func notOverwritten() throws {
    let scratch = try Scratch()
    try scratch.write(bytes([Float(1), 2, 3, 4]), to: "out.onnx.data")
    let document = try OnnxDocument.read(path: try model(in: scratch, ["location": "out.onnx.data"]))
    let found = diagnostic { try OnnxWriter.write(document.model, patching: document, to: scratch.file("out.onnx")) }
    #expect(found?.kind == .unwritable)
    #expect(found?.message == "would overwrite the input; choose another name for the output")
    #expect(scratch.names == ["m.onnx", "out.onnx.data"])
    #expect(try contents(scratch.file("out.onnx.data")) == bytes([Float(1), 2, 3, 4]))
  }

  @Test("inside subgraphs and constants follow too, wherever they are")
  func nested() throws {
    let scratch = try Scratch()
    try scratch.write(bytes([Float(1), 2, 3, 4, 5, 6]), to: "w.bin")
    let branch: WireMessage = .of { graph in
      graph.field(1, message: OnnxSample.node("Identity", ["inner"], ["r"]))
      graph.field(5, message: OnnxSample.external("inner", [2], ["location": "w.bin", "offset": "16"]))
      graph.field(12, message: OnnxSample.value("r", [2]))
    }
    let bytes = OnnxSample.model { graph in
      graph.field(
        1,
        message: OnnxSample.node("If", ["c"], ["y"]) {
          $0.field(5, message: OnnxSample.attribute("then_branch", 5) { $0.field(6, message: branch) })
        })
      graph.field(
        1,
        message: OnnxSample.node("Constant", [], ["k"]) {
          $0.field(
            5,
            message: OnnxSample.attribute("value", 4) {
              $0.field(5, message: OnnxSample.external("", [4], ["location": "w.bin"]))
            })
        })
    }
    let document = try OnnxDocument.read(path: try scratch.write(bytes, to: "m.onnx"))
    try OnnxWriter.write(document.model, patching: document, to: scratch.file("out.onnx"))
    try FileManager.default.removeItem(atPath: scratch.file("w.bin"))
    let again = try OnnxDocument.read(path: scratch.file("out.onnx")).model
    #expect(again.nodes[0].subgraphs[0].graph.initializer("inner")?.floats == [5, 6])
    guard case .tensor(_, let data)? = again.attribute("value", of: "k") else {
      Issue.record("the constant is gone")
      return
    }
    #expect(data.numbers(as: Float.self) == [1, 2, 3, 4])
  }

  @Test("take the large initialisers of a model that protobuf cannot hold, and only then")
  func spill() throws {
    let scratch = try Scratch()
    let bytes = OnnxSample.model { graph in
      graph.field(5, message: OnnxSample.floats("large", [400], [Float](repeating: 2, count: 400)))
      graph.field(5, message: OnnxSample.floats("small", [2], [1, 2]))
    }
    let document = try OnnxDocument(bytes: bytes)
    try OnnxWriter.write(document.model, patching: document, to: scratch.file("a.onnx"), notOver: [], largest: 2000)
    #expect(scratch.names == ["a.onnx"])
    try OnnxWriter.write(document.model, patching: document, to: scratch.file("b.onnx"), notOver: [], largest: 1000)
    #expect(scratch.names == ["a.onnx", "b.onnx", "b.onnx.data"])
    #expect(try contents(scratch.file("b.onnx.data")).count == 1600)
    let again = try OnnxDocument.read(path: scratch.file("b.onnx")).model
    #expect(again.initializer("large")?.floats == [Float](repeating: 2, count: 400))
    #expect(again.initializer("small")?.floats == [1, 2])
    let found = diagnostic {
      try OnnxWriter.write(document.model, patching: document, to: scratch.file("c.onnx"), notOver: [], largest: 50)
    }
    #expect(found?.kind == .unwritable)
    #expect(!scratch.names.contains("c.onnx"))
  }
}
