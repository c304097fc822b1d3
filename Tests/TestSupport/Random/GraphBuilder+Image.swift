import Graph

/// Blocks over images [batch, channels, height, width] and series of channels.
extension GraphBuilder {
  /// A block drawn at random; most keep height and width.
  mutating func imageBlock(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    switch dice.int(0...39) {
    case 0, 1: return try unit(x, dice.pick([4, 6, 8, 9, 12]), kernel: dice.pick([1, 3]), "conv")
    case 2, 3, 4: return try residualUnit(x)
    case 5, 6: return try inverted(x)
    case 7, 8: return try grouped(x)
    case 9, 10: return try shuffleUnit(x)
    case 11, 12: return try dense(x)
    case 13: return try upAndDown(x)
    case 14: return try pixelShuffle(x)
    case 15: return try apply(.add, x, try pooled(x))
    case 16: return try imageNorm(x, "norm")
    case 17: return try gatedChannels(x)
    case 18: return try spatialAttention(x)
    case 19: return try responseNorm(x)
    case 20: return try focus(x)
    case 21: return try zeroShortcut(x)
    case 22, 23, 24, 25: return try apply(.add, x, try tangle(x, axis: 1))
    case 26, 27, 28: return try rareImage(x)
    case 34, 35, 36: return try apply(.add, x, try scarceImage(x))
    case 29, 30, 31, 32, 33: return try apply(.add, x, try stressImage(x))
    default: return try apply(.mul, x, try apply(.sigmoid, try unit(x, dice.chance(0.5) ? 1 : channels, kernel: 1, "gate")))
    }
  }

  /// A convolution with equal padding.
  mutating func conv(
    _ x: ValueID, _ channels: Int, kernel: Int, groups: Int = 1, stride: Int = 1, _ name: String, bias: Bool? = nil
  ) throws(Diagnostic) -> ValueID {
    let input = try extent(x, 1)
    let spatial = rank(x) - 2
    let spread = 1.2 / Float(input / groups * (kernel > 1 ? 3 : 1)).squareRoot()
    let shape = [channels, input / groups] + [Int](repeating: kernel, count: spatial)
    let stored: ValueID
    if dice.chance(0.1) {
      let raw = weight("\(name).weight", shape, spread: spread)
      stored = try apply(.sub, raw, try reduce(.reduceMean, raw, Array(1..<shape.count), keep: true))
    } else if dice.chance(0.05) {
      stored = try apply(
        .mul, weight("\(name).weight", shape, spread: spread),
        weight("\(name).gain", [channels] + Array(repeating: 1, count: shape.count - 1), mean: 1))
    } else {
      stored = weight("\(name).weight", shape, spread: spread)
    }
    let operands = [x, stored] + (bias ?? dice.chance(0.5) ? [weight("\(name).bias", [channels])] : [])
    var attributes: [Attributes.Entry] = []
    if kernel > 1 { attributes.append(.ints(.pads, [Int](repeating: kernel / 2, count: 2 * spatial))) }
    if groups > 1 { attributes.append(.int(.group, groups)) }
    if stride > 1 { attributes.append(.ints(.strides, [Int](repeating: stride, count: spatial))) }
    if dice.chance(0.5) { attributes.append(.ints(.kernelShape, Array(shape.dropFirst(2)))) }
    return try add(.convolution(.conv), operands, attributes)
  }

  mutating func batchNorm(_ x: ValueID, _ name: String) throws(Diagnostic) -> ValueID {
    let n = try extent(x, 1)
    let operands = [
      x, weight("\(name).weight", [n], mean: 1), weight("\(name).bias", [n]), weight("\(name).running_mean", [n]),
      weight("\(name).running_var", [n], mean: 1),
    ]
    return try add(.normalisation(.batchNorm), operands)
  }

