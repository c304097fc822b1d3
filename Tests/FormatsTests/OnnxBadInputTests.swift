import Foundation
import Graph
import Testing

@testable import Formats

@Suite("ONNX files that cannot be read say why")
struct OnnxBadInputTests {
  /// What the reader says of some bytes.
  private func failure(_ bytes: [UInt8]) -> String? { diagnostic { try OnnxDocument(bytes: bytes) }?.description }

  /// What the reader says of a model with one initialiser.
  private func failure(_ tensor: WireMessage) -> String? { failure(OnnxSample.model { $0.field(5, message: tensor) }) }

  @Test("a file that is not there, a folder, an empty file")
  func files() throws {
    let scratch = try Scratch()
    let missing = scratch.file("none.onnx")
    #expect(diagnostic { try OnnxDocument.read(path: missing) }?.description == "\(missing): no such file")
    #expect(diagnostic { try OnnxDocument.read(path: scratch.path) }?.description == "\(scratch.path): is a folder, not a file")
    let empty = try scratch.write([], to: "empty.onnx")
    #expect(diagnostic { try OnnxDocument.read(path: empty) }?.description == "\(empty): is empty, not an ONNX model")
    #expect(diagnostic { try OnnxDocument.read(path: empty) }?.kind == .invalid)
    #expect(diagnostic { try OnnxDocument.read(path: "/dev/null") }?.message == "is not a regular file; save it to disk first")
  }

  @Test(
    "what is no model is named for what it is",
    arguments: [
      ("hello, this is a text", "is not an ONNX model: damaged: field 13 is of the unknown wire type"),
      (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "is not an ONNX model: it is a Git LFS pointer; fetch the file itself"
      ),
      ("PK\u{3}\u{4}....", "is not an ONNX model: it is a ZIP archive (a PyTorch checkpoint?)"),
      ("<!DOCTYPE html><html>", "is not an ONNX model: it is a web page"),
      ("\u{8}\u{7}", "is not an ONNX model: it has no graph"),
    ])
  func notModels(text: String, message: String) {
    #expect(failure(Array(text.utf8))?.contains(message) ?? false, "\(failure(Array(text.utf8)) ?? "accepted")")
  }

  @Test("a file that is cut off anywhere is refused, in one line")
  func truncated() throws {
    let weights = [Float](repeating: 1, count: 4096)
    let whole = OnnxSample.model { $0.field(5, message: OnnxSample.floats("w", [64, 64], weights)) }
    for length in stride(from: 0, to: whole.count - 40, by: 1024) {
      let message = try #require(failure(Array(whole[..<length])))
      #expect(message.contains(length == 0 ? "is empty" : "is not an ONNX model: cut off or damaged: field 7 claims"))
      #expect(!message.contains("\n"))
    }
    #expect(failure(whole) == nil)
  }

  @Test("numbers that do not fill the shape: both counts are named")
  func sizes() {
    #expect(failure(OnnxSample.floats("w", [4, 4], [1, 2, 3])) == "tensor w: holds 12 bytes, but f32[4, 4] needs 64")
    #expect(failure(OnnxSample.floats("w", [2], [1, 2, 3])) == "tensor w: holds 12 bytes, but f32[2] needs 8")
    let typed = OnnxSample.tensor("w", 7, [3]) { $0.field(7, int: 1) }
    #expect(failure(typed) == "tensor w: holds 8 bytes, but i64[3] needs 24")
    let text = OnnxSample.tensor("w", 8, [3]) { $0.field(6, text: "a") }
    #expect(failure(text) == "tensor w: holds 1 strings, but string[3] needs 3")
    #expect(failure(OnnxSample.tensor("w", 1, [1 << 20]) { _ in }) == "tensor w: holds 0 bytes, but f32[1048576] needs 4194304")
    #expect(failure(OnnxSample.floats("w", [2], [1, 2])) == nil)
  }

  @Test("extents below zero or beyond memory")
  func extents() {
    #expect(failure(OnnxSample.floats("w", [2, -3], [])) == "tensor w: its shape [2, -3] has a negative extent")
    let huge = Int.max
    #expect(failure(OnnxSample.floats("w", [huge, huge], [])) == "tensor w: its shape [\(huge), \(huge)] is too large")
    #expect(failure(OnnxSample.floats("w", [0, huge], [])) == "tensor w: its shape [0, \(huge)] is too large")
    // An input's axis of any length is written so by some exporters.
    #expect(failure(OnnxSample.model { $0.field(11, message: OnnxSample.value("x", [1, -1])) }) == nil)
    #expect(failure(OnnxSample.floats("w", [0, 5], [])) == nil)
  }

  @Test("data types that ONNX does not have")
  func types() {
    #expect(failure(OnnxSample.tensor("w", 99, [1]) { _ in }) == "tensor w: its data type 99 is not one that ONNX defines")
    #expect(failure(OnnxSample.tensor("w", 0, [1]) { _ in }) == "tensor w: its data type 0 is not one that ONNX defines")
    let value: WireMessage = .of {
      $0.field(1, text: "x")
      $0.field(2, message: .of { $0.field(1, message: .of { $0.field(1, int: 27) }) })
    }
    #expect(
      failure(OnnxSample.model { $0.field(12, message: value) }) == "tensor x: its data type 27 is not one that ONNX defines")
  }

  @Test("sparse initialisers are named as unsupported")
  func sparse() {
    let sparse: WireMessage = .of { $0.field(1, message: OnnxSample.floats("table", [1], [1])) }
    let found = diagnostic { try OnnxDocument(bytes: OnnxSample.model { $0.field(15, message: sparse) }) }
    #expect(found?.kind == .unsupported)
    #expect(found?.message == "sparse initialiser 'table': make it dense first")
  }

  @Test("a node without an operator, graphs in graphs without end")
  func structure() {
    #expect(
      failure(OnnxSample.model { $0.field(1, message: .of { $0.field(3, text: "n") }) }) == "node n: a node has no operator type")
    var graph = WireMessage()
    for _ in 0..<200 {
      let inner = graph
      graph = .of {
        $0.field(
          1,
          message: OnnxSample.node("If", [], ["y"]) {
            $0.field(5, message: OnnxSample.attribute("b", 5) { $0.field(6, message: inner) })
          })
      }
    }
    #expect(
      failure(WireMessage.of { $0.field(7, message: graph) }.bytes())?.hasSuffix("graphs are nested more than 24 deep") ?? false)
  }
}
