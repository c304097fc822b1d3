import Graph

/// One run of a program: its steps one after the other over a frame's memory.
struct Execution {
  let program: Program
  let frame: Frame
  let runner: PlainRunner
  private var made: [ValueID: RuntimeValue] = [:]
  private var random: SplitMix

  /// A run that has its inputs and has done no step.
  init(program: Program, frame: Frame, runner: PlainRunner, seed: UInt64, inputs: [RuntimeValue]) throws(Diagnostic) {
    self.program = program
    self.frame = frame
    self.runner = runner
    random = SplitMix(seed: seed)
    for (input, value) in zip(program.module.inputs, inputs) { try store(value, input) }
  }

  /// Does one step. Steps are done in order.
  mutating func run(step index: Int) throws(Diagnostic) {
    let step = program.steps[index]
    switch step.run {
    case .kernel(let run): try run(frame)
    case .plain: for node in step.nodes { try evaluate(program.module.nodes[node]) }
    }
  }

  /// Forgets values of changing shape that no later step reads.
  mutating func release(after step: Int) {
    for value in program.released[step] { made[value] = nil }
  }

  /// The outputs, once all steps are done.
  func outputs() -> [RuntimeValue] { program.module.outputs.map { value($0, isLasting: true) ?? .absent } }

  private mutating func evaluate(_ node: Node) throws(Diagnostic) {
    let operands = node.inputs.map { $0.flatMap { value($0, isLasting: false) } }
    var captured: [ValueID: RuntimeValue] = [:]
    for capture in node.captures { captured[capture] = value(capture, isLasting: false) }
    let results = try runner.evaluate(node, operands, captured, &random)
    for (output, result) in zip(node.outputs, results) {
      if let output, let result { try store(result, output) }
    }
  }

  /// Puts a value where it belongs: its buffer, or beside.
  ///
  /// Throws `invalid` where the value is not of the type that the graph gives it: what a file declares may be wrong.
  private mutating func store(_ value: RuntimeValue, _ id: ValueID) throws(Diagnostic) {
    if case .buffer(let placement)? = program.storage[id.index], let tensor = value.tensor {
      let type = program.module[id].type
      guard tensor.type == type else {
        throw Diagnostic(.invalid, "turns out as \(tensor.type); the graph says \(type)", at: .tensor(program.module[id].name))
      }
      tensor.data.withUnsafeBytes { source in
        guard let from = source.baseAddress else { return }
        let to = frame.bytes(placement.operand)
        if UnsafeRawPointer(to) != from { to.copyMemory(from: from, byteCount: source.count) }
      }
    } else {
      made[id] = Self.lasting(value)
    }
  }

  private static func lasting(_ value: RuntimeValue) -> RuntimeValue {
    switch value {
    case .tensor(let tensor): .tensor(copy(tensor))
    case .sequence(let tensors, let element): .sequence(tensors.map(copy), element)
    case .absent: .absent
    }
  }

  private static func copy(_ tensor: Tensor) -> Tensor {
    let data = TensorData(count: tensor.data.count) { target in tensor.data.withUnsafeBytes { target.copyMemory(from: $0) } }
    return Tensor(tensor.element, tensor.shape, data: data) ?? tensor
  }

  /// A value. Unless it is lasting, it is a look into the program's memory, good until the next step.
  func value(_ id: ValueID, isLasting: Bool) -> RuntimeValue? {
    switch program.storage[id.index] {
    case .made?: return made[id]
    case .buffer(let placement)?:
      guard let shape = program.module[id].type.staticShape else { return nil }
      if let rows = program.rows[id] { return tensor(id, rows, shape).map { .tensor(isLasting ? Self.copy($0) : $0) } }
      if placement.isDense(shape) {
        return tensor(id, placement.operand, shape).map { .tensor(isLasting ? Self.copy($0) : $0) }
      }
      return .tensor(gathered(id, placement, shape))
    case nil: return nil
    }
  }

  /// A value as it lies in memory; the row-major copy that later steps read may not be there yet.
  func valueAsMade(_ id: ValueID) -> Tensor? {
    guard case .buffer(let placement)? = program.storage[id.index], let shape = program.module[id].type.staticShape else {
      return made[id]?.tensor
    }
    return placement.isDense(shape) ? tensor(id, placement.operand, shape) : gathered(id, placement, shape)
  }

