import Graph
import Testing

@testable import Formats

@Suite("The ONNX part of a container")
struct SkeletonTests {
  /// The numbers of a model by name, those of constants by the name of their result.
  private func numbers(_ model: NamedModel) -> [String: TensorContent] {
    var contents = Dictionary(uniqueKeysWithValues: model.initializers.map { ($0.name, $0.content) })
    for node in model.nodes where node.type == "Constant" {
      guard case .tensor(let type, let data)? = node.attributes.first?.value, let shape = type.staticShape else { continue }
      contents[node.outputs[0]] = TensorContent(data, element: type.element, shape: shape)
    }
    return contents
  }

  /// A model with weights that are easy to find in its bytes.
  private let sample = OnnxSample.model { graph in
    graph.field(1, message: OnnxSample.constant("c", [Float](repeating: 1234.5, count: 9)))
    graph.field(1, message: OnnxSample.node("Add", ["w", "c"], ["y"]))
    graph.field(5, message: OnnxSample.floats("w", [9], [Float](repeating: 5432.1, count: 9)))
    graph.field(5, message: OnnxSample.floats("none", [0], []))
    graph.field(12, message: OnnxSample.value("y", [9]))
  }

  @Test("holds no numbers of initialisers and constants, and everything else")
  func withoutNumbers() throws {
    let document = try OnnxDocument(bytes: sample)
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    #expect(skeleton.count < sample.count)
    func holds(_ number: Float) -> Bool {
      let pattern = bytes([number, number])
      return skeleton.indices.contains { skeleton[$0...].starts(with: pattern) }
    }
    #expect(!holds(1234.5) && !holds(5432.1))
    let text = String(decoding: skeleton, as: UTF8.self)
    #expect(text.contains("about w") && text.contains("why Constant") && text.contains("from a later version"))
  }

  @Test("with the numbers it is the file again, byte for byte where those were raw")
  func reunited() throws {
    let document = try OnnxDocument(bytes: sample)
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    let again = try OnnxDocument(skeleton: skeleton, tensors: numbers(document.model))
    #expect(again.model.initializer("w")?.floats == [Float](repeating: 5432.1, count: 9))
    #expect(try OnnxWriter.bytes(again.model, patching: again) == sample)
    // The same with the model's own tensors in place of the container's: what an exporter supplies is what comes out.
    let bare = try OnnxDocument(skeleton: skeleton, tensors: [:])
    #expect(bare.model.initializers.map(\.name) == ["none"])
    #expect(try OnnxWriter.bytes(document.model, patching: bare) == sample)
  }

  @Test("numbers that nobody supplies are missed, not made up")
  func missing() throws {
    let document = try OnnxDocument(bytes: sample)
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    let bare = try OnnxDocument(skeleton: skeleton, tensors: [:])
    #expect(diagnostic { try OnnxWriter.bytes(bare.model, patching: bare) }?.message == "the container has no numbers for it")
    let wrong = TensorContent(TensorData([Float(1)]), element: .f32, shape: [1])
    #expect(
      diagnostic { try OnnxDocument(skeleton: skeleton, tensors: ["w": wrong]) }?.description
        == "tensor w: the container has f32[1], its ONNX part f32[9]")
  }

  @Test("a skeleton on its own is no model that could be mistaken for one")
  func notAModel() throws {
    let document = try OnnxDocument(bytes: sample)
    let scratch = try Scratch()
    let path = try scratch.write(try OnnxWriter.skeleton(document.model, patching: document), to: "s.onnx")
    #expect(try OnnxDocument.read(path: path).model.initializers.map(\.name) == ["none"])
  }

  @Test("tensors that were external are so again when the file is written")
  func external() throws {
    let scratch = try Scratch()
    try scratch.write(bytes([Float(1), 2]), to: "w.bin")
    let path = try scratch.write(
      OnnxSample.model { $0.field(5, message: OnnxSample.external("w", [2], ["location": "w.bin"])) }, to: "m.onnx")
    let document = try OnnxDocument.read(path: path)
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    let again = try OnnxDocument(skeleton: skeleton, tensors: numbers(document.model))
    try OnnxWriter.write(again.model, patching: again, to: scratch.file("out.onnx"))
    #expect(scratch.names == ["m.onnx", "out.onnx", "out.onnx.data", "w.bin"])
    #expect(try OnnxDocument.read(path: scratch.file("out.onnx")).model.initializer("w")?.floats == [1, 2])
  }

  @Test(
    "every shared model survives the way through a container",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"),
    arguments: SharedModels.onnx)
  func sharedModels(path: String) throws {
    let document = try OnnxDocument.read(path: path)
    let scratch = try Scratch()
    let tensors = numbers(document.model).sorted { $0.key < $1.key }.map {
      NamedTensor(name: $0.key, type: TensorType($0.value.element, $0.value.shape.map { Extent($0) }), content: $0.value)
    }
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    let digest = Sha256.hex(of: skeleton)
    try IrContainer(text: "module m {\n\t\"é\"\n}", tensors: tensors, skeleton: skeleton, sourceDigest: digest).write(
      to: scratch.file("m.ir"))
    let container = try IrContainer.read(path: scratch.file("m.ir"))
    #expect(container.text == "module m {\n\t\"é\"\n}")
    #expect(container.sourceDigest == digest)
    let again = try OnnxDocument(skeleton: try #require(container.skeleton), tensors: container.contents)
    let (before, after) = (document.model, again.model)
    #expect(after.nodes.map(\.outputs) == before.nodes.map(\.outputs))
    let rewritten = try OnnxDocument(bytes: try OnnxWriter.bytes(after, patching: again)).model
    #expect(rewritten.initializers.map(\.name) == before.initializers.map(\.name))
    for (x, y) in zip(before.initializers, rewritten.initializers) {
      #expect(x.type == y.type)
      #expect(x.content.data.numbers(as: UInt8.self) == y.content.data.numbers(as: UInt8.self))
    }
  }
}
