import Graph

/// Inputs nobody gave: random, and harmless as positions and masks.
public enum RandomInputs {
  /// Values for the inputs of a module: reals normally distributed, whole numbers 0 or 1, truth values true. `extents` gives symbolic
  /// extents a length (1 where it does not say).
  ///
  /// Throws `unsupported` for inputs that are no tensors, and `invalid` for inputs that take more than `limit` bytes to make up.
  public static func values(
    of module: Module, extents: [String: Int], seed: UInt64, limit: Int = PlainRunner.Limits().bytes
  ) throws(Diagnostic) -> [RuntimeValue] {
    var taken = 0
    var random = SplitMix(seed: seed)
    var values: [RuntimeValue] = []
    for input in module.inputs {
      let (name, type) = (module[input].name, module[input].type)
      guard type.isRanked, type.element.bits != nil else {
        throw Diagnostic(.unsupported, "is \(type), which cannot be made up; give it with --inputs", at: .tensor(name))
      }
      let shape = type.shape.map { $0.constant ?? $0.evaluated { extents[$0] ?? 1 } ?? 1 }
      // Empty axes do not make others cheap.
      guard shape.allSatisfy({ $0 >= 0 }), let places = Tensor.count(shape.map { max(1, $0) }), places < Int.max / 64,
        let count = Tensor.count(shape), let bytes = type.element.byteCount(of: count)
      else {
        throw Diagnostic(
          .invalid, "would be of shape \(shape), which no machine can hold; give smaller lengths with --dim", at: .tensor(name))
      }
      // Numbers are drawn in 64 bits before they get their type.
      taken += bytes
      guard taken + 8 * count <= limit else {
        throw Diagnostic(
          .invalid,
          "would be of shape \(shape), which takes \(taken + 8 * count) bytes to make up; at most \(limit) are allowed here; "
            + "give smaller lengths with --dim", at: .tensor(name))
      }
      let tensor =
        if type.element.isFloat {
          Tensor(reals: (0..<count).map { _ in random.normal() }, type.element, shape)
        } else if type.element == .bool {
          Tensor(truths: Array(repeating: true, count: count), shape)
        } else {
          Tensor(wholes: (0..<count).map { _ in Int(random.next() >> 63) }, type.element, shape)
        }
      values.append(.tensor(tensor))
    }
    return values
  }
}
