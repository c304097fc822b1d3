import Graph
import Synchronization

/// Where in the user's Swift an operation stands, and under which layer its nodes are filed where that is known.
struct Site: Sendable {
  let file: StaticString
  let line: UInt
  /// False where Swift passes on no line (operators such as `+`), and `line` is that of an operand.
  var isExact = true
  /// Path of the layer that the nodes belong to; nil: it follows from the operands.
  var path: String?

  init(_ file: StaticString, _ line: UInt, isExact: Bool = true, path: String? = nil) {
    self.file = file
    self.line = line
    self.isExact = isExact
    self.path = path
  }

  /// What holds for parameters, which are there before any line runs.
  static let parameter = Site("a parameter", 0)

  /// `Model.swift:12`.
  var text: String { line == 0 ? "\(file)" : "\(file):\(line)" }
}

/// The graph that a trace has made so far. Types and known numbers come from the operators' own inference rules, node by node.
///
/// The first failure is kept; whatever reads what it left behind is poisoned in turn and reports nothing more.
final class TraceBuilder: Sendable {
  /// The trace that is being made by the running task.
  @TaskLocal static var current: TraceBuilder?
  /// What tensors outside of any trace belong to.
  static let none = TraceBuilder(name: "")

  private struct State {
    var module: Module
    var numbers: [KnownValue?] = []
    /// Index into the module's parameters, by value.
    var parameterOf: [ValueID: Int] = [:]
    /// Path of the layer, by value; nil for constants, which belong to whoever reads them.
    var paths: [String?] = []
    /// Constants that the tracer itself put there.
    var constants: Set<ValueID> = []
    var names: Set<String> = []
    var suffixes: [String: Int] = [:]
    /// A value and axis that has an extent, for extents that only running the model tells.
    var lengths: [Extent: (value: ValueID, axis: Int)] = [:]
    var lengthTensors: [Extent: ValueID] = [:]
    var parameters: [ParameterIdentity: Tensor] = [:]
    var failure: Diagnostic?
  }

  private let state: Mutex<State>

  init(name: String) {
    state = Mutex(State(module: Module(name: name, opsets: ["": Self.opset])))
  }

  /// Version of the standard operator set that traces are written in.
  static let opset = 21

  // MARK: - Failures

  /// Keeps a failure, if it is the first.
  func fail(_ message: String, _ site: Site, node: String = "") {
    let said = site.isExact ? message : "\(message) (in an operator that reads what was made at \(site.text))"
    fail(Diagnostic(.invalid, said, at: node.isEmpty ? .none : .node(node), file: site.text))
  }

  /// Keeps a failure, if it is the first.
  func fail(_ diagnostic: Diagnostic) {
    state.withLock { if $0.failure == nil { $0.failure = diagnostic } }
  }

  /// The first failure.
  var failure: Diagnostic? { state.withLock { $0.failure } }

  /// A tensor that stands for nothing: something failed before.
  func poisoned(_ site: Site) -> Tensor { Tensor(builder: self, value: nil, type: .unranked(.unknown), site: site) }

  // MARK: - Values

  /// An input of the model.
  func input(_ name: String, _ type: TensorType, _ site: Site) -> Tensor {
    guard !name.isEmpty, !isTaken(name) else {
      fail(name.isEmpty ? "an input needs a name" : "there are two tensors called \(name)", site)
      return poisoned(site)
    }
    return state.withLock { state in
      let value = Self.add(name, type, path: nil, to: &state)
      state.module.inputs.append(value)
      return Tensor(builder: self, value: value, type: type, site: site)
    }
  }

  /// Names a result as an output of the model.
  func output(_ name: String, _ tensor: Tensor, _ site: Site) {
    guard let value = own(tensor, site) else { return }
    if !name.isEmpty, !isTaken(name) {
      let isFresh = state.withLock { state in
        state.parameterOf[value] == nil && !state.module.inputs.contains(value) && !state.module.outputs.contains(value)
      }
      // What is a parameter, an input or an output already keeps its name, and the output is a copy of it.
      guard isFresh else { return output(name, node(.elementwise(.identity), [tensor], site), site) }
      state.withLock { state in
        state.names.remove(state.module[value].name)
        state.names.insert(name)
        state.module[value].name = name
        state.module.outputs.append(value)
      }
    } else {
      fail(name.isEmpty ? "an output needs a name" : "there are two tensors called \(name)", site)
    }
  }

