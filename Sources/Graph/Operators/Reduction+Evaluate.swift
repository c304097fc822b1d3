import Foundation

extension Reduction {
  /// The plain evaluation: real numbers are added in f64 and rounded once, whole numbers modulo their width.
  public func evaluate(_ context: inout EvaluationContext) throws(Diagnostic) {
    switch self {
    case .argMax, .argMin: try findExtreme(&context)
    case .cumSum: try Self.accumulate(&context)
    case .topK: try Self.rank(&context)
    case .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceMax, .reduceMean, .reduceMin, .reduceProd, .reduceSum,
      .reduceSumSquare:
      try reduce(&context)
    }
  }
}

// MARK: - Along one axis

extension Reduction {
  private func findExtreme(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? 0, rank: input.rank)
    let shape = try context.outputShape()
    let lines = AxisLines(input.shape, axis: axis)
    guard lines.length > 0 || Tensor.count(shape) == 0 else {
      throw context.failure("axis \(axis) has no indices to choose from")
    }
    let (isLargest, takesLast) = (self == .argMax, context.attributes.flag(.selectLastIndex))
    let keys = input.orderKeys
    var found: [Int] = []
    found.reserveCapacity(lines.outer * lines.inner)
    for line in 0..<lines.count {
      let start = lines.start(line)
      var best = 0
      for index in 1..<max(lines.length, 1) {
        let (key, most) = (keys[start + index * lines.inner], keys[start + best * lines.inner])
        if key == most ? takesLast : (key > most) == isLargest { best = index }
      }
      found.append(best)
    }
    context.set(0, Tensor(wholes: found, .i64, shape))
  }

  private static func accumulate(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let axis = try context.axis(try context.whole(1, "the axis") ?? 0, rank: input.rank)
    let lines = AxisLines(input.shape, axis: axis)
    let (isExclusive, isReverse) = (context.attributes.flag(.exclusive), context.attributes.flag(.reverse))
    func sums<Number>(_ numbers: [Number], _ zero: Number, _ add: (Number, Number) -> Number) -> [Number] {
      var sums = numbers
      for line in 0..<lines.count {
        let start = lines.start(line)
        var sum = zero
        for step in 0..<lines.length {
          let at = start + (isReverse ? lines.length - 1 - step : step) * lines.inner
          let next = add(sum, numbers[at])
          sums[at] = isExclusive ? sum : next
          sum = next
        }
      }
      return sums
    }
    let result =
      input.element.isFloat
      ? Tensor(reals: sums(input.reals, 0) { $0 + $1 }, input.element, input.shape)
      : Tensor(wholes: sums(input.wholes, 0) { $0 &+ $1 }, input.element, input.shape)
    context.set(0, result)
  }

  /// The largest or smallest numbers of each line, in order; of equal ones the first.
  private static func rank(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let axis = try context.axis(context.attributes.int(.axis) ?? -1, rank: input.rank)
    let lines = AxisLines(input.shape, axis: axis)
    guard let count = try context.whole(1, "k"), (0...lines.length).contains(count) else {
      throw context.failure("k is not in 0…\(lines.length)")
    }
    var shape = input.shape
    shape[axis] = count
    let isLargest = context.attributes.flag(.largest, default: true)
    let keys = input.orderKeys
    var taken = [Int](repeating: 0, count: lines.outer * count * lines.inner)
    var positions = taken
    for block in 0..<lines.outer {
      for rest in 0..<lines.inner {
        let start = block * lines.length * lines.inner + rest
        func isBefore(_ a: Int, _ b: Int) -> Bool {
          let (x, y) = (keys[start + a * lines.inner], keys[start + b * lines.inner])
          return x == y ? a < b : (x > y) == isLargest
        }
        for (at, index) in firstSorted(lines.length, count, by: isBefore).enumerated() {
          let target = (block * count + at) * lines.inner + rest
          taken[target] = index
          positions[target] = start + index * lines.inner
        }
      }
    }
    context.set(0, input.picking(positions, shape: shape))
    context.set(1, Tensor(wholes: taken, .i64, shape))
  }

  /// The first `count` of the indices below `extent` in an order. A heap of those taken so far spares sorting all of them.
  private static func firstSorted(_ extent: Int, _ count: Int, by isBefore: (Int, Int) -> Bool) -> [Int] {
    if count == 0 { return [] }
    if count == 1 { return [(1..<max(extent, 1)).reduce(0) { isBefore($1, $0) ? $1 : $0 }] }
    guard count < extent / 8 else { return Array((0..<extent).sorted(by: isBefore).prefix(count)) }
    // The last in order stands at the top.
    var heap: [Int] = []
    func sink(_ from: Int) {
      var at = from
      while 2 * at + 1 < heap.count {
        var child = 2 * at + 1
        if child + 1 < heap.count, isBefore(heap[child], heap[child + 1]) { child += 1 }
        guard isBefore(heap[at], heap[child]) else { return }
        heap.swapAt(at, child)
        at = child
      }
    }
    heap = Array(0..<count)
    for at in stride(from: count / 2, through: 0, by: -1) { sink(at) }
    for index in count..<extent where isBefore(index, heap[0]) {
      heap[0] = index
      sink(0)
    }
    return heap.sorted(by: isBefore)
  }
}

// MARK: - Along several axes

