import Graph
import Passes

/// What `--remove-zeros` removed, by name, and what it left.
struct ZerosReport {
  private let zeros: ZeroRemoval

  init(_ zeros: ZeroRemoval) { self.zeros = zeros }

  /// The report's lines.
  var lines: [String] {
    var lines: [String] = []
    if !zeros.removed.isEmpty {
      lines.append("Removed, because they add nothing to the outputs:")
      for group in zeros.removed {
        let fold =
          group.folded.isEmpty
          ? ""
          : group.folded == group.indices
            ? "; their constants moved into the next bias"
            : "; the constants of \(IndexList.text(group.folded)) moved into the next bias"
        lines += wrapped(
          "\(Wording.name(group.group)): \(group.kind.nouns) \(IndexList.text(group.indices)) (\(Wording.count(group.indices.count)) of \(Wording.count(group.extent)))\(fold)",
          width: 108
        ).enumerated().map { ($0.offset == 0 ? "  " : "    ") + $0.element }
      }
      if !zeros.biases.isEmpty { lines.append("  Biases changed: \(SolutionNames.few(zeros.biases.map(Wording.name), 6))") }
    }
    if !zeros.kept.isEmpty {
      if !lines.isEmpty { lines.append("") }
      lines.append("Empty in some weight, and kept all the same, or the outputs would change:")
      for kept in zeros.kept.prefix(12) {
        lines += wrapped(
          "\(Wording.name(kept.group)): \(IndexList.text(kept.indices)), for \(Wording.name(kept.reason.description))", width: 108
        ).enumerated().map { ($0.offset == 0 ? "  " : "    ") + $0.element }
      }
      if zeros.kept.count > 12 { lines.append("  and \(Wording.count(zeros.kept.count - 12)) more (--json lists all)") }
    }
    return lines
  }

  /// The report as JSON.
  var json: Json {
    .object([
      (
        "removed",
        .array(
          zeros.removed.map {
            .object([
              ("group", .text($0.group)), ("kind", .text($0.kind.rawValue)), ("extent", .integer($0.extent)),
              ("indices", .array($0.indices.map(Json.integer))), ("folded", .array($0.folded.map(Json.integer))),
            ])
          })
      ),
      (
        "kept",
        .array(
          zeros.kept.map {
            .object([
              ("group", .text($0.group)), ("indices", .array($0.indices.map(Json.integer))),
              ("reason", .text($0.reason.description)),
            ])
          })
      ), ("biases", .array(zeros.biases.map(Json.text))),
    ])
  }
}