  /// A tensor with stored numbers. Without a name it is filed under whoever reads it first.
  func stored(_ name: String?, _ content: TensorContent, path: String?, _ site: Site) -> Tensor {
    if let name, isTaken(name) {
      fail("there are two tensors called \(name)", site)
      return poisoned(site)
    }
    let type = TensorType(content.element, content.shape.map { Extent($0) })
    return state.withLock { state in
      let value = Self.add(name ?? Self.free("constant", &state), type, path: path, to: &state)
      if name == nil { state.constants.insert(value) }
      state.parameterOf[value] = state.module.parameters.count
      state.module.parameters.append(Graph.Parameter(value: value, content: content))
      // Large floats take no part in shape arithmetic.
      if !content.element.isFloat || content.elementCount <= 64 { state.numbers[value.index] = KnownValue(content) }
      return Tensor(builder: self, value: value, type: type, site: site)
    }
  }

  /// Gives the tensor that carries a parameter.
  func bind(_ parameter: ParameterIdentity, to tensor: Tensor) { state.withLock { $0.parameters[parameter] = tensor } }

  /// The tensor that carries a parameter; nil where the model's properties do not lead to it.
  func tensor(of parameter: ParameterIdentity) -> Tensor? { state.withLock { $0.parameters[parameter] } }

  private func isTaken(_ name: String) -> Bool { state.withLock { $0.names.contains(name) } }

  private static func add(_ name: String, _ type: TensorType, path: String?, to state: inout State) -> ValueID {
    let value = state.module.add(Value(name: name, type: type))
    state.names.insert(name)
    state.numbers.append(nil)
    state.paths.append(path)
    for (axis, extent) in type.shape.enumerated() where !extent.isConstant && state.lengths[extent] == nil {
      state.lengths[extent] = (value, axis)
    }
    return value
  }

  /// A name that nothing has: the one asked for, or with the next number.
  private static func free(_ name: String, _ state: inout State) -> String {
    guard state.names.contains(name) else { return name }
    var number = state.suffixes[name] ?? 1
    while state.names.contains("\(name)_\(number)") { number += 1 }
    state.suffixes[name] = number + 1
    return "\(name)_\(number)"
  }

  private func own(_ tensor: Tensor, _ site: Site) -> ValueID? {
    if tensor.builder !== self, tensor.value != nil {
      let message = "a tensor of another trace is used; call the layer inside the closure that is being traced"
      fail(message, site)
      TraceBuilder.current?.fail(message, site)
      return nil
    }
    if tensor.builder === Self.none {
      fail(
        "a parameter is read that is no property of the traced model, or outside of a trace; hold it in a property of a Layer",
        site)
    }
    return tensor.value
  }

  // MARK: - Nodes

  /// Adds a node with one result.
  func node(
    _ operation: Operator, _ operands: [Tensor?], _ attributes: [Attributes.Entry], _ site: Site
  ) -> Tensor {
    nodes(operation, operands, attributes, results: 1, site).first ?? poisoned(site)
  }

  /// Adds a node with one result and no attributes.
  func node(_ operation: Operator, _ operands: [Tensor?], _ site: Site) -> Tensor { node(operation, operands, [], site) }

  /// Adds a node; exactly as many tensors come back as results are asked for.
  func nodes(
    _ operation: Operator, _ operands: [Tensor?], _ attributes: [Attributes.Entry], results: Int, _ site: Site
  ) -> [Tensor] {
    var inputs: [ValueID?] = []
    for operand in operands {
      guard let operand else {
        inputs.append(nil)
        continue
      }
      guard let value = own(operand, site) else { return Array(repeating: poisoned(site), count: results) }
      inputs.append(value)
    }
    let made = state.withLock { state -> Result<[(ValueID, TensorType)], Diagnostic> in
      Self.add(operation, inputs, attributes, results, site, to: &state)
    }
    switch made {
    case .success(let values): return values.map { Tensor(builder: self, value: $0, type: $1, site: site) }
    case .failure(let diagnostic):
      let met = zip(operands, operands.indices).compactMap { operand, _ in
        operand.map { site.isExact ? "\($0.type)" : "\($0.type) of \($0.site.text)" }
      }
      fail("\(diagnostic.message); the operands are \(met.joined(separator: ", "))", site, node: diagnostic.nodeName)
      return Array(repeating: poisoned(site), count: results)
    }
  }

