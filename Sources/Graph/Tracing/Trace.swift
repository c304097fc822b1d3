import Graph

/// A model that is being traced: its inputs come from here, and its outputs go here.
public struct Trace: Sendable {
  let builder: TraceBuilder

  /// An input of the model. Lengths known only when it runs are symbols: `["batch", 3, 32, 32]` is written
  /// `[Extent.symbol("batch"), 3, 32, 32]`.
  public func input(
    _ name: String, _ shape: [any AxisLength], element: ElementType = .f32, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    let extents = shape.map(\.extent)
    if let wrong = extents.first(where: { ($0.constant ?? 1) < 1 }) {
      builder.fail("input \(name) has an axis of \(wrong) indices", site)
      return builder.poisoned(site)
    }
    return builder.input(name, TensorType(element, extents), site)
  }

  /// Names a tensor as an output of the model.
  public func output(_ name: String, _ tensor: Tensor, file: StaticString = #fileID, line: UInt = #line) {
    builder.output(name, tensor, Site(file, line))
  }

  /// Numbers that are part of the program rather than weights: named, they keep their name in the graph.
  public func constant(
    _ numbers: [Double], shape: [Int]? = nil, element: ElementType = .f32, name: String? = nil, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    let shape = shape ?? [numbers.count]
    guard Graph.Tensor.count(shape) == numbers.count, NumberFormatCheck.isReal(element) else {
      builder.fail("constant: \(numbers.count) numbers do not fill \(element.rawValue)\(shape)", site)
      return builder.poisoned(site)
    }
    let content = TensorContent(Graph.Tensor(reals: numbers, element, shape).data, element: element, shape: shape)
    return builder.stored(name, content, path: nil, site)
  }

  /// 0, 1, 2, … up to before a length, which may be symbolic.
  public func range(
    _ length: any AxisLength, element: ElementType = .i64, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line, path: "")
    func whole(_ number: Int) -> Tensor { builder.constant(wholes: [number], [], site) }
    let end =
      length.extent.constant.map(whole)
      ?? builder.length(length.extent, site).made(.reshaping(.squeeze), [builder.constant(wholes: [0], [1], site)], [], site)
    return builder.node(.generation(.range), [whole(0), end, whole(1)], site).cast(to: element, file: file, line: line)
  }

  /// Truth values [length, length]: query i sees key j where j ≤ i, and with a `window` only where i − j < window.
  public func causalMask(
    _ length: any AxisLength, window: Int? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let positions = range(length, file: file, line: line)
    let queries = positions.unsqueezed(axis: 1, file: file, line: line)
    let keys = positions.unsqueezed(axis: 0, file: file, line: line)
    let past = keys .<= queries
    guard let window else { return past }
    return past .& ((queries - keys) .< Double(window))
  }

  /// Keeps a failure: the trace throws the first one when it ends.
  public func fail(_ message: String, file: StaticString = #fileID, line: UInt = #line) {
    builder.fail(message, Site(file, line))
  }
}

/// Which types hold real or whole numbers.
enum NumberFormatCheck {
  static func isReal(_ element: ElementType) -> Bool { element.isFloat || element.isInteger || element == .bool }
}

/// Traces a model: runs `body` once and gives the program that its operations make.
///
/// The parameters are those that the properties of `model` lead to, in that order, whether they are read or not; `body` takes inputs from
/// the trace and gives it outputs. The result prints as `.ir`, verifies, is pruned, runs and is exported as any other module.
///
/// `renaming` changes the names that parameters have in checkpoints and in the graph, for models that are stored in more than one way.
///
/// Throws the first failure: an operation whose operands do not fit, with its Swift file and line; or all weights that are missing, left
/// over or of another shape, in one message.
public func trace(
  _ name: String, _ model: some Layer, weights: Weights = .random(seed: 0), renaming: (String) -> String = { $0 },
  _ body: (Trace) -> Void
) throws(Diagnostic) -> Module {
  let walk = try ParameterWalk(model).renamed(renaming)
  let contents = try WeightLoader.contents(walk, weights, model: name)
  let builder = TraceBuilder(name: name)
  for (named, content) in zip(walk.parameters, contents) {
    let path = named.name.split(separator: ".").dropLast().joined(separator: ".")
    let stored = builder.stored(named.name, content, path: path, .parameter)
    builder.bind(named.parameter.identity, to: stored)
  }
  TraceBuilder.$current.withValue(builder) { body(Trace(builder: builder)) }
  return try builder.finished()
}

/// Traces a computation without parameters of its own.
public func trace(_ name: String, _ body: (Trace) -> Void) throws(Diagnostic) -> Module {
  try trace(name, NoParameters(), body)
}

private struct NoParameters: Layer {}
