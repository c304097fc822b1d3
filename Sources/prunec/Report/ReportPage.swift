import Formats
import Graph

/// A page: title, sections, footer. It needs no other file, no network and no script.
struct ReportPage {
  let title: String
  /// A line below the title.
  let subtitle: String
  /// The call that made it.
  let call: String
  var sections: [Markup] = []

  /// A section with a heading and a line or two that say what is seen.
  static func section(_ id: String, _ heading: String, _ explanation: String, _ content: [Markup]) -> Markup {
    .tag(
      "section", ["id": id],
      [.tag("h2", [:], heading)] + (explanation.isEmpty ? [] : [.tag("p", ["class": "soft"], explanation)]) + content)
  }

  /// The whole file.
  var text: String {
    let head = Markup.tag(
      "head", [:], .tag("meta", ["charset": "utf-8"]),
      .tag("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
      // Whatever a name in a model holds, the page loads nothing and runs nothing.
      .tag(
        "meta", ["http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"]),
      .tag("title", [:], title), .tag("style", [:], ReportStyle.sheet))
    let body = Markup.tag(
      "body", [:],
      .tag(
        "header", [:], .tag("h1", [:], title), .tag("p", ["class": "soft"], subtitle), .tag("code", ["class": "call"], call)),
      .tag("main", [:], sections), .tag("footer", [:], "prunec \(Command.version)"))
    return "<!DOCTYPE html>\n" + Markup.tag("html", ["lang": "en"], head, body).written
  }

  /// Writes the file, whole or not at all and never over an input.
  func write(to path: String, notOver inputs: [String]) throws(Diagnostic) {
    let bytes = Array(text.utf8)
    try AtomicFile.write(to: path, notOver: inputs) { try $0.write(bytes) }
  }

  /// The last part of a path.
  static func fileName(_ path: String) -> String {
    path.split(separator: "/").last.map { BlockDrawing.shortened(String($0), 80) } ?? path
  }

  /// The command line that is running, as a shell takes it.
  static var ownCall: String { (["prunec"] + CommandLine.arguments.dropFirst().map(quoted)).joined(separator: " ") }
}
