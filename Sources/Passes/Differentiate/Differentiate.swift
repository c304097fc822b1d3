import Graph
import Runtime

/// Reverse-mode differentiation from graph to graph (Linnainmaa 1970; Griewank and Walther, "Evaluating Derivatives", 2008).
///
///     %y = mul %x, %w;  %loss = reduce_sum %y            by w becomes
///     %g = expand 1, shape %y;  %grad.w = mul %g, %x     (summed where w was broadcast)
///
/// The loss's gradient by itself is 1. From there backwards, every node hands the gradients of its results on to its operands by its
/// operator's chain rule (`OperatorRules.gradient`); a value that several nodes read gets the sum of what they hand it. Composite
/// operators (norms, attention, …) are written out as simpler ones first, so that only these need rules.
///
/// Each operator's knowledge stands with the operator; this file only walks the graph.
public enum Differentiate {
  /// The gradients of a scalar by some values, as a module of existing operators.
  ///
  /// The result has the inputs of `module` and, for each value of `targets`, an output `grad.NAME` of its type: zeros where the loss does
  /// not depend on it. Outputs named in `keeping` (such as the loss itself) come first. It holds the forward nodes that the gradients
  /// read, and no dead ones.
  ///
  /// Throws `invalid` for a loss that is no scalar of a real type or a target that is not real, and `unsupported` where a gradient would
  /// have to pass a node that lets none pass, naming the node and the reason.
  public static func run(
    _ module: Module, of loss: ValueID, by targets: [ValueID], keeping kept: [ValueID] = []
  ) throws(Diagnostic) -> Module {
    try check(module, loss, targets)
    var module = module
    module.outputs = kept
    let written = try writtenOut(module, towards: loss, from: targets)
    let writer = try GraphWriter(written)
    let gradients = try sweep(written, writer, from: loss, by: targets)
    let taken = Set(written.values.map(\.name))
    for target in targets {
      // A second derivative is called grad.grad.NAME.
      var name = "grad.\(written[target].name)"
      while taken.contains(name) { name = "grad.\(name)" }
      writer.scope = name
      writer.output(name, gradients[target] ?? Term(writer, target).zeros)
    }
    try writer.check()
    var result = writer.module
    result.removeDead()
    result.removeUndefinedValues()
    return result
  }

  private static func check(_ module: Module, _ loss: ValueID, _ targets: [ValueID]) throws(Diagnostic) {
    let type = module[loss].type
    guard type.isRanked, type.element.isFloat, type.elementCount == Extent(1) else {
      throw Diagnostic(
        .invalid, "is \(type), but a loss is one real number; reduce it, or choose another --loss", at: .tensor(module[loss].name)
      )
    }
    for target in targets where !module[target].type.element.isFloat || !module[target].type.isRanked {
      throw Diagnostic(
        .invalid, "is \(module[target].type); a gradient is taken by real numbers only", at: .tensor(module[target].name))
    }
  }

  /// By value, whether it depends on a target through real numbers: gradients pass only there.
  private static func dependents(_ module: Module, of targets: [ValueID]) -> [Bool] {
    var depends = [Bool](repeating: false, count: module.values.count)
    for target in targets { depends[target.index] = true }
    for node in module.nodes {
      guard (node.inputs + node.captures).contains(where: { $0.map { depends[$0.index] } ?? false }) else { continue }
      if case .flat? = node.operation.rules?.gradient { continue }
      for case let output? in node.outputs {
        let element = module[output].type.element
        if element.isFloat || element == .unknown { depends[output.index] = true }
      }
    }
    return depends
  }

  // MARK: - Writing out

  /// The module with every composite operator between the targets and the loss replaced by simpler ones, until none is left.
  static func writtenOut(_ module: Module, towards loss: ValueID, from targets: [ValueID]) throws(Diagnostic) -> Module {
    var (module, depends) = (module, dependents(module, of: targets))
    while let next = try writtenOutOnce(module, towards: loss, where: &depends) { module = next }
    return module
  }

