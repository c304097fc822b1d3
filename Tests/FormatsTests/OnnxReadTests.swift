import Graph
import Testing

@testable import Formats

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

  @Test("nodes, tensors, values, types and operator sets are found under their names")
  func parts() throws {
    let model = try OnnxDocument(bytes: OnnxSample.linear).model
    #expect(model.name == "linear")
    #expect(model.opsets == ["": 17])
    #expect(model.nodes.map(\.type) == ["MatMul", "Constant", "Add", "Concat"])
    #expect(model.nodes[3].name == "node of y")
    #expect(model.nodes[3].inputs == ["s", "b"])
    #expect(model.attribute("axis", of: "y") == .int(1))
    #expect(model.attribute("note", of: "y") == .string("kept"))
    #expect(model.initializer("w")?.floats == [1, 2, 3, 4, 5, 6])
    #expect(model.initializer("w")?.type == TensorType(.f32, [2, 3]))
    #expect(model.inputs.map(\.name) == ["x", "w"])
    #expect(model.inputs[0].type == TensorType(.f32, [.symbol("batch"), 2]))
    #expect(model.outputs.map(\.name) == ["y"])
    #expect(model.valueTypes["s"] == TensorType(.f32, [.symbol("batch"), 3]))
  }

  @Test("raw numbers are not copied: they are the bytes of the file")
  func noCopy() throws {
    let document = try OnnxDocument(bytes: OnnxSample.linear)
    let data = try #require(document.model.initializer("w")?.content.data)
    #expect(data.store === document.model.nodes[0].source?.store)
  }

  @Test("a dimension is a number, an expression, a name, or a symbol of its own")
  func dimensions() throws {
    let model = try OnnxDocument(
      bytes: OnnxSample.model { $0.field(11, message: OnnxSample.value("x", [3, "2*seq + 1", "any/thing", nil, "batch"])) }
    ).model
    let shape = model.inputs[0].type.shape
    #expect(shape[0] == 3)
    #expect(shape[1] == Extent.symbol("seq") * 2 + 1)
    #expect(shape[2] == .symbol("any/thing"))
    #expect(shape[3] == .symbol("?x.3"))
    #expect(shape[4] == .symbol("batch"))
  }

  @Test("a value without a shape, or that is no tensor, is unranked")
  func unranked() throws {
    let sequence: WireMessage = .of { $0.field(4, message: .of { $0.field(1, message: WireMessage()) }) }
    let model = try OnnxDocument(
      bytes: OnnxSample.model { graph in
        graph.field(11, message: .of { $0.field(1, text: "bare") })
        graph.field(
          11,
          message: .of {
            $0.field(1, text: "list")
            $0.field(2, message: sequence)
          })
        graph.field(
          11,
          message: .of {
            $0.field(1, text: "ids")
            $0.field(2, message: .of { $0.field(1, message: .of { $0.field(1, int: 7) }) })
          })
      }
    ).model
    #expect(model.inputs.map(\.type) == [.unranked(.unknown), .unranked(.unknown), .unranked(.i64)])
  }

  @Test("every kind of attribute, with and without its stated kind")
  func attributes() throws {
    func model(_ stated: Bool) throws -> NamedModel {
      func attribute(_ name: String, _ kind: Int, _ value: OnnxSample.Build) -> WireMessage {
        OnnxSample.attribute(name, stated ? kind : 0, value)
      }
      return try OnnxDocument(
        bytes: OnnxSample.model { graph in
          graph.field(
            1,
            message: OnnxSample.node("Any", [], ["y"]) { node in
              node.field(5, message: attribute("f", 1) { $0.field(2, float: 0.5) })
              node.field(5, message: attribute("i", 2) { $0.field(3, int: -3) })
              node.field(5, message: attribute("s", 3) { $0.field(4, text: "é") })
              node.field(5, message: attribute("t", 4) { $0.field(5, message: OnnxSample.floats("", [2], [1, 2])) })
              node.field(
                5,
                message: attribute("fs", 6) {
                  $0.field(7, float: 1)
                  $0.field(7, float: 2)
                })
              // Two numbers apart and two packed in one field: both spellings are in use.
              node.field(
                5,
                message: attribute("is", 7) {
                  $0.field(8, int: 1)
                  $0.field(8, int: -1)
                  $0.field(8, bytes: [0x96, 0x01, 0x05])
                })
              node.field(5, message: attribute("ss", 8) { $0.field(9, text: "a") })
              node.field(5, message: attribute("bytes", 3) { $0.field(4, bytes: [0xFF, 0xFE]) })
            })
        }
      ).model
    }
    for stated in [true, false] {
      let model = try model(stated)
      #expect(model.attribute("f", of: "y") == .float(0.5))
      #expect(model.attribute("i", of: "y") == .int(-3))
      #expect(model.attribute("s", of: "y") == .string("é"))
      #expect(model.attribute("fs", of: "y") == .floats([1, 2]))
      #expect(model.attribute("is", of: "y") == .ints([1, -1, 150, 5]))
      #expect(model.attribute("ss", of: "y") == .strings(["a"]))
      guard case .tensor(let type, let data)? = model.attribute("t", of: "y") else {
        Issue.record("t is no tensor")
        continue
      }
      #expect(type == TensorType(.f32, [2]))
      #expect(data.numbers(as: Float.self) == [1, 2])
      guard case .raw? = model.attribute("bytes", of: "y") else {
        Issue.record("bytes that are no text must stay bytes")
        continue
      }
    }
  }

  @Test("numbers in typed fields become raw bytes")
  func typedData() throws {
    func read(_ code: Int, _ count: Int, _ data: OnnxSample.Build) throws -> TensorData {
      let model = OnnxSample.model { $0.field(5, message: OnnxSample.tensor("t", code, [count], data: data)) }
      return try #require(try OnnxDocument(bytes: model).model.initializer("t")).content.data
    }
    let packed: OnnxSample.Build = { $0.field(5, bytes: [0x01, 0x80, 0x01, 0x7F]) }
    #expect(try read(1, 2) { $0.field(4, bytes: bytes([Float(1), 2])) }.numbers(as: Float.self) == [1, 2])
    #expect(
      try read(1, 2) {
        $0.field(4, float: 1)
        $0.field(4, bytes: bytes([Float(2)]))
      }.numbers(as: Float.self) == [1, 2])
    #expect(try read(6, 3, packed).numbers(as: Int32.self) == [1, 128, 127])
    #expect(try read(5, 1) { $0.field(5, int: -2) }.numbers(as: Int16.self) == [-2])
    #expect(try read(9, 3) { $0.field(5, bytes: [1, 0, 1]) }.numbers(as: UInt8.self) == [1, 0, 1])
    #expect(try read(10, 1) { $0.field(5, int: 0x3C00) }.numbers(as: UInt16.self) == [0x3C00])
    #expect(try read(22, 3) { $0.field(5, bytes: [0x21, 0x03]) }.numbers(as: UInt8.self) == [0x21, 0x03])
    #expect(
      try read(7, 2) {
        $0.field(7, int: -5)
        $0.field(7, int: 6)
      }.numbers(as: Int64.self) == [-5, 6])
    #expect(try read(11, 1) { $0.field(10, bytes: bytes([Double(2.5)])) }.numbers(as: Double.self) == [2.5])
    #expect(try read(12, 1) { $0.field(11, int: 7) }.numbers(as: UInt32.self) == [7])
    #expect(
      try read(8, 2) {
        $0.field(6, text: "a"); $0.field(6, text: "bc")
      }.count == 0)
  }

  @Test("the standard operator set has one name")
  func standardDomain() throws {
    let model = try OnnxDocument(
      bytes: OnnxSample.model { graph in
        graph.field(1, message: OnnxSample.node("Relu", ["x"], ["y"]) { $0.field(7, text: "ai.onnx") })
        graph.field(1, message: OnnxSample.node("Gelu", ["y"], ["z"]) { $0.field(7, text: "com.microsoft") })
      }
    ).model
    #expect(model.nodes.map(\.domain) == ["", "com.microsoft"])
  }

  @Test("a node with subgraphs says what they read from outside, at any depth, and nothing else")
  func captures() throws {
    let inner: WireMessage = .of { graph in
      graph.field(1, message: OnnxSample.node("Add", ["local", "deep"], ["r"]))
      graph.field(12, message: OnnxSample.value("r", []))
    }
    let outer: WireMessage = .of { graph in
      graph.field(1, message: OnnxSample.node("Mul", ["given", "weight"], ["local"]))
      graph.field(1, message: OnnxSample.node("Add", ["own", "p"], ["q"]))
      graph.field(
        1,
        message: OnnxSample.node("If", ["q"], ["t"]) {
          $0.field(5, message: OnnxSample.attribute("then_branch", 5) { $0.field(6, message: inner) })
        })
      graph.field(5, message: OnnxSample.floats("own", [1], [1]))
      graph.field(11, message: OnnxSample.value("p", []))
      graph.field(12, message: OnnxSample.value("t", []))
      graph.field(12, message: OnnxSample.value("passed", []))
    }
    let model = try OnnxDocument(
      bytes: OnnxSample.model {
        $0.field(
          1,
          message: OnnxSample.node("Loop", ["n"], ["y"]) {
            $0.field(5, message: OnnxSample.attribute("body", 5) { $0.field(6, message: outer) })
          })
      }
    ).model
    #expect(model.nodes[0].captures == ["given", "weight", "deep", "passed"])
    #expect(model.nodes[0].subgraphs.map(\.name) == ["body"])
    #expect(model.nodes[0].subgraphs[0].graph.nodes[2].captures == ["local", "deep"])
    #expect(model.nodes[0].subgraphs[0].graph.nodes[2].subgraphs[0].graph.nodes[0].type == "Add")
  }

  @Test("functions are read with their own operator sets")
  func functions() throws {
    let function: WireMessage = .of { function in
      function.field(1, text: "Swish")
      function.field(4, text: "x")
      function.field(5, text: "y")
      function.field(7, message: OnnxSample.node("Sigmoid", ["x"], ["y"]))
      function.field(9, message: .of { $0.field(2, int: 18) })
      function.field(10, text: "custom")
    }
    let bytes = OnnxSample.model { $0.field(2, text: "g") } + WireMessage.of { $0.field(25, message: function) }.bytes()
    let found = try #require(try OnnxDocument(bytes: bytes).model.functions.first)
    #expect(found.domain == "custom")
    #expect(found.type == "Swish")
    #expect(found.nodes.map(\.type) == ["Sigmoid"])
    #expect(found.opsets == ["": 18])
  }
}
