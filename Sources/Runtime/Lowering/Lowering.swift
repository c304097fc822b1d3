import Graph

/// One step from a model to a graph that runs fast. Each leaves a graph that computes the same, to rounding.
public struct LoweringPass: Sendable {
  /// What `--print-after` calls it.
  public let name: String
  /// What it does, in one line.
  public let summary: String
  /// Does it.
  let run: @Sendable (inout Module) throws(Diagnostic) -> Void
}

/// The passes that make a graph fast, in order.
public enum Lowering {
  /// One stage of lowering, for people: its name, and what it does.
  public typealias Stage = (name: String, summary: String)

  /// What `lower` does, in order.
  public static let stages: [Stage] = [specialise] + passes.map { ($0.name, $0.summary) }

  private static let specialise: Stage = ("specialise", "fix the shapes of the inputs, and all that follows from them")

  /// All passes. `specialise` comes before them.
  public static let passes: [LoweringPass] = [
    widenGathered, foldConstants, widen, expandBatchNorm, expandResize, foldScales, expandTransposed, recogniseActivations,
    recogniseNorms,
    recogniseAttention,
    LoweringPass(name: "fold-masks", summary: "compute what recognition left to compute", run: foldConstants.run),
  ]

  /// The passes that leave every node what it is, so that each value can still be looked at.
  static let plainPasses = [widenGathered, foldConstants, widen]

  /// A module for inputs of the given shapes, with every pass done. `after` sees the module after each.
  ///
  /// Throws where the shapes do not fit the model.
  public static func lower(
    _ module: Module, inputs: [TensorType], passes: [LoweringPass] = passes, after: (Stage, Module) -> Void = { _, _ in }
  ) throws(Diagnostic) -> Module {
    var lowered = try specialised(module, inputs: inputs)
    after(specialise, lowered)
    for pass in passes {
      try pass.run(&lowered)
      after((pass.name, pass.summary), lowered)
    }
    return lowered
  }

  /// The module with the types of its inputs fixed, and all that follows from them.
  ///
  ///     %n = shape %x;  %y = reshape %x, %n   : f32[batch, 4]     becomes     %y = reshape %x, 〈3, 4〉 : f32[3, 4]
  static func specialised(_ module: Module, inputs: [TensorType]) throws(Diagnostic) -> Module {
    var module = module
    for (input, type) in zip(module.inputs, inputs) { module[input].type = type }
    let inferred = try TypeInference.run(module)
    for index in module.values.indices { module.values[index].type = inferred.types[index] }
    var isParameter = Set(module.parameters.map(\.value))
    for node in module.nodes {
      for case let output? in node.outputs {
        let type = module[output].type
        guard let known = inferred.numbers[output.index], type.staticShape == known.shape,
          let tensor = Tensor(known, type.element),
          isParameter.insert(output).inserted
        else { continue }
        module.parameters.append(
          Parameter(value: output, content: TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)))
      }
    }
    module.removeDead()
    return module
  }
}

extension Tensor {
  /// The numbers of shape arithmetic, where all are known.
  init?(_ known: KnownValue, _ element: ElementType) {
    if element.isFloat {
      var reals: [Double] = []
      for entry in known.entries {
        switch entry {
        case .real(let real): reals.append(real)
        case .whole(let extent):
          guard let whole = extent.constant else { return nil }
          reals.append(Double(whole))
        case .unknown: return nil
        }
      }
      self.init(reals: reals, element, known.shape)
    } else {
      guard element.isInteger || element == .bool, let numbers = known.numbers else { return nil }
      self.init(wholes: numbers, element, known.shape)
    }
  }

  /// The tensor as a parameter's numbers.
  var content: TensorContent { TensorContent(data, element: element, shape: shape) }
}

extension Module {
  /// Drops nodes whose results are parameters by now, or that nobody reads, and parameters that nobody reads.
  public mutating func removeDead() {
    let constants = Set(parameters.map(\.value))
    var isWanted = [Bool](repeating: false, count: values.count)
    for output in outputs { isWanted[output.index] = true }
    var kept: [Node] = []
    for node in nodes.reversed() {
      let made = node.outputs.compactMap { $0 }
      guard made.contains(where: { isWanted[$0.index] && !constants.contains($0) }) else { continue }
      for case let input? in node.inputs { isWanted[input.index] = true }
      for capture in node.captures { isWanted[capture.index] = true }
      var node = node
      // A result that became a constant is made by nobody any more.
      node.outputs = node.outputs.map { output in output.flatMap { constants.contains($0) ? nil : $0 } }
      kept.append(node)
    }
    nodes = kept.reversed()
    parameters = parameters.filter { isWanted[$0.value.index] }
  }

  /// What the named values need, and nothing else: these that no node reads are the outputs. Inputs stay.
  func cut(to names: Set<String>) -> Module {
    var module = self
    let inputs = Set(module.inputs)
    let made = module.nodes.flatMap { $0.outputs.compactMap { $0 } }
    module.outputs = made.filter { names.contains(module[$0].name) && !inputs.contains($0) }
    module.removeDead()
    let readers = module.readerCounts()
    // Each of the present outputs counts as read once by that.
    module.outputs.removeAll { readers[$0.index] > 1 }
    return module
  }

  /// Parameters by value.
  func constants() -> [ValueID: TensorContent] {
    Dictionary(parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
  }

  /// How many nodes read each value; outputs of the module count as one more.
  func readerCounts() -> [Int] {
    var counts = [Int](repeating: 0, count: values.count)
    for node in nodes {
      for case let input? in node.inputs { counts[input.index] += 1 }
      for capture in node.captures { counts[capture.index] += 1 }
    }
    for output in outputs { counts[output.index] += 1 }
    return counts
  }
}