  private static func add(
    _ operation: Operator, _ inputs: [ValueID?], _ attributes: [Attributes.Entry], _ results: Int, _ site: Site,
    to state: inout State
  ) -> Result<[(ValueID, TensorType)], Diagnostic> {
    let path = site.path ?? commonPath(inputs.compactMap { $0 }, state)
    let name = free(path.isEmpty ? operation.textName : "\(path)/\(operation.textName)", &state)
    // Constants without a place of their own go where they are first read.
    for case let input? in inputs where state.parameterOf[input] != nil && state.paths[input.index] == nil {
      guard state.constants.contains(input) else { continue }
      state.names.remove(state.module[input].name)
      let own = free("\(name)_constant", &state)
      state.names.insert(own)
      state.module[input].name = own
      state.paths[input.index] = ""
    }
    let outputs = (0..<results).map { ValueID(state.module.values.count + $0) }
    var node = Node(operation, inputs: inputs, outputs: outputs, attributes: Attributes(attributes), name: name)
    node.position = state.module.nodes.count
    var context = InferenceContext(
      node: node, opset: opset, label: name, inputTypes: inputs.map { $0.map { state.module[$0].type } },
      inputNumbers: inputs.map { $0.flatMap { state.numbers[$0.index] } },
      contents: inputs.map { $0.flatMap { state.parameterOf[$0] }.map { state.module.parameters[$0].content } })
    do throws(Diagnostic) {
      try operation.rules?.infer(&context)
    } catch {
      return .failure(Diagnostic(error.kind, error.message, at: .node(name)))
    }
    var made: [(ValueID, TensorType)] = []
    for index in 0..<results {
      let type = context.outputTypes[index] ?? .unranked(.unknown)
      let value = add(results == 1 ? name : free("\(name).\(index)", &state), type, path: path, to: &state)
      state.numbers[value.index] = context.outputNumbers[index]
      made.append((value, type))
    }
    state.module.nodes.append(node)
    return .success(made)
  }

  // MARK: - Paths

  /// The layer in which tensors of different layers meet.
  ///
  /// A weight's reader belongs to the weight's layer. Otherwise it is the layer that holds those of all operands, and below that the
  /// numbered block of the youngest: `layers.0.self_attn.o_proj` meets `embed_tokens` in `layers.0`.
  private static func commonPath(_ inputs: [ValueID], _ state: State) -> String {
    if let weight = inputs.last(where: { state.parameterOf[$0] != nil && !(state.paths[$0.index] ?? "").isEmpty }) {
      return state.paths[weight.index] ?? ""
    }
    let operands = inputs.filter { !(state.paths[$0.index] ?? "").isEmpty }
    guard let youngest = operands.max(), let path = state.paths[youngest.index] else { return "" }
    let parts = path.split(separator: ".")
    var shared = parts.count
    for operand in operands {
      let others = (state.paths[operand.index] ?? "").split(separator: ".")
      shared = min(shared, zip(parts, others).prefix { $0 == $1 }.count)
    }
    func isNumber(_ at: Int) -> Bool { parts.indices.contains(at) && parts[at].allSatisfy(\.isNumber) }
    if shared < parts.count, isNumber(shared) {
      shared += 1
    } else if isNumber(shared + 1) {
      shared += 2
    }
    return parts.prefix(shared).joined(separator: ".")
  }

  /// The layer that a tensor belongs to, where it is a parameter of one or made from a parameter alone; nil otherwise.
  func path(of tensor: Tensor) -> String? {
    guard tensor.builder === self, let value = tensor.value else { return nil }
    return state.withLock { $0.paths[value.index] }.flatMap { $0.isEmpty ? nil : $0 }
  }

