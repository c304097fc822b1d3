import Graph
import Passes

/// Residual blocks and layers in words.
struct DepthReport {
  private let found: ResidualBlocks

  init(_ found: ResidualBlocks) { self.found = found }

  /// Operator and name of the node that adds.
  func sum(_ block: ResidualBlock) -> String { Wording.name(found.module.label(of: found.module.nodes[block.sum])) }

  /// `L3`, or the number of the block around it.
  func place(_ block: ResidualBlock) -> String {
    let outer = block.parent.map { "block \($0)" }
    return [found.layer(of: block.id).map { "L\($0.id)" }, outer].compactMap { $0 }.joined(separator: ", ")
  }

  /// `blocks 3 and 4 (layer L1)` for what stays or goes as a whole.
  func unit(_ blocks: [Int]) -> String {
    guard let first = blocks.first, let layer = found.layer(of: first), layer.blocks == blocks else {
      return blocks.map { "block \($0)" }.joined(separator: ", ")
    }
    return "L\(layer.id)"
  }

  /// Shares of a model's parameters.
  func share(_ parameters: Int) -> String {
    let all = found.module.parameterCount
    return all == 0 ? "-" : Wording.percent(Double(parameters) / Double(all))
  }

  /// What a compile dropped, and how layers were judged.
  func dropped(_ depth: Depth) -> [String] {
    if depth.dropped.isEmpty { return ["No block is dropped"] }
    let parameters = depth.dropped.reduce(0) { $0 + $1.parameterCount }
    var lines = [
      "Dropped: \(Wording.plural(depth.dropped.count, "residual block")) of \(Wording.count(found.blocks.count)), "
        + "\(share(parameters)) of the parameters"
    ]
    var table = TextTable([.right, .left, .left, .left])
    table.indent = "  "
    for block in depth.dropped { table.add(["\(block.id)", block.kind.rawValue, sum(block), place(block)]) }
    lines += table.lines
    guard let scores = depth.scores else { return lines }
    lines.append("Layers by \(scores.measure.rawValue), least first:")
    let order = scores.units.indices.sorted { (scores.worth[$0], $0) < (scores.worth[$1], $1) }
    let figures = order.map { "\(unit(scores.units[$0])) \(Wording.fixed(scores.worth[$0], 4))" }
    lines += wrapped(figures.joined(separator: ", "), width: 110).map { "  \($0)" }
    return lines
  }

  /// What a compile dropped.
  func json(_ depth: Depth) -> Json { .array(depth.dropped.map(json)) }

  /// One block.
  func json(_ block: ResidualBlock) -> Json {
    let module = found.module
    return .object([
      ("id", .integer(block.id)), ("kind", .text(block.kind.rawValue)), ("sum", .text(found.name(of: block))),
      ("stream", .text(module[block.stream].name)), ("branch", .text(module[block.branch].name)),
      ("nodes", .integer(block.nodes.count)), ("parameters", .integer(block.parameterCount)),
      ("tensors", .array(block.parameters.map { .text(module[$0].name) })),
      ("layer", found.layer(of: block.id).map { .integer($0.id) } ?? .null), ("inside", block.parent.map(Json.integer) ?? .null),
    ])
  }
}

/// `prunec groups --blocks`: what `--drop-blocks` and `--keep-depth` can drop.
struct BlocksReport {
  private let invocation: Invocation
  private let console: Console

  init(_ invocation: Invocation, _ console: Console) {
    self.invocation = invocation
    self.console = console
  }

  func run(_ path: String) throws(Diagnostic) {
    let file = try ModelReader.read(path)
    let found: ResidualBlocks
    var influence: DepthScores?
    do throws(Diagnostic) {
      found = try ResidualBlocks(inferring: file.module)
      if let data = invocation.text(.data) {
        var options = DepthOptions()
        options.data = try ModelInputs.arrays(data, file)
        options.source = file.document?.model
        influence = try DepthScores(found, units: found.blocks.map { [$0.id] }, options: options, seed: 0)
      }
    } catch {
      throw error.inFile(path)
    }
    let report = DepthReport(found)
    if invocation.has(.json) {
      let layers = found.layers.map { layer in
        Json.object([("id", .integer(layer.id)), ("blocks", .array(layer.blocks.map(Json.integer)))])
      }
      let worth = influence.map { $0.worth.map(Json.number) } ?? []
      try console.report(
        Json.object([
          ("model", .text(path)), ("blocks", .array(found.blocks.map(report.json))), ("layers", .array(layers)),
          ("influence", influence == nil ? .null : .array(worth)),
        ]).text() + "\n")
    } else {
      try console.report(lines(path, found, report, influence).joined(separator: "\n") + "\n")
    }
  }

  private func lines(_ path: String, _ found: ResidualBlocks, _ report: DepthReport, _ influence: DepthScores?) -> [String] {
    let layers = found.layers.isEmpty ? "" : ", \(Wording.plural(found.layers.count, "layer")) of several blocks"
    var lines = ["\(Wording.name(path)): \(Wording.plural(found.blocks.count, "residual block"))\(layers)"]
    guard let first = found.blocks.first else {
      return lines + ["", "Next: prunec groups \(quoted(path))"]
    }
    var table = TextTable([.right, .left, .left, .right, .right, .right, .left] + (influence == nil ? [] : [.right]))
    table.add(
      ["block", "kind", "sum", "nodes", "parameters", "share", "inside"] + (influence == nil ? [] : ["influence"]))
    for block in found.blocks {
      table.add(
        [
          "\(block.id)", block.kind.rawValue, report.sum(block), Wording.count(block.nodes.count),
          Wording.count(block.parameterCount), report.share(block.parameterCount), report.place(block),
        ] + (influence.map { [Wording.fixed($0.worth[block.id], 4)] } ?? []))
    }
    let rows = table.lines
    lines += ["", console.bold(rows.first ?? "")] + rows.dropFirst()
    let whole = found.layers.isEmpty ? "\(first.id)" : "L0"
    lines += ["", "Next: prunec \(quoted(path)) -o SMALLER --drop-blocks \(whole)   # or --keep-depth 0.75"]
    return lines
  }
}
