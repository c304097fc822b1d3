/// A module as a drawing for graphviz (`dot -Tsvg`): nodes in their blocks, edges with types, coloured by whatever the caller groups them by.
///
/// Parameters are listed in the nodes that read them. Shape arithmetic is small and grey.
public struct DotPrinter {
  /// How an edge is marked: the groups its value carries, and a text that shows when the pointer rests on it.
  public struct Mark: Sendable, Hashable {
    /// Names of groups, outermost axis first. Each has a colour; three are shown on one edge.
    public let groups: [String]
    /// A text of one or more lines.
    public let note: String?
    /// A mark of the given groups.
    public init(groups: [String], note: String? = nil) {
      self.groups = groups
      self.note = note
    }
  }

  /// Colours of groups, in the order of their first appearance; people with any kind of colour vision can tell them apart.
  public static let palette = [
    "#0072B2", "#D55E00", "#117733", "#AA4499", "#E69F00", "#332288", "#44AA99", "#882255", "#999933", "#56B4E9", "#CC6677",
    "#7F5A2B",
  ]

  private let module: Module
  private let mark: (ValueID) -> Mark?
  private let producers: [Int?]
  private let contents: [ValueID: TensorContent]
  private let inputs: Set<ValueID>
  private var colours: [String: Int] = [:]
  private var order: [String] = []
  private var text = ""

  /// The drawing of a module. `mark` says how the edges of a value are marked; nil leaves them black.
  public static func print(_ module: Module, mark: (ValueID) -> Mark? = { _ in nil }) -> String {
    withoutActuallyEscaping(mark) { mark in
      var printer = DotPrinter(module, mark)
      printer.write()
      return printer.text
    }
  }

