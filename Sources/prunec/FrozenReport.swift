import Graph
import Passes

/// What cannot be pruned and why, and how much of the model can.
struct FrozenReport {
  private let coverage: Coverage
  private let names: SolutionNames
  private let console: Console

  init(_ coverage: Coverage, _ names: SolutionNames, _ console: Console) {
    self.coverage = coverage
    self.names = names
    self.console = console
  }

  /// The line nobody should miss.
  var coverageLine: String {
    let share = Wording.percent(coverage.share)
    let text = "COVERAGE  \(share) of the parameters lie on at least one prunable axis"
    let numbers = " (\(Wording.count(coverage.prunable)) of \(Wording.count(coverage.parameters)))"
    return (coverage.share < 0.9 ? console.warning(console.bold(text)) : console.bold(text)) + numbers
  }

  /// What prunec had to give up on.
  private var givenUp: [Coverage.Entry] { coverage.givenUp }
  /// What stays by its nature, and takes parameters along that have no other axis to prune.
  private var natural: [Coverage.Entry] { coverage.frozen.filter { !$0.reason.isGivingUp && $0.lost > 0 } }

  /// The most expensive entry that is worth a look.
  var dearest: Coverage.Entry? { givenUp.first ?? natural.first }

  /// The entries, at most `limit` of each sort; `more` is the command that shows the rest.
  func lines(limit: Int, more: String?) -> [String] {
    var lines: [String] = []
    func section(_ title: String, _ entries: [Coverage.Entry]) {
      if entries.isEmpty { return }
      if !lines.isEmpty { lines.append("") }
      lines.append(title)
      var table = TextTable([.right, .left, .left])
      table.indent = "  "
      for entry in entries.prefix(limit) { table.add(cells(entry)) }
      lines += table.lines
      if entries.count > limit, let more { lines.append("  and \(Wording.count(entries.count - limit)) more: \(more)") }
    }
    section(console.warning("Given up (parameters concerned):"), givenUp)
    section("Stays by its nature (parameters without any prunable axis):", natural)
    return lines
  }

  /// One line on axes that stay in parameters which can be pruned along another.
  var partialLine: String? {
    let partial = coverage.frozen.filter { !$0.reason.isGivingUp && $0.lost == 0 }
    if partial.isEmpty { return nil }
    var counts: [String: Int] = [:]
    for entry in partial { counts[sort(entry.reason), default: 0] += entry.axes.count }
    let ordered = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let list = ordered.map { "\(Wording.count($0.value)) because \($0.key)" }.joined(separator: ", ")
    return "Axes that stay in parameters prunable along another: \(list)"
  }

  /// A reason without names in it.
  private func sort(_ reason: Reason) -> String {
    switch reason {
    case .interface: "they belong to inputs or outputs"
    case .neighbourhood: "neighbouring positions are mixed along them"
    case .order: "the order along them matters"
    case .indexedByData: "they are indexed by data"
    case .structure: "their length is part of the model's structure"
    case .dynamic: "their length is known only when the model runs"
    case .selected: "their indices are picked one by one"
    case .ignored: "they were left out by --ignore"
    case .doesNotFactor, .cutInsideBlock, .runOfParts, .opaque, .positionsEscape, .positionsReturned, .boundToExample, .encoded,
      .incomparable, .unsupported:
      reason.description
    }
  }

  private func cells(_ entry: Coverage.Entry) -> [String] {
    let axes = SolutionNames.few(entry.axes.map { names.axis($0.value, $0.axis) }, 1)
    let cost = entry.reason.isGivingUp ? entry.parameters : entry.lost
    return [Wording.count(cost), axes, cause(entry.reason, entry.node)]
  }

  /// A reason with the node that gave it.
  private func cause(_ reason: Reason, _ node: Int?) -> String {
    Wording.name(reason.description) + (node.map { " (\(names.node($0)))" } ?? "")
  }

  /// All entries as JSON.
  var json: Json {
    let module = names.solution.module
    return .array(
      coverage.frozen.map { entry in
        let node = entry.node.map { module.nodes[$0] }
        return .object([
          ("reason", .text(entry.reason.description)), ("givenUp", .bool(entry.reason.isGivingUp)),
          ("node", .optional(node.map(module.label))), ("operator", .optional(node?.operation.onnxName.type)),
          ("parameters", .integer(entry.parameters)), ("lost", .integer(entry.lost)),
          ("axes", .array(entry.axes.map { .array([.text(module[$0.value].name), .integer($0.axis)]) })),
        ])
      })
  }

  /// The shares as JSON.
  var coverageJson: Json {
    .object([
      ("parameters", .integer(coverage.parameters)), ("prunable", .integer(coverage.prunable)),
      ("share", .number(coverage.share)),
    ])
  }
}
