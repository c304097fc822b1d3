import Testing

@testable import Graph
@testable import Passes

@Suite("Shape numbers after shrinking")
struct ShapeNumbersTests {
  /// Repairs a module of which some values have other types now; what is required of each node follows from its rule.
  private func repaired(
    _ text: String, types: [String: [Extent]] = [:], kept: [String: [Int: [Int]]] = [:], stopAfter: Int? = nil
  ) throws -> (lines: [String], edits: [GraphEditor.Edit], module: Module) {
    var module = try ModuleParser.parse("module m {\n" + text + "\n}\n")
    let inferred = try TypeInference.run(module)
    let before = inferred.types
    for index in module.values.indices {
      let name = module.values[index].name
      let lists = kept[name] ?? [:]
      let shape =
        types[name] ?? before[index].shape.enumerated().map { axis, extent in lists[axis].map { Extent($0.count) } ?? extent }
      module.values[index].type = TensorType(before[index].element, shape)
    }
    for index in module.parameters.indices {
      let content = module.parameters[index].content
      if let lists = kept[module[module.parameters[index].value].name] {
        module.parameters[index].content = content.keeping(content.shape.indices.map { lists[$0] })
      }
    }
    var required: [[Int: KnownValue]] = []
    for node in module.nodes {
      func lists(_ ids: [ValueID?]) -> [[[Int]?]] {
        ids.map { id in id.map { id in before[id.index].shape.indices.map { kept[module[id].name]?[$0] } } ?? [] }
      }
      var context = ShrinkContext(
        node: node, opset: module.opset, label: module.label(of: node),
        oldInputs: node.inputs.map { $0.map { before[$0.index] } },
        newInputs: node.inputs.map { $0.map { module[$0].type } }, oldOutputs: node.outputs.map { $0.map { before[$0.index] } },
        newOutputs: node.outputs.map { $0.map { module[$0].type } },
        numbers: node.inputs.map { $0.flatMap { inferred.numbers[$0.index] } },
        keptInput: { lists(node.inputs)[$0][$1] }, keptOutput: { lists(node.outputs)[$0][$1] })
      try node.operation.rules?.shrink(&context)
      required.append(context.required)
    }
    let edits = try ShapeNumberRepair.run(&module, old: inferred.numbers, required: required, stopAfter: stopAfter)
    module.removeUndefinedValues()
    try module.verify()
    let lines = ModulePrinter.print(module).split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    return (lines, edits, module)
  }

