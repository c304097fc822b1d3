import Graph
import Kernels
import Runtime

/// Rows of numbers: `count` rows of `width`, and how much each counts.
struct Rows {
  let width: Int
  private(set) var count = 0
  private(set) var numbers: [Float] = []
  private(set) var weights: [Float] = []

  init(width: Int, capacity: Int = 0) {
    self.width = width
    numbers.reserveCapacity(width * capacity)
    weights.reserveCapacity(capacity)
  }

  /// Adds a row, which `fill` writes.
  mutating func add(weight: Float, _ fill: (UnsafeMutablePointer<Float>) -> Void) {
    let start = numbers.count
    numbers.append(contentsOf: repeatElement(0, count: width))
    numbers.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { fill(base + start) } }
    weights.append(weight)
    count += 1
  }

  /// Rows that are there already, each with its weight; those of weight zero are left out.
  init(width: Int, source: UnsafePointer<Float>, weights given: [Float]) {
    self.width = width
    count = given.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
    weights = given.filter { $0 > 0 }
    numbers = [Float](unsafeUninitializedCapacity: count * width) { target, filled in
      guard var to = target.baseAddress else { return }
      for (row, weight) in given.enumerated() where weight > 0 {
        to.update(from: source + row * width, count: width)
        to += width
      }
      filled = count * width
    }
  }
}

/// Weighted sums over rows x of a site's input and rows r beside them: Σw, Σw·x, Σw·x·xᵀ, Σw·r and Σw·x·rᵀ. Numbers are counted from the mean of
/// the first rows, so that single precision is enough for the sums.
final class Moments {
  let width: Int
  /// Numbers in a row beside; 0 for none.
  let beside: Int
  /// Rows so far.
  private(set) var rows = 0
  private(set) var weight = 0.0
  private var origin: [Float] = []
  private var first: [Double]
  private var firstBeside: [Double]
  private let second: Buffer
  private let cross: Buffer

  private final class Buffer {
    let numbers: UnsafeMutablePointer<Float>
    init(_ count: Int) {
      numbers = .allocate(capacity: max(1, count))
      numbers.initialize(repeating: 0, count: max(1, count))
    }
    deinit { numbers.deallocate() }
  }

  init(width: Int, beside: Int = 0) {
    self.width = width
    self.beside = beside
    first = Array(repeating: 0, count: width)
    firstBeside = Array(repeating: 0, count: beside)
    second = Buffer(width * width)
    cross = Buffer(width * beside)
  }

  /// Adds rows, and as many rows beside them.
  func add(_ x: Rows, beside r: [Float] = [], pool: WorkPool) {
    guard x.count > 0 else { return }
    if origin.isEmpty { origin = Self.mean(x) }
    rows += x.count
    var centred = x.numbers
    var scaled = r
    for row in 0..<x.count {
      let weight = x.weights[row]
      self.weight += Double(weight)
      let root = weight.squareRoot()
      centred.withUnsafeMutableBufferPointer { numbers in
        guard let base = numbers.baseAddress else { return }
        Self.centre(base + row * width, origin, weight, root, &first)
      }
      if beside > 0 {
        scaled.withUnsafeMutableBufferPointer { numbers in
          guard let base = numbers.baseAddress else { return }
          for index in 0..<beside {
            let number = base[row * beside + index]
            firstBeside[index] += Double(weight * number)
            base[row * beside + index] = root * number
          }
        }
      }
    }
    Self.accumulate(second.numbers, centred, centred, x.count, width, width, isSymmetric: true, pool)
    if beside > 0 { Self.accumulate(cross.numbers, centred, scaled, x.count, width, beside, isSymmetric: false, pool) }
  }

  private static func mean(_ x: Rows) -> [Float] {
    var sums = [Double](repeating: 0, count: x.width)
    for row in 0..<x.count { for index in 0..<x.width { sums[index] += Double(x.numbers[row * x.width + index]) } }
    return sums.map { Float($0 / Double(x.count)) }
  }

  private static func centre(
    _ row: UnsafeMutablePointer<Float>, _ origin: [Float], _ weight: Float, _ root: Float, _ first: inout [Double]
  ) {
    origin.withUnsafeBufferPointer { origin in
      first.withUnsafeMutableBufferPointer { first in
        for index in 0..<origin.count {
          let number = row[index] - origin[index]
          first[index] += Double(weight * number)
          row[index] = root * number
        }
      }
    }
  }

