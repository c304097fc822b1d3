extension Recurrence {
  static let longShortTermRule: AxisRule =
    "^t b i, #r (4 h) i, #r (4 h) h, #r (8 h), b, #r b h, #r b h, #r (3 h) -> t #r b h, #r b h, #r b h"
  static let longShortTermBatchFirstRule: AxisRule =
    "b ^t i, #r (4 h) i, #r (4 h) h, #r (8 h), b, b #r h, b #r h, #r (3 h) -> b t #r h, b #r h, b #r h"
  static let gatedRule: AxisRule = "^t b i, #r (3 h) i, #r (3 h) h, #r (6 h), b, #r b h -> t #r b h, #r b h"
  static let gatedBatchFirstRule: AxisRule = "b ^t i, #r (3 h) i, #r (3 h) h, #r (6 h), b, b #r h -> b t #r h, b #r h"
  static let plainRule: AxisRule = "^t b i, #r h i, #r h h, #r (2 h), b, #r b h -> t #r b h, #r b h"
  static let plainBatchFirstRule: AxisRule = "b ^t i, #r h i, #r h h, #r (2 h), b, b #r h -> b t #r h, b #r h"

  /// Gates are blocks of hidden units; all directions (r) share the hidden units, and steps of the sequence stay in order.
  public func relate(_ solver: some AxisSolver) {
    let isBatchFirst = solver.node.attributes.int(.layout) == 1
    let rule =
      switch self {
      case .lstm: isBatchFirst ? Self.longShortTermBatchFirstRule : Self.longShortTermRule
      case .gru: isBatchFirst ? Self.gatedBatchFirstRule : Self.gatedRule
      case .rnn: isBatchFirst ? Self.plainBatchFirstRule : Self.plainRule
      }
    guard let names = rule.apply(to: solver) else { return }
    if let hidden = names["h"] { solver.note(.recurrentHidden, hidden) }
    if let input = names["i"] { solver.note(.linearInput, input) }
  }
}
