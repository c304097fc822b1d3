import Formats
import Graph
import Runtime

/// Samples of what a model will see: what statistics, gradients and compensation are computed from.
///
/// Arrays are named after the model's inputs (`x`, or `in.x` as `run` wants them); their first axis counts samples. `labels` holds the wanted
/// class of each sample, or token.
public struct CalibrationData: Sendable {
  /// How many samples there are.
  public let count: Int
  /// How many samples are run at once.
  public let batchSize: Int
  /// True where the model takes exactly so many at a time.
  public let isFixedSize: Bool
  /// The array called `labels`, where there is one.
  public let labels: Tensor?
  private let inputs: [Input]
  private let mask: Int?

  private struct Input: Sendable {
    let tensor: Tensor
    /// False where one array serves every sample.
    let isSampled: Bool
  }

  /// The arrays of a file as samples for a module's inputs.
  ///
  /// Throws `invalid` for arrays that are missing, that no input is called by, or that disagree with an input's type or with one another.
  public init(_ arrays: [(name: String, array: NpyArray)], for module: Module) throws(Diagnostic) {
    let named = arrays.map { (name: $0.name.hasPrefix("in.") ? String($0.name.dropFirst(3)) : $0.name, array: $0.array) }
    let isInput = Set(module.inputs.map { module[$0].name })
    let others = named.filter { !($0.name == "labels" && !isInput.contains("labels")) }
    labels = try named.first { $0.name == "labels" && !isInput.contains("labels") }
      .map { (entry) throws(Diagnostic) in try Self.labels(entry.array) }
    // A model that takes one sample, or so many, at a time is shown that many.
    var fixed: (extent: Int, name: String)?
    var relaxed = module
    for input in module.inputs where module[input].type.rank > 0 {
      var shape = module[input].type.shape
      if let extent = shape.first?.constant {
        if let fixed, fixed.extent != extent {
          throw Diagnostic(
            .unsupported,
            "inputs \(fixed.name) and \(module[input].name) take \(fixed.extent) and \(extent) samples at a time, so samples cannot be told apart"
          )
        }
        fixed = (extent, module[input].name)
      }
      shape[0] = .symbol("samples")
      relaxed[input].type = TensorType(module[input].type.element, shape)
    }
    let values = try ArrayExchange.inputs(of: relaxed, from: others.map { ("in." + $0.name, $0.array) })
    var inputs: [Input] = []
    var count: (samples: Int, name: String)?
    for (input, value) in zip(module.inputs, values) {
      guard let tensor = value.tensor else {
        throw Diagnostic(.unsupported, "an input that is no tensor cannot be calibrated with", at: .tensor(module[input].name))
      }
      inputs.append(Input(tensor: tensor, isSampled: tensor.rank > 0))
      if tensor.rank > 0 { count = count ?? (tensor.shape[0], module[input].name) }
    }
    guard let count, count.samples > 0 else { throw Diagnostic(.invalid, "the data hold no sample") }
    let size = fixed?.extent ?? Self.size(inputs.map(\.tensor))
    if let fixed, count.samples % max(1, fixed.extent) != 0 {
      throw Diagnostic(
        .invalid,
        "the model takes \(fixed.extent) samples at a time, but \(count.samples) are given; give a multiple of \(fixed.extent)",
        at: .tensor(count.name))
    }
    if let labels, labels.shape.first != count.samples {
      throw Diagnostic(
        .invalid, "labels are \(labels.shape.first ?? 0), but there are \(count.samples) samples", at: .tensor("labels"))
    }
    self.inputs = inputs
    self.count = count.samples
    batchSize = max(1, size)
    isFixedSize = fixed != nil
    mask = zip(module.inputs, inputs).enumerated().first { _, pair in Self.isMask(module[pair.0].name, pair.1.tensor) }?.offset
  }

  private init(_ other: CalibrationData, inputs: [Input], labels: Tensor?, count: Int) {
    self.inputs = inputs
    self.labels = labels
    self.count = count
    isFixedSize = other.isFixedSize
    batchSize = other.isFixedSize ? other.batchSize : min(other.batchSize, max(1, count))
    mask = other.mask
  }

  /// Some of the samples; whole batches where the model takes a fixed number at a time.
  public func part(_ samples: Range<Int>) -> CalibrationData {
    CalibrationData(
      self, inputs: inputs.map { Input(tensor: $0.isSampled ? $0.tensor.rows(samples) : $0.tensor, isSampled: $0.isSampled) },
      labels: labels?.rows(samples), count: samples.count)
  }

  /// Number of batches.
  public var batchCount: Int { (count + batchSize - 1) / batchSize }

  private func samples(_ batch: Int) -> Range<Int> { batch * batchSize..<min(count, (batch + 1) * batchSize) }

  /// The model's inputs for one batch.
  public func batch(_ batch: Int) -> [RuntimeValue] {
    inputs.map { .tensor($0.isSampled ? $0.tensor.rows(samples(batch)) : $0.tensor) }
  }

  /// The model's inputs, as many samples at once as it takes.
  public var whole: [RuntimeValue] { isFixedSize ? batch(0) : inputs.map { .tensor($0.tensor) } }

  /// Labels of one batch.
  public func labels(batch: Int) -> Tensor? { labels?.rows(samples(batch)) }

  /// Which positions of a batch are padding: the input whose name says that it is a mask, [samples, positions], 1 where something stands.
  public func mask(batch: Int) -> Tensor? { mask.map { inputs[$0].tensor.rows(samples(batch)) } }

  private static func isMask(_ name: String, _ tensor: Tensor) -> Bool {
    name.lowercased().contains("mask") && tensor.rank == 2 && tensor.reals.allSatisfy { $0 == 0 || $0 == 1 }
  }

  private static func labels(_ array: NpyArray) throws(Diagnostic) -> Tensor {
    let element: ElementType? =
      switch array.code {
      case "i4": .i32
      case "i8": .i64
      case "u1": .u8
      case _: nil
      }
    guard let element, !array.shape.isEmpty, let tensor = Tensor(element, array.shape, data: array.data) else {
      throw Diagnostic(.invalid, "labels are whole numbers (int64), one for each sample or token", at: .tensor("labels"))
    }
    return tensor
  }

  /// So many samples at a time that their inputs take about four million bytes.
  private static func size(_ tensors: [Tensor]) -> Int {
    let bytes = tensors.map { $0.rank == 0 ? 0 : $0.data.count / max(1, $0.shape[0]) }.max() ?? 1
    return max(1, min(32, (1 << 22) / max(1, bytes)))
  }
}

extension Tensor {
  /// Some of the indices of the first axis; the bytes are shared.
  func rows(_ rows: Range<Int>) -> Tensor {
    let width = shape[0] == 0 ? 0 : data.count / shape[0]
    let range = data.range.lowerBound + rows.lowerBound * width..<data.range.lowerBound + rows.upperBound * width
    guard let part = TensorData(data.store, range: range),
      let tensor = Tensor(element, [rows.count] + shape.dropFirst(), data: part)
    else { return self }
    return tensor
  }
}
