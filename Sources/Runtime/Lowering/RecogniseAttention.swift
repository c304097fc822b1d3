import Graph

extension Lowering {
  /// Attention that exporters write in pieces.
  ///
  ///     %s = matmul (mul %q, 〈c〉), (transpose %k);  %p = softmax (add %s, %mask);  %y = matmul %p, %v
  ///     becomes     %y = attention %q, %k, %v, %mask {scale: c}
  ///
  /// Masks may be added in several pieces, with reshapes in between (windows), or chosen by a condition.
  static let recogniseAttention = LoweringPass(name: "recognise-attention", summary: "softmax attention in pieces") {
    module throws(Diagnostic) in
    module = Rewriter.rewrite(module) { rewriter, node in
      guard case .matrixProduct(.matMul) = node.operation, let output = node.outputs[0], rewriter.element(output) == .f32,
        let made = rewriter.shape(output), (3...4).contains(made.count), let value = node.inputs[1],
        let (shares, unseen) = softmax(node.inputs[0], rewriter), let scores = rewriter.shape(shares), scores.count == made.count,
        let values = rewriter.shape(value), values.count == made.count
      else { return nil }
      var added: [Node] = []
      guard let parts = ScoreParts(shares, node, &rewriter, &added), let query = rewriter.shape(parts.query),
        let key = rewriter.shape(parts.key), query.count == made.count, key.count == made.count,
        query.dropLast(2) == scores.dropLast(2), values.dropLast(2) == scores.dropLast(2), key.dropLast(2) == scores.dropLast(2),
        !made.contains(0)
      else { return nil }
      let attributes: [Attributes.Entry] = [
        .init(.scale, .float(Float(parts.scale))), .init(.unseenKeys, .int(unseen.rawValue)),
      ]
      // Queries, keys and values as [images, heads, positions, size]; without an axis of heads the images are heads of one.
      func lifted(_ value: ValueID, _ shape: [Int]) -> ValueID {
        if shape.count == 4 { return value }
        let target = [1] + shape
        let list = rewriter.constant(like: output, Tensor(wholes: target, .i64, [4]))
        let result = rewriter.value(like: output, .f32, target)
        added.append(rewriter.node(.reshaping(.reshape), [value, list], result, for: node))
        return result
      }
      let isFlat = made.count == 3
      let (q, k, v) = (lifted(parts.query, query), lifted(parts.key, key), lifted(value, values))
      let keys = transposed(k, isFlat ? [1] + key : key, output, node, &rewriter, &added)
      let (ownKeys, ownValues) = ungrouped(keys, v, rewriter) ?? (keys, v)
      let result = isFlat ? rewriter.value(like: output, .f32, [1] + made) : output
      added.append(
        rewriter.node(.attention(.attention), [q, ownKeys, ownValues, parts.mask], result, for: node, attributes))
      if isFlat {
        let list = rewriter.constant(like: output, Tensor(wholes: made, .i64, [3]))
        added.append(rewriter.node(.reshaping(.reshape), [result, list], output, for: node))
      }
      return added
    }
  }

  /// What a softmax over the last axis is taken of, where a value is one. Exporters may guard it: shares that are no number become 0.
  private static func softmax(_ value: ValueID?, _ rewriter: Rewriter) -> (ValueID, UnseenKeys)? {
    if let choice = rewriter.maker(value, .elementwise(.choose)), let shares = choice.inputs[2],
      let test = rewriter.maker(choice.inputs[0], .elementwise(.isNaN)), test.inputs[0] == shares,
      rewriter.scalar(choice.inputs[1]) == 0, let (scores, _) = softmax(shares, rewriter)
    {
      return (scores, .allZero)
    }
    guard let node = rewriter.maker(value, .normalisation(.softmax)), let scores = node.inputs[0],
      let rank = rewriter.shape(scores)?.count
    else { return nil }
    let axis = node.attributes.int(.axis) ?? (rewriter.module.opset < 13 ? 1 : -1)
    return axis == -1 || axis == rank - 1 ? (scores, .noNumber) : nil
  }

  /// The keys as [images, heads, positions, size], from keys whose last two axes were exchanged for the product.
  private static func transposed(
    _ value: ValueID, _ shape: [Int], _ output: ValueID, _ node: Node, _ rewriter: inout Rewriter, _ added: inout [Node]
  ) -> ValueID {
    if let before = rewriter.maker(value, .reshaping(.transpose)), before.attributes.ints(.perm) == [0, 1, 3, 2],
      let source = before.inputs[0]
    {
      return source
    }
    let result = rewriter.value(like: output, .f32, [shape[0], shape[1], shape[3], shape[2]])
    added.append(rewriter.node(.reshaping(.transpose), [value], result, for: node, [.init(.perm, .ints([0, 1, 3, 2]))]))
    return result
  }

