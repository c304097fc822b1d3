import Graph

/// Makes every use of a shape number carry what it must in the smaller graph.
///
/// Shapes of smaller tensors are smaller, and shape arithmetic follows them by itself. What does not is corrected: constants get
/// other numbers, or are split where their users need different ones; computed lists become constants where all their numbers are
/// known, and are corrected part by part where some stay dynamic; a dimension that is read as a number gets its old value back.
///
///     %s = shape %q                       : i64[3]     # [batch, 4, 16] becomes [batch, 2, 16]
///     %t = concat %batch, %minus1, %c64   : i64[3]     # c64: 64 becomes 32
///     %y = reshape %v, %t                              # batch stays dynamic
///     %d = gather %s, %last               : i64[]      # 16 becomes 8: the root below needs 16
///     %f = cast %d                                     # reads `d#1`, a constant 16
enum ShapeNumberRepair {
  /// Repairs a module whose values have their new types and whose parameters are sliced already, its nodes being those of the
  /// original.
  ///
  /// - `old`: what was known of every value's numbers in the original, by value.
  /// - `required`: per node what its operands must carry, as the operators' rules say.
  /// - Returns what was edited, in order. Nodes that nobody reads any more are gone.
  /// - Throws where an operand must carry numbers that no constant and no correction can give it.
  @discardableResult
  static func run(
    _ module: inout Module, old: [KnownValue?], required: [[Int: KnownValue]], stopAfter limit: Int? = nil
  ) throws(Diagnostic) -> [GraphEditor.Edit] {
    var numbers = ShapeNumbers(module, old: old, limit: limit)
    for node in module.nodes.indices {
      try numbers.repair(node, required: required.indices.contains(node) ? required[node] : [:])
    }
    try numbers.restoreOutputs()
    numbers.tidy()
    let edits = numbers.editor.edits
    module = numbers.editor.finished()
    return edits
  }
}

/// The state of a repair: what every value's numbers are now, and what reads it.
struct ShapeNumbers {
  var editor: GraphEditor
  /// The graph as it came: indices of its nodes stay valid in the editor.
  let original: Module
  let producers: [Int?]
  private let old: [KnownValue?]
  /// What is known of every value's numbers in the smaller graph.
  private(set) var now: [KnownValue?]
  /// Values computed from shapes alone that differ from what they were.
  private var changed: Set<ValueID> = []
  /// How many places read a value now, and whether any did at first.
  private var readers: [Int]
  private let wasRead: [Bool]
  /// Replacements that stand for a parameter or a result of a node, made in this order.
  private var copies: [(original: ValueID, copy: ValueID, node: Int?)] = []
  private var exchanged: Set<ValueID> = []
  /// Nodes that were added, in order.
  private var inserted: [Int] = []
  private var made: [Need: ValueID] = [:]

  struct Need: Hashable {
    let value: ValueID
    let numbers: KnownValue
  }

  init(_ module: Module, old: [KnownValue?], limit: Int?) {
    original = module
    editor = GraphEditor(module, limit: limit)
    producers = module.producers()
    self.old = module.values.indices.map { old.indices.contains($0) ? old[$0] : nil }
    now = self.old
    for parameter in module.parameters {
      let content = parameter.content
      if let known = self.old[parameter.value.index], known.shape == content.shape { continue }
      // As much is known as before, so that what is made of stored numbers is not taken for something that changed.
      let isFollowed = self.old[parameter.value.index] != nil || !content.element.isFloat || content.elementCount <= 64
      now[parameter.value.index] = isFollowed ? KnownValue(content) : nil
    }
    var counts = module.uses().map(\.count)
    for output in module.outputs { counts[output.index] += 1 }
    readers = counts
    wasRead = counts.map { $0 > 0 }
  }

  // MARK: - Forward

