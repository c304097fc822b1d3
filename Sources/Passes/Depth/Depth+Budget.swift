import Graph

extension Module {
  /// Takes over inferred types where inference found them.
  mutating func takeTypes(_ inferred: InferredModule) {
    for index in values.indices where inferred.types[index].isRanked { values[index].type = inferred.types[index] }
  }

  /// Multiply-adds of one run by the types that stand there; every symbol counts as 1.
  var multiplyAdds: Double {
    nodes.reduce(0) { total, node in
      guard let rules = node.operation.rules else { return total }
      func types(_ values: [ValueID?]) -> [TensorType?] { values.map { $0.map { self[$0].type } } }
      return total
        + rules.multiplyAdds(inputs: types(node.inputs), outputs: types(node.outputs), attributes: node.attributes)
    }
  }
}

extension Compilation {
  /// What the choice is asked for, where a share of the original's parameters or multiply-adds is to stay and blocks have gone already.
  func budgetForWhatIsLeft(_ solution: Solution) -> ChoiceOptions {
    var choice = options.choice
    guard let depth else { return choice }
    let (original, model) = (depth.blocks.module, SizeModel(solution: solution))
    let full = solution.groups.map(\.extent)
    func scaled(_ share: Double, _ before: Double, _ now: Double) -> Double { now > 0 ? min(1, share * before / now) : share }
    switch choice.budget {
    case .ratio, .latency, .memory: break
    case .parameters(let share):
      choice.budget = .parameters(scaled(share, Double(original.parameterCount), Double(model.parameters(full))))
    case .multiplyAdds(let share):
      choice.budget = .multiplyAdds(scaled(share, original.multiplyAdds, model.multiplyAdds(full)))
    }
    return choice
  }
}

extension ResidualBlocks {
  /// Finds the blocks of a module, by types that are inferred.
  public init(inferring module: Module) throws(Diagnostic) {
    var module = module
    module.takeTypes(try TypeInference.run(module, declared: VerifyDimensions.declared(in: module)))
    self.init(of: module)
  }
}
