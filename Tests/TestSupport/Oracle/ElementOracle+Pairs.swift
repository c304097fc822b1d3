import Graph

/// Operators that pair elements: what is kept on one side must be exactly what is kept on the other.
extension ElementOracle {
  /// Names the axes of an operand or result; equal names run together.
  typealias Labels = [String]

  /// Runs axes of equal names together and stores the result. An axis of one index beside longer ones is broadcast and says nothing.
  mutating func join(_ operands: [(kept: Kept, labels: Labels)], _ output: ValueID?, _ labels: Labels) throws(Fault) {
    let joined = try join(operands)
    guard let output else { return }
    var axes: [[Bool]?] = []
    for label in labels { axes.append(joined[label] ?? nil) }
    try store(output, axes: axes)
  }

  /// What is kept along each name, after all operands agree on it.
  func join(_ operands: [(kept: Kept, labels: Labels)]) throws(Fault) -> [String: [Bool]?] {
    var extents: [String: Int] = [:]
    for (kept, labels) in operands {
      guard kept.shape.count == labels.count else { throw fault("\(labels) for \(kept.shape)") }
      for (label, extent) in zip(labels, kept.shape) { extents[label] = max(extents[label] ?? 1, extent) }
    }
    var result: [String: [Bool]?] = [:]
    for (kept, labels) in operands {
      for (at, label) in labels.enumerated() where kept.shape[at] == extents[label] {
        if let known = result[label] {
          if known != kept.axes[at] {
            throw fault("partners differ along \(label): \(text(known)) against \(text(kept.axes[at]))")
          }
        } else {
          result[label] = .some(kept.axes[at])
        }
      }
    }
    return result
  }

  func text(_ flags: [Bool]?) -> String { flags.map { $0.map { $0 ? "1" : "0" }.joined() } ?? "all" }

  /// Names of axes counted from the right.
  func fromRight(_ rank: Int) -> Labels { (0..<rank).map { "\(rank - $0)" } }

  /// Elementwise: operands aligned from the right.
  mutating func elementwise(_ operation: Elementwise) throws(Fault) {
    switch operation {
    case .clip, .castLike, .dropout:
      let kept = try operand(0)
      for case let output? in current.outputs { try store(output, axes: kept.axes) }
      try demandNoPositions()
    case .cast, .identity:
      let kept = try operand(0)
      guard let output = result(0) else { return }
      if !module[output].type.element.isInteger { try demandNoPositions() }
      try store(output, axes: kept.axes, range: kept.range)
    case .abs, .acos, .acosh, .add, .and, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr,
      .bitwiseXor,
      .ceil, .celu, .cos, .cosh, .div, .elu, .equal, .erf, .exp, .floor, .gelu, .greater, .greaterOrEqual, .hardSigmoid,
      .hardSwish,
      .isInfinite, .isNaN, .leakyRelu, .less, .lessOrEqual, .log, .max, .mean, .min, .mish, .mod, .mul, .neg, .not, .or, .pow,
      .prelu,
      .reciprocal, .relu, .round, .selu, .shrink, .sigmoid, .sign, .sin, .sinh, .softplus, .softsign, .sqrt, .sub, .sum, .swish,
      .tan,
      .tanh, .thresholdedRelu, .choose, .xor, .biasGelu, .fastGelu, .microsoftGelu, .quickGelu, .quantisedAdd, .quantisedMul,
      .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      try demandNoPositions()
      // Scales and zero points are single numbers, which broadcast.
      let operands = current.inputs.indices.compactMap { optional($0) }
      let rank = operands.map(\.shape.count).max() ?? 0
      try join(operands.map { ($0, fromRight($0.shape.count)) }, result(0), fromRight(rank))
    }
  }

