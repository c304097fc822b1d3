@testable import Graph

/// One tensor of a node under test: extents before, and which indices of some axes stay.
struct Tensor {
  var shape: [Extent]
  var kept: [Int: [Int]] = [:]
  /// Extents after, where an axis is symbolic and so has no list of indices.
  var left: [Int: Extent] = [:]
  var known: KnownValue?
  var content: TensorContent?
  var element = ElementType.f32

  init(_ shape: Extent..., kept: [Int: [Int]] = [:], left: [Int: Extent] = [:]) {
    self.shape = shape
    self.kept = kept
    self.left = left
  }

  /// A list of whole numbers.
  static func list(_ entries: Extent...) -> Tensor { known(KnownValue(list: entries)) }

  /// Whole numbers without an axis.
  static func scalar(_ entry: Extent) -> Tensor { known(KnownValue(scalar: entry)) }

  /// A list of which some numbers are not known.
  static func partly(_ entries: Extent?...) -> Tensor {
    known(KnownValue(shape: [entries.count], entries: entries.map { $0.map { .whole($0) } ?? .unknown }))
  }

  /// Numbers of a shape.
  static func numbers(_ shape: [Int], _ numbers: [Int]) -> Tensor {
    known(KnownValue(shape: shape, entries: numbers.map { .whole(Extent($0)) }))
  }

  private static func known(_ value: KnownValue?) -> Tensor {
    var tensor = Tensor()
    tensor.shape = value?.shape.map { Extent($0) } ?? []
    tensor.known = value
    tensor.element = .i64
    return tensor
  }

  var before: TensorType { TensorType(element, shape) }
  var after: TensorType {
    TensorType(element, shape.indices.map { axis in left[axis] ?? kept[axis].map { Extent($0.count) } ?? shape[axis] })
  }
  var keptLists: [[Int]?] { shape.indices.map { kept[$0] } }
}

/// What a rule said.
struct Answer: Equatable {
  var required: [Int: KnownValue] = [:]
  var changed: [Attributes.Entry] = []
  var removed: [AttributeName] = []

  /// What is required of an operand, `?` for any number; nil when nothing is.
  func list(_ operand: Int) -> String? {
    required[operand].map { value in
      value.entries.map { entry in
        switch entry {
        case .whole(let extent): "\(extent)"
        case .real(let number): "\(number)"
        case .unknown: "?"
        }
      }.joined(separator: " ")
    }
  }

  /// A whole-number attribute that changed.
  func int(_ name: AttributeName) -> Int? {
    changed.last { $0.name == name }.flatMap { if case .int(let value) = $0.value { value } else { nil } }
  }

  /// A list attribute that changed.
  func ints(_ name: AttributeName) -> [Int]? {
    changed.last { $0.name == name }.flatMap { if case .ints(let value) = $0.value { value } else { nil } }
  }

  /// A real-number attribute that changed.
  func float(_ name: AttributeName) -> Float? {
    changed.last { $0.name == name }.flatMap { if case .float(let value) = $0.value { value } else { nil } }
  }
}

/// Asks the rule of an operator.
func shrink(
  _ operation: Operator, _ inputs: [Tensor?], _ outputs: [Tensor?], _ attributes: [Attributes.Entry] = [], opset: Int = 20
) throws(Diagnostic) -> Answer {
  let node = Node(
    operation, inputs: inputs.indices.map { inputs[$0] == nil ? nil : ValueID($0) },
    outputs: outputs.indices.map { outputs[$0] == nil ? nil : ValueID(inputs.count + $0) }, attributes: Attributes(attributes))
  var context = ShrinkContext(
    node: node, opset: opset, label: "node", oldInputs: inputs.map { $0?.before }, newInputs: inputs.map { $0?.after },
    oldOutputs: outputs.map { $0?.before }, newOutputs: outputs.map { $0?.after }, numbers: inputs.map { $0?.known },
    keptInput: { inputs[$0]?.keptLists[$1] }, keptOutput: { outputs[$0]?.keptLists[$1] },
    contents: inputs.map { $0?.content })
  try operation.rules?.shrink(&context)
  return Answer(required: context.required, changed: context.changed, removed: context.removed)
}
