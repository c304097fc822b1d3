import Graph

/// Random choices that follow from a seed.
public struct Dice {
  private var generator: SeededGenerator

  /// Dice that fall the same way for the same seed.
  public init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  /// A number of a range.
  public mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
  /// True with a probability.
  public mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &generator) < probability }
  /// One of the given things, which must be at least one.
  public mutating func pick<T>(_ things: [T]) -> T { things[int(0...things.count - 1)] }
  /// Another order.
  public mutating func shuffled<T>(_ things: [T]) -> [T] { things.shuffled(using: &generator) }
  /// A real number of a range.
  public mutating func real(_ range: ClosedRange<Float>) -> Float { Float.random(in: range, using: &generator) }
}

/// Builds a module node by node; the type of every value is known as soon as it is made, because each node is inferred when it is added.
public struct GraphBuilder {
  /// The module so far.
  public private(set) var module: Module
  /// What decides everything random.
  public var dice: Dice
  /// Stands before the names of what is added: `block0.attn`.
  public var scope = ""
  private var numbers: [KnownValue?] = []
  private var contents: [ValueID: TensorContent] = [:]
  private var names: Set<String> = []
  private var declared: [ValueID: TensorType] = [:]
  private var cached: [CacheKey: ValueID] = [:]
  /// Whether equal constants are one, as exporters merge them.
  public let sharesConstants: Bool
  /// Whether small constants are nodes of the file.
  public let hasConstantNodes: Bool
  /// Whether only operators are used that the judge, and runtimes, know.
  public let isJudged: Bool

  private struct CacheKey: Hashable {
    let bytes: [UInt8]
    let element: ElementType
    let shape: [Int]
  }

  /// An empty module.
  public init(name: String, opsets: [String: Int], seed: UInt64, isJudged: Bool) {
    module = Module(name: name, opsets: opsets)
    dice = Dice(seed: seed)
    sharesConstants = dice.chance(0.4)
    hasConstantNodes = dice.chance(0.3)
    self.isJudged = isJudged
  }

  /// Version of the standard operator set.
  public var opset: Int { module.opset }

  // MARK: values

  /// The shape of a value.
  public func shape(_ value: ValueID) -> [Extent] { module[value].type.shape }
  /// Number of axes.
  public func rank(_ value: ValueID) -> Int { module[value].type.rank }
  /// The length of an axis, counted from the end where negative; throws where it is not fixed.
  public func extent(_ value: ValueID, _ axis: Int) throws(Diagnostic) -> Int {
    let shape = shape(value)
    let at = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(at), let number = shape[at].constant else {
      throw Diagnostic(.invalid, "the generator wants a fixed axis \(axis) of \(module[value].type)")
    }
    return number
  }
  /// The first axis, counted from the back, as an extent that may be symbolic.
  public func extent(of value: ValueID, _ axis: Int) -> Extent {
    let shape = shape(value)
    return shape[axis < 0 ? axis + shape.count : axis]
  }

  private mutating func fresh(_ name: String) -> String {
    let full = scope.isEmpty ? name : "\(scope).\(name)"
    var candidate = full
    var count = 1
    while !names.insert(candidate).inserted {
      count += 1
      candidate = "\(full)_\(count)"
    }
    return candidate
  }

  /// An input of the model.
  public mutating func input(_ name: String, _ type: TensorType) -> ValueID {
    let id = module.add(Value(name: fresh(name), type: type))
    module.inputs.append(id)
    numbers.append(nil)
    return id
  }

  /// Makes a value an output of the model.
  public mutating func output(_ value: ValueID) { if !module.outputs.contains(value) { module.outputs.append(value) } }

  /// A parameter with given numbers.
  public mutating func parameter(_ name: String, _ data: TensorData, _ element: ElementType, _ shape: [Int]) -> ValueID {
    let content = TensorContent(data, element: element, shape: shape)
    let type = TensorType(element, shape.map { Extent($0) })
    let id = module.add(Value(name: fresh(name), type: type))
    var parameter = Parameter(value: id, content: content)
    if hasConstantNodes, content.elementCount <= 4 || !element.isFloat {
      let node = NamedNode(type: "Constant", inputs: [], outputs: [module[id].name], attributes: [("value", .tensor(type, data))])
      parameter.home = .node(node, position: module.nodes.count)
    }
    module.parameters.append(parameter)
    contents[id] = content
    numbers.append(!element.isFloat || content.elementCount <= 64 ? KnownValue(content) : nil)
    return id
  }

  /// A constant, which may serve many places.
  private mutating func constant(_ data: TensorData, _ element: ElementType, _ shape: [Int]) -> ValueID {
    guard sharesConstants else { return parameter("const", data, element, shape) }
    let key = CacheKey(bytes: data.numbers(as: UInt8.self), element: element, shape: shape)
    if let known = cached[key] { return known }
    let id = parameter("const", data, element, shape)
    cached[key] = id
    return id
  }

