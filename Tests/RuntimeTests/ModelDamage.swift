import Graph
import TestSupport

@testable import Runtime

/// Damage to models that leaves them readable: attributes, operands and types that no exporter would write.
enum ModelDamage {
  private static let wholes = [-2, -1, 0, 1, 2, 3, 5, 8, 100, 1 << 20, 1 << 31, 1 << 40, -(1 << 31), .max, .min]
  private static let reals: [Float] = [0, -0.0, 1, -1, 0.5, .nan, .infinity, -.infinity, 1e30, -1e30, 1e-30]

  /// One to three changes to nodes, initialisers or inputs.
  static func damaged(_ model: NamedModel, _ generator: inout SeededGenerator) -> NamedModel {
    var model = model
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: change(&model.inputs, &generator) { $0.type = damaged($0.type, &$1) }
      case 1: change(&model.initializers, &generator) { damage(&$0, &$1) }
      case 2: change(&model.nodes, &generator) { damageOperands(&$0, &$1) }
      case _:
        change(&model.nodes, &generator) { node, generator in
          node.source = node.source.map { _ in TensorData([0] as [UInt8]) }
          change(&node.attributes, &generator) { $0.value = damaged($0.value, &$1) }
          change(&node.subgraphs, &generator) { $0.graph = damaged($0.graph, &$1) }
        }
      }
    }
    return model
  }

  private static func change<Element>(
    _ list: inout [Element], _ generator: inout SeededGenerator, _ body: (inout Element, inout SeededGenerator) -> Void
  ) {
    guard let index = list.indices.randomElement(using: &generator) else { return }
    body(&list[index], &generator)
  }

  private static func whole(_ generator: inout SeededGenerator) -> Int { wholes.randomElement(using: &generator) ?? 0 }

  private static func damaged(_ value: AttributeValue, _ generator: inout SeededGenerator) -> AttributeValue {
    switch value {
    case .int: return .int(whole(&generator))
    case .float: return .float(reals.randomElement(using: &generator) ?? 0)
    case .string: return .string(["", "none", "linear", "SAME_UPPER", "reflect", "sum"].randomElement(using: &generator) ?? "")
    case .ints(let list): return .ints(damaged(list, &generator))
    case .floats(let list): return .floats(list.map { _ in reals.randomElement(using: &generator) ?? 0 })
    case .strings(let list): return .strings(Array(list.dropLast()))
    case .tensor, .raw: return value
    }
  }

  private static func damaged(_ list: [Int], _ generator: inout SeededGenerator) -> [Int] {
    var list = list
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: list.append(whole(&generator))
    case 1: if !list.isEmpty { list.removeLast() }
    case _: change(&list, &generator) { $0 = whole(&$1) }
    }
    return list
  }

  private static func damaged(_ type: TensorType, _ generator: inout SeededGenerator) -> TensorType {
    guard type.isRanked else { return type }
    var shape = type.shape
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: shape.append(Extent(Int.random(in: 0...3, using: &generator)))
    case 1: if !shape.isEmpty { shape.removeLast() }
    case 2:
      let element = [ElementType.f32, .f16, .i64, .i32, .u8, .i8, .bool, .f64, .u64, .i4].randomElement(using: &generator)
      return TensorType(element ?? .f32, shape)
    case _: change(&shape, &generator) { $0 = Extent(Int.random(in: 0...4, using: &$1)) }
    }
    return TensorType(type.element, shape)
  }

  /// Other numbers, or the same ones in another shape.
  private static func damage(_ tensor: inout NamedTensor, _ generator: inout SeededGenerator) {
    guard let old = Tensor(tensor.content), old.count <= 1 << 12 else { return }
    var new = hostile(old, &generator)
    if Bool.random(using: &generator) { new = new.reshaped(Bool.random(using: &generator) ? [new.count] : [1] + new.shape) }
    tensor.type = new.type
    tensor.content = TensorContent(new.data, element: new.element, shape: new.shape)
  }

  private static func damageOperands(_ node: inout NamedNode, _ generator: inout SeededGenerator) {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: change(&node.inputs, &generator) { name, _ in name = "" }
    case 1: if !node.inputs.isEmpty { node.inputs.removeLast() }
    case 2: node.inputs.append(node.inputs.first ?? "")
    case _: node.inputs.shuffle(using: &generator)
    }
  }

  /// A tensor of the same type with some numbers that are seldom met.
  static func hostile(_ tensor: Tensor, _ generator: inout SeededGenerator) -> Tensor {
    guard tensor.count > 0 else { return tensor }
    if tensor.element.isFloat {
      var numbers = tensor.reals
      for _ in 0..<2 { change(&numbers, &generator) { $0 = Double(reals.randomElement(using: &$1) ?? 0) } }
      return Tensor(reals: numbers, tensor.element, tensor.shape)
    }
    guard tensor.element.isInteger else { return tensor }
    var numbers = tensor.wholes
    for _ in 0..<2 { change(&numbers, &generator) { $0 = whole(&$1) } }
    return Tensor(wholes: numbers, tensor.element, tensor.shape)
  }
}