  /// Gives a node's operands what they must carry, then finds what its results carry.
  mutating func repair(_ node: Int, required: [Int: KnownValue]) throws(Diagnostic) {
    guard original.nodes[node].operation.rules != nil else {
      for value in original.nodes[node].inputs.compactMap(\.self) + original.nodes[node].captures {
        try exchange(value, for: node)
      }
      return
    }
    let count = max(original.nodes[node].inputs.count, (required.keys.max() ?? -1) + 1)
    for operand in 0..<count {
      guard let value = operand < original.nodes[node].inputs.count ? original.nodes[node].inputs[operand] : nil else {
        if let numbers = required[operand] { try add(numbers, to: node, operand) }
        continue
      }
      if let numbers = required[operand] {
        try supply(numbers, to: node, operand, "must carry")
      } else if changed.contains(value), !passesOn(node, operand), let before = old[value.index], keepsShape(value, before) {
        try supply(before, to: node, operand, "is read as a number, so it keeps")
      }
    }
    evaluate(node)
    guard Self.compares(original.nodes[node].operation), let output = original.nodes[node].outputs.first ?? nil,
      now[output.index] != old[output.index]
    else { return }
    for (operand, input) in original.nodes[node].inputs.enumerated() {
      if let input, changed.contains(input), let before = old[input.index] {
        try supply(before, to: node, operand, "is compared, so it keeps")
      }
    }
    evaluate(node)
  }

  /// True where a value has as many numbers as before. Of fewer, the rest are data that shrank with their axis, not numbers to
  /// restore.
  private func keepsShape(_ value: ValueID, _ before: KnownValue) -> Bool { original[value].type.staticShape == before.shape }

  /// The model's outputs are what they were.
  mutating func restoreOutputs() throws(Diagnostic) {
    for output in original.outputs { try exchange(output, for: nil) }
  }

  /// Makes an operand carry numbers.
  private mutating func supply(_ numbers: KnownValue, to node: Int, _ operand: Int, _ reason: String) throws(Diagnostic) {
    guard let value = editor.module.nodes[node].inputs[operand] else { return }
    let replacement = try carrier(of: numbers, like: value, for: node)
    guard replacement != value else { return }
    read(replacement, insteadOf: value)
    editor.replaceInput(
      node: node, operand: operand, with: replacement,
      "operand \(operand) \(reason) \(Self.text(now[replacement.index] ?? numbers))")
  }

  /// Adds an operand that was left out: a list of whole numbers.
  private mutating func add(_ numbers: KnownValue, to node: Int, _ operand: Int) throws(Diagnostic) {
    guard let content = Self.content(numbers, .i64) else { throw failure(node, "operand \(operand) would have to be computed") }
    let name = original.nodes[node].outputs.compactMap(\.self).first.map { original[$0].name } ?? original.nodes[node].name
    let value = addParameter(like: name, content, numbers)
    readers[value.index] += 1
    editor.replaceInput(node: node, operand: operand, with: value, "operand \(operand) is added: \(Self.text(numbers))")
  }

  /// Gives readers by name (subgraphs, nodes kept byte for byte, outputs of the model) the old numbers under the old name.
  private mutating func exchange(_ value: ValueID, for node: Int?) throws(Diagnostic) {
    guard changed.contains(value), !exchanged.contains(value), let before = old[value.index] else { return }
    let replacement = try carrier(of: before, like: value, for: node)
    guard replacement != value else { return }
    exchanged.insert(value)
    var places = original.outputs.filter { $0 == value }.count
    for other in original.nodes where other.operation.rules == nil {
      places += other.inputs.filter { $0 == value }.count + other.captures.filter { $0 == value }.count
    }
    readers[value.index] -= places
    readers[replacement.index] += places
    editor.exchangeNames(value, replacement, "is read by name, so it keeps \(Self.text(before))")
  }

  private mutating func read(_ value: ValueID, insteadOf other: ValueID) {
    readers[value.index] += 1
    readers[other.index] -= 1
  }

