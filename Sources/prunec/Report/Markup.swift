import Foundation

/// A piece of a page, as a value: elements, their attributes and text. What it is written as is HTML and well-formed XML at once; text and
/// attributes are escaped there and nowhere else.
indirect enum Markup {
  case element(String, [Attribute], [Markup])
  case text(String)
  /// Pieces after one another.
  case many([Markup])

  /// An attribute and its value.
  struct Attribute {
    let name: String
    let value: String
  }

  /// Nothing.
  static let nothing = Markup.many([])

  /// An element by its name, with attributes and what is inside.
  static func tag(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ children: Markup...) -> Markup {
    .element(name, attributes.map { Attribute(name: $0.key, value: $0.value) }, children)
  }

  /// An element with a list of children.
  static func tag(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ children: [Markup]) -> Markup {
    .element(name, attributes.map { Attribute(name: $0.key, value: $0.value) }, children)
  }

  /// An element with text inside.
  static func tag(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ text: String) -> Markup {
    tag(name, attributes, .text(text))
  }

  /// A dotted name, which may be broken after its dots.
  static func name(_ name: String) -> Markup {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    return .many(parts.enumerated().map { at, part in at == 0 ? .text(part) : .many([.text("."), .tag("wbr"), .text(part)]) })
  }

  /// The text of a page.
  var written: String {
    var text = ""
    write(to: &text)
    return text
  }

  /// Elements that HTML writes without an end.
  private static let isEmpty: Set<String> = ["meta", "br", "hr", "col", "wbr"]
  /// Elements after which a new line does no harm.
  private static let isBlock: Set<String> = [
    "html", "head", "body", "section", "div", "p", "table", "tr", "h1", "h2", "h3", "figure", "svg", "title", "style", "meta",
    "li",
    "details", "main", "header", "footer", "nav",
  ]

  private func write(to text: inout String) {
    switch self {
    case .text(let content): text += Self.escaped(content)
    case .many(let pieces): for piece in pieces { piece.write(to: &text) }
    case .element(let name, let attributes, let children):
      text += "<\(name)"
      for attribute in attributes { text += " \(attribute.name)=\"\(Self.escaped(attribute.value))\"" }
      if children.isEmpty, Self.isEmpty.contains(name) {
        text += "/>"
      } else {
        text += ">"
        for child in children { child.write(to: &text) }
        text += "</\(name)>"
      }
      if Self.isBlock.contains(name) { text += "\n" }
    }
  }

  /// Text without anything that a parser would take for markup; characters that cannot stand in XML, that move a cursor or that turn the
  /// direction of writing become visible.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n": result += "\n"
      case _ where isHidden(scalar.value): result += "\\u{\(String(scalar.value, radix: 16))}"
      case _: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func isHidden(_ code: UInt32) -> Bool {
    code < 0x20 || (0x7F...0x9F).contains(code) || (0x200B...0x200F).contains(code) || (0x2028...0x202E).contains(code)
      || (0x2060...0x206F).contains(code) || code == 0xFEFF || code & 0xFFFE == 0xFFFE
  }
}

/// Shapes of drawings, in pixels.
enum Shape {
  /// A number with at most one digit behind the point.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let rounded = (value * 10).rounded() / 10
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  /// A drawing of a size, with a description for those who cannot see it.
  static func drawing(_ width: Double, _ height: Double, label: String, style: String = "", _ children: [Markup]) -> Markup {
    .tag(
      "svg",
      [
        "xmlns": "http://www.w3.org/2000/svg", "class": style, "viewBox": "0 0 \(number(width)) \(number(height))",
        "width": number(width), "height": number(height), "role": "img", "aria-label": label,
      ], children)
  }

  /// A rectangle; `title` shows when the pointer rests on it.
  static func rectangle(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, radius: Double = 0, title: String? = nil
  ) -> Markup {
    .tag(
      "rect",
      [
        "x": number(x), "y": number(y), "width": number(max(0, width)), "height": number(max(0, height)), "rx": number(radius),
        "class": style,
      ], title.map { [Markup.tag("title", [:], $0)] } ?? [])
  }

  /// A straight line.
  static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> Markup {
    .tag("line", ["x1": number(x1), "y1": number(y1), "x2": number(x2), "y2": number(y2), "class": style])
  }

  /// A line through points, or an area within them.
  static func path(_ steps: String, _ style: String) -> Markup { .tag("path", ["d": steps, "class": style]) }

  /// The steps of a line through points.
  static func through(_ points: [(x: Double, y: Double)]) -> String {
    points.enumerated().map { "\($0 == 0 ? "M" : "L")\(number($1.x)) \(number($1.y))" }.joined()
  }

  /// Text at a point; `anchor` is start, middle or end.
  static func text(_ x: Double, _ y: Double, _ text: String, _ style: String, anchor: String = "start") -> Markup {
    .tag("text", ["x": number(x), "y": number(y), "class": style, "text-anchor": anchor], text)
  }
}