  /// Products: the kept terms of a sum must have both factors.
  mutating func product(_ operation: MatrixProduct) throws(Fault) {
    try demandNoPositions()
    switch operation {
    case .matMul:
      let (a, b) = (try operand(0), try operand(1))
      func labels(_ rank: Int, _ last: Labels) -> Labels { rank == 1 ? ["k"] : fromRight(rank - 2) + last }
      let left = labels(a.shape.count, ["m", "k"])
      let right = labels(b.shape.count, ["k", "n"])
      let batch = fromRight(max(a.shape.count, b.shape.count, 2) - 2)
      try join([(a, left), (b, right)], result(0), batch + (a.shape.count > 1 ? ["m"] : []) + (b.shape.count > 1 ? ["n"] : []))
    case .gemm, .fusedGemm:
      var operands = [
        (try operand(0), current.attributes.flag(.transA) ? ["k", "m"] : ["m", "k"]),
        (try operand(1), current.attributes.flag(.transB) ? ["n", "k"] : ["k", "n"]),
      ]
      if let bias = optional(2) { operands.append((bias, Array(["m", "n"].suffix(bias.shape.count)))) }
      try join(operands, result(0), ["m", "n"])
    case .einsum: try einsum()
    case .fusedMatMul:
      guard !current.attributes.flag(.transBatchA), !current.attributes.flag(.transBatchB) else {
        throw fault("batches are turned")
      }
      let (a, b) = (try operand(0), try operand(1))
      let left = fromRight(a.shape.count - 2) + (current.attributes.flag(.transA) ? ["k", "m"] : ["m", "k"])
      let right = fromRight(b.shape.count - 2) + (current.attributes.flag(.transB) ? ["n", "k"] : ["k", "n"])
      try join([(a, left), (b, right)], result(0), fromRight(max(a.shape.count, b.shape.count) - 2) + ["m", "n"])
    case .matMulInteger:
      let (a, b) = (try operand(0), try operand(1))
      var operands = [(a, fromRight(a.shape.count - 2) + ["m", "k"]), (b, fromRight(b.shape.count - 2) + ["k", "n"])]
      if let zero = optional(3), zero.shape.count == 1 { operands.append((zero, ["n"])) }
      try join(operands, result(0), fromRight(max(a.shape.count, b.shape.count) - 2) + ["m", "n"])
    case .quantisedMatMul:
      let (a, b) = (try operand(0), try operand(3))
      var operands = [(a, fromRight(a.shape.count - 2) + ["m", "k"]), (b, fromRight(b.shape.count - 2) + ["k", "n"])]
      for index in 4...5 { if let scale = optional(index), scale.shape.count == 1 { operands.append((scale, ["n"])) } }
      for index in [1, 2, 6, 7] where try !operand(index).shape.isEmpty { throw fault("the oracle knows only one scale here") }
      try join(operands, result(0), fromRight(max(a.shape.count, b.shape.count) - 2) + ["m", "n"])
    case .dynamicMatMul, .integerToFloat:
      let (a, b) = (try operand(0), try operand(1))
      var operands = [(a, fromRight(a.shape.count - 2) + ["m", "k"]), (b, fromRight(b.shape.count - 2) + ["k", "n"])]
      let (columns, others) = operation == .dynamicMatMul ? ([2, 3, 4], []) : ([3, 5, 6], [2, 4])
      for index in columns { if let list = optional(index), list.shape.count == 1 { operands.append((list, ["n"])) } }
      for index in others where !(optional(index)?.shape.isEmpty ?? true) {
        throw fault("the oracle knows only one scale here")
      }
      try join(operands, result(0), fromRight(max(a.shape.count, b.shape.count) - 2) + ["m", "n"])
    case .quantisedGemm:
      var operands = [
        (try operand(0), current.attributes.flag(.transA) ? ["k", "m"] : ["m", "k"]),
        (try operand(3), current.attributes.flag(.transB) ? ["n", "k"] : ["k", "n"]),
      ]
      for index in 4...6 { if let list = optional(index), list.shape.count == 1 { operands.append((list, ["n"])) } }
      for index in [1, 2, 7, 8] where !(optional(index)?.shape.isEmpty ?? true) {
        throw fault("the oracle knows only one scale here")
      }
      try join(operands, result(0), ["m", "n"])
    case .matMulNBits: try packedProduct()
    }
  }

