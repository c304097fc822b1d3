import Graph

/// Where the indices of a group meet.
extension ZeroAnalysis {
  /// Notes what is in the way of removing indices at a node.
  func askMixing(_ index: Int, _ node: Node) {
    switch node.operation {
    case .elementwise(let elementwise): askElementwise(node, elementwise)
    case .matrixProduct(let product):
      if let affine = affine(node) {
        askAffine(index, node, affine)
      } else if let contraction = contraction(node, product) {
        askContraction(node, contraction)
      } else {
        blockAll(node)
      }
    case .convolution(let convolution): askConvolution(index, node, convolution)
    case .normalisation(let norm): askNorm(node, norm)
    case .reduction(let reduction): askReduction(node, reduction)
    case .reshaping, .quantisation(.dequantizeLinear), .quantisation(.quantizeLinear): break
    case .joining(let joining):
      switch joining {
      case .concat, .pad, .slice, .split: break
      case .quantisedConcat: blockAll(node)
      }
    case .indexing(let indexing): askIndexing(node, indexing)
    case .pooling(let pooling): askPooling(node, pooling)
    case .recurrence: askRecurrence(node)
    case .attention(let attention): askAttention(node, attention)
    case .generation(let generation):
      switch generation {
      case .shape, .size, .constantOfShape, .eyeLike, .range: break
      case .bernoulli, .multinomial, .randomNormal, .randomNormalLike, .randomUniform, .randomUniformLike: blockAll(node)
      }
    // Scales follow from the largest number of all.
    case .quantisation(.dynamicQuantizeLinear), .opaque: blockAll(node)
    }
  }

  /// Groups on some axes of an operand cannot lose anything.
  private func blockAxes(_ node: Node, operand: Int, _ cause: KeptReason.Cause, where isMixed: (Int) -> Bool) {
    guard node.inputs.indices.contains(operand), let value = node.inputs[operand] else { return }
    for place in places(value) where isMixed(place.axis) { block(place.group, reason(cause, node)) }
  }

  private func rank(_ node: Node, _ operand: Int) -> Int {
    guard node.inputs.indices.contains(operand), let value = node.inputs[operand] else { return 0 }
    return solution.axes[value.index].count
  }

  private func askElementwise(_ node: Node, _ elementwise: Elementwise) {
    switch elementwise {
    case .dropout:
      let training = node.inputs.count > 2 ? node.inputs[2] : nil
      if let training, slices(training).whole != 0 { blockAll(node) }
    case .abs, .acos, .acosh, .add, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr,
      .bitwiseXor,
      .cast, .castLike, .ceil, .celu, .clip, .cos, .cosh, .div, .elu, .equal, .erf, .exp, .floor, .gelu, .greater,
      .greaterOrEqual,
      .hardSigmoid, .hardSwish, .identity, .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .max, .mean, .min, .mish,
      .mod,
      .mul, .neg, .not, .or, .pow, .prelu, .reciprocal, .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus,
      .softsign, .sqrt, .sub, .sum, .swish, .tan, .tanh, .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu,
      .quickGelu, .quantisedAdd, .quantisedMul, .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      break
    }
  }

  private func askConvolution(_ index: Int, _ node: Node, _ convolution: Convolution) {
    blockAxes(node, operand: 0, .noRule) { $0 >= 2 }
    switch convolution {
    case .conv:
      if let affine = affine(node) { return askAffine(index, node, affine) }
      askWeight(node, axis: 1)
    case .convTranspose:
      // With groups, which part of the channel axis is contracted cannot be read off the weight.
      if (node.attributes.int(.group) ?? 1) == 1 { askWeight(node, axis: 0) } else { blockAll(node, operands: [0, 1]) }
    case .convInteger, .deformConv, .quantisedConv, .fusedConv: blockAll(node)
    }
  }

