import Formats
import Graph

/// A model ready to run: lowered and bound to kernels once for every combination of input shapes that it meets.
public final class Session {
  /// The model.
  public let module: Module
  private let source: NamedModel?
  private let limits: PlainRunner.Limits
  private let seed: UInt64
  private let pool: WorkPool
  private var prepared: [[TensorType]: Prepared] = [:]

  private struct Prepared {
    let program: Program
    let frame: Frame
    let runner: PlainRunner
  }

  /// A session over a module. `source` is the model it was imported from; without it, control flow cannot be executed.
  public init(
    _ module: Module, source: NamedModel? = nil, threads: Int = 1, limits: PlainRunner.Limits = .init(), seed: UInt64 = 0
  ) {
    self.module = module
    self.source = source
    self.limits = limits
    self.seed = seed
    pool = WorkPool(threads: threads)
  }

  /// What a session hears after each step of a run: the step, and how long it took in seconds.
  public typealias Observer = (_ step: Int, _ seconds: Double) -> Void

  /// Outputs in order, for inputs in order.
  ///
  /// Throws `invalid` for inputs that do not fit and data that no operator takes, `unsupported` for what cannot be executed.
  public func run(_ inputs: [RuntimeValue], observe: Observer? = nil) throws(Diagnostic) -> [RuntimeValue] {
    guard inputs.count == module.inputs.count else {
      throw Diagnostic(.invalid, "the graph takes \(module.inputs.count) inputs, \(inputs.count) are given")
    }
    let prepared = try prepare(inputs)
    let run = Execution(program: prepared.program, frame: prepared.frame, runner: prepared.runner, seed: seed)
    return try run.outputs(for: inputs, observe: observe)
  }

  /// The program for inputs of these types; built the first time.
  private func prepare(_ inputs: [RuntimeValue]) throws(Diagnostic) -> Prepared {
    var types: [TensorType] = []
    for (input, value) in zip(module.inputs, inputs) { types.append(value.tensor?.type ?? .unranked(module[input].type.element)) }
    if let known = prepared[types] { return known }
    let lowered = try Lowering.lower(module, inputs: types)
    let program = try ProgramBuilder.build(lowered, threads: pool.threads)
    if program.arenaBytes > limits.bytes {
      throw Diagnostic(
        .invalid, "needs \(program.arenaBytes) bytes for what it computes with; at most \(limits.bytes) are allowed here")
    }
    let frame = Frame(
      places: program.places, constants: program.constants, arenaBytes: program.arenaBytes, scratchBytes: program.scratchBytes,
      pool: pool)
    let result = Prepared(
      program: program, frame: frame, runner: PlainRunner(lowered, source: source, limits: limits, seed: seed))
    prepared[types] = result
    return result
  }

  /// The steps of the program for these inputs, for reports.
  public func steps(for inputs: [RuntimeValue]) throws(Diagnostic) -> ProgramSummary {
    ProgramSummary(try prepare(inputs).program)
  }
}

/// What reports say of a program.
public struct ProgramSummary: Sendable {
  /// One step.
  public struct Line: Sendable {
    /// `conv + relu`.
    public let name: String
    /// Name of the node that leads.
    public let node: String
    /// Multiply-adds.
    public let multiplyAdds: Double
    /// False where no kernel does it.
    public let isKernel: Bool
  }

  /// The steps in order.
  public let lines: [Line]
  /// Bytes of memory for what lies between the steps.
  public let activationBytes: Int
  /// The largest sum of what is alive at one step: no plan can need less.
  public let leastActivationBytes: Int

  init(_ program: Program) {
    lines = program.steps.map { step in
      let isKernel = if case .kernel = step.run { true } else { false }
      let label = step.nodes.first.map { program.module.label(of: program.module.nodes[$0]) } ?? ""
      return Line(name: step.name, node: label, multiplyAdds: step.multiplyAdds, isKernel: isKernel)
    }
    activationBytes = program.arenaBytes
    leastActivationBytes = program.leastArenaBytes
  }
}

/// One run of a program.
private struct Execution {
  let program: Program
  let frame: Frame
  let runner: PlainRunner
  let seed: UInt64

  func outputs(for inputs: [RuntimeValue], observe: Session.Observer?) throws(Diagnostic) -> [RuntimeValue] {
    let module = program.module
    var made: [ValueID: RuntimeValue] = [:]
    for (input, value) in zip(module.inputs, inputs) { store(value, input, &made) }
    var random = SplitMix(seed: seed)
    let clock = ContinuousClock()
    for (index, step) in program.steps.enumerated() {
      let start = observe == nil ? nil : clock.now
      switch step.run {
      case .kernel(let run): run(frame)
      case .plain: for node in step.nodes { try evaluate(module.nodes[node], &made, &random) }
      }
      if let observe, let start {
        let spent = (clock.now - start).components
        observe(index, Double(spent.seconds) + Double(spent.attoseconds) * 1e-18)
      }
      for value in program.released[index] { made[value] = nil }
    }
    return module.outputs.map { value($0, made, isLasting: true) ?? .absent }
  }

  private func evaluate(_ node: Node, _ made: inout [ValueID: RuntimeValue], _ random: inout SplitMix) throws(Diagnostic) {
    let operands = node.inputs.map { $0.flatMap { value($0, made, isLasting: false) } }
    var captured: [ValueID: RuntimeValue] = [:]
    for capture in node.captures { captured[capture] = value(capture, made, isLasting: false) }
    let results = try runner.evaluate(node, operands, captured, &random)
    for (output, result) in zip(node.outputs, results) {
      if let output, let result { store(result, output, &made) }
    }
  }

  /// Puts a value where it belongs: its buffer, or beside.
  private func store(_ value: RuntimeValue, _ id: ValueID, _ made: inout [ValueID: RuntimeValue]) {
    if case .buffer(let operand)? = program.storage[id.index], let tensor = value.tensor {
      tensor.data.withUnsafeBytes { source in
        guard let from = source.baseAddress else { return }
        let to = frame.bytes(operand)
        if to != from { to.copyMemory(from: from, byteCount: source.count) }
      }
    } else {
      made[id] = lasting(value)
    }
  }

  private func lasting(_ value: RuntimeValue) -> RuntimeValue {
    switch value {
    case .tensor(let tensor): .tensor(copy(tensor))
    case .sequence(let tensors, let element): .sequence(tensors.map(copy), element)
    case .absent: .absent
    }
  }

  private func copy(_ tensor: Tensor) -> Tensor {
    let data = TensorData(count: tensor.data.count) { target in tensor.data.withUnsafeBytes { target.copyMemory(from: $0) } }
    return Tensor(tensor.element, tensor.shape, data: data) ?? tensor
  }

  /// A value; `isLasting` for one that outlives the step, which must not be a look into the program's memory.
  private func value(_ id: ValueID, _ made: [ValueID: RuntimeValue], isLasting: Bool) -> RuntimeValue? {
    switch program.storage[id.index] {
    case .made?: return made[id]
    case .buffer(let operand)?:
      let type = program.module[id].type
      guard let shape = type.staticShape, let count = Tensor.count(shape), let bytes = type.element.byteCount(of: count) else { return nil }
      let store = ByteStore(adopting: frame.bytes(operand), count: bytes) { _, _ in }
      guard let data = TensorData(store, range: 0..<bytes), let tensor = Tensor(type.element, shape, data: data) else { return nil }
      return .tensor(isLasting ? copy(tensor) : tensor)
    case nil: return nil
    }
  }
}
