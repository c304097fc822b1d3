import Graph

/// A solver of the plainest kind, to see what one rule does: every axis of every operand starts as a group of its own, and the axes after
/// the rule are printed in the notation of axis rules. Groups are lettered in order of appearance; fixed extents are numbers.
///
///     AxisProbe(.matrixProduct(.matMul), [[8, 3], [3, 5]], [[8, 5]]).text == "a b, b c -> a c"
final class AxisProbe: AxisSolver {
  private indirect enum Form {
    case fixed(Extent)
    case group(Int)
    case product([Layout])
    case sum([Layout])
  }

  let node: Node
  let opset: Int
  private let inputTypes: [TensorType?]
  private let outputTypes: [TensorType?]
  private let numbers: [Int: KnownValue]
  private let weights: Set<Int>
  private var forms: [Form] = []
  private var extents: [Extent] = []
  private var bound: [Int: Layout] = [:]
  private var groupExtents: [Extent] = []
  private var inputs: [[Layout]] = []
  private var outputs: [[Layout]?] = []
  private(set) var timesGiven: [Int] = []
  private var codomains: [Int: Layout] = [:]
  private(set) var outputCodomains: [Int: Layout] = [:]
  private var notes: [(AxisRole, Layout)] = []
  private(set) var reasons: [Reason] = []

  /// Runs the rule of an operation. `weights` are operands that follow from parameters; `codomains` give operands that hold positions
  /// along an axis of another operand.
  convenience init(
    _ operation: Graph.Operator, _ inputs: [[Extent]?], _ outputs: [[Extent]?], attributes: [Attributes.Entry] = [],
    numbers: [Int: [Int]] = [:], weights: Set<Int> = [], codomains: [Int: (input: Int, axis: Int)] = [:], opset: Int = 21,
    element: ElementType = .f32
  ) {
    let known = numbers.compactMapValues { list -> KnownValue? in KnownValue(list: list.map { Extent($0) }) }
    self.init(
      operation, inputs, outputs, attributes: attributes, known: known, weights: weights, codomains: codomains, opset: opset,
      element: element)
  }

  init(
    _ operation: Graph.Operator, _ inputs: [[Extent]?], _ outputs: [[Extent]?], attributes: [Attributes.Entry] = [],
    known: [Int: KnownValue], weights: Set<Int> = [], codomains: [Int: (input: Int, axis: Int)] = [:], opset: Int = 21,
    element: ElementType = .f32
  ) {
    node = Node(
      operation, inputs: inputs.enumerated().map { $1 == nil ? nil : ValueID($0) },
      outputs: outputs.enumerated().map { $1 == nil ? nil : ValueID(100 + $0) }, attributes: Attributes(attributes))
    self.opset = opset
    inputTypes = inputs.map { $0.map { TensorType(element, $0) } }
    outputTypes = outputs.map { $0.map { TensorType(element, $0) } }
    numbers = known
    self.weights = weights
    self.outputs = outputs.map { _ in nil }
    timesGiven = outputs.map { _ in 0 }
    self.inputs = inputs.map { $0?.map { fresh($0) } ?? [] }
    for (input, place) in codomains { self.codomains[input] = self.inputs[place.input][place.axis] }
    operation.rules?.relate(self)
  }

  /// Runs a rule in the notation.
  init(
    _ rule: AxisRule, _ inputs: [[Extent]?], _ outputs: [[Extent]?], sizes: [String: Int] = [:], given: [String: Int] = [:]
  ) {
    node = Node(
      .elementwise(.identity), inputs: inputs.enumerated().map { $1 == nil ? nil : ValueID($0) },
      outputs: outputs.enumerated().map { $1 == nil ? nil : ValueID(100 + $0) })
    opset = 21
    inputTypes = inputs.map { $0.map { TensorType(.f32, $0) } }
    outputTypes = outputs.map { $0.map { TensorType(.f32, $0) } }
    numbers = [:]
    weights = []
    self.outputs = outputs.map { _ in nil }
    timesGiven = outputs.map { _ in 0 }
    self.inputs = inputs.map { $0?.map { fresh($0) } ?? [] }
    rule.apply(to: self, sizes: sizes, given: given.mapValues { [fresh(Extent($0))] })
  }

  // MARK: reading

  /// Axes of operands and results; `-` for what is left out, `?` for a result that was never given axes.
  var text: String {
    var letters: [Int: String] = [:]
    func list(_ values: [[Layout]?]) -> String {
      values.map { $0.map { $0.map { print($0, &letters, isInner: false) }.joined(separator: " ") } ?? "?" }.joined(
        separator: ", ")
    }
    let left = list(zip(inputs, inputTypes).map { $1 == nil ? nil : $0 }).replacingAll("?", with: "-")
    let right = zip(outputs, outputTypes).map { $1 == nil ? "-" : list([$0]) }.joined(separator: ", ")
    return "\(left) -> \(right)"
  }

