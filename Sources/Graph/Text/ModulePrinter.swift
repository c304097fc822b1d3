/// The text form of a module: what `print`, tests and `.ir` files show. `ModuleParser` reads it back: everything a module holds but
/// where it came from (`Parameter.home`, `Parameter.copyOf`, `Node.position`).
public struct ModulePrinter {
  /// What is shown besides the graph.
  public struct Options: OptionSet, Sendable {
    /// One bit per option.
    public let rawValue: Int
    /// The options of the given bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// Names of nodes, as `@"name"` at the end of the line.
    public static let names = Options(rawValue: 1)
    /// No real numbers of parameters: they are stored beside the text.
    public static let withoutFloats = Options(rawValue: 2)
  }

  /// Whole numbers and truth values of parameters stand in the text up to this many.
  public static let wholeLimit = 64
  /// Real numbers of parameters stand in the text up to this many.
  public static let floatLimit = 8

  private let module: Module
  private let options: Options
  private let names: [String]
  private var types: [TensorType: String] = [:]
  private var text = ""

  /// The text of a module. Works for invalid modules too, so that they can be looked at.
  public static func print(_ module: Module, options: Options = []) -> String {
    var printer = ModulePrinter(module, options)
    printer.write()
    return printer.text
  }

  /// Whether the text holds the numbers of a parameter, given these options.
  public static func isInline(_ content: TensorContent, options: Options = []) -> Bool { inlineText(content, options) != nil }

  private init(_ module: Module, _ options: Options) {
    self.module = module
    self.options = options
    names = module.values.map { ModuleSpelling.value($0.name) }
  }

  private mutating func write() {
    text = "module \(ModuleSpelling.word(module.name)) {\n"
    for (domain, version) in module.opsets.sorted(by: { $0.key < $1.key }) {
      text += domain.isEmpty ? "  opset \(version)\n" : "  opset \(ModuleSpelling.quoted(domain)) \(version)\n"
    }
    for parameter in module.parameters {
      text += "  param \(name(parameter.value)) : \(type(parameter.value))"
      if let numbers = Self.inlineText(parameter.content, options) { text += " = " + numbers }
      text += "\n"
    }
    text += "  func (\(interface(module.inputs))) -> (\(interface(module.outputs))) {\n"
    for node in module.nodes { write(node) }
    text += "  }\n}\n"
  }

  private mutating func write(_ node: Node) {
    text += "    "
    for (at, output) in node.outputs.enumerated() {
      if at > 0 { text += ", " }
      text += output.map(name) ?? "_"
    }
    if !node.outputs.isEmpty { text += " = " }
    if case .opaque(let opaque) = node.operation {
      text += Self.spelling(opaque)
    } else {
      text += node.operation.textName
    }
    for (at, input) in node.inputs.enumerated() {
      text += at > 0 ? ", " : " "
      text += input.map(name) ?? "_"
    }
    for entry in node.attributes.entries { text += " \(entry.name.rawValue)=\(Self.spelling(entry.value))" }
    if case .opaque(let opaque) = node.operation, let source = opaque.source { text += " bytes=\"\(Base64.encode(source))\"" }
    if !node.captures.isEmpty { text += " captures=(\(node.captures.map(name).joined(separator: ", ")))" }
    if !node.outputs.isEmpty { text += " : " }
    for (at, output) in node.outputs.enumerated() {
      if at > 0 { text += ", " }
      text += output.map { type($0) } ?? "_"
    }
    if options.contains(.names) && !node.name.isEmpty { text += " @\(ModuleSpelling.quoted(node.name))" }
    text += "\n"
  }

  private mutating func interface(_ values: [ValueID]) -> String {
    values.map { "\(name($0)): \(type($0))" }.joined(separator: ", ")
  }

  private func name(_ id: ValueID) -> String {
    names.indices.contains(id.index) ? names[id.index] : "%\"<no value \(id.index)>\""
  }

  private mutating func type(_ id: ValueID) -> String {
    guard module.values.indices.contains(id.index) else { return "unknown[?]" }
    let type = module[id].type
    if let text = types[type] { return text }
    let text = ModuleSpelling.type(type)
    types[type] = text
    return text
  }

  private static func spelling(_ opaque: Opaque) -> String {
    // The first `::` separates, so a domain that has one itself stands in quotes of its own.
    let joined = "\(opaque.domain)::\(opaque.type)"
    return OpaqueSpelling.split(joined).map { $0.domain == opaque.domain } == true
      ? ModuleSpelling.quoted(joined) : "\(ModuleSpelling.quoted(opaque.domain))::\(ModuleSpelling.quoted(opaque.type))"
  }

  private static func spelling(_ value: AttributeValue) -> String {
    func list(_ kind: String, _ items: [String]) -> String {
      items.isEmpty && !kind.isEmpty ? "\(kind) []" : "[\(items.joined(separator: ", "))]"
    }
    switch value {
    case .int(let number): return "\(number)"
    case .float(let number): return ModuleSpelling.float(number)
    case .string(let text): return ModuleSpelling.quoted(text)
    case .ints(let numbers): return list("", numbers.map { "\($0)" })
    case .floats(let numbers): return list("floats", numbers.map(ModuleSpelling.float))
    case .strings(let texts): return list("strings", texts.map(ModuleSpelling.quoted))
    case .tensor(let type, let data):
      let few = type.elementCount.constant.map { $0 <= wholeLimit } == true
      let numbers = few ? type.staticShape.flatMap { NumberText.text(data, type.element, shape: $0) } : nil
      return "tensor \(ModuleSpelling.type(type)) \(numbers ?? raw(data))"
    case .raw(let bytes): return "raw\"\(Base64.encode(bytes))\""
    }
  }

  private static func raw(_ data: TensorData) -> String { data.withUnsafeBytes { "raw\"\(Base64.encode($0))\"" } }

  /// The numbers of a parameter, where they are few and the options allow; nil otherwise.
  private static func inlineText(_ content: TensorContent, _ options: Options) -> String? {
    let isFloat = content.element.isFloat
    guard !content.isMissing, !(isFloat && options.contains(.withoutFloats)), let count = NumberText.count(content.shape),
      count <= (isFloat ? floatLimit : wholeLimit)
    else { return nil }
    return NumberText.text(content.materialized(), content.element, shape: content.shape)
  }
}

/// How opaque operators are written in one text: `domain::Type`.
enum OpaqueSpelling {
  /// Domain and type, cut at the first `::`; nil without one.
  static func split(_ text: String) -> (domain: String, type: String)? {
    let bytes = Array(text.utf8)
    guard bytes.count > 1,
      let at = (0..<bytes.count - 1).first(where: { bytes[$0] == UInt8(ascii: ":") && bytes[$0 + 1] == bytes[$0] })
    else { return nil }
    return (String(decoding: bytes[..<at], as: UTF8.self), String(decoding: bytes[(at + 2)...], as: UTF8.self))
  }
}
