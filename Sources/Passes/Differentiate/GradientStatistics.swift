import Graph
import Runtime

/// Figures of gradients, gathered over batches: for every place where a weight carries a group, one per index of the group.
///
/// Memory: the model, what one batch makes, and one gradient per weight; saliency keeps the sum of each weight's gradient besides.
public struct GradientStatistics: Sendable {
  private let byPlace: [Place: [Double]]

  private struct Place: Hashable {
    let value: Int
    let axis: Int
    let leaf: Int32
  }

  /// What gradients are taken of, and on what.
  public struct Source: Sendable {
    /// The loss; nil: cross-entropy where there are labels, next-token for a model of tokens with logits, else the sum of squares.
    public var loss: Loss?
    /// The output that the loss is of; nil for the loss's own choice.
    public var output: String?
    /// Samples.
    public var data: CalibrationData
    /// Deviation of the noise on the targets of `distortion`, in shares of each output's own.
    public var noise = 0.1
    /// Seed of the noise.
    public var seed: UInt64 = 0
    /// Threads to compute with.
    public var threads = 1
    /// The model that the module was imported from, which control flow needs to be executed.
    public var source: NamedModel?

    /// The defaults, with samples.
    public init(data: CalibrationData) { self.data = data }
  }

  /// The figures of an index by a place: zeros where nothing was gathered.
  func figures(of group: Group, at place: Group.Occurrence) -> [Double]? {
    byPlace[Place(value: place.value.index, axis: place.axis, leaf: group.leaf)]
  }

  /// Runs the gradient of the loss over all batches and gathers what a criterion of gradients goes by, for some groups. The gradient of
  /// the data is the sum of the batches' gradients.
  ///
  /// Throws `unsupported` where no gradient passes a node, `invalid` for data that do not fit the loss (labels out of range, none) and
  /// for gradients that are not finite, naming the tensor.
  public init(
    _ solution: Solution, criterion: Criterion, groups: Set<Int>, source: Source, progress: (Double) -> Void = { _ in }
  ) throws(Diagnostic) {
    let module = solution.module
    let loss = Self.loss(source, module)
    let placed = try loss.appended(to: module, output: source.output)
    let isTrainable = Swift.Set(module.trainable)
    let occurrences = groups.sorted().flatMap { index in
      solution.groups[index].occurrences.filter { isTrainable.contains($0.value) }.map { (solution.groups[index], $0) }
    }
    let targets = Swift.Set(occurrences.map(\.1.value)).sorted()
    let session = Session(
      try Differentiate.run(placed.module, of: placed.value, by: targets), source: source.source, threads: source.threads)
    let feeder = try Feeder(loss, placed, module, source)
    var gathering = Gathering(solution, criterion, occurrences.map { ($0.0, $0.1) })
    for batch in 0..<source.data.batchCount {
      progress(Double(batch) / Double(max(1, source.data.batchCount)))
      let gradients = try session.run(try feeder.inputs(batch))
      for (target, value) in zip(targets, gradients) {
        guard let gradient = value.tensor else { continue }
        guard gradient.isFinite else {
          throw Diagnostic(
            .invalid,
            "its gradient is not finite for batch \(batch) of the data; look for samples or weights that are no numbers",
            at: .tensor(module[target].name))
        }
        gathering.add(gradient, of: target)
      }
    }
    byPlace = Dictionary(
      uniqueKeysWithValues: gathering.finished().map { entry in
        (Place(value: entry.place.value.index, axis: entry.place.axis, leaf: entry.group.leaf), entry.figures)
      })
  }

  private static func loss(_ source: Source, _ module: Module) -> Loss {
    if let loss = source.loss { return loss }
    if source.data.labels != nil { return .crossEntropy }
    let first = module.outputs.first.map { module[$0].type }
    let readsTokens = module.inputs.contains { module[$0].name == "input_ids" }
    return first?.rank == 3 && readsTokens && module.outputs.first.map { module[$0].name == "logits" } == true
      ? .nextToken : .sumSquares
  }

  /// Gives each batch what the loss needs beside the model's inputs.
  private struct Feeder {
    private let loss: Loss
    private let added: [String]
    private let data: CalibrationData
    private let classes: Int?
    private let noise: Double
    private let seed: UInt64
    /// The model itself, where its outputs are the targets.
    private let original: Session?
    private let outputs: [String]

