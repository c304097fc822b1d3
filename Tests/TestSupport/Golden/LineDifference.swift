/// How two texts differ, by lines.
enum LineDifference {
  /// Lines that differ, marked `-` and `+`, with two equal lines around them; `…` where equal lines are left out.
  static func text(from old: String, to new: String) -> String {
    let (old, new) = (lines(old), lines(new))
    let changes = new.difference(from: old)
    var removed: Set<Int> = []
    var inserted: [Int: String] = [:]
    for change in changes {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, let element, _): inserted[offset] = element
      }
    }
    var marked: [(mark: String, line: String)] = []
    var next = 0
    for (index, line) in old.enumerated() {
      if removed.contains(index) {
        marked.append(("-", line))
        continue
      }
      while let line = inserted[next] {
        marked.append(("+", line))
        next += 1
      }
      marked.append((" ", line))
      next += 1
    }
    while let line = inserted[next] {
      marked.append(("+", line))
      next += 1
    }
    return shortened(marked).joined(separator: "\n")
  }

  private static func lines(_ text: String) -> [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private static func shortened(_ marked: [(mark: String, line: String)]) -> [String] {
    var result: [String] = []
    for (index, entry) in marked.enumerated() {
      let near = marked[max(0, index - 2)...min(marked.count - 1, index + 2)]
      if near.contains(where: { $0.mark != " " }) {
        result.append("\(entry.mark) \(entry.line)")
      } else if result.last != "…" {
        result.append("…")
      }
    }
    return result
  }
}
