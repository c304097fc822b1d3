import Foundation

extension Generation {
  /// The plain evaluation.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .shape, .size: try countNumbers(&context)
    case .constantOfShape: try Self.evaluateConstant(&context)
    case .eyeLike: try Self.evaluateEye(&context)
    case .range: try Self.evaluateRange(&context)
    case .bernoulli: try Self.evaluateBernoulli(&context)
    case .multinomial: try Self.evaluateMultinomial(&context)
    case .randomNormal, .randomNormalLike:
      let (mean, scale) = (context.real(.mean, default: 0), context.real(.scale, default: 1))
      try Self.draw(&context) { mean + scale * $0.normal() }
    case .randomUniform, .randomUniformLike:
      let (low, high) = (context.real(.low, default: 0), context.real(.high, default: 1))
      try Self.draw(&context) { low + (high - low) * $0.unit() }
    }
  }

  private func countNumbers(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.input(0)
    if self == .size { return context.set(0, Tensor(scalar: input.count)) }
    func bound(_ number: Int) -> Int { min(max(number < 0 ? number + input.rank : number, 0), input.rank) }
    let start = bound(context.attributes.int(.start) ?? 0)
    let end = max(start, bound(context.attributes.int(.end) ?? input.rank))
    context.set(0, Tensor(wholes: Array(input.shape[start..<end]), .i64, [end - start]))
  }

  private static func evaluateConstant(_ context: inout EvaluationContext) throws(Diagnostic) {
    let shape = try context.outputShape()
    guard let value = context.attributes[.value] else {
      return context.set(0, Tensor(reals: [0], .f32, []).filling(shape))
    }
    guard case .tensor(let type, let data) = value, type.elementCount == Extent(1),
      let number = Tensor(type.element, [], data: data)
    else { throw context.failure("value is no tensor of one number") }
    context.set(0, number.filling(shape))
  }

  private static func evaluateEye(_ context: inout EvaluationContext) throws(Diagnostic) {
    let shape = try context.outputShape()
    let element = try context.outputElement()
    try context.requireNumbers(element)
    var wholes = [Int](repeating: 0, count: shape[0] * shape[1])
    let offset = min(max(context.attributes.int(.k) ?? 0, -shape[0]), shape[1])
    for row in max(0, -offset)..<max(0, -offset, min(shape[0], shape[1] - offset)) { wholes[row * shape[1] + row + offset] = 1 }
    context.set(0, Tensor(wholes: wholes, element, shape))
  }

  private static func evaluateRange(_ context: inout EvaluationContext) throws(Diagnostic) {
    let element = try context.numbers(0).element
    for (index, what) in ["the start", "the limit", "the step"].enumerated() {
      let bound = try context.numbers(index)
      guard bound.count == 1, bound.element == element else {
        throw context.failure("\(what) is \(bound.type) where one number of type \(element.rawValue) is expected")
      }
    }
    if element.isFloat {
      let start = try context.input(0).reals[0]
      let (limit, step) = (try context.input(1).reals[0], try context.input(2).reals[0])
      guard step != 0 else { throw context.failure("the step is 0") }
      let exact = max(0, ((limit - start) / step).rounded(.up))
      guard exact < 0x1p48 else { throw context.failure("there is no range from \(start) to \(limit) by \(step)") }
      try context.requireSize(element, [Int(exact)])
      return context.set(0, Tensor(reals: (0..<Int(exact)).map { start + Double($0) * step }, element, [Int(exact)]))
    }
    let start = try context.input(0).wholes[0]
    let (limit, step) = (try context.input(1).wholes[0], try context.input(2).wholes[0])
    guard step != 0 else { throw context.failure("the step is 0") }
    let distance = step > 0 ? limit.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(limit)
    let isEmpty = step > 0 ? limit <= start : limit >= start
    let way = UInt(bitPattern: distance.partialValue)
    let steps = isEmpty ? 0 : (way - 1) / step.magnitude + 1
    guard let count = Int(exactly: steps) else { throw context.failure("there is no range from \(start) to \(limit) by \(step)") }
    try context.requireSize(element, [count])
    context.set(0, Tensor(wholes: (0..<count).map { start &+ $0 &* step }, element, [count]))
  }

  /// Random numbers, one for each of the result.
  private static func draw(_ context: inout EvaluationContext, _ next: (inout SplitMix) -> Double) throws(Diagnostic) {
    let shape = try context.outputShape()
    let element = try context.outputElement()
    try context.requireNumbers(element)
    var generator = context.generator()
    let numbers = (0..<shape.reduce(1, *)).map { _ in next(&generator) }
    if context.attributes[.seed] == nil { context.random = generator }
    context.set(0, Tensor(reals: numbers, element, shape))
  }

  private static func evaluateBernoulli(_ context: inout EvaluationContext) throws(Diagnostic) {
    let chances = try context.numbers(0).reals
    var at = 0
    try draw(&context) { generator in
      defer { at += 1 }
      return generator.unit() < chances[at] ? 1 : 0
    }
  }

  private static func evaluateMultinomial(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let shape = try context.outputShape()
    let classes = input.shape[1]
    guard classes > 0 || shape.contains(0) else { throw context.failure("there are no classes to choose from") }
    let numbers = input.reals
    let cumulated = (0..<input.shape[0]).map { row in
      let line = numbers[row * classes..<(row + 1) * classes]
      let largest = line.max() ?? 0
      var sum = 0.0
      return line.map { number -> Double in
        sum += exp(number - largest)
        return sum
      }
    }
    var at = 0
    try draw(&context) { generator in
      let chances = cumulated[at / shape[1]]
      at += 1
      let drawn = generator.unit() * (chances.last ?? 0)
      return Double(chances.firstIndex { drawn < $0 } ?? classes - 1)
    }
  }
}