  /// A norm for images: of batches, of groups, of instances, over channels, or as exporters write a group norm.
  mutating func imageNorm(_ x: ValueID, _ name: String) throws(Diagnostic) -> ValueID {
    let n = try extent(x, 1)
    let divisors = (1...n).filter { n % $0 == 0 }
    switch dice.int(0...7) {
    case 0:
      let scale = weight("\(name).weight", [n], mean: 1)
      return try add(.normalisation(.instanceNorm), [x, scale, weight("\(name).bias", [n])])
    case 1 where opset >= 21:
      let scale = weight("\(name).weight", [n], mean: 1)
      return try add(
        .normalisation(.groupNorm), [x, scale, weight("\(name).bias", [n])], [.int(.numGroups, dice.pick(divisors))])
    case 1, 2:
      let groups = dice.pick(divisors)
      let view = try reshape(x, [extent(of: x, 0), Extent(groups), Extent(n / groups * (try extent(x, 2)) * (try extent(x, 3)))])
      let normal = try add(
        .normalisation(.instanceNorm), [view, real(1, [groups]), real(0, [groups])], [.float(.epsilon, 1e-5)])
      let back = try reshape(normal, shape(x))
      return try apply(
        .add, try apply(.mul, back, weight("\(name).weight", [n, 1, 1], mean: 1)), weight("\(name).bias", [1, n, 1, 1]))
    case 3:
      let last = try norm(try transpose(x, [0, 2, 3, 1]), name)
      return try transpose(last, [0, 3, 1, 2])
    default: return try batchNorm(x, name)
    }
  }

  /// Convolution, norm, activation; each of the latter two may be missing.
  mutating func unit(
    _ x: ValueID, _ channels: Int, kernel: Int, groups: Int = 1, stride: Int = 1, _ name: String
  ) throws(Diagnostic) -> ValueID {
    var value = try conv(x, channels, kernel: kernel, groups: groups, stride: stride, name)
    if dice.chance(0.6) { value = try imageNorm(value, "\(name).norm") }
    return dice.chance(0.7) ? try activation(value, channelAxis: 1) : value
  }

  private mutating func residualUnit(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    if dice.chance(0.3) {
      let other = dice.pick([4, 6, 8, 12])
      let branch = try conv(try unit(x, dice.int(3...8), kernel: 3, "conv1"), other, kernel: 1, "conv2")
      return try activation(try apply(.add, try conv(x, other, kernel: 1, "shortcut"), branch), channelAxis: 1)
    }
    let branch = try conv(try unit(x, dice.int(3...8), kernel: 3, "conv1"), channels, kernel: 3, "conv2")
    return try activation(try apply(.add, branch, x), channelAxis: 1)
  }

  /// Expansion, depthwise, squeeze and excitation, projection.
  private mutating func inverted(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    let hidden = dice.pick([6, 8, 10])
    let wide = try unit(x, hidden, kernel: 1, "expand")
    let times = dice.chance(0.2) ? 2 : 1
    var deep = try unit(wide, hidden * times, kernel: 3, groups: hidden, "dw")
    if dice.chance(0.6) {
      let mean =
        dice.chance(0.5) ? try add(.pooling(.globalAveragePool), [deep]) : try reduce(.reduceMean, deep, [2, 3], keep: true)
      let inner = try activation(try conv(mean, dice.int(2...4), kernel: 1, "se.down"), channelAxis: 1)
      deep = try apply(.mul, deep, try apply(.sigmoid, try conv(inner, hidden * times, kernel: 1, "se.up")))
    }
    return try apply(.add, x, try conv(deep, channels, kernel: 1, "project"))
  }

  private mutating func grouped(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let groups = dice.int(2...4)
    let inner = dice.int(2...3)
    let wide = try unit(x, groups * inner, kernel: 1, "reduce")
    let result = try unit(wide, groups * dice.int(1...3), kernel: 3, groups: groups, "grouped")
    if dice.chance(0.3) {
      let out = try extent(result, 1)
      let mixed = try reshape(result, [extent(of: x, 0), Extent(groups), Extent(out / groups)] + shape(x).suffix(2))
      let turned = try transpose(mixed, [0, 2, 1, 3, 4])
      let shuffled = try reshape(turned, [extent(of: x, 0), Extent(out)] + shape(x).suffix(2))
      return try unit(shuffled, out, kernel: 1, groups: dice.pick((1...out).filter { out % $0 == 0 }), "after")
    }
    return dice.chance(0.7) ? try conv(result, try extent(x, 1), kernel: 1, "widen") : result
  }