  // MARK: - Extents that only running the model tells

  /// The lengths as a list of whole numbers; what is symbolic is read off a tensor that has such an axis.
  func list(_ extents: [Extent], _ site: Site) -> Tensor {
    let numbers = extents.compactMap(\.constant)
    if numbers.count == extents.count { return constant(wholes: numbers, [numbers.count], site) }
    let parts = extents.map { extent in
      extent.constant.map { constant(wholes: [$0], [1], site) } ?? length(extent, site)
    }
    return parts.count == 1
      ? parts[0]
      : node(.joining(.concat), parts, [.init(.axis, .int(0))], Site(site.file, site.line, isExact: site.isExact, path: ""))
  }

  /// One length as a list of one whole number.
  func length(_ extent: Extent, _ site: Site) -> Tensor {
    if let number = extent.constant { return constant(wholes: [number], [1], site) }
    let type = TensorType(.i64, [1])
    if let known = state.withLock({ $0.lengthTensors[extent] }) {
      return Tensor(builder: self, value: known, type: type, site: site)
    }
    guard let (value, axis) = state.withLock({ $0.lengths[extent] }) else {
      fail("no tensor of the trace has an axis of \(extent), so its length cannot be known when the model runs", site)
      return poisoned(site)
    }
    let source = Tensor(builder: self, value: value, type: state.withLock { $0.module[value].type }, site: site)
    let result = node(
      .generation(.shape), [source], [.init(.start, .int(axis)), .init(.end, .int(axis + 1))],
      Site(site.file, site.line, path: ""))
    state.withLock { $0.lengthTensors[extent] = result.value }
    return result
  }

  /// Whole numbers, or truth values.
  func constant(wholes: [Int], _ shape: [Int], element: ElementType = .i64, _ site: Site) -> Tensor {
    stored(nil, TensorContent(Graph.Tensor(wholes: wholes, element, shape).data, element: element, shape: shape), path: nil, site)
  }

  /// Real numbers, rounded to the element type; cut towards zero for whole ones.
  func constant(reals: [Double], _ shape: [Int], element: ElementType, _ site: Site) -> Tensor {
    stored(nil, TensorContent(Graph.Tensor(reals: reals, element, shape).data, element: element, shape: shape), path: nil, site)
  }

  // MARK: - The end

  /// The module, with every type inferred once more from inputs and parameters alone; throws the first failure of the trace.
  func finished() throws(Diagnostic) -> Module {
    var (module, failure, constants) = state.withLock { ($0.module, $0.failure, $0.constants) }
    if let failure { throw failure }
    if module.outputs.isEmpty {
      throw Diagnostic(.invalid, "the trace of \(module.name) has no output: call output(\"name\", tensor)")
    }
    module = Self.withoutUnread(module, constants)
    let types = try TypeInference.run(module).types
    for index in module.values.indices { module.values[index].type = types[index] }
    if let fault = Verifier.check(module).first { throw fault }
    return module
  }

  /// Constants that nobody reads and nodes that no output needs are left out; parameters and inputs stay.
  private static func withoutUnread(_ module: Module, _ constants: Set<ValueID>) -> Module {
    var module = module
    var isNeeded = [Bool](repeating: false, count: module.values.count)
    for output in module.outputs { isNeeded[output.index] = true }
    var kept: [Node] = []
    for node in module.nodes.reversed() where node.outputs.contains(where: { $0.map { isNeeded[$0.index] } == true }) {
      for case let input? in node.inputs { isNeeded[input.index] = true }
      kept.append(node)
    }
    module.nodes = kept.reversed()
    for index in module.nodes.indices { module.nodes[index].position = index }
    module.parameters = module.parameters.filter { isNeeded[$0.value.index] || !constants.contains($0.value) }
    module.removeUndefinedValues()
    return module
  }
}

extension Diagnostic {
  /// The node that failed, empty where it is none.
  fileprivate var nodeName: String {
    switch place {
    case .node(let name): name
    case .none, .text, .byte, .tensor: ""
    }
  }
}