  /// Weights are stored as rows of blocks of bytes; a block of the operand's units goes as a whole.
  private mutating func packedProduct() throws(Fault) {
    let (x, weight, scale) = (try operand(0), try operand(1), try operand(2))
    guard let output = result(0), current.inputs.count == 3 else { throw fault("the oracle does not know this form") }
    try demandWhole(weight, 2, "it holds packed bytes")
    let units = try blocks(
      x.axes[x.shape.count - 1], outer: weight.shape[1], inner: current.attributes.int(.blockSize) ?? 0)
    for (isKept, inner) in zip(units.outer, units.inner) where isKept && inner.contains(false) {
      throw fault("a block loses a part")
    }
    if units.outer.nilIfWhole != weight.axes[1] {
      throw fault("blocks \(text(units.outer)), of the weight \(text(weight.axes[1]))")
    }
    if scale.shape.count == 2 {
      if scale.axes != Array(weight.axes.prefix(2)) { throw fault("scales and weights differ") }
    } else {
      let rows = weight.axes[0] ?? [Bool](repeating: true, count: weight.shape[0])
      if scale.axes[0] != rows.flatMap({ isKept in units.outer.map { isKept && $0 } }).nilIfWhole {
        throw fault("scales and weights differ")
      }
    }
    try store(output, axes: x.axes.dropLast() + [weight.axes[0]])
  }

  private mutating func einsum() throws(Fault) {
    guard let equation = current.attributes.string(.equation)?.filter({ $0 != " " }), let output = result(0) else {
      throw fault("no equation")
    }
    let sides = equation.replacingArrow().split(separator: ">", omittingEmptySubsequences: false)
    guard sides.count == 2 else { throw fault("an equation without a result") }
    func labels(_ term: Substring, _ rank: Int) -> Labels {
      let letters = term.filter { $0 != "." }.count
      var result: Labels = []
      var hasDots = false
      for letter in term {
        if letter == "." {
          if !hasDots { result += fromRight(rank - letters) }
          hasDots = true
        } else {
          result.append(String(letter))
        }
      }
      return result
    }
    var operands: [(kept: Kept, labels: Labels)] = []
    for (at, term) in sides[0].split(separator: ",", omittingEmptySubsequences: false).enumerated() {
      let kept = try operand(at)
      operands.append((kept, labels(term, kept.shape.count)))
    }
    try join(operands, output, labels(sides[1], module[output].type.rank))
  }

  // MARK: blocks inside an axis

  /// What is kept of an axis seen as (outer, inner) blocks.
  struct Blocks {
    /// Outer indices of which anything is kept.
    let outer: [Bool]
    /// Per outer index what is kept inside it.
    let inner: [[Bool]]
  }

  func blocks(_ flags: [Bool]?, outer: Int, inner: Int) throws(Fault) -> Blocks {
    let flags = flags ?? [Bool](repeating: true, count: outer * inner)
    guard flags.count == outer * inner else { throw fault("\(flags.count) is not \(outer)·\(inner)") }
    let parts = (0..<outer).map { Array(flags[$0 * inner..<($0 + 1) * inner]) }
    return Blocks(outer: parts.map { $0.contains(true) }, inner: parts)
  }

  /// Demands that all blocks of which anything is kept keep equally much.
  func demandEven(_ blocks: Blocks, _ what: String) throws(Fault) {
    let counts = Set(blocks.inner.map { $0.count { $0 } }.filter { $0 > 0 })
    if counts.count > 1 { throw fault("\(what) keep different numbers: \(blocks.inner.map { text($0) })") }
  }

