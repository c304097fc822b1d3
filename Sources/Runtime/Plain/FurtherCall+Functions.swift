import Foundation
import Graph

// MARK: - Windows and filters

extension FurtherCall {
  /// c₀ − c₁·cos(2πn/N) + c₂·cos(4πn/N), where N is the length, or one less in a window that is not periodic.
  func window(_ coefficients: [Double]) throws(Diagnostic) -> Tensor {
    let length = try whole(0)
    let element = try element("output_datatype", default: .f32)
    try require(length >= 0, "a window of \(length) numbers cannot be made")
    try room(element, [length])
    let period = number("periodic", default: 1) != 0 ? length : length - 1
    let numbers = (0..<length).map { place -> Double in
      // One number alone has no period.
      if period <= 0 { return 1 }
      let angle = 2 * Double.pi * Double(place) / Double(period)
      return coefficients.enumerated().reduce(0) {
        $0 + ($1.offset % 2 == 0 ? 1 : -1) * $1.element * cos(Double($1.offset) * angle)
      }
    }
    return Tensor(reals: numbers, element, [length])
  }

  /// Triangles over the bins of a spectrum, evenly spaced on the mel scale (O'Shaughnessy 1987: mel = 2595·log₁₀(1 + f/700)).
  func melWeights() throws(Diagnostic) -> Tensor {
    let (bands, length, rate) = (try whole(0), try whole(1), try whole(2))
    let edges = [try numbers(3).scalarReal ?? .nan, try numbers(4).scalarReal ?? .nan]
    let element = try element("output_datatype", default: .f32)
    try require(
      bands >= 0 && bands < 1 << 30 && length >= 0 && rate > 0, "\(bands) bands of \(length) bins at \(rate) Hz make no sense")
    let bins = length / 2 + 1
    let count = try room(element, [bins, bands])
    let mels = edges.map { 2595 * log10(1 + $0 / 700) }
    let step = (mels[1] - mels[0]) / Double(bands + 2)
    var places: [Int] = []
    for band in 0..<bands + 2 {
      let frequency = 700 * (pow(10, (mels[0] + Double(band) * step) / 2595) - 1)
      let place = (Double(length + 1) * frequency / Double(rate)).rounded(.down)
      try require(place >= 0 && place < Double(bins), "the frequencies \(edges) lie outside \(bins) bins at \(rate) Hz")
      places.append(Int(place))
    }
    try require(zip(places, places.dropFirst()).allSatisfy { $0 <= $1 }, "the lower edge \(edges[0]) Hz lies above the upper one")
    var weights = [Double](repeating: 0, count: count)
    for band in 0..<bands {
      let (low, centre, high) = (places[band], places[band + 1], places[band + 2])
      for bin in low..<centre { weights[bin * bands + band] = Double(bin - low) / Double(centre - low) }
      weights[centre * bands + band] = 1
      for bin in centre..<high { weights[bin * bands + band] = Double(high - bin) / Double(high - centre) }
    }
    return Tensor(reals: weights, element, [bins, bands])
  }
}

// MARK: - Arithmetic

extension FurtherCall {
  /// Products of what precedes along an axis.
  func products() throws(Diagnostic) -> Tensor {
    let data = try numbers(0)
    let axis = try axis(try whole(1), rank: data.rank)
    let isReversed = number("reverse", default: 0) != 0
    let excludes = number("exclusive", default: 0) != 0
    let (length, inner) = (data.shape[axis], data.shape[(axis + 1)...].reduce(1, *))
    let outer = data.shape[..<axis].reduce(1, *)
    func walk<Number>(_ numbers: [Number], one: Number, _ times: (Number, Number) -> Number) -> [Number] {
      var result = numbers
      for line in 0..<outer * inner {
        var product = one
        for step in 0..<length {
          let place = isReversed ? length - 1 - step : step
          let at = (line / inner * length + place) * inner + line % inner
          let next = times(product, numbers[at])
          result[at] = excludes ? product : next
          product = next
        }
      }
      return result
    }
    return data.element.isFloat
      ? Tensor(reals: walk(data.reals, one: 1, *), data.element, data.shape)
      : Tensor(wholes: walk(data.wholes, one: 1, &*), data.element, data.shape)
  }

