/// Text as graphviz wants it.
enum DotText {
  /// A string of the dot language; lines of it are centred.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _: result.unicodeScalars.append(printable(scalar))
      }
    }
    return result + "\""
  }

  /// Text inside an HTML-like label.
  static func html(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case _: result.unicodeScalars.append(printable(scalar))
      }
    }
    // An empty element is an error to graphviz.
    return result.isEmpty ? " " : result
  }

  /// Text in a small font inside an HTML-like label.
  static func small(_ text: String) -> String { "<FONT POINT-SIZE=\"8\">\(html(text))</FONT>" }

  /// At most `length` characters, the middle left out.
  static func shortened(_ text: String, _ length: Int) -> String {
    guard text.count > length else { return text }
    let head = (length - 1) / 2
    return "\(text.prefix(head))…\(text.suffix(length - 1 - head))"
  }

  /// Characters that XML does not allow become a mark.
  private static func printable(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    scalar.value < 32 || (0x7f...0x9f).contains(scalar.value) || scalar.value & 0xfffe == 0xfffe ? "\u{fffd}" : scalar
  }

  /// Background by family, so that the weighty operators stand out.
  static func fill(_ operation: Operator) -> String {
    switch operation {
    case .matrixProduct, .convolution, .recurrence, .attention: "#CFE3F7"
    case .normalisation: "#DDF0DA"
    case .reduction, .pooling: "#FBE3D0"
    case .indexing, .joining: "#E9DFF3"
    case .elementwise, .reshaping, .quantisation, .generation: "#FFFFFF"
    case .opaque: "#F4D6D6"
    }
  }
}
