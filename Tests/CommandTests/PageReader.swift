import Foundation

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// A page read as XML, which it has to be as well as HTML.
final class PageReader: NSObject, XMLParserDelegate {
  /// An element with its attributes.
  struct Element {
    let name: String
    let attributes: [String: String]
  }

  private(set) var elements: [Element] = []
  /// Texts by the element that they stand in.
  private(set) var texts: [(element: String, text: String)] = []
  /// What is wrong with the page; nil when it is well-formed.
  private(set) var fault: String?
  private var open: [String] = []

  init(_ bytes: [UInt8]) {
    super.init()
    let parser = XMLParser(data: Data(bytes))
    parser.delegate = self
    if !parser.parse() { fault = "line \(parser.lineNumber): \(parser.parserError?.localizedDescription ?? "unreadable")" }
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String] = [:]
  ) {
    elements.append(Element(name: name, attributes: attributes))
    open.append(name)
  }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    open.removeLast()
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) { texts.append((open.last ?? "", text)) }

  /// All text of one sort of element.
  func text(of element: String) -> String { texts.filter { $0.element == element }.map(\.text).joined() }

  /// Everything a reader sees.
  var text: String { texts.filter { $0.element != "style" }.map(\.text).joined() }

  func count(_ name: String) -> Int { elements.count { $0.name == name } }

  /// Values of an attribute.
  func values(_ attribute: String) -> [String] { elements.compactMap { $0.attributes[attribute] } }

  /// What makes a page depend on anything but itself, or do anything by itself.
  var foreign: [String] {
    var found = elements.map(\.name).filter {
      ["script", "link", "img", "image", "iframe", "object", "embed", "use", "a", "form", "base"].contains($0.lowercased())
    }
    for element in elements {
      for (name, value) in element.attributes where name != "xmlns" {
        let name = name.lowercased()
        if name.hasPrefix("on") || ["src", "href", "xlink:href", "srcset", "style", "action"].contains(name) {
          found.append("\(element.name) \(name)=\(value)")
        }
      }
    }
    let style = text(of: "style")
    found += ["url(", "@import", "http:", "https:", "//"].filter(style.contains)
    return found
  }
}