  /// The repaired module is what its own types say, inferred from scratch.
  private func isSound(_ module: Module) throws {
    let types = try TypeInference.run(module).types
    for (value, type) in zip(module.values, types) { #expect(value.type == type, "\(value.name)") }
  }

  @Test("a constant that two reshapes share is split where they need different numbers, and only there")
  func sharedConstant() throws {
    let text = """
      param %t : i64[3] = [2, 3, 4]
      func (%x: f32[2, 12], %z: f32[2, 12]) -> (%a: f32[2, 3, 4], %b: f32[2, 3, 4]) {
        %h = relu %x : f32[2, 12]
        %a0 = reshape %h, %t : f32[2, 3, 4]
        %a = relu %a0 : f32[2, 3, 4]
        %b = reshape %z, %t : f32[2, 3, 4]
      }
      """
    let result = try repaired(text, types: ["x": [2, 6], "h": [2, 6], "a0": [2, 3, 2], "a": [2, 3, 2]])
    #expect(result.lines.contains("param %t : i64[3] = [2, 3, 4]"))
    #expect(result.lines.contains("param %t#1 : i64[3] = [2, 3, 2]"))
    #expect(result.lines.contains("%a0 = reshape %h, %t#1 : f32[2, 3, 2]"))
    #expect(result.lines.contains("%b = reshape %z, %t : f32[2, 3, 4]"))

    let both = try repaired(
      text, types: ["x": [2, 6], "h": [2, 6], "a0": [2, 3, 2], "a": [2, 3, 2], "z": [2, 9], "b": [2, 3, 3]])
    #expect(both.lines.contains("param %t : i64[3] = [2, 3, 2]"))
    #expect(both.lines.contains("param %t#2 : i64[3] = [2, 3, 3]"))
    #expect(both.module.parameters.count == 2)

    let alike = try repaired(
      text, types: ["x": [2, 6], "h": [2, 6], "a0": [2, 3, 2], "a": [2, 3, 2], "z": [2, 6], "b": [2, 3, 2]])
    #expect(alike.lines.contains("param %t : i64[3] = [2, 3, 2]"))
    #expect(alike.module.parameters.count == 1)
    try isSound(alike.module)
  }

  private static let attention = """
    param %two : i64[] = 2
    param %zero : i64[1] = [0]
    param %minus : i64[1] = [-1]
    param %heads : i64[1] = [4]
    param %axes : i64[1] = [0]
    func (%x: f32[batch, 17, 64]) -> (%y: f32[batch, 17, 4, 16], %r: f32[]) {
      %h = relu %x : f32[batch, 17, 64]
      %s = shape %h : i64[3]
      %b = gather %s, %zero : i64[1]
      %d = gather %s, %two : i64[]
      %n = unsqueeze %d, %axes : i64[1]
      %k = div %n, %heads : i64[1]
      %t = concat %b, %minus, %heads, %k axis=0 : i64[4]
      %y = reshape %h, %t : f32[batch, 17, 4, 16]
      %f = cast %d to=1 : f32[]
      %r = sqrt %f : f32[]
    }
    """

  @Test("a dimension read as a number keeps its value; read as a shape it follows, and the batch stays dynamic")
  func bothWays() throws {
    let result = try repaired(
      Self.attention,
      types: ["x": [.symbol("batch"), 17, 32], "h": [.symbol("batch"), 17, 32], "y": [.symbol("batch"), 17, 4, 8]])
    #expect(result.lines.contains("param %d#1 : i64[] = 64"))
    #expect(result.lines.contains("%f = cast %d#1 to=1 : f32[]"))
    #expect(result.lines.contains("%k = div %n, %heads : i64[1]"))
    #expect(result.lines.contains("%y = reshape %h, %t : f32[batch, 17, 4, 8]"))
    try isSound(result.module)
  }

  @Test("a tensor of which only the shape was read stays when the shape is read no more; its shape arithmetic goes")
  func readForItsShape() throws {
    let text = """
      param %one : i64[] = 1
      func (%x: f32[2, 64]) -> (%r: f32[]) {
        %h = relu %x : f32[2, 64]
        %t = transpose %h perm=[1, 0] : f32[64, 2]
        %u = transpose %t perm=[1, 0] : f32[2, 64]
        %s = shape %u : i64[2]
        %d = gather %s, %one axis=0 : i64[]
        %f = cast %d to=1 : f32[]
        %r = sqrt %f : f32[]
      }
      """
    let result = try repaired(text, types: ["x": [2, 32], "h": [2, 32], "t": [32, 2], "u": [2, 32]])
    #expect(result.lines.contains("%u = transpose %t perm=[1, 0] : f32[2, 32]"))
    #expect(!result.lines.contains { $0.hasPrefix("%s = shape") })
    #expect(result.lines.contains("%f = cast %d#1 to=1 : f32[]"))
  }

  @Test("the wrong part of a dynamic list is replaced in place; parts that are right are left alone")
  func concatenated() throws {
    let result = try repaired(
      Self.attention,
      types: ["x": [.symbol("batch"), 17, 32], "h": [.symbol("batch"), 17, 32], "y": [.symbol("batch"), 17, 2, 16]])
    #expect(result.lines.contains("%b = gather %s, %zero : i64[1]"))
    #expect(result.lines.contains { $0.hasPrefix("%t = concat %b, %minus, %heads, ") })
    #expect(result.lines.contains("param %heads : i64[1] = [2]"))
    #expect(!result.lines.contains { $0.hasPrefix("%k = div") })
    try isSound(result.module)
  }

  @Test("nothing changes where nothing shrinks")
  func untouched() throws {
    let module = try ModuleParser.parse("module m {\n" + Self.attention + "\n}\n")
    let result = try repaired(Self.attention)
    #expect(result.edits.isEmpty)
    #expect(ModulePrinter.print(result.module) == ModulePrinter.print(module))
  }

  @Test("a factor beside a dynamic length changes in place; where there is none the length is corrected")
  func products() throws {
    let batch = Extent.symbol("batch")
    let text = """
      param %zero : i64[1] = [0]
      param %four : i64[1] = [4]
      param %c16 : i64[1] = [16]
      func (%x: f32[batch, 4, 16]) -> (%y: f32[4*batch, 16]) {
        %h = relu %x : f32[batch, 4, 16]
        %s = shape %h : i64[3]
        %b = gather %s, %zero : i64[1]
        %m = mul %b, %four : i64[1]
        %t = concat %m, %c16 axis=0 : i64[2]
        %y = reshape %h, %t : f32[4*batch, 16]
      }
      """
    let factor = try repaired(text, types: ["x": [batch, 2, 16], "h": [batch, 2, 16], "y": [batch * 2, 16]])
    #expect(factor.lines.contains("param %four : i64[1] = [2]"))
    #expect(factor.lines.contains("%m = mul %b, %four : i64[1]"))
    try isSound(factor.module)

    let given = """
      param %c16 : i64[1] = [16]
      param %zero : i64[] = 0
      func (%x: f32[batch, 4, 16], %z: f32[4*batch]) -> (%y: f32[4*batch, 16]) {
        %h = relu %x : f32[batch, 4, 16]
        %m = shape %z : i64[1]
        %t = concat %m, %c16 axis=0 : i64[2]
        %y = reshape %h, %t : f32[4*batch, 16]
      }
      """
    let corrected = try repaired(given, types: ["x": [batch, 2, 16], "h": [batch, 2, 16], "y": [batch * 2, 16]])
    let division = try #require(corrected.module.nodes.first { $0.operation == .elementwise(.div) })
    #expect(
      division.inputs[1].flatMap { id in corrected.module.parameters.first { $0.value == id } }?.content.data.numbers(
        as: Int64.self) == [2])
    #expect(corrected.lines.contains { $0.hasPrefix("%t = concat %m#") })
    try isSound(corrected.module)
  }

