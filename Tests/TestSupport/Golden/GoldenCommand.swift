import Foundation
import Graph
import Passes

/// What a golden file asks for: a verb and its options, spelled as on the command line.
///
///     groups                                  groups, layouts of all parameters, and what stays
///     shrink [--ratio R] [--kinds LIST] [--round-to N] [--only GLOBS] [--ignore GLOBS]
///                                             the smaller module, where index i of every group has the score i + 1
///     shrink --keep GROUP=0,2,5-7 …           the smaller module by a plan; groups that are not named keep all
///     shrink --scores turned …                where a group varies, index i of list n has the score (i + n) mod extent + 1 instead
///     varies                                  what varies over what, and what forbids it
///     verify-dimensions                       whether every type follows; types on the lines are taken as they stand
///     private-copies                          the module after that pass
///     blocks                                  residual blocks and layers
///     drop LIST                               the module without those blocks, as `--drop-blocks LIST` says; it is also proved
struct GoldenCommand {
  enum Outcome {
    case text(String)
    /// The module is refused.
    case complaints([Diagnostic])
  }

  private enum Verb: String {
    case groups, varies
    case shrink
    case verifyDimensions = "verify-dimensions"
    case privateCopies = "private-copies"
    case blocks, drop
  }

  private let verb: Verb
  private var choice = ChoiceOptions()
  private var kept: [(group: String, indices: [Int])] = []
  private var isTurned = false
  private var depth = DepthOptions()

  init(_ text: String) throws {
    var words = text.split(separator: " ").map(String.init)[...]
    guard let first = words.popFirst(), let verb = Verb(rawValue: first) else {
      throw Golden.Malformed(
        "'\(text)' starts with no command of goldens: groups, varies, shrink, verify-dimensions, private-copies, blocks, drop")
    }
    self.verb = verb
    if verb == .drop {
      guard let list = words.popFirst() else { throw Golden.Malformed("'\(text)' does not say which blocks to drop") }
      depth.dropped = list.split(separator: ",").map(String.init)
    }
    while let option = words.popFirst() {
      guard verb == .shrink, let value = words.popFirst() else { throw Golden.Malformed("'\(text)': no use for \(option)") }
      try read(option, value)
    }
  }

  private mutating func read(_ option: String, _ value: String) throws {
    let wrong = Golden.Malformed("\(option) \(value): cannot be read")
    let list = value.split(separator: ",").map(String.init)
    switch option {
    case "--ratio":
      guard let ratio = Double(value) else { throw wrong }
      choice.budget = .ratio(ratio)
    case "--round-to":
      guard let step = Int(value) else { throw wrong }
      choice.rounding = step
    case "--kinds":
      choice.kinds = value == "all" ? Set(GroupKind.allCases) : Set(list.compactMap(GroupKind.init))
      if value != "all" && choice.kinds?.count != list.count { throw wrong }
    case "--scores":
      guard value == "turned" else { throw wrong }
      isTurned = true
    case "--only": choice.only = list.map(Glob.init)
    case "--ignore": choice.ignored = list.map(Glob.init)
    case "--keep":
      guard let equals = value.lastIndex(of: "=") else { throw wrong }
      var indices: [Int] = []
      for item in value[value.index(after: equals)...].split(separator: ",") {
        let ends = item.split(separator: "-").compactMap { Int($0) }
        guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last else { throw wrong }
        indices += first...last
      }
      kept.append((String(value[..<equals]), indices))
    case _: throw Golden.Malformed("goldens have no option \(option)")
    }
  }

  /// What the command says of a module's text.
  func outcome(of input: String) throws -> Outcome {
    do {
      switch verb {
      case .verifyDimensions:
        let faults = VerifyDimensions.run(try ModuleParser.parse(input, checkingTypes: false))
        return faults.isEmpty ? .text("every type follows\n") : .complaints(faults)
      case .privateCopies:
        let compilation = try run([Self.pass(verb.rawValue)], on: input)
        return .text(ModulePrinter.print(compilation.module))
      case .groups:
        guard let solution = try run(Pipeline.solve, on: input).solution else { throw Golden.Malformed("nothing was solved") }
        return .text(GoldenText.groups(solution))
      case .varies:
        guard let solution = try run(Pipeline.solve, on: input).solution else { throw Golden.Malformed("nothing was solved") }
        return .text(GoldenText.varies(solution))
      case .shrink: return .text(try shrunk(input))
      case .blocks: return .text(GoldenText.blocks(try ResidualBlocks(inferring: try ModuleParser.parse(input))))
      case .drop: return .text(try dropped(input))
      }
    } catch let complaint as Diagnostic {
      return .complaints([complaint])
    }
  }

