import Formats
import Graph
import Testing

@Suite("ONNX out again")
struct OnnxRoundTripTests {
  @Test(
    "an unchanged model comes out byte for byte", .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"),
    arguments: SharedModels.onnx)
  func unchanged(path: String) throws {
    let document = try OnnxDocument.read(path: path)
    let scratch = try Scratch()
    try OnnxWriter.write(document.model, patching: document, to: scratch.file("out.onnx"))
    #expect(try contents(scratch.file("out.onnx")) == contents(path))
    #expect(scratch.names == ["out.onnx"])
  }
}