  @Test("a whole shape used as a target is corrected number by number")
  func wholeShape() throws {
    let batch = Extent.symbol("batch")
    let text = """
      func (%x: f32[batch, 12], %z: f32[batch, 3, 4]) -> (%y: f32[batch, 3, 4]) {
        %h = relu %x : f32[batch, 12]
        %s = shape %z : i64[3]
        %y = reshape %h, %s : f32[batch, 3, 4]
      }
      """
    let result = try repaired(text, types: ["x": [batch, 6], "h": [batch, 6], "y": [batch, 3, 2]])
    #expect(result.lines.contains { $0.hasPrefix("%y = reshape %h, %s#") })
    try isSound(result.module)
  }

  @Test("an expand's list behind the choice of ones for −1 is followed to the part that is chosen")
  func choice() throws {
    let batch = Extent.symbol("batch")
    let text = """
      param %zero : i64[1] = [0]
      param %eight : i64[1] = [8]
      param %minus : i64[1] = [-1]
      param %neg : i64[3] = [-1, -1, -1]
      param %ones : i64[3] = [1, 1, 1]
      func (%x: f32[batch, 1, 16], %w: f32[1, 8, 16]) -> (%y: f32[batch, 8, 16]) {
        %s = shape %x : i64[3]
        %b = gather %s, %zero : i64[1]
        %t = concat %b, %eight, %minus axis=0 : i64[3]
        %q = equal %t, %neg : bool[3]
        %c = where %q, %ones, %t : i64[3]
        %y = expand %x, %c : f32[batch, 8, 16]
      }
      """
    let result = try repaired(text, types: ["y": [batch, 4, 16]])
    #expect(result.lines.contains { $0.hasPrefix("%c = where %q, %ones, %t") })
    #expect(result.lines.contains { $0.hasSuffix(": i64[1] = [4]") })
    #expect(result.lines.contains("param %ones : i64[3] = [1, 1, 1]"))
    try isSound(result.module)
  }

  @Test("an operand that was left out is added")
  func addedOperand() throws {
    let text = """
      func (%x: f32[2, 12]) -> (%a: f32[2, 6], %b: f32[2, 6]) {
        %h = relu %x : f32[2, 12]
        %a, %b = split %h axis=1 num_outputs=2 : f32[2, 6], f32[2, 6]
      }
      """
    let result = try repaired(
      text, kept: ["h": [1: [0, 6, 7]], "a": [1: [0]], "b": [1: [0, 1]]])
    #expect(result.lines.contains("param %a#1 : i64[2] = [1, 2]"))
    #expect(result.lines.contains { $0.hasPrefix("%a, %b = split %h, %a#1 axis=1") })
  }

