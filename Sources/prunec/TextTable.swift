/// Columns of text, aligned.
struct TextTable {
  /// Which side of its column a cell stands at.
  enum Alignment {
    case left, right
  }

  private let alignments: [Alignment]
  private var rows: [[String]] = []
  /// Blanks before each line.
  var indent = ""

  /// A table with columns of the given alignments.
  init(_ alignments: [Alignment]) { self.alignments = alignments }

  /// Adds a line; cells that are missing are empty.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The lines, without blanks at their ends. Widths count characters.
  var lines: [String] {
    let widths = alignments.indices.map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = indent
      for (column, alignment) in alignments.enumerated() {
        let cell = column < row.count ? row[column] : ""
        let blanks = String(repeating: " ", count: widths[column] - cell.count)
        line += (column == 0 ? "" : "  ") + (alignment == .left ? cell + blanks : blanks + cell)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

/// Text broken into lines at blanks, no line longer than `width` unless a word is.
func wrapped(_ text: String, width: Int) -> [String] {
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if !line.isEmpty, line.count + 1 + word.count > width {
      lines.append(line)
      line = ""
    }
    line += (line.isEmpty ? "" : " ") + word
  }
  if !line.isEmpty { lines.append(line) }
  return lines
}
