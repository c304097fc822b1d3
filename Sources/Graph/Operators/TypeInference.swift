/// What type inference found of a module.
public struct InferredModule: Sendable {
  /// Type of every value, indexed as `Module.values`.
  public let types: [TensorType]
  /// What is known of every value's numbers, where it is anything; parameters of at most `KnownValue.limit` whole numbers, or few reals,
  /// included.
  public let numbers: [KnownValue?]

  /// What was found, by value.
  public init(types: [TensorType], numbers: [KnownValue?]) {
    self.types = types
    self.numbers = numbers
  }
}

/// Infers the types of all values of a module, and their numbers where they are shape arithmetic, from its inputs and parameters alone.
///
/// Results of opaque operators, and of operators that read a value of unknown rank, have the types that are declared for them, or none.
/// Elsewhere a declared extent counts only where the inferred one depends on data, since the rest follows from the graph.
public struct TypeInference {
  /// Infers types and numbers. Types of inputs are those in `module.values`. `declared` holds what the file, or an earlier run, states of
  /// values that nodes make.
  ///
  /// Throws the first node whose operands do not fit its operator, and the first output that is declared to be something else.
  public static func run(_ module: Module, declared: [ValueID: TensorType] = [:]) throws(Diagnostic) -> InferredModule {
    var run = TypeInference(module, declared)
    for node in module.nodes { try run.infer(node) }
    try run.checkOutputs()
    return InferredModule(types: run.types.map { $0 ?? .unranked(.unknown) }, numbers: run.numbers)
  }

  private let module: Module
  private let declared: [TensorType?]
  private let opset: Int
  private let microsoftOpset: Int
  private var types: [TensorType?]
  private var numbers: [KnownValue?]
  /// Index into `module.parameters`, by value.
  private var parameterOf: [Int?]
  private var isDecoded: [Bool]

  /// Real parameters of more numbers than this are decoded only where all that meets them is known.
  private static let eagerReals = 64

  private init(_ module: Module, _ declared: [ValueID: TensorType]) {
    self.module = module
    let count = module.values.count
    var stated = [TensorType?](repeating: nil, count: count)
    for (value, type) in declared where stated.indices.contains(value.index) { stated[value.index] = type }
    self.declared = stated
    opset = module.opset
    microsoftOpset = module.opsets["com.microsoft"] ?? 1
    types = Array(repeating: nil, count: count)
    numbers = Array(repeating: nil, count: count)
    parameterOf = Array(repeating: nil, count: count)
    isDecoded = Array(repeating: false, count: module.parameters.count)
    for input in module.inputs where types.indices.contains(input.index) { types[input.index] = module[input].type }
    for (index, parameter) in module.parameters.enumerated() where types.indices.contains(parameter.value.index) {
      let content = parameter.content
      types[parameter.value.index] = TensorType(content.element, content.shape.map { Extent($0) })
      parameterOf[parameter.value.index] = index
      if !content.element.isFloat || content.elementCount <= Self.eagerReals { decode(index) }
    }
  }

  private mutating func decode(_ parameter: Int) {
    guard !isDecoded[parameter] else { return }
    isDecoded[parameter] = true
    numbers[module.parameters[parameter].value.index] = KnownValue(module.parameters[parameter].content)
  }

  // MARK: - Nodes

  private mutating func infer(_ node: Node) throws(Diagnostic) {
    var inputTypes: [TensorType?] = []
    inputTypes.reserveCapacity(node.inputs.count)
    var isRanked = true
    var hasKnown = true
    for input in node.inputs {
      guard let input else {
        inputTypes.append(nil)
        continue
      }
      guard types.indices.contains(input.index), let type = types[input.index] else { throw undefined(input, node) }
      if !type.isRanked { isRanked = false }
      if numbers[input.index] == nil, parameterOf[input.index] == nil { hasKnown = false }
      inputTypes.append(type)
    }
    for capture in node.captures where !types.indices.contains(capture.index) || types[capture.index] == nil {
      throw undefined(capture, node)
    }
    guard isRanked, let rules = node.operation.rules else { return leaveOpen(node) }
    if hasKnown, Self.folds(node.operation) {
      for case let input? in node.inputs { if let parameter = parameterOf[input.index] { decode(parameter) } }
    }
    let contents = node.inputs.map { input in input.flatMap { parameterOf[$0.index] }.map { module.parameters[$0].content } }
    let known = node.inputs.map { $0.flatMap { numbers[$0.index] } }
    var context = InferenceContext(
      node: node, opset: Self.isMicrosoft(rules) ? microsoftOpset : opset, label: label(node), inputTypes: inputTypes,
      inputNumbers: known, contents: contents)
    do throws(Diagnostic) {
      try rules.infer(&context)
    } catch {
      throw Diagnostic(error.kind, error.message, at: .node(named(node)), file: error.file)
    }
    for (output, value) in node.outputs.enumerated() {
      guard let value, types.indices.contains(value.index) else { continue }
      types[value.index] = settled(context.outputTypes[output] ?? .unranked(.unknown), value)
      numbers[value.index] = context.outputNumbers[output]
    }
  }

