import TestSupport

@testable import Passes

/// Plans in which groups keep other indices for every index of what they vary over.
enum VariedPlans {
  /// Random indices of random groups of every kind; of those that vary, `share` take lists of their own.
  static func random(_ solution: Solution, seed: UInt64, share: Double = 0.7) -> Plan {
    var plan = RandomGraphTests.randomPlan(solution, seed: seed)
    var dice = Dice(seed: seed ^ 0x7661_7279)
    for (index, group) in solution.groups.enumerated() {
      guard let kept = plan.kept[index], let variation = solution.variations[index], dice.chance(share) else { continue }
      let lists = (0..<variation.listCount).map { _ in
        Array(dice.shuffled(Array(0..<group.extent)).prefix(kept.count)).sorted()
      }
      plan.vary(index, lists: variation.listOfTuple.map { lists[$0] })
    }
    return plan
  }
}