  /// Roles in order, with the layouts as in `text`.
  var roles: [String] {
    var letters: [Int: String] = [:]
    for layout in inputs.joined() { _ = print(layout, &letters, isInner: false) }
    for layout in outputs.compactMap({ $0 }).joined() { _ = print(layout, &letters, isInner: false) }
    return notes.map { "\($0.0) \(print($0.1, &letters, isInner: false))" }
  }

  /// The layout that the numbers of a result range over, lettered as in `text`.
  func codomainText(_ output: Int) -> String? {
    var letters: [Int: String] = [:]
    for layout in inputs.joined() { _ = print(layout, &letters, isInner: false) }
    return outputCodomains[output].map { print($0, &letters, isInner: false) }
  }

  private func print(_ layout: Layout, _ letters: inout [Int: String], isInner: Bool) -> String {
    switch form(layout) {
    case .fixed(let extent): return extent.description
    case .group(let group):
      if let letter = letters[group] { return letter }
      let letter = String(UnicodeScalar(UInt8(97 + letters.count % 26)))
      letters[group] = letter
      return letter
    case .product(let factors):
      let text = flattened(factors, isProduct: true).map { print($0, &letters, isInner: true) }.joined(separator: " ")
      return "(\(text))"
    case .sum(let parts):
      let texts = flattened(parts, isProduct: false).map { part -> String in
        let text = print(part, &letters, isInner: true)
        if case .product = form(part) { return String(text.dropFirst().dropLast()) }
        return text
      }
      return "(\(texts.joined(separator: " | ")))"
    }
  }

  private func flattened(_ children: [Layout], isProduct: Bool) -> [Layout] {
    children.flatMap { child -> [Layout] in
      switch (form(child), isProduct) {
      case (.product(let inner), true), (.sum(let inner), false): flattened(inner, isProduct: isProduct)
      case (.fixed(let extent), true): extent == 1 ? [] : [child]
      case (.fixed(let extent), false): extent == 0 ? [] : [child]
      case (.group, _), (.sum, true), (.product, false): [child]
      }
    }
  }

  // MARK: AxisSolver

  func type(ofInput index: Int) -> TensorType? { inputTypes.indices.contains(index) ? inputTypes[index] : nil }
  func type(ofOutput index: Int) -> TensorType? { outputTypes.indices.contains(index) ? outputTypes[index] : nil }
  func known(ofInput index: Int) -> KnownValue? { numbers[index] }
  func known(ofOutput index: Int) -> KnownValue? { nil }
  func isParameterOnly(input index: Int) -> Bool { weights.contains(index) }
  func isParameter(input index: Int) -> Bool { weights.contains(index) }
  func axes(ofInput index: Int) -> [Layout] { inputs.indices.contains(index) ? inputs[index] : [] }
  func setAxes(ofOutput index: Int, _ layouts: [Layout]) {
    outputs[index] = layouts
    timesGiven[index] += 1
  }
  func codomain(ofInput index: Int) -> Layout? { codomains[index] }
  func setCodomain(ofOutput index: Int, _ layout: Layout) { outputCodomains[index] = layout }

  private func add(_ form: Form, _ extent: Extent) -> Layout {
    forms.append(form)
    extents.append(extent)
    return Layout(index: Int32(forms.count - 1))
  }

  func fresh(_ extent: Extent) -> Layout {
    if extent == 1 || !extent.isConstant { return add(.fixed(extent), extent) }
    groupExtents.append(extent)
    return add(.group(groupExtents.count - 1), extent)
  }

  func fixed(_ extent: Extent, _ reason: Reason) -> Layout { add(.fixed(extent), extent) }
  func product(_ factors: [Layout]) -> Layout { add(.product(factors), factors.reduce(1) { $0 * extent($1) }) }
  func sum(_ parts: [Layout]) -> Layout { add(.sum(parts), parts.reduce(0) { $0 + extent($1) }) }
  func extent(_ layout: Layout) -> Extent { extents[Int(layout.index)] }
  func note(_ role: AxisRole, _ layout: Layout) { notes.append((role, layout)) }

  /// The form of a layout, bound groups replaced, products and sums of one unwrapped.
  private func form(_ layout: Layout) -> Form {
    switch forms[Int(layout.index)] {
    case .fixed(let extent): return .fixed(extent)
    case .group(let group): return bound[group].map(form) ?? .group(group)
    case .product(let factors):
      let flat = flattened(factors, isProduct: true)
      return flat.isEmpty ? .fixed(1) : flat.count == 1 ? form(flat[0]) : .product(flat)
    case .sum(let parts):
      let flat = flattened(parts, isProduct: false)
      return flat.isEmpty ? .fixed(0) : flat.count == 1 ? form(flat[0]) : .sum(flat)
    }
  }

