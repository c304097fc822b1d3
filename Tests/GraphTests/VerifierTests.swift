import Testing

@testable import Graph

@Suite("The structural verifier")
struct VerifierTests {
  /// A valid module that each test breaks in one place: values 0 weight, 1 x, 2 h, 3 y.
  private func valid() throws -> Module {
    try ModuleParser.parse(
      """
      module m {
        opset 20
        param %weight : f32[3, 2] = [1, 2, 3, 4, 5, 6]
        func (%x: f32[n, 3]) -> (%y: f32[n, 2]) {
          %h = matmul %x, %weight : f32[n, 2]
          %y = softmax %h axis=-1 : f32[n, 2]
        }
      }
      """)
  }

  private func faults(_ change: (inout Module) -> Void) throws -> [String] {
    var module = try valid()
    change(&module)
    return module.faults().map(\.description)
  }

  @Test("finds nothing wrong with a valid module, with leftovers, or without weights")
  func accepts() throws {
    #expect(try faults { _ in }.isEmpty)
    #expect(try faults { _ = $0.add(Value(name: "h", type: .unranked(.unknown))) }.isEmpty)
    #expect(
      try faults { $0.parameters[0].content = TensorContent(TensorData([UInt8]()), element: .f32, shape: [3, 2]) }.isEmpty)
    #expect(try faults { $0.outputs += [ValueID(0), ValueID(1), ValueID(3)] }.isEmpty)
    #expect(try faults { $0.nodes[0].inputs[1] = nil }.isEmpty)
    try valid().verify()
  }

  @Test("throws the first fault, and lists all")
  func throwing() throws {
    var module = try valid()
    module.nodes.swapAt(0, 1)
    module.outputs = [ValueID(9)]
    #expect(throws: Diagnostic(.invalid, "operand 0 is 'h', which is not defined before", at: .node("y"))) { try module.verify() }
    #expect(module.faults().count == 2)
  }

  @Test("a value is defined once, and before it is used")
  func definitions() throws {
    #expect(try faults { $0.nodes.swapAt(0, 1) } == ["node y: operand 0 is 'h', which is not defined before"])
    #expect(try faults { $0.nodes[1].outputs = [ValueID(2)] }.first == "tensor h: a result of node h is defined a second time")
    #expect(try faults { $0.inputs.append(ValueID(1)) } == ["tensor x: an input is defined a second time"])
    #expect(try faults { $0.inputs.append(ValueID(0)) } == ["tensor weight: an input is defined a second time"])
    #expect(try faults { $0.nodes.removeLast() } == ["an output is 'y', which is not defined before"])
    #expect(
      try faults { $0.nodes[0].captures = [ValueID(3)] } == ["node h: a capture is 'y', which is not defined before"])
  }

  @Test("references lie within the values")
  func references() throws {
    #expect(try faults { $0.nodes[1].inputs = [ValueID(7)] } == ["node y: operand 0 is value 7, of 4 values"])
    #expect(try faults { $0.nodes[1].inputs = [ValueID(-1)] } == ["node y: operand 0 is value -1, of 4 values"])
    #expect(try faults { $0.outputs = [ValueID(4)] } == ["an output is value 4, of 4 values"])
    #expect(try faults { $0.inputs.append(ValueID(4)) } == ["an input is value 4, of 4 values"])
    #expect(try faults { $0.parameters[0].copyOf = ValueID(4) } == ["tensor weight: is a copy of value 4, which does not exist"])
    #expect(try faults { $0.parameters[0].copyOf = ValueID(0) }.isEmpty)
  }

  @Test("names are given, and unique")
  func names() throws {
    #expect(try faults { $0.values[2].name = "" } == ["value 2 has no name"])
    #expect(try faults { $0.values[2].name = "x" } == ["tensor x: two values have this name"])
    #expect(
      try faults {
        $0.nodes[0].name = "same"
        $0.nodes[1].name = "same"
      }.isEmpty)
  }

  @Test("a parameter's numbers have its type")
  func parameters() throws {
    #expect(
      try faults { $0.values[0].type = TensorType(.f32, [2, 3]) } == [
        "tensor weight: its type is f32[2, 3], its numbers are f32[3, 2]"
      ])
    #expect(
      try faults { $0.values[0].type = TensorType(.f16, [3, 2]) } == [
        "tensor weight: its type is f16[3, 2], its numbers are f32[3, 2]"
      ])
    #expect(
      try faults { $0.values[0].type = TensorType(.f32, [.symbol("n"), 2]) }
        == ["tensor weight: its type is f32[n, 2], its numbers are f32[3, 2]"])
    #expect(
      try faults { $0.parameters[0].content = TensorContent(TensorData([Float(1)]), element: .f32, shape: [3, 2]) }
        == ["tensor weight: 24 bytes fill it, there are 4"])
    #expect(
      try faults {
        $0.parameters[0].content = $0.parameters[0].content.keeping([[2, 1], nil])
        $0.values[0].type = TensorType(.f32, [2, 2])
      }
        == ["tensor weight: kept indices must ascend inside an axis of 3"])
    #expect(
      try faults {
        $0.parameters[0].content = $0.parameters[0].content.keeping([[0, 2], nil])
        $0.values[0].type = TensorType(.f32, [2, 2])
      }.isEmpty)
    #expect(
      try faults { $0.parameters[0].content = TensorContent(TensorData([UInt8]()), element: .f32, shape: [Int.max, 4]) }
        == ["tensor weight: its stored shape [9223372036854775807, 4] is none"])
  }

  @Test("no axis has a negative number of indices")
  func extents() throws {
    #expect(try faults { $0.values[1].type = TensorType(.f32, [-1, 3]) } == ["tensor x: an input has an axis of -1 indices"])
    #expect(try faults { $0.values[1].type = TensorType(.f32, [0, .symbol("n") - 3]) }.isEmpty)
  }

  @Test("operators have as many operands and results as they take")
  func arity() throws {
    #expect(try faults { $0.nodes[0].inputs.removeLast() } == ["node h: matmul takes 2 operands, here are 1"])
    #expect(try faults { $0.nodes[1].outputs.append(nil) } == ["node y: softmax makes 1 result, here are 2"])
    #expect(
      try faults {
        $0.nodes[1].operation = .opaque(Opaque(domain: "", type: "New"))
        $0.nodes[1].inputs += [nil, ValueID(1), ValueID(1)]
      }.isEmpty)
  }

  @Test("operator sets that are used are named")
  func operatorSets() throws {
    #expect(try faults { $0.opsets = [:] } == ["the module names no operator set"])
    let missing = "node y: microsoft.quick_gelu needs the version of operator set com.microsoft, which the module does not name"
    func useMicrosoft(_ module: inout Module) {
      module.nodes[1].operation = .elementwise(.quickGelu)
      module.nodes[1].attributes = Attributes()
    }
    #expect(try faults(useMicrosoft) == [missing])
    #expect(
      try faults {
        useMicrosoft(&$0)
        $0.opsets["com.microsoft"] = 1
      }.isEmpty)
    #expect(
      try faults { $0.nodes[1].operation = .opaque(Opaque(domain: "d", type: "")) } == [
        "node y: an opaque operator without a type"
      ])
  }

  @Test("attributes come once, of a kind that ONNX lets them have")
  func attributes() throws {
    func attribute(_ name: AttributeName, _ value: AttributeValue) -> (inout Module) -> Void {
      { $0.nodes[1].attributes = Attributes([Attributes.Entry(name, value)]) }
    }
    #expect(try faults(attribute(.axis, .string("1"))) == ["node y: attribute axis must not be of kind string"])
    #expect(try faults(attribute(.epsilon, .int(1))) == ["node y: attribute epsilon must not be of kind int"])
    #expect(try faults(attribute(.pads, .floats([1]))) == ["node y: attribute pads must not be of kind floats"])
    #expect(try faults(attribute(.pads, .floats([]))).isEmpty)
    #expect(try faults(attribute(.pads, .raw([1, 2]))).isEmpty)
    #expect(
      try faults(attribute(.value, .tensor(TensorType(.i64, [2]), TensorData([Int64(1)]))))
        == ["node y: 16 bytes fill attribute value, there are 8"])
    let twice = Attributes([Attributes.Entry(.axis, .int(1)), Attributes.Entry(.axis, .int(1))])
    #expect(try faults { $0.nodes[1].attributes = twice } == ["node y: attribute axis comes twice"])
  }

  @Test("a module that is broken everywhere gives a report that ends")
  func limit() throws {
    #expect(
      try faults {
        $0.nodes = Array(repeating: $0.nodes[1], count: 1000)
      }.count == 100)
  }
}
