import Graph

/// Rewrites a module by a plan: every parameter is sliced by its layouts, and every number that stands for an extent becomes the new one.
/// All or nothing: the result is a new module, and the old one is not touched.
///
///     param %w : f32[6, 4]                  param %w : f32[6, 2]       group `w.hidden` keeps {1, 3} of 4
///     %y = reshape %h [b, 2, 4]             %y = reshape %h [b, 2, 2]
struct Shrinker {
  let solution: Solution
  let plan: Plan
  private let keptIndices: KeptIndices
  /// Stored numbers before shrinking.
  private let contents: [ValueID: TensorContent]

  init(solution: Solution, plan: Plan) {
    self.solution = solution
    self.plan = plan
    keptIndices = KeptIndices(solution: solution, plan: plan)
    contents = Dictionary(
      solution.module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
  }

  /// The smaller module. `editLimit`: shape numbers are corrected by so many edits at most, to find the one that is wrong.
  func run(editLimit: Int? = nil) throws(Diagnostic) -> Module {
    var module = solution.module
    // Of a value whose rank inference cannot find, what the file states stands as it was.
    for index in module.values.indices where module.values[index].type.isRanked && solution.inferred.types[index].isRanked {
      let layouts = solution.axes[index]
      let type = solution.inferred.types[index]
      module.values[index].type = TensorType(type.element, layouts.map { keptIndices.extent($0) })
    }
    for index in module.parameters.indices {
      let selection = keptIndices.selection(module.parameters[index].value)
      if !selection.isWhole { module.parameters[index].content = module.parameters[index].content.keeping(selection) }
    }
    var required: [[Int: KnownValue]] = []
    required.reserveCapacity(module.nodes.count)
    for index in module.nodes.indices {
      guard let rules = module.nodes[index].operation.rules else {
        required.append([:])
        continue
      }
      var context = context(for: module.nodes[index], in: module)
      try rules.shrink(&context)
      if let extent = keptIndices.overlong {
        throw Diagnostic(.unsupported, "an axis of \(extent) indices is too long to renumber", at: .node(context.label))
      }
      for entry in context.changed { module.nodes[index].attributes[entry.name] = entry.value }
      for name in context.removed { module.nodes[index].attributes[name] = nil }
      required.append(context.required)
    }
    try ShapeNumberRepair.run(&module, old: solution.inferred.numbers, required: required, stopAfter: editLimit)
    mergeCopies(&module)
    module.removeUndefinedValues()
    return module
  }

  private func context(for node: Node, in module: Module) -> ShrinkContext {
    let old = solution.inferred.types
    func types(_ ids: [ValueID?], _ type: (ValueID) -> TensorType) -> [TensorType?] { ids.map { $0.map(type) } }
    let (keptIndices, axes) = (keptIndices, solution.axes)
    func kept(_ ids: [ValueID?], _ index: Int, _ axis: Int) -> [Int]? {
      guard let id = ids[index], axes[id.index].indices.contains(axis) else { return nil }
      return keptIndices.positions(axes[id.index][axis])
    }
    let domain = node.operation.onnxName.domain
    return ShrinkContext(
      node: node, opset: module.opsets[domain] ?? module.opset, label: module.label(of: node),
      oldInputs: types(node.inputs) { old[$0.index] }, newInputs: types(node.inputs) { module[$0].type },
      oldOutputs: types(node.outputs) { old[$0.index] }, newOutputs: types(node.outputs) { module[$0].type },
      numbers: node.inputs.map { $0.flatMap { solution.inferred.numbers[$0.index] } }, keptInput: { kept(node.inputs, $0, $1) },
      keptOutput: { kept(node.outputs, $0, $1) }, contents: node.inputs.map { $0.flatMap { contents[$0] } })
  }

  /// Copies that shrank like their original, or like an earlier copy of it, become one again.
  private func mergeCopies(_ module: inout Module) {
    var replacement: [ValueID: ValueID] = [:]
    var classes: [ValueID: [ValueID]] = [:]
    let shrunk = Dictionary(module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    for parameter in module.parameters {
      guard let original = parameter.copyOf else { continue }
      // Copies that hold shape numbers may have been given different ones.
      let same = ([original] + (classes[original] ?? [])).first { other in
        alike(other, parameter.value) && shrunk[other].map { isSame($0, parameter.content) } ?? false
      }
      if let same { replacement[parameter.value] = same } else { classes[original, default: []].append(parameter.value) }
    }
    var cloneClasses: [ValueID: [ValueID]] = [:]
    var dropped: Set<Int> = []
    for (index, node) in module.nodes.enumerated() {
      guard let output = node.outputs.first ?? nil, let original = module.clones[output] else { continue }
      if let same = ([original] + (cloneClasses[original] ?? [])).first(where: { alike($0, output) }) {
        replacement[output] = same
        dropped.insert(index)
      } else {
        cloneClasses[original, default: []].append(output)
      }
    }
    if replacement.isEmpty { return }
    module.parameters.removeAll { replacement[$0.value] != nil }
    module.nodes = module.nodes.enumerated().filter { !dropped.contains($0.offset) }.map(\.element)
    for index in module.nodes.indices {
      for operand in module.nodes[index].inputs.indices {
        if let input = module.nodes[index].inputs[operand], let same = replacement[input] {
          module.nodes[index].inputs[operand] = same
        }
      }
    }
  }

  private func isSame(_ one: TensorContent, _ other: TensorContent) -> Bool {
    // What was gathered by lists of its own has bytes of its own.
    one.data.isIdentical(to: other.data) || !plan.varied.isEmpty && one.data.hasSameBytes(as: other.data)
  }

  private func alike(_ a: ValueID, _ b: ValueID) -> Bool {
    solution.agree(a, b) || (keepsAll(a) && keepsAll(b))
  }

  private func keepsAll(_ value: ValueID) -> Bool {
    solution.axes[value.index].allSatisfy { solution.groups(in: $0).allSatisfy { plan.kept[$0] == nil } }
  }
}
