import Graph

/// Infers every type from scratch and compares with what the module states; checks each operator's own conditions on the way
/// (divisibility of heads and groups, split sizes that add up, element counts of reshapes, broadcasts). It knows nothing of layouts
/// or plans.
public enum VerifyDimensions {
  /// Everything that disagrees, in order; empty when the module is sound. The first failure inside an operator ends the inference, as
  /// what follows it has no types.
  public static func run(_ module: Module) -> [Diagnostic] {
    let inferred: InferredModule
    do {
      inferred = try TypeInference.run(module, declared: declared(in: module))
    } catch {
      return [error]
    }
    var faults: [Diagnostic] = []
    let producers = module.producers()
    for (index, value) in module.values.enumerated() {
      let type = inferred.types[index]
      if type == value.type || !type.isRanked || !value.type.isRanked { continue }
      let agree =
        type.element == value.type.element && type.rank == value.type.rank
        && zip(type.shape, value.type.shape).allSatisfy { $0 == $1 || !$0.isConstant || !$1.isConstant }
      if agree { continue }
      let maker = producers[index].map { "\(module.nodes[$0].operation.textName) makes" } ?? "the file stores"
      faults.append(Diagnostic(.refused, "states \(value.type), but \(maker) \(type)", at: .tensor(value.name)))
    }
    for parameter in module.parameters
    where TensorType(parameter.content.element, parameter.content.shape.map { Extent($0) }) != module[parameter.value].type {
      faults.append(
        Diagnostic(
          .refused, "states \(module[parameter.value].type), but stores \(parameter.content.shape)",
          at: .tensor(module[parameter.value].name)))
    }
    return faults
  }

  /// Types that inference cannot find by itself: results of opaque operators, and of nodes that read a value of unknown rank.
  static func declared(in module: Module) -> [ValueID: TensorType] {
    var result: [ValueID: TensorType] = [:]
    for node in module.nodes
    where node.operation.rules == nil || node.inputs.contains(where: { $0.map { !module[$0].type.isRanked } ?? false }) {
      for case let output? in node.outputs { result[output] = module[output].type }
    }
    return result
  }
}
