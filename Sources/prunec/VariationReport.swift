import Graph
import Passes

/// What a group varies over, and which tensor forbids it where it does not.
struct VariationReport {
  private let names: SolutionNames
  private var solution: Solution { names.solution }

  init(_ names: SolutionNames) { self.names = names }

  /// Sentences for a person; none where the group is multiplied with nothing.
  func lines(_ group: Int) -> [String] {
    var lines: [String] = []
    if let variation = solution.variations[group] {
      let outers = variation.outers.map { "\(Wording.name(solution.name(of: $0))) (\(solution.extent(of: $0)))" }
      let count = variation.listCount
      lines.append("varies over \(outers.joined(separator: " and ")): \(Wording.plural(count, "list")) of its own, equally long")
      if let alike = alike(variation) { lines.append("  \(alike)") }
    }
    var reasons: [VariationObstacle.Reason] = []
    var outers: [VariationObstacle.Reason: [String]] = [:]
    for obstacle in solution.obstacles[group] {
      if outers[obstacle.reason] == nil { reasons.append(obstacle.reason) }
      outers[obstacle.reason, default: []].append(name(obstacle.outer))
    }
    for reason in reasons {
      lines.append("does not vary over \(SolutionNames.few(outers[reason] ?? [], 3)): \(text(reason))")
    }
    return lines
  }

  /// Which indices of fixed factors share a list.
  private func alike(_ variation: Variation) -> String? {
    var parts: [String] = []
    var stride = variation.listOfTuple.count
    for outer in variation.outers {
      let extent = solution.extent(of: outer)
      stride /= max(1, extent)
      guard case .factor = outer else { continue }
      var members: [Int: [Int]] = [:]
      for index in 0..<extent { members[variation.listOfTuple[index * stride], default: []].append(index) }
      let shared = members.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
      for indices in shared {
        let list = indices.dropLast().map(String.init).joined(separator: ", ") + " and \(indices[indices.count - 1])"
        parts.append("\(list) of \(Wording.name(solution.name(of: outer))) meet, and keep the same")
      }
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private func name(_ outer: VariationObstacle.Outer) -> String {
    switch outer {
    case .group(let index): Wording.name(solution.groups[index].name)
    case .fixed(let extent): "the fixed \(extent) beside it"
    }
  }

  private func text(_ reason: VariationObstacle.Reason) -> String {
    switch reason {
    case .lacking(let value): "\(names.name(value)) is shared by all of them"
    case .ambiguous(let value): "\(names.name(value)) carries it more than once"
    case .meeting(let node): "indices of different ones meet in \(names.node(node))"
    case .positions(let value): "\(names.name(value)) holds positions along it"
    case .same: "all of them meet"
    case .varies: "that varies itself"
    }
  }

  /// `variesOver` and `doesNotVaryOver`, as members of an object.
  func members(_ group: Int) -> [(String, Json)] {
    let outers = (solution.variations[group]?.outers ?? []).map { outer in
      Json.object([("name", .text(solution.name(of: outer))), ("extent", .integer(solution.extent(of: outer)))])
    }
    let obstacles = solution.obstacles[group].map { obstacle in
      var members: [(String, Json)] = []
      switch obstacle.outer {
      case .group(let index): members.append(("name", .text(solution.groups[index].name)))
      case .fixed(let extent): members.append(("extent", .integer(extent)))
      }
      switch obstacle.reason {
      case .lacking(let value), .ambiguous(let value), .positions(let value):
        members.append(("tensor", .text(solution.module[value].name)))
      case .meeting(let node): members.append(("node", .text(solution.module.label(of: solution.module.nodes[node]))))
      case .same, .varies: break
      }
      return Json.object(members + [("reason", .text(text(obstacle.reason)))])
    }
    return [("variesOver", .array(outers)), ("doesNotVaryOver", .array(obstacles))]
  }
}
