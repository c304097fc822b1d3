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
    var run = try Execution(program: prepared.program, frame: prepared.frame, runner: prepared.runner, seed: seed, inputs: inputs)
    let clock = ContinuousClock()
    for step in prepared.program.steps.indices {
      let start = observe == nil ? nil : clock.now
      try run.run(step: step)
      if let observe, let start { observe(step, (clock.now - start) / .seconds(1)) }
      run.release(after: step)
    }
    return run.outputs()
  }

  /// The program for inputs of these types; built the first time.
  private func prepare(_ inputs: [RuntimeValue]) throws(Diagnostic) -> Prepared {
    var types: [TensorType] = []
    for (input, value) in zip(module.inputs, inputs) { types.append(value.tensor?.type ?? .unranked(module[input].type.element)) }
    if let known = prepared[types] { return known }
    let lowered = try Lowering.lower(module, inputs: types)
    let program = try ProgramBuilder.build(lowered, threads: pool.threads, limit: limits.bytes)
    let frame = Frame(program, pool: pool)
    frame.hold(program.constants.indices)
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
    /// Name of the node that leads, or of the value that is copied.
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
      return Line(name: step.name, node: step.label, multiplyAdds: step.multiplyAdds, isKernel: isKernel)
    }
    activationBytes = program.arenaBytes
    leastActivationBytes = program.leastArenaBytes
  }
}