  /// Determinants of the matrices in the last two axes, by elimination with the largest pivot of each column.
  func determinants() throws(Diagnostic) -> Tensor {
    let data = try numbers(0)
    try require(
      data.rank >= 2 && data.shape[data.rank - 1] == data.shape[data.rank - 2], "\(data.type) holds no square matrices")
    let size = data.shape[data.rank - 1]
    let shape = Array(data.shape.dropLast(2))
    let all = data.reals
    let found = (0..<shape.reduce(1, *)).map { index -> Double in
      var matrix = Array(all[index * size * size..<(index + 1) * size * size])
      var product = 1.0
      for column in 0..<size {
        let pivot = (column..<size).max { abs(matrix[$0 * size + column]) < abs(matrix[$1 * size + column]) } ?? column
        if pivot != column {
          for at in 0..<size { matrix.swapAt(pivot * size + at, column * size + at) }
          product = -product
        }
        let head = matrix[column * size + column]
        product *= head
        if head == 0 { return 0 }
        for row in column + 1..<max(size, column + 1) {
          let factor = matrix[row * size + column] / head
          for at in column..<size { matrix[row * size + at] -= factor * matrix[column * size + at] }
        }
      }
      return product
    }
    return Tensor(reals: found, data.element, shape)
  }

  /// a·sigmoid(α·a)·b.
  func gated() throws(Diagnostic) -> Tensor {
    let (gate, value) = (try numbers(0), try numbers(1))
    try require(gate.shape == value.shape, "the gate is \(gate.type), the value \(value.type)")
    let alpha = real("alpha", default: 1)
    let numbers = zip(gate.reals, value.reals).map { $0 / (1 + exp(-alpha * $0)) * $1 }
    return Tensor(reals: numbers, gate.element, gate.shape)
  }
}

// MARK: - Losses

extension FurtherCall {
  /// The loss of logarithms of shares.
  func logLikelihoodLoss() throws(Diagnostic) -> Tensor {
    let data = try numbers(0)
    return try loss(data.reals, data)
  }

  /// The loss of scores, and the logarithms of their shares.
  func softmaxLoss() throws(Diagnostic) -> [Tensor] {
    let data = try numbers(0)
    try require(data.rank >= 2, "\(data.type) has no axis of classes")
    var logarithms = data.reals
    let (classes, inner) = (data.shape[1], data.shape.dropFirst(2).reduce(1, *))
    for line in 0..<data.shape[0] * inner {
      let start = line / inner * classes * inner + line % inner
      let places = (0..<classes).map { start + $0 * inner }
      let largest = places.reduce(-Double.infinity) { max($0, logarithms[$1]) }
      let sum = log(places.reduce(0) { $0 + exp(logarithms[$1] - largest) })
      for place in places { logarithms[place] -= largest + sum }
    }
    return [try loss(logarithms, data), Tensor(reals: logarithms, data.element, data.shape)]
  }

  /// Minus the logarithm at each target's class, times the class's weight; targets of `ignore_index` count for nothing.
  private func loss(_ logarithms: [Double], _ data: Tensor) throws(Diagnostic) -> Tensor {
    let targets = try numbers(1)
    try require(
      data.rank >= 2 && targets.shape == [data.shape[0]] + data.shape.dropFirst(2),
      "the targets are \(targets.type), which does not fit \(data.type)")
    let (classes, inner) = (data.shape[1], data.shape.dropFirst(2).reduce(1, *))
    let weights = optional(2) == nil ? nil : try numbers(2).reals
    if let weights { try require(weights.count == classes, "\(weights.count) weights for \(classes) classes") }
    let ignored = number("ignore_index")
    var losses = [Double](repeating: 0, count: targets.count)
    var total = 0.0
    for (at, target) in targets.wholes.enumerated() where target != ignored {
      try require((0..<classes).contains(target), "target \(target) is none of \(classes) classes")
      let weight = weights?[target] ?? 1
      losses[at] = -logarithms[(at / inner * classes + target) * inner + at % inner] * weight
      total += weight
    }
    let sum = losses.reduce(0, +)
    switch text("reduction", default: "mean") {
    case "none": return Tensor(reals: losses, data.element, targets.shape)
    case "sum": return Tensor(reals: [sum], data.element, [])
    case "mean": return Tensor(reals: [sum / total], data.element, [])
    case let other: throw failure("reduction is \(other), which is none of none, sum, mean")
    }
  }
}
