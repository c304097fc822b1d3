import Formats
import Graph

/// Masks of zeros and ones for a model's parameters: what a training loop multiplies its weights by.
public struct MaskSet: Sendable {
  /// One mask.
  public struct Entry: Sendable {
    /// Name of the parameter, as PyTorch has it where that is known.
    public let name: String
    /// Name of the model's parameter, where that is another: then the mask is of its transpose.
    public let transposeOf: String?
    /// Shape of the mask.
    public let shape: [Int]
    /// How many of its numbers are zero.
    public let zeros: Int
    /// Zeros and ones as f32, made when they are read.
    public let content: TensorContent
  }

  /// By name.
  public let entries: [Entry]
  /// Weights that got no mask, with the reason.
  public let skipped: [(name: String, reason: String)]

  /// Writes the masks as tensors of f32 by name.
  public func write(to path: String, notOver inputs: [String]) throws(Diagnostic) {
    let tensors = entries.map { entry in
      NamedTensor(name: entry.name, type: TensorType(.f32, entry.shape.map { Extent($0) }), content: entry.content)
    }
    try Safetensors.write(
      tensors, metadata: ["prunec.masks": "multiply each parameter by the tensor of its name: 1 stays, 0 goes"], to: path,
      notOver: inputs)
  }

  /// An entry from a function that says what stays, by flat position in the model's parameter.
  static func entry(
    _ name: String, alias: String?, shape: [Int], isKept: @escaping @Sendable (Int) -> Bool
  ) -> Entry {
    let count = shape.reduce(1, *)
    let target = alias == nil ? shape : shape.reversed()
    let zeros = (0..<count).reduce(0) { $0 + (isKept($1) ? 0 : 1) }
    let (rows, columns) = (shape.first ?? 1, shape.last ?? 1)
    let isTransposed = alias != nil
    let data = TensorData(lazy: count * 4) { bytes in
      for position in 0..<count {
        let source = isTransposed ? position % rows * columns + position / rows : position
        bytes.storeBytes(of: isKept(source) ? Float(1) : 0, toByteOffset: position * 4, as: Float.self)
      }
    }
    return Entry(
      name: alias ?? name, transposeOf: alias == nil ? nil : name, shape: target, zeros: zeros,
      content: TensorContent(data, element: .f32, shape: target))
  }
}

// MARK: - What a plan removes

extension MaskSet {
  /// Masks of every parameter that loses indices by a plan: zero where an index goes.
  public init(_ solution: Solution, plan: Plan) {
    let module = solution.module
    let aliases = LayerNames(module)
    let kept = KeptIndices(solution: solution, plan: plan)
    // Copies of one parameter stand for the same numbers; these go where all copies lose them.
    var users: [ValueID: [Parameter]] = [:]
    for parameter in module.parameters { users[parameter.copyOf ?? parameter.value, default: []].append(parameter) }
    var entries: [Entry] = []
    for parameter in module.parameters where parameter.copyOf == nil && parameter.content.element.isFloat {
      let shape = parameter.content.shape
      let copies = (users[parameter.value] ?? [parameter]).map { copy in
        AxisMask(shape: shape, kept: kept.selection(copy.value, amongKept: false))
      }
      if copies.contains(where: \.keepsAll) { continue }
      entries.append(
        Self.entry(module[parameter.value].name, alias: aliases.names[parameter.value], shape: shape) { position in
          copies.contains { $0.isKept(position) }
        })
    }
    self.entries = entries
    skipped = []
  }

  /// Which places of a tensor stay when some indices of its axes do.
  private struct AxisMask: Sendable {
    /// By axis, one list of flags for every place of the axes that decide.
    let isKept: [(over: [Int], flags: [[Bool]])?]
    let strides: [Int]
    let shape: [Int]
    let keepsAll: Bool

    init(shape: [Int], kept: TensorSelection) {
      self.shape = shape
      strides = Tensor.strides(shape)
      isKept = zip(shape, kept.axes).map { extent, axis in
        axis.map { axis in
          let flags = axis.lists.map { list in
            var flags = Array(repeating: false, count: extent)
            for index in list where index < extent { flags[index] = true }
            return flags
          }
          return (axis.over, flags)
        }
      }
      keepsAll = kept.isWhole
    }

    func isKept(_ position: Int) -> Bool {
      func place(_ axis: Int) -> Int { position / strides[axis] % shape[axis] }
      for (axis, own) in isKept.enumerated() {
        guard let own else { continue }
        if !own.flags[own.over.reduce(0) { $0 * shape[$1] + place($1) }][place(axis)] { return false }
      }
      return true
    }
  }
}

// MARK: - Patterns inside weights

/// Which single numbers of a weight go.
public enum MaskPattern: Sendable, Equatable {
  /// The smallest of each weight, or of all weights together.
  case unstructured(ratio: Double, isGlobal: Bool)
  /// Of every `of` numbers in a row along the inputs, all but the `keeping` largest.
  case blocks(keeping: Int, of: Int)

