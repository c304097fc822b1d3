/// What is known of a small tensor's numbers before the model runs: shape arithmetic, entry by entry.
///
/// Known is what follows from extents and constants alone, never what was observed on an example.
public struct KnownValue: Sendable, Hashable {
  /// One number.
  public enum Entry: Sendable, Hashable {
    /// A whole number or truth value (0, 1), perhaps symbolic.
    case whole(Extent)
    /// A real number.
    case real(Double)
    /// Not known.
    case unknown

    /// The whole number, where it is one.
    public var whole: Extent? {
      switch self {
      case .whole(let extent): extent
      case .real, .unknown: nil
      }
    }
  }

  /// Tensors of more numbers than this are not followed.
  public static let limit = 4096

  /// Extents of the tensor; [] for a scalar.
  public let shape: [Int]
  /// Its numbers, row-major; as many as the shape says.
  public let entries: [Entry]

  /// Nil when the number of entries is not what the shape says.
  public init?(shape: [Int], entries: [Entry]) {
    guard shape.reduce(1, { $0 &* $1 }) == entries.count else { return nil }
    self.shape = shape
    self.entries = entries
  }

  /// A list of whole numbers.
  public init(list: [Extent]) {
    shape = [list.count]
    entries = list.map { .whole($0) }
  }

  /// One whole number without an axis.
  public init(scalar: Extent) {
    shape = []
    entries = [.whole(scalar)]
  }

  /// All entries as whole numbers, nil when one is not.
  public var wholes: [Extent]? {
    var result: [Extent] = []
    result.reserveCapacity(entries.count)
    for entry in entries {
      guard let whole = entry.whole else { return nil }
      result.append(whole)
    }
    return result
  }

  /// All entries as fixed whole numbers, nil when one is not.
  public var numbers: [Int]? {
    var result: [Int] = []
    result.reserveCapacity(entries.count)
    for entry in entries {
      guard let number = entry.whole?.constant else { return nil }
      result.append(number)
    }
    return result
  }
}
