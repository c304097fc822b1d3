import Graph

/// Small valid models drawn at random: blocks of sequences, images and vectors as people and exporters write them.
public enum RandomGraphs {
  /// The model of a seed; `isJudged`: of operators alone that the judge and runtimes know. Throws where the generator itself made something
  /// invalid.
  public static func module(seed: UInt64, isJudged: Bool = false) throws(Diagnostic) -> Module {
    var dice = Dice(seed: seed &* 2 &+ 1)
    let opset = dice.pick([17, 18, 20, 21, 23])
    var builder = GraphBuilder(name: "random_\(seed)", opsets: ["": opset, "com.microsoft": 1], seed: seed, isJudged: isJudged)
    let batch: Extent = dice.chance(0.5) ? .symbol("batch") : 2
    var state = try start(&builder, &dice, batch)
    var earlier: [State] = []
    for index in 0..<(dice.chance(0.1) ? dice.int(5...9) : dice.int(1...4)) {
      builder.scope = "block\(index)"
      earlier.append(state)
      state = try next(state, &builder, &dice)
      if dice.chance(0.2) { state = try joined(state, dice.pick(earlier), &builder, &dice) }
      if dice.chance(0.03) { builder.output(state.value) }
      if dice.chance(0.03) { builder.output(try builder.length(state.value, dice.int(0...1), asList: true)) }
    }
    builder.scope = "head"
    try finish(state, &builder, &dice)
    return try builder.finished()
  }

  /// What the model's stream is at some place.
  private enum State {
    case sequence(ValueID)
    case image(ValueID)
    case vector(ValueID)

    var value: ValueID {
      switch self {
      case .sequence(let value), .image(let value), .vector(let value): value
      }
    }
  }

  private static func start(_ builder: inout GraphBuilder, _ dice: inout Dice, _ batch: Extent) throws(Diagnostic) -> State {
    let width = dice.pick([4, 6, 8, 10, 12])
    let isOpen = !batch.isConstant && dice.chance(0.3)
    let length: Extent = isOpen ? .symbol("seq") : Extent(dice.int(3...5))
    switch dice.int(0...6) {
    case 0:
      let ids = builder.input("ids", TensorType(.i64, [batch, length]))
      builder.scope = "embed"
      if dice.chance(0.2), !builder.isJudged, let count = length.constant {
        let words = try builder.add(.elementwise(.cast), [ids], [.int(.to, 6)])
        let tables = [builder.weight("words", [4, width]), builder.weight("positions", [count + 1, width])]
        let norm = [builder.weight("norm.weight", [width], mean: 1), builder.weight("norm.bias", [width])]
        return .sequence(
          try builder.add(
            .normalisation(.embedLayerNorm), [words, nil, tables[0], tables[1], nil, norm[0], norm[1]], outputs: 2)[0])
      }
      let table = builder.weight("weight", [dice.int(3...6), width])
      return .sequence(try builder.add(.indexing(.gather), [table, ids], [.int(.axis, 0)]))
    case 1, 2:
      let x = builder.input("x", TensorType(.f32, [batch, length, Extent(dice.int(2...5))]))
      builder.scope = "embed"
      return .sequence(try builder.linear(x, width, "proj"))
    case 3:
      let x = builder.input("x", TensorType(.f32, [batch, Extent(dice.int(3...7))]))
      builder.scope = "embed"
      return .vector(try builder.activation(try builder.linear(x, width, "proj")))
    default:
      let side = dice.pick([3, 4, 6])
      let x = builder.input("x", TensorType(.f32, [batch, Extent(dice.int(1...3)), Extent(side), Extent(side)]))
      builder.scope = "stem"
      return .image(try builder.unit(x, dice.pick([4, 6, 8]), kernel: 3, "conv"))
    }
  }

  private static func next(_ state: State, _ builder: inout GraphBuilder, _ dice: inout Dice) throws(Diagnostic) -> State {
    switch state {
    case .sequence(let x):
      if dice.chance(0.1) { return .vector(try poolSequence(x, &builder, &dice)) }
      return .sequence(try builder.sequenceBlock(x))
    case .image(let x):
      if dice.chance(0.1) { return .vector(try poolImage(x, &builder, &dice)) }
      if dice.chance(0.1) { return .sequence(try patches(x, &builder)) }
      return .image(try builder.imageBlock(x))
    case .vector(let x): return try vectorBlock(x, &builder, &dice)
    }
  }

  /// A skip from an earlier block, where the shapes allow one.
  private static func joined(
    _ state: State, _ earlier: State, _ builder: inout GraphBuilder, _ dice: inout Dice
  ) throws(Diagnostic) -> State {
    let (x, old) = (state.value, earlier.value)
    let axis = builder.rank(x) == 4 ? 1 : builder.rank(x) - 1
    var (shape, other) = (builder.shape(x), builder.shape(old))
    guard shape.count == other.count, x != old else { return state }
    let isSame = shape == other
    shape.remove(at: axis)
    other.remove(at: axis)
    guard shape == other else { return state }
    let result: ValueID
    if isSame, dice.chance(0.6) {
      result = try builder.apply(.add, x, old)
    } else {
      result = try builder.concat([x, old], axis)
    }
    switch state {
    case .sequence: return .sequence(result)
    case .image: return .image(result)
    case .vector: return .vector(result)
    }
  }

