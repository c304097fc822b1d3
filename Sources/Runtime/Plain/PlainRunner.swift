import Foundation
import Graph

/// Runs a module node by node with the plain evaluation of each operator, nothing lowered: what everything faster is compared with.
public struct PlainRunner: Sendable {
  /// What limits a run.
  public struct Limits: Sendable {
    /// Most bytes that one step, or all that lies between the steps, may take; at first what the machine has, less an eighth.
    public var bytes = Self.machineBytes
    /// Most turns of one loop.
    public var iterations = 1_000_000

    private static let machineBytes = Int(clamping: ProcessInfo.processInfo.physicalMemory / 8 * 7)

    /// The defaults.
    public init() {}
  }

  /// The graph.
  public let module: Module
  /// The file's view of the graph: bodies of control flow and functions are found there.
  let source: NamedModel?
  let limits: Limits
  private let seed: UInt64
  /// The bodies and functions that this one runs within, outermost first.
  let enclosing: [String]
  /// Per node, the values that nobody reads after it.
  private let released: [[ValueID]]

  /// A runner of a module. `source` is the model that the module was imported from; without it, control flow cannot be executed.
  public init(_ module: Module, source: NamedModel? = nil, limits: Limits = Limits(), seed: UInt64 = 0) {
    self.init(module, source: source, limits: limits, seed: seed, enclosing: [])
  }

  /// A runner of a body or a function.
  init(_ module: Module, source: NamedModel?, limits: Limits, seed: UInt64, enclosing: [String]) {
    self.enclosing = enclosing
    self.module = module
    self.source = source
    self.limits = limits
    self.seed = seed
    released = Self.lastUses(module)
  }

  /// Outputs in order, for inputs in order. `observe` sees every value as it is made.
  ///
  /// Throws `invalid` for inputs that do not fit and data that no operator takes, `unsupported` for what cannot be executed.
  public func run(
    _ inputs: [RuntimeValue], observe: (ValueID, RuntimeValue) throws(Diagnostic) -> Void = { _, _ in }
  ) throws(Diagnostic) -> [RuntimeValue] {
    var values = [RuntimeValue?](repeating: nil, count: module.values.count)
    for parameter in module.parameters {
      guard let tensor = Tensor(parameter.content) else {
        throw Diagnostic(
          .invalid, "the numbers are not in the file, so the model cannot run", at: .tensor(module[parameter.value].name))
      }
      values[parameter.value.index] = .tensor(tensor)
    }
    guard inputs.count == module.inputs.count else {
      throw Diagnostic(.invalid, "the graph takes \(module.inputs.count) inputs, \(inputs.count) are given")
    }
    for (input, value) in zip(module.inputs, inputs) { values[input.index] = value }
    var random = SplitMix(seed: seed)
    for (index, node) in module.nodes.enumerated() {
      let operands = node.inputs.map { $0.flatMap { values[$0.index] } }
      var captured: [ValueID: RuntimeValue] = [:]
      for capture in node.captures { captured[capture] = values[capture.index] }
      let results = try evaluate(node, operands, captured, &random)
      for (output, result) in zip(node.outputs, results) {
        guard let output, let result else { continue }
        values[output.index] = result
        try observe(output, result)
      }
      for value in released[index] { values[value.index] = nil }
    }
    var outputs: [RuntimeValue] = []
    for output in module.outputs { outputs.append(values[output.index] ?? .absent) }
    return outputs
  }

  /// Results of one node; `captured` are the values that its subgraphs read.
  func evaluate(
    _ node: Node, _ operands: [RuntimeValue?], _ captured: [ValueID: RuntimeValue], _ random: inout SplitMix
  ) throws(Diagnostic) -> [RuntimeValue?] {
    let label = module.label(of: node)
    guard case .opaque(let opaque) = node.operation else {
      // Identity is the one operator of the set that also takes what is no tensor.
      if case .elementwise(.identity) = node.operation { return [operands.first ?? nil] }
      var tensors: [Tensor?] = []
      for operand in operands {
        switch operand {
        case .tensor(let tensor)?: tensors.append(tensor)
        case .sequence?:
          throw Diagnostic(.invalid, "\(node.operation.onnxName.type): an operand is a sequence, not a tensor", at: .node(label))
        case .absent?, nil: tensors.append(nil)
        }
      }
      let results = try Evaluation.run(
        node, opsets: module.opsets, inputs: tensors, label: label, random: &random, limit: limits.bytes)
      return results.map { $0.map { .tensor($0) } }
    }
    if let collection = CollectionOperator(opaque) {
      return try collection.evaluate(attributes: namedNode(node)?.attributes ?? [], operands, opset: module.opset, label: label)
    }
    guard let named = namedNode(node) else {
      throw Diagnostic(.unsupported, "\(opaque.qualifiedName): prunec cannot execute this operator", at: .node(label))
    }
    if let further = FurtherOperator(opaque) {
      let results = try further.evaluate(FurtherCall(named, operands, label: label, limit: limits.bytes))
      return results.map { .tensor($0) }
    }
    var outer: [String: RuntimeValue] = [:]
    for (capture, value) in captured { outer[module[capture].name] = value }
    return try Subgraphs(runner: self, node: named, outer: outer, label: label).run(operands, &random)
  }

  /// The node as the file has it.
  private func namedNode(_ node: Node) -> NamedNode? {
    guard let source, source.nodes.indices.contains(node.position) else { return nil }
    let named = source.nodes[node.position]
    return named.outputs == node.outputs.map { $0.map { module[$0].name } ?? "" } ? named : nil
  }

  private static func lastUses(_ module: Module) -> [[ValueID]] {
    var last = [Int?](repeating: nil, count: module.values.count)
    for (index, node) in module.nodes.enumerated() {
      for case let value? in node.inputs + node.outputs { last[value.index] = index }
      for capture in node.captures { last[capture.index] = index }
    }
    for output in module.outputs { last[output.index] = nil }
    var released = [[ValueID]](repeating: [], count: module.nodes.count)
    for (value, node) in last.enumerated() { if let node { released[node].append(ValueID(value)) } }
    return released
  }
}
