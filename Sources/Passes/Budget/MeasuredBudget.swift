import Foundation
import Graph
import Runtime

/// A budget that only the machine can tell: sizes are chosen by a model of the cost, the model that would come of them is measured, and the
/// goal is moved by how far the two are apart.
final class MeasuredBudget {
  /// What is measured.
  enum Quantity: Sendable {
    /// Seconds of a run.
    case latency
    /// Bytes of weights and of what lies between the nodes.
    case memory
  }

  let costs: any CostModel
  /// The cost by the model when nothing is removed.
  let full: Double
  private let solution: Solution
  private let quantity: Quantity
  private let inputs: [RuntimeValue]
  private let source: NamedModel?
  private let threads: Int
  private let original: Session
  /// What is asked of the cost model for a share of 1 of the measured quantity.
  private var correction = 1.0
  private var known: [[Int]: Double] = [:]

  /// `inputs`: what a run is given.
  init(
    _ quantity: Quantity, _ solution: Solution, inputs: [RuntimeValue], source: NamedModel?, threads: Int, table: CostTable?
  ) throws(Diagnostic) {
    self.solution = solution
    self.quantity = quantity
    self.inputs = inputs
    self.source = source
    self.threads = threads
    original = Session(solution.module, source: source, threads: threads)
    var symbols: [String: Int] = [:]
    for (input, value) in zip(solution.module.inputs, inputs) {
      for (extent, number) in zip(solution.inferred.types[input.index].shape, value.tensor?.shape ?? []) {
        if let symbol = extent.symbols.first, extent.symbols == ["\(extent)"] { symbols[symbol] = number }
      }
    }
    let sizes = SizeModel(solution: solution)
    let extents = solution.groups.map(\.extent)
    switch (quantity, table) {
    case (.latency, let table?): costs = LatencyCost(sizes: sizes, symbols: symbols, table: table)
    case (.latency, nil): costs = MultiplyAddCost(sizes: sizes)
    case (.memory, _):
      let all = MemoryCost(sizes: sizes, symbols: symbols, share: 1)
      let values = all.cost(extents, parameters: [], nodes: Array(solution.module.nodes.indices))
      let planned = Double(try original.steps(for: inputs).activationBytes)
      costs = MemoryCost(sizes: sizes, symbols: symbols, share: values > 0 ? planned / values : 1)
    }
    full = costs.total(extents, of: solution.module)
  }

  /// Sizes that keep `share` of what is measured. `choose` gives sizes for a cost by the model, in its unit.
  func sizes(keeping share: Double, _ choose: (Double) -> [Int]) throws(Diagnostic) -> [Int] {
    var best: (sizes: [Int], distance: Double)?
    for _ in 0..<6 {
      let sizes = choose(full * share * correction)
      let measured = try self.share(sizes)
      let distance = abs(measured - share)
      if distance < best?.distance ?? .infinity { best = (sizes, distance) }
      if distance <= 0.015 * max(share, 0.2) || sizes == solution.groups.map(\.extent) { break }
      correction *= max(0.25, min(4, share / measured))
    }
    return best?.sizes ?? solution.groups.map(\.extent)
  }

  /// The share of the original that a model of these sizes measures.
  func share(_ sizes: [Int]) throws(Diagnostic) -> Double {
    if let known = known[sizes] { return known }
    let share = try share(of: try model(sizes))
    known[sizes] = share
    return share
  }

  /// The share of the original that a smaller model measures.
  func share(of module: Module) throws(Diagnostic) -> Double {
    let smaller = Session(module, source: source, threads: threads)
    switch quantity {
    case .latency: return try Self.ratio(smaller, original, inputs)
    case .memory:
      func bytes(_ session: Session) throws(Diagnostic) -> Double {
        let weights = session.module.parameters.reduce(0) { $0 + ($1.content.element.isData ? $1.content.elementCount * 4 : 0) }
        return Double(weights + (try session.steps(for: inputs)).activationBytes)
      }
      return try bytes(smaller) / max(1, try bytes(original))
    }
  }

  /// A model of these sizes; which indices stay does not matter to its cost.
  private func model(_ sizes: [Int]) throws(Diagnostic) -> Module {
    var plan = Plan(kept: Array(repeating: nil, count: sizes.count))
    for (index, size) in sizes.enumerated() where size < solution.groups[index].extent { plan.kept[index] = Array(0..<size) }
    return try Shrinker(solution: solution, plan: plan).run()
  }

  /// The median, over turns that both take, of one session's time over the other's.
  static func ratio(_ one: Session, _ other: Session, _ inputs: [RuntimeValue]) throws(Diagnostic) -> Double {
    let clock = ContinuousClock()
    func seconds(_ session: Session, _ runs: Int) throws(Diagnostic) -> Double {
      var best = Double.infinity
      for _ in 0..<runs {
        let start = clock.now
        _ = try session.run(inputs)
        best = min(best, (clock.now - start) / .seconds(1))
      }
      return best
    }
    _ = try seconds(one, 2)
    let each = try seconds(other, 2)
    let runs = max(1, min(20, Int(0.03 / max(each, 1e-6))))
    var ratios: [Double] = []
    let begin = clock.now
    while ratios.count < 5 || ratios.count < 41 && (clock.now - begin) / .seconds(1) < 1.2 {
      let first = try seconds(one, runs)
      ratios.append(first / max(try seconds(other, runs), 1e-9))
    }
    return ratios.sorted()[ratios.count / 2]
  }
}

/// What a run of the model is measured with.
public struct MeasurementOptions: Sendable {
  /// Values for the model's inputs.
  public var inputs: [RuntimeValue]
  /// Threads of a run.
  public var threads: Int
  /// How long products take on this machine; nil to count multiply-adds instead.
  public var table: CostTable?
  /// The model that the module was imported from.
  public var source: NamedModel?

  /// All of it.
  public init(inputs: [RuntimeValue], threads: Int, table: CostTable?, source: NamedModel?) {
    self.inputs = inputs
    self.threads = threads
    self.table = table
    self.source = source
  }
}

extension Compilation {
  /// The budget as the machine tells it; nil where it can be counted.
  func measuredBudget(_ solution: Solution) throws(Diagnostic) -> MeasuredBudget? {
    let quantity: MeasuredBudget.Quantity
    switch options.choice.budget {
    case .ratio, .parameters, .multiplyAdds: return nil
    case .latency: quantity = .latency
    case .memory: quantity = .memory
    }
    guard let measurement = options.measurement else { return nil }
    return try MeasuredBudget(
      quantity, solution, inputs: measurement.inputs, source: measurement.source, threads: measurement.threads,
      table: measurement.table)
  }
}