  /// Finds what is known of a node's results, from what is known of its operands now.
  private mutating func evaluate(_ index: Int) {
    let node = editor.module.nodes[index]
    guard let rules = node.operation.rules, node.outputs.contains(where: { $0.flatMap { old[$0.index] } != nil }) else { return }
    let readsShape = Self.readsShapeOnly(node.operation)
    let isTouched = node.inputs.contains { $0.map { changed.contains($0) || $0.index >= old.count } ?? false }
    let isSame =
      !readsShape && node.inputs.allSatisfy { $0.map { $0.index < old.count && now[$0.index] == old[$0.index] } ?? true }
      && node.outputs.allSatisfy { $0.map { old[$0.index]?.shape == editor.module[$0].type.staticShape } ?? true }
    if isSame { return }
    var context = InferenceContext(
      node: node, opset: original.opsets[node.operation.onnxName.domain] ?? original.opset, label: original.label(of: node),
      inputTypes: node.inputs.map { $0.map { editor.module[$0].type } },
      inputNumbers: node.inputs.map { $0.flatMap { now[$0.index] } },
      contents: node.inputs.map { $0.flatMap { editor.parameter($0)?.content } })
    // What does not fit here is found, and said, when the smaller graph's types are verified.
    let isInferred = (try? rules.infer(&context)) != nil
    for (output, value) in node.outputs.enumerated() {
      guard let value, value.index < old.count else { continue }
      now[value.index] = isInferred ? context.outputNumbers[output] : nil
      guard readsShape || isTouched, let before = old[value.index] else { continue }
      let after = now[value.index]
      if after.map({ $0.shape == before.shape && $0 != before }) ?? true { changed.insert(value) } else { changed.remove(value) }
    }
  }

  // MARK: - Numbers on demand

  /// A value that carries `numbers`: `value` itself where it does, else a constant, or `value` corrected. Entries that are not
  /// known in `numbers` may be anything.
  mutating func carrier(of numbers: KnownValue, like value: ValueID, for node: Int?) throws(Diagnostic) -> ValueID {
    let present = now[value.index]
    if let present, Self.satisfies(present, numbers) { return value }
    let wanted = Self.filled(numbers, from: present)
    let need = Need(value: value, numbers: wanted)
    if let known = made[need] { return known }
    let name = original.values.indices.contains(value.index) ? original[value].name : editor.module[value].name
    let element = editor.module[value].type.element
    let result: ValueID
    if let content = Self.content(wanted, element) {
      if editor.parameter(value) != nil {
        result = addParameter(like: name, content, wanted)
        copies.append((value, result, nil))
      } else if wanted.shape.count <= 1 || wanted.entries.count == 1 {
        result = addParameter(like: name, content, wanted)
      } else {
        // Positions with several axes stay computed: from a list that is a shape number like others.
        let followed = try pushedBack(wanted, value, for: node, movesOnly: true)
        if let followed { result = followed } else { result = try reshapedList(wanted, value, for: node) }
      }
    } else if let followed = try pushedBack(wanted, value, for: node, movesOnly: false) {
      result = followed
    } else {
      result = try corrected(wanted, value, for: node)
    }
    made[need] = result
    return result
  }

  mutating func addParameter(like name: String, _ content: TensorContent, _ numbers: KnownValue) -> ValueID {
    let value = editor.addParameter(like: name, content)
    note(value, numbers)
    return value
  }

  /// Adds a node that makes a new value, next to the node that makes `value`.
  mutating func insert(
    _ operation: Operator, _ inputs: [ValueID?], like value: ValueID, _ attributes: Attributes = Attributes(),
    _ numbers: KnownValue,
    _ label: String
  ) -> ValueID {
    let result = editor.addValue(
      like: original[value].name, type: TensorType(editor.module[value].type.element, numbers.shape.map { Extent($0) }))
    note(result, numbers)
    for case let input? in inputs { readers[input.index] += 1 }
    let producer = producers[value.index]
    let maker = producer.map { original.nodes[$0] }
    let suffix = editor.module[result].name.dropFirst(original[value].name.count)
    let node = Node(
      operation, inputs: inputs, outputs: [result], attributes: attributes,
      name: maker.flatMap { $0.name.isEmpty ? nil : $0.name + suffix } ?? "", position: maker?.position ?? -1)
    inserted.append(editor.insert(node, producer.map { .after($0) } ?? .first, label))
    return result
  }