  /// Keys and values before their heads were repeated for the groups of queries.
  ///
  ///     %u = unsqueeze %k  : [b, kv, 1, s, d];  %e = expand %u : [b, kv, g, s, d];  reshape %e : [b, kv · g, s, d]
  private static func ungrouped(_ key: ValueID, _ value: ValueID, _ rewriter: Rewriter) -> (ValueID, ValueID)? {
    func source(_ value: ValueID) -> ValueID? {
      guard let reshape = rewriter.maker(value, .reshaping(.reshape)), let shape = rewriter.shape(value),
        let expand = rewriter.maker(reshape.inputs[0], .reshaping(.expand)), let wide = rewriter.shape(reshape.inputs[0]),
        let narrow = expand.inputs[0], let before = rewriter.shape(narrow), shape.count == 4, wide.count == 5,
        before == [wide[0], wide[1], 1, wide[3], wide[4]], shape == [wide[0], wide[1] * wide[2], wide[3], wide[4]]
      else { return nil }
      let target = [wide[0], wide[1], wide[3], wide[4]]
      for operation in [Reshaping.unsqueeze, .reshape] {
        if let node = rewriter.maker(narrow, .reshaping(operation)), rewriter.shape(node.inputs[0]) == target {
          return node.inputs[0]
        }
      }
      return nil
    }
    guard let keys = source(key), let values = source(value), rewriter.shape(keys)?[1] == rewriter.shape(values)?[1] else {
      return nil
    }
    return (keys, values)
  }
}

/// What scores are made of: queries, keys with their last axes exchanged, a factor, and what is added.
private struct ScoreParts {
  var query: ValueID
  var key: ValueID
  var scale: Double
  var mask: ValueID?

  init?(_ scores: ValueID, _ node: Node, _ rewriter: inout Rewriter, _ added: inout [Node]) {
    guard let shape = rewriter.shape(scores) else { return nil }
    var current = scores
    var masks: [ValueID] = []
    // Each turn takes away one summand, or a reshape that splits or joins the axes ahead of the last two.
    walk: while true {
      let own = rewriter.shape(current) ?? []
      if let sum = rewriter.maker(current, .elementwise(.add)), let a = sum.inputs[0], let b = sum.inputs[1] {
        let isLeft = rewriter.shape(a) == own && Self.isProduct(a, rewriter)
        let isRight = !isLeft && rewriter.shape(b) == own && Self.isProduct(b, rewriter)
        guard isLeft || isRight, let mask = Self.lift(isLeft ? b : a, own, shape, node, &rewriter, &added) else { return nil }
        masks.append(mask)
        current = isLeft ? a : b
      } else if let choice = rewriter.maker(current, .elementwise(.choose)), let condition = choice.inputs[0],
        let yes = choice.inputs[1], let no = choice.inputs[2]
      {
        // Where a key may not be seen a very low number stands in place of the score.
        let isYes = rewriter.shape(yes) == own && Self.isProduct(yes, rewriter)
        let (product, low) = isYes ? (yes, no) : (no, yes)
        guard rewriter.shape(product) == own, Self.isProduct(product, rewriter), let number = rewriter.scalar(low),
          number <= -1e4,
          let visible = rewriter.shape(condition)
        else { return nil }
        let zero = rewriter.constant(like: current, [0], [])
        let summand = rewriter.value(like: current, .f32, visible)
        let lowest = rewriter.constant(like: current, [number], [])
        added.append(
          rewriter.node(
            .elementwise(.choose), isYes ? [condition, zero, lowest] : [condition, lowest, zero], summand, for: node))
        guard let mask = Self.lift(summand, own, shape, node, &rewriter, &added) else { return nil }
        masks.append(mask)
        current = product
      } else if let reshape = rewriter.maker(current, .reshaping(.reshape)), let before = reshape.inputs[0],
        let other = rewriter.shape(before), other.suffix(2) == own.suffix(2), other.count >= 3
      {
        current = before
      } else {
        break walk
      }
    }
    // What is left is a product of two, perhaps by a number.
    let (values, outer) = rewriter.factors(current)
    guard values.count == 1, rewriter.shape(values[0]) == shape, let product = rewriter.maker(values[0], .matrixProduct(.matMul)),
      let a = product.inputs[0], let b = product.inputs[1]
    else { return nil }
    let (left, right) = (Self.unscaled(a, rewriter), Self.unscaled(b, rewriter))
    (query, key) = (left.value, right.value)
    scale = outer * left.scale * right.scale
    guard var sum = masks.first else { return }
    for other in masks.dropFirst() {
      guard let first = rewriter.shape(sum), let second = rewriter.shape(other) else { return nil }
      let rank = max(first.count, second.count)
      let wide = zip(
        Array(repeating: 1, count: rank - first.count) + first, Array(repeating: 1, count: rank - second.count) + second
      ).map { $0 == 1 ? $1 : $0 }
      let result = rewriter.value(like: scores, .f32, wide)
      added.append(rewriter.node(.elementwise(.add), [sum, other], result, for: node))
      sum = result
    }
    guard let own = rewriter.shape(sum) else { return nil }
    // A mask of fewer axes than scores broadcasts from the right; scores without an axis of heads are heads of one image.
    mask = sum
    if shape.count == 3, own.count == 3 {
      let list = rewriter.constant(like: scores, Tensor(wholes: [1] + own, .i64, [4]))
      let result = rewriter.value(like: scores, .f32, [1] + own)
      added.append(rewriter.node(.reshaping(.reshape), [sum, list], result, for: node))
      mask = result
    }
    // A single column for all keys is nothing that attention takes.
    guard own.last == shape.last else { return nil }
  }

