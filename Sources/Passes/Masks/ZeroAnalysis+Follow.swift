import Graph

/// What nodes make of constant slices.
extension ZeroAnalysis {
  /// Notes what is known of a node's results.
  func follow(_ index: Int, _ node: Node) {
    guard let output = node.outputs.first ?? nil else { return }
    switch node.operation {
    case .elementwise(let elementwise): slices[output] = elementwiseResult(node, elementwise, output)
    case .matrixProduct, .convolution: slices[output] = productResult(index, node, output)
    case .normalisation(let norm): slices[output] = normResult(node, norm, output)
    case .reduction(let reduction): slices[output] = reductionResult(node, reduction, output)
    case .pooling(let pooling): slices[output] = poolResult(node, pooling, output)
    case .reshaping: slices[output] = moved(node, [0], to: output)
    case .joining(let joining): followJoining(node, joining)
    case .indexing(let indexing):
      switch indexing {
      case .gather: slices[output] = moved(node, [0], to: output)
      case .scatterND, .scatterElements: slices[output] = moved(node, [0, 2], to: output)
      case .trilu: slices[output] = moved(node, [0], to: output, only: 0)
      case .compress, .gatherElements, .gatherND, .nonMaxSuppression, .nonZero, .oneHot, .reverseSequence, .unique: break
      }
    case .attention(let attention):
      switch attention {
      // A weighted sum of zeros.
      case .attention: slices[output] = moved(node, [2], to: output, only: 0)
      case .rotaryEmbedding, .microsoftRotaryEmbedding: slices[output] = moved(node, [0], to: output, only: 0)
      case .groupQueryAttention, .microsoftAttention, .multiHeadAttention, .quantisedAttention: break
      }
    case .quantisation, .recurrence, .generation, .opaque: break
    }
  }

  // MARK: Movement

  /// What is known of a result whose elements are elements of some operands, at places that stand for the same indices. `only`: other
  /// elements of that number may be among them.
  func moved(_ node: Node, _ operands: [Int], to output: ValueID, only: Double? = nil) -> ConstantSlices {
    let sources = operands.compactMap { node.inputs.indices.contains($0) ? node.inputs[$0] : nil }
    var result = ConstantSlices()
    guard !sources.isEmpty else { return result }
    func admitted(_ number: Double?) -> Double? { only == nil || number == only ? number : nil }
    let wholes = Set(sources.map { slices($0).whole })
    if wholes.count == 1, let whole = wholes.first { result.whole = admitted(whole) }
    let targets = places(output)
    for target in targets where targets.filter({ $0.group == target.group }).count == 1 {
      var numbers: [Double?]?
      for source in sources {
        let own = places(source).filter { $0.group == target.group }
        if own.isEmpty { continue }
        let next = own.count == 1 ? slices(source).numbers[own[0]] : nil
        let known = next ?? Array(repeating: nil, count: gone[target.group].count)
        numbers = numbers.map { zip($0, known).map { $0 == $1 ? $0 : nil } } ?? known
      }
      if let numbers, numbers.contains(where: { $0 != nil }) { result.numbers[target] = numbers.map(admitted) }
    }
    return result
  }

  private func followJoining(_ node: Node, _ joining: Joining) {
    switch joining {
    case .concat:
      for case let output? in node.outputs { slices[output] = moved(node, Array(node.inputs.indices), to: output) }
    case .slice, .split: for case let output? in node.outputs { slices[output] = moved(node, [0], to: output) }
    case .pad:
      let mode = node.attributes.string(.mode) ?? "constant"
      let operand = node.inputs.indices.contains(2) ? node.inputs[2] : nil
      let fill = operand.map { slices($0).whole } ?? Double(node.attributes.float(.value) ?? 0)
      guard mode != "constant" || fill != nil else { return }
      for case let output? in node.outputs {
        slices[output] = moved(node, [0], to: output, only: mode == "constant" ? fill : nil)
      }
    case .quantisedConcat: break
    }
  }

  // MARK: Elementwise