  private func shrunk(_ input: String) throws -> String {
    var compilation = try run(Pipeline.solve, on: input)
    guard let solution = compilation.solution else { throw Golden.Malformed("nothing was solved") }
    compilation.scores = Scores(
      byGroup: solution.groups.map { group in (1...group.extent).map(Double.init) },
      byList: isTurned ? Self.turned(solution) : [:])
    try Pipeline.run([Self.pass("choose"), Self.pass("shrink"), Self.pass("verify-dimensions")], on: &compilation)
    guard let plan = compilation.plan else { throw Golden.Malformed("nothing was chosen") }
    return GoldenText.kept(plan, solution) + ModulePrinter.print(compilation.module)
  }

  /// Scores by list, another order for each.
  static func turned(_ solution: Solution) -> [Int: [[Double]]] {
    var result: [Int: [[Double]]] = [:]
    for (index, group) in solution.groups.enumerated() {
      guard let variation = solution.variations[index] else { continue }
      result[index] = (0..<variation.listCount).map { list in
        (0..<group.extent).map { Double(($0 + list) % group.extent + 1) }
      }
    }
    return result
  }

  /// The module without the blocks, which must be the original with these bypassed.
  private func dropped(_ input: String) throws -> String {
    let compilation = try run([Pipeline.dropBlocks], on: input)
    let filled = RandomWeights.filling(try ModuleParser.parse(input), seed: 1)
    var options = CompileOptions()
    options.depth = depth
    var proved = Compilation(filled, options: options)
    try Pipeline.run([Pipeline.dropBlocks], on: &proved)
    guard let depth = proved.depth else { throw Golden.Malformed("nothing was dropped") }
    let (_, proof) = try InventedInputs.firstAccepted(for: filled, seed: 1) { (inputs) throws(Diagnostic) in
      try Proof.run(depth: depth, dropped: proved.module, source: nil, inputs: inputs, threads: 1)
    }
    guard proof.isProved else { throw Golden.Malformed("it is not proved: \(proof.faults.map(\.summary))") }
    return ModulePrinter.print(compilation.module)
  }

  private func run(_ passes: [Pass], on input: String) throws -> Compilation {
    var options = CompileOptions()
    options.choice = choice
    options.depth = depth
    if !kept.isEmpty { options.plan = try plan() }
    var compilation = Compilation(try ModuleParser.parse(input), options: options)
    try Pipeline.run(passes, on: &compilation)
    return compilation
  }

  private func plan() throws -> PlanFile {
    let groups = kept.map { "{ \"name\": \(JSONText.string($0.group)), \"kept\": \($0.indices) }" }.joined(separator: ", ")
    return try PlanFile(reading: Data("{ \"format\": \"prunec-plan-1\", \"groups\": [\(groups)] }".utf8))
  }

  private static func pass(_ name: String) throws -> Pass {
    guard let pass = Pipeline.compile.first(where: { $0.name == name }) else {
      throw Golden.Malformed("there is no pass '\(name)'")
    }
    return pass
  }
}

