import Graph

extension Pipeline {
  /// Runs passes in order. `after` hears of each that has ended, with the seconds it took.
  ///
  /// Builds for debugging check the module after each pass, and name the pass that broke it.
  public static func run(
    _ passes: [Pass], on compilation: inout Compilation,
    after: (Pass, Compilation, Double) throws(Diagnostic) -> Void = { (_, _, _) throws(Diagnostic) in }
  ) throws(Diagnostic) {
    let clock = ContinuousClock()
    for pass in passes {
      compilation.options.progress(pass.name, 0)
      let begin = clock.now
      try pass.run(&compilation)
      let seconds = (clock.now - begin) / .seconds(1)
      #if DEBUG
        if let fault = Verifier.check(compilation.module).first {
          throw Diagnostic(
            .unsupported, "the pass '\(pass.name)' broke the model: \(fault.message); please report this", at: fault.place)
        }
      #endif
      try after(pass, compilation, seconds)
    }
  }
}
