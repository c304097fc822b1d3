import Graph
import Runtime

/// Runs modules, or parts of them, on samples, and takes statistics of what they make.
struct Calibration {
  let options: CompensationOptions
  let pool: WorkPool
  private let original: Module

  init(_ solution: Solution, _ options: CompensationOptions) {
    original = solution.module
    self.options = options
    pool = WorkPool(threads: options.threads)
  }

  /// The model's inputs in one batch of the samples, or of others.
  func given(_ batch: Int, of data: CalibrationData? = nil) -> [ValueID: Tensor] {
    var given: [ValueID: Tensor] = [:]
    for (input, value) in zip(original.inputs, (data ?? options.data).batch(batch)) { given[input] = value.tensor }
    return given
  }

  /// The part of a module that makes values out of others.
  func segment(_ module: Module, _ known: Set<ValueID>, _ wanted: [ValueID]) -> Segment {
    Segment(module, from: known, to: Set(wanted).sorted(), source: options.source, threads: options.threads)
  }

  /// What a segment makes, and what it was given.
  func values(_ segment: Segment, _ given: [ValueID: Tensor]) throws(Diagnostic) -> [ValueID: Tensor] {
    given.merging(try segment.run(given)) { $1 }
  }

  /// Adds a batch to the statistics of a site: `values` hold its input, `sums` the sum of the original, `drift` what its result should have more.
  func add(
    _ statistics: SiteStatistics, _ values: [ValueID: Tensor], _ sums: [ValueID: Tensor], _ batch: Int, drift: Tensor? = nil
  ) throws(Diagnostic) {
    let site = statistics.site
    let place = Diagnostic.Place.tensor(original[site.sum].name)
    guard let data = values[site.data], let sum = sums[site.sum] else {
      throw Diagnostic(.unsupported, "its values cannot be seen while the model runs", at: place)
    }
    for tensor in [data, sum] where !tensor.isFinite {
      throw Diagnostic(.invalid, "is not finite for some of the data, so nothing can be fitted to it", at: place)
    }
    // Where shapes hang on numbers, what is left of a model may make fewer rows, or more, than the original did.
    guard site.hasRows(of: data, sum), statistics.hasDrift == (drift != nil), drift.map({ $0.shape == sum.shape }) ?? true else {
      throw Diagnostic(
        .unsupported, "its shape depends on numbers that change when layers before it are cut, so nothing can be fitted to it",
        at: place)
    }
    try statistics.add(
      data: data, sum: sum, drift: drift, mask: options.data.mask(batch: batch),
      attributes: original.nodes[site.node].attributes, pool: pool)
  }
}

extension Tensor {
  /// True when no number is infinite or none at all.
  var isFinite: Bool {
    let count = count
    return withSingles { numbers in
      for index in 0..<count where !numbers[index].isFinite { return false }
      return true
    }
  }
}
