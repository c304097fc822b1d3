import Graph
import Runtime

/// The masked original beside the smaller model: parameter by parameter, bit for bit, and value by value.
public struct Proof: Sendable {
  /// Two values that should agree.
  public struct Difference: Sendable {
    /// Name of the value.
    public let name: String
    /// Largest difference over the largest magnitude; nil where the two have different shapes or kinds.
    public let error: Double?
    /// What differs, in words.
    public let summary: String
  }

  /// Outputs in order, each with its worst relative error over all inputs tried.
  public let outputs: [(name: String, error: Double)]
  /// Parameters whose numbers are others, then the first values inside, or outputs, that differ by more than the tolerance.
  public let faults: [Difference]
  /// How many values were compared.
  public let compared: Int
  /// Largest relative error that counts as rounding, for outputs.
  public let tolerance: Double

  /// True when the smaller model is what the plan makes of the original.
  public var isProved: Bool { faults.isEmpty && compared > 0 }
  /// The worst error of an output.
  public var worst: Double { outputs.map(\.error).max() ?? 0 }

  /// Largest relative error that counts as rounding.
  public static let defaultTolerance = 1e-4

  /// Bytes of weights up to which a model is run more often than it must be, without being asked.
  public static let usualLimit = 1 << 30

  /// Runs the original, masked by a plan, and the smaller model on the same inputs.
  ///
  /// `solution` and `plan` are of the original; `smaller` is matched by the names of its values. Inside values may differ by ten times the
  /// tolerance, relative to their largest number or to a thousandth of the largest one before them: differences of large numbers magnify
  /// rounding.
  /// Throws where one of the models cannot be executed, or a masked operator has no rule.
  public static func run(
    solution: Solution, plan: Plan, smaller: Module, sources: (original: NamedModel?, smaller: NamedModel?),
    inputs: [RuntimeValue],
    threads: Int, tolerance: Double = defaultTolerance
  ) throws(Diagnostic) -> Proof {
    func attempt(isPlain: Bool) throws(Diagnostic) -> Proof {
      try run(
        solution: solution, plan: plan, smaller: smaller, sources: sources, inputs: inputs, threads: threads,
        tolerance: tolerance, isPlain: isPlain)
    }
    let quick = try attempt(isPlain: false)
    // What should be zero differs by rounding alone, and a norm may magnify that: where sums are rounded but once, it does not.
    return quick.isProved ? quick : try attempt(isPlain: true)
  }

  private static func run(
    solution: Solution, plan: Plan, smaller: Module, sources: (original: NamedModel?, smaller: NamedModel?),
    inputs: [RuntimeValue],
    threads: Int, tolerance: Double, isPlain: Bool
  ) throws(Diagnostic) -> Proof {
    let kept = KeptIndices(solution: solution, plan: plan, symbols: symbols(solution.module, inputs))
    let masked = try MaskedGraph.make(solution, kept)
    let byName = Dictionary(
      solution.module.values.indices.map { (solution.module.values[$0].name, ValueID($0)) },
      uniquingKeysWith: { first, _ in first })
    let sides = Sides(
      left: try Stepper(masked, source: sources.original, inputs: inputs, threads: threads, isPlain: isPlain),
      right: try Stepper(smaller, source: sources.smaller, inputs: inputs, threads: threads, isPlain: isPlain),
      outputs: solution.module.outputs.map { solution.module[$0].name }, inputs: inputs, tolerance: tolerance)
    return try sides.compare(changedParameters(solution, kept, smaller)) { name, want in
      guard let id = byName[name], !isOpen(id, solution, plan, kept) else { return nil }
      return selected(want, kept.selection(id))
    }
  }

  /// Parameters whose numbers are not the original's at the kept indices. An input that happens to be multiplied by zero hides them from
  /// every value that is computed.
  private static func changedParameters(_ solution: Solution, _ kept: KeptIndices, _ smaller: Module) -> [Difference] {
    let contents = Dictionary(
      smaller.parameters.map { (smaller[$0.value].name, $0.content) }, uniquingKeysWith: { first, _ in first })
    var faults: [Difference] = []
    for parameter in solution.module.parameters where parameter.content.element.isFloat && !parameter.content.isMissing {
      let name = solution.module[parameter.value].name
      guard let have = contents[name] else { continue }
      let want = parameter.content.keeping(kept.selection(parameter.value))
      guard !isSame(want, have), let left = Tensor(want), let right = Tensor(have) else { continue }
      let error = left.shape == right.shape ? relativeError(left, right) : nil
      let summary = "\(name) (\(right.type)) is not what the plan keeps of the original's numbers (\(left.type))"
      faults.append(Difference(name: name, error: error, summary: summary))
      if faults.count == 3 { break }
    }
    return faults
  }

  static func isSame(_ one: TensorContent, _ other: TensorContent) -> Bool {
    guard one.element == other.element, one.shape == other.shape else { return false }
    if one.data.isIdentical(to: other.data), one.kept == other.kept { return true }
    return one.materialized().hasSameBytes(as: other.materialized())
  }

  /// The numbers that the symbols in the types of a module's inputs stand for.
  private static func symbols(_ module: Module, _ inputs: [RuntimeValue]) -> [String: Int] {
    var symbols: [String: Int] = [:]
    for (input, value) in zip(module.inputs, inputs) {
      guard let tensor = value.tensor else { continue }
      for (extent, length) in zip(module[input].type.shape, tensor.shape) where extent.symbols == ["\(extent)"] {
        symbols["\(extent)"] = length
      }
    }
    return symbols
  }

