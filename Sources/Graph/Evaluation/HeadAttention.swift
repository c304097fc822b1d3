import Foundation

/// What a query gives whose keys are all masked. Exporters write attention in pieces of two kinds, which differ there from the operator.
public enum UnseenKeys: Int, Sendable {
  /// Zero, as the operator has it.
  case zero = 0
  /// No number, as softmax has it.
  case noNumber = 1
  /// Zero, and shares that are no number for any other reason are zero too.
  case allZero = 2
}

/// Scaled dot-product attention over heads: softmax(scale·Q·Kᵀ + bias)·V, with everything that the operators put in between.
struct HeadAttention {
  /// A stage of the scores that operators give out.
  enum Stage {
    /// Scaled products.
    case raw
    /// After the soft cap.
    case capped
    /// With the bias.
    case biased
    /// Shares.
    case shares
  }

  let batch: Int
  let heads: Int
  /// Heads of keys and values; each serves `heads / keyHeads` heads in a row.
  let keyHeads: Int
  let queries: Int
  let keys: Int
  let size: Int
  let valueSize: Int
  /// [batch, heads, queries, size].
  let query: [Double]
  /// [batch, keyHeads, keys, size].
  let key: [Double]
  /// [batch, keyHeads, keys, valueSize].
  let value: [Double]
  let scale: Double
  /// 0 for none: otherwise scores become softcap·tanh(score / softcap).
  var softcap = 0.0
  /// A score per head that takes its share and gives nothing.
  var sinks: [Double]?
  /// What a query gives that sees no key.
  var unseen = UnseenKeys.zero

  /// The result [batch, heads, queries, valueSize], and the scores [batch, heads, queries, keys] of a stage.
  ///
  /// `bias` gives [queries, keys] numbers for an image and a head; where all of a row are −∞ `unseen` decides.
  func run(_ stage: Stage?, bias: (Int, Int) -> [Double]) -> (result: [Double], scores: [Double]) {
    var result = [Double](repeating: 0, count: batch * heads * queries * valueSize)
    var kept: [Double] = []
    let perKey = max(1, heads / max(1, keyHeads))
    for image in 0..<batch {
      for head in 0..<heads {
        let line = image * heads + head
        let keyLine = image * keyHeads + head / perKey
        let turned = MatrixKernel.transposed(
          Array(key[keyLine * keys * size..<(keyLine + 1) * keys * size]), rows: keys, columns: size)
        var scores = [Double](repeating: 0, count: queries * keys)
        MatrixKernel.add(
          query, from: line * queries * size, turned, rows: queries, inner: size, columns: keys, to: &scores)
        for at in scores.indices { scores[at] *= scale }
        if stage == .raw { kept += scores }
        if softcap > 0 { for at in scores.indices { scores[at] = softcap * tanh(scores[at] / softcap) } }
        if stage == .capped { kept += scores }
        let bias = bias(image, head)
        for at in scores.indices { scores[at] += bias[at] }
        if stage == .biased { kept += scores }
        for row in 0..<queries {
          let range = row * keys..<(row + 1) * keys
          softmax(&scores, range, isMasked: bias[range].allSatisfy { $0 == -.infinity }, sink: sinks?[head])
        }
        if stage == .shares { kept += scores }
        MatrixKernel.add(
          scores, from: 0, value, from: keyLine * keys * valueSize, rows: queries, inner: keys, columns: valueSize, to: &result,
          from: line * queries * valueSize)
      }
    }
    return (result, kept)
  }

  private func softmax(_ scores: inout [Double], _ range: Range<Int>, isMasked: Bool, sink: Double?) {
    if isMasked {
      for at in range { scores[at] = unseen == .noNumber ? .nan : 0 }
      return
    }
    let largest = scores[range].reduce(sink ?? -.infinity) { $1.isNaN ? $1 : max($0, $1) }
    var sum = sink.map { exp($0 - largest) } ?? 0
    for at in range {
      scores[at] = largest == -.infinity ? 0 : exp(scores[at] - largest)
      sum += scores[at]
    }
    if sum == 0 { return }
    let isGuarded = unseen == .allZero && sum.isNaN
    for at in range { scores[at] = isGuarded ? 0 : scores[at] / sum }
  }
}

/// Moves between [batch, positions, heads · size] and [batch, heads, positions, size].
enum HeadLayout {
  /// Heads to the front.
  static func split(_ numbers: [Double], batch: Int, positions: Int, heads: Int, size: Int) -> [Double] {
    let shape = [batch, heads, positions, size]
    let strides = [positions * heads * size, size, heads * size, 1]
    return Tensor.positions(shape, strides: strides).map { numbers[$0] }
  }

  /// Heads side by side again.
  static func merge(_ numbers: [Double], batch: Int, positions: Int, heads: Int, size: Int) -> [Double] {
    let shape = [batch, positions, heads, size]
    let strides = [heads * positions * size, size, positions * size, 1]
    return Tensor.positions(shape, strides: strides).map { numbers[$0] }
  }

  /// Rows behind earlier ones, for every line: [lines, past, size] and [lines, new, size].
  static func append(_ past: [Double], _ new: [Double], lines: Int, past pastRows: Int, new newRows: Int, size: Int) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(past.count + new.count)
    for line in 0..<lines {
      result += past[line * pastRows * size..<(line + 1) * pastRows * size]
      result += new[line * newRows * size..<(line + 1) * newRows * size]
    }
    return result
  }
}

/// Turns pairs of numbers of a head by the angles of its position (Su et al. 2021, "RoFormer").
struct RotaryTable {
  /// [positions, pairs].
  let cosines: [Double]
  let sines: [Double]
  let pairs: Int
  /// Pairs are neighbours, instead of a half apart.
  let interleaved: Bool

  /// Positions that the tables hold.
  var positions: Int { pairs > 0 ? cosines.count / pairs : 0 }

  /// Turns the first numbers of a head that begins at `start`.
  func rotate(_ numbers: inout [Double], at start: Int, position: Int) {
    for pair in 0..<pairs {
      let first = start + (interleaved ? 2 * pair : pair)
      let second = interleaved ? first + 1 : first + pairs
      let (c, s) = (cosines[position * pairs + pair], sines[position * pairs + pair])
      let (x, y) = (numbers[first], numbers[second])
      numbers[first] = x * c - y * s
      numbers[second] = x * s + y * c
    }
  }
}
