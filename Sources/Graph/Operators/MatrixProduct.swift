/// Contracts an axis of one operand with an axis of another.
public enum MatrixProduct: String, CaseIterable, Sendable, Hashable {
  case einsum = "Einsum"
  case gemm = "Gemm"
  case matMul = "MatMul"
  case matMulInteger = "MatMulInteger"
  case quantisedMatMul = "QLinearMatMul"
  case fusedMatMul = "com.microsoft.FusedMatMul"
  case matMulNBits = "com.microsoft.MatMulNBits"
}

extension MatrixProduct: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
