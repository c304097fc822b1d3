import Graph
import Testing

/// A tensor in memory. (The tests of shrinking have a `Tensor` of their own, which describes one.)
typealias NumberTensor = Graph.Tensor

/// Results of one operator, by its ONNX name (`com.microsoft.Type` for Microsoft's), on tensors in memory.
func evaluated(
  _ type: String, opset: Int = 20, _ operands: [NumberTensor?], _ attributes: [AttributeName: AttributeValue] = [:],
  outputs: Int = 1,
  seed: UInt64 = 1, limit: Int = Evaluation.defaultLimit
) throws -> [NumberTensor] {
  let parts = type.split(separator: ".").map(String.init)
  let domain = parts.dropLast().joined(separator: ".")
  let operation = try #require(Operator(domain: domain, type: parts.last ?? ""), "no operator \(type)")
  let node = Node(
    operation, inputs: operands.indices.map { operands[$0] == nil ? nil : ValueID($0) },
    outputs: (0..<outputs).map { ValueID(operands.count + $0) },
    attributes: Attributes(attributes.sorted { $0.key.rawValue < $1.key.rawValue }.map { Attributes.Entry($0.key, $0.value) }))
  var random = SplitMix(seed: seed)
  let results = try Evaluation.run(
    node, opsets: ["": opset, "com.microsoft": 1], inputs: operands, label: "y", random: &random, limit: limit)
  return try results.map { try #require($0) }
}

/// The message of the failure of one operator; empty where there is none.
func failure(
  _ type: String, opset: Int = 20, _ operands: [NumberTensor?], _ attributes: [AttributeName: AttributeValue] = [:],
  outputs: Int = 1,
  limit: Int = Evaluation.defaultLimit
) -> String {
  do {
    _ = try evaluated(type, opset: opset, operands, attributes, outputs: outputs, limit: limit)
    return ""
  } catch { return "\((error as? Diagnostic)?.message ?? "\(error)")" }
}

extension NumberTensor {
  /// Real numbers in a list, or in a shape.
  static func real(_ numbers: [Double], _ shape: [Int]? = nil, _ element: ElementType = .f32) -> NumberTensor {
    NumberTensor(reals: numbers, element, shape ?? [numbers.count])
  }

  /// Whole numbers in a list, or in a shape.
  static func whole(_ numbers: [Int], _ shape: [Int]? = nil, _ element: ElementType = .i64) -> NumberTensor {
    NumberTensor(wholes: numbers, element, shape ?? [numbers.count])
  }

  /// 0, 1, 2, … in a shape.
  static func counting(_ shape: [Int], _ element: ElementType = .f32) -> NumberTensor {
    NumberTensor(wholes: Array(0..<shape.reduce(1, *)), element, shape)
  }

  /// One real number without an axis.
  static func scalar(_ number: Double, _ element: ElementType = .f32) -> NumberTensor {
    NumberTensor(reals: [number], element, [])
  }
}

extension [NumberTensor] {
  /// Numbers of the first result.
  var reals: [Double] { first?.reals ?? [] }
  /// Numbers of the first result.
  var wholes: [Int] { first?.wholes ?? [] }
  /// Numbers of the first result.
  var truths: [Bool] { first?.truths ?? [] }
  /// Shape of the first result.
  var shape: [Int] { first?.shape ?? [-1] }
}
