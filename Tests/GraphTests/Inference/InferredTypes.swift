import Graph

/// The types that inference gives the results of one node, as text: `f32[1, 8, 32, 32]`, several joined by `; `, or `failure: ` and
/// what the person reads.
///
/// Operands are written the same way, `-` for one left out; `operation` is ONNX's name, `com.microsoft.` before it where it is not a
/// standard one.
func inferred(
  _ operation: String, _ operands: String, _ attributes: KeyValuePairs<AttributeName, AttributeValue> = [:], opset: Int = 22,
  known: [Int: KnownValue] = [:], results: Int = 1
) -> String {
  let prefix = "com.microsoft."
  let contributed = operation.hasPrefix(prefix)
  let type = contributed ? String(operation.dropFirst(prefix.count)) : operation
  guard let found = Operator(domain: contributed ? "com.microsoft" : "", type: type), let rules = found.rules else {
    return "no operator \(operation)"
  }
  let types = operands.split(separator: ";").map { readType($0) }
  guard rules.signature.inputs.contains(types.count), rules.signature.outputs.contains(results) else {
    return "not the signature"
  }
  let node = Node(
    found, inputs: types.indices.map { types[$0].map { _ in ValueID(0) } }, outputs: (0..<results).map { _ in ValueID(0) },
    attributes: Attributes(attributes.map { Attributes.Entry($0.key, $0.value) }))
  var context = InferenceContext(
    node: node, opset: contributed ? 1 : opset, label: "y", inputTypes: types, inputNumbers: types.indices.map { known[$0] },
    contents: types.map { _ in nil })
  do throws(Diagnostic) {
    try rules.infer(&context)
  } catch {
    return "failure: " + error.message.drop { $0 != ":" }.dropFirst(2)
  }
  return context.outputTypes.map { $0?.description ?? "nothing" }.joined(separator: "; ")
}

/// `f32[n, 2*s]`, `f32[?]` without a rank, `-` for none.
private func readType(_ text: Substring) -> TensorType? {
  let compact = text.filter { $0 != " " }
  guard let open = compact.firstIndex(of: "["), let element = ElementType(rawValue: String(compact[..<open])) else { return nil }
  let inside = compact[compact.index(after: open)...].dropLast()
  if inside == "?" { return .unranked(element) }
  return TensorType(element, inside.split(separator: ",").map { Extent(parsing: String($0)) ?? .symbol(String($0)) })
}

extension KnownValue {
  /// A list of whole numbers.
  static func list(_ numbers: Int...) -> KnownValue { KnownValue(list: numbers.map { Extent($0) }) }

  /// A list of real numbers, nil for one that is not known.
  static func reals(_ numbers: Double?...) -> KnownValue? {
    KnownValue(shape: [numbers.count], entries: numbers.map { $0.map { .real($0) } ?? .unknown })
  }
}