  private init(_ module: Module, _ mark: @escaping (ValueID) -> Mark?) {
    self.module = module
    self.mark = mark
    producers = module.producers()
    contents = Dictionary(module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    inputs = Set(module.inputs)
  }

  private mutating func write() {
    text = """
      digraph \(DotText.quoted(module.name)) {
        graph [rankdir=TB, newrank=true, fontname="Helvetica", fontsize=11, ranksep=0.35, nodesep=0.2, labeljust=l, style=rounded, color="#B0B0B0"]
        node [fontname="Helvetica", fontsize=10, shape=box, style="rounded,filled", fillcolor=white, color="#606060", margin="0.08,0.04"]
        edge [fontname="Helvetica", fontsize=8, color="#404040", arrowsize=0.6]

      """
    for input in module.inputs { writeTerminal(input, "input") }
    writeBlocks(BlockNames(module).blocks)
    for (at, output) in module.outputs.enumerated() { writeOutput(output, at) }
    for index in module.nodes.indices { writeEdges(of: index) }
    writeLegend()
    text += "}\n"
  }

  private func isParameter(_ value: ValueID) -> Bool { contents[value] != nil }

  // MARK: nodes

  private mutating func writeBlocks(_ blocks: [[String]]) {
    var children: [[String]: [[String]]] = [:]
    var members: [[String]: [Int]] = [:]
    for (index, block) in blocks.enumerated() {
      members[block, default: []].append(index)
      for depth in stride(from: block.count, to: 0, by: -1) {
        let (inner, outer) = (Array(block.prefix(depth)), Array(block.prefix(depth - 1)))
        if children[outer]?.contains(inner) != true { children[outer, default: []].append(inner) }
      }
    }
    var number = 0
    func write(_ block: [String], _ indent: String, _ printer: inout DotPrinter) {
      for index in members[block] ?? [] { printer.writeNode(index, block, indent) }
      for child in children[block] ?? [] {
        number += 1
        let label = DotText.quoted(DotText.shortened(child.last ?? "", 40))
        printer.text += "\(indent)subgraph cluster_\(number) {\n\(indent)  label=\(label)\n"
        printer.text += child.count == 1 ? "\(indent)  bgcolor=\"#F6F6F6\"\n" : "\(indent)  bgcolor=\"#ECECEC\"\n"
        write(child, indent + "  ", &printer)
        printer.text += "\(indent)}\n"
      }
    }
    write([], "  ", &self)
  }

  private mutating func writeNode(_ index: Int, _ block: [String], _ indent: String) {
    let node = module.nodes[index]
    let tip = "tooltip=\(DotText.quoted(tooltip(node)))"
    if isShapeArithmetic(node) {
      let name = DotText.quoted(DotText.shortened(operatorName(node), 24))
      text += "\(indent)n\(index) [label=\(name), fontsize=7, fontcolor=\"#808080\", color=\"#C8C8C8\", "
      text += "fillcolor=white, height=0.2, width=0.3, margin=\"0.04,0.02\", \(tip)]\n"
      return
    }
    var lines = ["<B>\(DotText.html(DotText.shortened(operatorName(node), 40)))</B>"]
    let details = attributes(node)
    if !details.isEmpty { lines.append(DotText.small(details)) }
    let weights = node.inputs.compactMap { $0 }.filter(isParameter)
    for weight in weights.prefix(6) { lines.append(DotText.small(describe(weight, in: block))) }
    if weights.count > 6 { lines.append(DotText.small("and \(weights.count - 6) more")) }
    text += "\(indent)n\(index) [label=<\(lines.joined(separator: "<BR/>"))>, fillcolor=\"\(DotText.fill(node.operation))\", "
    if case .opaque = node.operation { text += "style=\"rounded,filled,dashed\", " }
    text += "\(tip)]\n"
  }

  private mutating func writeTerminal(_ value: ValueID, _ kind: String) {
    guard module.values.indices.contains(value.index) else { return }
    let label = "<B>\(DotText.html(DotText.shortened(module[value].name, 40)))</B><BR/>\(DotText.small("\(module[value].type)"))"
    text += "  v\(value.index) [label=<\(label)>, shape=box, style=filled, fillcolor=\"#FFF3C4\", tooltip=\"\(kind)\"]\n"
  }

  private mutating func writeOutput(_ value: ValueID, _ at: Int) {
    guard module.values.indices.contains(value.index) else { return }
    if isParameter(value) { writeTerminal(value, "parameter") }
    let label = DotText.html(DotText.shortened(module[value].name, 40))
    text += "  o\(at) [label=<<B>\(label)</B>>, shape=box, style=filled, fillcolor=\"#FFF3C4\", tooltip=\"output\"]\n"
    writeEdge(value, to: "o\(at)", isDashed: false)
  }

  private func operatorName(_ node: Node) -> String {
    if case .opaque(let opaque) = node.operation { return opaque.qualifiedName }
    return node.operation.textName
  }

  private func tooltip(_ node: Node) -> String {
    let results = node.outputs.compactMap { $0 }.filter { module.values.indices.contains($0.index) }.map { value in
      "\(module[value].name) : \(module[value].type)"
    }
    return ([node.name.isEmpty ? operatorName(node) : node.name] + results).joined(separator: "\n")
  }

  /// The attributes that tell most, as `strides=[2, 2]`: short ones that are not what the operator does anyway.
  private func attributes(_ node: Node) -> String {
    let shown = node.attributes.entries.filter { !isDefault($0) }.compactMap { entry -> String? in
      switch entry.value {
      case .int(let number): "\(entry.name.rawValue)=\(number)"
      case .ints(let numbers): numbers.count <= 8 ? "\(entry.name.rawValue)=\(numbers)" : nil
      case .string(let text): "\(entry.name.rawValue)=\(text)"
      case .float, .floats, .strings, .tensor, .raw: nil
      }
    }
    return DotText.shortened(shown.joined(separator: " "), 60)
  }

  private func isDefault(_ entry: Attributes.Entry) -> Bool {
    switch entry.value {
    case .int(let number):
      let flags: [AttributeName] = [
        .transA, .transB, .storageOrder, .ceilMode, .allowzero, .noopWithEmptyAxes, .countIncludePad, .batchDims, .trainingMode,
      ]
      return number == 0 && flags.contains(entry.name) || number == 1 && [.group, .stashType, .saturate].contains(entry.name)
    case .ints(let numbers):
      return [.strides, .dilations].contains(entry.name) && numbers.allSatisfy { $0 == 1 }
        || [.pads, .outputPadding].contains(entry.name) && numbers.allSatisfy { $0 == 0 }
    case .string(let text): return entry.name == .autoPad && text == "NOTSET"
    case .float, .floats, .strings, .tensor, .raw: return false
    }
  }

  /// `qkv.weight 192×64`: the name without the block around it; the numbers themselves where they are few whole ones.
  private func describe(_ parameter: ValueID, in block: [String]) -> String {
    if let content = contents[parameter], content.element == .i64, content.shape.count < 2, content.elementCount <= 8,
      !content.isMissing,
      let numbers = NumberText.text(content.materialized(), .i64, shape: content.shape)
    {
      return numbers.replacing("\(Int64.max)", with: "∞").replacing("\(Int64.min)", with: "−∞")
    }
    let name = module[parameter].name
    let around = block.joined(separator: ".") + "."
    let short = name.hasPrefix(around) ? String(name.dropFirst(around.count)) : name
    let extents = module[parameter].type.shape.map(\.description).joined(separator: "×")
    return "\(DotText.shortened(short, 32)) \(extents.isEmpty ? "scalar" : extents)"
  }

  /// Numbers that stand for extents: whole, and one short list at most.
  private func isShapeNumbers(_ value: ValueID) -> Bool {
    guard module.values.indices.contains(value.index) else { return false }
    let type = module[value].type
    guard type.element.isInteger || type.element == .bool, type.isRanked, type.rank <= 1, !isParameter(value),
      !inputs.contains(value)
    else { return false }
    return type.rank == 0 || type.shape.first?.constant.map { $0 <= 64 } == true
  }

  private func isShapeArithmetic(_ node: Node) -> Bool {
    let results = node.outputs.compactMap { $0 }
    return !results.isEmpty && results.allSatisfy(isShapeNumbers)
  }

  // MARK: edges

  private mutating func writeEdges(of index: Int) {
    var seen: Set<ValueID> = []
    for case let input? in module.nodes[index].inputs where !isParameter(input) && seen.insert(input).inserted {
      writeEdge(input, to: "n\(index)", isDashed: false)
    }
    for capture in module.nodes[index].captures where !isParameter(capture) && seen.insert(capture).inserted {
      writeEdge(capture, to: "n\(index)", isDashed: true)
    }
  }

  private mutating func writeEdge(_ value: ValueID, to target: String, isDashed: Bool) {
    guard module.values.indices.contains(value.index) else { return }
    let source = producers[value.index].map { "n\($0)" } ?? "v\(value.index)"
    let type = module[value].type.description
    var tip = "\(module[value].name) : \(type)"
    // Types of shape numbers say little, and there are many of them.
    var attributes =
      isShapeNumbers(value)
      ? ["color=\"#C8C8C8\"", "arrowsize=0.4"] : ["label=\(DotText.quoted(" " + DotText.shortened(type, 36)))"]
    if let mark = mark(value) {
      if !mark.groups.isEmpty {
        let styles = mark.groups.prefix(3).map { number(of: $0) }
        let colour = styles.map { Self.palette[$0 % Self.palette.count] }.joined(separator: ":")
        attributes += ["color=\"\(colour)\"", "penwidth=1.6"]
        // When the colours are used up, they come again with another line.
        if !isDashed { attributes.append("style=\(lineStyle(styles.first ?? 0))") }
        tip += "\n" + mark.groups.joined(separator: "\n")
      }
      if let note = mark.note { tip += "\n" + note }
    }
    if isDashed { attributes.append("style=dashed") }
    attributes += ["tooltip=\(DotText.quoted(tip))", "labeltooltip=\(DotText.quoted(tip))"]
    text += "  \(source) -> \(target) [\(attributes.joined(separator: ", "))]\n"
  }

  private mutating func number(of group: String) -> Int {
    if let known = colours[group] { return known }
    colours[group] = order.count
    order.append(group)
    return order.count - 1
  }

  private func lineStyle(_ number: Int) -> String { ["solid", "dashed", "dotted"][number / Self.palette.count % 3] }

  private mutating func writeLegend() {
    guard !order.isEmpty else { return }
    let limit = Self.palette.count * 2
    var rows = order.prefix(limit).enumerated().map { at, name in
      "<TR><TD BGCOLOR=\"\(Self.palette[at % Self.palette.count])\" WIDTH=\"16\"></TD>"
        + "<TD ALIGN=\"LEFT\">\(DotText.html(DotText.shortened(name, 48)))\(at < Self.palette.count ? "" : " (\(lineStyle(at)))")</TD></TR>"
    }
    if order.count > limit { rows.append("<TR><TD></TD><TD ALIGN=\"LEFT\">and \(order.count - limit) more</TD></TR>") }
    text += "  legend [shape=plain, style=solid, label=<<TABLE BORDER=\"0\" CELLSPACING=\"1\">\(rows.joined())</TABLE>>]\n"
  }
}
