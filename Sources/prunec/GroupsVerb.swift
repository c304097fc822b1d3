import Graph
import Passes

/// `prunec groups`: every group, and what is frozen.
struct GroupsVerb {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run() throws(Diagnostic) {
    let path = try invocation.model()
    if invocation.has(.blocks) { return try BlocksReport(invocation, console).run(path) }
    if invocation.has(.data) {
      throw Diagnostic(.usage, "--data says how far blocks turn the stream, so it needs --blocks; add that, or leave --data out")
    }
    let model = try SolvedModel.read(path, console)
    let names = SolutionNames(model.solution)
    let frozen = FrozenReport(Coverage(model.solution), names, console)
    if invocation.has(.json) {
      try console.report(json(model, names, frozen).text() + "\n")
    } else {
      try console.report(text(model, names, frozen).joined(separator: "\n") + "\n")
    }
  }

  private func text(_ model: SolvedModel, _ names: SolutionNames, _ frozen: FrozenReport) -> [String] {
    let groups = model.solution.groups
    let defaults = groups.filter(\.isDefault).count
    let file = Wording.name(model.file.path)
    var lines = [
      "\(file): \(Wording.plural(model.file.module.parameterCount, "parameter")), \(Wording.plural(groups.count, "group")), "
        + "\(Wording.count(defaults)) pruned by default"
    ]
    if !groups.isEmpty {
      var table = TextTable([.left, .left, .right, .left, .left])
      table.add(["group", "kind", "extent", "default", "carried by"])
      let columns = (groups.map { Wording.name($0.name).count }.max() ?? 0) + (groups.map(\.kind.rawValue.count).max() ?? 0) + 21
      for group in groups {
        let axes = group.occurrences.map { names.axis($0.value, $0.axis) }
        table.add([
          Wording.name(group.name), group.kind.rawValue, Wording.count(group.extent), group.isDefault ? "yes" : "no",
          fitting(axes, Console.width.map { $0 - columns }),
        ])
      }
      let rows = table.lines
      lines += ["", console.bold(rows.first ?? "")] + rows.dropFirst()
    }
    lines += ["", frozen.coverageLine]
    let reasons = frozen.lines(limit: Int.max, more: nil)
    if !reasons.isEmpty { lines += [""] + reasons }
    if let partial = frozen.partialLine { lines += [""] + wrapped(partial, width: 120) }
    lines += ["", next(model, names, frozen)]
    return lines
  }

  /// As many of three axes, but one, as a line has room for, and how many more there are.
  private func fitting(_ axes: [String], _ width: Int?) -> String {
    for count in [3, 2] {
      let text = SolutionNames.few(axes, count)
      if let width, text.count > width { continue }
      return text
    }
    let one = SolutionNames.few(axes, 1)
    return width.map { one.count <= $0 } ?? true ? one : Wording.plural(axes.count, "axis", "axes")
  }

  private func next(_ model: SolvedModel, _ names: SolutionNames, _ frozen: FrozenReport) -> String {
    let file = quoted(model.file.path)
    if let group = model.solution.groups.first(where: \.isDefault), let axis = group.occurrences.first {
      return "Next: prunec explain \(file) \(quoted(names.axis(axis.value, axis.axis)))"
    }
    if let axis = frozen.dearest?.axes.first {
      return "Next: prunec explain \(file) \(quoted(names.axis(axis.value, axis.axis)))"
    }
    return "Next: prunec print \(file)"
  }

  private func json(_ model: SolvedModel, _ names: SolutionNames, _ frozen: FrozenReport) -> Json {
    let solution = model.solution
    let module = solution.module
    let groups = solution.groups.map { group in
      Json.object([
        ("name", .text(group.name)), ("kind", .text(group.kind.rawValue)), ("extent", .integer(group.extent)),
        ("least", .integer(group.least)), ("prunable", .bool(true)), ("default", .bool(group.isDefault)),
        (
          "occurrences",
          .array(
            group.occurrences.map {
              .object([("tensor", .text(module[$0.value].name)), ("axis", .integer($0.axis)), ("weight", .bool($0.isWeight))])
            })
        ),
      ])
    }
    let layouts = PlanLayouts(solution: solution)
    let tensors = module.values.indices.map { index in
      let axes = solution.axes[index].map { layouts.text($0) }.joined(separator: ", ")
      return (module.values[index].name, Json.raw("[\(axes)]"))
    }
    return .object([
      (
        "model",
        .object([
          ("file", .text(model.file.path)), ("format", .text(model.file.format.rawValue)), ("name", .text(module.name)),
          ("parameters", .integer(model.file.module.parameterCount)), ("nodes", .integer(model.file.module.nodes.count)),
        ])
      ),
      ("coverage", frozen.coverageJson), ("groups", .array(groups)), ("frozen", frozen.json),
      ("copies", .object(names.copies.map { ($0.copy, .text($0.original)) })), ("tensors", .object(tensors)),
    ])
  }
}

/// A word as a shell takes it, in quotes where it must.
func quoted(_ word: String) -> String {
  let plain = word.allSatisfy { $0.isLetter || $0.isNumber || "._-/:+,@%=#".contains($0) } && !word.isEmpty && word.first != "#"
  return plain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
}
