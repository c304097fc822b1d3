/// Types that stand in the text against those that follow from the inputs.
extension ModuleParser {
  /// Throws the first line whose types are not those that inference finds. Where an extent depends on data, the text may name it, and where
  /// inference knows nothing (opaque operators), the text is believed.
  func checkTypes() throws(Diagnostic) {
    var declared: [ValueID: TensorType] = [:]
    for node in module.nodes {
      for case let output? in node.outputs { declared[output] = module[output].type }
    }
    // Without names of nodes, faults are named by the first result, which is unique; and what outputs are is compared below, line by line.
    var body = module
    body.outputs = []
    for index in body.nodes.indices where !body.nodes[index].name.isEmpty { body.nodes[index].name = "" }
    let inferred: InferredModule
    do throws(Diagnostic) {
      inferred = try TypeInference.run(body, declared: declared)
    } catch {
      throw located(error)
    }
    for node in module.nodes {
      for case let output? in node.outputs {
        let (stated, found) = (module[output].type, inferred.types[output.index])
        if !Self.agree(stated, found) {
          throw lexer.failure(
            "states \(ModuleSpelling.type(stated)), inferred \(ModuleSpelling.type(found))", at: places[output.index].type)
        }
      }
    }
  }

  private static func agree(_ stated: TensorType, _ found: TensorType) -> Bool {
    if stated == found { return true }
    guard stated.element == found.element, stated.isRanked, found.isRanked, stated.rank == found.rank else { return false }
    return zip(stated.shape, found.shape).allSatisfy { $0 == $1 || ($0.dependsOnData && $1.dependsOnData) }
  }

  /// A failure of a node, at the line that makes its first result.
  private func located(_ error: Diagnostic) -> Diagnostic {
    switch error.place {
    case .node(let name), .tensor(let name):
      if let id = ids[name] { return lexer.failure(error.message, at: places[id.index].name, error.kind) }
      return error
    case .none, .text, .byte: return error
    }
  }
}
