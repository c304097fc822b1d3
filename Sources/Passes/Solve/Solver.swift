import Graph

/// Gives every axis of every value a layout, by running the axis rule of each node once, in order. Unification is symmetric, so nothing
/// is looked at twice.
final class Solver: AxisSolver {
  private let module: Module
  private let inferred: InferredModule
  private var unifier = Unifier()
  private var layouts: [[Layout]]
  private var codomains: [Layout?]
  private var dependence: [Dependence]
  private var isParameter: [Bool]
  /// Per value, the value from which it was computed element by element; itself where it was not.
  private var origins: [Int]
  private(set) var notes: [Note] = []
  private var current: Node
  private var currentOpset: Int

  /// How a value depends on the model's inputs; decides what counts as a weight.
  enum Dependence: Int, Sendable, Comparable {
    /// From parameters alone, without a contraction: a weight, perhaps transposed, cast, scaled or dequantised.
    case weight
    /// Picked out of weights by positions that depend on data: embeddings, the chosen experts.
    case picked
    /// Anything else: an activation.
    case activation

    static func < (a: Dependence, b: Dependence) -> Bool { a.rawValue < b.rawValue }
  }

  /// A part that a layout plays at a node.
  struct Note: Sendable {
    let role: AxisRole
    let layout: Layout
    let node: Int
  }

  init(_ module: Module, _ inferred: InferredModule) {
    self.module = module
    self.inferred = inferred
    layouts = Array(repeating: [], count: module.values.count)
    codomains = Array(repeating: nil, count: module.values.count)
    dependence = Array(repeating: .activation, count: module.values.count)
    isParameter = Array(repeating: false, count: module.values.count)
    origins = Array(module.values.indices)
    current = Node(.opaque(Opaque(domain: "", type: "none")), inputs: [], outputs: [])
    currentOpset = module.opset
  }

  /// Runs all rules. `progress` hears the share done.
  func run(progress: (Double) -> Void = { _ in }) -> Solution {
    for parameter in module.parameters {
      let id = parameter.value.index
      dependence[id] = .weight
      isParameter[id] = true
      layouts[id] = inferred.types[id].shape.map { unifier.fresh($0) }
    }
    for input in module.inputs {
      let value = module[input]
      layouts[input.index] = inferred.types[input.index].shape.map { unifier.fixed($0, .interface("input \(value.name)")) }
    }
    for (index, node) in module.nodes.enumerated() {
      unifier.node = index
      visit(node)
      if index & 1023 == 0 { progress(Double(index) / Double(module.nodes.count)) }
    }
    for (node, values) in ExampleBinding(module, inferred).bound() {
      unifier.node = node
      for value in values {
        for layout in layouts[value.index] { unifier.freeze(layout, .boundToExample) }
        if let codomain = codomains[value.index] { unifier.freeze(codomain, .boundToExample) }
      }
    }
    unifier.node = nil
    for output in module.outputs {
      let reason = Reason.interface("output \(module[output].name)")
      for layout in layouts[output.index] { unifier.freeze(layout, reason) }
      if let codomain = codomains[output.index] { unifier.freeze(codomain, .positionsReturned(module[output].name)) }
    }
    return Solution(
      module: module, inferred: inferred, table: unifier.table, layouts: layouts, codomains: codomains, notes: notes,
      dependence: dependence)
  }

  private func visit(_ node: Node) {
    current = node
    currentOpset = module.opsets[node.operation.onnxName.domain] ?? module.opset
    for case let output? in node.outputs { dependence[output.index] = dependenceOfResult(node) }
    if case .elementwise = node.operation, let output = node.outputs.first ?? nil, let origin = commonOrigin(of: node) {
      origins[output.index] = origin
    }
    for case let output? in node.outputs where !inferred.types[output.index].isRanked { layouts[output.index] = [] }
    let unranked = (node.inputs + node.outputs).contains { $0.map { !inferred.types[$0.index].isRanked } ?? false }
    if let rules = node.operation.rules, !unranked {
      rules.relate(self)
    } else {
      let reason = Reason.opaque(Self.unknown(in: node))
      freezeNode(reason)
      for case let capture? in node.captures as [ValueID?] {
        for layout in layouts[capture.index] { unifier.freeze(layout, reason) }
        if let codomain = codomains[capture.index] { unifier.freeze(codomain, .positionsEscape) }
      }
      for index in node.inputs.indices {
        if let codomain = codomain(ofInput: index) { unifier.freeze(codomain, .positionsEscape) }
      }
    }
    for case let output? in node.outputs where layouts[output.index].count != inferred.types[output.index].rank {
      // A rule that forgot a result: nothing may be assumed about it.
      layouts[output.index] = inferred.types[output.index].shape.map { unifier.fixed($0, .opaque(node.operation.textName)) }
      for index in node.inputs.indices { freezeInput(index, .opaque(node.operation.textName)) }
    }
  }