    init(_ loss: Loss, _ placed: Loss.Placed, _ module: Module, _ source: Source) throws(Diagnostic) {
      (self.loss, added, data, noise, seed) = (loss, placed.inputs, source.data, source.noise, source.seed)
      outputs = module.outputs.map { module[$0].name }
      original = loss == .distortion ? Session(module, source: source.source, threads: source.threads) : nil
      let output = source.output.flatMap { name in module.outputs.first { module[$0].name == name } } ?? module.outputs.first
      classes = output.flatMap { module[$0].type.shape.dropFirst().first?.constant }
      if loss == .crossEntropy {
        guard let labels = data.labels else {
          throw Diagnostic(
            .invalid,
            "the loss cross-entropy needs an array 'labels' in the data: the class of each sample; or choose another --loss")
        }
        if let classes { try Loss.check(labels: labels, classes: classes) }
      }
      if loss == .meanSquares {
        throw Diagnostic(.invalid, "the loss mse needs targets, which calibration data do not hold; choose another --loss")
      }
    }

    func inputs(_ batch: Int) throws(Diagnostic) -> [RuntimeValue] {
      var inputs = data.batch(batch)
      switch loss {
      case .sumSquares, .nextToken, .meanSquares: break
      case .crossEntropy: if let labels = data.labels(batch: batch) { inputs.append(.tensor(labels.whole)) }
      case .distortion:
        let made = try original?.run(inputs).map(\.tensor) ?? []
        var targets: [Tensor] = []
        for name in added {
          guard let at = outputs.firstIndex(where: { Loss.target(of: $0) == name }), let tensor = made[at] else { continue }
          targets.append(tensor)
        }
        inputs += Loss.noisy(targets, deviation: noise, seed: seed &+ UInt64(batch)).map { .tensor($0) }
      }
      return inputs
    }
  }
}

extension Tensor {
  /// Whole numbers as 64 bits.
  fileprivate var whole: Tensor { element == .i64 ? self : Tensor(wholes: wholes, .i64, shape) }
}

/// Sums of w·g over slices, batch after batch.
private struct Gathering {
  struct Entry {
    let group: Group
    let place: Group.Occurrence
    var figures: [Double]
  }

  private let criterion: Criterion
  private let solution: Solution
  private var entries: [Entry]
  private var byValue: [ValueID: [Int]]
  private let weights: [ValueID: TensorContent]
  /// Saliency takes absolute values of products with the gradient of all data, so that gradient is kept.
  private var sums: [ValueID: [Float]] = [:]

  init(_ solution: Solution, _ criterion: Criterion, _ occurrences: [(Group, Group.Occurrence)]) {
    (self.solution, self.criterion) = (solution, criterion)
    entries = occurrences.map { Entry(group: $0.0, place: $0.1, figures: Array(repeating: 0, count: $0.0.extent)) }
    byValue = Dictionary(grouping: entries.indices) { [entries] in entries[$0].place.value }
    weights = Dictionary(solution.module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func add(_ gradient: Tensor, of value: ValueID) {
    let numbers = gradient.reals
    switch criterion {
    case .saliency:
      if sums[value] == nil { sums[value] = Array(repeating: 0, count: numbers.count) }
      for at in numbers.indices { sums[value]?[at] += Float(numbers[at]) }
    case .taylor, .fisher: addSlices(numbers, of: value)
    case .random, .l1, .l2, .linf, .bnScale, .fpgm, .lamp, .remain: break
    }
  }

  private mutating func addSlices(_ gradient: [Double], of value: ValueID) {
    guard let content = weights[value], let weight = Tensor(content)?.reals, weight.count == gradient.count else { return }
    for index in byValue[value] ?? [] {
      let slices = slices(entries[index], content.shape) { weight[$0] * gradient[$0] }
      for (member, sum) in slices.enumerated() { entries[index].figures[member] += criterion == .fisher ? sum * sum : sum }
    }
  }

  /// The sum of a figure of every number over each index's slice.
  private func slices(_ entry: Entry, _ shape: [Int], _ figure: (Int) -> Double) -> [Double] {
    let axis = entry.place.axis
    let members = solution.positions(of: entry.group.leaf, in: solution.axes[entry.place.value.index][axis])
    let (outer, inner) = (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *))
    var sums = [Double](repeating: 0, count: entry.group.extent)
    guard members.count == shape[axis] else { return sums }
    var at = 0
    for _ in 0..<outer {
      for member in members {
        var sum = 0.0
        for number in at..<at + inner { sum += figure(number) }
        if member >= 0 { sums[Int(member)] += sum }
        at += inner
      }
    }
    return sums
  }

  func finished() -> [Entry] {
    entries.map { entry in
      var entry = entry
      switch criterion {
      case .taylor: entry.figures = entry.figures.map(abs)
      case .saliency:
        if let content = weights[entry.place.value], let weight = Tensor(content)?.reals, let gradient = sums[entry.place.value] {
          entry.figures = slices(entry, content.shape) { abs(weight[$0] * Double(gradient[$0])) }
        }
      case .fisher, .random, .l1, .l2, .linf, .bnScale, .fpgm, .lamp, .remain: break
      }
      return entry
    }
  }
}
