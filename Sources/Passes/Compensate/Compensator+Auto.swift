import Graph

extension Compensator {
  /// Compensates as the options say; where they leave it open, every mode is tried on nine tenths of the samples and judged by the others.
  static func run(
    _ chooser: Chooser, _ rotated: RotatedHeads, options: CompensationOptions, progress: @escaping (String, Double) -> Void
  ) throws(Diagnostic) -> Outcome {
    guard options.mode == .auto else {
      return try Compensator(chooser, rotated, options: options, mode: options.mode, progress: progress).run()
    }
    let (mode, trials) = try best(chooser, rotated, options: options, progress: progress)
    var outcome = try Compensator(chooser, rotated, options: options, mode: mode, progress: progress).run()
    outcome.report.trials = trials
    return outcome
  }

  /// The mode with the least error on a tenth of the samples that the others do not see. Where nothing can tell, because there are too few
  /// samples or no outputs of real numbers, weights are fitted, which their ridge keeps from harm.
  private static func best(
    _ chooser: Chooser, _ rotated: RotatedHeads, options: CompensationOptions, progress: @escaping (String, Double) -> Void
  ) throws(Diagnostic) -> (mode: Compensation, trials: [CompensationReport.Trial]) {
    let data = options.data
    let usual = options.criterion == nil ? Compensation.obs : .ridge
    let batches = (data.count / 10 + data.batchSize - 1) / data.batchSize
    let held = data.isFixedSize ? batches * data.batchSize : data.count / 10
    guard held > 0, held < data.count else { return (usual, []) }
    var trial = options
    trial.data = data.part(0..<data.count - held)
    let modes = Compensation.allCases.filter { mode in
      mode != .auto && (options.criterion == nil || mode != .obs)
    }
    let errors = try Compensator(chooser, rotated, options: trial, mode: .obs) { name, share in progress("trying: \(name)", share)
    }
    .errors(of: modes, on: data.part(data.count - held..<data.count))
    let trials = zip(modes, errors).map { CompensationReport.Trial(mode: $0, error: $1) }
      .filter { $0.error.isFinite }
    return (trials.min { $0.error < $1.error }?.mode ?? usual, trials)
  }
}
