import Foundation
import Graph
import Passes
import Runtime

/// One model of a sweep.
struct SweepPoint {
  let series: SweepSeries
  /// Share of every group's indices that was to go.
  let ratio: Double
  /// Numbers in parameters, and their share of the original's.
  let parameters: CompileSummary.Change
  /// Multiply-adds of one run, and their share.
  let multiplyAdds: CompileSummary.Change
  let quality: Quality
  /// How long it took to make.
  let seconds: Double
}

/// `prunec sweep`: quality against size, for several criteria.
struct SweepVerb {
  private let request: SweepRequest
  private let console: Console
  private let isJson: Bool

  init(_ invocation: Invocation, _ console: Console) throws(Diagnostic) {
    request = try SweepRequest(invocation)
    self.console = console
    isJson = invocation.has(.json)
  }

  func run() throws(Diagnostic) {
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(request.model)")
    let file = try ModelReader.read(request.model)
    let (samples, calibration) = try samples(file)
    let quality = OutputQuality(file.module, samples, source: file.document?.model, threads: request.threads)
    let points: [SweepPoint]
    let own: Quality
    do throws(Diagnostic) {
      own = try quality.ownQuality()
      points = try sweep(file, calibration, quality, progress)
    } catch {
      throw error.inFile(request.model)
    }
    let report = SweepReport(file: file, request: request, samples: samples.summary, own: own, points: points)
    if let path = request.report {
      progress.report("writing the report")
      try SweepPage(report).page.write(to: path, notOver: file.files + [request.data].compactMap(\.self))
    }
    progress.finish()
    if isJson {
      try console.report(report.json.text() + "\n")
    } else if !console.isQuiet {
      try console.report(report.lines(console).joined(separator: "\n") + "\n")
    }
  }

  // MARK: Samples

  /// What quality is measured on, and what is left to calibrate with.
  private func samples(_ file: ModelFile) throws(Diagnostic) -> (TestSamples, CalibrationData?) {
    guard let path = request.data else { return (try random(file), nil) }
    let data = try CalibrationFile.read(path, file)
    let wanted = max(1, data.count / 5)
    let held = data.isFixedSize ? max(1, wanted / data.batchSize) * data.batchSize : wanted
    guard held < data.count else {
      throw Diagnostic(
        .invalid,
        "holds \(Wording.plural(data.count, "sample")), so none can be held back to measure quality on; give at least "
          + "\(Wording.count(2 * held))", file: path)
    }
    let test = data.part(data.count - held..<data.count)
    let summary =
      "\(Wording.plural(held, "held-back sample")) of \(Wording.count(data.count)) in \(Wording.name(path)); the other "
      + "\(Wording.count(data.count - held)) are for calibration"
    var samples = TestSamples(count: test.batchCount, summary: summary) { test.batch($0) }
    samples.labels = { test.labels(batch: $0) }
    samples.mask = { test.mask(batch: $0) }
    return (samples, data.part(0..<data.count - held))
  }

  private static let draws = 8

  private func random(_ file: ModelFile) throws(Diagnostic) -> TestSamples {
    let session = Session(file.module, source: file.document?.model, threads: request.threads)
    var batches: [[RuntimeValue]] = []
    do throws(Diagnostic) {
      for draw in 0..<UInt64(Self.draws) {
        batches.append(
          try InventedInputs.firstAccepted(for: file.module, seed: request.seed &+ draw) { (inputs) throws(Diagnostic) in
            _ = try session.run(inputs)
          }.inputs)
      }
    } catch {
      throw error.inFile(request.model)
    }
    let fixed = batches
    return TestSamples(
      count: fixed.count, summary: "\(fixed.count) random inputs, which say little about real ones; --data X.npz gives samples"
    ) { fixed[$0] }
  }

  // MARK: Compiles

  private func sweep(
    _ file: ModelFile, _ calibration: CalibrationData?, _ quality: OutputQuality, _ progress: ProgressBar
  ) throws(Diagnostic) -> [SweepPoint] {
    // Groups are found once; each compile starts from there.
    var start = Compilation(file.module, options: CompileOptions())
    progress.report("solve")
    try Pipeline.run(Pipeline.solve, on: &start)
    if let glob = start.solution.flatMap({ request.choice.patternsWithoutMatch(in: $0).first }) {
      throw Diagnostic(.usage, "the pattern '\(glob.pattern)' matches no group and no tensor; 'prunec groups' lists them")
    }
    let rest = Pipeline.compile.filter { pass in
      pass.name != Pipeline.dropBlocks.name && !Pipeline.solve.contains { $0.name == pass.name }
    }
    let total = request.series.count * request.ratios.count
    var points: [SweepPoint] = []
    for series in request.series {
      for ratio in request.ratios {
        let (done, step) = (points.count, "\(series.name), \(Wording.percent(ratio)) removed")
        func report(_ share: Double) { progress.report(step, (Double(done) + min(1, max(0, share))) / Double(total)) }
        report(0)
        let begin = ContinuousClock.now
        var compilation = Compilation(start.module, options: options(series, ratio, file, calibration))
        compilation.inferred = start.inferred
        compilation.solution = start.solution
        for (at, pass) in rest.enumerated() {
          report(Double(at) / Double(rest.count + 1))
          try Pipeline.run([pass], on: &compilation)
        }
        guard let summary = CompileSummary(compilation) else { continue }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        report(Double(rest.count) / Double(rest.count + 1))
        points.append(
          SweepPoint(
            series: series, ratio: ratio,
            parameters: summary.parameters,
            multiplyAdds: summary.multiplyAdds, quality: try quality.quality(of: compilation.module), seconds: seconds))
      }
    }
    return points
  }

  private func options(
    _ series: SweepSeries, _ ratio: Double, _ file: ModelFile, _ calibration: CalibrationData?
  ) -> CompileOptions {
    var options = CompileOptions()
    options.choice = request.choice
    options.choice.budget = .ratio(ratio)
    options.seed = request.seed
    (options.aggregation, options.normalisation) = (request.aggregation, request.normalisation)
    if let criterion = series.criterion { options.criterion = criterion }
    guard let calibration, ratio > 0 else { return options }
    let source = file.document?.model
    if series.criterion?.needsGradients ?? false {
      var gradients = GradientStatistics.Source(data: calibration)
      (gradients.loss, gradients.output, gradients.seed) = (request.loss, request.lossOutput, request.seed)
      (gradients.threads, gradients.source) = (request.threads, source)
      options.gradients = gradients
    }
    if let mode = series.mode {
      var compensation = CompensationOptions(data: calibration)
      (compensation.mode, compensation.criterion, compensation.rotates) = (mode, series.criterion, request.rotates)
      (compensation.threads, compensation.source) = (request.threads, source)
      options.compensation = compensation
    }
    return options
  }
}
