import Graph

/// Follows, element by element, what is removed when some indices of parameters are: a second opinion on the solver that knows nothing of
/// layouts, only what each operator does to elements.
///
/// Operators that move numbers move a flag per element. Operators that pair numbers (products, sums, norms with a scale) demand that
/// exactly the partners of kept elements are kept; a fault says where they are not. After every node the kept elements of a result must
/// be a full grid, since nothing else is a tensor. Elements that come from nowhere (zeros of a pad, repeats of an expand) follow what
/// they are told, as parameters do.
public struct ElementOracle {
  /// What is wrong, and at which node.
  public struct Fault: Error, CustomStringConvertible {
    /// One line for a person.
    public let description: String
  }

  /// What is kept of a value, and what its numbers stand for.
  struct Kept {
    /// Extents, all symbols filled in.
    let shape: [Int]
    /// Per axis which indices are kept; nil for all.
    let axes: [[Bool]?]
    /// For positions along some axis: which positions of that axis are kept.
    var range: [Bool]?

    /// True when nothing is removed.
    var isWhole: Bool { axes.allSatisfy { $0 == nil } }
  }

  let module: Module
  /// What is known of the values' numbers: targets of reshapes, bounds of slices, indices.
  let numbers: [KnownValue?]
  let length: (String) -> Int?
  let told: (ValueID, Int) -> [Int]?
  private(set) var values: [Kept?]
  var current: Node
  /// Which values are numbers for shapes, that nothing is removed from.
  private(set) var isShapeNumber: [Bool]

  /// An oracle for a module. `length` says how long symbolic axes are; `told` says which indices of an axis are kept (nil: all), and is
  /// asked for parameters and for elements that come from nowhere alone.
  public init(
    _ module: Module, numbers: [KnownValue?], length: @escaping (String) -> Int?, told: @escaping (ValueID, Int) -> [Int]?
  ) {
    self.module = module
    self.numbers = numbers
    self.length = length
    self.told = told
    values = Array(repeating: nil, count: module.values.count)
    isShapeNumber = Array(repeating: false, count: module.values.count)
    current = Node(.opaque(Opaque(domain: "", type: "none")), inputs: [], outputs: [])
  }

  /// Follows everything through the graph; throws the first fault.
  public mutating func run() throws(Fault) {
    for input in module.inputs { try store(input, axes: Array(repeating: nil, count: module[input].type.rank)) }
    // Whole numbers of 32 bits that a convolution adds are data.
    var quantisedBiases: Set<ValueID> = []
    for node in module.nodes where node.operation == .convolution(.quantisedConv) {
      if let bias = node.inputs.last ?? nil { quantisedBiases.insert(bias) }
    }
    for parameter in module.parameters {
      let type = module[parameter.value].type
      let isData = type.element.isData || type.element == .bool || quantisedBiases.contains(parameter.value)
      isShapeNumber[parameter.value.index] = !isData
      try store(parameter.value, axes: type.shape.indices.map { isData ? flags(told(parameter.value, $0), type.shape[$0]) : nil })
    }
    for node in module.nodes {
      current = node
      let isShape = isShapeArithmetic(node)
      if isShape {
        for case let output? in node.outputs {
          isShapeNumber[output.index] = true
          try store(output, axes: Array(repeating: nil, count: module[output].type.rank))
        }
      } else {
        try follow(node)
      }
    }
    for output in module.outputs {
      guard let kept = values[output.index] else { throw fault("output \(module[output].name) was never made") }
      if !kept.isWhole { throw Fault(description: "output \(module[output].name) loses indices: \(kept.axes)") }
      if let range = kept.range, range.contains(false) {
        throw Fault(description: "output \(module[output].name) holds positions along an axis that loses indices")
      }
    }
  }

  /// Kept indices of an axis of a value after `run`; nil for all. Nothing is said of numbers for shapes.
  public func kept(_ value: ValueID, _ axis: Int) -> [Int]? {
    values[value.index]?.axes[axis].map { flags in flags.indices.filter { flags[$0] } }
  }

  /// The shape of what is kept of a value, symbols filled in; nil for numbers for shapes.
  public func keptShape(_ value: ValueID) -> [Int]? {
    guard !isShapeNumber[value.index], let kept = values[value.index] else { return nil }
    return zip(kept.shape, kept.axes).map { extent, axis in axis.map { $0.count { $0 } } ?? extent }
  }

  // MARK: values

  func fault(_ message: String) -> Fault {
    Fault(description: "\(module.label(of: current)) (\(current.operation.textName)): \(message)")
  }

  private func flags(_ kept: [Int]?, _ extent: Extent) -> [Bool]? {
    guard let kept, let count = extent.evaluated(length) else { return nil }
    var result = [Bool](repeating: false, count: count)
    for index in kept where result.indices.contains(index) { result[index] = true }
    return result
  }

  /// What the solver keeps of an axis of a result that comes from nowhere.
  func created(_ value: ValueID, _ axis: Int) -> [Bool]? { flags(told(value, axis), module[value].type.shape[axis]) }

  func shape(_ value: ValueID) throws(Fault) -> [Int] {
    var result: [Int] = []
    for extent in module[value].type.shape {
      guard let number = extent.evaluated(length) else { throw fault("\(module[value].name) has an extent \(extent)") }
      result.append(number)
    }
    return result
  }