  /// A copy of the node that makes `value`, with other operands.
  mutating func copy(_ value: ValueID, _ inputs: [ValueID?], _ numbers: KnownValue) -> ValueID? {
    guard let producer = producers[value.index] else { return nil }
    let node = original.nodes[producer]
    let result = insert(node.operation, inputs, like: value, node.attributes, numbers, "copied, to carry \(Self.text(numbers))")
    if let last = inserted.last { copies.append((value, result, last)) }
    return result
  }

  /// True when something was known of a value's numbers in the original; `throughout` when all of them were.
  func isKnown(_ value: ValueID, throughout: Bool = false) -> Bool {
    old[value.index].map { !throughout || !$0.entries.contains(.unknown) } ?? false
  }

  private mutating func note(_ value: ValueID, _ numbers: KnownValue) {
    while now.count <= value.index {
      now.append(nil)
      readers.append(0)
    }
    now[value.index] = numbers
  }

  /// A failure of a node's operands.
  func failure(_ node: Int?, _ message: String) -> Diagnostic {
    let place = node.map { Diagnostic.Place.node(original.label(of: original.nodes[$0])) }
    return Diagnostic(.unsupported, "\(message); keep the groups it depends on with --ignore", at: place ?? .none)
  }

  // MARK: - Names and leftovers

  /// Where a replaced constant or node has no readers left, its first replacement takes its name and place. Shape arithmetic that
  /// was read before and is not any more goes; data stay, even where only their shape was read.
  mutating func tidy() {
    for node in inserted.reversed() {
      if let output = editor.module.nodes[node].outputs.first ?? nil, readers[output.index] == 0 { drop(node) }
    }
    var heirs: [ValueID: (copy: ValueID, node: Int?)] = [:]
    for (original, copy, node) in copies where heirs[original] == nil && readers[copy.index] > 0 {
      heirs[original] = (copy, node)
    }
    for index in original.nodes.indices.reversed() {
      let outputs = original.nodes[index].outputs.compactMap(\.self)
      guard outputs.contains(where: { wasRead[$0.index] }), outputs.allSatisfy({ readers[$0.index] == 0 && isKnown($0) }) else {
        continue
      }
      if outputs.count == 1, let heir = heirs[outputs[0]], let copy = heir.node, !exchanged.contains(outputs[0]) {
        for case let input? in editor.module.nodes[index].inputs { readers[input.index] -= 1 }
        editor.adopt(heir.copy, as: outputs[0], nodes: (copy, index), "takes its only copy's place")
        readers[outputs[0].index] = readers[heir.copy.index]
      } else {
        drop(index)
      }
    }
    for parameter in editor.module.parameters where readers[parameter.value.index] == 0 {
      let value = parameter.value
      let isNew = value.index >= old.count
      guard isNew || wasRead[value.index] && !parameter.content.element.isData else { continue }
      if !isNew, let heir = heirs[value], heir.node == nil, isAsLong(value, heir.copy) {
        editor.adopt(heir.copy, as: value, "becomes \(now[heir.copy.index].map(Self.text) ?? "other numbers")")
        readers[value.index] = readers[heir.copy.index]
      } else {
        editor.remove(parameter: value, "nobody reads it any more")
      }
    }
  }

  /// True when a constant has as many numbers as before, so that it is the same list with other numbers rather than another one.
  private func isAsLong(_ value: ValueID, _ copy: ValueID) -> Bool {
    old[value.index].map { $0.shape == now[copy.index]?.shape } ?? false
  }

  private mutating func drop(_ node: Int) {
    for case let input? in editor.module.nodes[node].inputs { readers[input.index] -= 1 }
    editor.remove(node: node, "nobody reads it any more")
  }
}
