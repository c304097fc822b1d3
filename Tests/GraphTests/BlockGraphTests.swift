import Testing

@testable import Graph

/// What drawings make of a model.
@Suite("Graphs of blocks")
struct BlockGraphTests {
  /// x → n residual layers of one matmul each → y, with the weights' names given.
  private func stack(_ count: Int, name: (Int) -> String) -> Module {
    var module = Module(name: "stack")
    func value(_ name: String) -> ValueID { module.add(Value(name: name, type: TensorType(.f32, [4, 4]))) }
    var stream = value("x")
    module.inputs = [stream]
    for at in 0..<count {
      let weight = value(name(at))
      let numbers = TensorContent(TensorData([Float](repeating: 1, count: 16)), element: .f32, shape: [4, 4])
      module.parameters.append(Parameter(value: weight, content: numbers))
      let product = value("p\(at)")
      let sum = value("s\(at)")
      module.nodes.append(Node(.matrixProduct(.matMul), inputs: [stream, weight], outputs: [product], position: 2 * at))
      module.nodes.append(Node(.elementwise(.add), inputs: [stream, product], outputs: [sum], position: 2 * at + 1))
      stream = sum
    }
    module.outputs = [stream]
    return module
  }

  @Test("few layers are boxes of their own, with sums between; every parameter is in one box")
  func layers() {
    let module = stack(3) { "layers.\($0).fc.weight" }
    let graph = BlockGraph(module)
    #expect(graph.blocks.map(\.kind) == [.input, .block, .junction, .block, .junction, .block, .junction, .output])
    #expect(graph.blocks[1].name == "layers.0.fc" && graph.blocks[2].name == "add")
    #expect(graph.blocks.flatMap(\.parameters).sorted() == module.parameters.map(\.value).sorted())
    #expect(graph.blocks.flatMap(\.nodes).sorted() == Array(module.nodes.indices))
    #expect(graph.edges.contains(.init(from: 0, to: 2)) && graph.edges.contains(.init(from: 1, to: 2)))
  }

  @Test("many layers are one box per block; blocks without names are put together; edges always lead onwards")
  func large() {
    let named = BlockGraph(stack(50) { "layers.\($0 / 2).fc\($0 % 2).weight" })
    #expect(named.blocks.count { $0.kind == .block } == 25)
    for count in [200, 3000] {
      let nameless = BlockGraph(stack(count) { "val_\($0)" })
      #expect(nameless.blocks.count <= 66)
      #expect(nameless.edges.allSatisfy { $0.from < $0.to })
      #expect(nameless.blocks.flatMap(\.nodes).count == 2 * count)
    }
  }

  @Test("of many inputs and outputs most are one box; of few, each has its own")
  func terminals() {
    var module = stack(2) { "layers.\($0).fc.weight" }
    let few = BlockGraph(module)
    for at in 0..<100 { module.inputs.append(module.add(Value(name: "cache.\(at)", type: TensorType(.f32, [4, 4])))) }
    module.outputs += module.inputs.dropFirst()
    let many = BlockGraph(module)
    #expect(few.blocks.map(\.name).first == "x" && few.blocks.count { $0.kind == .output } == 1)
    #expect(many.blocks.count == few.blocks.count + 10)
    #expect(many.blocks[5].name == "and 96 more")
    #expect(many.edges.allSatisfy { $0.from < $0.to })
  }

  @Test("an empty module is an empty graph")
  func empty() {
    #expect(BlockGraph(Module(name: "none")).blocks.isEmpty)
  }
}
