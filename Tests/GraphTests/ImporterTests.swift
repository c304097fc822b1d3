import Graph
import Testing

@Suite("Importing and exporting named models")
struct ImporterTests {
  private let x = NamedValue(name: "x", type: TensorType(.f32, [.symbol("batch"), 4]))
  private let y = NamedValue(name: "y", type: .unranked(.unknown))

  private func model(_ nodes: [NamedNode], initializers: [NamedTensor] = [], inputs: [NamedValue]? = nil) -> NamedModel {
    NamedModel(name: "test", nodes: nodes, initializers: initializers, inputs: inputs ?? [x], outputs: [y])
  }

  private func relu(_ input: String, _ output: String, name: String = "") -> NamedNode {
    NamedNode(type: "Relu", name: name, inputs: [input], outputs: [output])
  }

  private func floats(_ name: String, _ numbers: [Float]) -> NamedTensor {
    NamedTensor(
      name: name, type: TensorType(.f32, [Extent(numbers.count)]),
      content: TensorContent(TensorData(numbers), element: .f32, shape: [numbers.count]))
  }

  private func message(_ model: NamedModel) -> String {
    do throws(Diagnostic) {
      _ = try Importer.module(from: model)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  // MARK: - Names

  @Test("a name that nothing makes is told with the node that reads it")
  func missing() {
    #expect(message(model([relu("z", "y", name: "act")])) == "node act: Relu: reads z, which no node, input or initializer makes")
    #expect(message(model([relu("x", "z")])) == "tensor y: is an output, but no node, input or initializer makes it")
  }

  @Test("nodes move behind what they read, and only those")
  func order() throws {
    func order(_ nodes: [NamedNode]) throws -> [String] { try Importer.module(from: model(nodes)).nodes.map(\.name) }
    let (first, late, last) = (relu("a", "b", name: "first"), relu("x", "a", name: "late"), relu("b", "y", name: "last"))
    let other = relu("x", "c", name: "other")
    #expect(try order([first, other, late, last]) == ["other", "late", "first", "last"])
    #expect(try order([last, first, late, other]) == ["late", "first", "last", "other"])
    #expect(try order([late, other, first, last]) == ["late", "other", "first", "last"])
  }

  @Test("a cycle cannot be put in order")
  func cycles() {
    let cycle = [NamedNode(type: "Add", inputs: ["x", "b"], outputs: ["a"]), relu("a", "b"), relu("b", "y")]
    #expect(message(model(cycle)) == "node a: Add: reads b, which node 1 (Relu) makes out of its result: a cycle")
    #expect(message(model([relu("y", "y")])) == "node y: Relu: reads y, which it makes itself")
  }

  @Test("a name that is made twice is told with its makers")
  func twice() {
    #expect(
      message(model([relu("x", "y"), relu("x", "y", name: "other")]))
        == "tensor y: is made by node 0 (Relu) and node other (Relu); names must be unique")
    #expect(message(model([relu("x", "x")])) == "tensor x: is made by an input and node 0 (Relu); names must be unique")
    #expect(
      message(model([relu("x", "y")], initializers: [floats("w", [1]), floats("w", [2])]))
        == "tensor w: is made by an initializer and an initializer; names must be unique")
  }

  @Test("initializers that an old file lists among its inputs are parameters, not inputs")
  func oldFiles() throws {
    let listed = [x, NamedValue(name: "w", type: TensorType(.f32, [4]))]
    let add = NamedNode(type: "Add", inputs: ["x", "w"], outputs: ["y"])
    let module = try Importer.module(from: model([add], initializers: [floats("w", [1, 2, 3, 4])], inputs: listed))
    #expect(module.inputs.map { module[$0].name } == ["x"])
    #expect(module.parameters.map { module[$0.value].name } == ["w"])
    let twice = Importer.self
    #expect(throws: Diagnostic.self) { try twice.module(from: model([relu("x", "y")], inputs: [x, x])) }
  }