  /// True where a pruned group stands on an axis whose length hangs on data: which of its positions are kept cannot be listed, and what
  /// is made of it is compared instead.
  private static func isOpen(_ value: ValueID, _ solution: Solution, _ plan: Plan, _ kept: KeptIndices) -> Bool {
    solution.axes[value.index].contains { layout in
      kept.length(solution.table.extent(layout)) == nil && solution.groups(in: layout).contains { plan.kept[$0] != nil }
    }
  }

  /// What is kept of a tensor.
  private static func selected(_ tensor: Tensor, _ selection: TensorSelection) -> Tensor {
    if selection.isWhole { return tensor }
    let content = TensorContent(tensor.data, element: tensor.element, shape: tensor.shape).keeping(selection)
    return Tensor(content) ?? tensor
  }

  fileprivate static func difference(
    _ name: String, _ want: Tensor, _ have: Tensor, tolerance: Double, least: Double = 0
  ) -> (error: Double, fault: Difference?) {
    guard want.shape == have.shape, want.element == have.element else {
      let summary = "\(name) is \(have.type), but should be \(want.type)"
      return (.infinity, Difference(name: name, error: nil, summary: summary))
    }
    let error = relativeError(want, have, least: least)
    guard !(error <= tolerance) else { return (error, nil) }
    let figure = error.isNaN ? "has numbers where the other has none" : "differs by \(error) of its largest number"
    return (error, Difference(name: name, error: error, summary: "\(name) \(figure)"))
  }

  /// The largest magnitude in a tensor; 0 where it is that of a mask rather than of something computed.
  fileprivate static func size(_ tensor: Tensor) -> Double {
    guard tensor.element.isFloat else { return 0 }
    let largest =
      tensor.withFloats { Double($0.reduce(0) { max($0, abs($1)) }) }
      ?? tensor.reals.reduce(0) { max($0, abs($1)) }
    return largest < 1e5 ? largest : 0
  }

  /// max |a − b| / max(10⁻⁶, least, max |a|); what is infinite or no number must be so in both, else NaN.
  public static func relativeError(_ want: Tensor, _ have: Tensor, least: Double = 0) -> Double {
    let quick = want.withFloats { want in have.withFloats { have in extremes(want, have) } ?? nil } ?? nil
    guard let (largest, worst) = quick ?? extremes(want.reals, have.reals) else { return .nan }
    return worst / max(1e-6, least, largest)
  }

  /// The largest finite |a| and the largest |a − b| of numbers in pairs; nil where one is infinite or no number and the other is not.
  private static func extremes<Numbers: RandomAccessCollection>(
    _ want: Numbers, _ have: Numbers
  ) -> (largest: Double, worst: Double)? where Numbers.Element: BinaryFloatingPoint {
    var (largest, worst) = (Numbers.Element.zero, Numbers.Element.zero)
    for (a, b) in zip(want, have) {
      if a == b || (a.isNaN && b.isNaN) {
        if a.isFinite { largest = max(largest, abs(a)) }
        continue
      }
      if !a.isFinite || !b.isFinite { return nil }
      largest = max(largest, abs(a))
      worst = max(worst, abs(a - b))
    }
    return (Double(largest), Double(worst))
  }
}

extension Tensor {
  /// Lends the numbers of an f32 tensor where they lie; nil for other types, and bytes that do not lie at a multiple of four.
  fileprivate func withFloats<Result>(_ body: (UnsafeBufferPointer<Float>) -> Result) -> Result? {
    guard element == .f32 else { return nil }
    return data.withUnsafeBytes { bytes in
      Int(bitPattern: bytes.baseAddress) % MemoryLayout<Float>.alignment == 0 ? body(bytes.bindMemory(to: Float.self)) : nil
    }
  }
}

/// Two models on their way through the same inputs.
struct Sides {
  private var left: Stepper
  private var right: Stepper
  private let outputs: [String]
  private let tolerance: Double
  /// How large numbers are so far: what is much smaller may be what rounding left of a difference of equal ones.
  private var scale: Double

  /// The models before their first step; `outputs` are the names of their outputs.
  init(left: Stepper, right: Stepper, outputs: [String], inputs: [RuntimeValue], tolerance: Double) {
    self.left = left
    self.right = right
    self.outputs = outputs
    self.tolerance = tolerance
    scale = inputs.map { $0.tensor.map(Proof.size) ?? 0 }.max() ?? 0
  }

  /// Runs both to the end. `expected` says what the right model should have for a value of the left one; nil where the two cannot be
  /// compared.
  consuming func compare(
    _ changedParameters: [Proof.Difference], _ expected: (String, Tensor) -> Tensor?
  ) throws(Diagnostic) -> Proof {
    var faults = changedParameters
    var compared = 0
    while let step = try left.advance() {
      guard faults.count < 5 else { break }
      for name in left.names(madeBy: step) {
        guard let made = try left.value(madeNow: name), made.element.isFloat, let want = expected(name, made),
          let have = try right.value(madeNow: name)
        else { continue }
        scale = max(scale, Proof.size(made))
        compared += 1
        let result = Proof.difference(name, want, have, tolerance: 10 * tolerance, least: 1e-3 * scale)
        if let fault = result.fault { faults.append(fault) }
      }
    }
    var errors: [(name: String, error: Double)] = []
    let (wanted, made) = (try left.outputs(), try right.outputs())
    for (name, (want, have)) in zip(outputs, zip(wanted, made)) {
      guard let want = want.tensor, let have = have.tensor else { continue }
      compared += 1
      let result = Proof.difference(name, want, have, tolerance: tolerance)
      errors.append((name, result.error))
      if let fault = result.fault { faults.append(fault) }
    }
    return Proof(outputs: errors, faults: faults, compared: compared, tolerance: tolerance)
  }
}
