import Foundation

/// A small seeded generator of random numbers: the same on every machine. (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014.)
public struct SplitMix: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A generator that a seed determines.
  public init(seed: UInt64) { state = seed }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// The next number in [0, 1).
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

extension SplitMix {
  /// Normally distributed with mean 0 and variance 1 (Box and Muller 1958).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * .pi * unit())
  }
}
