import Graph

/// Nodes that run other graphs: `If`, `Loop`, `Scan`, and calls of the model's own functions.
struct Subgraphs {
  let runner: PlainRunner
  let node: NamedNode
  /// Values of the enclosing graph by name, as far as the subgraphs read them.
  let outer: [String: RuntimeValue]
  let label: String

  func run(_ operands: [RuntimeValue?], _ random: inout SplitMix) throws(Diagnostic) -> [RuntimeValue?] {
    switch (node.domain, node.type) {
    case ("", "If"): return try choose(operands, &random)
    case ("", "Loop"): return try loop(operands, &random)
    case ("", "SequenceMap"): return try mapSequences(operands)
    case ("", "Scan"): return try runner.module.opset < 9 ? scanBatch(operands) : scan(operands)
    case (let domain, let type):
      if let function = runner.source?.functions.first(where: { $0.domain == domain && $0.type == type }) {
        return try call(function, operands, &random)
      }
      throw Diagnostic(
        .unsupported, "\(Opaque(domain: domain, type: type).qualifiedName): prunec cannot execute this operator", at: .node(label)
      )
    }
  }

  func failure(_ message: String) -> Diagnostic { Diagnostic(.invalid, "\(node.type): \(message)", at: .node(label)) }

  // MARK: - Bodies

  /// A graph that the node carries, ready to run: what it reads of the enclosing graph comes in as further inputs.
  struct Body {
    fileprivate let runner: PlainRunner
    fileprivate let captured: [RuntimeValue]
    /// Types of the outputs as the file declares them.
    let outputTypes: [TensorType]

    var outputCount: Int { outputTypes.count }

    func run(_ inputs: [RuntimeValue]) throws(Diagnostic) -> [RuntimeValue] { try runner.run(inputs + captured) }
  }

  func body(_ attribute: String) throws(Diagnostic) -> Body {
    guard let graph = node.subgraphs.first(where: { $0.name == attribute })?.graph else {
      throw failure("the graph \(attribute) is missing")
    }
    return try body(graph, outer: outer, within: node.type)
  }

  /// Bodies and functions may stand within each other so deep.
  private static let deepest = 128

  private func body(_ graph: NamedModel, outer: [String: RuntimeValue], within name: String) throws(Diagnostic) -> Body {
    guard runner.enclosing.count < Self.deepest else {
      throw Diagnostic(
        .unsupported, "\(name): stands within \(Self.deepest) other bodies and functions, more than prunec executes",
        at: .node(label))
    }
    var graph = graph
    let outputTypes = graph.outputs.map(\.type)
    graph.functions = runner.source?.functions ?? []
    if graph.opsets.isEmpty { graph.opsets = runner.module.opsets }
    var captured: [RuntimeValue] = []
    let own = Set(graph.inputs.map(\.name) + graph.initializers.map(\.name) + graph.nodes.flatMap(\.outputs))
    // Types of formal inputs change from turn to turn where lengths grow, and results are checked as they are made.
    graph.inputs = graph.inputs.map { NamedValue(name: $0.name, type: .unranked($0.type.element)) }
    graph.outputs = graph.outputs.map { NamedValue(name: $0.name, type: .unranked(.unknown)) }
    graph.valueTypes = [:]
    for name in outer.keys.sorted() where !own.contains(name) {
      guard let value = outer[name] else { continue }
      graph.inputs.append(NamedValue(name: name, type: .unranked(value.tensor?.element ?? .unknown)))
      captured.append(value)
    }
    let module = try Importer.module(from: graph)
    let inner = PlainRunner(
      module, source: graph, limits: runner.limits, seed: 0, enclosing: runner.enclosing + [name])
    return Body(runner: inner, captured: captured, outputTypes: outputTypes)
  }

  static func padded(_ values: [RuntimeValue], to count: Int) -> [RuntimeValue?] {
    (0..<count).map { values.indices.contains($0) ? values[$0] : nil }
  }

  // MARK: - If

  private func choose(_ operands: [RuntimeValue?], _ random: inout SplitMix) throws(Diagnostic) -> [RuntimeValue?] {
    guard let condition = operands.first??.tensor, condition.count == 1, let isTrue = condition.truths.first else {
      throw failure("the condition is not one truth value")
    }
    return Self.padded(try body(isTrue ? "then_branch" : "else_branch").run([]), to: node.outputs.count)
  }

  // MARK: - Loop

