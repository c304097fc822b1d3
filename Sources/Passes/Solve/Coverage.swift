import Graph

/// How much of a model can be pruned, and what cannot be, by reason: nothing is left out silently.
public struct Coverage: Sendable {
  /// Numbers in data parameters.
  public let parameters: Int
  /// Of these, numbers in parameters with at least one prunable axis.
  public let prunable: Int
  /// What is frozen, dearest first.
  public let frozen: [Entry]

  /// Axes of parameters that stay for one reason at one node.
  public struct Entry: Sendable {
    /// Why.
    public let reason: Reason
    /// Index of the node whose rule said so; nil for the interface.
    public let node: Int?
    /// Numbers in the parameters concerned.
    public let parameters: Int
    /// Of these, numbers in parameters without any prunable axis.
    public let lost: Int
    /// (parameter, axis) pairs concerned, in order.
    public let axes: [(value: ValueID, axis: Int)]
  }

  /// Share of the parameters that lie on at least one prunable axis.
  public var share: Double { parameters == 0 ? 1 : Double(prunable) / Double(parameters) }

  /// Entries where prunec had to give up, as opposed to what is in the nature of the model.
  public var givenUp: [Entry] { frozen.filter(\.reason.isGivingUp) }

  /// The coverage of a solution.
  public init(_ solution: Solution) {
    struct Key: Hashable {
      let reason: Reason
      let node: Int?
    }
    var order: [Key] = []
    var entries: [Key: (parameters: Int, lost: Int, axes: [(value: ValueID, axis: Int)])] = [:]
    var total = 0
    var prunable = 0
    for parameter in solution.module.parameters where parameter.content.element.isData && parameter.copyOf == nil {
      let count = parameter.content.elementCount
      let layouts = solution.axes[parameter.value.index]
      let isPrunable = layouts.contains { !solution.groups(in: $0).isEmpty }
      total += count
      if isPrunable { prunable += count }
      var seen: Set<Key> = []
      for (axis, layout) in layouts.enumerated() {
        // Beside a group, what is fixed by nature (the three of a qkv) is not worth a word.
        let isPartial = !solution.groups(in: layout).isEmpty
        for cause in solution.causes(in: layout) where !isPartial || cause.reason.isGivingUp {
          let key = Key(reason: cause.reason, node: cause.node)
          if entries[key] == nil { order.append(key) }
          var entry = entries[key] ?? (0, 0, [])
          if seen.insert(key).inserted {
            entry.parameters += count
            entry.lost += isPrunable ? 0 : count
          }
          entry.axes.append((parameter.value, axis))
          entries[key] = entry
        }
      }
    }
    parameters = total
    self.prunable = prunable
    frozen = order.compactMap { key in
      entries[key].map { Entry(reason: key.reason, node: key.node, parameters: $0.parameters, lost: $0.lost, axes: $0.axes) }
    }.sorted { ($0.lost, $0.parameters) > ($1.lost, $1.parameters) }
  }
}

extension Reason {
  /// True where another tool, or a better rule, might have gone on; false for what lies in the nature of the model (its interface, windows
  /// of convolutions, rows that data index, lengths of its structure).
  public var isGivingUp: Bool {
    switch self {
    case .interface, .neighbourhood, .indexedByData, .structure, .dynamic, .order, .ignored, .selected, .positionsReturned: false
    case .doesNotFactor, .cutInsideBlock, .runOfParts, .opaque, .positionsEscape, .boundToExample, .encoded, .incomparable,
      .unsupported:
      true
    }
  }
}
