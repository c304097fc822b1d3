import Foundation
import Graph

/// The plan as a JSON file that anyone's tool can read or write (format `prunec-plan-1`; `prunec-plan-2` where blocks are dropped, so that a
/// reader which does not know them refuses).
///
/// `blocks` lists the residual blocks that are dropped first; `groups` every group of what is left that loses indices; `tensors` every
/// parameter, constant and intermediate value that carries such a group, one layout per axis. Reading uses `blocks` and `groups` alone.
public struct PlanFile: Sendable {
  /// A group as the file has it.
  public struct Entry: Sendable, Codable {
    /// Its name.
    public let name: String
    /// How many indices it has; optional when reading.
    public let extent: Int?
    /// Kept indices, ascending.
    public let kept: [Int]
  }

  /// A block that is dropped: its sum becomes the stream.
  public struct DroppedBlock: Sendable, Codable {
    /// Name of the value that the sum makes.
    public let sum: String
    /// Name of x in `x + f(x)`; checked where it is given.
    public let stream: String?
    /// Parameters that vanish with f; for people, and for tools that cut weights by themselves.
    public let parameters: [String]?
  }

  private struct Contents: Codable {
    struct Model: Codable {
      let file: String?
      let sha256: String?
    }
    let format: String
    let model: Model?
    let blocks: [DroppedBlock]?
    let groups: [Entry]
  }

  /// SHA-256 of the model the plan was made for, in hexadecimal; nil when the file does not say.
  public let digest: String?
  /// Blocks that are dropped before groups are found.
  public let blocks: [DroppedBlock]
  /// Groups in the order of the file.
  public let groups: [Entry]

  /// Reads a plan's bytes; throws with what is wrong where.
  public init(reading bytes: Data) throws(Diagnostic) {
    let contents: Contents
    do {
      contents = try JSONDecoder().decode(Contents.self, from: bytes)
    } catch let error as DecodingError {
      throw Diagnostic(.invalid, "is not a plan: \(Self.describe(error))")
    } catch {
      throw Diagnostic(.invalid, "is not a plan: it is no JSON")
    }
    guard ["prunec-plan-1", "prunec-plan-2"].contains(contents.format) else {
      throw Diagnostic(.invalid, "has the format '\(contents.format)'; prunec reads 'prunec-plan-1' and 'prunec-plan-2'")
    }
    blocks = contents.blocks ?? []
    if !blocks.isEmpty, contents.format == "prunec-plan-1" {
      throw Diagnostic(.invalid, "drops blocks, which the format 'prunec-plan-1' does not have; call it 'prunec-plan-2'")
    }
    digest = contents.model?.sha256
    groups = contents.groups
  }

