import Graph

/// The blocks of a model with what flows between them, coloured by how much each lost.
struct BlockDrawing {
  /// Parameters of a block.
  struct Loss {
    let before: Int
    let after: Int
    /// Share that is gone.
    var share: Double { before == 0 ? 0 : 1 - Double(after) / Double(before) }
  }

  private let graph: BlockGraph
  private let module: Module
  private let losses: [Loss]
  /// What names of boxes begin with in common: it says nothing.
  private let common: String

  private static let box = (width: 188.0, height: 40.0)
  private static let junction = (width: 22.0, height: 22.0)
  private static let gap = (x: 22.0, y: 22.0)

  /// `module` is the original; what `after` has left of its parameters is found by name.
  init(_ module: Module, after: Module, limit: Int = 64) {
    self.module = module
    graph = BlockGraph(module, limit: limit)
    common = Self.commonPath(graph.blocks.filter { $0.kind == .block }.map(\.name))
    let before = Self.counts(module)
    let left = Self.counts(after)
    losses = graph.blocks.map { block in
      let names = block.parameters.map { module[$0].name }
      return Loss(
        before: names.reduce(0) { $0 + (before[$1] ?? 0) },
        after: names.reduce(0) { before[$1] == nil ? $0 : $0 + (left[$1] ?? 0) })
    }
  }

  /// Numbers in parameters that are data, by name.
  private static func counts(_ module: Module) -> [String: Int] {
    Dictionary(
      module.parameters.filter { $0.content.element.isData && $0.copyOf == nil }
        .map { (module[$0.value].name, $0.content.elementCount) },
      uniquingKeysWith: { first, _ in first })
  }

  /// The drawing.
  var markup: Markup {
    let layout = LayeredLayout(
      boxes: graph.blocks.map { $0.kind == .junction ? Self.junction : Self.box },
      edges: graph.edges.map { ($0.from, $0.to) }, sources: Set(graph.blocks.indices.filter { graph.blocks[$0].kind == .input }),
      gap: Self.gap)
    var pieces = layout.ways.flatMap { Self.edge($0) }
    for (index, block) in graph.blocks.enumerated() {
      guard layout.centres.indices.contains(index) else { continue }
      pieces.append(box(block, losses[index], layout.centres[index]))
    }
    let margin = 6.0
    return Shape.drawing(
      layout.size.width + 2 * margin, layout.size.height + 2 * margin,
      label: "Graph of \(graph.blocks.count) blocks, coloured by the share of their parameters that went",
      [.tag("g", ["transform": "translate(\(Shape.number(margin)) \(Shape.number(margin)))"], pieces)])
  }

  /// A line that bends between layers, and its head.
  private static func edge(_ way: [(x: Double, y: Double)]) -> [Markup] {
    guard let first = way.first, let last = way.last else { return [] }
    func text(_ x: Double, _ y: Double) -> String { "\(Shape.number(x)) \(Shape.number(y))" }
    let end = last.y - 6
    var steps = "M\(text(first.x, first.y))"
    for (from, to) in zip(way, way.dropFirst()) {
      let y = to.y == last.y ? end : to.y
      let middle = (from.y + y) / 2
      steps +=
        abs(from.x - to.x) < 0.5
        ? "L\(text(to.x, y))" : "C\(text(from.x, middle)) \(text(to.x, middle)) \(text(to.x, y))"
    }
    let head = "M\(text(last.x - 4, end - 1))L\(text(last.x + 4, end - 1))L\(text(last.x, last.y - 0.5))Z"
    return [Shape.path(steps, "edge"), Shape.path(head, "arrow")]
  }

  private func box(_ block: BlockGraph.Block, _ loss: Loss, _ centre: (x: Double, y: Double)) -> Markup {
    let (width, height) = Self.box
    let (x, y) = (centre.x - width / 2, centre.y - height / 2)
    let short = block.name.hasPrefix(common) ? String(block.name.dropFirst(common.count)) : block.name
    let name = Self.shortened(short, 26)
    switch block.kind {
    case .input, .output:
      let kind = block.kind == .input ? "input" : "output"
      return .tag(
        "g", [:], .tag("title", [:], "\(kind) \(block.name)"),
        Shape.rectangle(x + 20, y + 7, width - 40, height - 14, "terminal", radius: 16),
        Shape.text(centre.x, centre.y + 4, "\(kind) \(Self.shortened(block.name, 18))", "box-note", anchor: "middle"))
    case .junction:
      return .tag(
        "g", [:], .tag("title", [:], title(block, loss)),
        .tag(
          "circle", ["cx": Shape.number(centre.x), "cy": Shape.number(centre.y), "r": "11", "class": "terminal solid"]),
        Shape.text(centre.x, centre.y + 4, sign(block), "box-note", anchor: "middle"))
    case .block:
      let style = ReportStyle.style(ofLost: loss.share)
      let ink = loss.share >= 0.6 ? "on-dark" : "on-light"
      return .tag(
        "g", [:], .tag("title", [:], title(block, loss)), Shape.rectangle(x, y, width, height, "box \(style)", radius: 6),
        Shape.text(centre.x, centre.y - 3.5, name, "box-name \(ink)", anchor: "middle"),
        Shape.text(centre.x, centre.y + 12, note(loss), "box-note \(ink)", anchor: "middle"))
    }
  }

