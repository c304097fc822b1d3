import Graph
import Testing

@testable import Runtime

typealias RuntimeTensor = Graph.Tensor

/// A small model for one test, run by the engine and node by node, which must agree bit for bit.
struct RuntimeTrial {
  let model: NamedModel

  /// A model over inputs without known types.
  init(
    _ nodes: [NamedNode], inputs: [String], outputs: [String], opset: Int = 21, functions: [NamedFunction] = []
  ) {
    model = graph(nodes, inputs: inputs, outputs: outputs, opset: opset, functions: functions)
  }

  /// Outputs in order.
  func run(_ inputs: [RuntimeValue], limits: PlainRunner.Limits = .init()) throws -> [RuntimeValue] {
    var model = model
    model.inputs = zip(model.inputs, inputs).map { named, value in
      NamedValue(name: named.name, type: value.tensor?.type ?? .unranked(.unknown))
    }
    let module = try Importer.module(from: model)
    let plain = try PlainRunner(module, source: model, limits: limits).run(inputs)
    let fast = try Session(module, source: model, limits: limits).run(inputs)
    #expect(fast.map(Self.bytes) == plain.map(Self.bytes))
    return fast
  }

  /// The first output, a tensor.
  func tensor(_ inputs: RuntimeTensor..., limits: PlainRunner.Limits = .init()) throws -> RuntimeTensor {
    try #require(try run(inputs.map { .tensor($0) }, limits: limits).first?.tensor)
  }

  /// What both ways of running say is wrong; empty where nothing is.
  func failure(_ inputs: [RuntimeValue], limits: PlainRunner.Limits = .init()) -> String {
    do {
      _ = try run(inputs, limits: limits)
      return ""
    } catch { return "\(error)" }
  }

  private static func bytes(_ value: RuntimeValue) -> [[UInt8]] {
    switch value {
    case .tensor(let tensor): [Array("\(tensor.type)".utf8), tensor.data.numbers(as: UInt8.self)]
    case .sequence(let tensors, let element):
      tensors.reduce([Array(element.rawValue.utf8)]) { $0 + bytes(.tensor($1)) }
    case .absent: []
    }
  }
}

/// A graph over inputs without known types, also a body.
func graph(
  _ nodes: [NamedNode], inputs: [String], outputs: [String], opset: Int = 21, functions: [NamedFunction] = []
) -> NamedModel {
  NamedModel(
    name: "trial", nodes: nodes, inputs: inputs.map { NamedValue(name: $0, type: .unranked(.unknown)) },
    outputs: outputs.map { NamedValue(name: $0, type: .unranked(.unknown)) }, opsets: ["": opset, "own": 1],
    functions: functions)
}

/// A node named after its first result; what its bodies read of the enclosing graph is found out.
func node(
  _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [(name: String, value: AttributeValue)] = [],
  domain: String = "", bodies: [(name: String, graph: NamedModel)] = []
) -> NamedNode {
  var node = NamedNode(
    domain: domain, type: type, name: "node_\(outputs.first ?? "")", inputs: inputs, outputs: outputs, attributes: attributes)
  node.subgraphs = bodies
  // Attributes of operators that the compiler does not know stay in the node's message, which is not looked into here.
  if Operator(domain: domain, type: type) == nil { node.source = TensorData([0] as [UInt8]) }
  node.captures = Set(
    bodies.flatMap { body in
      let own = Set(body.graph.inputs.map(\.name) + body.graph.nodes.flatMap(\.outputs))
      let read = body.graph.nodes.flatMap { $0.inputs + $0.captures } + body.graph.outputs.map(\.name)
      return read.filter { !$0.isEmpty && !own.contains($0) }
    }
  ).sorted()
  return node
}

/// A node that makes a list of whole numbers, or one of them without an axis.
func constant(_ name: String, _ numbers: [Int], isScalar: Bool = false) -> NamedNode {
  let tensor = RuntimeTensor(wholes: numbers, .i64, isScalar ? [] : [numbers.count])
  return node("Constant", [], [name], [("value", .tensor(tensor.type, tensor.data))])
}

extension RuntimeTensor {
  /// Real numbers in a list, or in a shape.
  static func real(_ numbers: [Double], _ shape: [Int]? = nil, _ element: ElementType = .f32) -> RuntimeTensor {
    RuntimeTensor(reals: numbers, element, shape ?? [numbers.count])
  }

  /// Whole numbers in a list, or in a shape.
  static func whole(_ numbers: [Int], _ shape: [Int]? = nil, _ element: ElementType = .i64) -> RuntimeTensor {
    RuntimeTensor(wholes: numbers, element, shape ?? [numbers.count])
  }

  /// One truth value.
  static func truth(_ value: Bool) -> RuntimeTensor { RuntimeTensor(truths: [value], []) }
}