  private static func describe(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context) -> String {
      let text = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
      return text.isEmpty ? "the top level" : text
    }
    switch error {
    case .keyNotFound(let key, let context): return "'\(key.stringValue)' is missing at \(path(context))"
    case .typeMismatch(_, let context): return "a value of another type is expected at \(path(context))"
    case .valueNotFound(_, let context): return "a value is missing at \(path(context))"
    case .dataCorrupted(let context):
      return context.codingPath.isEmpty ? "it is no JSON" : "a value at \(path(context)) cannot be read"
    @unknown default: return "it cannot be read"
    }
  }

  /// The plan over a solution's groups; throws where a group is unknown, of another extent, or keeps what it does not have.
  public func plan(for solution: Solution) throws(Diagnostic) -> Plan {
    let index = Dictionary(solution.groups.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    for entry in groups {
      guard let at = index[entry.name] else {
        let near = Suggestion.nearest(to: entry.name, among: solution.groups.map(\.name)).map { "; did you mean '\($0)'?" } ?? ""
        throw Diagnostic(.invalid, "group '\(entry.name)' is not in this model\(near)")
      }
      let group = solution.groups[at]
      if let extent = entry.extent, extent != group.extent {
        throw Diagnostic(.invalid, "group '\(entry.name)' has \(group.extent) indices in this model, the plan says \(extent)")
      }
      if entry.kept.isEmpty { throw Diagnostic(.invalid, "group '\(entry.name)' keeps nothing; at least one index must stay") }
      if let wrong = entry.kept.first(where: { !(0..<group.extent).contains($0) }) {
        throw Diagnostic(.invalid, "group '\(entry.name)' keeps index \(wrong), but has indices 0 to \(group.extent - 1)")
      }
      if zip(entry.kept, entry.kept.dropFirst()).contains(where: { $0 >= $1 }) {
        throw Diagnostic(.invalid, "group '\(entry.name)' keeps indices that are not in ascending order, each once")
      }
      if entry.kept.count < group.least {
        throw Diagnostic(
          .invalid, "group '\(entry.name)' keeps \(entry.kept.count) indices, but a top-k over it needs at least \(group.least)")
      }
      plan.kept[at] = entry.kept.count < group.extent ? entry.kept : nil
    }
    return plan
  }

  /// The file's text for a plan over a solution. `survivors` are the names of the smaller model's parameters: a copy of a shared constant
  /// is listed when it is one of them. `dropped` are blocks that were dropped before the solution was found.
  public static func text(
    plan: Plan, solution: Solution, survivors: Set<String>, dropped: [DroppedBlock] = [], file: String, digest: String
  ) -> String {
    let blocks = dropped.map { block in
      let parameters = (block.parameters ?? []).map(JSONText.string).joined(separator: ", ")
      return
        "    { \"sum\": \(JSONText.string(block.sum)), \"stream\": \(JSONText.string(block.stream ?? "")), \"parameters\": [\(parameters)] }"
    }
    let blockText = blocks.isEmpty ? "" : "\n  \"blocks\": [\n\(blocks.joined(separator: ",\n"))\n  ],"
    let json = PlanLayouts(solution: solution, plan: plan)
    let groups = plan.prunedGroups.map { index in
      let group = solution.groups[index]
      let kept = (plan.kept[index] ?? []).map(String.init).joined(separator: ", ")
      return
        "    { \"name\": \(JSONText.string(group.name)), \"kind\": \"\(group.kind.rawValue)\", \"extent\": \(group.extent), \"kept\": [\(kept)] }"
    }
    let copies = Dictionary(
      solution.module.parameters.compactMap { parameter in parameter.copyOf.map { (parameter.value, $0) } },
      uniquingKeysWith: { first, _ in first })
    // Short lists of whole numbers may hold positions, which are renumbered: no layout says what becomes of them.
    let shapeNumbers = Set(
      solution.module.parameters.filter {
        !$0.content.element.isData && $0.content.shape.count <= 1 && $0.content.elementCount <= 64
      }.map(\.value))
    var tensors: [String] = []
    for (index, value) in solution.module.values.enumerated() {
      let id = ValueID(index)
      if shapeNumbers.contains(id) { continue }
      let isSurvivingCopy = copies[id] != nil && survivors.contains(value.name)
      if copies[id] != nil && !isSurvivingCopy || solution.module.clones[id] != nil { continue }
      guard isSurvivingCopy || json.isPruned(id) else { continue }
      tensors.append("    \(JSONText.string(value.name)): [\(solution.axes[index].map(json.text).joined(separator: ", "))]")
    }
    return """
      { "format": "\(blocks.isEmpty ? "prunec-plan-1" : "prunec-plan-2")",
        "model": { "file": \(JSONText.string(file)), "sha256": "\(digest)" },\(blockText)
        "groups": [
      \(groups.joined(separator: ",\n"))
        ],
        "tensors": {
      \(tensors.joined(separator: ",\n"))
        } }

      """
  }
}

/// Layouts in the plan's JSON form; groups outside the plan appear as numbers.
public struct PlanLayouts {
  private let solution: Solution
  private let named: Set<Int>

  /// Layouts that name the groups which lose indices.
  public init(solution: Solution, plan: Plan) {
    self.solution = solution
    named = Set(plan.prunedGroups)
  }

  /// Layouts that name every group.
  public init(solution: Solution) {
    self.solution = solution
    named = Set(solution.groups.indices)
  }

  private enum Term {
    case number(Int)
    case unknown
    case other(String)

    var text: String {
      switch self {
      case .number(let number): "\(number)"
      case .unknown: "\"*\""
      case .other(let text): text
      }
    }
  }

  /// True when the value carries a group that is named.
  func isPruned(_ value: ValueID) -> Bool {
    solution.axes[value.index].contains { layout in solution.groups(in: layout).contains(where: named.contains) }
  }

  /// One axis: a number, `"*"`, a group's name, `{"product": […]}` or `{"sum": […]}`.
  public func text(_ layout: Layout) -> String { term(layout).text }

  private func term(_ layout: Layout) -> Term {
    switch solution.table.form(layout) {
    case .fixed: return plain(layout)
    case .group(let leaf):
      guard let index = solution.index(of: leaf), named.contains(index) else { return plain(layout) }
      return .other(JSONText.string(solution.groups[index].name))
    case .product(let factors): return combined(layout, factors, "product") { $0 &* $1 }
    case .sum(let parts): return combined(layout, parts, "sum") { $0 &+ $1 }
    }
  }

  private func plain(_ layout: Layout) -> Term { solution.table.extent(layout).constant.map(Term.number) ?? .unknown }

  private func combined(_ layout: Layout, _ children: [Layout], _ key: String, _ merge: (Int, Int) -> Int) -> Term {
    var terms: [Term] = []
    for child in children.map(term) {
      switch (terms.last, child) {
      case (.number(let a), .number(let b)): terms[terms.count - 1] = .number(merge(a, b))
      case (.unknown, .unknown): break
      case (.unknown, .number), (.number, .unknown):
        terms[terms.count - 1] = .unknown
      case (_, .other), (.other, _), (nil, _): terms.append(child)
      }
    }
    if terms.count == 1 { return terms[0] }
    return .other("{\"\(key)\": [\(terms.map(\.text).joined(separator: ", "))]}")
  }
}

/// Text as JSON.
public enum JSONText {
  /// A quoted JSON string.
  public static func string(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case let scalar where scalar.value < 0x20:
        result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      case let scalar: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