  /// True where a value leads to a product of matrices through what `init` takes away.
  private static func isProduct(_ value: ValueID, _ rewriter: Rewriter) -> Bool {
    var current = value
    for _ in 0..<8 {
      let (values, _) = rewriter.factors(current)
      guard values.count == 1 else { return false }
      current = values[0]
      if rewriter.maker(current, .matrixProduct(.matMul)) != nil { return true }
      if let reshape = rewriter.maker(current, .reshaping(.reshape)), let before = reshape.inputs[0] {
        current = before
      } else if let sum = rewriter.maker(current, .elementwise(.add)), let a = sum.inputs[0], let b = sum.inputs[1] {
        current = rewriter.shape(a) == rewriter.shape(current) && isProduct(a, rewriter) ? a : b
      } else if let choice = rewriter.maker(current, .elementwise(.choose)), let a = choice.inputs[1], let b = choice.inputs[2] {
        current = rewriter.shape(a) == rewriter.shape(current) ? a : b
      } else {
        return false
      }
    }
    return false
  }

  /// A value without the numbers that it is multiplied by.
  private static func unscaled(_ value: ValueID, _ rewriter: Rewriter) -> (value: ValueID, scale: Double) {
    let (values, scale) = rewriter.factors(value)
    return values.count == 1 ? (values[0], scale) : (value, 1)
  }

  /// A summand of scores of shape `own` as one of scores of shape `target`, which has other axes ahead of the last two.
  private static func lift(
    _ summand: ValueID, _ own: [Int], _ target: [Int], _ node: Node, _ rewriter: inout Rewriter, _ added: inout [Node]
  ) -> ValueID? {
    guard let shape = rewriter.shape(summand), rewriter.element(summand) == .f32 else { return nil }
    if own == target { return summand }
    // Axes are expanded as far as the reshape joins them.
    let padded = Array(repeating: 1, count: own.count - shape.count) + shape
    let (outerOwn, outerTarget) = (Array(own.dropLast(2)), Array(target.dropLast(2)))
    // [a · b, h] and [a, b, h]: what both end with stays apart, the rest is joined.
    var shared = 0
    while shared < min(outerOwn.count, outerTarget.count),
      outerOwn[outerOwn.count - 1 - shared] == outerTarget[outerTarget.count - 1 - shared]
    {
      shared += 1
    }
    let joined = outerOwn.dropLast(shared).reduce(1, *)
    guard joined == outerTarget.dropLast(shared).reduce(1, *) else { return nil }
    let head = Array(padded.dropLast(2 + shared))
    let tail = Array(padded.suffix(2 + shared))
    let isWhole = head.allSatisfy { $0 == 1 }
    let wide = isWhole ? padded : Array(outerOwn.dropLast(shared)) + tail
    var value = summand
    if wide != padded {
      let list = rewriter.constant(like: summand, Tensor(wholes: wide, .i64, [wide.count]))
      let result = rewriter.value(like: summand, .f32, wide)
      added.append(rewriter.node(.reshaping(.expand), [value, list], result, for: node))
      value = result
    }
    let outer = isWhole ? Array(repeating: 1, count: outerTarget.count - shared) : Array(outerTarget.dropLast(shared))
    let list = rewriter.constant(like: summand, Tensor(wholes: outer + tail, .i64, [outer.count + tail.count]))
    let result = rewriter.value(like: summand, .f32, outer + tail)
    added.append(rewriter.node(.reshaping(.reshape), [value, list], result, for: node))
    return result
  }
}
