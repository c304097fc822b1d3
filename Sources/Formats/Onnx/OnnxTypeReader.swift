import Graph

extension OnnxReader {
  /// Reads a ValueInfoProto. What is no tensor, or states no type, is unranked.
  mutating func valueInfo(_ range: Range<Int>) throws(Diagnostic) -> NamedValue {
    var name = ""
    var type: Range<Int>?
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.text(bytes)
      case 2: type = try field.message()
      default: break
      }
    }
    guard let type else { return NamedValue(name: name, type: .unranked(.unknown)) }
    return NamedValue(name: name, type: try valueType(type, of: name))
  }

  private mutating func valueType(_ range: Range<Int>, of name: String) throws(Diagnostic) -> TensorType {
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      if field.number == 1 { return try tensorType(try field.message(), of: name) }
    }
    return .unranked(.unknown)
  }

  private mutating func tensorType(_ range: Range<Int>, of name: String) throws(Diagnostic) -> TensorType {
    var code = 0
    var extents: [Extent]?
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1: code = try field.int()
      case 2: extents = try shape(try field.message(), of: name)
      default: break
      }
    }
    let element = ElementType(onnxCode: code) ?? .unknown
    guard element != .unknown || code == 0 else {
      throw Diagnostic(.invalid, "its data type \(code) is not one that ONNX defines", at: .tensor(name))
    }
    return extents.map { TensorType(element, $0) } ?? .unranked(element)
  }

  private mutating func shape(_ range: Range<Int>, of name: String) throws(Diagnostic) -> [Extent] {
    var extents: [Extent] = []
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      extents.append(try extent(try field.message(), axis: extents.count, of: name))
    }
    return extents
  }

  private mutating func extent(_ range: Range<Int>, axis: Int, of name: String) throws(Diagnostic) -> Extent {
    var extent: Extent?
    var reader = WireReader(bytes, range)
    while let field = try reader.next() {
      switch field.number {
      case 1:
        // Some exporters write -1 for an axis of any length, as ONNX Runtime reads every negative number.
        let number = try field.int()
        extent = number >= 0 ? Extent(number) : nil
      case 2:
        let text = try field.text(bytes)
        if !text.isEmpty { extent = symbolicExtent(text) }
      default: break
      }
    }
    return extent ?? .symbol("?\(name).\(axis)")
  }

  /// The extent of a name; most names come many times.
  private mutating func symbolicExtent(_ text: String) -> Extent {
    if let known = extents[text] { return known }
    let extent = OnnxReader.extent(symbolic: text)
    extents[text] = extent
    return extent
  }

  /// What an exporter wrote for a dimension. Absurdly long sums are symbols of their own, so that no product of them explodes.
  static func extent(symbolic text: String) -> Extent {
    let terms = text.utf8.reduce(1) { $0 + ($1 == UInt8(ascii: "+") || $1 == UInt8(ascii: "-") ? 1 : 0) }
    guard text.utf8.count <= 256, terms <= 8 else { return .symbol(text) }
    return Extent(parsing: text) ?? .symbol(text)
  }
}
