/// Reads the text form of a module, which `ModulePrinter` writes.
///
///     module NAME {
///       opset 20
///       opset "com.microsoft" 1
///       param %weight : f32[64, 3, 7, 7]
///       param %shape : i64[2] = [1, -1]
///       func (%x: f32[batch, 3, 224, 224]) -> (%y: f32[batch, 64, 112, 112]) {
///         %y = conv %x, %weight strides=[2, 2] pads=[3, 3, 3, 3] : f32[batch, 64, 112, 112]
///       }
///     }
///
/// `_` is an operand left out, or a result nobody asked for. Every value is made before it is used. `//` starts a comment. Operands and
/// attributes of a node start on the line of its operator, and may go on after a comma.
public struct ModuleParser {
  var lexer: ModuleLexer
  private let stored: [String: TensorContent]
  private(set) var module = Module(name: "", opsets: [:])
  private(set) var ids: [String: ValueID] = [:]
  /// Offsets of each value's name and type where it is made.
  private(set) var places: [(name: Int, type: Int)] = []

  /// The module of a text. Numbers of parameters that the text does not show are looked up by name in `parameters`; those found nowhere
  /// have no data (`TensorContent.isMissing`, `Module.parametersWithoutData`).
  ///
  /// The types on the lines of nodes must be those that follow from the inputs (`TypeInference`), unless `checkingTypes` is false.
  /// - Throws: an invalid text's first fault, with line and column.
  public static func parse(
    _ text: String, file: String? = nil, parameters: [String: TensorContent] = [:], checkingTypes: Bool = true
  ) throws(Diagnostic) -> Module {
    try parse(bytes: Array(text.utf8), file: file, parameters: parameters, checkingTypes: checkingTypes)
  }

  /// The module of a text given as bytes of UTF-8; any bytes may come.
  public static func parse(
    bytes: [UInt8], file: String? = nil, parameters: [String: TensorContent] = [:], checkingTypes: Bool = true
  ) throws(Diagnostic) -> Module {
    var parser = ModuleParser(lexer: ModuleLexer(bytes, file: file), stored: parameters)
    try parser.readModule()
    if checkingTypes { try parser.checkTypes() }
    return parser.module
  }

  private init(lexer: ModuleLexer, stored: [String: TensorContent]) {
    self.lexer = lexer
    self.stored = stored
  }

  // MARK: the module

  private mutating func readModule() throws(Diagnostic) {
    try expect(word: "module")
    module.name = try readText("the name of the module")
    try expect("{")
    while true {
      let head = try lexer.next()
      switch head.token {
      case .word("opset"): try readOpset()
      case .word("param"): try readParameter()
      case .word("func"):
        try readFunction()
        try expect("}")
        let end = try lexer.next()
        guard end.token == .end else { throw unexpected(end, "nothing more after the module") }
        if module.opsets.isEmpty { module.opsets = ["": 20] }
        return
      case .word(let word):
        let hint = Suggestion.text(for: word, among: ["opset", "param", "func"])
        throw lexer.failure("a module has opset, param, then func, not '\(word)'\(hint)", at: head.start)
      case .value, .number, .string, .arrow, .mark, .end: throw unexpected(head, "opset, param or func")
      }
    }
  }

  private mutating func readOpset() throws(Diagnostic) {
    var token = try lexer.next()
    var domain = ""
    let start = token.start
    if case .string(let text) = token.token {
      domain = text
      token = try lexer.next()
    }
    guard case .number(let text) = token.token, let version = Int(text), version > 0 else {
      throw unexpected(token, "the version of the operator set")
    }
    guard module.opsets.updateValue(version, forKey: domain) == nil else {
      throw lexer.failure("a second version of the same operator set", at: start)
    }
  }

  private mutating func readParameter() throws(Diagnostic) {
    let (name, start) = try readValueName("the name of the parameter")
    try expect(":")
    let (type, typeStart) = try readType()
    guard let shape = type.staticShape, let count = NumberText.count(shape), count < Int.max / 128 else {
      throw lexer.failure("a parameter's shape must be numbers, within reason", at: typeStart)
    }
    let content: TensorContent
    if try lexer.take("=") {
      content = TensorContent(try readNumbers(type.element, shape: shape), element: type.element, shape: shape)
    } else if let found = stored[name] {
      let foundType = TensorType(found.element, found.shape.map { Extent($0) })
      guard foundType == type else { throw lexer.failure("states \(type), but \(foundType) is stored", at: typeStart) }
      content = found
    } else {
      content = TensorContent(TensorData([UInt8]()), element: type.element, shape: shape)
    }
    module.parameters.append(Parameter(value: try define(name, type, at: (start, typeStart)), content: content))
  }

