import Graph

/// Multiplies masks of PyTorch's pruning out, so that a masked weight is one parameter that holds zeros.
///
///     param %fc.weight_orig : f32[4, 6]
///     param %fc.weight_mask : f32[4, 6]              param %fc.weight : f32[4, 6]
///     %w = mul %fc.weight_orig, %fc.weight_mask
///     %y = matmul %x, %w                             %y = matmul %x, %fc.weight
public enum MaskFolding {
  /// The module with every product of a stored weight and a stored mask computed. Returns the names of the weights.
  ///
  /// A mask holds zeros and ones alone, and is of the weight's shape; or the two are called `X_orig` and `X_mask`. Of those, what is no
  /// mask, has another shape, or is there without its other half, throws `invalid`.
  public static func run(_ module: inout Module) throws(Diagnostic) -> [String] {
    try checkPairs(module)
    let uses = module.uses()
    var stored: [ValueID: Stored] = [:]
    for parameter in module.parameters where parameter.content.element.bits ?? 0 >= 8 {
      stored[parameter.value] = Stored(content: parameter.content, parameter: parameter.value)
    }
    var taken = Set(module.values.map(\.name))
    var replaced: [ValueID: ValueID] = [:]
    var made: [Parameter] = []
    for node in module.nodes {
      guard let output = node.outputs.first ?? nil else { continue }
      if let same = passedOn(node, stored, module.opsets) {
        stored[output] = same
        continue
      }
      guard !module.outputs.contains(output), uses[output.index].allSatisfy({ $0.operand >= 0 }),
        let (weight, mask) = maskedProduct(node, stored), let numbers = Tensor(weight.content), let ones = Tensor(mask.content)
      else { continue }
      let product = Masks.applying(ones, to: numbers)
      let name = module[weight.parameter].name
      let wanted = name.hasSuffix("_orig") ? String(name.dropLast("_orig".count)) : name + "_masked"
      var free = wanted
      var number = 0
      while !taken.insert(free).inserted {
        number += 1
        free = "\(wanted)#\(number)"
      }
      let value = module.add(Value(name: free, type: product.type))
      made.append(Parameter(value: value, content: Masks.content(product)))
      replaced[output] = value
    }
    if made.isEmpty { return [] }
    for node in module.nodes.indices {
      module.nodes[node].inputs = module.nodes[node].inputs.map { $0.map { replaced[$0] ?? $0 } }
    }
    module.parameters += made
    removeUnread(&module, among: Set(stored.keys).union(replaced.keys), uses)
    let names = made.map { module[$0.value].name }
    module.removeUndefinedValues()
    return names
  }

  /// Numbers that are stored, perhaps in another type.
  private struct Stored {
    let content: TensorContent
    /// The parameter that they are.
    let parameter: ValueID
  }

  /// What a cast or identity makes of stored numbers; nil for other nodes.
  private static func passedOn(_ node: Node, _ stored: [ValueID: Stored], _ opsets: [String: Int]) -> Stored? {
    guard let input = node.inputs.first ?? nil, let source = stored[input] else { return nil }
    switch node.operation {
    case .elementwise(.cast), .elementwise(.identity):
      var random = SplitMix(seed: 0)
      guard let tensor = Tensor(source.content),
        let made = try? Evaluation.run(node, opsets: opsets, inputs: [tensor], label: "", random: &random).first ?? nil
      else { return nil }
      return Stored(content: Masks.content(made), parameter: source.parameter)
    case .elementwise, .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling,
      .recurrence, .attention, .quantisation, .generation, .opaque:
      return nil
    }
  }

  /// A stored weight and the stored mask that a node multiplies it by.
  private static func maskedProduct(_ node: Node, _ stored: [ValueID: Stored]) -> (weight: Stored, mask: Stored)? {
    guard case .elementwise(.mul) = node.operation, node.inputs.count == 2, let one = node.inputs[0].flatMap({ stored[$0] }),
      let other = node.inputs[1].flatMap({ stored[$0] }), one.content.shape == other.content.shape,
      one.content.element == other.content.element, one.content.element.isFloat, one.content.elementCount > 1
    else { return nil }
    if isMask(other.content) { return (one, other) }
    return isMask(one.content) ? (other, one) : nil
  }

  /// Takes out what nobody reads any more, of some values that somebody read before.
  private static func removeUnread(_ module: inout Module, among values: Set<ValueID>, _ uses: [[Module.Use]]) {
    var isChanged = true
    while isChanged {
      let read = Set(module.nodes.flatMap { $0.inputs.compactMap { $0 } + $0.captures } + module.outputs)
      func isLeft(_ value: ValueID) -> Bool {
        values.contains(value) && !read.contains(value) && value.index < uses.count && !uses[value.index].isEmpty
      }
      let (nodes, parameters) = (module.nodes.count, module.parameters.count)
      module.nodes.removeAll { node in
        let made = node.outputs.compactMap { $0 }
        return !made.isEmpty && made.allSatisfy(isLeft)
      }
      module.parameters.removeAll { isLeft($0.value) }
      isChanged = module.nodes.count < nodes || module.parameters.count < parameters
    }
  }

  /// Every `X_orig` has its `X_mask` of its own shape, and every such mask holds zeros and ones.
  private static func checkPairs(_ module: Module) throws(Diagnostic) {
    let byName = Dictionary(
      module.parameters.map { (module[$0.value].name, $0.content) }, uniquingKeysWith: { first, _ in first })
    for name in byName.keys.sorted() where name.hasSuffix("_orig") {
      let base = String(name.dropLast("_orig".count))
      guard let mask = byName[base + "_mask"] else { continue }
      try Masks.check(mask, of: byName[name]?.shape ?? [], named: base + "_mask", weight: name)
    }
  }

  private static func isMask(_ content: TensorContent) -> Bool {
    guard let tensor = Tensor(content), StoredReals.canRead(content.element) else { return false }
    var isMask = true
    StoredReals.read(tensor) { number in
      for index in 0..<tensor.count where isMask {
        let one = number(index)
        isMask = one == 0 || one == 1
      }
    }
    return isMask
  }
}

/// Zeros and ones over a tensor.
enum Masks {
  /// Throws where a tensor is no mask over a weight.
  static func check(_ mask: TensorContent, of shape: [Int], named name: String, weight: String) throws(Diagnostic) {
    guard mask.shape == shape else {
      throw Diagnostic(
        .invalid, "has shape \(mask.shape), but \(weight) has \(shape); a mask has the shape of what it masks", at: .tensor(name))
    }
    guard StoredReals.canRead(mask.element), let tensor = Tensor(mask) else {
      throw Diagnostic(
        .invalid, "holds \(mask.element.rawValue), which no mask is made of; store zeros and ones as f32", at: .tensor(name))
    }
    var wrong: Double?
    StoredReals.read(tensor) { number in
      for index in 0..<tensor.count where wrong == nil {
        let one = number(index)
        if one != 0, one != 1 { wrong = one }
      }
    }
    if let wrong { throw Diagnostic(.invalid, "holds \(wrong), but a mask holds only 0 and 1", at: .tensor(name)) }
  }

  /// A tensor as a parameter's numbers.
  static func content(_ tensor: Tensor) -> TensorContent {
    TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)
  }

  /// The numbers where the mask is one, and zero elsewhere.
  static func applying(_ mask: Tensor, to tensor: Tensor) -> Tensor {
    var kept = Array(0..<tensor.count)
    StoredReals.read(mask) { number in for index in kept.indices where number(index) == 0 { kept[index] = -1 } }
    return tensor.picking(kept, shape: tensor.shape)
  }
}
