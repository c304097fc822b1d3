import Graph

/// A part of a model: a struct that holds parameters and other layers as properties, also in arrays and optionals, and usually can be
/// called.
///
/// Parameters are named by the properties that lead to them, as PyTorch names them: `layers.0.attention.output.weight`. `names` says
/// what a property is called where Swift's own name will not do.
public protocol Layer: Sendable {
  /// By Swift property, the name in a checkpoint: `["queries": "q_proj"]`. It may hold dots; "" leaves the property out of the path. A
  /// parameter called `experts.*.weight` is stored as one tensor per index of its first axis.
  static var names: [String: String] { get }
  /// Names of tensors that checkpoints hold at this layer although the model does not read them, such as `num_batches_tracked`.
  static var ignored: [String] { get }
}

extension Layer {
  /// Properties are called as in Swift.
  public static var names: [String: String] { [:] }
  /// Every tensor of a checkpoint must be read.
  public static var ignored: [String] { [] }
}

/// A parameter with the name that its model gives it.
public struct NamedParameter: Sendable {
  /// The path of properties: `layers.0.attention.output.weight`. A `*` stands for the index of the first axis: the parameter is a stack
  /// of that many stored tensors, `experts.0.weight`, `experts.1.weight` and so on.
  public let name: String
  /// The parameter.
  public let parameter: Parameter

  /// True where one stored tensor holds it, false for a stack.
  public var isWhole: Bool { !name.contains("*") }

  /// The name of the stored tensor for an index of the first axis.
  public func storedName(_ index: Int) -> String { Self.storedName(name, index) }

  static func storedName(_ name: String, _ index: Int) -> String { name.replacing("*", with: "\(index)") }

  /// The tensors as which a parameter of a module is stored: itself, or with a `*` in its name one per index of its first axis. Nothing
  /// is copied.
  public static func storedTensors(of name: String, _ content: TensorContent) -> [(name: String, content: TensorContent)] {
    guard name.contains("*"), let count = content.storedShape.first, count > 0, content.data.count % count == 0 else {
      return [(name, content)]
    }
    let bytes = content.data.count / count
    return (content.kept[0] ?? Array(0..<count)).enumerated().compactMap { position, row in
      let start = content.data.range.lowerBound + row * bytes
      guard let data = TensorData(content.data.store, range: start..<start + bytes) else { return nil }
      let part = TensorContent(data, element: content.element, shape: Array(content.storedShape.dropFirst()))
      return (storedName(name, position), part.keeping(Array(content.kept.dropFirst())))
    }
  }
}

/// The parameters of a model, found by walking its properties.
struct ParameterWalk {
  private(set) var parameters: [NamedParameter] = []
  private(set) var ignored: Set<String> = []
  private var names: Set<String> = []
  private var seen: Set<ParameterIdentity> = []

  /// Throws where two parameters get one name, or `names` speaks of a property that is not there.
  init(_ model: any Layer) throws(Diagnostic) { try visit(model, path: "") }

  /// The same parameters by other names. Throws where two get one name.
  func renamed(_ renaming: (String) -> String) throws(Diagnostic) -> ParameterWalk {
    var result = self
    result.parameters = parameters.map { NamedParameter(name: renaming($0.name), parameter: $0.parameter) }
    result.ignored = Set(ignored.map(renaming))
    var names: Set<String> = []
    for named in result.parameters where !names.insert(named.name).inserted { throw Self.twice(named.name) }
    return result
  }

  private static func twice(_ name: String) -> Diagnostic {
    Diagnostic(.invalid, "two parameters of the model are called \(name); give one another name in its layer's names")
  }

  private static func join(_ path: String, _ name: String) -> String {
    path.isEmpty || name.isEmpty ? path + name : "\(path).\(name)"
  }

  private mutating func visit(_ layer: any Layer, path: String) throws(Diagnostic) {
    let kind = type(of: layer)
    let children = Mirror(reflecting: layer).children
    var unused = Set(kind.names.keys)
    for child in children {
      guard let label = child.label else { continue }
      unused.remove(label)
      try visit(value: child.value, path: Self.join(path, kind.names[label] ?? label))
    }
    if let wrong = unused.min() {
      throw Diagnostic(.invalid, "\(kind).names speaks of '\(wrong)', but \(kind) has no such property")
    }
    for name in kind.ignored { ignored.insert(Self.join(path, name)) }
  }

  private mutating func visit(value: Any, path: String) throws(Diagnostic) {
    if let parameter = value as? Parameter { return try add(parameter, path) }
    if let layer = value as? any Layer { return try visit(layer, path: path) }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .optional: for child in mirror.children { try visit(value: child.value, path: path) }
    case .collection:
      for (index, child) in mirror.children.enumerated() { try visit(value: child.value, path: Self.join(path, "\(index)")) }
    case .none, .struct, .class, .enum, .tuple, .dictionary, .set, .foreignReference, .some: break
    }
  }

  private mutating func add(_ parameter: Parameter, _ name: String) throws(Diagnostic) {
    guard seen.insert(parameter.identity).inserted else { return }
    guard names.insert(name).inserted else { throw Self.twice(name) }
    parameters.append(NamedParameter(name: name, parameter: parameter))
  }
}

extension Layer {
  /// All parameters with their names, in the order of the properties. Throws where two get one name.
  public func namedParameters() throws(Diagnostic) -> [NamedParameter] { try ParameterWalk(self).parameters }
}
