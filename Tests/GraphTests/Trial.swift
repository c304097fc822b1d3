import Graph
import Testing

/// One operator by itself in type inference, with types and numbers as text: tables of them read as documentation.
struct Trial {
  /// An operand.
  enum Operand {
    /// Shape as text (`batch, 3`), numbers not known.
    case tensor(String, ElementType = .f32)
    /// Whole numbers in a list, perhaps symbolic; `_` for one that is not known.
    case list(String, ElementType = .i64)
    /// One whole number without an axis.
    case scalar(String, ElementType = .i64)
    /// Real numbers in a list.
    case reals(String, ElementType = .f32)
    /// A parameter of any shape with the given known numbers.
    case table([Int], String, ElementType = .i64)
    /// Left out.
    case none

    fileprivate var type: TensorType? {
      switch self {
      case .tensor(let shape, let element): TensorType(element, extents(shape))
      case .list(let text, let element), .reals(let text, let element): TensorType(element, [Extent(items(text).count)])
      case .scalar(_, let element): TensorType(element, [])
      case .table(let shape, _, let element): TensorType(element, shape.map { Extent($0) })
      case .none: nil
      }
    }

    fileprivate var known: KnownValue? {
      switch self {
      case .tensor, .none: nil
      case .list(let text, _): KnownValue(shape: [items(text).count], entries: items(text).map(whole))
      case .scalar(let text, _): KnownValue(shape: [], entries: [whole(text)])
      case .table(let shape, let text, _): KnownValue(shape: shape, entries: items(text).map(whole))
      case .reals(let text, _):
        KnownValue(shape: [items(text).count], entries: items(text).map { Double($0).map { .real($0) } ?? whole($0) })
      }
    }
  }

  private let types: [TensorType?]
  private let known: [KnownValue?]

  /// Runs inference of an operator that ONNX calls `type`; `com.microsoft.Type` for Microsoft's.
  init(
    _ type: String, opset: Int = 20, _ operands: [Operand], _ attributes: [AttributeName: AttributeValue] = [:], outputs: Int = 1
  ) throws {
    let operation = try #require(Operator(domain: "", type: type), "no operator \(type)")
    let values = operands.indices.map { ValueID($0) }
    let entries = attributes.sorted { $0.key.rawValue < $1.key.rawValue }.map { Attributes.Entry($0.key, $0.value) }
    let node = Node(
      operation, inputs: values, outputs: (0..<outputs).map { ValueID(values.count + $0) }, attributes: Attributes(entries))
    var context = InferenceContext(
      node: node, opset: opset, label: "y", inputTypes: operands.map(\.type), inputNumbers: operands.map(\.known),
      contents: operands.map { _ in nil })
    try operation.rules?.infer(&context)
    types = context.outputTypes
    known = context.outputNumbers
  }

  /// Shape of a result, `batch, 3`; `?` without a known rank.
  func shape(_ output: Int = 0) -> String {
    guard let type = types[output], type.isRanked else { return "?" }
    return type.shape.map(\.description).joined(separator: ", ")
  }

  /// Element type of a result.
  func element(_ output: Int = 0) -> ElementType? { types[output]?.element }

  /// What is known of a result's numbers, `batch, 3, _`; nil for nothing.
  func numbers(_ output: Int = 0) -> String? {
    known[output]?.entries.map { entry in
      switch entry {
      case .whole(let extent): extent.description
      case .real(let number): "\(number)"
      case .unknown: "_"
      }
    }.joined(separator: ", ")
  }
}

/// The extents that a text lists.
func extents(_ text: String) -> [Extent] { items(text).map { Extent(parsing: $0) ?? .symbol($0) } }

private func items(_ text: String) -> [String] { text.isEmpty ? [] : text.split(separator: ", ").map(String.init) }

private func whole(_ text: String) -> KnownValue.Entry { text == "_" ? .unknown : .whole(Extent(parsing: text) ?? .symbol(text)) }
