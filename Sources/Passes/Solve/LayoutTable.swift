import Graph

/// All layouts of one solution, each stored once, in normal form: products and sums are flattened, factors of extent 1 and parts of
/// extent 0 dropped, neighbouring fixed factors and parts merged, and a sum that repeats one sequence n times is `product(n, sequence)`.
///
/// A group starts out free. The unifier may bind it to another layout; from then on it is only a name for that layout, and `resolve`
/// replaces it wherever it stands.
public struct LayoutTable: Sendable {
  /// How a layout is made.
  public enum Form: Hashable, Sendable {
    /// Keeps all its indices, for the reason with this number in `causes`.
    case fixed(cause: Int32)
    /// A group, by number.
    case group(Int32)
    /// Row-major, outermost first; at least two factors.
    case product([Layout])
    /// Concatenated in order; at least two parts.
    case sum([Layout])
  }

  /// Why a part keeps all its indices, and the node that said so.
  public struct Cause: Hashable, Sendable {
    /// The reason.
    public let reason: Reason
    /// Index of the node whose rule gave it; nil for the interface and for what the user asked.
    public let node: Int?
  }

  /// A group while solving.
  struct GroupState: Sendable {
    let extent: Int
    let layout: Layout
    /// What the group turned out to be; nil while it is free.
    var binding: Layout?
    /// Node whose rule bound it.
    var boundBy: Int?
  }

  private struct FixedKey: Hashable {
    let extent: Extent
    let cause: Int32
  }

  private(set) var forms: [Form] = []
  private var extents: [Extent] = []
  private var normalised: [(epoch: Int, layout: Layout)] = []
  private(set) var causes: [Cause] = []
  private(set) var groups: [GroupState] = []
  private var epoch = 0
  private var fixedIndex: [FixedKey: Layout] = [:]
  private var compositeIndex: [Form: Layout] = [:]
  private var causeIndex: [Cause: Int32] = [:]

  /// An empty table.
  public init() {}

  private mutating func append(_ form: Form, _ extent: Extent) -> Layout {
    forms.append(form)
    extents.append(extent)
    let layout = Layout(index: Int32(forms.count - 1))
    normalised.append((epoch: -1, layout: layout))
    return layout
  }

  /// The number of a cause.
  mutating func intern(_ cause: Cause) -> Int32 {
    if let known = causeIndex[cause] { return known }
    causes.append(cause)
    causeIndex[cause] = Int32(causes.count - 1)
    return Int32(causes.count - 1)
  }

  /// A part that keeps all its indices.
  mutating func fixed(_ extent: Extent, cause: Int32) -> Layout {
    let key = FixedKey(extent: extent, cause: cause)
    if let known = fixedIndex[key] { return known }
    let layout = append(.fixed(cause: cause), extent)
    fixedIndex[key] = layout
    return layout
  }

  /// A new free group.
  mutating func newGroup(_ extent: Int) -> Layout {
    let layout = append(.group(Int32(groups.count)), Extent(extent))
    groups.append(GroupState(extent: extent, layout: layout, binding: nil, boundBy: nil))
    return layout
  }

  /// Binds a free group for good.
  mutating func bind(_ group: Int32, to layout: Layout, by node: Int?) {
    groups[Int(group)].binding = layout
    groups[Int(group)].boundBy = node
    epoch += 1
  }

  /// The product in normal form.
  mutating func product(_ factors: [Layout]) -> Layout {
    var flat: [Layout] = []
    flat.reserveCapacity(factors.count)
    for factor in factors {
      let factor = resolve(factor)
      if case .product(let inner) = form(factor) {
        for part in inner { appendFactor(part, to: &flat) }
      } else {
        appendFactor(factor, to: &flat)
      }
    }
    switch flat.count {
    case 0: return one(of: factors) ?? fixed(1, cause: intern(Cause(reason: .structure, node: nil)))
    case 1: return flat[0]
    default: return composite(.product(flat), flat.reduce(Extent(1)) { $0 * extent($1) })
    }
  }

  private mutating func one(of layouts: [Layout]) -> Layout? {
    guard let first = layouts.first else { return nil }
    return resolve(first)
  }

