import Graph

/// One node looked at by itself: its axis rule is run on operands and results whose parts are all told apart, so that what is the same
/// afterwards is the same because of this node.
///
/// The layouts of a solved module say that two axes carry one group. They do not say that index 3 of the one meets index 3 of the other:
///
///     %s = matmul %q, %k      q [b, h, n, d], k [b, h, d, m]     here both h are one axis of the result, and both d meet
///     %s = einsum "hnd,gmd"   q [h, n, d], k [g, m, d]           here every h meets every g, whatever they are tied to elsewhere
final class NodeProbe: AxisSolver {
  let node: Node
  let opset: Int
  private let context: Context
  private var unifier = Unifier()
  private var inputAxes: [[Layout]] = []
  private var inputCodomains: [Layout?] = []
  private var outputAxes: [[Layout]?]
  private var leaves: [[[Layout]]] = []

  /// What a probe must know of the module around the node.
  struct Context {
    let module: Module
    let inferred: InferredModule
    let table: LayoutTable
    let axes: [[Layout]]
    let codomains: [Layout?]
    let dependence: [Solver.Dependence]
    let parameters: Set<ValueID>
  }

  /// Per operand and then per result, per axis, per part: a number that is equal where the node makes two parts the same; nil where it takes
  /// a part apart, or keeps all of its indices. Empty for what is left out.
  struct Classes {
    let slots: [[[Int32?]]]
  }

  /// Runs the rule of a node; nil where there is none.
  static func classes(of index: Int, in context: Context) -> Classes? {
    let node = context.module.nodes[index]
    guard let rules = node.operation.rules else { return nil }
    let probe = NodeProbe(node, context)
    rules.relate(probe)
    return probe.found()
  }

  private init(_ node: Node, _ context: Context) {
    self.node = node
    self.context = context
    opset = context.module.opsets[node.operation.onnxName.domain] ?? context.module.opset
    outputAxes = node.outputs.map { _ in nil }
    for input in node.inputs {
      var own: [[Layout]] = []
      var axes: [Layout] = []
      for layout in input.map({ context.axes[$0.index] }) ?? [] {
        var parts: [Layout] = []
        axes.append(copy(layout, &parts))
        own.append(parts)
      }
      inputAxes.append(axes)
      leaves.append(own)
      var ignored: [Layout] = []
      inputCodomains.append(input.flatMap { context.codomains[$0.index] }.map { copy($0, &ignored) })
    }
  }

  /// A layout of the same form with parts of its own.
  private func copy(_ layout: Layout, _ parts: inout [Layout]) -> Layout {
    let table = context.table
    switch table.form(layout) {
    case .fixed:
      guard let extent = table.extent(layout).constant, extent > 1 else {
        return unifier.fixed(table.extent(layout), .structure)
      }
      let part = unifier.table.newGroup(extent)
      parts.append(part)
      return part
    case .group:
      let part = unifier.table.newGroup(table.extent(layout).constant ?? 0)
      parts.append(part)
      return part
    case .product(let factors):
      let copies = factors.map { copy($0, &parts) }
      return unifier.table.product(copies)
    case .sum(let children):
      let copies = children.map { copy($0, &parts) }
      return unifier.table.sum(copies)
    }
  }

  private func found() -> Classes {
    for (index, output) in node.outputs.enumerated() {
      guard let output else {
        leaves.append([])
        continue
      }
      var own: [[Layout]] = []
      for (axis, layout) in context.axes[output.index].enumerated() {
        var parts: [Layout] = []
        let copy = copy(layout, &parts)
        own.append(parts)
        if let given = outputAxes[index], given.indices.contains(axis) { unifier.unify(given[axis], copy) }
      }
      leaves.append(own)
    }
    let slots = leaves.map { slot in
      slot.map { axis in
        axis.map { part -> Int32? in
          let resolved = unifier.table.resolve(part)
          switch unifier.table.form(resolved) {
          case .group(let leaf): return leaf
          case .fixed, .product, .sum: return nil
          }
        }
      }
    }
    return Classes(slots: slots)
  }

  // MARK: AxisSolver

  private func input(_ index: Int) -> ValueID? { node.inputs.indices.contains(index) ? node.inputs[index] : nil }
  private func output(_ index: Int) -> ValueID? { node.outputs.indices.contains(index) ? node.outputs[index] : nil }

  func type(ofInput index: Int) -> TensorType? { input(index).map { context.inferred.types[$0.index] } }
  func type(ofOutput index: Int) -> TensorType? { output(index).map { context.inferred.types[$0.index] } }
  func known(ofInput index: Int) -> KnownValue? { input(index).flatMap { context.inferred.numbers[$0.index] } }
  func known(ofOutput index: Int) -> KnownValue? { output(index).flatMap { context.inferred.numbers[$0.index] } }
  func isParameter(input index: Int) -> Bool { input(index).map(context.parameters.contains) ?? false }
  func axes(ofInput index: Int) -> [Layout] { inputAxes.indices.contains(index) ? inputAxes[index] : [] }
  func codomain(ofInput index: Int) -> Layout? { inputCodomains.indices.contains(index) ? inputCodomains[index] : nil }

  func isParameterOnly(input index: Int) -> Bool {
    Solver.isParameterOnly(input: index, of: node) { context.dependence[$0.index] }
  }

  func setAxes(ofOutput index: Int, _ layouts: [Layout]) {
    if outputAxes.indices.contains(index) { outputAxes[index] = layouts }
  }

  func setCodomain(ofOutput index: Int, _ layout: Layout) {}

  func fresh(_ extent: Extent) -> Layout { unifier.fresh(extent) }
  func fixed(_ extent: Extent, _ reason: Reason) -> Layout { unifier.fixed(extent, reason) }
  func product(_ factors: [Layout]) -> Layout { unifier.table.product(factors) }
  func sum(_ parts: [Layout]) -> Layout { unifier.table.sum(parts) }
  func extent(_ layout: Layout) -> Extent { unifier.table.extent(layout) }
  func unify(_ a: Layout, _ b: Layout) { unifier.unify(a, b) }
  func freeze(_ layout: Layout, _ reason: Reason) { unifier.freeze(layout, reason) }
  func cut(_ layout: Layout, at positions: [Int]) -> [Layout] { unifier.cut(layout, at: positions) }
  func split(_ layout: Layout, inner: Int) -> (outer: Layout, inner: Layout) { unifier.split(layout, inner: inner) }
  func note(_ role: AxisRole, _ layout: Layout) {}
}