  /// A weight of random numbers around `mean`, no farther than `spread`. A vector may happen to equal an earlier one.
  public mutating func weight(_ name: String, _ shape: [Int], mean: Float = 0, spread: Float = 0.5) -> ValueID {
    if sharesConstants, shape.count == 1, dice.chance(0.2),
      let twin = module.parameters.last(where: { $0.content.shape == shape && $0.content.element == .f32 && mean == 0 })
    {
      return twin.value
    }
    let count = shape.reduce(1, *)
    return parameter(name, TensorData((0..<count).map { _ in dice.real(mean - spread...mean + spread) }), .f32, shape)
  }

  /// The same number throughout, in 32 bits.
  public mutating func real(_ number: Float, _ shape: [Int] = []) -> ValueID {
    constant(TensorData([Float](repeating: number, count: shape.reduce(1, *))), .f32, shape)
  }

  /// A list of whole numbers, of a shape (nil: one axis).
  public mutating func wholes(_ numbers: [Int], _ shape: [Int]? = nil) -> ValueID {
    constant(TensorData(numbers.map { Int64($0) }), .i64, shape ?? [numbers.count])
  }

  /// One whole number without an axis.
  public mutating func whole(_ number: Int) -> ValueID { wholes([number], []) }

  // MARK: nodes

  /// Adds a node and infers the types of its results.
  public mutating func add(
    _ operation: Operator, _ inputs: [ValueID?], _ attributes: [Attributes.Entry] = [], outputs: Int, named name: String? = nil
  ) throws(Diagnostic) -> [ValueID] {
    let label = fresh(name ?? operation.textName)
    var node = Node(operation, inputs: inputs, outputs: [], attributes: Attributes(attributes), name: label)
    var results: [ValueID] = []
    for index in 0..<outputs {
      let id = module.add(Value(name: index == 0 ? "\(label)_out" : "\(label)_out\(index)", type: .unranked(.unknown)))
      results.append(id)
      numbers.append(nil)
    }
    node.outputs = results
    guard let rules = operation.rules else { throw Diagnostic(.invalid, "the generator adds an opaque node") }
    var context = InferenceContext(
      node: node, opset: module.opsets[operation.onnxName.domain] ?? opset, label: label,
      inputTypes: inputs.map { $0.map { module[$0].type } }, inputNumbers: inputs.map { $0.flatMap { numbers[$0.index] } },
      contents: inputs.map { $0.flatMap { contents[$0] } })
    do throws(Diagnostic) {
      try rules.infer(&context)
    } catch {
      throw Diagnostic(error.kind, "\(error.message) (\(inputs.map { $0.map { "\(module[$0].type)" } ?? "_" }))", at: error.place)
    }
    for (index, id) in results.enumerated() {
      guard let type = context.outputTypes[index], type.isRanked else {
        throw Diagnostic(.invalid, "result \(index) has no type", at: .node(label))
      }
      module[id].type = type
      numbers[id.index] = context.outputNumbers[index]
    }
    node.position = module.nodes.count
    module.nodes.append(node)
    return results
  }

  /// Adds a node with one result.
  public mutating func add(
    _ operation: Operator, _ inputs: [ValueID?], _ attributes: [Attributes.Entry] = [], named name: String? = nil
  ) throws(Diagnostic) -> ValueID {
    try add(operation, inputs, attributes, outputs: 1, named: name)[0]
  }

  /// Adds an operator of the standard domain that prunec has no rules for, of one operand, with a result of the same element type.
  public mutating func opaque(_ type: String, _ x: ValueID, shape: [Extent]) throws(Diagnostic) -> ValueID {
    let label = fresh(type.lowercased())
    let id = module.add(Value(name: "\(label)_out", type: TensorType(module[x].type.element, shape)))
    numbers.append(nil)
    let operation = Operator(domain: "", type: type) ?? .opaque(Opaque(domain: "", type: type))
    module.nodes.append(Node(operation, inputs: [x], outputs: [id], name: label, position: module.nodes.count))
    declared[id] = module[id].type
    return id
  }

  /// The finished module, with types and numbers inferred once more from scratch.
  public func finished() throws(Diagnostic) -> Module {
    var module = module
    let inferred = try TypeInference.run(module, declared: declared)
    for index in module.values.indices { module.values[index].type = inferred.types[index] }
    return module
  }
}

/// Attributes in short.
extension Attributes.Entry {
  static func int(_ name: AttributeName, _ value: Int) -> Attributes.Entry { .init(name, .int(value)) }
  static func ints(_ name: AttributeName, _ value: [Int]) -> Attributes.Entry { .init(name, .ints(value)) }
  static func float(_ name: AttributeName, _ value: Float) -> Attributes.Entry { .init(name, .float(value)) }
  static func string(_ name: AttributeName, _ value: String) -> Attributes.Entry { .init(name, .string(value)) }
}