  private mutating func readFunction() throws(Diagnostic) {
    try expect("(")
    for (name, type, place) in try readInterface() { module.inputs.append(try define(name, type, at: place)) }
    let arrow = try lexer.next()
    guard arrow.token == .arrow else { throw unexpected(arrow, "'->' and the outputs") }
    try expect("(")
    let outputs = try readInterface()
    try expect("{")
    while try !lexer.take("}") { try readNode() }
    for (name, type, place) in outputs {
      guard let id = ids[name] else {
        throw lexer.failure(
          "the output \(ModuleSpelling.value(name)) is made nowhere\(Suggestion.text(for: name, among: ids.keys.sorted()))",
          at: place.name)
      }
      let made = module[id].type
      guard made == type else {
        throw lexer.failure(
          "the output \(ModuleSpelling.value(name)) states \(ModuleSpelling.type(type)), where it is made \(ModuleSpelling.type(made))",
          at: place.name)
      }
      module.outputs.append(id)
    }
  }

  private mutating func readInterface() throws(Diagnostic) -> [(name: String, type: TensorType, place: (name: Int, type: Int))] {
    var result: [(name: String, type: TensorType, place: (name: Int, type: Int))] = []
    if try lexer.take(")") { return result }
    while true {
      let (name, start) = try readValueName("a value")
      try expect(":")
      let (type, typeStart) = try readType()
      result.append((name, type, (start, typeStart)))
      if try lexer.take(",") { continue }
      try expect(")")
      return result
    }
  }

  // MARK: nodes

  private mutating func readNode() throws(Diagnostic) {
    let results = try readResults()
    let head = try lexer.next()
    var operation = try readOperator(head)
    let inputs = try readOperands()
    if let signature = operation.rules?.signature {
      let name = operation.textName
      try checkCount(inputs.count, signature.inputs, "\(name) takes", "operand", at: head.start)
      try checkCount(results.count, signature.outputs, "\(name) makes", "result", at: head.start)
    }
    let properties = try readProperties()
    if let source = properties.source {
      guard case .opaque(let opaque) = operation else {
        throw lexer.failure("only an opaque operator has bytes", at: head.start)
      }
      operation = .opaque(Opaque(domain: opaque.domain, type: opaque.type, source: source))
    }
    var types: [(type: TensorType, start: Int)?] = []
    if !results.isEmpty {
      try expect(":")
      types = try readTypes(of: results)
    }
    var nodeName = ""
    if try lexer.take("@") { nodeName = try readText("the name of the node") }
    var outputs: [ValueID?] = []
    for (result, type) in zip(results, types) {
      if let result, let type {
        outputs.append(try define(result.name, type.type, at: (result.start, type.start)))
      } else {
        outputs.append(nil)
      }
    }
    module.nodes.append(
      Node(
        operation, inputs: inputs, outputs: outputs, attributes: Attributes(properties.attributes), name: nodeName,
        position: module.nodes.count, captures: properties.captures))
  }

  private mutating func readResults() throws(Diagnostic) -> [(name: String, start: Int)?] {
    var results: [(name: String, start: Int)?] = []
    while true {
      let head = try lexer.peek()
      switch head.token {
      case .value(let name): results.append((name, head.start))
      case .word("_"): results.append(nil)
      case .word, .string:
        guard results.isEmpty else { throw unexpected(head, "a result, or '_' for none") }
        return []
      case .number, .arrow, .mark, .end: throw unexpected(head, "a node or '}'")
      }
      _ = try lexer.next()
      if try lexer.take(",") { continue }
      try expect("=")
      return results
    }
  }

  private mutating func readOperator(_ head: ModuleLexer.Located) throws(Diagnostic) -> Operator {
    switch head.token {
    case .word(let name):
      if let known = Operator(textName: name) { return known }
      let hint = Suggestion.text(for: name, among: Operator.all.map(\.textName))
      throw lexer.failure("there is no operator '\(name)'\(hint); unknown ones are written \"domain::Type\"", at: head.start)
    case .string(let text):
      if try lexer.take(":") {
        try expect(":")
        return .opaque(Opaque(domain: text, type: try readText("the type of the operator")))
      }
      guard let (domain, type) = OpaqueSpelling.split(text) else {
        throw lexer.failure("an operator in quotes is \"domain::Type\"", at: head.start)
      }
      return .opaque(Opaque(domain: domain, type: type))
    case .value, .number, .arrow, .mark, .end: throw unexpected(head, "an operator")
    }
  }

