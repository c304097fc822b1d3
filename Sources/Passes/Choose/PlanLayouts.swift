import Graph

/// Layouts in the plan's JSON form; groups outside the plan appear as numbers.
public struct PlanLayouts {
  private let solution: Solution
  private let pruned: Set<Int>
  private let named: Set<Int>
  /// Fixed factors that appear by name, by place.
  private var factors: [PartPlace: Int] = [:]
  /// Which index of a fixed factor a group was taken from, by place.
  private var selected: [PartPlace: [(factor: Int, index: Int)]] = [:]

  /// Layouts that name the groups which lose indices, and what they vary over.
  public init(solution: Solution, plan: Plan) {
    self.solution = solution
    pruned = Set(plan.prunedGroups)
    var named = pruned
    for (group, lists) in plan.varied {
      guard let variation = solution.variations[group] else { continue }
      let over = VariedLists(solution, variation, lists)
      for slot in over.slots {
        switch variation.outers[slot] {
        case .group(let outer): named.insert(outer)
        case .factor(let factor):
          for (place, owners) in variation.owners {
            switch owners[slot] {
            case .part(let axis, let part): factors[PartPlace(value: place.value, axis: axis, part: part)] = factor
            case .index(let index): selected[place, default: []].append((factor, index))
            }
          }
        }
      }
    }
    self.named = named
  }

  /// Layouts that name every group.
  public init(solution: Solution) {
    self.solution = solution
    named = Set(solution.groups.indices)
    pruned = named
  }

  private enum Term {
    case number(Int)
    case unknown
    case other(String)

    var text: String {
      switch self {
      case .number(let number): "\(number)"
      case .unknown: "\"*\""
      case .other(let text): text
      }
    }
  }

  /// True when the value carries a group that loses indices.
  func isPruned(_ value: ValueID) -> Bool {
    solution.axes[value.index].contains { layout in solution.groups(in: layout).contains(where: pruned.contains) }
  }

  /// One axis: a number, `"*"`, a group's name, `{"product": […]}` or `{"sum": […]}`.
  public func text(_ layout: Layout) -> String {
    var part = 0
    return single(terms(layout, nil, &part), "product").text
  }

  /// One axis of a value, with fixed factors by name where a group varies over them, and `{"select": [factor, index]}` where one index of them
  /// was taken.
  public func text(_ value: ValueID, axis: Int) -> String {
    var part = 0
    return single(terms(solution.axes[value.index][axis], (value, axis), &part), "product").text
  }

  /// Factors of a product that stand for a layout.
  private func terms(_ layout: Layout, _ place: (value: ValueID, axis: Int)?, _ part: inout Int) -> [Term] {
    switch solution.table.form(layout) {
    case .fixed:
      guard let extent = solution.table.extent(layout).constant else { return [.unknown] }
      guard extent > 1 else { return [.number(extent)] }
      defer { part += 1 }
      let factor = place.flatMap { factors[PartPlace(value: $0.value, axis: $0.axis, part: part)] }
      return [factor.map { .other(JSONText.string(solution.factors[$0].name)) } ?? .number(extent)]
    case .group(let leaf):
      defer { part += 1 }
      guard let index = solution.index(of: leaf), named.contains(index) else {
        return [solution.table.extent(layout).constant.map(Term.number) ?? .unknown]
      }
      let taken = place.flatMap { selected[PartPlace(value: $0.value, axis: $0.axis, part: part)] } ?? []
      let selects = taken.sorted { $0.factor < $1.factor }.map {
        Term.other("{\"select\": [\(JSONText.string(solution.factors[$0.factor].name)), \($0.index)]}")
      }
      return selects + [.other(JSONText.string(solution.groups[index].name))]
    case .product(let factors): return factors.flatMap { terms($0, place, &part) }
    case .sum(let parts): return [single(parts.map { single(terms($0, place, &part), "product") }, "sum")]
    }
  }

