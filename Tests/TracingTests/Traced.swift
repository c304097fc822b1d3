import Graph
import Runtime
import Testing
import Tracing

/// Numbers in memory, as against `Tracing.Tensor`.
typealias Numbers = Graph.Tensor
/// A tensor of a trace.
typealias Traced = Tracing.Tensor

extension Numbers {
  /// 0, 1, 2, … in a shape.
  static func counting(_ shape: [Int], _ element: ElementType = .f32) -> Numbers {
    Numbers(reals: (0..<shape.reduce(1, *)).map(Double.init), element, shape)
  }
}

/// What a computation over one input gives for 0, 1, 2, … of a shape: traced, and run.
func result(of shape: [Int], element: ElementType = .f32, _ body: @escaping (Traced) -> Traced) throws -> Numbers {
  let module = try trace("trial") { trace in
    trace.output("y", body(trace.input("x", shape, element: element)))
  }
  return try #require(try Session(module).run([.tensor(.counting(shape, element))]).first?.tensor)
}

/// What the end of a trace throws.
func failure(_ body: (Trace) -> Void) -> Diagnostic? {
  do throws(Diagnostic) {
    _ = try trace("trial", body)
    return nil
  } catch { return error }
}
