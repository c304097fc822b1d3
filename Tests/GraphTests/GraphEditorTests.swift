import Testing

@testable import Graph

@Suite("The graph editor")
struct GraphEditorTests {
  private func example() throws -> Module {
    try ModuleParser.parse(
      """
      module m {
        param %a : i64[1] = [1]
        param %b : i64[1] = [2]
        func (%x: i64[1]) -> (%z: i64[1]) {
          %y = add %x, %a : i64[1]
          %z = mul %y, %b : i64[1]
        }
      }

      """)
  }

  private func number(_ value: Int64) -> TensorContent { TensorContent(TensorData([value]), element: .i64, shape: [1]) }

  private func names(_ module: Module) -> [String] {
    module.nodes.map { node in
      let inputs = node.inputs.map { $0.map { module[$0].name } ?? "_" }.joined(separator: " ")
      return "\(node.outputs.compactMap { $0 }.map { module[$0].name }.joined()) = \(node.operation.textName) \(inputs)"
    }
  }

  @Test("inserted nodes come before, after and ahead, in the order in which they were added; indices of nodes stay valid")
  func order() throws {
    let module = try example()
    var editor = GraphEditor(module)
    let x = module.inputs[0]
    let type = TensorType(.i64, [1])
    let first = editor.addValue(like: "x", type: type)
    _ = editor.insert(Node(.elementwise(.neg), inputs: [x], outputs: [first]), .first, "ahead")
    let second = editor.addValue(like: "x", type: type)
    _ = editor.insert(Node(.elementwise(.abs), inputs: [first], outputs: [second]), .before(1), "before")
    let third = editor.addValue(like: "x", type: type)
    _ = editor.insert(Node(.elementwise(.relu), inputs: [second], outputs: [third]), .before(1), "before, next")
    editor.replaceInput(node: 1, operand: 0, with: third, "reads it")
    #expect(editor.edits.map(\.label) == ["ahead", "before", "before, next", "reads it"])
    let result = editor.finished()
    #expect(names(result) == ["x#1 = neg x", "y = add x a", "x#2 = abs x#1", "x#3 = relu x#2", "z = mul x#3 b"])
    #expect(result.faults().isEmpty)
  }

  @Test("a name is never given twice")
  func freshNames() throws {
    var module = try example()
    module[module.nodes[0].inputs[1] ?? ValueID(0)].name = "y#1"
    var editor = GraphEditor(module)
    let value = editor.addParameter(like: "y", number(7))
    #expect(editor.module[value].name == "y#2")
    #expect(editor.parameter(value)?.content.data.numbers(as: Int64.self) == [7])
  }

  @Test("a copy takes its original's name and place, readers included")
  func adopting() throws {
    let module = try example()
    let a = try #require(module.nodes[0].inputs[1])
    let y = try #require(module.nodes[0].outputs[0])
    var editor = GraphEditor(module)
    let seven = editor.addParameter(like: "a", number(7))
    let copied = editor.addValue(like: "y", type: TensorType(.i64, [1]))
    let node = editor.insert(Node(.elementwise(.add), inputs: [module.inputs[0], seven], outputs: [copied]), .after(0), "copy")
    editor.replaceInput(node: 1, operand: 0, with: copied, "reads the copy")
    editor.adopt(copied, as: y, nodes: (node, 0), "in place")
    editor.adopt(seven, as: a, "in place")
    let result = editor.finished()
    #expect(names(result) == ["y = add x a", "z = mul y b"])
    #expect(result.parameters.map { $0.content.data.numbers(as: Int64.self) } == [[7], [2]])
  }

  @Test("after the limit nothing changes any more")
  func limit() throws {
    let module = try example()
    let a = try #require(module.nodes[0].inputs[1])
    var editor = GraphEditor(module, limit: 1)
    editor.setContent(a, number(7), "first")
    editor.replaceInput(node: 1, operand: 1, with: a, "second")
    editor.remove(node: 1, "third")
    editor.setAttribute(node: 0, .axis, .int(1), "fourth")
    #expect(editor.edits.map(\.label) == ["first"])
    let result = editor.finished()
    #expect(names(result) == ["y = add x a", "z = mul y b"])
    #expect(result.nodes[0].attributes.entries.isEmpty)
    #expect(result.parameters[0].content.data.numbers(as: Int64.self) == [7])
  }
}
