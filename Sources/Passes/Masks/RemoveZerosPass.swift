import Graph

extension Pipeline {
  /// The passes that say what goes, and leave the model as it is.
  public static let decide: [Pass] = [score, choose]

  /// Before scores, which it makes needless: what goes is known.
  public static let removeZeros = Pass(
    name: "remove-zeros", summary: "find the indices that add nothing, and write constants into biases"
  ) {
    (compilation: inout Compilation) throws(Diagnostic) in
    guard let solution = compilation.solution, compilation.options.removesZeros else { return }
    let options = compilation.options
    let chooser = Chooser(solution: solution, scores: Scores(byGroup: []), options: options.choice.ofAllKinds)
    let names = Set(chooser.candidates().map { solution.groups[$0].name })
    let remover = ZeroRemover(solution, isWanted: { names.contains($0.name) }) { options.progress("remove-zeros", $0) }
    compilation.zeros = remover.result
    compilation.module = remover.module
    if !remover.result.biases.isEmpty { for pass in solve { try pass.run(&compilation) } }
    compilation.plan = try compilation.solution.map { (solution) throws(Diagnostic) in try remover.plan(for: solution) }
  }
}