  /// The operator applied to the numbers that the operands' slices are.
  private func elementwiseResult(_ node: Node, _ elementwise: Elementwise, _ output: ValueID) -> ConstantSlices {
    var result = ConstantSlices()
    if case .dropout = elementwise { return moved(node, [0], to: output) }
    guard Self.isComputable(elementwise), StoredReals.canRead(type(output).element) else { return result }
    let operands = node.inputs.map { $0.map { (value: $0, slices: slices($0), rank: solution.axes[$0.index].count) } }
    let wholes = operands.map { $0.map { $0.slices.whole } }
    if let numbers = computed(node, elementwise, wholes.map { $0.map { [$0] } }, count: 1) { result.whole = numbers[0] }
    let rank = solution.axes[output.index].count
    for place in places(output) {
      let count = gone[place.group].count
      let lists = operands.map { operand -> [Double?]? in
        guard let operand else { return nil }
        let own = CarriedGroup(axis: place.axis - (rank - operand.rank), group: place.group)
        if own.axis >= 0, groups(operand.value, axis: own.axis).contains(place.group) {
          return operand.slices.numbers[own] ?? Array(repeating: operand.slices.whole, count: count)
        }
        return Array(repeating: operand.slices.whole, count: count)
      }
      if let numbers = computed(node, elementwise, lists, count: count), numbers.contains(where: { $0 != nil }) {
        result.numbers[place] = numbers
      }
    }
    return result
  }

  /// The operator over lists of numbers, one per operand; an operand left out has none. Nil where it cannot be computed.
  private func computed(_ node: Node, _ elementwise: Elementwise, _ lists: [[Double?]?], count: Int) -> [Double?]? {
    var result = [Double?](repeating: nil, count: count)
    // Zero times anything finite is zero.
    if case .mul = elementwise {
      for index in 0..<count where lists.contains(where: { $0.map { $0[index] == 0 } ?? false }) { result[index] = 0 }
    }
    let known = (0..<count).filter { index in result[index] == nil && lists.allSatisfy { $0.map { $0[index] != nil } ?? true } }
    guard !known.isEmpty else { return result }
    var inputs: [Tensor?] = []
    for (operand, list) in lists.enumerated() {
      guard let list, let value = node.inputs[operand] else {
        inputs.append(nil)
        continue
      }
      // Bounds of a clip are single numbers.
      let isSingle = elementwise == .clip && operand > 0
      let numbers = isSingle ? [list[0] ?? 0] : known.map { list[$0] ?? 0 }
      let element = type(value).element
      let shape = isSingle ? [] : [numbers.count]
      if element == .bool {
        inputs.append(Tensor(truths: numbers.map { $0 != 0 }, shape))
      } else if element.isFloat {
        inputs.append(Tensor(reals: numbers, element, shape))
      } else if element.isInteger {
        inputs.append(Tensor(wholes: numbers.map { Int(exactly: $0) ?? 0 }, element, shape))
      } else {
        return result
      }
    }
    var random = SplitMix(seed: 0)
    guard
      let made = try? Evaluation.run(node, opsets: solution.module.opsets, inputs: inputs, label: "", random: &random).first,
      let made, made.count == known.count
    else { return result }
    let numbers = made.element == .bool ? made.truths.map { $0 ? 1.0 : 0.0 } : made.reals
    for (index, number) in zip(known, numbers) where number.isFinite { result[index] = number }
    return result
  }

  /// Operators whose result at a place is a function of the operands there, and nothing else.
  private static func isComputable(_ elementwise: Elementwise) -> Bool {
    switch elementwise {
    case .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere, .dropout, .bitShift, .bitwiseAnd,
      .bitwiseNot, .bitwiseOr, .bitwiseXor:
      false
    case .abs, .acos, .acosh, .add, .and, .asin, .asinh, .atan, .atanh, .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh, .div,
      .elu, .equal, .erf, .exp, .floor, .gelu, .greater, .greaterOrEqual, .hardSigmoid, .hardSwish, .identity, .isInfinite,
      .isNaN,
      .leakyRelu, .less, .lessOrEqual, .log, .max, .mean, .min, .mish, .mod, .mul, .neg, .not, .or, .pow, .prelu, .reciprocal,
      .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .sub, .sum, .swish, .tan, .tanh,
      .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu, .quickGelu:
      true
    }
  }

