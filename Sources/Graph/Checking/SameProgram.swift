/// Whether two modules are the same program over the same weights: the same operations in the same order, wired alike.
public struct SameProgram {
  private let one: Module
  private let other: Module
  private let weights: Set<String>
  private var match: [ValueID: ValueID] = [:]
  private let contents: (one: [ValueID: TensorContent], other: [ValueID: TensorContent])

  /// What differs first, in words; nil where nothing does. Parameters whose names are in `weights` correspond by name and need only be of
  /// the same type; all others must hold the same numbers.
  public static func difference(_ one: Module, _ other: Module, weights: Set<String>) -> String? {
    var comparison = SameProgram(one, other, weights)
    return comparison.difference()
  }

  private init(_ one: Module, _ other: Module, _ weights: Set<String>) {
    self.one = one
    self.other = other
    self.weights = weights
    func contents(_ module: Module) -> [ValueID: TensorContent] {
      Dictionary(module.parameters.map { ($0.value, $0.content) }, uniquingKeysWith: { first, _ in first })
    }
    self.contents = (contents(one), contents(other))
  }

  private mutating func difference() -> String? {
    guard one.inputs.count == other.inputs.count, one.outputs.count == other.outputs.count else {
      return "the inputs and outputs are not as many"
    }
    for (a, b) in zip(one.inputs, other.inputs) {
      if one[a].type != other[b].type { return "\(one[a].name) is \(one[a].type), but \(other[b].type) there" }
      match[a] = b
    }
    for (a, b) in zip(one.nodes, other.nodes) { if let difference = difference(a, b) { return difference } }
    if one.nodes.count != other.nodes.count { return "there are \(one.nodes.count) operations, but \(other.nodes.count) there" }
    for (a, b) in zip(one.outputs, other.outputs) where !isSame(a, b) {
      return "the output \(one[a].name) is another value there"
    }
    return nil
  }

  private mutating func difference(_ a: Node, _ b: Node) -> String? {
    let label = one.label(of: a)
    guard a.operation == b.operation, a.inputs.count == b.inputs.count, a.outputs.count == b.outputs.count else {
      return "\(label) is \(a.operation.textName), where \(b.operation.textName) (\(other.label(of: b))) stands there"
    }
    for (entry, counterpart) in zip(a.attributes.entries, b.attributes.entries) where !Self.isSame(entry, counterpart) {
      return "\(label) has another \(entry.name.rawValue) there"
    }
    if a.attributes.entries.count != b.attributes.entries.count { return "\(label) has other attributes there" }
    for (input, counterpart) in zip(a.inputs, b.inputs) where !isSame(input, counterpart) {
      let (mine, its) = (words(input, one), words(counterpart, other))
      return mine == its ? "\(mine) holds other numbers there" : "\(label) reads \(mine), but \(its) there"
    }
    for (output, counterpart) in zip(a.outputs, b.outputs) { if let output, let counterpart { match[output] = counterpart } }
    return nil
  }

  private func words(_ value: ValueID?, _ module: Module) -> String {
    value.map { "\(module[$0].name) \(module[$0].type)" } ?? "nothing"
  }

  private static func isSame(_ a: Attributes.Entry, _ b: Attributes.Entry) -> Bool {
    if a.name != b.name { return false }
    if case .tensor(let type, let data) = a.value, case .tensor(let otherType, let otherData) = b.value {
      return type == otherType && data.hasSameBytes(as: otherData)
    }
    return a.value == b.value
  }

  private func isSame(_ a: ValueID?, _ b: ValueID?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    if let known = match[a] { return known == b }
    guard let content = contents.one[a], let counterpart = contents.other[b], one[a].type == other[b].type else { return false }
    if weights.contains(one[a].name) { return one[a].name == other[b].name }
    return content.materialized().hasSameBytes(as: counterpart.materialized())
  }
}
