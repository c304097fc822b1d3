import Graph
import Passes

/// Where the zeros are, for a person and for machines.
struct SparsityReport {
  private let solution: Solution
  private let sparsity: Sparsity
  private let zeros: ZeroRemoval?
  private let path: String
  private let masked: [String]
  /// The mask file that was applied, as an option.
  private let masksOption: String
  private let names: SolutionNames
  private let console: Console

  init(
    _ solution: Solution, _ sparsity: Sparsity, _ zeros: ZeroRemoval?, path: String, masked: [String], masks: String?,
    _ console: Console
  ) {
    self.solution = solution
    self.sparsity = sparsity
    self.zeros = zeros
    self.path = path
    self.masked = masked
    masksOption = masks.map { " --masks \(quoted($0))" } ?? ""
    self.console = console
    names = SolutionNames(solution)
  }

  // MARK: Text

  /// The report's lines.
  var lines: [String] {
    let count = sparsity.tensors.reduce(0) { $0 + $1.count }
    let empty = sparsity.tensors.reduce(0) { $0 + ($1.zeros ?? 0) }
    var lines = [
      "\(Wording.name(path)): \(Wording.plural(count, "parameter")), \(Wording.count(empty)) of them zero "
        + "(\(Wording.percent(count == 0 ? 0 : Double(empty) / Double(count))))"
    ]
    if !masked.isEmpty { lines.append("Masks multiplied out: \(SolutionNames.few(masked.map(Wording.name), 6))") }
    lines += [""] + Self.table(sparsity.tensors.map { (names.name($0.value), $0) }, console)
    let groups = groupLines
    if !groups.isEmpty { lines += [""] + groups }
    return lines + [""] + verdict.flatMap { wrapped($0, width: 110) }
  }

  /// One line per tensor that holds zeros, and how many hold none.
  static func table(_ tensors: [(name: String, line: Sparsity.TensorLine)], _ console: Console? = nil) -> [String] {
    var table = TextTable([.left, .left, .right, .right, .right])
    table.add(["tensor", "shape", "numbers", "zeros", "share"])
    var whole = 0
    var unknown = 0
    for (name, line) in tensors {
      guard let zeros = line.zeros else {
        unknown += 1
        continue
      }
      if zeros == 0 {
        whole += 1
        continue
      }
      let share = Wording.percent(Double(zeros) / Double(max(1, line.count)))
      table.add([Wording.name(name), "\(line.shape)", Wording.count(line.count), Wording.count(zeros), share])
    }
    let rows = table.lines
    var lines = rows.count > 1 ? [console?.bold(rows[0]) ?? rows[0]] + rows.dropFirst() : []
    if whole > 0 { lines.append("\(Wording.plural(whole, "tensor")) \(whole == 1 ? "holds" : "hold") no zero") }
    if unknown > 0 {
      lines.append("\(Wording.plural(unknown, "tensor")) cannot be counted: packed numbers, or none in the file")
    }
    return lines
  }

  /// Groups of which something is empty.
  private var groupLines: [String] {
    let shown = sparsity.groups.filter { group in group.places.contains { !$0.empty.isEmpty } }
    if shown.isEmpty { return [] }
    var lines = ["Empty slices (all numbers zero), by group of indices that go together:"]
    for group in shown {
      let own = solution.groups[group.group]
      lines.append("  \(Wording.name(own.name)): \(Wording.count(own.extent)) \(own.kind.nouns)")
      var table = TextTable([.left, .right, .left])
      table.indent = "    "
      for place in group.places {
        let axis = names.axis(place.value, place.axis)
        table.add([
          axis, "\(Wording.count(place.empty.count)) of \(Wording.count(own.extent)) empty",
          place.empty.isEmpty ? "" : IndexList.text(place.empty),
        ])
      }
      lines += table.lines
      if let removed = zeros?.removed.first(where: { $0.group == own.name }) {
        let fold =
          removed.folded.isEmpty ? "" : " (what \(IndexList.text(removed.folded)) always carries moves into the next bias)"
        lines.append("    can go without changing any output: \(IndexList.text(removed.indices))\(fold)")
      }
      for kept in (zeros?.kept ?? []).filter({ $0.group == own.name }) {
        lines += wrapped("stays: \(IndexList.text(kept.indices)), for \(kept.reason)", width: 106).map { "    \($0)" }
      }
    }
    return lines
  }

