/// What a node does: a closed set, one case per family, plus `opaque` for what prunec does not know.
public enum Operator: Hashable, Sendable {
  case elementwise(Elementwise)
  case matrixProduct(MatrixProduct)
  case convolution(Convolution)
  case normalisation(Normalisation)
  case reduction(Reduction)
  case reshaping(Reshaping)
  case joining(Joining)
  case indexing(Indexing)
  case pooling(Pooling)
  case recurrence(Recurrence)
  case attention(AttentionFamily)
  case quantisation(Quantisation)
  case generation(Generation)
  case opaque(Opaque)

  /// The rules of the operator; nil for an opaque one, which freezes all it touches.
  public var rules: (any OperatorRules)? {
    switch self {
    case .elementwise(let rules): rules
    case .matrixProduct(let rules): rules
    case .convolution(let rules): rules
    case .normalisation(let rules): rules
    case .reduction(let rules): rules
    case .reshaping(let rules): rules
    case .joining(let rules): rules
    case .indexing(let rules): rules
    case .pooling(let rules): rules
    case .recurrence(let rules): rules
    case .attention(let rules): rules
    case .quantisation(let rules): rules
    case .generation(let rules): rules
    case .opaque: nil
    }
  }
}

/// An operator outside the set, or control flow: it comes out again byte for byte.
public struct Opaque: Hashable, Sendable {
  /// Operator set, "" for the standard one.
  public let domain: String
  /// Operator, as the file spells it.
  public let type: String
  /// The node's message as the file has it; nil where there was no file.
  public let source: [UInt8]?

  /// An operator of a domain.
  public init(domain: String, type: String, source: [UInt8]? = nil) {
    self.domain = domain
    self.type = type
    self.source = source
  }

  /// `domain::type`, or the type alone for the standard domain.
  public var qualifiedName: String { domain.isEmpty ? type : "\(domain)::\(type)" }
}

extension Operator {
  /// Domain and type as ONNX spells them.
  public var onnxName: (domain: String, type: String) {
    if case .opaque(let opaque) = self { return (opaque.domain, opaque.type) }
    let raw = rules.map { $0.onnxIdentifier } ?? ""
    return raw.hasPrefix(Self.microsoftPrefix) ? ("com.microsoft", String(raw.dropFirst(Self.microsoftPrefix.count))) : ("", raw)
  }

  /// The operator that ONNX calls so; nil when it is not in the set.
  public init?(domain: String, type: String) {
    let identifier = domain.isEmpty || domain == "ai.onnx" ? type : "\(domain).\(type)"
    guard let known = Self.byIdentifier[identifier] else { return nil }
    self = known
  }

  /// The name in the text form: `conv`, `layer_norm`, `microsoft.multi_head_attention`; opaque operators are written `domain::Type`.
  public var textName: String {
    if case .opaque(let opaque) = self { return "\(opaque.domain)::\(opaque.type)" }
    let (domain, type) = onnxName
    return (domain.isEmpty ? "" : "microsoft.") + Self.snakeCase(type)
  }

  /// The operator with a name of the text form; nil when there is none in the set.
  public init?(textName: String) {
    guard let known = Self.byTextName[textName] else { return nil }
    self = known
  }

  /// All operators of the set.
  public static let all: [Operator] =
    Elementwise.allCases.map(Operator.elementwise) + MatrixProduct.allCases.map(Operator.matrixProduct)
    + Convolution.allCases.map(Operator.convolution) + Normalisation.allCases.map(Operator.normalisation)
    + Reduction.allCases.map(Operator.reduction) + Reshaping.allCases.map(Operator.reshaping)
    + Joining.allCases.map(Operator.joining)
    + Indexing.allCases.map(Operator.indexing) + Pooling.allCases.map(Operator.pooling)
    + Recurrence.allCases.map(Operator.recurrence) + AttentionFamily.allCases.map(Operator.attention)
    + Quantisation.allCases.map(Operator.quantisation) + Generation.allCases.map(Operator.generation)

  private static let microsoftPrefix = "com.microsoft."

  private static let byIdentifier: [String: Operator] = Dictionary(
    all.compactMap { known in known.rules.map { ($0.onnxIdentifier, known) } }, uniquingKeysWith: { first, _ in first })

  private static let byTextName: [String: Operator] = Dictionary(
    all.map { ($0.textName, $0) }, uniquingKeysWith: { first, _ in first })

  private static let irregular = [
    "MatMul": "matmul", "MatMulInteger": "matmul_integer", "FusedMatMul": "fused_matmul", "QLinearMatMul": "qlinear_matmul",
    "MatMulNBits": "matmul_nbits", "MatMulIntegerToFloat": "matmul_integer_to_float",
    "DynamicQuantizeMatMul": "dynamic_quantize_matmul", "PRelu": "prelu", "IsNaN": "is_nan", "QAttention": "qattention",
    "TopK": "top_k",
  ]

  /// `LayerNormalization` → `layer_norm`, `GatherND` → `gather_nd`, `LSTM` → `lstm`.
  private static func snakeCase(_ type: String) -> String {
    if let text = irregular[type] { return text }
    let short = type.hasSuffix("Normalization") ? String(type.dropLast("alization".count)) : type
    var text = ""
    var previous: Character = "A"
    for character in short {
      if character.isUppercase && !previous.isUppercase { text.append("_") }
      text.append(contentsOf: character.lowercased())
      previous = character
    }
    return text
  }
}