  private func tensor(_ id: ValueID, _ operand: Operand, _ shape: [Int]) -> Tensor? {
    let element = program.module[id].type.element
    guard let count = Tensor.count(shape), let bytes = element.byteCount(of: count) else { return nil }
    let store = ByteStore(adopting: frame.bytes(operand), count: bytes) { _, _ in }
    guard let data = TensorData(store, range: 0..<bytes) else { return nil }
    return Tensor(element, shape, data: data)
  }

  /// The numbers of a view, row by row.
  private func gathered(_ id: ValueID, _ placement: Placement, _ shape: [Int]) -> Tensor {
    let element = program.module[id].type.element
    let width = (element.bits ?? 8) / 8
    let positions = Tensor.positions(shape, strides: placement.strides)
    let from = frame.bytes(placement.operand)
    let data = TensorData(count: positions.count * width) { target in
      guard let to = target.baseAddress else { return }
      for (index, position) in positions.enumerated() {
        (to + index * width).copyMemory(from: from + position * width, byteCount: width)
      }
    }
    return Tensor(element, shape, data: data) ?? Tensor(wholes: [], element, [0])
  }
}

/// A model run one step at a time, nothing fused, so that every value can be looked at when it is made.
public struct Stepper {
  /// The model, lowered for its inputs.
  public var module: Module { execution.program.module }
  private var execution: Execution
  private var done = 0
  private let makers: [String: (step: Int, value: ValueID)]
  /// Constants by the step that reads them first, and by the one that reads them last.
  private var firstUses: [Int: [Int]] = [:]
  private var lastUses: [Int: [Int]] = [:]

  /// A run of a module on inputs, before its first step. A plain run uses no kernels: slower, and each sum rounded but once. `only`: names of
  /// the values that somebody will look at; what they do not need is left out, so that `outputs` are others than the model's.
  public init(
    _ module: Module, source: NamedModel?, inputs: [RuntimeValue], threads: Int, isPlain: Bool = false,
    only names: Set<String>? = nil, limits: PlainRunner.Limits = .init()
  ) throws(Diagnostic) {
    var types: [TensorType] = []
    for (input, value) in zip(module.inputs, inputs) { types.append(value.tensor?.type ?? .unranked(module[input].type.element)) }
    let wanted = names.map { module.cut(to: $0) } ?? module
    let lowered = try Lowering.lower(wanted, inputs: types, passes: Lowering.plainPasses)
    let program = try ProgramBuilder.build(lowered, threads: threads, style: isPlain ? .plain : .stepwise, limit: limits.bytes)
    let frame = Frame(program, pool: WorkPool(threads: threads))
    let runner = PlainRunner(lowered, source: source, limits: limits)
    execution = try Execution(program: program, frame: frame, runner: runner, seed: 0, inputs: inputs)
    var makers: [String: (step: Int, value: ValueID)] = [:]
    for (index, step) in program.steps.enumerated() {
      for node in step.nodes {
        for case let output? in lowered.nodes[node].outputs { makers[lowered[output].name] = (index, output) }
      }
    }
    self.makers = makers
    for (index, constant) in program.constants.enumerated() {
      firstUses[constant.uses.lowerBound, default: []].append(index)
      lastUses[constant.uses.upperBound, default: []].append(index)
    }
  }

  /// Number of steps.
  public var count: Int { execution.program.steps.count }

  /// Names of the values that a step makes.
  public func names(madeBy step: Int) -> [String] {
    execution.program.steps[step].nodes.flatMap { module.nodes[$0].outputs.compactMap { $0.map { module[$0].name } } }
  }

  /// Does the next step; returns its index, or nil when all are done. Weights are in memory while steps use them.
  public mutating func advance() throws(Diagnostic) -> Int? {
    guard done < count else { return nil }
    if done > 0 {
      execution.release(after: done - 1)
      execution.frame.drop(lastUses[done - 1] ?? [])
    }
    execution.frame.hold(firstUses[done] ?? [])
    try execution.run(step: done)
    done += 1
    return done - 1
  }

  /// Goes on until a value is made, and gives it; nil where no step makes it, or one that was done before others.
  public mutating func value(madeNow name: String) throws(Diagnostic) -> Tensor? {
    guard let (step, value) = makers[name], step >= done - 1 else { return nil }
    while done <= step { _ = try advance() }
    return execution.valueAsMade(value)
  }

  /// The outputs, all steps done.
  public mutating func outputs() throws(Diagnostic) -> [RuntimeValue] {
    while try advance() != nil {}
    execution.frame.hold(firstUses[done] ?? [])
    return execution.outputs()
  }
}