  /// What it comes to, in words.
  private var verdict: [String] {
    let zeros = sparsity.tensors.reduce(0) { $0 + ($1.zeros ?? 0) }
    if zeros == 0 { return ["No number is zero: nothing was masked."] }
    let removable = self.zeros?.removed.reduce(0) { $0 + $1.indices.count } ?? 0
    let weights = sparsity.groups.contains { $0.places.contains { $0.isWeight && !$0.empty.isEmpty } }
    if removable > 0 {
      return [
        "\(Wording.plural(removable, "index", "indices")) can go without changing any output.",
        "Next: prunec \(quoted(path)) -o SMALLER --remove-zeros\(masksOption)",
      ]
    }
    if !weights {
      return [
        "No channel is empty, and no head or unit: the zeros lie scattered, and every index still has numbers other than zero to work with. "
          + "Scattered zeros take as much room and time as any other number; only whole channels, heads or units that are zero can be "
          + "removed (in PyTorch, torch.nn.utils.prune.ln_structured masks whole ones).",
        "Next: prunec \(quoted(path)) -o SMALLER --dry-run   # what can be removed by choice",
      ]
    }
    return ["Some slices are empty, but no index can go without changing the outputs; above stands why."]
  }

  // MARK: JSON

  /// The report as JSON.
  var json: Json {
    let groups = sparsity.groups.map { line in
      let group = solution.groups[line.group]
      let removed = zeros?.removed.first { $0.group == group.name }
      return Json.object([
        ("name", .text(group.name)), ("kind", .text(group.kind.rawValue)), ("extent", .integer(group.extent)),
        ("emptyEverywhere", .array(line.emptyEverywhere.map(Json.integer))),
        ("emptyInSomeWeight", .array(line.emptySomewhere.map(Json.integer))),
        ("removable", .array((removed?.indices ?? []).map(Json.integer))),
        ("folded", .array((removed?.folded ?? []).map(Json.integer))),
        (
          "axes",
          .array(
            line.places.map {
              .object([
                ("tensor", .text(solution.module[$0.value].name)), ("axis", .integer($0.axis)), ("weight", .bool($0.isWeight)),
                ("empty", .array($0.empty.map(Json.integer))),
              ])
            })
        ),
      ])
    }
    return .object([
      ("model", .text(path)), ("masked", .array(masked.map(Json.text))),
      ("tensors", .array(sparsity.tensors.map { Self.json(names.name($0.value), $0) })), ("groups", .array(groups)),
    ])
  }

  /// One tensor as JSON.
  static func json(_ name: String, _ line: Sparsity.TensorLine) -> Json {
    .object([
      ("name", .text(name)), ("shape", .array(line.shape.map(Json.integer))), ("numbers", .integer(line.count)),
      ("zeros", line.zeros.map(Json.integer) ?? .null),
    ])
  }
}

/// Indices as people write them.
enum IndexList {
  /// `0, 2, 5-9`; a long list is cut off with how many more there are.
  static func text(_ indices: [Int], limit: Int = 24) -> String {
    var runs: [(first: Int, last: Int)] = []
    for index in indices {
      if let run = runs.last, run.last + 1 == index { runs[runs.count - 1].last = index } else { runs.append((index, index)) }
    }
    let shown = runs.prefix(limit)
    let texts = shown.map { run in
      switch run.last - run.first {
      case 0: "\(run.first)"
      case 1: "\(run.first), \(run.last)"
      case _: "\(run.first)-\(run.last)"
      }
    }
    let left = indices.count - shown.reduce(0) { $0 + $1.last - $1.first + 1 }
    return texts.joined(separator: ", ") + (left > 0 ? " and \(Wording.count(left)) more" : "")
  }
}