  /// Stores what is kept of a value by axis.
  mutating func store(_ value: ValueID, axes: [[Bool]?], range: [Bool]? = nil) throws(Fault) {
    let shape = try shape(value)
    guard axes.count == shape.count else { throw fault("\(module[value].name) has \(shape.count) axes, not \(axes.count)") }
    let axes = axes.map { flags in flags.flatMap { $0.contains(false) ? $0 : nil } }
    for (axis, flags) in axes.enumerated() {
      guard let flags else { continue }
      if flags.count != shape[axis] { throw fault("\(module[value].name): \(flags.count) flags for an axis of \(shape[axis])") }
      if !flags.contains(true) { throw fault("nothing is left of axis \(axis) of \(module[value].name)") }
    }
    values[value.index] = Kept(shape: shape, axes: axes, range: range)
  }

  /// Stores what is kept of a value element by element; the kept ones must be a full grid.
  mutating func store(_ value: ValueID, elements: [Bool]?, range: [Bool]? = nil) throws(Fault) {
    let shape = try shape(value)
    guard let elements else { return try store(value, axes: Array(repeating: nil, count: shape.count), range: range) }
    guard elements.count == shape.reduce(1, *) else {
      throw fault("\(module[value].name) has \(shape) elements, not \(elements.count)")
    }
    var axes = shape.map { [Bool](repeating: false, count: $0) }
    var index = [Int](repeating: 0, count: shape.count)
    for isKept in elements {
      if isKept { for axis in index.indices { axes[axis][index[axis]] = true } }
      Self.advance(&index, shape)
    }
    index = [Int](repeating: 0, count: shape.count)
    for isKept in elements {
      if isKept != index.indices.allSatisfy({ axes[$0][index[$0]] }) {
        throw fault(
          "what is kept of \(module[value].name) \(shape) is no grid: element \(index) is \(isKept ? "kept" : "removed")")
      }
      Self.advance(&index, shape)
    }
    try store(value, axes: axes, range: range)
  }

  /// The next place in row-major order.
  static func advance(_ index: inout [Int], _ shape: [Int]) {
    var axis = shape.count - 1
    while axis >= 0 {
      index[axis] += 1
      if index[axis] < shape[axis] { return }
      index[axis] = 0
      axis -= 1
    }
  }

  /// A flag per element of a value; nil where all are kept.
  func elements(_ kept: Kept) -> [Bool]? {
    if kept.isWhole { return nil }
    var result = [true]
    for (extent, flags) in zip(kept.shape, kept.axes) {
      let axis = flags ?? [Bool](repeating: true, count: extent)
      var next: [Bool] = []
      next.reserveCapacity(result.count * extent)
      for outer in result { if outer { next += axis } else { next += repeatElement(false, count: extent) } }
      result = next
    }
    return result
  }

  /// An operand of the present node; throws where it is missing.
  func operand(_ index: Int) throws(Fault) -> Kept {
    guard let kept = optional(index) else { throw fault("operand \(index) is missing") }
    return kept
  }

  /// An operand of the present node, nil where it is left out.
  func optional(_ index: Int) -> Kept? {
    current.inputs.indices.contains(index) ? current.inputs[index].flatMap { values[$0.index] } : nil
  }

  /// A result of the present node, nil where nobody asked for it.
  func result(_ index: Int) -> ValueID? { current.outputs.indices.contains(index) ? current.outputs[index] : nil }

  /// An operand's whole numbers, symbols filled in; nil where they are not known.
  func wholes(_ index: Int) -> [Int]? {
    guard current.inputs.indices.contains(index), let value = current.inputs[index], let known = numbers[value.index] else {
      return nil
    }
    var result: [Int] = []
    for entry in known.entries {
      guard let number = entry.whole?.evaluated(length) else { return nil }
      result.append(number)
    }
    return result
  }

  /// An axis counted from the front.
  func axis(_ axis: Int, _ rank: Int) -> Int { axis < 0 ? axis + rank : axis }

  /// Demands that nothing is removed along an axis.
  func demandWhole(_ kept: Kept, _ axis: Int, _ why: String) throws(Fault) {
    if let flags = kept.axes[axis] {
      throw fault("axis \(axis) loses indices (\(flags.filter { $0 }.count) of \(flags.count) stay), but \(why)")
    }
  }

  /// Numbers that are computed from shapes and constants alone.
  private func isShapeArithmetic(_ node: Node) -> Bool {
    let inputs = node.inputs.compactMap { $0 }
    func isScalar(_ value: ValueID) -> Bool { values[value.index].map { $0.shape.isEmpty && $0.range == nil } ?? false }
    switch node.operation {
    case .generation(.shape), .generation(.size): return true
    case .generation(.constantOfShape):
      return node.outputs.allSatisfy { $0.map { module[$0].type.element.isInteger } ?? true }
    case .elementwise:
      return inputs.contains { isShapeNumber[$0.index] } && inputs.allSatisfy { isShapeNumber[$0.index] || isScalar($0) }
    case .matrixProduct, .convolution, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .recurrence,
      .attention,
      .quantisation, .generation, .opaque:
      return !inputs.isEmpty && inputs.allSatisfy { isShapeNumber[$0.index] }
    }
  }

  /// Demands that positions range over an axis that loses nothing, wherever they are used as numbers.
  func demandNoPositions() throws(Fault) {
    for index in current.inputs.indices {
      if let range = optional(index)?.range, range.contains(false) {
        throw fault("operand \(index) holds positions along an axis that loses indices, and they are used as numbers")
      }
    }
  }
}