  /// C += Aᵀ · B over `rows` rows; of a symmetric C the part on and above the diagonal is enough.
  private static func accumulate(
    _ c: UnsafeMutablePointer<Float>, _ a: [Float], _ b: [Float], _ rows: Int, _ width: Int, _ columns: Int, isSymmetric: Bool,
    _ pool: WorkPool
  ) {
    let packedCount = pk_packed_b_size(rows, columns)
    let packed = UnsafeMutablePointer<Float>.allocate(capacity: max(1, packedCount))
    defer { packed.deallocate() }
    let panels = pk_panel_count(columns)
    b.withUnsafeBufferPointer { b in
      guard let base = b.baseAddress else { return }
      let part = 8
      let source = Shared(base), target = Shared(packed)
      pool.run((panels + part - 1) / part) { piece, _ in
        pk_pack_b(rows, columns, source.pointer, columns, 1, piece * part, min(panels, (piece + 1) * part), target.pointer)
      }
    }
    let panelColumns = pk_panel_columns()
    let size = 96
    a.withUnsafeBufferPointer { a in
      guard let base = a.baseAddress else { return }
      let source = Shared(base), panelsOfB = Shared(packed), sums = Shared(c)
      pool.run((width + size - 1) / size) { piece, _ in
        let first = piece * size
        var problem = pk_gemm()
        problem.m = width
        problem.n = columns
        problem.k = rows
        problem.a = source.pointer
        problem.a_row_stride = 1
        problem.a_column_stride = width
        problem.packed_b = UnsafePointer(panelsOfB.pointer)
        problem.c = sums.pointer
        problem.c_row_stride = columns
        problem.epilogue = pk_epilogue(
          alpha: 1, bias: nil, bias_per_row: false, residual_after_activation: false, residual: UnsafePointer(sums.pointer),
          residual_row_stride: columns, activation: PK_ACTIVATION_NONE, first: 0, second: 0)
        let scratch = UnsafeMutablePointer<Float>.allocate(capacity: max(1, pk_gemm_scratch_size(&problem)))
        defer { scratch.deallocate() }
        pk_gemm_run(&problem, first, min(width, first + size), isSymmetric ? first / panelColumns : 0, panels, scratch)
      }
    }
  }

  private struct Shared<Pointer>: @unchecked Sendable {
    let pointer: Pointer
    init(_ pointer: Pointer) { self.pointer = pointer }
  }

  // MARK: Results

  /// Mean of the rows; zeros where there are none.
  var mean: [Double] { origin.isEmpty ? first : zip(first, origin).map { $0 / max(weight, .leastNormalMagnitude) + Double($1) } }

  /// Mean of the rows beside.
  var meanBeside: [Double] { firstBeside.map { $0 / max(weight, .leastNormalMagnitude) } }

  /// Mean of x·xᵀ, about the mean of x or, uncentred, about zero.
  func covariance(isCentred: Bool) -> Matrix {
    let result = Matrix(width, width)
    let offset = first.map { $0 / max(weight, .leastNormalMagnitude) }
    let mean = mean
    for row in 0..<width {
      for column in row..<width {
        var number =
          Double(second.numbers[row * width + column]) / max(weight, .leastNormalMagnitude) - offset[row] * offset[column]
        if !isCentred { number += mean[row] * mean[column] }
        result[row, column] = number
        result[column, row] = number
      }
    }
    return result
  }

  /// Mean of x·rᵀ, about the means or about zero.
  func crossCovariance(isCentred: Bool) -> Matrix {
    let result = Matrix(width, beside)
    let offset = first.map { $0 / max(weight, .leastNormalMagnitude) }
    let (mean, other) = (mean, meanBeside)
    for row in 0..<width {
      for column in 0..<beside {
        var number =
          Double(cross.numbers[row * beside + column]) / max(weight, .leastNormalMagnitude) - offset[row] * other[column]
        if !isCentred { number += mean[row] * other[column] }
        result[row, column] = number
      }
    }
    return result
  }
}
