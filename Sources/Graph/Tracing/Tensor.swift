import Graph

/// A tensor of a model that is being traced: it has a type, and operations on it become nodes of the graph.
///
/// Operations never throw. What does not fit is kept by the trace with the Swift line, and thrown when the trace ends; tensors made after
/// that stand for nothing, so a model can be traced to its end in any case. Axes may be counted from the end: −1 is the last.
public struct Tensor: Sendable {
  let builder: TraceBuilder
  /// Nil where something failed before.
  let value: ValueID?
  let type: TensorType
  /// Where it was made.
  let site: Site

  /// The type of each number.
  public var element: ElementType { type.element }
  /// Lengths of the axes, outermost first.
  public var shape: Shape { Shape(tensor: self) }
  /// Number of axes.
  public var rank: Int { type.rank }

  /// Lengths of a tensor's axes.
  public struct Shape: Sendable, CustomStringConvertible {
    fileprivate let tensor: Tensor

    /// Number of axes.
    public var count: Int { tensor.rank }
    /// All lengths.
    public var extents: [Extent] { tensor.type.shape }
    /// The length of an axis, which may be counted from the end. Outside the rank it is a symbol that fits nothing.
    public subscript(axis: Int) -> Extent {
      let shape = tensor.type.shape
      let positive = axis < 0 ? axis + shape.count : axis
      if shape.indices.contains(positive) { return shape[positive] }
      if tensor.value != nil { tensor.builder.fail("axis \(axis) is outside of \(tensor.type)", tensor.site) }
      return .symbol("?axis")
    }
    /// `[batch, 3, 32, 32]`.
    public var description: String { InferenceContext.text(extents) }
  }

  /// The axis counted from the front; nil, and a failure, where there is none.
  func axis(_ axis: Int, _ site: Site) -> Int? {
    guard value != nil else { return nil }
    let positive = axis < 0 ? axis + rank : axis
    if (0..<rank).contains(positive) { return positive }
    builder.fail("axis \(axis) is outside of \(type)", site)
    return nil
  }

  /// A node over this tensor and others.
  func made(
    _ operation: Operator, _ others: [Tensor?], _ attributes: [Attributes.Entry], _ site: Site
  ) -> Tensor {
    builder.node(operation, [self] + others, attributes, site)
  }

  func poisoned(_ site: Site) -> Tensor { builder.poisoned(site) }
}

extension Tensor: CustomStringConvertible {
  /// `f32[batch, 17, 192]`.
  public var description: String { value == nil ? "a tensor that could not be made" : type.description }
}