  /// Channels by groups: those that a group reads are those its weights have.
  mutating func convolution(_ operation: Convolution) throws(Fault) {
    try demandNoPositions()
    let isQuantised = operation == .quantisedConv
    let (x, weight) = (try operand(0), try operand(isQuantised ? 3 : 1))
    guard let output = result(0) else { return }
    let groups = current.attributes.int(.group) ?? 1
    let strides = current.attributes.ints(.strides)
    let pads = current.attributes.ints(.pads)
    let shape = try shape(output)
    var axes: [[Bool]?] = [x.axes[0], nil]
    for at in 2..<x.shape.count {
      try demandWhole(weight, at, "it is a place of a window")
      let spatial = shape.count - 2
      let isOne =
        operation != .deformConv && weight.shape[at] == 1 && (strides?[at - 2] ?? 1) == 1 && (pads?[at - 2] ?? 0) == 0
        && (pads?[at - 2 + spatial] ?? 0) == 0
      if !isOne { try demandWhole(x, at, "windows run along it") }
      axes.append(isOne ? x.axes[at] : nil)
    }
    let input = try blocks(x.axes[1], outer: groups, inner: x.shape[1] / groups)
    switch operation {
    case .conv, .fusedConv, .convInteger, .quantisedConv, .deformConv:
      let out = try blocks(weight.axes[0], outer: groups, inner: weight.shape[0] / groups)
      try demandEven(out, "groups of the result")
      if out.outer != input.outer { throw fault("groups of the operand \(text(input.outer)), of the weight \(text(out.outer))") }
      let read = weight.axes[1] ?? [Bool](repeating: true, count: weight.shape[1])
      for group in 0..<groups where input.outer[group] && input.inner[group] != read {
        throw fault("group \(group) has the channels \(text(input.inner[group])), its weights \(text(read))")
      }
      axes[1] = weight.axes[0]
    case .convTranspose:
      if x.axes[1] != weight.axes[0] { throw fault("channels \(text(x.axes[1])), weights \(text(weight.axes[0]))") }
      try demandEven(input, "groups of the operand")
      let inner = weight.axes[1] ?? [Bool](repeating: true, count: weight.shape[1])
      axes[1] = input.outer.flatMap { isKept in inner.map { isKept && $0 } }
    }
    if operation == .deformConv, let offsets = optional(2) {
      for at in 1..<offsets.shape.count { try demandWhole(offsets, at, "it says where to sample") }
    }
    if isQuantised {
      for index in 4...5 {
        if let scale = optional(index), !scale.shape.isEmpty, scale.axes[0] != axes[1]?.nilIfWhole {
          throw fault("scales and channels differ")
        }
      }
    }
    let biasIndex: Int? =
      switch operation {
      case .conv, .convTranspose, .fusedConv: 2
      case .deformConv: 3
      case .quantisedConv: 8
      case .convInteger: nil
      }
    if let biasIndex, let bias = optional(biasIndex), bias.axes[0] != axes[1]?.nilIfWhole {
      throw fault("biases \(text(bias.axes[0])) for channels \(text(axes[1]))")
    }
    try store(output, axes: axes)
  }

  /// Norms: over what is kept; scales and biases go with their axis.
  mutating func normalisation(_ operation: Normalisation) throws(Fault) {
    try demandNoPositions()
    let x = try operand(0)
    let rank = x.shape.count
    func demandScale(_ index: Int, _ flags: [Bool]?) throws(Fault) {
      if let scale = optional(index), scale.axes[0] != flags {
        throw fault("operand \(index) keeps \(text(scale.axes[0])), its axis \(text(flags))")
      }
    }
    switch operation {
    case .softmax, .logSoftmax, .hardmax, .lpNorm, .meanVarianceNorm, .quantisedSoftmax: break
    case .batchNorm: for index in 1...4 { try demandScale(index, x.axes[1]) }
    case .instanceNorm: for index in 1...2 { try demandScale(index, x.axes[1]) }
    case .groupNorm:
      for index in 1...2 { try demandScale(index, x.axes[1]) }
      let groups = current.attributes.int(.numGroups) ?? 1
      try demandEven(try blocks(x.axes[1], outer: groups, inner: x.shape[1] / groups), "norm groups")
    case .localResponseNorm: try demandWhole(x, 1, "neighbours are mixed along it")
    case .layerNorm, .rmsNorm, .simplifiedLayerNorm:
      let operands = (0..<3).compactMap { index in optional(index).map { ($0, fromRight($0.shape.count)) } }
      return try join(operands, result(0), fromRight(rank))
    case .skipLayerNorm, .skipSimplifiedLayerNorm:
      let operands = current.inputs.indices.compactMap { index in optional(index).map { ($0, fromRight($0.shape.count)) } }
      return try join(operands, result(0), fromRight(rank))
    case .embedLayerNorm:
      var widths: [[Bool]?] = []
      for index in 2...4 {
        guard let table = optional(index) else { continue }
        try demandWhole(table, 0, "it is indexed by data")
        widths.append(table.axes[1])
      }
      for index in 5...6 { if let scale = optional(index) { widths.append(scale.axes[0]) } }
      if Set(widths).count != 1 { throw fault("tables and scales differ: \(widths.map { text($0) })") }
      if let output = result(0) { try store(output, axes: x.axes + [widths[0]]) }
      if let mask = result(1) { try store(mask, axes: [x.axes[0]]) }
      return
    }
    if let output = result(0) { try store(output, axes: x.axes) }
    for index in 1..<max(1, current.outputs.count) { if let number = result(index) { try store(number, axes: [x.axes[1]]) } }
  }

