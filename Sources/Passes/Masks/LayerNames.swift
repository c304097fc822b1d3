import Graph

/// Names that PyTorch has for weights whose names an exporter lost.
///
/// Exporters fold the transpose of a linear layer's weight and call the result `val_12` or `onnx::MatMul_12`; the bias that is added right
/// behind keeps its name. So a matrix [in, out] in front of `blocks.0.fc1.bias` is the transpose of `blocks.0.fc1.weight`.
struct LayerNames {
  /// By parameter: its name in PyTorch.
  private(set) var names: [ValueID: String] = [:]

  init(_ module: Module) {
    let parameters = Dictionary(module.parameters.map { ($0.value, $0) }, uniquingKeysWith: { first, _ in first })
    let uses = module.uses()
    let taken = Set(module.values.map(\.name))
    for node in module.nodes {
      guard case .matrixProduct(.matMul) = node.operation, node.inputs.count == 2, let weight = node.inputs[1],
        let parameter = parameters[weight], parameter.content.shape.count == 2, let output = node.outputs.first ?? nil,
        uses[weight.index].count == 1, uses[output.index].count == 1, let reader = uses[output.index].first, reader.operand >= 0,
        case .elementwise(.add) = module.nodes[reader.node].operation,
        let bias = module.nodes[reader.node].inputs[1 - reader.operand], let added = parameters[bias],
        added.content.shape == [parameter.content.shape[1]], !module[weight].name.hasSuffix(".weight")
      else { continue }
      let name = module[added.copyOf ?? bias].name
      guard name.hasSuffix(".bias") else { continue }
      let wanted = name.dropLast("bias".count) + "weight"
      if !taken.contains(String(wanted)) { names[weight] = String(wanted) }
    }
    // A bias that several layers share names none of them.
    let counts = Dictionary(names.values.map { ($0, 1) }, uniquingKeysWith: +)
    names = names.filter { counts[$0.value] == 1 }
  }
}