  private static func writtenOutOnce(
    _ module: Module, towards loss: ValueID, where depends: inout [Bool]
  ) throws(Diagnostic) -> Module? {
    func isComposite(_ node: Node) -> Bool {
      guard case .pieces? = node.operation.rules?.gradient else { return false }
      return node.inputs.contains { $0.map { depends[$0.index] } ?? false }
    }
    let needed = ancestors(module, of: loss)
    guard module.nodes.contains(where: { node in needed(node) && isComposite(node) }) else { return nil }
    let writer = try GraphWriter(module, isEmpty: true)
    for node in module.nodes {
      guard case .pieces(let write)? = node.operation.rules?.gradient, needed(node), isComposite(node) else {
        writer.append(node)
        continue
      }
      (writer.scope, writer.position) = (module.label(of: node), node.position)
      var context = PiecesContext(node: node, writer: writer)
      try write(&context)
      try writer.check()
      // What has no pieces is still made by the node as it was.
      var rest = node
      for (index, value) in context.found.sorted(by: { $0.key < $1.key }) {
        guard let output = node.outputs[index] else { continue }
        writer.append(.elementwise(.identity), [Term(writer, value)], making: output)
        rest.outputs[index] = nil
      }
      if rest.outputs.contains(where: { $0 != nil && needed.isWanted($0) }) { writer.append(rest) }
    }
    let result = writer.module
    let targets = module.values.indices.filter { depends[$0] }.map { ValueID($0) }
    depends = dependents(result, of: targets)
    return result
  }

  /// What a value is computed from.
  private struct Ancestors {
    let wanted: [Bool]
    func isWanted(_ value: ValueID?) -> Bool { value.map { wanted[$0.index] } ?? false }
    func callAsFunction(_ node: Node) -> Bool { node.outputs.contains { isWanted($0) } }
  }

  private static func ancestors(_ module: Module, of loss: ValueID) -> Ancestors {
    var wanted = [Bool](repeating: false, count: module.values.count)
    for value in module.outputs + [loss] { wanted[value.index] = true }
    for node in module.nodes.reversed() where node.outputs.contains(where: { $0.map { wanted[$0.index] } ?? false }) {
      for case let input? in node.inputs { wanted[input.index] = true }
      for capture in node.captures { wanted[capture.index] = true }
    }
    return Ancestors(wanted: wanted)
  }

  // MARK: - The sweep

  /// Goes through the nodes from the last to the first; what every value has gathered when its maker comes is its whole gradient, since all
  /// its readers came before.
  private static func sweep(
    _ module: Module, _ writer: GraphWriter, from loss: ValueID, by targets: [ValueID]
  ) throws(Diagnostic) -> [ValueID: Term] {
    let depends = dependents(module, of: targets)
    writer.scope = "grad.\(module[loss].name)"
    var gradients: [ValueID: Term] = [loss: Term(writer, loss).filled(1)]
    let isTarget = Set(targets)
    for node in module.nodes.reversed() {
      let given = node.outputs.map { $0.flatMap { gradients[$0]?.value } }
      let wanted = node.inputs.map { $0.map { depends[$0.index] } ?? false }
      guard given.contains(where: { $0 != nil }) else { continue }
      guard wanted.contains(true) || node.captures.contains(where: { depends[$0.index] }) else { continue }
      (writer.scope, writer.position) = ("grad.\(module.label(of: node))", node.position)
      var context = GradientContext(node: node, writer: writer, resultGradients: given, wanted: wanted)
      try apply(node, &context)
      try writer.check()
      for (operand, gradient) in context.found.sorted(by: { $0.key < $1.key }) {
        guard let input = node.inputs[operand] else { continue }
        let term = Term(writer, gradient)
        gradients[input] = gradients[input].map { $0.adding(term) } ?? term
      }
      // What is not asked for is not held any longer.
      for case let output? in node.outputs where !isTarget.contains(output) { gradients[output] = nil }
    }
    return gradients
  }

  private static func apply(_ node: Node, _ context: inout GradientContext) throws(Diagnostic) {
    guard let rules = node.operation.rules else {
      throw context.failure("prunec does not know the operator; leave its ancestors out, or replace it")
    }
    switch rules.gradient {
    case .chain(let rule): try rule(&context)
    case .flat: break
    case .pieces: throw context.failure("one of its results has no pieces")
    case .none(let reason): throw context.failure(reason)
    }
  }
}

extension Module {
  /// Parameters of real numbers, which gradients are taken by where nothing else is said.
  public var trainable: [ValueID] {
    parameters.filter { $0.content.element.isFloat && !$0.content.isMissing }.map(\.value)
  }
}