  /// A contraction of channels with an axis of a weight: what either has as zero adds nothing.
  private func askWeight(_ node: Node, axis: Int) {
    guard node.inputs.count >= 2, let data = node.inputs[0], let weight = node.inputs[1] else { return }
    for group in groups(weight, axis: axis) {
      ask(group, node) { at in
        slices(weight).number(CarriedGroup(axis: axis, group: group), at) == 0
          || slices(data).number(CarriedGroup(axis: 1, group: group), at) == 0
      }
    }
  }

  // MARK: Norms and reductions

  private func askNorm(_ node: Node, _ norm: Normalisation) {
    let rank = rank(node, 0)
    func positive(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    switch norm {
    case .batchNorm:
      if node.attributes.flag(.trainingMode) { blockAxes(node, operand: 0, .mixed) { $0 != 1 } }
    case .groupNorm:
      // The groups of channels are independent of each other, the channels inside one are not.
      guard let value = node.inputs.first.flatMap({ $0 }), solution.axes[value.index].count > 1 else {
        return blockAll(node, .mixed)
      }
      blockAxes(node, operand: 0, .mixed) { $0 >= 1 }
    case .instanceNorm: blockAxes(node, operand: 0, .mixed) { $0 >= 2 }
    case .hardmax, .logSoftmax, .softmax:
      let isNew = solution.module.opset >= 13
      let axis = positive(node.attributes.int(.axis) ?? (isNew ? -1 : 1))
      blockAxes(node, operand: 0, .mixed) { isNew ? $0 == axis : $0 >= axis }
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm:
      let axis = positive(node.attributes.int(.axis) ?? -1)
      blockAxes(node, operand: 0, .mixed) { $0 >= axis }
    case .skipLayerNorm, .skipSimplifiedLayerNorm: blockAxes(node, operand: 0, .mixed) { $0 == rank - 1 }
    case .lpNorm:
      let axis = positive(node.attributes.int(.axis) ?? -1)
      blockAxes(node, operand: 0, .mixed) { $0 == axis }
    case .meanVarianceNorm:
      let axes = (node.attributes.ints(.axes) ?? [0, 2, 3]).map(positive)
      blockAxes(node, operand: 0, .mixed) { axes.contains($0) }
    case .localResponseNorm, .quantisedSoftmax, .embedLayerNorm: blockAll(node, .mixed)
    }
  }

  private func askReduction(_ node: Node, _ reduction: Reduction) {
    let rank = rank(node, 0)
    func positive(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    switch reduction {
    case .argMax, .argMin: blockAxes(node, operand: 0, .mixed) { $0 == positive(node.attributes.int(.axis) ?? 0) }
    case .topK: blockAxes(node, operand: 0, .mixed) { $0 == positive(node.attributes.int(.axis) ?? -1) }
    case .cumSum: blockAll(node, .mixed)
    case .reduceL1, .reduceL2, .reduceSum, .reduceSumSquare:
      guard let axes = reducedAxes(node, rank), let value = node.inputs[0] else { return blockAll(node) }
      for place in places(value) where axes.contains(place.axis) {
        ask(place.group, node) { at in slices(value).number(place, at) == 0 }
      }
    case .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd:
      guard let axes = reducedAxes(node, rank) else { return blockAll(node) }
      blockAxes(node, operand: 0, .mixed) { axes.contains($0) }
    }
  }

  /// The axes that a reduction runs over, counted from the front; nil where that is not known.
  private func reducedAxes(_ node: Node, _ rank: Int) -> Set<Int>? {
    let operand = node.inputs.count > 1 ? node.inputs[1] : nil
    let listed = operand.map { solution.inferred.numbers[$0.index]?.numbers } ?? node.attributes.ints(.axes) ?? []
    guard let listed else { return nil }
    if listed.isEmpty { return node.attributes.flag(.noopWithEmptyAxes) ? [] : Set(0..<rank) }
    return Set(listed.map { $0 < 0 ? $0 + rank : $0 })
  }

  // MARK: Indexing and pooling

  private func askIndexing(_ node: Node, _ indexing: Indexing) {
    func isConstant(_ operand: Int) -> Bool {
      node.inputs.indices.contains(operand)
        && node.inputs[operand].map { solution.inferred.numbers[$0.index]?.numbers != nil } ?? false
    }
    switch indexing {
    case .gather:
      if isConstant(1) { return }
      let rank = rank(node, 0)
      let axis = node.attributes.int(.axis) ?? 0
      blockAxes(node, operand: 0, .noRule) { $0 == (axis < 0 ? axis + rank : axis) }
      blockAll(node, operands: [1])
    case .gatherND, .scatterND: if !isConstant(1) { blockAll(node) }
    case .trilu:
      let rank = rank(node, 0)
      blockAxes(node, operand: 0, .noRule) { $0 >= rank - 2 }
    case .compress, .gatherElements, .nonMaxSuppression, .nonZero, .oneHot, .reverseSequence, .scatterElements, .unique:
      blockAll(node)
    }
  }

  private func askPooling(_ node: Node, _ pooling: Pooling) {
    switch pooling {
    case .averagePool, .globalAveragePool, .globalLpPool, .globalMaxPool, .lpPool, .maxPool, .resize, .upsample:
      blockAxes(node, operand: 0, .noRule) { $0 >= 2 }
    case .gridSample, .roiAlign:
      blockAxes(node, operand: 0, .noRule) { $0 != 1 }
      blockAll(node, operands: Array(node.inputs.indices.dropFirst()))
    case .affineGrid, .dft, .stft, .maxRoiPool, .maxUnpool, .quantisedAveragePool, .quantisedGlobalAveragePool: blockAll(node)
    }
  }

  // MARK: Recurrence and attention

  /// The features that a recurrence reads are contracted with its first weight; its own units feed back into all others.
  private func askRecurrence(_ node: Node) {
    guard node.inputs.count >= 2, let data = node.inputs[0], let weight = node.inputs[1] else { return blockAll(node) }
    let features = Set(groups(weight, axis: 2))
    for case let input? in node.inputs {
      for place in places(input) where !features.contains(place.group) || (input != data && !(input == weight && place.axis == 2))
      {
        block(place.group, reason(.noRule, node))
      }
    }
    let axis = solution.axes[data.index].count - 1
    for group in features {
      ask(group, node) { at in
        slices(weight).number(CarriedGroup(axis: 2, group: group), at) == 0
          || slices(data).number(CarriedGroup(axis: axis, group: group), at) == 0
      }
    }
    for place in places(data) where place.axis != axis { block(place.group, reason(.noRule, node)) }
  }

  /// Heads work by themselves. Dims of queries and keys are contracted with each other; those of values pass.
  private func askAttention(_ node: Node, _ attention: AttentionFamily) {
    switch attention {
    case .attention: break
    case .rotaryEmbedding, .microsoftRotaryEmbedding:
      for case let input? in node.inputs {
        for place in places(input) where !isHeads(place.group) { block(place.group, reason(.noRule, node)) }
      }
      return
    case .groupQueryAttention, .microsoftAttention, .multiHeadAttention, .quantisedAttention: return blockAll(node)
    }
    for operand in node.inputs.indices {
      guard let value = node.inputs[operand] else { continue }
      for place in places(value) where !isHeads(place.group) {
        switch operand {
        case 0, 1:
          let other = node.inputs[1 - operand]
          ask(place.group, node) { at in
            if slices(value).number(place, at) == 0 { return true }
            guard let other else { return false }
            return places(other).contains { $0.group == place.group && slices(other).number($0, at) == 0 }
          }
        case 2 where place.axis == solution.axes[value.index].count - 1: break
        case _: block(place.group, reason(.noRule, node))
        }
      }
    }
  }

  private func isHeads(_ group: Int) -> Bool {
    switch solution.groups[group].kind {
    case .heads, .queries: true
    case .headDims, .hidden, .width, .groups, .normGroups, .experts, .tokens, .channels: false
    }
  }
}
