import Graph

/// Why an axis is what it is: its layout, what each group in it is tied to and through which nodes, and why the rest stays.
public struct AxisExplanation: Sendable {
  /// Which axis.
  public let axis: Int
  /// Its layout as text.
  public let layout: String
  /// Groups of the layout, in order.
  public let groups: [GroupExplanation]
  /// Parts that keep all their indices.
  public let frozen: [FrozenPart]

  /// A group and what it is tied to.
  public struct GroupExplanation: Sendable {
    /// Index in `Solution.groups`.
    public let group: Int
    /// Other axes of parameters that carry it, nearest first.
    public let ties: [Tie]
  }

  /// Another axis of a parameter with the same group.
  public struct Tie: Sendable {
    /// The parameter.
    public let value: ValueID
    /// Its axis.
    public let axis: Int
    /// Indices of the nodes on the way, nearest first; empty where there is no way along values that carry the group.
    public let path: [Int]
  }

  /// A part of more than one index that stays.
  public struct FrozenPart: Sendable {
    /// How many indices.
    public let extent: Extent
    /// Why, and by which node.
    public let cause: LayoutTable.Cause
  }
}

extension Solution {
  /// Explains one axis of a value.
  public func explain(_ value: ValueID, axis: Int) -> AxisExplanation {
    let layout = axes[value.index][axis]
    let explained = groups(in: layout).map { index in
      AxisExplanation.GroupExplanation(group: index, ties: ties(of: index, from: value, axis: axis))
    }
    return AxisExplanation(axis: axis, layout: text(layout), groups: explained, frozen: frozenParts(layout))
  }

  private func frozenParts(_ layout: Layout) -> [AxisExplanation.FrozenPart] {
    switch table.form(layout) {
    case .fixed(let cause):
      let extent = table.extent(layout)
      return extent == 1 ? [] : [AxisExplanation.FrozenPart(extent: extent, cause: table.cause(cause))]
    case .group: return []
    case .product(let children), .sum(let children): return children.flatMap(frozenParts)
    }
  }

  /// Breadth first over nodes, along values that carry the group.
  private func ties(of index: Int, from start: ValueID, axis: Int) -> [AxisExplanation.Tie] {
    let group = groups[index]
    let carriers = Set(axes.indices.filter { id in axes[id].contains { table.leaves($0).contains(group.leaf) } })
    let nodesOf = nodesTouching(carriers)
    var came: [Int: (value: Int, node: Int)] = [:]
    var reached: Set<Int> = [start.index]
    var queue = [start.index]
    var head = 0
    while head < queue.count {
      let value = queue[head]
      head += 1
      for node in nodesOf[value] ?? [] {
        let around = (module.nodes[node].inputs + module.nodes[node].outputs).compactMap { $0?.index }
        for next in around where carriers.contains(next) && reached.insert(next).inserted {
          came[next] = (value, node)
          queue.append(next)
        }
      }
    }
    func path(to value: Int) -> [Int] {
      var nodes: [Int] = []
      var at = value
      while let step = came[at] {
        if nodes.last != step.node { nodes.append(step.node) }
        at = step.value
      }
      return nodes.reversed()
    }
    let others = group.occurrences.filter { $0.value != start || $0.axis != axis }
    let ties = others.map { AxisExplanation.Tie(value: $0.value, axis: $0.axis, path: path(to: $0.value.index)) }
    return ties.enumerated().sorted { ($0.element.path.count, $0.offset) < ($1.element.path.count, $1.offset) }.map(\.element)
  }

  private func nodesTouching(_ carriers: Set<Int>) -> [Int: [Int]] {
    var result: [Int: [Int]] = [:]
    for (index, node) in module.nodes.enumerated() {
      for case let id? in node.inputs + node.outputs where carriers.contains(id.index) {
        result[id.index, default: []].append(index)
      }
    }
    return result
  }
}