  @Test("operands and results that an operator does not have are refused; values that nothing reads stay")
  func arity() throws {
    let three = NamedNode(type: "Relu", name: "r", inputs: ["x", "x"], outputs: ["y"])
    #expect(message(model([three])) == "node r: Relu has 2 operands, but takes 1")
    #expect(
      message(model([NamedNode(type: "Concat", inputs: [], outputs: ["y"])]))
        == "node y: Concat has 0 operands, but takes at least 1")
    #expect(message(model([NamedNode(type: "Clip", inputs: ["", "x"], outputs: ["y"])])).contains("operand 0 is missing"))
    let module = try Importer.module(from: model([relu("x", "y"), relu("x", "unread")], initializers: [floats("w", [1])]))
    #expect(module.nodes.count == 2 && module.parameters.count == 1)
  }

  @Test("a failure in a model of an old operator set says what to do")
  func oldOpset() {
    var old = model([
      NamedNode(type: "Slice", inputs: ["x"], outputs: ["y"], attributes: [("starts", .ints([0])), ("ends", .ints([1]))])
    ])
    old.opsets = ["": 9]
    #expect(
      message(old)
        == "node y: Slice has 1 operands, but takes 3 to 5 (the model uses operator set 9, prunec reads 11 and newer: convert it first)"
    )
  }

  // MARK: - Opaque nodes

  @Test(
    "foreign operators, foreign attributes, control flow and calls of functions are opaque; captures are values that they read")
  func opaque() throws {
    let bytes = TensorData([1, 2, 3] as [UInt8])
    let inner = NamedModel(name: "then", nodes: [relu("x", "t")], outputs: [NamedValue(name: "t", type: .unranked(.unknown))])
    var test = model([
      NamedNode(domain: "ai.onnx.ml", type: "Scaler", inputs: ["x"], outputs: ["a"], source: bytes),
      NamedNode(type: "Relu", inputs: ["x"], outputs: ["b"], attributes: [("strange", .int(1))], source: bytes),
      NamedNode(
        type: "If", inputs: ["c"], outputs: ["d"], captures: ["x", "a"], subgraphs: [("then_branch", inner)], source: bytes),
      NamedNode(domain: "local", type: "Relu", inputs: ["x"], outputs: ["y"], source: bytes),
    ])
    test.inputs.append(NamedValue(name: "c", type: TensorType(.bool, [])))
    test.functions = [NamedFunction(domain: "local", type: "Relu", inputs: ["x"], outputs: ["y"], nodes: [], opsets: [:])]
    let module = try Importer.module(from: test)
    for node in module.nodes {
      guard case .opaque(let opaque) = node.operation else {
        Issue.record("\(node.operation.textName) is not opaque")
        continue
      }
      #expect(opaque.source == [1, 2, 3])
    }
    #expect(module.nodes[2].captures.map { module[$0].name } == ["x", "a"])
    let exported = Exporter.model(of: module)
    #expect(exported.nodes.map { $0.source?.numbers(as: UInt8.self) } == Array(repeating: [1, 2, 3], count: 4))
    #expect(exported.nodes[2].captures == ["x", "a"])
    test.nodes[2].captures = ["nowhere"]
    #expect(message(test) == "node d: If: reads nowhere, which no node, input or initializer makes")
  }

  @Test("an attribute that could not be written again must not be dropped")
  func foreignAttribute() {
    let strange = NamedNode(type: "Relu", inputs: ["x"], outputs: ["y"], attributes: [("strange", .int(1))])
    #expect(message(model([strange])) == "node y: Relu: the attribute strange cannot be kept without the node's bytes")
  }

  // MARK: - Constants

  private func constant(_ name: String, _ attribute: String, _ value: AttributeValue) -> NamedNode {
    NamedNode(type: "Constant", inputs: [], outputs: [name], attributes: [(attribute, value)])
  }

  @Test("constants become parameters, and come out in the form and the place in which they were")
  func constants() throws {
    let tensor = AttributeValue.tensor(TensorType(.i64, [2]), TensorData([Int64(2), 2]))
    let nodes = [
      constant("unused", "value_string", .string("text")), relu("x", "r"), constant("target", "value", tensor),
      constant("axis", "value_ints", .ints([1])), constant("one", "value_int", .int(1)),
      constant("half", "value_float", .float(0.5)),
      constant("halves", "value_floats", .floats([0.5, 0.25])), constant("words", "value_strings", .strings(["a", "b"])),
      NamedNode(type: "Unsqueeze", inputs: ["r", "axis"], outputs: ["y"]),
    ]
    let module = try Importer.module(from: model(nodes))
    #expect(module.nodes.count == 2)
    let types = module.parameters.map { "\(module[$0.value].name) \(module[$0.value].type)" }
    #expect(
      types == [
        "unused string[]", "target i64[2]", "axis i64[1]", "one i64[]", "half f32[]", "halves f32[2]", "words string[2]",
      ])
    let exported = Exporter.model(of: module)
    #expect(exported.nodes.map(\.outputs) == nodes.map(\.outputs))
    #expect(exported.initializers.isEmpty)
    for (exported, original) in zip(exported.nodes, nodes) {
      #expect(exported.attributes.map(\.name) == original.attributes.map(\.name))
      #expect(exported.attributes.map(\.value) == original.attributes.map(\.value))
    }
  }

  @Test("a constant whose numbers changed comes out as a tensor; the others keep their form")
  func changedConstant() throws {
    let nodes = [
      constant("a", "value_ints", .ints([1, 2])), constant("b", "value_ints", .ints([3, 4])),
      NamedNode(type: "Concat", inputs: ["a", "b"], outputs: ["y"], attributes: [("axis", .int(0))]),
    ]
    var module = try Importer.module(from: model(nodes))
    module.parameters[0].content = module.parameters[0].content.keeping([[1]])
    let exported = Exporter.model(of: module)
    guard case .tensor(let type, let data)? = exported.nodes[0].attributes.first?.value else {
      Issue.record("no tensor")
      return
    }
    #expect(exported.nodes[0].attributes.map(\.name) == ["value"])
    #expect("\(type)" == "i64[1]" && data.numbers(as: Int64.self) == [2])
    #expect(exported.nodes[1].attributes.first?.value == .ints([3, 4]))
    #expect(exported.valueTypes["a"] == TensorType(.i64, [1]), "as files that state the types of constants must")
    #expect(exported.valueTypes["b"] == TensorType(.i64, [2]))
  }

  @Test("a constant stands before whatever reads it, wherever its node was")
  func constantPlace() throws {
    let nodes = [
      relu("x", "r"), constant("axis", "value_ints", .ints([1])),
      NamedNode(type: "Unsqueeze", inputs: ["r", "axis"], outputs: ["y"]),
    ]
    var module = try Importer.module(from: model(nodes))
    module.nodes[1].position = 0
    let exported = Exporter.model(of: module)
    #expect(exported.nodes.map(\.type) == ["Relu", "Constant", "Unsqueeze"])
    _ = try Importer.module(from: exported)
  }

  @Test("sparse constants are unsupported, constants without one value invalid")
  func badConstants() {
    #expect(
      message(model([constant("y", "sparse_value", .raw([]))]))
        == "node y: Constant: sparse values are not supported; make it dense first")
    #expect(
      message(model([NamedNode(type: "Constant", inputs: [], outputs: ["y"])]))
        == "node y: Constant: has 0 attributes, but takes one")
    #expect(message(model([constant("y", "value_int", .float(1))])).contains("the attribute value_int is no value"))
  }

  // MARK: - Dressing

  /// The module as the text form would give it back: no names, places, or homes of constants.
  private func undressed(_ module: Module) -> Module {
    var module = module
    for index in module.nodes.indices {
      module.nodes[index].name = ""
      module.nodes[index].position = index
      if case .opaque(let opaque) = module.nodes[index].operation {
        module.nodes[index].operation = .opaque(Opaque(domain: opaque.domain, type: opaque.type))
      }
    }
    for index in module.parameters.indices { module.parameters[index].home = .initializer }
    return module
  }

  private var dressed: NamedModel {
    model([
      constant("axis", "value_ints", .ints([1])), relu("x", "r", name: "act"),
      NamedNode(domain: "my", type: "Own", name: "own", inputs: ["r"], outputs: ["o"], source: TensorData([7] as [UInt8])),
      NamedNode(type: "Unsqueeze", name: "grow", inputs: ["r", "axis"], outputs: ["y"]),
    ])
  }

  @Test("the model a module came from gives it back names, places, constants and the bytes of opaque nodes")
  func dressing() throws {
    let original = try Importer.module(from: dressed)
    var module = undressed(original)
    let adopted = module.adopt(dressing: dressed)
    #expect(adopted)
    #expect(module.nodes.map(\.name) == ["act", "own", "grow"])
    #expect(module.nodes.map(\.position) == [1, 2, 3])
    #expect(module.nodes.map(\.operation) == original.nodes.map(\.operation))
    #expect(Exporter.model(of: module).nodes.map(\.outputs) == dressed.nodes.map(\.outputs))
  }

  @Test("another model must not dress a module, and changes nothing")
  func otherDressing() throws {
    let bare = undressed(try Importer.module(from: dressed))
    var variants: [NamedModel] = []
    for index in dressed.nodes.indices {
      var fewer = dressed
      fewer.nodes.remove(at: index)
      // Without the constant, its numbers are simply an initializer.
      if index > 0 { variants.append(fewer) }
      var renamed = dressed
      renamed.nodes[index].outputs = ["other"]
      variants.append(renamed)
    }
    var other = dressed
    other.nodes[1].type = "Sigmoid"
    variants.append(other)
    other = dressed
    other.nodes[3].inputs = ["x", "axis"]
    variants.append(other)
    for variant in variants {
      var module = bare
      let adopted = module.adopt(dressing: variant)
      #expect(!adopted)
      #expect(module.nodes.map(\.name) == ["", "", ""])
    }
  }
}