  /// Results of what is not known, as declared.
  private mutating func leaveOpen(_ node: Node) {
    for case let output? in node.outputs where types.indices.contains(output.index) {
      types[output.index] = declared[output.index] ?? .unranked(.unknown)
    }
  }

  /// An inferred type, with what is declared in the places that depend on data.
  private func settled(_ inferred: TensorType, _ value: ValueID) -> TensorType {
    guard let stated = declared[value.index] else { return inferred }
    guard inferred.isRanked else { return inferred.element == .unknown || stated.element == inferred.element ? stated : inferred }
    guard stated.isRanked, stated.rank == inferred.rank, inferred.shape.contains(where: \.dependsOnData) else { return inferred }
    return TensorType(
      inferred.element, zip(inferred.shape, stated.shape).map { $0.dependsOnData && !$1.dependsOnData ? $1 : $0 })
  }

  /// Families whose results can be known numbers.
  private static func folds(_ operation: Operator) -> Bool {
    switch operation {
    case .elementwise, .reshaping, .joining, .indexing, .generation, .reduction: true
    case .matrixProduct, .convolution, .normalisation, .pooling, .recurrence, .attention, .quantisation, .opaque: false
    }
  }

  private static func isMicrosoft(_ rules: any OperatorRules) -> Bool { rules.onnxIdentifier.utf8.contains(UInt8(ascii: ".")) }

  // MARK: - Names

  /// What the symbols of a node's results are named after: its first result, without the characters of which sums and products are made.
  private func label(_ node: Node) -> String {
    guard let name = firstResult(node) else { return node.name }
    guard name.utf8.contains(where: Self.isReserved) else { return name }
    return name.unicodeScalars.reduce(into: "") { text, scalar in
      if scalar.isASCII, Self.isReserved(UInt8(truncatingIfNeeded: scalar.value)) {
        text += "_" + String(scalar.value, radix: 16)
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }

  private static func isReserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","),
      UInt8(ascii: " "):
      true
    default: false
    }
  }

  private func firstResult(_ node: Node) -> String? {
    node.outputs.lazy.compactMap(\.self).first { module.values.indices.contains($0.index) }.map { module[$0].name }
  }

  /// The node as people know it.
  private func named(_ node: Node) -> String { node.name.isEmpty ? firstResult(node) ?? "" : node.name }

  private func undefined(_ value: ValueID, _ node: Node) -> Diagnostic {
    let name = module.values.indices.contains(value.index) ? module[value].name : "#\(value.index)"
    return Diagnostic(.invalid, "reads \(name) before anything makes it", at: .node(named(node)))
  }

  // MARK: - Outputs

  /// An output must be what it is declared to be, as far as both are numbers.
  private func checkOutputs() throws(Diagnostic) {
    for output in module.outputs {
      guard types.indices.contains(output.index), let type = types[output.index] else {
        throw Diagnostic(
          .invalid, "is an output, but nothing makes it",
          at: .tensor(module.values.indices.contains(output.index) ? module[output].name : ""))
      }
      guard let stated = declared[output.index] else { continue }
      let agrees =
        (stated.element == type.element || stated.element == .unknown || type.element == .unknown)
        && (!stated.isRanked || !type.isRanked
          || stated.rank == type.rank
            && zip(stated.shape, type.shape).allSatisfy { !$0.isConstant || !$1.isConstant || $0 == $1 })
      guard agrees else {
        throw Diagnostic(
          .invalid, "is declared as output \(stated), but the graph makes \(type)", at: .tensor(module[output].name))
      }
    }
  }
}