  @Test("positions are renumbered in the constant, in the shape it has; another reader of it keeps the old ones")
  func positions() throws {
    let text = """
      param %i : i64[1, 3] = [4, 5, 6]
      param %w : f32[8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
      func (%z: f32[8]) -> (%y: f32[1, 3], %v: f32[1, 3]) {
        %y = gather %w, %i : f32[1, 3]
        %v = gather %z, %i : f32[1, 3]
      }
      """
    let result = try repaired(text, types: [:], kept: ["w": [0: [0, 4, 5, 6]]])
    #expect(result.lines.contains { $0.hasPrefix("param %i#1 : i64[1, 3]") })
    #expect(
      result.module.parameters.first { result.module[$0.value].name == "i#1" }?.content.data.numbers(as: Int64.self) == [1, 2, 3])
    #expect(result.lines.contains("%v = gather %z, %i : f32[1, 3]"))
  }

  @Test("computed positions with several axes stay computed, from a list that has other numbers")
  func computedPositions() throws {
    let text = """
      param %from : i64[] = 4
      param %to : i64[] = 7
      param %one : i64[] = 1
      param %axis : i64[1] = [0]
      param %w : f32[8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
      func (%z: f32[8]) -> (%y: f32[1, 3], %v: f32[3, 1]) {
        %r = range %from, %to, %one : i64[3]
        %i = unsqueeze %r, %axis : i64[1, 3]
        %y = gather %w, %i : f32[1, 3]
        %t = transpose %i perm=[1, 0] : i64[3, 1]
        %v = gather %w, %t : f32[3, 1]
      }
      """
    let result = try repaired(text, types: [:], kept: ["w": [0: [0, 4, 5, 6]]])
    #expect(result.lines.contains("param %r#1 : i64[3] = [1, 2, 3]"))
    #expect(result.lines.contains("%i = unsqueeze %r#1, %axis : i64[1, 3]"))
    #expect(result.lines.contains("%y = gather %w, %i : f32[1, 3]"))
    #expect(result.lines.contains("param %t#1 : i64[3] = [1, 2, 3]"))
    #expect(result.lines.contains("%t#3 = reshape %t#1, %t#2 : i64[3, 1]"))
    #expect(!result.lines.contains { $0.hasPrefix("%r = range") })
  }

  @Test("what only had its shape read stays when that shape becomes a constant; the arithmetic goes")
  func unreadData() throws {
    let batch = Extent.symbol("batch")
    let text = """
      param %w : f32[3] = [0.0, 1.0, 2.0]
      param %zero : i64[1] = [0]
      func (%x: f32[batch, 1], %h: f32[3]) -> (%y: f32[batch, 3]) {
        %n = neg %h : f32[3]
        %s = shape %x : i64[2]
        %b = gather %s, %zero : i64[1]
        %c = shape %w : i64[1]
        %d = shape %n : i64[1]
        %e = max %c, %d : i64[1]
        %t = concat %b, %e axis=0 : i64[2]
        %y = expand %x, %t : f32[batch, 3]
      }
      """
    let result = try repaired(text, types: ["y": [batch, 2]])
    #expect(result.lines.contains("param %w : f32[3] = [0.0, 1.0, 2.0]"))
    #expect(result.lines.contains("%n = neg %h : f32[3]"))
    #expect(!result.lines.contains { $0.hasPrefix("%c =") || $0.hasPrefix("%d =") || $0.hasPrefix("%e =") })
    #expect(result.lines.contains("%t = concat %b, %e#1 axis=0 : i64[2]"))
  }

  @Test("outputs and subgraphs, which read by name, see the old numbers under the old name")
  func byName() throws {
    let text = """
      param %two : i64[] = 2
      param %one : i64[1] = [1]
      func (%x: f32[2, 17, 64]) -> (%d: i64[], %y: f32[2, 1088], %o: f32[?]) {
        %h = relu %x : f32[2, 17, 64]
        %s = shape %h : i64[3]
        %d = gather %s, %two : i64[]
        %e = gather %s, %two : i64[]
        %o = "my.domain::Loop" %x captures=(%e) : f32[?]
        %t = reduce_prod %s keepdims=1 : i64[1]
        %y = flatten %h axis=1 : f32[2, 1088]
      }
      """
    let result = try repaired(text, types: ["x": [2, 17, 32], "h": [2, 17, 32], "y": [2, 544]])
    #expect(result.lines.contains("param %d : i64[] = 64"))
    #expect(result.lines.contains("param %e : i64[] = 64"))
    #expect(result.lines.contains { $0.contains("captures=(%e)") })
  }

  @Test("stopping after N edits leaves a graph that is valid, with the first N done")
  func bisection() throws {
    let all = try repaired(
      Self.attention,
      types: ["x": [.symbol("batch"), 17, 32], "h": [.symbol("batch"), 17, 32], "y": [.symbol("batch"), 17, 2, 16]])
    #expect(all.edits.count >= 3)
    for count in 0..<all.edits.count {
      let some = try repaired(
        Self.attention,
        types: ["x": [.symbol("batch"), 17, 32], "h": [.symbol("batch"), 17, 32], "y": [.symbol("batch"), 17, 2, 16]],
        stopAfter: count)
      #expect(some.edits == Array(all.edits.prefix(count)))
    }
  }

  @Test("what no correction reaches is refused, with the node")
  func refused() throws {
    let batch = Extent.symbol("batch")
    let text = """
      param %zero : i64[1] = [0]
      param %c16 : i64[1] = [16]
      func (%x: f32[batch, 16], %z: i64[1]) -> (%y: f32[batch, 16]) {
        %s = shape %x : i64[2]
        %b = gather %s, %zero : i64[1]
        %m = add %b, %z : i64[1]
        %t = concat %b, %c16 axis=0 : i64[2]
        %y = reshape %x, %t : f32[batch, 16]
      }
      """
    #expect(throws: Diagnostic.self) { try repaired(text, types: ["y": [.symbol("other"), 16]]) }
    let fine = try repaired(text, types: ["x": [batch, 8], "y": [batch, 8]])
    #expect(fine.lines.contains("param %c16 : i64[1] = [8]"))
  }
}
