/// Element type and shape of a tensor. A type without a rank is what an operator that prunec does not know may return.
public struct TensorType: Hashable, Sendable {
  /// The type of each number.
  public let element: ElementType
  /// Extents, outermost axis first; empty for a scalar and where the rank is unknown.
  public let shape: [Extent]
  /// False where even the number of axes is unknown (results of opaque operators, sequences).
  public let isRanked: Bool

  /// A tensor of known rank.
  public init(_ element: ElementType, _ shape: [Extent]) {
    self.element = element
    self.shape = shape
    isRanked = true
  }

  private init(unranked element: ElementType) {
    self.element = element
    shape = []
    isRanked = false
  }

  /// A value of which not even the rank is known.
  public static func unranked(_ element: ElementType) -> TensorType { TensorType(unranked: element) }

  /// Number of axes; 0 where unknown.
  public var rank: Int { shape.count }

  /// The product of all extents.
  public var elementCount: Extent { shape.reduce(1, *) }

  /// The shape in numbers, when no extent is symbolic.
  public var staticShape: [Int]? {
    guard isRanked else { return nil }
    var numbers: [Int] = []
    for extent in shape {
      guard let number = extent.constant else { return nil }
      numbers.append(number)
    }
    return numbers
  }
}

extension TensorType: CustomStringConvertible {
  /// `f32[batch, 17, 192]`, `i64[]`, `f32[?]` without a known rank.
  public var description: String {
    isRanked ? "\(element.rawValue)[\(shape.map(\.description).joined(separator: ", "))]" : "\(element.rawValue)[?]"
  }
}
