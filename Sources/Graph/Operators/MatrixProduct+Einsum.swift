/// An einsum equation: letters per operand, with the place of an ellipsis.
struct EinsumEquation {
  /// Letters of an operand; nil stands for the ellipsis.
  typealias Letters = [Character?]

  let inputs: [Letters]
  let output: Letters

  /// Reads an equation; nil when it is none. Without `->` the result has the ellipsis, then all letters that occur once, in ascending order.
  init?(_ text: String) {
    let compact = text.filter { !$0.isWhitespace }
    let sides = compact.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let left = sides.first else { return nil }
    var inputs: [Letters] = []
    for part in left.split(separator: ",", omittingEmptySubsequences: false) {
      guard let letters = Self.letters(part) else { return nil }
      inputs.append(letters)
    }
    self.inputs = inputs
    if sides.count == 2 {
      guard sides[1].hasPrefix(">"), let letters = Self.letters(sides[1].dropFirst()) else { return nil }
      output = letters
    } else {
      var counts: [Character: Int] = [:]
      for case let letter? in inputs.joined() { counts[letter, default: 0] += 1 }
      let once = counts.filter { $0.value == 1 }.keys.sorted().map { Character?.some($0) }
      output = (inputs.contains { $0.contains(nil) } ? [nil] : []) + once
    }
  }

  private static func letters(_ text: Substring) -> Letters? {
    var result: Letters = []
    var rest = text
    while let first = rest.first {
      if rest.hasPrefix("...") {
        guard !result.contains(nil) else { return nil }
        result.append(nil)
        rest = rest.dropFirst(3)
      } else {
        guard first.isASCII, first.isLetter else { return nil }
        result.append(first)
        rest = rest.dropFirst()
      }
    }
    return result
  }

  /// What the axes of a tensor of that rank stand for; nil when the rank does not fit. Axes of an ellipsis count from the right.
  static func labels(_ letters: Letters, rank: Int) -> [Label]? {
    let plain = letters.reduce(0) { $0 + ($1 == nil ? 0 : 1) }
    guard rank == plain || rank > plain && letters.contains(nil) else { return nil }
    var result: [Label] = []
    for letter in letters {
      if let letter {
        result.append(.letter(letter))
      } else {
        for place in stride(from: rank - plain - 1, through: 0, by: -1) { result.append(.ellipsis(place)) }
      }
    }
    return result
  }

  /// An axis of an einsum.
  enum Label: Hashable {
    case letter(Character)
    /// An axis of the ellipsis, counted from the right.
    case ellipsis(Int)
  }
}

extension MatrixProduct {
  /// Equal letters are the same axis. A letter twice in one operand is a diagonal, and keeps all its indices.
  func relateEinsum(_ solver: some AxisSolver, _ node: Node) {
    solver.escapeAll()
    guard let equation = node.attributes.string(.equation).flatMap(EinsumEquation.init), let result = solver.type(ofOutput: 0),
      let resultLabels = EinsumEquation.labels(equation.output, rank: result.rank)
    else { return solver.freezeNode(.unsupported("an einsum whose equation cannot be read")) }
    var layouts: [EinsumEquation.Label: Layout] = [:]
    var single: [EinsumEquation.Label: Layout] = [:]
    var operands: [Set<EinsumEquation.Label>] = []
    for index in node.inputs.indices {
      let shape = solver.shape(ofInput: index)
      let axes = solver.axes(ofInput: index)
      guard equation.inputs.indices.contains(index), axes.count == shape.count,
        let labels = EinsumEquation.labels(equation.inputs[index], rank: shape.count)
      else { return solver.freezeNode(.unsupported("an einsum whose operands do not fit its equation")) }
      var seen: Set<EinsumEquation.Label> = []
      for (at, label) in labels.enumerated() {
        if seen.contains(label) {
          solver.freeze(axes[at], .unsupported("it is part of a diagonal"))
          if let layout = layouts[label] { solver.freeze(layout, .unsupported("it is part of a diagonal")) }
        }
        if shape[at] == 1 {
          single[label] = axes[at]
          continue
        }
        seen.insert(label)
        if let known = layouts[label] { solver.tie(known, axes[at]) } else { layouts[label] = axes[at] }
      }
      operands.append(seen)
    }
    solver.give(
      resultLabels.enumerated().map { at, label in layouts[label] ?? single[label] ?? solver.fixed(result.shape[at], .structure) })
    if operands.count == 2 { noteEinsum(solver, layouts, operands[0], operands[1], Set(resultLabels)) }
  }

  private func noteEinsum(
    _ solver: some AxisSolver, _ layouts: [EinsumEquation.Label: Layout], _ left: Set<EinsumEquation.Label>,
    _ right: Set<EinsumEquation.Label>, _ result: Set<EinsumEquation.Label>
  ) {
    func list(_ labels: Set<EinsumEquation.Label>) -> [Layout] { labels.compactMap { layouts[$0] } }
    let shared = left.intersection(right)
    noteProduct(
      solver, leftIsWeight: solver.isParameterOnly(input: 0), rightIsWeight: solver.isParameterOnly(input: 1),
      contracted: list(shared.subtracting(result)), batch: list(shared.intersection(result)),
      leftFree: list(left.subtracting(right).intersection(result)), rightFree: list(right.subtracting(left).intersection(result)))
  }
}
