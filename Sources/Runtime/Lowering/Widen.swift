import Graph

extension Lowering {
  /// Computes in f32 what is stored in f16 or bf16: the numbers are widened where they come in and rounded where they go out, and nothing is
  /// rounded in between.
  ///
  ///     func (%x: f16[4]) -> (%y: f16[4]) { %y = relu %x : f16[4] }
  ///     becomes     %a = cast %x : f32[4];  %y = relu %a : f32[4];  %b = cast %y : f16[4]
  ///
  /// Graphs with nodes whose meaning hangs on the narrow type are left as they are, and so are those that store narrow numbers, but compute
  /// with none. Of a stored table, only what is gathered is widened, where that is less.
  static let widen = LoweringPass(name: "widen", summary: "f16 and bf16 numbers are computed with as f32") {
    module throws(Diagnostic) in
    let elements = module.values.map(\.type.element)
    func isNarrow(_ value: ValueID?) -> Bool { value.map { elements[$0.index] == .f16 || elements[$0.index] == .bf16 } ?? false }
    guard elements.contains(.f16) || elements.contains(.bf16), module.nodes.allSatisfy({ canWiden($0, isNarrow) }),
      module.nodes.contains(where: { computes($0, isNarrow) })
    else { return }
    var nodes: [Node] = []
    func cast(_ value: ValueID, to element: ElementType) -> ValueID {
      let type = module[value].type
      let result = module.add(
        Value(name: "\(module[value].name)#\(module.values.count)", type: type.isRanked ? TensorType(element, type.shape) : type))
      let code = element == .f32 ? 1 : element == .f16 ? 10 : 16
      nodes.append(
        Node(.elementwise(.cast), inputs: [value], outputs: [result], attributes: Attributes([.init(.to, .int(code))])))
      return result
    }
    // Inputs stay as they are; what read them reads their wide copies.
    var wide: [ValueID: ValueID] = [:]
    for input in module.inputs where isNarrow(input) { wide[input] = cast(input, to: .f32) }
    var stored: [ValueID: TensorContent] = [:]
    for index in module.parameters.indices where isNarrow(module.parameters[index].value) {
      guard let tensor = Tensor(module.parameters[index].content), let widened = tensor.lazilyWidened else { continue }
      stored[module.parameters[index].value] = module.parameters[index].content
      module.parameters[index].content = widened.content
    }
    for index in elements.indices where isNarrow(ValueID(index)) && wide[ValueID(index)] == nil {
      let type = module.values[index].type
      module.values[index].type = type.isRanked ? TensorType(.f32, type.shape) : .unranked(.f32)
    }
    for node in module.nodes {
      var node = node
      node.inputs = node.inputs.map { $0.map { wide[$0] ?? $0 } }
      if case .elementwise(.cast) = node.operation, isNarrow(node.outputs.first.flatMap { $0 }) { node.attributes[.to] = .int(1) }
      if let table = node.inputs.first.flatMap({ $0 }), let output = node.outputs.first.flatMap({ $0 }), isGather(node),
        let content = stored[table], let shape = module[output].type.staticShape, isFewer(shape, than: content.shape)
      {
        let name = "#\(module.values.count)"
        let type = TensorType(content.element, content.shape.map { Extent($0) })
        let narrow = module.add(Value(name: module[table].name + name, type: type))
        module.parameters.append(Parameter(value: narrow, content: content))
        let picked = module.add(
          Value(name: module[output].name + name, type: TensorType(content.element, shape.map { Extent($0) })))
        node.inputs[0] = narrow
        node.outputs = [picked]
        nodes.append(node)
        node = Node(
          .elementwise(.cast), inputs: [picked], outputs: [output], attributes: Attributes([.init(.to, .int(1))]),
          name: node.name, position: node.position)
      }
      nodes.append(node)
    }
    module.outputs = module.outputs.map { output in
      isNarrow(output) && wide[output] == nil ? cast(output, to: elements[output.index]) : output
    }
    module.nodes = nodes
    module.removeDead()
  }

  /// True for nodes that do more with narrow numbers than to pick some of them or to cast them.
  private static func computes(_ node: Node, _ isNarrow: (ValueID?) -> Bool) -> Bool {
    switch node.operation {
    case .elementwise(.cast), .indexing(.gather): false
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      (node.inputs + node.outputs + node.captures).contains(where: isNarrow)
    }
  }

  /// True where a node does the same with wide numbers.
  private static func canWiden(_ node: Node, _ isNarrow: (ValueID?) -> Bool) -> Bool {
    switch node.operation {
    case .elementwise, .matrixProduct(.matMul), .matrixProduct(.gemm), .matrixProduct(.einsum), .convolution(.conv),
      .convolution(.convTranspose), .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .attention(.attention),
      .recurrence:
      true
    case .matrixProduct, .convolution, .attention, .quantisation, .generation, .opaque:
      !(node.inputs + node.outputs + node.captures).contains(where: isNarrow)
    }
  }
}
