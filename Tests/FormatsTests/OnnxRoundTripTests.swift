import Foundation
import Graph
import Testing

@testable import Formats

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

  @Test("an unchanged sample comes out byte for byte, with what prunec does not know")
  func unchangedSample() throws {
    let document = try OnnxDocument(bytes: OnnxSample.linear)
    #expect(try OnnxWriter.bytes(document.model, patching: document) == OnnxSample.linear)
  }

  /// The sample after `change`, written and read again, with its bytes as text.
  private func patched(_ change: (inout NamedModel) -> Void) throws -> (model: NamedModel, text: String) {
    let document = try OnnxDocument(bytes: OnnxSample.linear)
    var model = document.model
    change(&model)
    let bytes = try OnnxWriter.bytes(model, patching: document)
    return (try OnnxDocument(bytes: bytes).model, String(decoding: bytes, as: UTF8.self))
  }

  @Test("a cut initialiser has new numbers and shape, its doc string, and its input's type follows")
  func initializer() throws {
    let (model, text) = try patched { $0.keep([nil, [0, 2]], of: "w") }
    #expect(model.initializer("w")?.type == TensorType(.f32, [2, 2]))
    #expect(model.initializer("w")?.floats == [1, 3, 4, 6])
    #expect(model.inputs.map(\.type) == [TensorType(.f32, [.symbol("batch"), 2]), TensorType(.f32, [2, 2])])
    #expect(text.contains("about w") && text.contains("what w is"))
    #expect(model.initializer("b")?.floats == [7, 8, 9])
  }

  @Test("an initialiser that the importer left out of the inputs keeps its entry there")
  func initializerInput() throws {
    let (model, _) = try patched { $0.inputs.removeAll { $0.name == "w" } }
    #expect(model.inputs.map(\.name) == ["x", "w"])
    let (gone, _) = try patched { model in
      model.inputs.removeAll { $0.name == "w" }
      model.initializers.removeAll { $0.name == "w" }
    }
    #expect(gone.inputs.map(\.name) == ["x"])
    #expect(gone.initializers.map(\.name) == ["b"])
  }

  @Test("only the attribute that changed is written anew")
  func attribute() throws {
    let (model, text) = try patched { $0.nodes[3].attributes[0].value = .int(-1) }
    #expect(model.attribute("axis", of: "y") == .int(-1))
    #expect(model.attribute("note", of: "y") == .string("kept"))
    #expect(model.nodes[3].name == "node of y")
    #expect(text.contains("why Concat") && text.contains("layer 1"))
    let (fewer, _) = try patched { $0.nodes[3].attributes.removeLast() }
    #expect(fewer.nodes[3].attributes.map(\.name) == ["axis"])
  }

  @Test("every kind of attribute can be set anew")
  func attributeKinds() throws {
    let values: [AttributeValue] = [
      .int(-7), .float(1.5), .string("t"), .ints([1, -2]), .floats([0.5, -0]), .strings(["a", "b"]), .ints([]), .floats([]),
    ]
    for value in values {
      #expect(try patched { $0.set("axis", of: "y", to: value) }.model.attribute("axis", of: "y") == value)
    }
  }

  @Test("a constant's tensor changes like any other attribute")
  func constant() throws {
    let (model, text) = try patched {
      $0.set("value", of: "c", to: .tensor(TensorType(.f32, [2]), TensorData([Float(8), 9])))
    }
    guard case .tensor(let type, let data)? = model.attribute("value", of: "c") else {
      Issue.record("the constant is gone")
      return
    }
    #expect(type == TensorType(.f32, [2]))
    #expect(data.numbers(as: Float.self) == [8, 9])
    #expect(text.contains("why Constant"))
  }

  @Test("nodes follow the model: new operands, another order, removed and added ones")
  func nodes() throws {
    let (model, text) = try patched { model in
      model.nodes[2].inputs = ["h", "k"]
      model.nodes.remove(at: 1)
      model.nodes.insert(NamedNode(domain: "own", type: "Make", name: "made", inputs: [], outputs: ["k"]), at: 0)
      model.nodes.swapAt(1, 2)
    }
    #expect(model.nodes.map(\.type) == ["Make", "Add", "MatMul", "Concat"])
    #expect(model.nodes[0].domain == "own")
    #expect(model.nodes[1].inputs == ["h", "k"])
    #expect(text.contains("why Add") && !text.contains("why Constant"))
  }

  @Test("a new initialiser comes after those of the file")
  func newInitializer() throws {
    let content = TensorContent(TensorData([Int64(4)]), element: .i64, shape: [1])
    let (model, _) = try patched {
      $0.initializers.insert(NamedTensor(name: "n", type: TensorType(.i64, [1]), content: content), at: 0)
    }
    #expect(model.initializers.map(\.name) == ["w", "b", "n"])
    #expect(model.initializer("n")?.content.data.numbers(as: Int64.self) == [4])
  }

  @Test("types of intermediate values follow the model; what it does not know is dropped, what it does not mention stays")
  func valueInfos() throws {
    let (model, text) = try patched { model in
      model.valueTypes["h"] = TensorType(.f16, [.symbol("batch"), 2])
      model.valueTypes["s"] = .unranked(.f32)
    }
    #expect(model.valueTypes == ["h": TensorType(.f16, [.symbol("batch"), 2])])
    #expect(text.contains("what h is") && !text.contains("what s is"))
    let (silent, _) = try patched { $0.valueTypes = [:] }
    #expect(silent.valueTypes.keys.sorted() == ["h", "s"])
    let (removed, _) = try patched { $0.nodes[0].outputs = ["h2"] }
    #expect(removed.valueTypes.keys.sorted() == ["s"])
  }

  @Test("the extents of a value that stay keep their own bytes")
  func partialShape() throws {
    let (_, before) = try patched { _ in }
    let (model, text) = try patched { $0.outputs[0].type = TensorType(.f32, [.symbol("batch"), 4]) }
    #expect(model.outputs[0].type == TensorType(.f32, [.symbol("batch"), 4]))
    #expect(text.components(separatedBy: "AXIS").count == before.components(separatedBy: "AXIS").count)
  }

  @Test("a model without an original is a new file with everything in it")
  func fresh() throws {
    let original = try OnnxDocument(bytes: OnnxSample.linear).model
    var copy = original
    for index in copy.nodes.indices { copy.nodes[index].source = nil }
    let model = try OnnxDocument(bytes: try OnnxWriter.bytes(copy, patching: nil)).model
    #expect(model.nodes.map(\.type) == original.nodes.map(\.type))
    #expect(model.nodes.map(\.inputs) == original.nodes.map(\.inputs))
    #expect(model.attribute("note", of: "y") == .string("kept"))
    #expect(model.initializer("w")?.floats == [1, 2, 3, 4, 5, 6])
    #expect(model.inputs.map(\.type) == original.inputs.map(\.type))
    #expect(model.valueTypes == original.valueTypes)
    #expect(model.opsets == original.opsets)
  }

  @Test("a node that carries its message comes out with its doc string even in a new file")
  func carriedSource() throws {
    let original = try OnnxDocument(bytes: OnnxSample.linear).model
    let text = String(decoding: try OnnxWriter.bytes(original, patching: nil), as: UTF8.self)
    #expect(text.contains("why Concat") && !text.contains("a graph"))
  }

  @Test("text tensors stay as they are and are not changed silently")
  func textTensors() throws {
    let bytes = OnnxSample.model { graph in
      graph.field(
        5,
        message: OnnxSample.tensor("words", 8, [2]) {
          $0.field(6, text: "a"); $0.field(6, text: "b")
        })
    }
    let document = try OnnxDocument(bytes: bytes)
    #expect(try OnnxWriter.bytes(document.model, patching: document) == bytes)
    var model = document.model
    model.keep([[0]], of: "words")
    #expect(
      diagnostic { try OnnxWriter.bytes(model, patching: document) }?.message
        == "text tensors can be kept or dropped, not changed")
  }

  @Test("the output is never one of the inputs")
  func notOverInput() throws {
    let scratch = try Scratch()
    let path = try scratch.write(OnnxSample.linear, to: "m.onnx")
    let document = try OnnxDocument.read(path: path)
    let found = diagnostic { try OnnxWriter.write(document.model, patching: document, to: path) }
    #expect(found?.description == "\(path): would overwrite the input; choose another name for the output")
    #expect(try contents(path) == OnnxSample.linear)
  }
}