  /// Gates are blocks of hidden units: every gate keeps the same ones.
  mutating func recurrence(_ operation: Recurrence) throws(Fault) {
    try demandNoPositions()
    let gates =
      switch operation {
      case .lstm: 4
      case .gru: 3
      case .rnn: 1
      }
    let (x, w, r) = (try operand(0), try operand(1), try operand(2))
    let hidden = r.shape[2]
    let units = r.axes[2]
    func demandGates(_ kept: Kept, _ axis: Int, _ count: Int) throws(Fault) {
      for part in try blocks(kept.axes[axis], outer: count, inner: hidden).inner where part.nilIfWhole != units {
        throw fault("a gate keeps \(text(part)), the hidden units are \(text(units))")
      }
    }
    for kept in [w, r] { try demandWhole(kept, 0, "it counts directions") }
    try demandWhole(x, 0, "it is time")
    try demandGates(w, 1, gates)
    try demandGates(r, 1, gates)
    if x.axes[2] != w.axes[2] { throw fault("inputs \(text(x.axes[2])), weights \(text(w.axes[2]))") }
    if let bias = optional(3) { try demandGates(bias, 1, 2 * gates) }
    for index in 5...6 {
      if let state = optional(index), state.axes[2] != units || state.axes[1] != x.axes[1] || state.axes[0] != nil {
        throw fault("a state keeps \(state.axes.map { text($0) }), the hidden units are \(text(units))")
      }
    }
    if let peepholes = optional(7) { try demandGates(peepholes, 1, 3) }
    if optional(4) != nil { throw fault("the oracle does not know lengths") }
    if let all = result(0) { try store(all, axes: [nil, nil, x.axes[1], units]) }
    for index in 1...2 { if let last = result(index) { try store(last, axes: [nil, x.axes[1], units]) } }
  }

  /// A scale per index goes with its axis; one per block goes with whole blocks.
  mutating func quantisation(_ operation: Quantisation) throws(Fault) {
    try demandNoPositions()
    let x = try operand(0)
    guard let output = result(0) else { return }
    try store(output, axes: x.axes)
    if operation == .dynamicQuantizeLinear {
      for index in 1...2 { if let number = result(index) { try store(number, axes: []) } }
      return
    }
    let axis = axis(current.attributes.int(.axis) ?? 1, x.shape.count)
    let block = current.attributes.int(.blockSize) ?? 0
    for index in 1...2 {
      guard let scale = optional(index), !scale.shape.isEmpty else { continue }
      if block == 0 {
        if scale.axes[0] != x.axes[axis] { throw fault("scales \(text(scale.axes[0])) for \(text(x.axes[axis]))") }
        continue
      }
      for at in x.shape.indices where at != axis && scale.axes[at] != x.axes[at] { throw fault("scales differ along axis \(at)") }
      let parts = try blocks(x.axes[axis], outer: scale.shape[axis], inner: block)
      if parts.outer.nilIfWhole != scale.axes[axis] {
        throw fault("blocks \(text(parts.outer)), scales \(text(scale.axes[axis]))")
      }
      for (isKept, inner) in zip(parts.outer, parts.inner) where isKept && inner.contains(false) {
        throw fault("a block loses a part")
      }
    }
  }
}

extension [Bool] {
  /// Nil when nothing is removed.
  var nilIfWhole: [Bool]? { contains(false) ? self : nil }
}

extension String {
  /// `->` as one character.
  fileprivate func replacingArrow() -> String {
    filter { $0 != "-" }
  }
}