  private func loop(_ operands: [RuntimeValue?], _ random: inout SplitMix) throws(Diagnostic) -> [RuntimeValue?] {
    let body = try body("body")
    let limit = operands.first??.tensor?.scalarWhole
    var isGoing = operands.count > 1 ? operands[1]?.tensor?.truths.first ?? true : true
    var carried = operands.dropFirst(2).map { $0 ?? .absent }
    let collectedCount = body.outputCount - 1 - carried.count
    guard collectedCount >= 0 else {
      throw failure("the body returns \(body.outputCount) values, too few for \(carried.count) carried ones")
    }
    var collected = [[Tensor]](repeating: [], count: collectedCount)
    var bytes = 0
    var turn = 0
    while isGoing, limit.map({ turn < $0 }) ?? true {
      if turn >= runner.limits.iterations {
        throw Diagnostic(
          .refused, "\(node.type): did not end after \(turn) turns; allow more with --max-iterations", at: .node(label))
      }
      let results = try body.run([.tensor(Tensor(scalar: turn)), .tensor(Tensor(truths: [isGoing], []))] + carried)
      guard let condition = results.first?.tensor?.truths.first else { throw failure("the body returns no condition") }
      isGoing = condition
      carried = Array(results[1..<(1 + carried.count)])
      for index in 0..<collectedCount {
        guard let piece = results[1 + carried.count + index].tensor else { throw failure("what a turn adds must be a tensor") }
        collected[index].append(piece)
        bytes += piece.data.count
      }
      try requireRoom(bytes)
      turn += 1
    }
    var outputs = carried
    for (index, pieces) in collected.enumerated() {
      outputs.append(.tensor(try stacked(pieces, axis: 0, of: body.outputTypes[1 + carried.count + index])))
    }
    return Self.padded(outputs, to: node.outputs.count)
  }

  /// Throws where so many bytes are more than a tensor may have.
  func requireRoom(_ bytes: Int) throws(Diagnostic) {
    guard bytes <= runner.limits.bytes else {
      throw failure("puts together \(bytes) bytes; at most \(runner.limits.bytes) are allowed here")
    }
  }

  /// Tensors of one shape along a new axis. `type` is what the pieces are declared to be, which decides where there are none.
  func stacked(_ pieces: [Tensor], axis: Int, of type: TensorType) throws(Diagnostic) -> Tensor {
    guard let first = pieces.first else {
      var shape = type.isRanked ? type.shape.map { max(0, $0.constant ?? 0) } : []
      guard (0...shape.count).contains(axis) else { throw failure("axis \(axis) is outside a result of \(shape.count + 1) axes") }
      shape.insert(0, at: axis)
      guard Tensor.count(shape) == 0 else { throw failure("the body's result \(type) is beyond reason") }
      return Tensor(wholes: [], type.element.bits == nil ? .f32 : type.element, shape)
    }
    try requireRoom(pieces.reduce(0) { $0 + $1.data.count })
    guard pieces.allSatisfy({ $0.shape == first.shape && $0.element == first.element }) else {
      throw failure("turns return tensors of different shapes")
    }
    guard let stacked = TensorList.concatenated(pieces.map { $0.reshaped([1] + $0.shape) }, axis: 0) else {
      throw failure("what the turns return cannot be put together")
    }
    if axis == 0 { return stacked }
    guard (0...first.rank).contains(axis) else { throw failure("axis \(axis) is outside a result of \(stacked.rank) axes") }
    return stacked.transposed(Array(1...axis) + [0] + Array((axis + 1)..<stacked.rank))
  }

  // MARK: - Sequences

  /// The body once per place of the sequences; operands that are no sequences are the same each time.
  private func mapSequences(_ operands: [RuntimeValue?]) throws(Diagnostic) -> [RuntimeValue?] {
    guard case .sequence(let first, _)?? = operands.first else { throw failure("the first operand is not a sequence") }
    let body = try body("body")
    var collected = [[Tensor]](repeating: [], count: body.outputCount)
    for place in first.indices {
      var inputs: [RuntimeValue] = []
      for operand in operands {
        if case .sequence(let tensors, _)? = operand {
          guard tensors.indices.contains(place) else { throw failure("the sequences have different lengths") }
          inputs.append(.tensor(tensors[place]))
        } else {
          inputs.append(operand ?? .absent)
        }
      }
      for (index, result) in try body.run(inputs).enumerated() {
        guard let tensor = result.tensor else { throw failure("what the body returns must be tensors") }
        collected[index].append(tensor)
      }
    }
    return Self.padded(collected.map { .sequence($0, $0.first?.element ?? .f32) }, to: node.outputs.count)
  }

  // MARK: - Functions

  private func call(
    _ function: NamedFunction, _ operands: [RuntimeValue?], _ random: inout SplitMix
  ) throws(Diagnostic) -> [RuntimeValue?] {
    let name = Opaque(domain: function.domain, type: function.type).qualifiedName
    guard !runner.enclosing.contains(name) else { throw failure("the function calls itself, which never ends") }
    guard operands.count <= function.inputs.count else { throw failure("has more operands than the function takes") }
    var formal: [String: RuntimeValue] = [:]
    var absent: Set<String> = []
    for (index, name) in function.inputs.enumerated() {
      if operands.indices.contains(index), let value = operands[index] { formal[name] = value } else { absent.insert(name) }
    }
    var graph = NamedModel(name: function.type)
    graph.opsets = function.opsets
    graph.nodes = function.nodes.map { node in
      var node = node
      node.inputs = node.inputs.map { absent.contains($0) ? "" : $0 }
      return node
    }
    graph.outputs = function.outputs.map { NamedValue(name: $0, type: .unranked(.unknown)) }
    return Self.padded(try body(graph, outer: formal, within: name).run([]), to: node.outputs.count)
  }
}