  /// Half of the channels goes round; both halves are shuffled.
  private mutating func shuffleUnit(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let half = dice.int(2...5)
    let wide = try extent(x, 1) == 2 * half ? x : try unit(x, 2 * half, kernel: 1, "fit")
    var value = wide
    for round in 0..<dice.int(1...2) {
      let parts = try pieces(value, [half, half], 1)
      let middle = try unit(parts[1], half, kernel: 1, "round\(round).a")
      let deep = try unit(middle, half, kernel: 3, groups: half, "round\(round).b")
      let joined = try concat([parts[0], try unit(deep, half, kernel: 1, "round\(round).c")], 1)
      let view = try reshape(joined, [extent(of: x, 0), 2, Extent(half)] + shape(x).suffix(2))
      value = try reshape(try transpose(view, [0, 2, 1, 3, 4]), [extent(of: x, 0), Extent(2 * half)] + shape(x).suffix(2))
    }
    return value
  }

  /// Every layer sees all before it.
  private mutating func dense(_ x: ValueID) throws(Diagnostic) -> ValueID {
    var parts = [x]
    for layer in 0..<dice.int(1...3) {
      let all = parts.count == 1 ? parts[0] : try concat(parts, 1)
      let open = dice.chance(0.5) ? try batchNorm(all, "layer\(layer).bn") : all
      parts.append(try unit(open, dice.int(1...4), kernel: dice.pick([1, 3]), "layer\(layer)"))
    }
    let all = try concat(parts, 1)
    return dice.chance(0.6) ? try unit(all, dice.pick([4, 6, 8]), kernel: 1, "transition") : all
  }

  /// Half the size and back, with the skip joined.
  private mutating func upAndDown(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (height, width) = (try extent(x, 2), try extent(x, 3))
    let channels = try extent(x, 1)
    guard height % 2 == 0, width % 2 == 0 else { return try unit(x, channels, kernel: 3, "flat") }
    let down =
      dice.chance(0.5)
      ? try unit(x, dice.pick([4, 6]), kernel: 3, stride: 2, "down")
      : try unit(try pooled(x, stride: 2), dice.pick([4, 6]), kernel: 3, "down")
    let inner = try extent(down, 1)
    let up: ValueID
    switch dice.int(0...2) {
    case 0:
      let groups = dice.pick([1, 1, 2])
      let kernel = weight("up.weight", [inner, dice.int(1...3), 2, 2])
      let out = groups * (try extent(kernel, 1))
      let operands = [down, kernel] + (dice.chance(0.5) ? [weight("up.bias", [out])] : [])
      up = try add(.convolution(.convTranspose), operands, [.ints(.strides, [2, 2]), .int(.group, groups)])
    case 1:
      up = try add(
        .pooling(.resize), [down, nil, parameter("scales", TensorData([1, 1, 2, 2] as [Float]), .f32, [4])],
        [.string(.mode, "nearest")])
    default:
      if extent(of: x, 0).isConstant {
        let sizes = wholes([try extent(x, 0), inner, height, width])
        up = try add(.pooling(.resize), [down, nil, nil, sizes], [.string(.mode, "linear")])
      } else {
        let front = try length(down, 0, asList: true)
        let sizes = try concat([front, try length(down, 1, asList: true), wholes([height, width])], 0)
        up = try add(.pooling(.resize), [down, nil, nil, sizes], [.string(.mode, "nearest")])
      }
    }
    return dice.chance(0.6)
      ? try unit(try concat([up, x], 1), channels, kernel: 3, "merge")
      : try apply(.add, try conv(up, channels, kernel: 1, "fit"), x)
  }

  private mutating func pooled(_ x: ValueID, stride: Int = 1) throws(Diagnostic) -> ValueID {
    let kind: Pooling = dice.pick([.maxPool, .averagePool, .averagePool])
    let kernel = stride == 2 ? 2 : 3
    let pads = [Int](repeating: stride == 2 ? 0 : 1, count: 4)
    return try add(
      .pooling(kind), [x], [.ints(.kernelShape, [kernel, kernel]), .ints(.strides, [stride, stride]), .ints(.pads, pads)])
  }

