extension Pooling {
  /// The transform along one axis, cut or filled with zeros to its length; the last axis holds real and imaginary parts.
  static func evaluateFourier(_ context: inout EvaluationContext) throws(Diagnostic) {
    let data = try context.input(0)
    let shape = try context.outputShape()
    let stated = context.opset < 20 ? context.attributes.int(.axis) ?? 1 : context.optional(2)?.scalarWhole ?? -2
    let axis = try context.axis(stated, rank: data.rank)
    let parts = data.shape[data.rank - 1]
    guard axis < data.rank - 1, parts == 1 || parts == 2 else {
      throw context.failure("the last axis holds \(parts) numbers, where a real part and perhaps an imaginary one are expected")
    }
    let half = context.attributes.flag(.onesided)
    let inverse = context.attributes.flag(.inverse)
    var length = half && inverse ? 2 * (data.shape[axis] - 1) : data.shape[axis]
    if let operand = context.optional(1) {
      guard let number = operand.scalarWhole, (1..<1 << 30).contains(number) else {
        throw context.failure("the length of the transform is not one positive number")
      }
      length = number
    }
    let outerShape = Array(data.shape.dropLast())
    let (lines, results) = (AxisLines(outerShape, axis: axis), AxisLines(Array(shape.dropLast()), axis: axis))
    let made = shape[shape.count - 1]
    let numbers = data.reals
    var output = [Double](repeating: 0, count: shape.reduce(1, *))
    for line in 0..<lines.count where length > 0 {
      var signal = ComplexLine(count: length)
      let available = half && inverse ? min(lines.length, length / 2 + 1) : min(lines.length, length)
      for at in 0..<available {
        let from = (lines.start(line) + at * lines.inner) * parts
        signal.real[at] = numbers[from]
        if parts == 2 { signal.imaginary[at] = numbers[from + 1] }
      }
      if half && inverse {
        // The other half of the spectrum of a real signal mirrors the first.
        for at in 1..<max(1, (length + 1) / 2) {
          signal.real[length - at] = signal.real[at]
          signal.imaginary[length - at] = -signal.imaginary[at]
        }
      }
      let spectrum = signal.transformed(inverse: inverse)
      let factor = inverse ? 1 / Double(length) : 1
      for at in 0..<min(results.length, length) {
        let to = (results.start(line) + at * results.inner) * made
        output[to] = spectrum.real[at] * factor
        if made == 2 { output[to + 1] = spectrum.imaginary[at] * factor }
      }
    }
    try context.setReals(output)
  }

  /// The transform of each frame of the signal, weighted by the window.
  static func evaluateShortTimeFourier(_ context: inout EvaluationContext) throws(Diagnostic) {
    let signal = try context.input(0)
    let shape = try context.outputShape()
    guard let step = try context.input(1).scalarWhole, step > 0 else {
      throw context.failure("frame_step is not one positive number")
    }
    let window = context.optional(2)?.reals
    let length = window?.count ?? context.optional(3)?.scalarWhole ?? signal.shape[1]
    let parts = signal.shape[2]
    guard length > 0, length < 1 << 30, parts == 1 || parts == 2, step < 1 << 40 else {
      throw context.failure("frames of \(length) numbers in \(parts) parts cannot be transformed")
    }
    let (frames, bins) = (shape[1], shape[2])
    let numbers = signal.reals
    var output = [Double](repeating: 0, count: shape.reduce(1, *))
    for batch in 0..<shape[0] {
      for frame in 0..<frames {
        var line = ComplexLine(count: length)
        for at in 0..<length where frame * step + at < signal.shape[1] {
          let from = (batch * signal.shape[1] + frame * step + at) * parts
          let weight = window?[at] ?? 1
          line.real[at] = numbers[from] * weight
          if parts == 2 { line.imaginary[at] = numbers[from + 1] * weight }
        }
        let spectrum = line.transformed(inverse: false)
        for bin in 0..<min(bins, length) {
          let to = ((batch * frames + frame) * bins + bin) * 2
          output[to] = spectrum.real[bin]
          output[to + 1] = spectrum.imaginary[bin]
        }
      }
    }
    try context.setReals(output)
  }
}
