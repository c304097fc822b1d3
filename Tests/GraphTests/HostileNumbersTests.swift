import Graph
import TestSupport
import Testing

/// Known numbers come from files too: following them must answer or refuse whatever they are.
@Suite("Folding of hostile numbers")
struct HostileNumbersTests {
  private static let wholes: [Extent] = [
    Extent(Int.min), Extent(Int.min + 1), -2, -1, 0, 1, 2, 3, Extent(1 << 32), Extent(Int.max - 1), Extent(Int.max), .symbol("n"),
    .symbol("n") * 2 + 1, .symbol("?x.0.0"),
  ]
  private static let reals: [Double] = [0, -0.0, 1, -1, 0.5, 1e300, -1e300, .infinity, 0x1p-1074]

  @Test("no numbers crash the rules that follow them, and what is known fits the type")
  func survives() throws {
    var random = SeededGenerator(seed: 23)
    var folded: Set<Operator> = []
    for operation in Operator.all {
      let rules = try #require(operation.rules)
      for _ in 0..<testCount("PRUNEC_HOSTILE_NODES", default: 100) {
        var context = Self.node(operation, rules.signature, &random)
        do { try rules.infer(&context) } catch { continue }
        for (type, known) in zip(context.outputTypes, context.outputNumbers) {
          guard let known else { continue }
          folded.insert(operation)
          #expect(type?.staticShape == known.shape, "\(operation.textName): \(context.attributes)")
          #expect(known.entries.count <= KnownValue.limit)
        }
      }
    }
    // Were hardly anything followed, the test would say nothing.
    #expect(folded.count > 50)
  }

  private static func node(_ operation: Operator, _ signature: Signature, _ random: inout SeededGenerator) -> InferenceContext {
    let count = Int.random(
      in: signature.inputs.lowerBound...min(signature.inputs.upperBound, max(5, signature.inputs.lowerBound)), using: &random)
    let outputs = min(max(signature.outputs.lowerBound, 1), 3)
    let element: ElementType = [.i64, .i64, .i32, .u8, .f32, .bool].randomElement(using: &random) ?? .i64
    let shape = (0..<Int.random(in: 0...2, using: &random)).map { _ in Int.random(in: 0...3, using: &random) }
    var known: [KnownValue?] = []
    var types: [TensorType?] = []
    for _ in 0..<count {
      let isShared = Int.random(in: 0..<3, using: &random) > 0
      let own = isShared ? shape : (0..<Int.random(in: 0...1, using: &random)).map { _ in Int.random(in: 0...4, using: &random) }
      let tame = Bool.random(using: &random)
      let entries = (0..<own.reduce(1, *)).map { _ -> KnownValue.Entry in
        if element == .f32 && Bool.random(using: &random) { return .real(reals.randomElement(using: &random) ?? 0) }
        if tame { return .whole(Extent(Int.random(in: -1...2, using: &random))) }
        return Int.random(in: 0..<9, using: &random) == 0 ? .unknown : .whole(wholes.randomElement(using: &random) ?? 0)
      }
      known.append(KnownValue(shape: own, entries: entries))
      types.append(TensorType(element, own.map { Extent($0) }))
    }
    let named: [AttributeName] = [.axis, .to, .start, .end, .batchDims, .keepDims, .fmod, .allowzero, .numOutputs, .dataType]
    let entries = named.filter { $0 == .to || $0 == .axis || Int.random(in: 0..<3, using: &random) == 0 }.map {
      Attributes.Entry($0, .int([-1, 0, 1, 7, Int.max, Int.min].randomElement(using: &random) ?? 0))
    }
    let node = Node(
      operation, inputs: (0..<count).map { ValueID($0) }, outputs: (0..<outputs).map { ValueID(count + $0) },
      attributes: Attributes(entries))
    return InferenceContext(
      node: node, opset: [11, 13, 20].randomElement(using: &random) ?? 20, label: "y", inputTypes: types, inputNumbers: known,
      contents: types.map { _ in nil })
  }
}