  func freeze(_ layout: Layout, _ reason: Reason) {
    reasons.append(reason)
    freeze(layout)
  }

  private func freeze(_ layout: Layout) {
    switch form(layout) {
    case .fixed: break
    case .group(let group): bound[group] = add(.fixed(groupExtents[group]), groupExtents[group])
    case .product(let children), .sum(let children): for child in children { freeze(child) }
    }
  }

  func unify(_ a: Layout, _ b: Layout) {
    precondition(extent(a) == extent(b), "a rule unified \(extent(a)) with \(extent(b))")
    switch (form(a), form(b)) {
    case (.fixed, _): freeze(b)
    case (_, .fixed): freeze(a)
    case (.group(let x), .group(let y)): if x != y { bound[max(x, y)] = x < y ? a : b }
    case (.group(let x), _): bound[x] = b
    case (_, .group(let y)): bound[y] = a
    case (.product(let x), .product(let y)): unifyProducts(x, y)
    case (.sum(let x), .sum(let y)): unifySums(x, y)
    case (.sum(let parts), .product(let factors)), (.product(let factors), .sum(let parts)):
      // Only parts that are blocks.
      let block = product(Array(factors.dropFirst()))
      for part in parts where extent(part) == extent(block) { unify(part, block) }
      freeze(factors[0])
    }
  }

  private func unifyProducts(_ a: [Layout], _ b: [Layout]) {
    var left = a
    var right = b
    while let x = left.popLast(), let y = right.popLast() {
      if extent(x) == extent(y) {
        unify(x, y)
      } else if let outer = extent(x).dividedExactly(by: extent(y)) {
        let rest = fresh(outer)
        unify(x, product([rest, y]))
        left.append(rest)
      } else if let outer = extent(y).dividedExactly(by: extent(x)) {
        let rest = fresh(outer)
        unify(y, product([rest, x]))
        right.append(rest)
      } else {
        for layout in left + right + [x, y] { freeze(layout) }
        return
      }
    }
  }

  private func unifySums(_ a: [Layout], _ b: [Layout]) {
    var left = a
    var right = b
    while !left.isEmpty, !right.isEmpty {
      let x = left.removeFirst()
      let y = right.removeFirst()
      guard let n = extent(x).constant, let m = extent(y).constant, n != m else {
        unify(x, y)
        continue
      }
      if n < m {
        let pieces = cut(y, at: [n])
        unify(x, pieces[0])
        right.insert(pieces[1], at: 0)
      } else {
        let pieces = cut(x, at: [m])
        unify(pieces[0], y)
        left.insert(pieces[1], at: 0)
      }
    }
  }

  func cut(_ layout: Layout, at positions: [Int]) -> [Layout] {
    guard let length = extent(layout).constant else { return [layout] }
    let ends = positions + [length]
    let parts = zip([0] + positions, ends).map { Extent($1 - $0) }
    switch form(layout) {
    case .fixed: return parts.map { fixed($0, .structure) }
    case .group:
      let pieces = parts.map { fresh($0) }
      unify(layout, sum(pieces))
      return pieces
    case .product, .sum:
      // Parts that end where the cuts are; all else is frozen.
      var pieces: [Layout] = []
      var rest: [Layout] = []
      if case .sum(let old) = form(layout) { rest = old }
      for part in parts {
        var piece: [Layout] = []
        var filled: Extent = 0
        while filled != part, let next = rest.first, !((filled + extent(next)).constant.map { $0 > part.constant ?? 0 } ?? true) {
          piece.append(rest.removeFirst())
          filled = filled + extent(next)
        }
        if filled != part {
          freeze(layout)
          return parts.map { fixed($0, .structure) }
        }
        pieces.append(sum(piece))
      }
      return pieces
    }
  }

  func split(_ layout: Layout, inner: Int) -> (outer: Layout, inner: Layout) {
    guard let outer = extent(layout).dividedExactly(by: Extent(inner)) else {
      freeze(layout)
      return (fixed(1, .structure), fixed(extent(layout), .structure))
    }
    let parts = (outer: fresh(outer), inner: fresh(Extent(inner)))
    unify(layout, product([parts.outer, parts.inner]))
    return parts
  }
}

extension String {
  fileprivate func replacingAll(_ a: Character, with b: Character) -> String { String(map { $0 == a ? b : $0 }) }
}

/// A symbolic extent, or an expression in symbols.
extension Extent: ExpressibleByStringLiteral {
  /// The extent that the text spells, else a symbol of that name.
  public init(stringLiteral text: String) { self = Extent(parsing: text) ?? .symbol(text) }
}
