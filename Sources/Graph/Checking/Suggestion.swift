/// "Did you mean": the nearest of some names.
public enum Suggestion {
  /// ` (did you mean X?)`, or nothing when no candidate is near enough to be a slip of the hand.
  public static func text(for name: String, among candidates: some Sequence<String>) -> String {
    nearest(to: name, among: candidates).map { " (did you mean \($0)?)" } ?? ""
  }

  /// The candidate that takes the fewest edits, at most a third of the name's length; the first of equals. Nil when none is near,
  /// or when the name is so long that nobody typed it.
  public static func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().utf8)
    guard (2...80).contains(wanted.count) else { return nil }
    var best: (name: String, edits: Int)?
    for candidate in candidates {
      let limit = min(best.map { $0.edits - 1 } ?? Int.max, max(1, wanted.count / 3))
      let letters = Array(candidate.lowercased().utf8)
      guard limit >= 0, Swift.abs(letters.count - wanted.count) <= limit else { continue }
      if let edits = distance(wanted, letters, limit: limit) { best = (candidate, edits) }
      if best?.edits == 0 { break }
    }
    return best?.name
  }

  /// Edits (insertions, deletions, replacements, swaps of neighbours) between two texts; nil when above the limit.
  private static func distance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int? {
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var edits = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] { edits = min(edits, before[j - 1] + 1) }
        row.append(edits)
      }
      if (row.min() ?? 0) > limit { return nil }
      before = last
      last = row
    }
    return last[b.count] <= limit ? last[b.count] : nil
  }
}
