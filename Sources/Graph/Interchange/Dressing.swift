extension Module {
  /// Takes over what the text form leaves out from the model of a file that this module was once read from: names and places of nodes,
  /// constants that are nodes, and the bytes of opaque ones.
  ///
  /// Nodes are matched by their first result, parameters by name. Returns false, and changes nothing, where the two do not correspond:
  /// another node, operator, operand or result on either side.
  public mutating func adopt(dressing model: NamedModel) -> Bool {
    var byResult: [String: Int] = [:]
    var constants: [String: Int] = [:]
    for (position, node) in model.nodes.enumerated() {
      guard let name = node.outputs.first(where: { !$0.isEmpty }) else { continue }
      if Importer.isConstant(node) { constants[name] = position } else { byResult[name] = position }
    }
    let anonymous = model.nodes.indices.filter { model.nodes[$0].outputs.allSatisfy(\.isEmpty) }
    var nextAnonymous = anonymous.makeIterator()
    var dressed = self
    for index in dressed.nodes.indices {
      let node = dressed.nodes[index]
      let result = node.outputs.compactMap(\.self).first.map { self[$0].name }
      guard let position = result.map({ byResult.removeValue(forKey: $0) }) ?? nextAnonymous.next() else { return false }
      let original = model.nodes[position]
      guard corresponds(node, original) else { return false }
      dressed.nodes[index].name = original.name
      dressed.nodes[index].position = position
      if case .opaque(let opaque) = node.operation, let source = original.source {
        dressed.nodes[index].operation = .opaque(
          Opaque(domain: opaque.domain, type: opaque.type, source: source.numbers(as: UInt8.self)))
      }
    }
    guard byResult.isEmpty, nextAnonymous.next() == nil else { return false }
    for index in dressed.parameters.indices {
      guard let position = constants.removeValue(forKey: self[dressed.parameters[index].value].name) else { continue }
      dressed.parameters[index].home = .node(model.nodes[position], position: position)
    }
    guard constants.isEmpty else { return false }
    self = dressed
    return true
  }

  /// True where both are the same operator that reads and makes the same values.
  private func corresponds(_ node: Node, _ original: NamedNode) -> Bool {
    let (domain, type) = node.operation.onnxName
    func same(_ values: [ValueID?], _ names: [String]) -> Bool {
      // Operands and results left out at the end may be written or not.
      let written = values.map { $0.map { self[$0].name } ?? "" }
      let shared = max(written.count, names.count)
      return (0..<shared).allSatisfy { at in
        (written.indices.contains(at) ? written[at] : "") == (names.indices.contains(at) ? names[at] : "")
      }
    }
    let originalDomain = original.domain == "ai.onnx" ? "" : original.domain
    return (domain == "ai.onnx" ? "" : domain) == originalDomain && type == original.type && same(node.inputs, original.inputs)
      && same(node.outputs, original.outputs)
  }
}