  /// `unstructured`, or `N:M` with 1 ≤ N < M; nil for other texts.
  public init?(_ text: String, ratio: Double, isGlobal: Bool) {
    if text == "unstructured" {
      self = .unstructured(ratio: ratio, isGlobal: isGlobal)
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let keeping = parts[0], let of = parts[1], keeping >= 1, keeping < of, of <= 1 << 16 else {
      return nil
    }
    self = .blocks(keeping: keeping, of: of)
  }
}

extension MaskSet {
  /// Masks by pattern of the weights of linear layers and convolutions for which `isWanted` holds, by name in the model or in PyTorch.
  public init(_ module: Module, pattern: MaskPattern, isWanted: (String) -> Bool) {
    let aliases = LayerNames(module)
    var skipped: [(name: String, reason: String)] = []
    var weights: [Weight] = []
    let parameters = Dictionary(module.parameters.map { ($0.value, $0) }, uniquingKeysWith: { first, _ in first })
    for (value, axis) in Self.contracted(module) {
      guard let parameter = parameters[value] else { continue }
      let (name, alias) = (module[value].name, aliases.names[value])
      guard isWanted(name) || alias.map(isWanted) ?? false else { continue }
      guard parameter.content.element.isFloat, StoredReals.canRead(parameter.content.element),
        let tensor = Tensor(parameter.content)
      else {
        skipped.append((alias ?? name, "its numbers are packed, or not in the file"))
        continue
      }
      weights.append(Weight(name: name, alias: alias, tensor: tensor, axis: axis))
    }
    var entries: [Entry] = []
    switch pattern {
    case .unstructured(let ratio, let isGlobal):
      let pools = isGlobal ? [weights] : weights.map { [$0] }
      for pool in pools {
        for (weight, flags) in zip(pool, Self.largest(pool, ratio: ratio)) {
          entries.append(Self.entry(weight.name, alias: weight.alias, shape: weight.tensor.shape) { flags[$0] })
        }
      }
    case .blocks(let keeping, let of):
      for weight in weights {
        let length = weight.tensor.shape[weight.axis]
        guard length.isMultiple(of: of) else {
          skipped.append((weight.alias ?? weight.name, "it has \(length) inputs, which are no multiple of \(of)"))
          continue
        }
        let flags = weight.largest(keeping, of: of)
        entries.append(Self.entry(weight.name, alias: weight.alias, shape: weight.tensor.shape) { flags[$0] })
      }
    }
    self.entries = entries
    self.skipped = skipped
  }

  private struct Weight {
    let name: String
    let alias: String?
    let tensor: Tensor
    /// The axis of inputs.
    let axis: Int

    /// Magnitudes in order; what is no number counts as largest, so that it stays and is seen.
    var magnitudes: [Float] {
      var result = [Float](repeating: 0, count: tensor.count)
      StoredReals.read(tensor) { number in
        for index in result.indices {
          let size = Float(abs(number(index)))
          result[index] = size.isNaN ? .infinity : size
        }
      }
      return result
    }

    /// The largest of every run of inputs; of equals the first.
    func largest(_ keeping: Int, of: Int) -> [Bool] {
      let magnitudes = magnitudes
      var flags = [Bool](repeating: false, count: magnitudes.count)
      let stride = tensor.shape[(axis + 1)...].reduce(1, *)
      let length = tensor.shape[axis]
      let outer = magnitudes.count / max(1, stride * length)
      for row in 0..<outer {
        for column in 0..<stride {
          for block in 0..<length / of {
            let places = (0..<of).map { row * length * stride + (block * of + $0) * stride + column }
            let order = places.sorted { magnitudes[$0] != magnitudes[$1] ? magnitudes[$0] > magnitudes[$1] : $0 < $1 }
            for place in order.prefix(keeping) { flags[place] = true }
          }
        }
      }
      return flags
    }
  }

  /// All but the smallest share of some weights' numbers; of equals the last go. The count is rounded as PyTorch does, to even at the half.
  private static func largest(_ weights: [Weight], ratio: Double) -> [[Bool]] {
    let magnitudes = weights.map(\.magnitudes)
    let all = magnitudes.joined().sorted()
    let gone = min(all.count, max(0, Int((Double(all.count) * ratio).rounded(.toNearestOrEven))))
    guard gone > 0 else { return magnitudes.map { Array(repeating: true, count: $0.count) } }
    let limit = all[gone - 1]
    // Those of the limit itself that must go as well, counted from the end.
    var equal = gone - (all.firstIndex { $0 >= limit } ?? 0)
    var flags = magnitudes.map { $0.map { $0 >= limit } }
    for weight in magnitudes.indices.reversed() {
      for index in magnitudes[weight].indices.reversed() where equal > 0 && magnitudes[weight][index] == limit {
        flags[weight][index] = false
        equal -= 1
      }
    }
    return flags
  }

  /// The parameters that linear layers and convolutions contract with activations, each with its axis of inputs, in order.
  private static func contracted(_ module: Module) -> [(value: ValueID, axis: Int)] {
    let parameters = Set(module.parameters.map(\.value))
    var seen: Set<ValueID> = []
    var result: [(value: ValueID, axis: Int)] = []
    func add(_ value: ValueID?, _ axis: Int) {
      guard let value, parameters.contains(value), seen.insert(value).inserted else { return }
      result.append((value, axis))
    }
    for node in module.nodes {
      switch node.operation {
      case .convolution(let convolution):
        let operand = convolution.weightOperand
        if node.inputs.indices.contains(operand) { add(node.inputs[operand], convolution == .convTranspose ? 0 : 1) }
      case .matrixProduct(let product):
        let ranks = node.inputs.map { $0.map { module[$0].type.rank } ?? 0 }
        guard let contraction = Contraction(node, product: product, ranks: ranks), contraction.factors.count == 2 else {
          continue
        }
        for (factor, labels) in contraction.factors.enumerated() {
          guard let value = node.inputs[factor], let other = node.inputs[1 - factor], !parameters.contains(other),
            let axis = labels.firstIndex(where: { !contraction.result.contains($0) })
          else { continue }
          add(value, axis)
        }
      case .recurrence: for operand in [1, 2] where node.inputs.indices.contains(operand) { add(node.inputs[operand], 2) }
      case .elementwise, .normalisation, .reduction, .reshaping, .joining, .indexing, .pooling, .attention, .quantisation,
        .generation, .opaque:
        continue
      }
    }
    return result
  }
}
