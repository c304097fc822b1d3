/// Reduces, ranks or accumulates along axes.
public enum Reduction: String, CaseIterable, Sendable, Hashable {
  case argMax = "ArgMax"
  case argMin = "ArgMin"
  case cumSum = "CumSum"
  case reduceL1 = "ReduceL1"
  case reduceL2 = "ReduceL2"
  case reduceLogSum = "ReduceLogSum"
  case reduceLogSumExp = "ReduceLogSumExp"
  case reduceMax = "ReduceMax"
  case reduceMean = "ReduceMean"
  case reduceMin = "ReduceMin"
  case reduceProd = "ReduceProd"
  case reduceSum = "ReduceSum"
  case reduceSumSquare = "ReduceSumSquare"
  case topK = "TopK"
}

extension Reduction: OperatorRules {
  /// How many operands and results each operator of the family takes.
  public var signature: Signature { Signature(0...Signature.many, outputs: 0...Signature.many) }

  /// Types of the results.
  public func infer(_ context: inout InferenceContext) throws(Diagnostic) {
    throw context.failure("not written yet")
  }
}
