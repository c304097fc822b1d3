import Kernels
import Runtime

/// What the columns of one site are worth while some go after others.
protocol ColumnCost: AnyObject {
  /// What removing these columns costs.
  func cost(_ columns: [Int]) -> Double
  /// Removes columns; returns what it costs.
  @discardableResult
  func remove(_ columns: [Int]) -> Double
}

/// Structured optimal brain surgery on one site: what it costs to remove columns of the input when the weights of the others are fitted anew,
/// and the state after some are gone (Hassibi and Stork, "Second order derivatives for network pruning", 1993; in blocks of columns as in
/// Kurtic et al., "ZipLM", 2023).
///
/// With H = A⁻¹ of the regularised second moments A of the input, and weights W whose results are scaled by how much an error of each counts,
/// removing columns S costs tr(W_Sᵀ · H_SS⁻¹ · W_S), and leaves W − H_·S · H_SS⁻¹ · W_S and H − H_·S · H_SS⁻¹ · H_S·.
final class Surgeon: ColumnCost {
  private var inverse: Matrix
  private var weights: Matrix
  /// What a unit of squared error at the site counts.
  private let level: Double
  /// Present place of every original column; −1 for those that are gone.
  private var place: [Int]
  private var gone = 0
  private let pool: WorkPool

  init(inverse: Matrix, weights: Matrix, level: Double, pool: WorkPool) {
    self.inverse = inverse
    self.weights = weights
    self.level = level
    self.pool = pool
    place = Array(0..<inverse.rows)
  }

  func cost(_ columns: [Int]) -> Double {
    let at = columns.map { place[$0] }.filter { $0 >= 0 }
    if at.count == 1, let only = at.first {
      let row = weights.numbers + only * weights.columns
      var sum = 0.0
      for index in 0..<weights.columns { sum += row[index] * row[index] }
      return level * sum / max(inverse[only, only], .leastNormalMagnitude)
    }
    guard let parts = solved(at) else { return .infinity }
    return level * parts.cost
  }

  @discardableResult
  func remove(_ columns: [Int]) -> Double {
    let at = columns.map { place[$0] }.filter { $0 >= 0 }
    guard !at.isEmpty, let parts = solved(at) else { return 0 }
    // With H_SS = L·Lᵀ, both downdates are of the form X − Yᵀ·Z, Y = L⁻¹·H_S·.
    let rows = inverse.picking(rows: at)
    pk_solve_lower(at.count, parts.factor.numbers, at.count, rows.columns, rows.numbers, rows.columns)
    downdate(weights, rows, parts.solution)
    downdate(inverse, rows, rows)
    for column in columns { place[column] = -1 }
    gone += at.count
    if gone * 4 > inverse.rows { compact() }
    return level * parts.cost
  }

  /// The factor of H_SS, L⁻¹·W_S, and the sum of its squares.
  private func solved(_ at: [Int]) -> (factor: Matrix, solution: Matrix, cost: Double)? {
    let factor = inverse.picking(rows: at, columns: at)
    guard pk_cholesky_block(at.count, factor.numbers, at.count) else { return nil }
    let solution = weights.picking(rows: at)
    pk_solve_lower(at.count, factor.numbers, at.count, solution.columns, solution.numbers, solution.columns)
    var sum = 0.0
    for index in 0..<solution.rows * solution.columns { sum += solution.numbers[index] * solution.numbers[index] }
    return (factor, solution, sum)
  }

  /// X −= Yᵀ · Z.
  private func downdate(_ x: Matrix, _ y: Matrix, _ z: Matrix) {
    let size = 128
    pool.run((x.rows + size - 1) / size) { piece, _ in
      let first = piece * size
      pk_double_update(
        min(size, x.rows - first), x.columns, y.rows, y.numbers + first, 1, y.columns, z.numbers, z.columns,
        x.numbers + first * x.columns, x.columns)
    }
  }

