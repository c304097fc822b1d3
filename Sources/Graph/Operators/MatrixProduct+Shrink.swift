extension MatrixProduct {
  /// What follows when the tensors shrink: only packed weights have their extents in attributes.
  public func shrink(_ context: inout ShrinkContext) throws(Diagnostic) {
    switch self {
    case .matMulNBits:
      if let contracted = context.newInput(0)?.shape.last?.constant { context.follow(.packedContracted, to: contracted) }
      if let results = context.newOutput()?.shape.last?.constant { context.follow(.packedResults, to: results) }
    case .einsum, .gemm, .matMul, .matMulInteger, .quantisedMatMul, .fusedMatMul, .fusedGemm, .quantisedGemm, .dynamicMatMul,
      .integerToFloat:
      break
    }
  }

  /// Multiply-adds of one run: results times the contracted extent.
  public func multiplyAdds(inputs: [TensorType?], outputs: [TensorType?], attributes: Attributes) -> Double {
    guard let left = inputs.first ?? nil, left.isRanked, !left.shape.isEmpty else { return 0 }
    let results = Work.count(outputs.first ?? nil)
    let isTransposed = attributes.flag(.transA) && left.rank >= 2
    switch self {
    case .matMul, .matMulInteger, .quantisedMatMul, .matMulNBits, .dynamicMatMul, .integerToFloat:
      return results * Work.size(left.shape.last)
    case .gemm, .fusedMatMul, .fusedGemm, .quantisedGemm:
      return results * Work.size(isTransposed ? left.shape[left.rank - 2] : left.shape.last)
    case .einsum: return Self.einsumWork(attributes.string(.equation) ?? "", inputs)
    }
  }

  /// The product of the extents of all indices that occur.
  private static func einsumWork(_ equation: String, _ inputs: [TensorType?]) -> Double {
    let compact = equation.filter { !$0.isWhitespace }
    let terms = (compact.split(separator: ">").first ?? "").split(separator: ",", omittingEmptySubsequences: false)
    var extents: [Character: Double] = [:]
    var broadcast: [Double] = []
    for (term, type) in zip(terms, inputs) {
      guard let type else { continue }
      let letters = term.filter(\.isLetter)
      let before = term.prefix { $0.isLetter }.count
      let hidden = term.contains(".") ? max(0, type.rank - letters.count) : 0
      for (place, letter) in letters.enumerated() {
        let axis = place < before ? place : place + hidden
        if type.shape.indices.contains(axis) { extents[letter] = max(extents[letter] ?? 1, Work.size(type.shape[axis])) }
      }
      guard hidden > 0, type.rank >= before + hidden else { continue }
      for (place, extent) in type.shape[before..<before + hidden].reversed().enumerated() {
        if place < broadcast.count {
          broadcast[place] = max(broadcast[place], Work.size(extent))
        } else {
          broadcast.append(Work.size(extent))
        }
      }
    }
    return extents.values.reduce(1, *) * broadcast.reduce(1, *)
  }
}
