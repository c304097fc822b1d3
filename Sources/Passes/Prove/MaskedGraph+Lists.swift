import Graph
import Runtime

/// Kept indices that hang on where other axes stand.
extension MaskedGraph {
  /// What is kept along an axis, perhaps another list for every place of other axes.
  mutating func gather(
    _ value: ValueID, _ kept: TensorSelection.Axis, axis: Int, for node: Node
  ) throws(Diagnostic) -> ValueID {
    if kept.over.isEmpty { return gather(value, kept.lists[0], axis: axis) }
    let index = try elementIndex(kept.lists, axis: axis, over: kept.over, like: module[value].type.shape, for: node)
    let result = fresh(value)
    var shape = module[value].type.shape
    shape[axis] = Extent(kept.count)
    module[result].type = TensorType(module[value].type.element, shape)
    nodes.append(
      Node(
        .indexing(.gatherElements), inputs: [value, index], outputs: [result],
        attributes: Attributes([.init(.axis, .int(axis))])))
    return result
  }

  /// Positions along an axis for every element of a tensor: `lists` hold them by the places of the axes in `over`.
  mutating func elementIndex(
    _ lists: [[Int]], axis: Int, over: [Int], like type: [Extent], for node: Node
  ) throws(Diagnostic) -> ValueID {
    var shape: [Int] = []
    for (at, extent) in type.enumerated() {
      guard let length = at == axis ? lists[0].count : kept.length(extent) else { throw refusal(node) }
      shape.append(length)
    }
    guard over.allSatisfy(shape.indices.contains), over.reduce(1, { $0 * shape[$1] }) == lists.count else { throw refusal(node) }
    var numbers: [Int] = []
    var places = shape.map { _ in 0 }
    func visit(_ at: Int) {
      if at == shape.count { return numbers.append(lists[over.reduce(0) { $0 * shape[$1] + places[$1] }][places[axis]]) }
      for place in 0..<shape[at] {
        places[at] = place
        visit(at + 1)
      }
    }
    visit(0)
    return constant(Tensor(wholes: numbers, .i64, shape))
  }

  /// True where a value keeps its numbers; axes that play no part have one index. Nil where nothing is removed.
  func mask(_ value: ValueID) -> Tensor? {
    let chosen = (0..<rank(value)).map { selected(value, $0) }
    let deciding = Set(chosen.flatMap { $0?.over ?? [] })
    var shape: [Int] = []
    for (axis, own) in chosen.enumerated() {
      shape.append(own != nil || deciding.contains(axis) ? extent(value, axis) ?? 1 : 1)
    }
    if shape.allSatisfy({ $0 == 1 }) { return nil }
    let isKept = chosen.enumerated().map { axis, own in
      (own?.lists ?? []).map { list -> [Bool] in
        var truths = [Bool](repeating: false, count: shape[axis])
        for index in list where truths.indices.contains(index) { truths[index] = true }
        return truths
      }
    }
    var truths: [Bool] = []
    truths.reserveCapacity(shape.reduce(1, *))
    var places = shape.map { _ in 0 }
    func isKeptHere() -> Bool {
      for (axis, own) in chosen.enumerated() {
        guard let own, shape[axis] > 1 else { continue }
        if !isKept[axis][own.over.reduce(0) { $0 * shape[$1] + places[$1] }][places[axis]] { return false }
      }
      return true
    }
    func visit(_ axis: Int) {
      if axis == shape.count { return truths.append(isKeptHere()) }
      for place in 0..<shape[axis] {
        places[axis] = place
        visit(axis + 1)
      }
    }
    visit(0)
    return Tensor(truths: truths, shape)
  }
}