  private func compact() {
    let left = place.indices.filter { place[$0] >= 0 }
    let at = left.map { place[$0] }
    inverse = inverse.picking(rows: at, columns: at)
    weights = weights.picking(rows: at)
    for (new, column) in left.enumerated() { place[column] = new }
    gone = 0
  }
}

/// The cost of columns whose loss nobody makes up for: with moments G of the inputs and weights W whose results are scaled by how much an error of
/// each counts, removing columns R costs tr(W_Rᵀ · G_RR · W_R).
final class PlainLoss: ColumnCost {
  private let second: Matrix
  private let weights: Matrix
  private let level: Double
  /// G_·R · W_R of what is gone.
  private let lost: Matrix

  init(second: Matrix, weights: Matrix, level: Double) {
    self.second = second
    self.weights = weights
    self.level = level
    lost = Matrix(weights.rows, weights.columns)
  }

  /// By itself, whatever is gone already.
  func cost(_ columns: [Int]) -> Double {
    var sum = 0.0
    for column in columns {
      let row = weights.numbers + column * weights.columns
      var own = 0.0
      for index in 0..<weights.columns { own += row[index] * row[index] }
      sum += own * second[column, column]
    }
    return level * sum
  }

  @discardableResult
  func remove(_ columns: [Int]) -> Double {
    let own = weights.picking(rows: columns)
    let reach = second.picking(rows: Array(0..<second.rows), columns: columns) * own
    var sum = 0.0
    for (at, column) in columns.enumerated() {
      for index in 0..<own.columns { sum += own[at, index] * (2 * lost[column, index] + reach[column, index]) }
    }
    for index in 0..<lost.rows * lost.columns { lost.numbers[index] += reach.numbers[index] }
    return level * max(0, sum)
  }
}

/// In which order the members of a group go, and what the error is after each.
struct Removal {
  /// Members in the order in which they go; the last ones are worth most.
  let order: [Int]
  /// Error when so many of them are gone: 0 for none; one more number than `order`.
  let errors: [Double]

  /// Members that stay when `count` do.
  func kept(_ count: Int) -> [Int] {
    let gone = Set(order.prefix(max(0, order.count - count)))
    return order.filter { !gone.contains($0) }.sorted()
  }

  /// The error when `count` members stay.
  func error(keeping count: Int) -> Double { errors[max(0, min(order.count, order.count - count))] }

  /// Removes what costs least first, a few at a time, the costs of all sites added up.
  ///
  /// `columns`: per site, per member, the columns that go with it. `order`: given, members go in that order instead. `going`: how many have to
  /// go; nil for all, one after the other.
  init(_ sites: [any ColumnCost], columns: [[[Int]]], count: Int, going: Int? = nil, order given: [Int]? = nil) {
    let step = max(1, count / 96)
    let end = going ?? count
    var left = Set(0..<count)
    var order: [Int] = []
    var errors = [0.0]
    while order.count < end {
      let next: [Int]
      if let given {
        next = Array(given[order.count..<min(end, order.count + step)])
      } else {
        let costs = left.sorted().map { member in
          (member, zip(sites, columns).reduce(0) { $0 + $1.0.cost($1.1[member]) })
        }
        next = costs.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.prefix(min(step, end - order.count)).map(\.0)
      }
      var cost = 0.0
      for (site, columns) in zip(sites, columns) { cost += site.remove(next.flatMap { columns[$0] }) }
      let before = errors[errors.count - 1]
      for index in next.indices {
        order.append(next[index])
        errors.append(before + cost * Double(index + 1) / Double(next.count))
      }
      left.subtract(next)
    }
    self.order = order + left.sorted()
    self.errors = errors + Array(repeating: errors[errors.count - 1], count: left.count)
  }

  /// A given order with its errors.
  init(order: [Int], errors: [Double]) {
    self.order = order
    self.errors = errors
  }
}
