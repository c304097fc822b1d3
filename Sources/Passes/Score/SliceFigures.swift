import Graph

/// Figures of the slices of weights: one per index of a group, for one axis of one parameter.
struct SliceFigures {
  private let solution: Solution
  private let gradients: GradientStatistics?
  private var contents: [Int: TensorContent] = [:]
  private var sums: [Place: [Float]] = [:]

  private struct Place: Hashable {
    let value: Int
    let axis: Int
    let isSquared: Bool
  }

  init(_ solution: Solution, gradients: GradientStatistics?) {
    self.solution = solution
    self.gradients = gradients
    for parameter in solution.module.parameters { contents[parameter.value.index] = parameter.content }
  }

  /// The figure of every index of a group by one of its places; zeros where the parameter's numbers cannot be read.
  mutating func figures(of group: Group, at place: Group.Occurrence, criterion: Criterion) -> [Double] {
    let layout = solution.axes[place.value.index][place.axis]
    let members = solution.positions(of: group.leaf, in: layout)
    let none = [Double](repeating: 0, count: group.extent)
    guard let content = contents[place.value.index] else { return none }
    /// What the positions of an index have, put together.
    func gathered(_ figures: [Double], _ combine: (Double, Double) -> Double) -> [Double] {
      var slice = none
      for (position, member) in members.enumerated() where member >= 0 && position < figures.count {
        slice[Int(member)] = combine(slice[Int(member)], figures[position])
      }
      return slice
    }
    func squares() -> [Double] { gathered(axisSums(content, place, squared: true), +) }
    switch criterion {
    case .random, .bnScale: return none
    case .l1: return gathered(axisSums(content, place, squared: false), +)
    case .l2: return squares().map { $0.squareRoot() }
    case .lamp: return Self.shares(squares())
    case .linf: return gathered(AxisRows(content, axis: place.axis).folded { Swift.max($0, abs($1)) }, Swift.max)
    case .remain: return gathered(AxisRows(content, axis: place.axis).folded { $1 == 0 ? $0 : $0 + 1 }, +)
    case .fpgm: return AxisRows(content, axis: place.axis).distances(members: members, count: group.extent)
    case .taylor, .saliency, .fisher: return gradients?.figures(of: group, at: place) ?? none
    }
  }

  /// Sums that are known already: of squares, or of absolute values.
  func sums(of value: ValueID, axis: Int, squared: Bool) -> [Float]? {
    sums[Place(value: value.index, axis: axis, isSquared: squared)]
  }

  private mutating func axisSums(_ content: TensorContent, _ occurrence: Group.Occurrence, squared: Bool) -> [Double] {
    let place = Place(value: occurrence.value.index, axis: occurrence.axis, isSquared: squared)
    let known = sums[place] ?? AxisSums.sums(of: content, axis: occurrence.axis, squared: squared)
    sums[place] = known
    return known.map(Double.init)
  }

  /// Each figure as a share of the sum of those that are at least as large.
  private static func shares(_ figures: [Double]) -> [Double] {
    let order = figures.indices.sorted { figures[$0] > figures[$1] }
    var (result, sum, at) = (figures, 0.0, 0)
    while at < order.count {
      let end = order[at...].firstIndex { figures[$0] != figures[order[at]] } ?? order.count
      for index in order[at..<end] { sum += figures[index] }
      for index in order[at..<end] { result[index] = sum > 0 ? figures[index] / sum : 0 }
      at = end
    }
    return result
  }
}

/// The numbers of a parameter by their index of one axis.
struct AxisRows {
  private let content: TensorContent
  private let outer: Int
  private let count: Int
  private let inner: Int

  init(_ content: TensorContent, axis: Int) {
    self.content = content
    let shape = content.shape
    outer = shape[..<axis].reduce(1, *)
    count = shape[axis]
    inner = shape[(axis + 1)...].reduce(1, *)
  }

  /// Calls `body` with every number and its index of the axis, in the order of memory; not at all where the numbers cannot be read.
  private func visit(_ body: (Int, Float) -> Void) {
    let content = content.isWhole ? content.data : content.materialized()
    guard content.count == self.content.element.byteCount(of: outer * count * inner) else { return }
    content.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      func sweep<Number: StoredNumber>(_ type: Number.Type) {
        var address = base
        for _ in 0..<outer {
          for index in 0..<count {
            for _ in 0..<inner {
              body(index, Number.one(address))
              address += Number.width
            }
          }
        }
      }
      switch self.content.element {
      case .f32: sweep(StoredSingle.self)
      case .f64: sweep(StoredDouble.self)
      case .f16: sweep(StoredHalf.self)
      case .bf16: sweep(StoredBrain.self)
      case .i8: sweep(StoredSigned.self)
      case .u8: sweep(StoredUnsigned.self)
      // No numbers, or packed ones.
      case .i4, .u4, .i2, .u2, .i16, .i32, .i64, .u16, .u32, .u64, .bool, .string, .f8e4m3fn, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz,
        .f8e8m0, .f4e2m1, .c64, .c128, .unknown:
        break
      }
    }
    content.rest()
  }

  /// A figure per index of the axis, from 0 on.
  func folded(_ fold: (Double, Double) -> Double) -> [Double] {
    var figures = [Double](repeating: 0, count: count)
    visit { figures[$0] = fold(figures[$0], Double($1)) }
    return figures
  }

  /// Per member, the sum of the Euclidean distances of its numbers from those of every other. `members` says which member an index of the
  /// axis belongs to, −1 for none; members of other sizes than the first have no distance.
  func distances(members: [Int32], count size: Int) -> [Double] {
    var rows = [[Float]](repeating: [], count: size)
    visit { index, number in
      if members.indices.contains(index), members[index] >= 0 { rows[Int(members[index])].append(number) }
    }
    var result = [Double](repeating: 0, count: size)
    for one in rows.indices {
      for two in rows.indices where two > one && rows[one].count == rows[two].count {
        let distance = Self.distance(rows[one], rows[two])
        result[one] += distance
        result[two] += distance
      }
    }
    return result
  }

  private static func distance(_ a: [Float], _ b: [Float]) -> Double {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        var sums = SIMD8<Float>(repeating: 0)
        var at = 0
        while at + 8 <= a.count {
          var difference = SIMD8<Float>()
          for lane in 0..<8 { difference[lane] = a[at + lane] - b[at + lane] }
          sums += difference * difference
          at += 8
        }
        var sum = Double(sums.sum())
        while at < a.count {
          sum += Double((a[at] - b[at]) * (a[at] - b[at]))
          at += 1
        }
        return sum.squareRoot()
      }
    }
  }
}
