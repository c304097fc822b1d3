import Foundation
import Graph

/// The plan as a JSON file that anyone's tool can read or write (format `prunec-plan-1`; `prunec-plan-2` where blocks are dropped, so that a
/// reader which does not know them refuses).
///
/// `blocks` lists the residual blocks that are dropped first; `groups` every group of what is left that loses indices; `tensors` every
/// parameter, constant and intermediate value that carries such a group, one layout per axis. Reading uses `blocks` and `groups` alone.
///
/// A group that varies names what it varies `over`, all listed before it, and has one list of kept indices for each index of that:
///
///     { "name": "qkv.parts", "extent": 3, "kept": [0, 1, 2] },
///     { "name": "qkv.heads", "extent": 4, "kept": [0, 2] },
///     { "name": "qkv.head-dims", "extent": 16, "over": ["qkv.parts", "qkv.heads"], "kept": [[[0, 5], …], …] }
public struct PlanFile: Sendable {
  /// A group as the file has it.
  public struct Entry: Sendable, Codable {
    /// Its name.
    public let name: String
    /// How many indices it has; optional when reading.
    public let extent: Int?
    /// What the group varies over, each listed before it; nil or empty where it keeps the same indices everywhere.
    public let over: [String]?
    /// Kept indices, ascending; of a group that varies, a list for each index of the first of `over`, of such lists for the second, and so on.
    public let kept: KeptLists
  }

  /// Kept indices, or lists of them for each index of an outer group.
  public enum KeptLists: Sendable, Codable, Equatable {
    /// Indices.
    case indices([Int])
    /// One entry for each index of the outer group.
    case lists([KeptLists])

    /// A list of numbers, or of such lists.
    public init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let indices = try? container.decode([Int].self) {
        self = .indices(indices)
      } else {
        self = .lists(try container.decode([KeptLists].self))
      }
    }

    /// The lists as they are nested.
    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .indices(let indices): try container.encode(indices)
      case .lists(let lists): try container.encode(lists)
      }
    }
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
    let groups = PlanEntries(solution: solution, plan: plan).texts()
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
      let axes = solution.axes[index].indices.map { json.text(id, axis: $0) }
      tensors.append("    \(JSONText.string(value.name)): [\(axes.joined(separator: ", "))]")
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
