import Graph
import Testing

@Suite("Types of whole modules")
struct TypeInferenceTests {
  private func input(_ name: String, _ shape: String, _ element: ElementType = .f32) -> NamedValue {
    NamedValue(name: name, type: TensorType(element, extents(shape)))
  }

  private func list(_ name: String, _ numbers: [Int64], scalar: Bool = false) -> NamedTensor {
    let shape = scalar ? [] : [numbers.count]
    return NamedTensor(
      name: name, type: TensorType(.i64, shape.map { Extent($0) }),
      content: TensorContent(TensorData(numbers), element: .i64, shape: shape))
  }

  private func node(
    _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [(name: String, value: AttributeValue)] = [],
    domain: String = ""
  ) -> NamedNode { NamedNode(domain: domain, type: type, inputs: inputs, outputs: outputs, attributes: attributes) }

  private func types(_ model: NamedModel) throws -> [String: String] {
    Dictionary(uniqueKeysWithValues: try Importer.module(from: model).values.map { ($0.name, "\($0.type)") })
  }

  @Test("a reshape target computed from a shape follows the symbols, and never an example")
  func shapeArithmetic() throws {
    var model = NamedModel(name: "attention", inputs: [input("x", "batch, seq, 64")], outputs: [input("y", "batch, 4, seq, 16")])
    model.initializers = [
      list("first", [0], scalar: true), list("second", [1], scalar: true), list("zero", [0]), list("tail", [4, -1]),
    ]
    model.nodes = [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "first"], ["batch"]), node("Gather", ["shape", "second"], ["length"]),
      node("Unsqueeze", ["batch", "zero"], ["batch1"]), node("Unsqueeze", ["length", "zero"], ["length1"]),
      node("Concat", ["batch1", "length1", "tail"], ["target"], [("axis", .int(0))]),
      node("Reshape", ["x", "target"], ["heads"]),
      node("Transpose", ["heads"], ["y"], [("perm", .ints([0, 2, 1, 3]))]),
    ]
    let types = try types(model)
    #expect(types["heads"] == "f32[batch, seq, 4, 16]")
    #expect(types["y"] == "f32[batch, 4, seq, 16]")
    #expect(types["target"] == "i64[4]")
  }

  @Test("the legacy exporter's expand folds: −1 in the shape stands for the operand's extent, a symbol never is −1")
  func legacyExpand() throws {
    var model = NamedModel(name: "expand", inputs: [input("x", "1, 1, 64"), input("y", "batch, 3")], opsets: ["": 17])
    model.outputs = [NamedValue(name: "z", type: .unranked(.unknown))]
    model.initializers = [
      list("first", [0], scalar: true), list("zero", [0]), list("rest", [-1, -1]), list("minus", [-1]), list("rank", [3]),
    ]
    let one = AttributeValue.tensor(TensorType(.i64, [1]), TensorData([Int64(1)]))
    model.nodes = [
      node("Shape", ["y"], ["shape"]), node("Gather", ["shape", "first"], ["batch"]),
      node("Unsqueeze", ["batch", "zero"], ["batch1"]),
      node("Concat", ["batch1", "rest"], ["wanted"], [("axis", .int(0))]),
      node("ConstantOfShape", ["rank"], ["ones"], [("value", one)]),
      node("Mul", ["ones", "minus"], ["minusOnes"]), node("Equal", ["wanted", "minusOnes"], ["same"]),
      node("Where", ["same", "ones", "wanted"], ["target"]), node("Expand", ["x", "target"], ["z"]),
    ]
    #expect(try types(model)["z"] == "f32[batch, 1, 64]")
  }

  @Test("opaque results have the types the file states; what reads them goes on from there")
  func opaque() throws {
    var model = NamedModel(
      name: "custom", inputs: [input("x", "batch, 8")], outputs: [NamedValue(name: "z", type: .unranked(.unknown))])
    model.nodes = [node("Strange", ["x"], ["y"], domain: "my.domain"), node("Relu", ["y"], ["z"])]
    #expect(try types(model)["z"] == "unknown[?]")
    model.valueTypes = ["y": TensorType(.f32, [.symbol("batch"), 8])]
    #expect(try types(model)["z"] == "f32[batch, 8]")
  }

  @Test("a stated extent counts where the inferred one depends on data, and nowhere else")
  func stated() throws {
    var model = NamedModel(
      name: "nonzero", inputs: [input("x", "batch, 8")], outputs: [NamedValue(name: "y", type: .unranked(.unknown))])
    model.nodes = [node("NonZero", ["x"], ["y"])]
    model.valueTypes = ["y": TensorType(.i64, [2, 5])]
    #expect(try types(model)["y"] == "i64[2, 5]")
    model.nodes = [node("Relu", ["x"], ["y"])]
    model.valueTypes = ["y": TensorType(.f32, [4, 8])]
    #expect(try types(model)["y"] == "f32[batch, 8]")
  }

  @Test(
    "an output may be declared with other symbols, or with a number for a symbol",
    arguments: [("n, 8", "f32[batch, 8]"), ("4, 8", "f32[batch, 8]"), ("n, m", "f32[batch, 8]")])
  func outputs(declared: String, type: String) throws {
    var model = NamedModel(name: "relu", inputs: [input("x", "batch, 8")], outputs: [input("y", declared)])
    model.nodes = [node("Relu", ["x"], ["y"])]
    #expect(try types(model)["y"] == type)
  }

  @Test(
    "an output declared with another number, rank or element type is refused",
    arguments: [("batch, 9", ElementType.f32), ("batch, 8, 1", .f32), ("batch, 8", .f16)])
  func outputsRefused(declared: String, element: ElementType) {
    var model = NamedModel(name: "relu", inputs: [input("x", "batch, 8")], outputs: [input("y", declared, element)])
    model.nodes = [node("Relu", ["x"], ["y"])]
    #expect {
      try Importer.module(from: model)
    } throws: {
      "\($0)" == "tensor y: is declared as output \(element.rawValue)[\(declared)], but the graph makes f32[batch, 8]"
    }
  }

  @Test("inferring a typed module again, its own types stated, finds the same")
  func again() throws {
    var model = NamedModel(
      name: "slice", inputs: [input("x", "batch, seq-1")], outputs: [NamedValue(name: "z", type: .unranked(.unknown))])
    model.initializers = [list("from", [0]), list("to", [5]), list("axis", [1])]
    model.nodes = [
      node("Slice", ["x", "from", "to", "axis"], ["a-b"]), node("NonZero", ["a-b"], ["y-1"]),
      node("Concat", ["y-1", "y-1"], ["z"], [("axis", .int(1))]),
    ]
    let module = try Importer.module(from: model)
    let stated = Dictionary(uniqueKeysWithValues: module.values.indices.map { (ValueID($0), module.values[$0].type) })
    #expect(try TypeInference.run(module).types == module.values.map(\.type))
    #expect(try TypeInference.run(module, declared: stated).types == module.values.map(\.type))
    #expect(try Importer.module(from: Exporter.model(of: module)).values == module.values)
  }

  @Test("a failure names the node, and the operator's own words")
  func failure() {
    var model = NamedModel(name: "add", inputs: [input("x", "batch, 8"), input("w", "7")], outputs: [input("y", "batch, 8")])
    model.nodes = [NamedNode(type: "Add", name: "add_1", inputs: ["x", "w"], outputs: ["y"])]
    #expect {
      try Importer.module(from: model)
    } throws: {
      "\($0)" == "node add_1: add: shapes [batch, 8] and [7] do not broadcast: 8 meets 7"
    }
  }

  @Test("real parameters of any size are followed where all that meets them is known")
  func realParameters() throws {
    let numbers = (0..<100).map { Float($0) }
    var model = NamedModel(name: "table", outputs: [NamedValue(name: "y", type: .unranked(.unknown))])
    model.initializers = [
      NamedTensor(
        name: "a", type: TensorType(.f32, [100]), content: TensorContent(TensorData(numbers), element: .f32, shape: [100]))
    ]
    model.nodes = [node("Neg", ["a"], ["y"])]
    let module = try Importer.module(from: model)
    let inferred = try TypeInference.run(module)
    #expect(inferred.numbers[module.outputs[0].index]?.entries.last == .real(-99))
  }
}
