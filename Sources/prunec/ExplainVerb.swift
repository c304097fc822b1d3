import Graph
import Passes

/// `prunec explain`: how the axes of a tensor are made, what they are tied to, and why they stay.
struct ExplainVerb {
  private let invocation: Invocation
  private let console: Console
  /// So many ties of a group are shown.
  private static let tieLimit = 5

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    let wanted = try invocation.operand(1)
    let model = try SolvedModel.read(path, console)
    switch try find(wanted, in: model) {
    case .tensor(let value, let axes):
      try console.report(invocation.has(.json) ? json(value, axes, model) : text(value, axes, model))
    case .group(let index):
      try console.report(invocation.has(.json) ? json(group: index, model) : text(group: index, model))
    }
  }

  private enum Subject {
    case tensor(ValueID, axes: [Int])
    case group(Int)
  }

  /// A tensor, a tensor and an axis behind a colon, or a group, by exact name; names may themselves hold colons.
  private func find(_ wanted: String, in model: SolvedModel) throws(Diagnostic) -> Subject {
    let module = model.solution.module
    func value(_ name: String) -> ValueID? { module.values.firstIndex { $0.name == name }.map { ValueID($0) } }
    if let value = value(wanted) { return .tensor(value, axes: Array(model.solution.axes[value.index].indices)) }
    if let colon = wanted.lastIndex(of: ":"), let axis = Int(wanted[wanted.index(after: colon)...]) {
      if let value = value(String(wanted[..<colon])) {
        let rank = model.solution.axes[value.index].count
        let positive = axis < 0 ? axis + rank : axis
        guard (0..<rank).contains(positive) else {
          throw Diagnostic(
            .usage,
            "\(wanted[..<colon]) has no axis \(axis): its \(Wording.plural(rank, "axis", "axes")) \(rank == 1 ? "is" : "are") "
              + (rank == 1 ? "0" : "0 to \(rank - 1)"), file: model.file.path)
        }
        return .tensor(value, axes: [positive])
      }
    }
    if let group = model.solution.groups.firstIndex(where: { $0.name == wanted }) { return .group(group) }
    let stem =
      wanted.lastIndex(of: ":").flatMap { Int(wanted[wanted.index(after: $0)...]) == nil ? nil : String(wanted[..<$0]) } ?? wanted
    let known = module.values.map(\.name) + model.solution.groups.map(\.name)
    let part = known.first { $0.contains(stem) && !stem.isEmpty }.map { "; did you mean '\($0)'?" }
    let near = meant(stem, among: known) ?? part ?? "; 'prunec print' and 'prunec groups' list the names"
    throw Diagnostic(.usage, "no tensor or group is called '\(stem)'\(near)", file: model.file.path)
  }

  // MARK: Text

  private func text(_ value: ValueID, _ axes: [Int], _ model: SolvedModel) -> String {
    let solution = model.solution
    let names = SolutionNames(solution)
    var lines = [console.bold("\(names.name(value)) : \(solution.inferred.types[value.index])") + ", \(role(value, names))"]
    if axes.isEmpty { lines.append("It has no axes.") }
    for axis in axes {
      lines += [""] + text(axis: axis, of: value, names)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func text(axis: Int, of value: ValueID, _ names: SolutionNames) -> [String] {
    let solution = names.solution
    let explanation = solution.explain(value, axis: axis)
    let head = "axis \(axis), \(indices(solution.inferred.types[value.index].shape[axis]))"
    func because(_ part: AxisExplanation.FrozenPart) -> String {
      let node = part.cause.node.map { " (\(names.node($0)))" } ?? ""
      return "because \(Wording.name(part.cause.reason.description))\(node)"
    }
    if explanation.groups.isEmpty {
      guard let part = explanation.frozen.first else { return ["\(head): nothing to remove"] }
      if explanation.frozen.count == 1 { return ["\(head): stays \(because(part))"] }
    }
    var lines = ["\(head): \(Wording.name(explanation.layout))"]
    for group in explanation.groups { lines += text(group, names) }
    for part in explanation.frozen { lines.append("  \(part.extent): stays \(because(part))") }
    return lines
  }

  private func indices(_ extent: Extent) -> String {
    extent.constant.map { Wording.plural($0, "index", "indices") } ?? "\(extent) indices"
  }

  private func role(_ value: ValueID, _ names: SolutionNames) -> String {
    let module = names.solution.module
    if module.parameters.contains(where: { $0.value == value }) { return "a parameter" }
    if module.inputs.contains(value) { return "an input" }
    let maker = module.nodes.indices.first { module.nodes[$0].outputs.contains(value) }
    let made = maker.map { "made by \(names.node($0))" } ?? "made by nobody"
    return module.outputs.contains(value) ? "an output, \(made)" : made
  }

  private func text(_ explained: AxisExplanation.GroupExplanation, _ names: SolutionNames) -> [String] {
    let group = names.solution.groups[explained.group]
    var lines = ["  \(console.bold(Wording.name(group.name))): \(describe(group))"]
    var seen: Set<String> = []
    let ties = explained.ties.filter { seen.insert(names.axis($0.value, $0.axis)).inserted }
    var table = TextTable([.left, .left])
    table.indent = "    tied to "
    for tie in ties.prefix(Self.tieLimit) { table.add([names.axis(tie.value, tie.axis), route(tie, names)]) }
    lines += table.lines
    if ties.count > Self.tieLimit {
      lines.append("    and \(Wording.plural(ties.count - Self.tieLimit, "axis", "axes")) more: --json lists them")
    }
    if ties.isEmpty { lines.append("    tied to no other axis of a parameter") }
    lines += VariationReport(names).lines(explained.group).map { "    " + $0 }
    return lines
  }

  private func describe(_ group: Group) -> String {
    var text = "\(Wording.count(group.extent)) \(group.kind.nouns)"
    text += group.isDefault ? ", pruned by default" : ", pruned only with --kinds \(group.kind.rawValue)"
    if group.least > 1 { text += "; at least \(group.least) stay" }
    return text
  }

  /// `through linear → reshape → transpose`, repeated operators once.
  private func route(_ tie: AxisExplanation.Tie, _ names: SolutionNames) -> String {
    var operators: [String] = []
    for node in tie.path {
      let name = names.solution.module.nodes[node].operation.textName
      if operators.last != name { operators.append(name) }
    }
    if operators.isEmpty { return "" }
    if operators.count > 8 { operators = Array(operators.prefix(4)) + ["…"] + Array(operators.suffix(3)) }
    return "through " + operators.joined(separator: " → ")
  }

  private func text(group index: Int, _ model: SolvedModel) -> String {
    let names = SolutionNames(model.solution)
    let group = model.solution.groups[index]
    var lines = [console.bold(Wording.name(group.name)) + ": \(describe(group))", "", "carried by"]
    var table = TextTable([.left, .left, .left])
    table.indent = "  "
    var seen: Set<String> = []
    for occurrence in group.occurrences where seen.insert(names.axis(occurrence.value, occurrence.axis)).inserted {
      let layout = model.solution.text(model.solution.axes[occurrence.value.index][occurrence.axis])
      table.add([
        names.axis(occurrence.value, occurrence.axis), occurrence.isWeight ? "weight" : "",
        layout == group.name ? "" : Wording.name(layout),
      ])
    }
    lines += table.lines
    let variation = VariationReport(names).lines(index)
    if !variation.isEmpty { lines += [""] + variation }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: JSON

  private func json(_ value: ValueID, _ axes: [Int], _ model: SolvedModel) -> String {
    let solution = model.solution
    let module = solution.module
    let layouts = PlanLayouts(solution: solution)
    let list = axes.map { axis in
      let explanation = solution.explain(value, axis: axis)
      let groups = explanation.groups.map { explained in
        let ties = explained.ties.map { tie in
          Json.object([
            ("tensor", .text(module[tie.value].name)), ("axis", .integer(tie.axis)),
            ("path", .array(tie.path.map { .text(module.label(of: module.nodes[$0])) })),
            ("operators", .array(tie.path.map { .text(module.nodes[$0].operation.textName) })),
          ])
        }
        return Json.object(
          members(solution.groups[explained.group]) + [("ties", .array(ties))]
            + VariationReport(SolutionNames(solution)).members(explained.group))
      }
      let frozen = explanation.frozen.map { part in
        let node = part.cause.node.map { module.nodes[$0] }
        return Json.object([
          ("extent", part.extent.constant.map(Json.integer) ?? .text("\(part.extent)")),
          ("reason", .text(part.cause.reason.description)),
          ("node", .optional(node.map(module.label))), ("operator", .optional(node?.operation.onnxName.type)),
        ])
      }
      return Json.object([
        ("axis", .integer(axis)), ("layout", .raw(layouts.text(solution.axes[value.index][axis]))), ("groups", .array(groups)),
        ("frozen", .array(frozen)),
      ])
    }
    let report = Json.object([
      ("tensor", .text(module[value].name)), ("type", .text("\(solution.inferred.types[value.index])")), ("axes", .array(list)),
    ])
    return report.text() + "\n"
  }

  private func members(_ group: Group) -> [(String, Json)] {
    [
      ("name", .text(group.name)), ("kind", .text(group.kind.rawValue)), ("extent", .integer(group.extent)),
      ("least", .integer(group.least)), ("default", .bool(group.isDefault)),
    ]
  }

  private func json(group index: Int, _ model: SolvedModel) -> String {
    let group = model.solution.groups[index]
    let layouts = PlanLayouts(solution: model.solution)
    let occurrences = group.occurrences.map { occurrence in
      Json.object([
        ("tensor", .text(model.solution.module[occurrence.value].name)), ("axis", .integer(occurrence.axis)),
        ("weight", .bool(occurrence.isWeight)),
        ("layout", .raw(layouts.text(model.solution.axes[occurrence.value.index][occurrence.axis]))),
      ])
    }
    let variation = VariationReport(SolutionNames(model.solution)).members(index)
    return Json.object(members(group) + [("occurrences", .array(occurrences))] + variation).text() + "\n"
  }
}