extension Reduction {
  private func reduce(_ context: inout EvaluationContext) throws(Diagnostic) {
    let input = try context.numbers(0)
    let listed = context.attributes.ints(.axes) ?? context.optional(1)?.wholes ?? []
    var gone: Set<Int> = []
    for axis in listed { gone.insert(try context.axis(axis, rank: input.rank)) }
    if listed.isEmpty {
      if context.attributes.flag(.noopWithEmptyAxes) { return context.set(0, input) }
      gone = Set(0..<input.rank)
    }
    let kept = input.shape.indices.map { gone.contains($0) ? 1 : input.shape[$0] }
    let shape = try context.outputShape()
    guard Tensor.count(kept) == Tensor.count(shape) else { throw context.failure("the axes reduced do not give \(shape)") }
    let count = gone.reduce(1) { $0 * input.shape[$1] }
    let result =
      input.element.isFloat ? reals(input, to: kept, each: count) : wholes(input, to: kept, each: count)
    context.set(0, result.reshaped(shape))
  }

  /// Numbers of `input` combined into those of the shape `kept`, which broadcasts to the input's.
  private func folded<Number>(
    _ numbers: [Number], _ shape: [Int], to kept: [Int], from start: Number, _ combine: (Number, Number) -> Number
  ) -> [Number] {
    var results = [Number](repeating: start, count: kept.reduce(1, *))
    let walk = StridedWalk(broadcasting: [kept], to: shape)
    let step = walk.steps[0]
    numbers.withUnsafeBufferPointer { numbers in
      results.withUnsafeMutableBufferPointer { results in
        walk.forEachRun { at, starts in
          let target = starts[0]
          if step == 0 {
            var result = results[target]
            for index in at..<at + walk.run { result = combine(result, numbers[index]) }
            results[target] = result
          } else {
            for index in 0..<walk.run {
              let place = target + index * step
              results[place] = combine(results[place], numbers[at + index])
            }
          }
        }
      }
    }
    return results
  }

  private func reals(_ input: Tensor, to kept: [Int], each count: Int) -> Tensor {
    let numbers = input.reals
    func fold(_ start: Double, _ combine: (Double, Double) -> Double) -> [Double] {
      folded(numbers, input.shape, to: kept, from: start, combine)
    }
    let results: [Double]
    switch self {
    case .reduceSum: results = fold(0) { $0 + $1 }
    case .reduceMean: results = fold(0) { $0 + $1 }.map { $0 / Double(count) }
    case .reduceProd: results = fold(1) { $0 * $1 }
    case .reduceMax: results = fold(-.infinity, Elementwise.larger)
    case .reduceMin: results = fold(.infinity, Elementwise.smaller)
    case .reduceL1: results = fold(0) { $0 + abs($1) }
    case .reduceL2: results = fold(0) { $0 + $1 * $1 }.map { $0.squareRoot() }
    case .reduceSumSquare: results = fold(0) { $0 + $1 * $1 }
    case .reduceLogSum: results = fold(0) { $0 + $1 }.map { log($0) }
    case .reduceLogSumExp:
      let largest = fold(-.infinity, Elementwise.larger).map { $0.isInfinite ? 0 : $0 }
      let powers = Tensor.combined(numbers, input.shape, largest, kept, to: input.shape) { exp($0 - $1) }
      let sums = folded(powers, input.shape, to: kept, from: 0) { $0 + $1 }
      results = zip(sums, largest).map { log($0) + $1 }
    case .argMax, .argMin, .cumSum, .topK: results = numbers
    }
    return Tensor(reals: results, input.element, kept)
  }

  private func wholes(_ input: Tensor, to kept: [Int], each count: Int) -> Tensor {
    let isNatural = input.element == .u64
    let flip = isNatural ? Int.min : 0
    func fold(_ start: Int, _ combine: (Int, Int) -> Int) -> [Int] {
      folded(input.wholes, input.shape, to: kept, from: start, combine)
    }
    let results: [Int]
    switch self {
    case .reduceSum: results = fold(0) { $0 &+ $1 }
    case .reduceMean:
      results = fold(0) { $0 &+ $1 }.map { sum in
        if count == 0 { return 0 }
        return isNatural ? Int(bitPattern: UInt(bitPattern: sum) / UInt(bitPattern: count)) : sum / count
      }
    case .reduceProd: results = fold(1) { $0 &* $1 }
    case .reduceMax: results = fold(Self.least(input.element)) { max($0 ^ flip, $1 ^ flip) ^ flip }
    case .reduceMin: results = fold(Self.most(input.element)) { min($0 ^ flip, $1 ^ flip) ^ flip }
    case .reduceL1: results = fold(0) { $0 &+ ($1 < 0 && !isNatural ? 0 &- $1 : $1) }
    case .reduceSumSquare: results = fold(0) { $0 &+ $1 &* $1 }
    case .reduceL2, .reduceLogSum, .reduceLogSumExp: return reals(input, to: kept, each: count)
    case .argMax, .argMin, .cumSum, .topK: results = input.wholes
    }
    return Tensor(wholes: results, input.element, kept)
  }

  /// The smallest number of a whole type.
  private static func least(_ element: ElementType) -> Int {
    switch element {
    case .i8, .i16, .i32, .i64, .i4, .i2: -1 << ((element.bits ?? 64) - 1)
    case .u8, .u16, .u32, .u64, .u4, .u2, .bool, .f32, .f64, .f16, .bf16, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz,
      .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      0
    }
  }

  /// The largest number of a whole type, u64 by its bits.
  private static func most(_ element: ElementType) -> Int {
    switch element {
    case .i8, .i16, .i32, .i64, .i4, .i2: ~least(element)
    case .bool: 1
    case .u64: -1
    case .u8, .u16, .u32, .u4, .u2: 1 << (element.bits ?? 1) - 1
    case .f32, .f64, .f16, .bf16, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz, .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
      0
    }
  }
}