  private mutating func appendFactor(_ factor: Layout, to flat: inout [Layout]) {
    if extent(factor) == 1 { return }
    if let last = flat.last, case .fixed(let cause) = form(last), case .fixed = form(factor) {
      flat[flat.count - 1] = fixed(extent(last) * extent(factor), cause: cause)
    } else {
      flat.append(factor)
    }
  }

  /// The sum in normal form.
  mutating func sum(_ parts: [Layout]) -> Layout {
    var flat: [Layout] = []
    flat.reserveCapacity(parts.count)
    for part in parts {
      let part = resolve(part)
      if case .sum(let inner) = form(part) {
        for piece in inner { appendPart(piece, to: &flat) }
      } else {
        appendPart(part, to: &flat)
      }
    }
    switch flat.count {
    case 0: return one(of: parts) ?? fixed(0, cause: intern(Cause(reason: .structure, node: nil)))
    case 1: return flat[0]
    default: break
    }
    if let period = Self.period(of: flat) {
      let sequence = sum(Array(flat[0..<period]))
      let repeats = fixed(Extent(flat.count / period), cause: intern(Cause(reason: .structure, node: nil)))
      return product([repeats, sequence])
    }
    return composite(.sum(flat), flat.reduce(Extent(0)) { $0 + extent($1) })
  }

  private mutating func appendPart(_ part: Layout, to flat: inout [Layout]) {
    if extent(part) == 0 { return }
    if let last = flat.last, case .fixed(let cause) = form(last), case .fixed = form(part) {
      flat[flat.count - 1] = fixed(extent(last) + extent(part), cause: cause)
    } else {
      flat.append(part)
    }
  }

  /// The shortest sequence that the list repeats, when it is shorter than the list.
  private static func period(of parts: [Layout]) -> Int? {
    for length in 1...max(1, parts.count / 2) where parts.count % length == 0 && length < parts.count {
      if (length..<parts.count).allSatisfy({ parts[$0] == parts[$0 - length] }) { return length }
    }
    return nil
  }

  private mutating func composite(_ form: Form, _ extent: Extent) -> Layout {
    if let known = compositeIndex[form] { return known }
    let layout = append(form, extent)
    compositeIndex[form] = layout
    return layout
  }

  /// How a layout is made; meaningful for resolved layouts.
  public func form(_ layout: Layout) -> Form { forms[Int(layout.index)] }

  /// How many indices a layout stands for; binding never changes it.
  public func extent(_ layout: Layout) -> Extent { extents[Int(layout.index)] }

  /// The layout with every bound group replaced by what it turned out to be, in normal form.
  mutating func resolve(_ layout: Layout) -> Layout {
    let at = Int(layout.index)
    switch forms[at] {
    case .fixed: return layout
    case .group(let group):
      guard let binding = groups[Int(group)].binding else { return layout }
      let end = resolve(binding)
      if end != binding { groups[Int(group)].binding = end }
      return end
    case .product(let children): return resolve(layout, children, isSum: false)
    case .sum(let children): return resolve(layout, children, isSum: true)
    }
  }

  private mutating func resolve(_ layout: Layout, _ children: [Layout], isSum: Bool) -> Layout {
    let at = Int(layout.index)
    if normalised[at].epoch == epoch { return normalised[at].layout }
    var changed = false
    for child in children where resolve(child) != child { changed = true }
    let result = changed ? (isSum ? sum(children) : product(children)) : layout
    normalised[at] = (epoch, result)
    return result
  }

  /// Cause of a fixed part.
  public func cause(_ number: Int32) -> Cause { causes[Int(number)] }

  /// All free groups in a resolved layout, in order, with repetition.
  public func leaves(_ layout: Layout) -> [Int32] {
    switch form(layout) {
    case .fixed: []
    case .group(let group): [group]
    case .product(let children), .sum(let children): children.flatMap(leaves)
    }
  }

  /// True when two layouts denote the same indices of the same groups, whatever the reasons of their fixed parts are.
  func agree(_ a: Layout, _ b: Layout) -> Bool {
    if a == b { return true }
    switch (form(a), form(b)) {
    case (.fixed, .fixed): return extent(a) == extent(b)
    case (.product(let x), .product(let y)), (.sum(let x), .sum(let y)): return x.count == y.count && zip(x, y).allSatisfy(agree)
    case (.fixed, _), (.group, _), (.product, _), (.sum, _): return false
    }
  }
}