  private mutating func readOperands() throws(Diagnostic) -> [ValueID?] {
    var operands: [ValueID?] = []
    let first = try lexer.peek()
    switch first.token {
    case .value, .word("_"):
      if first.startsLine { return operands }
    case .word, .number, .string, .arrow, .mark, .end: return operands
    }
    while true {
      let operand = try lexer.next()
      switch operand.token {
      case .value(let name): operands.append(try resolve(name, at: operand.start))
      case .word("_"): operands.append(nil)
      case .word, .number, .string, .arrow, .mark, .end: throw unexpected(operand, "an operand, or '_' for none")
      }
      if try !lexer.take(",") { return operands }
    }
  }

  private func checkCount(_ count: Int, _ range: ClosedRange<Int>, _ verb: String, _ noun: String, at start: Int)
    throws(Diagnostic)
  {
    guard !range.contains(count) else { return }
    throw lexer.failure("\(verb) \(Signature.describe(range, noun)), here are \(count)", at: start)
  }

  private mutating func readTypes(of results: [(name: String, start: Int)?]) throws(Diagnostic) -> [(
    type: TensorType, start: Int
  )?] {
    var types: [(type: TensorType, start: Int)?] = []
    for (at, result) in results.enumerated() {
      if at > 0 { try expect(",") }
      if result == nil {
        try expect(word: "_")
        types.append(nil)
      } else {
        types.append(try readType())
      }
    }
    return types
  }

  private struct Properties {
    var attributes: [Attributes.Entry] = []
    var source: [UInt8]?
    var captures: [ValueID] = []
  }

  private mutating func readProperties() throws(Diagnostic) -> Properties {
    var properties = Properties()
    var seen: Set<String> = []
    while true {
      let head = try lexer.peek()
      guard case .word(let name) = head.token, !head.startsLine else { return properties }
      _ = try lexer.next()
      try expect("=")
      guard seen.insert(name).inserted else { throw lexer.failure("'\(name)' is given twice", at: head.start) }
      if name == "bytes" {
        properties.source = try readBase64()
      } else if name == "captures" {
        try expect("(")
        repeat {
          let (value, start) = try readValueName("a value that is read")
          properties.captures.append(try resolve(value, at: start))
        } while try lexer.take(",")
        try expect(")")
      } else if let known = AttributeName(rawValue: name) {
        properties.attributes.append(Attributes.Entry(known, try readAttributeValue()))
      } else {
        let hint = Suggestion.text(for: name, among: AttributeName.allCases.map(\.rawValue))
        throw lexer.failure("there is no attribute '\(name)'\(hint)", at: head.start)
      }
    }
  }

  // MARK: values

  private mutating func define(_ name: String, _ type: TensorType, at place: (name: Int, type: Int)) throws(Diagnostic) -> ValueID
  {
    guard !name.isEmpty else { throw lexer.failure("a value must have a name", at: place.name) }
    if let earlier = ids[name] {
      let first = lexer.failure("", at: places[earlier.index].name).place
      throw lexer.failure("\(ModuleSpelling.value(name)) is made a second time, first at \(first)", at: place.name)
    }
    let id = module.add(Value(name: name, type: type))
    ids[name] = id
    places.append(place)
    return id
  }

  private func resolve(_ name: String, at start: Int) throws(Diagnostic) -> ValueID {
    if let id = ids[name] { return id }
    let hint = Suggestion.text(for: name, among: ids.keys.sorted())
    throw lexer.failure("\(ModuleSpelling.value(name)) is not made above this line\(hint)", at: start)
  }
}

extension Module {
  /// Parameters whose numbers are not known: those of a text that was read without its weights.
  public var parametersWithoutData: [ValueID] { parameters.filter(\.content.isMissing).map(\.value) }
}

extension Signature {
  /// `2 operands`, `2 to 3 operands`, `at least 1 operand`.
  static func describe(_ range: ClosedRange<Int>, _ noun: String) -> String {
    func plural(_ count: Int) -> String { count == 1 ? noun : noun + "s" }
    if range.lowerBound == range.upperBound { return "\(range.lowerBound) \(plural(range.lowerBound))" }
    if range.upperBound == many { return "at least \(range.lowerBound) \(plural(range.lowerBound))" }
    return "\(range.lowerBound) to \(range.upperBound) \(plural(range.upperBound))"
  }
}
