import Formats
import Graph
import Testing

@Suite("Reading ONNX files")
struct OnnxReadTests {
  @Test(
    "every shared model is read", .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"),
    arguments: SharedModels.onnx)
  func sharedModels(path: String) throws {
    let model = try OnnxDocument.read(path: path).model
    #expect(!model.nodes.isEmpty)
    #expect(!model.outputs.isEmpty)
    #expect(model.initializers.allSatisfy { $0.content.byteCount == $0.type.element.byteCount(of: $0.content.elementCount) })
  }
}
