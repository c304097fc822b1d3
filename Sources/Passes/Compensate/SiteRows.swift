import Graph

extension Site {
  /// The weight of an error at each row of the sum, so that Σ_rows weight · ‖error‖² is counted as the metric says; zero for padding.
  ///
  /// `sum` is the original's. Its variance over each vector, or over all of it, is what errors are measured by.
  func weights(data: Tensor, sum: Tensor, mask: Tensor?) -> [Float] {
    let width = outputs * blocks
    let rows = isScattered ? data.count / max(1, columns * blocks) : sum.count / max(1, width)
    var weights = [Float](repeating: 1, count: rows)
    switch metric {
    case .normalised:
      sum.withSingles { numbers in
        for row in 0..<rows {
          var (first, second) = (Float(0), Float(0))
          let start = numbers + row * width
          for index in 0..<width { first += start[index] }
          let mean = first / Float(width)
          for index in 0..<width { second += (start[index] - mean) * (start[index] - mean) }
          // One over the variance; a vector without any counts for nothing.
          weights[row] = second > 0 ? Float(width) / second : 0
        }
      }
    case .whole: break
    }
    if let mask, case .lastAxis = geometry, sum.rank == 3, Array(sum.shape.prefix(2)) == mask.shape {
      for (row, isThere) in mask.reals.enumerated() where isThere == 0 { weights[row] = 0 }
    }
    return weights
  }

  /// True where an input has a row for each of the sum's.
  func hasRows(of data: Tensor, _ sum: Tensor) -> Bool {
    switch geometry {
    case .lastAxis: data.shape.dropLast().reduce(1, *) == sum.count / max(1, outputs) && data.shape.last == columns
    case .window, .scattered: data.rank > 2 && data.rank == sum.rank && data.shape[0] == sum.shape[0]
    }
  }

  /// The input's rows, one list per block of channels.
  func rows(_ data: Tensor, weights: [Float], attributes: Attributes, result shape: [Int]) throws(Diagnostic) -> [Rows] {
    switch geometry {
    case .lastAxis: return [data.withSingles { Rows(width: columns, source: $0, weights: weights) }]
    case .window(let kernel, let groups):
      let spatial = Array(data.shape.dropFirst(2))
      let window = try WindowPlan(attributes, kernel: kernel, extents: spatial, positions: Array(shape.dropFirst(2)))
      return patches(data, window, groups: groups)
    case .scattered(let groups, _, _):
      let spatial = Array(data.shape.dropFirst(2))
      let window = try WindowPlan(Attributes([]), kernel: spatial.map { _ in 1 }, extents: spatial, positions: spatial)
      return patches(data, window, groups: groups)
    }
  }

  /// For every place of the window a row of channels times window, as convolution weights have them.
  private func patches(_ data: Tensor, _ window: WindowPlan, groups: Int) -> [Rows] {
    let (samples, channels) = (data.shape[0], data.shape[1] / groups)
    let area = window.extents.reduce(1, *)
    let places = window.positions.reduce(1, *)
    let taps = window.kernel.reduce(1, *)
    // Where each tap of each place reads; −1 in the pads.
    var sources = [Int](repeating: -1, count: places * taps)
    let strides = Tensor.strides(window.extents)
    for place in 0..<places {
      let at = Self.index(place, in: window.positions)
      for tap in 0..<taps {
        let offset = Self.index(tap, in: window.kernel)
        var source: Int? = 0
        for axis in at.indices {
          let position = at[axis] * window.strides[axis] + offset[axis] * window.dilations[axis] - window.before[axis]
          if !(0..<window.extents[axis]).contains(position) { source = nil }
          source = source.map { $0 + position * strides[axis] }
        }
        if let source { sources[place * taps + tap] = source }
      }
    }
    return data.withSingles { numbers in
      (0..<groups).map { group in
        var rows = Rows(width: columns, capacity: samples * places)
        for sample in 0..<samples {
          let start = numbers + (sample * groups + group) * channels * area
          for place in 0..<places {
            rows.add(weight: 1) { row in
              sources.withUnsafeBufferPointer { sources in
                for channel in 0..<channels {
                  for tap in 0..<taps {
                    let source = sources[place * taps + tap]
                    if source >= 0 { row[channel * taps + tap] = start[channel * area + source] }
                  }
                }
              }
            }
          }
        }
        return rows
      }
    }
  }

  private static func index(_ flat: Int, in shape: [Int]) -> [Int] {
    var rest = flat
    var result = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices.reversed() {
      result[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return result
  }

  /// A value of the result's shape as rows of all its results, those of weight zero left out.
  func vectors(_ value: Tensor, weights: [Float]) -> [Float] {
    switch geometry {
    case .lastAxis:
      let width = outputs * blocks
      return value.withSingles { Rows(width: width, source: $0, weights: weights).numbers }
    case .window, .scattered:
      let (samples, width, places) = (value.shape[0], value.shape[1], value.shape.dropFirst(2).reduce(1, *))
      return value.withSingles { numbers in
        [Float](unsafeUninitializedCapacity: samples * places * width) { target, filled in
          for sample in 0..<samples {
            for channel in 0..<width {
              for place in 0..<places {
                target[(sample * places + place) * width + channel] = numbers[(sample * width + channel) * places + place]
              }
            }
          }
          filled = samples * places * width
        }
      }
    }
  }
}

extension Tensor {
  /// Lends the numbers as single precision.
  func withSingles<Result>(_ body: (UnsafePointer<Float>) -> Result) -> Result {
    if element == .f32, count > 0 {
      let lent: Result? = data.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress, Int(bitPattern: base) % MemoryLayout<Float>.alignment == 0 else { return nil }
        return body(base.assumingMemoryBound(to: Float.self))
      }
      if let lent { return lent }
    }
    let numbers = reals.map(Float.init) + [0]
    return numbers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("one number at least") }
      return body(base)
    }
  }
}
