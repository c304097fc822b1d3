/// Turns a module into a model as a file spells it: values by name, operators by domain and type.
public struct Exporter {
  /// The named model of a module; importing it gives the module again.
  ///
  /// Nodes keep their order. Constants that nodes of the file make stand at their place among them, and before whatever reads them;
  /// their attribute stays as it was where the numbers are the same. Types of all values that nodes make, constants too, are stated.
  public static func model(of module: Module) -> NamedModel {
    var exporter = Exporter(module)
    exporter.writeNodes()
    var model = NamedModel(name: module.name, nodes: exporter.nodes, opsets: module.opsets)
    let outputs = Set(module.outputs)
    for parameter in module.parameters {
      let name = module[parameter.value].name
      let type = TensorType(parameter.content.element, parameter.content.shape.map { Extent($0) })
      switch parameter.home {
      case .initializer: model.initializers.append(NamedTensor(name: name, type: type, content: parameter.content))
      case .node: if !outputs.contains(parameter.value) { model.valueTypes[name] = type }
      }
    }
    model.inputs = module.inputs.map { NamedValue(name: module[$0].name, type: module[$0].type) }
    model.outputs = module.outputs.map { NamedValue(name: module[$0].name, type: module[$0].type) }
    for node in module.nodes {
      for case let value? in node.outputs where !outputs.contains(value) && module[value].type.isRanked {
        model.valueTypes[module[value].name] = module[value].type
      }
    }
    return model
  }

  private let module: Module
  /// Constants that are nodes of the file, by their place; those before `next` are written.
  private let constants: [Parameter]
  private var next = 0
  private var isWritten: [Bool]
  /// Index into `constants`, by value.
  private var constantOf: [ValueID: Int] = [:]
  private var nodes: [NamedNode] = []

  private init(_ module: Module) {
    self.module = module
    let homes = module.parameters.enumerated().compactMap { index, parameter in
      Self.position(of: parameter).map { (position: $0, index: index) }
    }
    let ordered = homes.sorted { ($0.position, $0.index) < ($1.position, $1.index) }
    constants = ordered.map { module.parameters[$0.index] }
    isWritten = Array(repeating: false, count: constants.count)
    for (index, parameter) in constants.enumerated() { constantOf[parameter.value] = index }
    nodes.reserveCapacity(constants.count + module.nodes.count)
  }

  private static func position(of parameter: Parameter) -> Int? {
    switch parameter.home {
    case .initializer: nil
    case .node(_, let position): position
    }
  }

  private mutating func writeNodes() {
    for node in module.nodes {
      while next < constants.count, let position = Self.position(of: constants[next]), position <= node.position { write(next) }
      if !constants.isEmpty {
        for case let input? in node.inputs { if let constant = constantOf[input] { write(constant) } }
        for capture in node.captures { if let constant = constantOf[capture] { write(constant) } }
      }
      nodes.append(named(node))
    }
    while next < constants.count { write(next) }
  }

  private mutating func write(_ constant: Int) {
    if constant == next { next += 1 }
    guard !isWritten[constant] else { return }
    isWritten[constant] = true
    let parameter = constants[constant]
    guard case .node(var node, _) = parameter.home else { return }
    node.outputs = [module[parameter.value].name]
    if parameter.copyOf != nil { node.name = "" }
    if !isUnchanged(parameter.content, in: node) {
      let content = parameter.content
      let type = TensorType(content.element, content.shape.map { Extent($0) })
      node.attributes = [(AttributeName.value.rawValue, .tensor(type, content.materialized()))]
      node.source = nil
    }
    nodes.append(node)
  }

  /// True where a Constant node still holds the numbers of the parameter that it became.
  private func isUnchanged(_ content: TensorContent, in node: NamedNode) -> Bool {
    guard content.isWhole, let original = try? Importer.content(of: node), original.element == content.element,
      original.shape == content.shape
    else { return false }
    if original.data.isIdentical(to: content.data) { return true }
    return original.data.withUnsafeBytes { first in content.data.withUnsafeBytes { first.elementsEqual($0) } }
  }

  private func named(_ node: Node) -> NamedNode {
    let (domain, type) = node.operation.onnxName
    var source: TensorData?
    if case .opaque(let opaque) = node.operation { source = opaque.source.map { TensorData($0) } }
    return NamedNode(
      domain: domain, type: type, name: node.name, inputs: node.inputs.map { $0.map { module[$0].name } ?? "" },
      outputs: node.outputs.map { $0.map { module[$0].name } ?? "" },
      attributes: node.attributes.entries.map { ($0.name.rawValue, $0.value) }, captures: node.captures.map { module[$0].name },
      source: source)
  }
}
