import Formats
import Foundation
import Graph
import Passes
import TestSupport
import Testing

@testable import Runtime

/// Damaged models are run: what comes out are numbers or a diagnostic, never a crash, a hang, or memory without bound. `PRUNEC_FUZZ` sets how
/// many damaged models are tried, `PRUNEC_FUZZ_SEED` the first seed, and `PRUNEC_FUZZ_MODELS` a folder of ONNX files, searched through, that are
/// damaged instead of the usual ones.
@Suite("Damaged models that are run")
struct RunFuzzTests {
  private static let seeds: Range<UInt64> = {
    let first = UInt64(testCount("PRUNEC_FUZZ_SEED", default: 0))
    return first..<first + UInt64(testCount("PRUNEC_FUZZ", default: 300))
  }()

  /// Small models to damage, as ONNX bytes.
  private static let models: [[UInt8]] = {
    if let folder = ProcessInfo.processInfo.environment["PRUNEC_FUZZ_MODELS"] {
      let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
      let files = names.filter { $0.hasSuffix(".onnx") }.sorted()
      return files.compactMap { FileManager.default.contents(atPath: "\(folder)/\($0)").map { [UInt8]($0) } }
    }
    let random = (0..<24).compactMap { seed in try? RandomGraphs.module(seed: UInt64(seed) + 700) }
    return random.compactMap { try? OnnxWriter.bytes(Exporter.model(of: $0), patching: nil) }
  }()

  /// Seconds that a small model may take in a debug build, the machine being busy.
  private static let patience = 60.0

  /// Runs a model on random inputs; with `generator`, on inputs that hold hostile numbers now and then.
  private func run(_ model: NamedModel, _ generator: inout SeededGenerator) throws(Diagnostic) {
    let module = try Importer.module(from: model)
    var limits = PlainRunner.Limits()
    limits.bytes = 1 << 26
    limits.iterations = 100
    let symbols = Set(module.inputs.flatMap { module[$0].type.shape.flatMap(\.symbols) })
    var inputs = try RandomInputs.values(
      of: module, extents: Dictionary(symbols.map { ($0, 2) }, uniquingKeysWith: { first, _ in first }), seed: 0,
      limit: limits.bytes)
    for index in inputs.indices where Int.random(in: 0..<4, using: &generator) == 0 {
      if let tensor = inputs[index].tensor { inputs[index] = .tensor(ModelDamage.hostile(tensor, &generator)) }
    }
    let outputs = try Session(module, source: model, limits: limits).run(inputs)
    _ = try ArrayExchange.arrays(of: module, outputs)
  }

  /// Runs what `model` makes of every seed, and counts what went through.
  private func run(_ model: ([UInt8], inout SeededGenerator) throws(Diagnostic) -> NamedModel) -> Int {
    var ran = 0
    for seed in Self.seeds {
      var generator = SeededGenerator(seed: seed)
      guard let bytes = Self.models.randomElement(using: &generator) else { continue }
      if ProcessInfo.processInfo.environment["PRUNEC_FUZZ_TRACE"] != nil {
        // Named before it is tried, so that a crash can be traced to one.
        FileHandle.standardError.write(Data("seed \(seed)\n".utf8))
      }
      let start = ContinuousClock.now
      do throws(Diagnostic) {
        try run(try model(bytes, &generator), &generator)
        ran += 1
      } catch {
        #expect(!error.message.isEmpty && !error.message.contains("\n"), "seed \(seed): \(error)")
      }
      #expect((ContinuousClock.now - start) / .seconds(1) < Self.patience, "seed \(seed) takes too long")
    }
    return ran
  }

  // Damage that always stops the reader would leave the runtime untested.

  @Test("damaged bytes of ONNX files")
  func bytes() {
    let ran = run { bytes, generator throws(Diagnostic) in
      try OnnxDocument(bytes: ByteDamage.damaged(bytes, &generator)).model
    }
    #expect(ran * 40 > Self.seeds.count, "\(ran) of \(Self.seeds.count) were run")
  }

  @Test("attributes, operands, types and numbers that no exporter writes")
  func contents() {
    let ran = run { bytes, generator throws(Diagnostic) in
      ModelDamage.damaged(try OnnxDocument(bytes: bytes).model, &generator)
    }
    #expect(ran * 10 > Self.seeds.count, "\(ran) of \(Self.seeds.count) were run")
  }
}