  private func note(_ loss: Loss) -> String {
    if loss.before == 0 { return "no parameters" }
    if loss.before == loss.after { return "\(Self.brief(loss.before)), unchanged" }
    return
      "\(Self.brief(loss.before)) → \(Self.brief(loss.after)) (\(Wording.change(Double(loss.before), Double(loss.after))))"
  }

  private func title(_ block: BlockGraph.Block, _ loss: Loss) -> String {
    var counts: [(name: String, count: Int)] = []
    for node in block.nodes {
      let name = module.nodes[node].operation.textName
      if let at = counts.firstIndex(where: { $0.name == name }) { counts[at].count += 1 } else { counts.append((name, 1)) }
    }
    let operators = counts.prefix(12).map { $0.count == 1 ? $0.name : "\($0.count) × \($0.name)" }.joined(separator: ", ")
    return
      "\(block.name)\nparameters: \(Wording.count(loss.before)) → \(Wording.count(loss.after))\n\(Wording.plural(block.nodes.count, "node")): "
      + operators
  }

  /// What a junction does, in a sign.
  private func sign(_ block: BlockGraph.Block) -> String {
    guard let first = block.nodes.first else { return "" }
    switch module.nodes[first].operation {
    case .elementwise(.add): return "+"
    case .elementwise(.sub): return "−"
    case .elementwise(.mul): return "×"
    case .elementwise(.div): return "÷"
    case .joining(.concat): return "‖"
    case .matrixProduct: return "@"
    case .elementwise, .joining, .attention, .convolution, .generation, .indexing, .normalisation, .opaque, .pooling,
      .quantisation,
      .recurrence, .reduction, .reshaping:
      return "•"
    }
  }

  /// Path components that all dotted names begin with, dot included.
  private static func commonPath(_ names: [String]) -> String {
    let paths = names.filter { $0.contains(".") }.map { $0.split(separator: ".") }
    guard paths.count > 2, var common = paths.first?.dropLast() else { return "" }
    for path in paths { common = common.prefix(zip(common, path.dropLast()).prefix { $0 == $1 }.count) }
    // A number belongs to the name before it.
    while common.last?.allSatisfy(\.isNumber) == true { common = common.dropLast(2) }
    return common.isEmpty ? "" : common.joined(separator: ".") + "."
  }

  /// The end of a name says most.
  static func shortened(_ name: String, _ limit: Int) -> String {
    if name.count <= limit { return name }
    let end = name.suffix(limit - 1)
    // Whole parts of a path, where one is not too long for that.
    if let dot = end.firstIndex(of: "."), end.distance(from: dot, to: end.endIndex) > limit / 2 {
      return "…" + end[end.index(after: dot)...]
    }
    return "…" + end
  }

  /// A count in three digits: `12.3k`, `4.56M`.
  static func brief(_ count: Int) -> String {
    if count < 10_000 { return Wording.count(count) }
    for (scale, unit) in [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")] where Double(count) < scale * 999.5 {
      let value = Double(count) / scale
      return Wording.fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + unit
    }
    return Wording.count(count)
  }

  /// What colours mean.
  static var legend: Markup {
    let entries =
      ["nothing lost"]
      + (1..<ReportStyle.steps).map { step in
        "\((step - 1) * 100 / (ReportStyle.steps - 1))–\(step * 100 / (ReportStyle.steps - 1)) %"
      }
    return .tag(
      "ul", ["class": "legend"],
      entries.enumerated().map { step, text in
        .tag(
          "li", [:], Shape.drawing(18, 14, label: "", [Shape.rectangle(0.5, 0.5, 17, 13, "box lost-\(step)", radius: 3)]),
          .text(text))
      })
  }
}
