import Graph

/// Where a model's parameters are zero: number by number, and index by index of its groups.
public struct Sparsity: Sendable {
  /// One parameter.
  public struct TensorLine: Sendable {
    /// The parameter.
    public let value: ValueID
    /// Its shape.
    public let shape: [Int]
    /// How many numbers it holds.
    public let count: Int
    /// How many of them are zero; nil where the file does not hold them, or packed.
    public let zeros: Int?
  }

  /// An axis of a parameter that carries a group.
  public struct Place: Sendable {
    /// The parameter.
    public let value: ValueID
    /// Which axis.
    public let axis: Int
    /// True where the parameter is a weight of a contraction, convolution, embedding or recurrence.
    public let isWeight: Bool
    /// Indices whose whole slice is zero, ascending.
    public let empty: [Int]
  }

  /// One group.
  public struct GroupLine: Sendable {
    /// Its place in `Solution.groups`.
    public let group: Int
    /// Where parameters carry it.
    public let places: [Place]
    /// Indices whose slices are zero in all parameters that carry them.
    public let emptyEverywhere: [Int]
    /// Indices that are empty in at least one weight.
    public let emptySomewhere: [Int]
  }

  /// By parameter, in the module's order; data alone (no shape numbers).
  public let tensors: [TensorLine]
  /// By group, in the solution's order.
  public let groups: [GroupLine]

  /// Counts. `progress` hears the share done.
  public init(_ solution: Solution, progress: (Double) -> Void = { _ in }) {
    let parameters = solution.module.parameters.filter { $0.content.element.isData && $0.copyOf == nil }
    var tensors: [TensorLine] = []
    for (index, parameter) in parameters.enumerated() {
      tensors.append(Self.line(parameter))
      progress(Double(index) / Double(2 * parameters.count))
    }
    self.tensors = tensors
    let analysis = ZeroAnalysis(solution)
    analysis.takeConstants()
    let groups = solution.groups
    self.groups = groups.indices.map { index in
      progress(0.5 + Double(index) / Double(2 * groups.count))
      return Self.line(index, solution, analysis)
    }
  }

  /// Counts the zeros of tensors alone, where there is no model around them.
  public static func line(_ parameter: Parameter) -> TensorLine {
    let content = parameter.content
    guard StoredReals.canRead(content.element), !content.isMissing, let tensor = Tensor(content) else {
      return TensorLine(value: parameter.value, shape: content.shape, count: content.elementCount, zeros: nil)
    }
    return TensorLine(value: parameter.value, shape: content.shape, count: tensor.count, zeros: zeros(tensor))
  }

  /// How many numbers of a tensor are zero.
  static func zeros(_ tensor: Tensor) -> Int {
    var zeros = 0
    StoredReals.read(tensor) { number in for index in 0..<tensor.count where number(index) == 0 { zeros += 1 } }
    return zeros
  }

  private static func line(_ index: Int, _ solution: Solution, _ analysis: ZeroAnalysis) -> GroupLine {
    let group = solution.groups[index]
    var places: [Place] = []
    var everywhere = Set(0..<group.extent)
    var somewhere: Set<Int> = []
    for occurrence in group.occurrences {
      let layout = solution.axes[occurrence.value.index][occurrence.axis]
      let axes = analysis.axisConstants(occurrence.value)
      let numbers = axes.map { analysis.indexNumbers(index, layout, $0.byAxis[occurrence.axis]) } ?? []
      let empty = numbers.indices.filter { numbers[$0] == 0 }
      places.append(Place(value: occurrence.value, axis: occurrence.axis, isWeight: occurrence.isWeight, empty: empty))
      everywhere.formIntersection(empty)
      if occurrence.isWeight { somewhere.formUnion(empty) }
    }
    return GroupLine(
      group: index, places: places, emptyEverywhere: everywhere.sorted(), emptySomewhere: somewhere.sorted())
  }
}
