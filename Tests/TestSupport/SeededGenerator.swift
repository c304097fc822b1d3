import Foundation

/// Random numbers that are the same on every machine for the same seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  /// A generator whose numbers follow from the seed.
  public init(seed: UInt64) { state = seed }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return bits ^ bits >> 31
  }
}

/// How often a test of random cases goes round: the number in an environment variable, or the given one.
public func testCount(_ variable: String, default count: Int) -> Int {
  ProcessInfo.processInfo.environment[variable].flatMap(Int.init) ?? count
}