  private func single(_ children: [Term], _ key: String) -> Term {
    var terms: [Term] = []
    for child in children {
      switch (terms.last, child) {
      case (.number(let a), .number(let b)): terms[terms.count - 1] = .number(key == "product" ? a &* b : a &+ b)
      case (.unknown, .unknown): break
      case (.unknown, .number), (.number, .unknown): terms[terms.count - 1] = .unknown
      case (_, .other), (.other, _), (nil, _): terms.append(child)
      }
    }
    if terms.count == 1 { return terms[0] }
    return .other("{\"\(key)\": [\(terms.map(\.text).joined(separator: ", "))]}")
  }
}

/// The lists of a group that varies, without the outers along which they are all the same.
struct VariedLists {
  /// Places in `Variation.outers` of those that matter.
  let slots: [Int]
  /// Extents of these.
  let extents: [Int]
  /// One list per tuple of these.
  let lists: [[Int]]

  init(_ solution: Solution, _ variation: Variation, _ lists: [[Int]]) {
    var slots = Array(variation.outers.indices)
    var extents = variation.outers.map { solution.extent(of: $0) }
    var lists = lists
    var at = 0
    while at < slots.count {
      let inner = extents[(at + 1)...].reduce(1, *)
      let isConstant = lists.indices.allSatisfy { lists[$0] == lists[$0 - $0 / inner % extents[at] * inner] }
      if isConstant {
        lists = lists.enumerated().filter { $0.offset / inner % extents[at] == 0 }.map(\.element)
        slots.remove(at: at)
        extents.remove(at: at)
      } else {
        at += 1
      }
    }
    (self.slots, self.extents, self.lists) = (slots, extents, lists)
  }
}

/// The `groups` of a plan file.
struct PlanEntries {
  let solution: Solution
  let plan: Plan

  /// One text per group that loses indices, and per outer that one varies over, which stands before it.
  func texts() -> [String] {
    var result: [String] = []
    var written: Set<String> = []
    func add(_ name: String, _ kind: String, _ extent: Int, over: [String] = [], _ kept: String) {
      guard written.insert(name).inserted else { return }
      let over = over.isEmpty ? "" : " \"over\": [\(over.map(JSONText.string).joined(separator: ", "))],"
      result.append(
        "    { \"name\": \(JSONText.string(name)), \"kind\": \"\(kind)\", \"extent\": \(extent),\(over) \"kept\": \(kept) }")
    }
    func add(_ index: Int) {
      let group = solution.groups[index]
      guard let lists = plan.varied[index], let variation = solution.variations[index] else {
        return add(group.name, group.kind.rawValue, group.extent, Self.text(plan.kept[index] ?? Array(0..<group.extent)))
      }
      let own = VariedLists(solution, variation, lists)
      let outers = own.slots.map { variation.outers[$0] }
      for outer in outers {
        switch outer {
        case .group(let index): add(index)
        case .factor(let index):
          let factor = solution.factors[index]
          add(factor.name, "parts", factor.extent, Self.text(Array(0..<factor.extent)))
        }
      }
      add(
        group.name, group.kind.rawValue, group.extent, over: outers.map { solution.name(of: $0) },
        Self.text(own.lists[...], extents: own.extents[...]))
    }
    for index in plan.prunedGroups { add(index) }
    return result
  }

  private static func text(_ list: [Int]) -> String { "[\(list.map(String.init).joined(separator: ", "))]" }

  private static func text(_ lists: ArraySlice<[Int]>, extents: ArraySlice<Int>) -> String {
    guard let first = extents.first, first > 0 else { return text(lists.first ?? []) }
    let size = lists.count / first
    let parts = (0..<first).map { index in
      text(lists[(lists.startIndex + index * size)..<(lists.startIndex + (index + 1) * size)], extents: extents.dropFirst())
    }
    return "[\(parts.joined(separator: ", "))]"
  }
}
