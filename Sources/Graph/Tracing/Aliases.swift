import Graph

/// The length of an axis: a number, or a symbol such as `batch`.
public typealias Extent = Graph.Extent
/// The type of one number of a tensor: `.f32`, `.i64`, `.bool`.
public typealias ElementType = Graph.ElementType
/// Element type and shape of a tensor.
public typealias TensorType = Graph.TensorType
/// The stored numbers of a parameter.
public typealias TensorContent = Graph.TensorContent
/// Bytes of a tensor.
public typealias TensorData = Graph.TensorData
/// A model as prunec's intermediate representation, which is what a trace gives.
public typealias Module = Graph.Module
/// What is wrong, where, and what to do.
public typealias Diagnostic = Graph.Diagnostic

/// What can say how long an axis is: `Int` and `Extent`, which may stand side by side in one list.
public protocol AxisLength: Sendable {
  /// The length. A negative number means "whatever is left" where an operation says so.
  var extent: Extent { get }
}

extension Int: AxisLength {
  /// The fixed length.
  public var extent: Extent { Extent(self) }
}

extension Extent: AxisLength {
  /// The length itself.
  public var extent: Extent { self }
}
