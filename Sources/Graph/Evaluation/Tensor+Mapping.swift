// MARK: - One tensor

extension Tensor {
  /// Every number through a real function, rounded to `target` (the tensor's own type where it is left out).
  func mapping(to target: ElementType? = nil, reals function: (Double) -> Double) -> Tensor {
    let target = target ?? element
    guard element == .f32, target == .f32 else { return Tensor(reals: reals.map(function), target, shape) }
    let mapped = TensorData(count: data.count) { bytes in
      data.withUnsafeBytes { source in
        for at in stride(from: 0, to: source.count, by: 4) {
          let number = source.loadUnaligned(fromByteOffset: at, as: Float.self)
          bytes.storeBytes(of: Float(function(Double(number))), toByteOffset: at, as: Float.self)
        }
      }
    }
    return Tensor(.f32, shape, checked: mapped)
  }

  /// Every number through a function of whole numbers, cut to the width of the tensor's type.
  func mapping(wholes function: (Int) -> Int) -> Tensor { Tensor(wholes: wholes.map(function), element, shape) }

  /// Whole numbers in the same order as the tensor's numbers, equal where those are: for sorting and comparing numbers of any type.
  /// What is no number comes after all others, negative zero equals zero, u64 is unsigned.
  var orderKeys: [Int] {
    if element.isFloat {
      return reals.map { real in
        if real.isNaN { return Int.max }
        let bits = Int(bitPattern: UInt((real + 0).bitPattern))
        return bits < 0 ? Int.min &- bits : bits
      }
    }
    if element == .bool { return truths.map { $0 ? 1 : 0 } }
    return element == .u64 ? wholes.map { $0 ^ Int.min } : wholes
  }
}

// MARK: - Two tensors

/// How two numbers become one, by kind of number.
struct PairFunction {
  /// Of floating-point types.
  let real: (Double, Double) -> Double
  /// Of whole types; the result is cut to the type's width.
  let whole: (Int, Int) -> Int
  /// Of u64, where that differs from the function of the same bits as signed numbers.
  let natural: ((UInt, UInt) -> UInt)?

  /// Functions that must not trap for any operands.
  init(
    real: @escaping (Double, Double) -> Double, whole: @escaping (Int, Int) -> Int, natural: ((UInt, UInt) -> UInt)? = nil
  ) {
    self.real = real
    self.whole = whole
    self.natural = natural
  }

  /// The function of whole numbers of a type.
  func whole(of element: ElementType) -> (Int, Int) -> Int {
    guard element == .u64, let natural else { return whole }
    return { Int(bitPattern: natural(UInt(bitPattern: $0), UInt(bitPattern: $1))) }
  }
}

extension Tensor {
  /// Numbers of two arrays combined, each array read as a tensor of its shape that broadcasts to `target`.
  static func combined<A, B, Result>(
    _ a: [A], _ aShape: [Int], _ b: [B], _ bShape: [Int], to target: [Int], _ function: (A, B) -> Result
  ) -> [Result] {
    let walk = StridedWalk(broadcasting: [aShape, bShape], to: target)
    let (aStep, bStep) = (walk.steps[0], walk.steps[1])
    return [Result](unsafeUninitializedCapacity: walk.count) { results, count in
      a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          walk.forEachRun { at, starts in
            let (aStart, bStart) = (starts[0], starts[1])
            for index in 0..<walk.run {
              results.initializeElement(at: at + index, to: function(a[aStart + index * aStep], b[bStart + index * bStep]))
            }
          }
        }
      }
      count = walk.count
    }
  }

  /// Two tensors of one type combined number by number over the shape to which they broadcast.
  static func combined(_ a: Tensor, _ b: Tensor, to target: [Int], _ function: PairFunction) -> Tensor {
    if a.element == .f32, b.element == .f32 { return combinedSingles(a, b, to: target, function.real) }
    if a.element.isFloat {
      return Tensor(reals: combined(a.reals, a.shape, b.reals, b.shape, to: target, function.real), a.element, target)
    }
    let numbers = combined(a.wholes, a.shape, b.wholes, b.shape, to: target, function.whole(of: a.element))
    return Tensor(wholes: numbers, a.element, target)
  }

  private static func combinedSingles(
    _ a: Tensor, _ b: Tensor, to target: [Int], _ function: (Double, Double) -> Double
  ) -> Tensor {
    let walk = StridedWalk(broadcasting: [a.shape, b.shape], to: target)
    let (aStep, bStep) = (walk.steps[0] * 4, walk.steps[1] * 4)
    let data = TensorData(count: walk.count * 4) { results in
      a.data.withUnsafeBytes { a in
        b.data.withUnsafeBytes { b in
          walk.forEachRun { at, starts in
            var (from, with, to) = (starts[0] * 4, starts[1] * 4, at * 4)
            for _ in 0..<walk.run {
              let x = Double(a.loadUnaligned(fromByteOffset: from, as: Float.self))
              let y = Double(b.loadUnaligned(fromByteOffset: with, as: Float.self))
              results.storeBytes(of: Float(function(x, y)), toByteOffset: to, as: Float.self)
              from += aStep
              with += bStep
              to += 4
            }
          }
        }
      }
    }
    return Tensor(.f32, target, checked: data)
  }
}