  // MARK: Norms, reductions, pools

  private func normResult(_ node: Node, _ norm: Normalisation, _ output: ValueID) -> ConstantSlices {
    var result = ConstantSlices()
    func operand(_ index: Int) -> ConstantSlices {
      node.inputs.indices.contains(index) ? node.inputs[index].map { slices($0) } ?? ConstantSlices() : ConstantSlices()
    }
    func number(_ index: Int, _ group: Int, _ at: Int) -> Double? {
      operand(index).whole ?? operand(index).number(CarriedGroup(axis: 0, group: group), at)
    }
    switch norm {
    case .batchNorm where !node.attributes.flag(.trainingMode):
      let epsilon = Double(node.attributes.float(.epsilon) ?? 1e-5)
      for place in places(output) where place.axis == 1 {
        result.numbers[place] = gone[place.group].indices.map { index in
          guard let scale = number(1, place.group, index), let bias = number(2, place.group, index) else { return nil }
          if scale == 0 { return bias }
          guard let data = operand(0).whole ?? operand(0).number(place, index), let mean = number(3, place.group, index),
            let variance = number(4, place.group, index), variance + epsilon > 0
          else { return nil }
          return Double(Float((data - mean) / (variance + epsilon).squareRoot() * scale + bias))
        }
      }
    case .instanceNorm, .groupNorm:
      for place in places(output) where place.axis == 1 {
        result.numbers[place] = gone[place.group].indices.map { index in
          number(1, place.group, index) == 0 ? number(2, place.group, index) : nil
        }
      }
    case .batchNorm, .hardmax, .localResponseNorm, .layerNorm, .logSoftmax, .lpNorm, .meanVarianceNorm, .rmsNorm,
      .simplifiedLayerNorm, .softmax, .quantisedSoftmax, .embedLayerNorm, .skipLayerNorm, .skipSimplifiedLayerNorm:
      break
    }
    return result
  }

  private func reductionResult(_ node: Node, _ reduction: Reduction, _ output: ValueID) -> ConstantSlices {
    switch reduction {
    case .reduceMax, .reduceMean, .reduceMin: moved(node, [0], to: output)
    case .reduceL1, .reduceL2, .reduceSum, .reduceSumSquare, .cumSum: moved(node, [0], to: output, only: 0)
    case .argMax, .argMin, .reduceLogSum, .reduceLogSumExp, .reduceProd, .topK: ConstantSlices()
    }
  }

  private func poolResult(_ node: Node, _ pooling: Pooling, _ output: ValueID) -> ConstantSlices {
    let attributes = node.attributes
    switch pooling {
    // Pads of a maximum count as nothing.
    case .maxPool, .globalMaxPool, .globalAveragePool: return moved(node, [0], to: output)
    case .averagePool:
      let isEven = Self.isUnpadded(attributes) && !attributes.flag(.ceilMode)
      return moved(node, [0], to: output, only: isEven ? nil : 0)
    case .resize, .upsample:
      let mode = attributes.string(.mode) ?? "nearest"
      let isCropped = attributes.string(.coordinateTransformationMode) == "tf_crop_and_resize"
      return moved(node, [0], to: output, only: mode != "cubic" && !isCropped ? nil : 0)
    case .lpPool, .globalLpPool, .gridSample, .roiAlign: return moved(node, [0], to: output, only: 0)
    case .affineGrid, .dft, .stft, .maxRoiPool, .maxUnpool, .quantisedAveragePool, .quantisedGlobalAveragePool:
      return ConstantSlices()
    }
  }

  /// True where a window never reaches over the border.
  static func isUnpadded(_ attributes: Attributes) -> Bool {
    let automatic = attributes.string(.autoPad) ?? "NOTSET"
    if automatic == "VALID" { return true }
    return (automatic == "NOTSET" || automatic.isEmpty) && (attributes.ints(.pads) ?? []).allSatisfy { $0 == 0 }
  }
}