  /// Channels become pixels: by the operator, or by views.
  private mutating func pixelShuffle(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    let (height, width) = (try extent(x, 2), try extent(x, 3))
    let wide = try conv(x, 4 * dice.int(1...3), kernel: 1, "wide")
    let inner = try extent(wide, 1) / 4
    let large: ValueID
    switch dice.int(0...2) {
    case 0:
      let mode = dice.pick(["DCR", "CRD"])
      large = try add(.reshaping(.depthToSpace), [wide], [.int(.blocksize, 2), .string(.mode, mode)])
    default:
      let view = try reshape(wide, [extent(of: x, 0), Extent(inner), 2, 2, Extent(height), Extent(width)])
      let turned = try transpose(view, [0, 1, 4, 2, 5, 3])
      large = try reshape(turned, [extent(of: x, 0), Extent(inner), Extent(2 * height), Extent(2 * width)])
    }
    let open = try unit(large, dice.int(2...4), kernel: 3, "large")
    let small =
      dice.chance(0.5) ? try add(.reshaping(.spaceToDepth), [open], [.int(.blocksize, 2)]) : try pooled(open, stride: 2)
    return try apply(.add, x, try conv(small, channels, kernel: 1, "back"))
  }

  private mutating func gatedChannels(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let hidden = dice.int(2...5)
    let halves = try pieces(try conv(x, 2 * hidden, kernel: 1, "both"), [hidden, hidden], 1)
    return try apply(
      .add, x, try conv(try apply(.mul, halves[0], try activation(halves[1], channelAxis: 1)), try extent(x, 1), kernel: 1, "out")
    )
  }

  /// Linear attention over pixels, by convolutions.
  private mutating func spatialAttention(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let (heads, size) = (dice.int(2...3), dice.int(2...4))
    let pixels = Extent(try extent(x, 2) * (try extent(x, 3)))
    let joint = try conv(x, 3 * heads * size, kernel: 1, "qkv")
    let parts: [ValueID]
    if dice.chance(0.5) {
      let view = try reshape(joint, [extent(of: x, 0), 3, Extent(heads), Extent(size), pixels])
      parts = [try select(view, 1, 0), try select(view, 1, 1), try select(view, 1, 2)]
    } else {
      let view = try reshape(joint, [extent(of: x, 0), Extent(heads), Extent(3 * size), pixels])
      parts = try pieces(view, [size, size, size], 2)
    }
    let context = try matMul(try softmax(parts[1], -1), try turned(parts[2]))
    let mixed = try matMul(try turned(context), try softmax(parts[0], -2))
    let joined = try reshape(mixed, [extent(of: x, 0), Extent(heads * size)] + shape(x).suffix(2))
    return try apply(.add, x, try conv(joined, try extent(x, 1), kernel: 1, "out"))
  }

  /// Norms that look across channels.
  private mutating func responseNorm(_ x: ValueID) throws(Diagnostic) -> ValueID {
    if !isJudged, dice.chance(0.4) { return try add(.normalisation(.localResponseNorm), [x], [.int(.size, 3)]) }
    let channels = try extent(x, 1)
    let size = try reduce(.reduceL2, x, [2, 3], keep: true)
    let mean = try apply(.add, try reduce(.reduceMean, size, [1], keep: true), real(1e-3))
    let scale = weight("grn.weight", [1, channels, 1, 1], mean: 1)
    return try apply(.add, x, try apply(.mul, try apply(.mul, x, try apply(.div, size, mean)), scale))
  }

  /// Every second pixel, four times, as channels.
  private mutating func focus(_ x: ValueID) throws(Diagnostic) -> ValueID {
    guard try extent(x, 2) % 2 == 0, try extent(x, 3) % 2 == 0, try extent(x, 2) > 2 else {
      return try unit(x, try extent(x, 1), kernel: 3, "flat")
    }
    var parts: [ValueID] = []
    for corner in 0..<4 {
      let rows = try slice(x, 2, corner / 2, Int(Int64.max), step: 2)
      parts.append(try slice(rows, 3, corner % 2, Int(Int64.max), step: 2))
    }
    return try unit(try concat(parts, 1), dice.pick([4, 6]), kernel: 1, "focus")
  }

  /// A shortcut with zeros for the channels that are new.
  private mutating func zeroShortcut(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let channels = try extent(x, 1)
    let (before, after) = (dice.int(0...2), dice.int(1...2))
    let wide = try add(.joining(.pad), [x, wholes([0, before, 0, 0, 0, after, 0, 0])])
    return try apply(.add, wide, try unit(x, before + channels + after, kernel: 3, "conv"))
  }
}