  private static func patches(_ x: ValueID, _ builder: inout GraphBuilder) throws(Diagnostic) -> ValueID {
    let (height, width) = (try builder.extent(x, 2), try builder.extent(x, 3))
    let flat = try builder.reshape(x, [builder.extent(of: x, 0), builder.extent(of: x, 1), Extent(height * width)])
    return try builder.transpose(flat, [0, 2, 1])
  }

  private static func poolSequence(_ x: ValueID, _ builder: inout GraphBuilder, _ dice: inout Dice) throws(Diagnostic) -> ValueID
  {
    switch dice.int(0...3) {
    case 0: return try builder.select(x, 1, dice.chance(0.5) ? 0 : -1)
    case 1 where builder.extent(of: x, 1).isConstant:
      let count = try builder.extent(x, 1) * (try builder.extent(x, 2))
      return try builder.reshape(x, [builder.extent(of: x, 0), Extent(count)])
    case 2:
      // Weighted by a softmax of scores.
      let scores = try builder.softmax(try builder.linear(x, 1, "scores"), 1)
      let sum = try builder.matMul(try builder.transpose(scores, [0, 2, 1]), x)
      return try builder.squeeze(sum, [1])
    default: return try builder.reduce(.reduceMean, x, [1], keep: false)
    }
  }

  private static func poolImage(_ x: ValueID, _ builder: inout GraphBuilder, _ dice: inout Dice) throws(Diagnostic) -> ValueID {
    switch dice.int(0...3) {
    case 0:
      let mean = try builder.add(.pooling(.globalAveragePool), [x])
      return dice.chance(0.5)
        ? try builder.add(.reshaping(.flatten), [mean], [.int(.axis, 1)])
        : try builder.reshape(mean, Array(builder.shape(x).prefix(2)))
    case 1: return try builder.add(.reshaping(.flatten), [x], [.int(.axis, 1)])
    case 2: return try builder.add(.reshaping(.flatten), [try builder.add(.pooling(.globalMaxPool), [x])], [.int(.axis, 1)])
    default: return try builder.reduce(.reduceMean, x, [2, 3], keep: false)
    }
  }

  private static func vectorBlock(_ x: ValueID, _ builder: inout GraphBuilder, _ dice: inout Dice) throws(Diagnostic) -> State {
    let width = try builder.extent(x, 1)
    switch dice.int(0...6) {
    case 0, 1:
      let inner = try builder.activation(try builder.linear(x, dice.int(3...9), "fc1"))
      return .vector(try builder.apply(.add, x, try builder.linear(inner, width, "fc2")))
    case 2: return .vector(try builder.activation(try builder.batchNorm(try builder.linear(x, dice.int(3...9), "fc"), "bn")))
    case 3:
      // Crossed with the first layer's result.
      let cross = try builder.linear(x, width, "cross")
      return .vector(try builder.apply(.add, try builder.apply(.mul, x, cross), x))
    case 4:
      // Fields as rows, and their inner products with each other.
      let (rows, size) = (dice.int(2...3), dice.int(2...4))
      let wide = try builder.reshape(
        try builder.linear(x, rows * size, "fields"), [builder.extent(of: x, 0), Extent(rows), Extent(size)])
      let products = try builder.matMul(wide, try builder.transpose(wide, [0, 2, 1]))
      let flat = try builder.reshape(products, [builder.extent(of: x, 0), Extent(rows * rows)])
      return .vector(try builder.concat([flat, try builder.activation(builder.linear(x, dice.int(2...4), "side"))], 1))
    case 5:
      let (side, channels) = (2, dice.int(2...4))
      let wide = try builder.linear(x, channels * side * side, "unflatten")
      return .image(try builder.reshape(wide, [builder.extent(of: x, 0), Extent(channels), Extent(side), Extent(side)]))
    default:
      let (count, size) = (dice.int(2...4), dice.int(2...5))
      let wide = try builder.linear(x, count * size, "tokens")
      return .sequence(try builder.reshape(wide, [builder.extent(of: x, 0), Extent(count), Extent(size)]))
    }
  }

  private static func finish(_ state: State, _ builder: inout GraphBuilder, _ dice: inout Dice) throws(Diagnostic) {
    let classes = dice.int(2...4)
    switch state {
    case .sequence(let x):
      let whole = dice.chance(0.3) ? try builder.norm(x, "norm") : x
      if dice.chance(0.4) { return builder.output(try builder.linear(whole, classes, "fc")) }
      builder.output(try builder.linear(try poolSequence(whole, &builder, &dice), classes, "fc"))
    case .image(let x):
      if dice.chance(0.3) { return builder.output(try builder.conv(x, classes, kernel: 1, "map")) }
      builder.output(try builder.linear(try poolImage(x, &builder, &dice), classes, "fc"))
    case .vector(let x): builder.output(try builder.linear(x, classes, "fc"))
    }
  }
}
