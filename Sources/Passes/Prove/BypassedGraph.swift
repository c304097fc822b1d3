import Graph
import Runtime

/// The original with residual blocks bypassed, by the definition of masked equivalence for depth: f is computed as ever, and counts as zero
/// in its sum. It knows nothing of how blocks are dropped.
///
///     %s = add %x, %b                        %z = where 〈0〉, %b, 〈0.0〉
///                                            %s = add %x, %z
enum BypassedGraph {
  /// The module in which these blocks count for nothing. Values keep their names.
  static func make(_ module: Module, bypassing blocks: [ResidualBlock]) -> Module {
    var editor = GraphEditor(module)
    let never = Tensor(truths: [false], [])
    let no = editor.addParameter(like: "bypassed", TensorContent(never.data, element: never.element, shape: []))
    for block in blocks {
      let type = module[block.branch].type
      let zero = Tensor(reals: [0], type.element, [])
      let constant = editor.addParameter(
        like: module[block.branch].name, TensorContent(zero.data, element: zero.element, shape: []))
      let nothing = editor.addValue(like: module[block.branch].name, type: type)
      let node = Node(
        .elementwise(.choose), inputs: [no, block.branch, constant], outputs: [nothing],
        position: module.nodes[block.sum].position)
      _ = editor.insert(node, .before(block.sum), "counts as zero")
      for (operand, input) in module.nodes[block.sum].inputs.enumerated() where input == block.branch {
        editor.replaceInput(node: block.sum, operand: operand, with: nothing, "its block is bypassed")
      }
    }
    return editor.finished()
  }
}

extension Proof {
  /// Runs the original with blocks bypassed beside the module without them, and compares every value that both have; parameters of the
  /// smaller one are the original's, bit for bit.
  ///
  /// Throws where one of the models cannot be executed.
  public static func run(
    depth: Depth, dropped: Module, source: NamedModel?, inputs: [RuntimeValue], threads: Int, tolerance: Double = defaultTolerance
  ) throws(Diagnostic) -> Proof {
    let original = depth.blocks.module
    let bypassed = BypassedGraph.make(original, bypassing: depth.dropped)
    let sides = Sides(
      left: try Stepper(bypassed, source: source, inputs: inputs, threads: threads),
      right: try Stepper(dropped, source: source, inputs: inputs, threads: threads),
      outputs: original.outputs.map { original[$0].name }, inputs: inputs, tolerance: tolerance)
    return try sides.compare(changedParameters(original, dropped)) { _, want in want }
  }

  /// Runs a model beside another that should give the same outputs, whatever happens inside.
  ///
  /// Throws where one of them cannot be executed.
  public static func run(
    original: Module, same other: Module, sources: (original: NamedModel?, smaller: NamedModel?), inputs: [RuntimeValue],
    threads: Int,
    tolerance: Double = defaultTolerance
  ) throws(Diagnostic) -> Proof {
    let sides = Sides(
      left: try Stepper(original, source: sources.original, inputs: inputs, threads: threads),
      right: try Stepper(other, source: sources.smaller, inputs: inputs, threads: threads),
      outputs: original.outputs.map { original[$0].name }, inputs: inputs, tolerance: tolerance)
    return try sides.compare([]) { _, _ in nil }
  }

  /// Both as one: what this proof compared, and what another one did with the next step of the same compile. Errors of outputs add up.
  public func followed(by next: Proof) -> Proof {
    let earlier = Dictionary(outputs.map { ($0.name, $0.error) }, uniquingKeysWith: { first, _ in first })
    return Proof(
      outputs: next.outputs.map { ($0.name, $0.error + (earlier[$0.name] ?? 0)) }, faults: faults + next.faults,
      compared: compared + next.compared, tolerance: tolerance)
  }

  private static func changedParameters(_ original: Module, _ dropped: Module) -> [Difference] {
    let contents = Dictionary(
      original.parameters.map { (original[$0.value].name, $0.content) }, uniquingKeysWith: { first, _ in first })
    var faults: [Difference] = []
    for parameter in dropped.parameters where !parameter.content.isMissing {
      let name = dropped[parameter.value].name
      if let want = contents[name], isSame(want, parameter.content) { continue }
      faults.append(Difference(name: name, error: nil, summary: "\(name) is not the original's"))
      if faults.count == 3 { break }
    }
    return faults
  }
}
