import Graph

/// Gives every use of a shared vector or uniform constant a copy of its own, because exporters merge constants that merely happen to be
/// equal: one scale of ones for all norms, one zero state for two recurrences, equal biases of copied layers. Shrinking merges copies
/// again where they shrink alike; a layer that really is used twice keeps its tie through its matrix.
///
///     %y = add %a, %b                       %y = add %a, %b
///     %z = add %c, %b                       %z = add %c, %b#1
enum PrivateCopies {
  static func run(_ module: inout Module) {
    var names = Set(module.values.map(\.name))
    let uses = module.uses()
    for index in module.parameters.indices {
      let parameter = module.parameters[index]
      let places = uses[parameter.value.index].filter { $0.operand >= 0 && !tiesNothing(module.nodes[$0.node].operation) }
      guard places.count > 1, isShareable(parameter.content) else { continue }
      for place in places.dropFirst() {
        let copy = module.add(Value(name: fresh(module[parameter.value].name, &names), type: module[parameter.value].type))
        module.parameters.append(Parameter(value: copy, content: parameter.content, copyOf: parameter.value))
        module.nodes[place.node].inputs[place.operand] = copy
      }
    }
    copyComputedConstants(&module, uses, &names)
  }

  /// A value that an expand or constant-of-shape makes from one number is a constant too: every use gets a node of its own.
  private static func copyComputedConstants(_ module: inout Module, _ uses: [[Module.Use]], _ names: inout Set<String>) {
    let scalars = Set(module.parameters.filter { $0.content.elementCount == 1 }.map(\.value))
    var copies: [Int: [Node]] = [:]
    for (index, node) in module.nodes.enumerated() {
      guard isComputedConstant(node, scalars), let output = node.outputs.first ?? nil, module[output].type.element.isFloat else {
        continue
      }
      let places = uses[output.index].filter { !tiesNothing(module.nodes[$0.node].operation) }
      for place in places.dropFirst() where place.operand >= 0 {
        var copy = node
        let value = module.add(Value(name: fresh(module[output].name, &names), type: module[output].type))
        copy.outputs = [value]
        copy.name = node.name.isEmpty ? "" : node.name + String(module[value].name.drop { $0 != "#" })
        copies[index, default: []].append(copy)
        module.clones[value] = output
        module.nodes[place.node].inputs[place.operand] = value
      }
    }
    guard !copies.isEmpty else { return }
    module.nodes = module.nodes.enumerated().flatMap { [$1] + (copies[$0] ?? []) }
  }

  /// A use that ties the constant's axis to nothing stays with the original: asking for its shape, and reducing it (W / ‖W‖ must not
  /// become two weights).
  private static func tiesNothing(_ operation: Operator) -> Bool {
    switch operation {
    case .generation(.shape), .generation(.size), .reduction: true
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reshaping, .joining, .indexing, .pooling, .recurrence,
      .attention, .quantisation, .generation, .opaque:
      false
    }
  }

  private static func isComputedConstant(_ node: Node, _ scalars: Set<ValueID>) -> Bool {
    switch node.operation {
    case .reshaping(.expand): node.inputs.first.flatMap { $0 }.map(scalars.contains) ?? false
    case .generation(.constantOfShape): true
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence,
      .attention, .quantisation, .generation, .opaque:
      false
    }
  }

  /// A vector (at most one axis of more than one index), or the same number throughout.
  private static func isShareable(_ content: TensorContent) -> Bool {
    guard content.elementCount > 1, content.element.isData || content.element == .i32 else { return false }
    return content.shape.filter { $0 > 1 }.count == 1 || isUniform(content)
  }

  private static func isUniform(_ content: TensorContent) -> Bool {
    guard let bits = content.element.bits, bits >= 8 else { return false }
    let width = bits / 8
    return content.data.withUnsafeBytes { bytes in
      guard bytes.count > width else { return false }
      // Equal to itself shifted by one number: every number equals its neighbour.
      return bytes[0..<bytes.count - width].elementsEqual(bytes[width...])
    }
  }

  private static func fresh(_ name: String, _ names: inout Set<String>) -> String {
    var count = 1
    while !names.insert("\(name)#\(count)").inserted { count += 1 }
    return "\(name)#\(count)"
  }
}
