import Foundation

/// The lines of a tensor along one axis, or along a run of axes: where each begins, how far its numbers lie apart.
struct AxisLines {
  /// Lines before and behind the axis, and numbers per line.
  let outer: Int
  let length: Int
  let inner: Int

  /// Along one axis.
  init(_ shape: [Int], axis: Int) { self.init(shape, axes: axis..<axis + 1) }

  /// Along a run of axes taken as one.
  init(_ shape: [Int], axes: Range<Int>) {
    outer = shape[..<axes.lowerBound].reduce(1, *)
    length = shape[axes].reduce(1, *)
    inner = shape[axes.upperBound...].reduce(1, *)
  }

  /// How many lines there are.
  var count: Int { outer * inner }

  /// Flat position of the first number of a line; the others follow `inner` apart.
  func start(_ line: Int) -> Int { line / inner * length * inner + line % inner }

  /// Maps every line to one of the same length.
  func map(_ numbers: [Double], _ body: ([Double]) -> [Double]) -> [Double] {
    var result = numbers
    guard length > 0 else { return result }
    for line in 0..<count {
      let start = start(line)
      let mapped = body((0..<length).map { numbers[start + $0 * inner] })
      for (at, number) in mapped.enumerated() where at < length { result[start + at * inner] = number }
    }
    return result
  }
}

/// Functions of one line of numbers.
enum Line {
  /// Mean, and mean squared distance from it.
  static func moments(_ line: some Collection<Double>) -> (mean: Double, variance: Double) {
    let count = Double(line.count)
    let mean = line.reduce(0, +) / count
    return (mean, line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count)
  }

  /// Shares: exponentials over their sum.
  static func softmax(_ line: [Double]) -> [Double] {
    let largest = line.reduce(-.infinity) { $1.isNaN ? $1 : max($0, $1) }
    let powers = line.map { exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// Logarithms of the shares.
  static func logSoftmax(_ line: [Double]) -> [Double] {
    let largest = line.reduce(-.infinity) { $1.isNaN ? $1 : max($0, $1) }
    let logarithm = log(line.reduce(0) { $0 + exp($1 - largest) })
    return line.map { $0 - largest - logarithm }
  }

  /// One at the first of the largest numbers, zero elsewhere.
  static func hardmax(_ line: [Double]) -> [Double] {
    var best = 0
    for at in line.indices where line[at] > line[best] { best = at }
    return line.indices.map { $0 == best ? 1 : 0 }
  }
}
