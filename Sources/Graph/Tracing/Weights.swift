import Graph

/// Where the numbers of a model's parameters come from.
public enum Weights: Sendable {
  /// Drawn at random; the same seed gives the same numbers, whatever else the model holds.
  case random(seed: UInt64)
  /// No numbers at all: the structure alone, which can be printed and solved but not run.
  case absent
  /// Stored tensors: all their names, and each by its name. Strict: every name and shape must be the model's.
  case stored(names: [String], content: @Sendable (String) -> TensorContent?)

  /// Stored tensors by name.
  public static func stored(_ tensors: [String: TensorContent]) -> Weights {
    .stored(names: tensors.keys.sorted(), content: { tensors[$0] })
  }
}

/// Gives every parameter its numbers.
struct WeightLoader {
  /// Numbers that random weights may take at most; more is a mistake in a configuration.
  private static let mostNumbers = 1 << 36

  /// One content per parameter, in order. Throws one diagnostic that lists every tensor that is missing, left over, or of another shape.
  static func contents(_ walk: ParameterWalk, _ weights: Weights, model: String) throws(Diagnostic) -> [TensorContent] {
    try checkSizes(walk, model)
    switch weights {
    case .absent:
      return walk.parameters.map {
        TensorContent(TensorData([] as [UInt8]), element: $0.parameter.element, shape: $0.parameter.shape)
      }
    case .random(let seed): return walk.parameters.map { random($0, seed) }
    case .stored(let names, let content): return try stored(walk, names, content, model)
    }
  }

  private static func checkSizes(_ walk: ParameterWalk, _ model: String) throws(Diagnostic) {
    var total = 0
    for named in walk.parameters {
      let count = Graph.Tensor.count(named.parameter.shape)
      guard let count, total <= mostNumbers - min(count, mostNumbers), count <= mostNumbers else {
        throw Diagnostic(
          .invalid, "has the absurd shape \(named.parameter.shape), or \(model) more than 2^36 parameters; check the configuration",
          at: .tensor(named.name))
      }
      total += count
    }
  }

  private static func stored(
    _ walk: ParameterWalk, _ names: [String], _ content: @Sendable (String) -> TensorContent?, _ model: String
  ) throws(Diagnostic) -> [TensorContent] {
    var contents: [TensorContent] = []
    var missing: [String] = []
    var other: [String] = []
    for named in walk.parameters {
      let parameter = named.parameter
      guard let found = content(named.name) else {
        missing.append("\(named.name) \(parameter.shape)")
        continue
      }
      let isFit = found.element == parameter.element || (found.element.isFloat && parameter.element.isFloat)
      if found.shape != parameter.shape {
        let hint = found.shape.count > 1 && found.shape == parameter.shape.reversed() ? ", transposed" : ""
        other.append("\(named.name) is \(found.shape) where the model has \(parameter.shape)\(hint)")
      } else if !isFit {
        other.append("\(named.name) is \(found.element.rawValue) where the model has \(parameter.element.rawValue)")
      }
      contents.append(found)
    }
    let known = Set(walk.parameters.map(\.name)).union(walk.ignored)
    let extra = names.filter { !known.contains($0) }
    if missing.isEmpty, extra.isEmpty, other.isEmpty { return contents }
    var parts: [String] = []
    if !missing.isEmpty { parts.append("\(missing.count) missing: \(missing.joined(separator: ", "))") }
    if !extra.isEmpty { parts.append("\(extra.count) that the model does not have: \(extra.joined(separator: ", "))") }
    if !other.isEmpty { parts.append("\(other.count) that do not fit: \(other.joined(separator: ", "))") }
    throw Diagnostic(.invalid, "the weights are not those of \(model): \(parts.joined(separator: "; "))")
  }

  private static func random(_ named: NamedParameter, _ seed: UInt64) -> TensorContent {
    let parameter = named.parameter
    let count = Graph.Tensor.count(parameter.shape) ?? 0
    // Every tensor has its own stream, so that numbers do not depend on what stands before (FNV-1a over the name).
    var stream = SplitMix(
      seed: named.name.utf8.reduce(seed ^ 0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
    func next() -> Double {
      switch parameter.initialiser {
      case .constant(let number): number
      case .uniform(let bound): (2 * stream.unit() - 1) * bound
      case .normal(let deviation): stream.normal() * deviation
      }
    }
    let data: TensorData
    if parameter.element == .f32 {
      data = TensorData(count: count * 4) { target in
        for index in 0..<count { target.storeBytes(of: Float(next()), toByteOffset: index * 4, as: Float.self) }
      }
    } else {
      data = Graph.Tensor(reals: (0..<count).map { _ in next() }, parameter.element, parameter.shape).data
    }
    return TensorContent(data, element: parameter.element, shape: parameter.shape)
  }
}