/// Results of goldens as text.
enum GoldenText {
  /// Groups, the layouts of parameters, and what stays why; one line each.
  static func groups(_ solution: Solution) -> String {
    var lines = solution.groups.map { group in
      let bound = group.least > 1 ? ", at least \(group.least) stay" : ""
      return "group \(group.name): \(group.extent) \(group.kind.rawValue), \(group.isDefault ? "default" : "on request")\(bound)"
    }
    if lines.isEmpty { lines = ["no groups"] }
    var reasons: [(cause: String, axes: [String])] = []
    for parameter in solution.module.parameters {
      let layouts = solution.axes[parameter.value.index]
      guard parameter.content.element.isData || layouts.contains(where: { !solution.groups(in: $0).isEmpty }) else { continue }
      let name = solution.module[parameter.value].name
      if !layouts.isEmpty { lines.append("\(name): [\(layouts.map(solution.text).joined(separator: ", "))]") }
      for (axis, layout) in layouts.enumerated() {
        for cause in solution.causes(in: layout) {
          let node =
            cause.node.map { " (\(solution.module.nodes[$0].operation.textName) \(solution.module.label(of: $0)))" } ?? ""
          let text = cause.reason.description + node
          if let at = reasons.firstIndex(where: { $0.cause == text }) {
            if reasons[at].axes.last != "\(name):\(axis)" { reasons[at].axes.append("\(name):\(axis)") }
          } else {
            reasons.append((text, ["\(name):\(axis)"]))
          }
        }
      }
    }
    lines += reasons.map { "stays: \($0.axes.joined(separator: ", ")): \($0.cause)" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// What varies over what, and what forbids it; one line each.
  static func varies(_ solution: Solution) -> String {
    var lines: [String] = []
    for (index, group) in solution.groups.enumerated() {
      if let variation = solution.variations[index] {
        let outers = variation.outers.map { "\(solution.name(of: $0)) (\(solution.extent(of: $0)))" }
        lines.append(
          "\(group.name) varies over \(outers.joined(separator: " and ")): lists "
            + variation.listOfTuple.map(String.init).joined(separator: " "))
      }
      for obstacle in solution.obstacles[index] {
        let outer =
          switch obstacle.outer {
          case .group(let outer): solution.groups[outer].name
          case .fixed(let extent): "the fixed \(extent)"
          }
        let reason =
          switch obstacle.reason {
          case .lacking(let value): "\(solution.module[value].name) is shared"
          case .ambiguous(let value): "\(solution.module[value].name) carries it more than once"
          case .meeting(let node): "they meet in \(solution.module.label(of: solution.module.nodes[node]))"
          case .positions(let value): "\(solution.module[value].name) holds positions"
          case .same: "all of them meet"
          case .varies: "that varies itself"
          }
        lines.append("\(group.name) does not vary over \(outer): \(reason)")
      }
    }
    return (lines.isEmpty ? ["nothing varies"] : lines).joined(separator: "\n") + "\n"
  }

  /// Residual blocks, one line each, and what makes a layer.
  static func blocks(_ found: ResidualBlocks) -> String {
    let module = found.module
    var lines = found.blocks.map { block in
      let nodes = block.nodes.compactMap { module.nodes[$0].outputs.first.flatMap { $0 }.map { "%\(module[$0].name)" } }
      let outer = block.parent.map { ", inside block \($0)" } ?? ""
      return "block \(block.id): \(block.kind.rawValue), %\(module[block.result].name) = %\(module[block.stream].name) + "
        + "f, f = \(nodes.joined(separator: " ")), \(block.parameterCount) parameters\(outer)"
    }
    if lines.isEmpty { lines = ["no blocks"] }
    lines += found.layers.map { "layer L\($0.id): blocks \($0.blocks.map(String.init).joined(separator: ", "))" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// What each group keeps, one line each, in order.
  static func kept(_ plan: Plan, _ solution: Solution) -> String {
    let lines = solution.groups.enumerated().flatMap { index, group -> [String] in
      guard let lists = plan.varied[index], let outers = solution.variations[index]?.outers else {
        return ["keep \(group.name): \(plan.kept[index].map { "\(ranges($0)) of \(group.extent)" } ?? "all \(group.extent)")"]
      }
      let names = outers.map { solution.name(of: $0) }.joined(separator: ", ")
      let rows = lists.enumerated().map { tuple, list in
        var (rest, numbers) = (tuple, [String]())
        for outer in outers.reversed() {
          numbers.insert("\(rest % solution.extent(of: outer))", at: 0)
          rest /= solution.extent(of: outer)
        }
        return "  \(numbers.joined(separator: ", ")): \(ranges(list))"
      }
      return ["keep \(group.name): \(lists[0].count) of \(group.extent), over \(names)"] + rows
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// `0, 2, 4…7`
  private static func ranges(_ indices: [Int]) -> String {
    var runs: [(first: Int, last: Int)] = []
    for index in indices {
      if let run = runs.last, run.last == index - 1 {
        runs[runs.count - 1].last = index
      } else {
        runs.append((index, index))
      }
    }
    return runs.map { run in
      switch run.last - run.first {
      case 0: "\(run.first)"
      case 1: "\(run.first), \(run.last)"
      case _: "\(run.first)…\(run.last)"
      }
    }.joined(separator: ", ")
  }
}