  /// The value from which all activations that a node reads were computed element by element, where there is one.
  private func commonOrigin(of node: Node) -> Int? {
    let found = Set(node.inputs.compactMap { $0 }.filter { dependence[$0.index] == .activation }.map { origins[$0.index] })
    return found.count == 1 ? found.first : nil
  }

  /// What a reason calls that which prunec cannot follow at a node.
  private static func unknown(in node: Node) -> String {
    if case .opaque(let opaque) = node.operation { return opaque.qualifiedName }
    return "a value of unknown rank"
  }

  private func dependenceOfResult(_ node: Node) -> Dependence {
    let inputs = node.inputs.compactMap { $0 }.map { dependence[$0.index] }
    let most = inputs.max() ?? .weight
    switch node.operation {
    case .matrixProduct, .convolution, .recurrence, .attention: return .activation
    case .indexing(.gather), .indexing(.gatherND), .indexing(.gatherElements):
      return max(inputs.first ?? .activation, most == .activation ? .picked : most)
    case .generation(.shape), .generation(.size): return .weight
    case .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .quantisation, .generation, .opaque:
      return most
    }
  }

  // MARK: AxisSolver

  var node: Node { current }
  var opset: Int { currentOpset }

  private func input(_ index: Int) -> Int? { current.inputs.indices.contains(index) ? current.inputs[index]?.index : nil }
  private func output(_ index: Int) -> Int? { current.outputs.indices.contains(index) ? current.outputs[index]?.index : nil }

  func type(ofInput index: Int) -> TensorType? { input(index).map { inferred.types[$0] } }
  func type(ofOutput index: Int) -> TensorType? { output(index).map { inferred.types[$0] } }
  func known(ofInput index: Int) -> KnownValue? { input(index).flatMap { inferred.numbers[$0] } }
  func known(ofOutput index: Int) -> KnownValue? { output(index).flatMap { inferred.numbers[$0] } }
  func axes(ofInput index: Int) -> [Layout] { input(index).map { layouts[$0] } ?? [] }

  func isParameterOnly(input index: Int) -> Bool { Self.isParameterOnly(input: index, of: current) { dependence[$0.index] } }

  /// Weights picked by data count as weights where they meet an activation, as activations where they meet a weight.
  static func isParameterOnly(input index: Int, of node: Node, _ dependence: (ValueID) -> Dependence) -> Bool {
    guard node.inputs.indices.contains(index), let id = node.inputs[index] else { return false }
    switch dependence(id) {
    case .weight: return true
    case .activation: return false
    case .picked:
      return node.inputs.enumerated().contains { $0 != index && $1.map { dependence($0) == .activation } ?? false }
    }
  }

  func isParameter(input index: Int) -> Bool {
    guard let id = input(index) else { return false }
    return isParameter[id]
  }

  func setAxes(ofOutput index: Int, _ layouts: [Layout]) {
    if let id = output(index) { self.layouts[id] = layouts }
  }

  func codomain(ofInput index: Int) -> Layout? { input(index).flatMap { codomains[$0] } }

  func setCodomain(ofOutput index: Int, _ layout: Layout) {
    if let id = output(index) { codomains[id] = layout }
  }

  func fresh(_ extent: Extent) -> Layout { unifier.fresh(extent) }
  func fixed(_ extent: Extent, _ reason: Reason) -> Layout { unifier.fixed(extent, reason) }
  func product(_ factors: [Layout]) -> Layout { unifier.table.product(factors) }
  func sum(_ parts: [Layout]) -> Layout { unifier.table.sum(parts) }
  func extent(_ layout: Layout) -> Extent { unifier.table.extent(layout) }
  func unify(_ a: Layout, _ b: Layout) { unifier.unify(a, b) }
  func freeze(_ layout: Layout, _ reason: Reason) { unifier.freeze(layout, reason) }
  func cut(_ layout: Layout, at positions: [Int]) -> [Layout] { unifier.cut(layout, at: positions) }
  func split(_ layout: Layout, inner: Int) -> (outer: Layout, inner: Layout) { unifier.split(layout, inner: inner) }
  /// A sum of functions of one value (the cubic inside a GELU) is no residual sum.
  func note(_ role: AxisRole, _ layout: Layout) {
    if role == .residual, commonOrigin(of: current) != nil { return }
    notes.append(Note(role: role, layout: layout, node: unifier.node ?? -1))
  }
}
