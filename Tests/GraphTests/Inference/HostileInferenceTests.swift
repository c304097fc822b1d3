import Graph
import TestSupport
import Testing

/// Numbers, ranks and attributes come from files, so inference must answer or refuse whatever they are.
@Suite("Inference of hostile nodes")
struct HostileInferenceTests {
  private static let numbers = [Int.min, -7, -2, -1, 0, 1, 2, 3, 4, 8, 1 << 40, Int.max]
  private static let extents: [Extent] = [0, 1, 2, 3, 4, 8, Extent(1 << 40), Extent(Int.max), .symbol("n"), .symbol("?x.0.0")]
  private static let texts = [
    "", "SAME_UPPER", "VALID", "bidirectional", "reverse", "...i,i", "ij,jk->ik", "->", "not_larger", "CRD", "é",
  ]

  @Test("no node crashes inference, and an answer types every result that was asked for")
  func survives() throws {
    var random = SeededGenerator(seed: 11)
    var answered: Set<Operator> = []
    let rounds = testCount("PRUNEC_HOSTILE_NODES", default: 100)
    for operation in Operator.all {
      let rules = try #require(operation.rules)
      for _ in 0..<rounds {
        let context = Self.node(operation, rules.signature, &random)
        guard let result = try? Self.inferred(context, rules) else { continue }
        answered.insert(operation)
        #expect(!result.outputTypes.contains(nil), "\(operation.textName) leaves a result without a type: \(context.attributes)")
      }
    }
    // Were nearly all nodes refused, the test would say nothing.
    #expect(answered.count > Operator.all.count * 3 / 4)
  }

  private static func inferred(_ context: InferenceContext, _ rules: any OperatorRules) throws(Diagnostic) -> InferenceContext {
    var context = context
    try rules.infer(&context)
    return context
  }

  private static func node(_ operation: Operator, _ signature: Signature, _ random: inout SeededGenerator) -> InferenceContext {
    let count = Int.random(
      in: signature.inputs.lowerBound...min(signature.inputs.upperBound, signature.inputs.lowerBound + 3), using: &random)
    let results = Int.random(
      in: max(1, signature.outputs.lowerBound)...max(1, min(signature.outputs.upperBound, 4)), using: &random)
    // Nodes that make sense more often than not: one rank and few extents for all operands.
    let rank = Int.random(in: 0...5, using: &random)
    let palette = (0..<2).map { _ in extents.randomElement(using: &random) ?? 1 }
    var types: [TensorType?] = []
    var known: [KnownValue?] = []
    for index in 0..<count {
      let wild = Int.random(in: 0..<4, using: &random) == 0
      let axes = wild ? Int.random(in: 0...5, using: &random) : rank
      let shape = (0..<axes).map { _ in (wild ? extents : palette).randomElement(using: &random) ?? 1 }
      let list = Int.random(in: 0..<3, using: &random) == 0
      let length = Int.random(in: 0...6, using: &random)
      let values = (0..<length).map { _ in Extent(numbers.randomElement(using: &random) ?? 0) }
      if index > 0 && list {
        types.append(TensorType(.i64, [Extent(length)]))
        known.append(Bool.random(using: &random) ? KnownValue(list: values) : nil)
      } else {
        types.append(index > 0 && Int.random(in: 0..<8, using: &random) == 0 ? nil : TensorType(.f32, shape))
        known.append(nil)
      }
    }
    let names = AttributeName.allCases.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
    let entries = names.map { Attributes.Entry($0, value(&random)) }
    let node = Node(
      operation, inputs: types.map { $0.map { _ in ValueID(0) } }, outputs: (0..<results).map { ValueID($0) },
      attributes: Attributes(entries))
    return InferenceContext(
      node: node, opset: [11, 13, 18, 23].randomElement(using: &random) ?? 18, label: "y", inputTypes: types, inputNumbers: known,
      contents: types.map { _ in nil })
  }

  private static func value(_ random: inout SeededGenerator) -> AttributeValue {
    func number(_ random: inout SeededGenerator) -> Int { numbers.randomElement(using: &random) ?? 0 }
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1: return .int(number(&random))
    case 2: return .float([-1, 0, 0.5, 3, .nan, .infinity].randomElement(using: &random) ?? 0)
    case 3: return .string(texts.randomElement(using: &random) ?? "")
    case 4: return .ints((0..<Int.random(in: 0...6, using: &random)).map { _ in number(&random) })
    default: return .ints((0..<Int.random(in: 1...4, using: &random)).map { _ in Int.random(in: 1...2, using: &random) })
    }
  }
}
