import Graph
import Runtime

/// How much each whole layer does.
///
/// With data: *block influence* (Men et al., "ShortGPT", 2024), the mean over positions of 1 − cosine of the stream before and after. A
/// stream's vectors lie on its last axis, those of images (convolutions) on axis 1; where before and after have different shapes, all
/// numbers are one vector.
///
/// Without: the model is run on random inputs, each layer bypassed in turn; what counts is ‖y − y'‖ / ‖y‖, the largest over the outputs.
/// That is a run for each layer, so models of more than `DepthOptions.largestBypassed` bytes of weights get their block influence on random
/// inputs instead, in one run that holds no more weights than its present step reads.
public struct DepthScores: Sendable {
  /// How worth is measured.
  public enum Measure: String, Sendable {
    case influence
    case outputChange = "output change"
    case randomInfluence = "influence on random inputs"
  }

  /// How worth was measured.
  public let measure: Measure
  /// Blocks of each layer, as `ResidualBlocks.units` has them.
  public let units: [[Int]]
  /// Worth by unit: 0 for a layer that does nothing.
  public let worth: [Double]

  /// Measures layers; throws where the model cannot be executed.
  public init(_ found: ResidualBlocks, units: [[Int]], options: DepthOptions, seed: UInt64) throws(Diagnostic) {
    self.units = units
    if let data = options.data {
      measure = .influence
      worth = try Self.influence(found, units, data, options)
    } else if found.module.parameters.reduce(0, { $0 + $1.content.byteCount }) > options.largestBypassed {
      measure = .randomInfluence
      worth = try InventedInputs.firstAccepted(for: found.module, seed: seed) { (inputs) throws(Diagnostic) in
        try Self.influence(found, units, inputs, options)
      }.result
    } else {
      measure = .outputChange
      worth = try Self.outputChange(found, units, options, seed)
    }
  }

  // MARK: Influence

  private static func influence(
    _ found: ResidualBlocks, _ units: [[Int]], _ data: [RuntimeValue], _ options: DepthOptions
  ) throws(Diagnostic) -> [Double] {
    let module = found.module
    let ends = units.map { unit in
      (
        before: unit.first.map { module[found.blocks[$0].stream].name } ?? "",
        after: unit.last.map { module[found.blocks[$0].result].name } ?? ""
      )
    }
    // How often a value is still needed.
    var needs: [String: Int] = [:]
    for end in ends {
      needs[end.before, default: 0] += 1
      needs[end.after, default: 0] += 1
    }
    var seen: [String: Stream] = [:]
    for (input, value) in zip(module.inputs, data) where needs[module[input].name] != nil {
      if let tensor = value.tensor { seen[module[input].name] = Stream(tensor) }
    }
    let isImage = units.map { unit in unit.contains { found.blocks[$0].kind == .convolution } }
    var waiting = Set(units.indices)
    var worth = [Double](repeating: 0, count: units.count)
    var run = try Stepper(
      module, source: options.source, inputs: data, threads: options.threads, only: Set(needs.keys))
    while !waiting.isEmpty, let step = try run.advance() {
      for name in run.names(madeBy: step) where needs[name] != nil {
        if let tensor = try run.value(madeNow: name) { seen[name] = Stream(tensor) }
      }
      for unit in waiting {
        guard let before = seen[ends[unit].before], let after = seen[ends[unit].after] else { continue }
        waiting.remove(unit)
        worth[unit] = 1 - before.cosine(with: after, isImage: isImage[unit])
        for name in [ends[unit].before, ends[unit].after] {
          needs[name, default: 1] -= 1
          if needs[name] == 0 { seen[name] = nil }
        }
      }
    }
    if let unit = waiting.min() {
      throw Diagnostic(
        .unsupported, "the stream cannot be seen here, so layers cannot be compared", at: .tensor(ends[unit].after))
    }
    return worth
  }

  /// A copy of a value of the stream.
  private struct Stream {
    let shape: [Int]
    let numbers: [Float]

    init(_ tensor: Tensor) {
      shape = tensor.shape
      numbers = tensor.reals.map(Float.init)
    }

