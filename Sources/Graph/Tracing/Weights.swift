import Graph

/// Where the numbers of a model's parameters come from.
public enum Weights: Sendable {
  /// Drawn at random; the same seed gives the same numbers, whatever else the model holds.
  case random(seed: UInt64)
  /// No numbers at all: the structure alone, which can be printed and solved but not run.
  case absent
  /// Stored tensors: all their names, and each by its name. Strict: every name and shape must be the model's.
  case stored(names: [String], content: @Sendable (String) -> TensorContent?)

  /// True where the weights are stored and one has this name.
  public func holds(_ name: String) -> Bool {
    switch self {
    case .random, .absent: false
    case .stored(let names, _): names.contains(name)
    }
  }

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
    case .absent: return walk.parameters.map { missingContent($0.parameter) }
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
          .invalid,
          "has the absurd shape \(named.parameter.shape), or \(model) more than 2^36 parameters; check the configuration",
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
      let (names, shape) = parts(of: named)
      var found: [TensorContent] = []
      for name in names {
        guard let part = content(name) else {
          missing.append("\(name) \(shape)")
          continue
        }
        let isFit = part.element == parameter.element || (part.element.isFloat && parameter.element.isFloat)
        if part.shape != shape {
          let hint = part.shape.count > 1 && part.shape == shape.reversed() ? ", transposed" : ""
          other.append("\(name) is \(part.shape) where the model has \(shape)\(hint)")
        } else if !isFit || part.element != (found.first?.element ?? part.element) {
          other.append(
            "\(name) is \(part.element.rawValue) where the model has \((found.first?.element ?? parameter.element).rawValue)")
        }
        found.append(part)
      }
      contents.append(names.count == 1 && named.isWhole ? found.first ?? missingContent(parameter) : stacked(found, parameter))
    }
    let known = Set(walk.parameters.flatMap { parts(of: $0).names }).union(walk.ignored)
    let extra = names.filter { !known.contains($0) }
    if missing.isEmpty, extra.isEmpty, other.isEmpty { return contents }
    var lists: [String] = []
    if !missing.isEmpty { lists.append("\(missing.count) missing: \(missing.joined(separator: ", "))") }
    if !extra.isEmpty { lists.append("\(extra.count) that the model does not have: \(extra.joined(separator: ", "))") }
    if !other.isEmpty { lists.append("\(other.count) that do not fit: \(other.joined(separator: ", "))") }
    throw Diagnostic(.invalid, "the weights are not those of \(model): \(lists.joined(separator: "; "))")
  }

  private static func missingContent(_ parameter: Parameter) -> TensorContent {
    TensorContent(TensorData([] as [UInt8]), element: parameter.element, shape: parameter.shape)
  }

  /// The stored tensors of a parameter and their shape: one of its own name, or one per index of its first axis.
  private static func parts(of named: NamedParameter) -> (names: [String], shape: [Int]) {
    let shape = named.parameter.shape
    guard !named.isWhole, let count = shape.first else { return ([named.name], shape) }
    return ((0..<count).map { named.storedName($0) }, Array(shape.dropFirst()))
  }

  /// Tensors one after the other, where there are as many as the parameter's first axis says; put together when somebody reads them.
  private static func stacked(_ parts: [TensorContent], _ parameter: Parameter) -> TensorContent {
    let bytes = parts.reduce(0) { $0 + $1.byteCount }
    guard let element = parts.first?.element, parts.count == parameter.shape.first,
      element.byteCount(of: Graph.Tensor.count(parameter.shape) ?? -1) == bytes
    else { return missingContent(parameter) }
    let data = TensorData(lazy: bytes) { target in
      var at = 0
      for part in parts {
        part.write { piece in
          UnsafeMutableRawBufferPointer(rebasing: target[at..<at + piece.count]).copyMemory(from: piece)
          at += piece.count
        }
        part.data.rest()
      }
    }
    return TensorContent(data, element: element, shape: parameter.shape)
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
