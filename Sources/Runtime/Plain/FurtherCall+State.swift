import Foundation
import Graph

// MARK: - Operators that carry a state from call to call

extension FurtherCall {
  /// A convolution of each channel with its own weight that looks back only; the last positions are the state of the next call.
  func causalConvolution() throws(Diagnostic) -> [Tensor] {
    let (data, weight) = (try numbers(0), try numbers(1))
    try require(
      data.rank == 3 && weight.rank == 3 && weight.shape[0] == data.shape[1] && weight.shape[1] == 1 && weight.shape[2] > 0,
      "the weight \(weight.type) does not fit the input \(data.type)")
    let (batch, channels, length) = (data.shape[0], data.shape[1], data.shape[2])
    let (size, back) = (weight.shape[2], weight.shape[2] - 1)
    let past = optional(3) == nil ? nil : try numbers(3)
    if let past { try require(past.shape == [batch, channels, back], "the past state is \(past.type), which does not fit") }
    let bias = optional(2) == nil ? nil : try numbers(2).reals
    if let bias { try require(bias.count == channels, "\(bias.count) biases for \(channels) channels") }
    let activation = text("activation", default: "none")
    try require(
      ["none", "silu", "swish"].contains(activation), "activation is \(activation), which is none of none, silu, swish")
    let stateShape = [batch, channels, back]
    try room(data.element, stateShape)
    let (numbers, weights, before) = (data.reals, weight.reals, past?.reals)
    var result: [Double] = []
    var state: [Double] = []
    for line in 0..<batch * channels {
      let head = before.map { Array($0[line * back..<(line + 1) * back]) } ?? Array(repeating: 0, count: back)
      let all = head + numbers[line * length..<(line + 1) * length]
      let channel = line % max(1, channels)
      for place in 0..<length {
        var sum = bias?[channel] ?? 0
        for at in 0..<size { sum += all[place + at] * weights[channel * size + at] }
        result.append(activation == "none" ? sum : sum / (1 + exp(-sum)))
      }
      state += all.suffix(back)
    }
    return [Tensor(reals: result, data.element, data.shape), Tensor(reals: state, data.element, stateShape)]
  }

  /// Attention whose memory is one matrix per head, which each position decays and adds to (Yang et al. 2024, "Gated delta networks").
  func linearAttention() throws(Diagnostic) -> [Tensor] {
    let (query, key, value) = (try numbers(0), try numbers(1), try numbers(2))
    let heads = number("q_num_heads", default: 0)
    let keyHeads = number("kv_num_heads", default: 0)
    try require(
      keyHeads > 0 && heads > 0 && heads % keyHeads == 0, "q_num_heads \(heads) is no multiple of kv_num_heads \(keyHeads)")
    try require(
      query.rank == 3 && key.rank == 3 && value.rank == 3 && query.shape[2] % heads == 0 && value.shape[2] % keyHeads == 0
        && key.shape == [query.shape[0], query.shape[1], query.shape[2] / heads * keyHeads]
        && value.shape.prefix(2) == query.shape.prefix(2),
      "query \(query.type), key \(key.type) and value \(value.type) do not fit together")
    let (batch, length) = (query.shape[0], query.shape[1])
    let (size, valueSize) = (query.shape[2] / heads, value.shape[2] / keyHeads)
    let rule = text("update_rule", default: "gated_delta")
    try require(
      ["linear", "gated", "delta", "gated_delta"].contains(rule),
      "update_rule is \(rule), which is none of linear, gated, delta, gated_delta")
    let decay = rule.hasPrefix("gated") ? try rates(4, [keyHeads, keyHeads * size], query, "decay") : nil
    let rate = rule.hasSuffix("delta") ? try rates(5, [keyHeads, 1], query, "beta") : nil
    let past = optional(3) == nil ? nil : try numbers(3)
    let stateShape = [batch, keyHeads, size, valueSize]
    if let past { try require(past.shape == stateShape, "the past state is \(past.type) where \(stateShape) is expected") }
    try room(.f64, stateShape)
    let resultShape = [batch, length, heads * valueSize]
    var result = [Double](repeating: 0, count: try room(.f64, resultShape))
    var state = past?.reals ?? Array(repeating: 0, count: stateShape.reduce(1, *))
    let stated = real("scale", default: 0)
    let scale = stated == 0 ? 1 / Double(size).squareRoot() : stated
    let (queries, keys, values) = (query.reals, key.reals, value.reals)
    for image in 0..<batch {
      for step in image * length..<(image + 1) * length {
        for head in 0..<keyHeads {
          let base = (image * keyHeads + head) * size * valueSize
          let keyAt = (step * keyHeads + head) * size
          if let decay {
            for row in 0..<size {
              let factor = exp(decay.at(step, head, keyHeads, row))
              for column in 0..<valueSize { state[base + row * valueSize + column] *= factor }
            }
          }
          for column in 0..<valueSize {
            var added = values[(step * keyHeads + head) * valueSize + column]
            if let rate {
              var known = 0.0
              for row in 0..<size { known += state[base + row * valueSize + column] * keys[keyAt + row] }
              added = rate.at(step, head, keyHeads, 0) * (added - known)
            }
            for row in 0..<size { state[base + row * valueSize + column] += keys[keyAt + row] * added }
          }
          for asking in head * (heads / keyHeads)..<(head + 1) * (heads / keyHeads) {
            for column in 0..<valueSize {
              var sum = 0.0
              for row in 0..<size {
                sum += queries[(step * heads + asking) * size + row] * state[base + row * valueSize + column]
              }
              result[(step * heads + asking) * valueSize + column] = scale * sum
            }
          }
        }
      }
    }
    return [Tensor(reals: result, query.element, resultShape), Tensor(reals: state, past?.element ?? query.element, stateShape)]
  }

  /// Numbers per position: one for all heads, one per head, or one per number of a head.
  private struct Rates {
    let numbers: [Double]
    let width: Int

    func at(_ step: Int, _ head: Int, _ heads: Int, _ row: Int) -> Double {
      switch width {
      case 1: numbers[step]
      case heads: numbers[step * width + head]
      case _: numbers[step * width + head * (width / heads) + row]
      }
    }
  }

  private func rates(_ index: Int, _ widths: [Int], _ query: Tensor, _ name: String) throws(Diagnostic) -> Rates {
    let tensor = try numbers(index)
    guard tensor.rank == 3, tensor.shape.prefix(2) == query.shape.prefix(2), widths.contains(tensor.shape[2]) else {
      throw failure("\(name) is \(tensor.type), which does not fit \(query.type)")
    }
    return Rates(numbers: tensor.reals, width: tensor.shape[2])
  }
}