    /// The mean over positions of the cosine between vectors of both; positions where either is zero do not count.
    func cosine(with other: Stream, isImage: Bool) -> Double {
      guard numbers.count == other.numbers.count else { return 0 }
      let axis = isImage && shape.count == 4 ? 1 : shape.count - 1
      let isAlike = shape == other.shape || !isImage && shape.last == other.shape.last
      let length = isAlike && shape.indices.contains(axis) ? shape[axis] : numbers.count
      let step = isAlike && shape.indices.contains(axis) ? shape[(axis + 1)...].reduce(1, *) : 1
      guard length > 0, step > 0 else { return 1 }
      var (sum, count) = (0.0, 0)
      for start in stride(from: 0, to: numbers.count, by: length * step) {
        for offset in 0..<step {
          var (product, own, others) = (0.0, 0.0, 0.0)
          for index in stride(from: start + offset, to: start + length * step, by: step) {
            let (a, b) = (Double(numbers[index]), Double(other.numbers[index]))
            product += a * b
            own += a * a
            others += b * b
          }
          guard own > 0, others > 0, product.isFinite else { continue }
          sum += product / (own * others).squareRoot()
          count += 1
        }
      }
      return count == 0 ? 1 : sum / Double(count)
    }
  }

  // MARK: Change of outputs

  private static func outputChange(
    _ found: ResidualBlocks, _ units: [[Int]], _ options: DepthOptions, _ seed: UInt64
  ) throws(Diagnostic) -> [Double] {
    let module = found.module
    let (inputs, outputs) = try InventedInputs.firstAccepted(for: module, seed: seed) { (inputs) throws(Diagnostic) in
      try Session(module, source: options.source, threads: options.threads).run(inputs)
    }
    var worth: [Double] = []
    for unit in units {
      let bypassed = BlockDropper.run(found, dropping: unit)
      let changed = try Session(bypassed, source: options.source, threads: options.threads).run(inputs)
      worth.append(zip(outputs, changed).map(change).max() ?? 0)
    }
    return worth
  }

  /// ‖a − b‖ / ‖a‖; 1 for outputs of other shapes.
  private static func change(_ a: RuntimeValue, _ b: RuntimeValue) -> Double {
    guard let a = a.tensor, let b = b.tensor else { return 0 }
    guard a.shape == b.shape else { return 1 }
    var (difference, size) = (0.0, 0.0)
    for (x, y) in zip(a.reals, b.reals) where x.isFinite && y.isFinite {
      difference += (x - y) * (x - y)
      size += x * x
    }
    return size > 0 ? (difference / size).squareRoot() : difference > 0 ? 1 : 0
  }
}

/// Inputs made up at random for models whose inputs have symbolic lengths: some lengths are tried until the model accepts them.
public enum InventedInputs {
  /// What `body` gives for the first inputs that it accepts, with those inputs. `given` are lengths that are known.
  ///
  /// Throws what `body` threw for the first lengths, where it accepts none or throws anything but `invalid`.
  public static func firstAccepted<Result>(
    for module: Module, seed: UInt64, extents given: [String: Int] = [:],
    trying lengths: [(batch: Int, other: Int)] = [(2, 6), (2, 16), (1, 8), (1, 1), (2, 2), (1, 64)],
    _ body: ([RuntimeValue]) throws(Diagnostic) -> Result
  ) throws(Diagnostic) -> (inputs: [RuntimeValue], result: Result) {
    let shapes = module.inputs.map { module[$0].type.shape }
    let symbols = Set(shapes.flatMap { $0.flatMap(\.symbols) })
    let batches = Set(shapes.compactMap { $0.first?.symbols.first })
    var first: Diagnostic?
    for (batch, other) in lengths {
      let extents = Dictionary(uniqueKeysWithValues: symbols.map { ($0, given[$0] ?? (batches.contains($0) ? batch : other)) })
      do throws(Diagnostic) {
        let inputs = try RandomInputs.values(of: module, extents: extents, seed: seed)
        return (inputs, try body(inputs))
      } catch {
        first = first ?? error
        // What does not fit at one length may fit at another; what cannot be executed never can.
        if error.kind != .invalid || symbols.allSatisfy({ given[$0] != nil }) { break }
      }
    }
    throw first ?? Diagnostic(.unsupported, "no inputs could be made up; give some with --inputs")
  }
}
