import Formats
import Foundation
import Graph
import TestSupport
import Testing

@testable import Passes

/// Damaged files go through the whole compiler: what comes out is a smaller model or a diagnostic, never a crash, a hang, or memory without
/// bound. `PRUNEC_FUZZ` sets how many damaged files each test tries, `PRUNEC_FUZZ_SEED` the first seed.
@Suite("Damaged files in the compiler")
struct CompileFuzzTests {
  private static let seeds: Range<UInt64> = {
    let first = UInt64(testCount("PRUNEC_FUZZ_SEED", default: 0))
    return first..<first + UInt64(testCount("PRUNEC_FUZZ", default: 1000))
  }()

  /// Small models to damage, as ONNX bytes.
  private static let models: [[UInt8]] = (0..<24).compactMap { seed in
    guard let module = try? RandomGraphs.module(seed: UInt64(seed) + 500) else { return nil }
    return try? OnnxWriter.bytes(Exporter.model(of: module), patching: nil)
  }

  private func compile(_ module: Module) throws(Diagnostic) {
    try module.verify()
    var options = CompileOptions()
    options.choice.kinds = Set(GroupKind.allCases)
    var compilation = Compilation(module, options: options)
    for pass in Pipeline.compile { try pass.run(&compilation) }
    _ = try OnnxWriter.bytes(Exporter.model(of: compilation.module), patching: nil)
  }

  @Test("damaged ONNX files")
  func onnx() {
    var compiled = 0
    for seed in Self.seeds {
      var generator = SeededGenerator(seed: seed)
      guard let model = Self.models.randomElement(using: &generator) else { continue }
      let bytes = ByteDamage.damaged(model, &generator)
      trace(seed)
      do throws(Diagnostic) {
        try compile(try Importer.module(from: try OnnxDocument(bytes: bytes).model))
        compiled += 1
      } catch {
        #expect(!error.message.isEmpty && !error.message.contains("\n"), "seed \(seed): \(error)")
      }
    }
    // Damage that always stops the reader would leave the compiler untested.
    #expect(compiled * 20 > Self.seeds.count, "\(compiled) of \(Self.seeds.count) went through")
  }

  @Test("damaged .ir texts")
  func text() {
    let texts = (0..<24).compactMap { (try? RandomGraphs.module(seed: $0 + 500)).map { Array(ModulePrinter.print($0).utf8) } }
    for seed in Self.seeds {
      var generator = SeededGenerator(seed: seed)
      guard let text = texts.randomElement(using: &generator) else { continue }
      let bytes = ByteDamage.damaged(text, &generator)
      trace(seed)
      do throws(Diagnostic) {
        try compile(try ModuleParser.parse(bytes: bytes, file: "damaged.ir", parameters: [:]))
      } catch {
        #expect(!error.message.isEmpty && !error.message.contains("\n"), "seed \(seed): \(error)")
      }
    }
  }

  @Test("damaged plans")
  func plans() throws {
    let module = try RandomGraphs.module(seed: 507)
    var compilation = Compilation(module, options: CompileOptions())
    for pass in Pipeline.compile { try pass.run(&compilation) }
    let solution = try #require(compilation.solution)
    let plan = try #require(compilation.plan)
    let text = Array(PlanFile.text(plan: plan, solution: solution, survivors: [], file: "m.onnx", digest: "0").utf8)
    for seed in Self.seeds {
      var generator = SeededGenerator(seed: seed)
      let bytes = ByteDamage.damaged(text, &generator)
      trace(seed)
      do throws(Diagnostic) {
        let read = try PlanFile(reading: Data(bytes)).plan(for: solution)
        _ = try Shrinker(solution: solution, plan: read).run()
      } catch {
        #expect(!error.message.isEmpty && !error.message.contains("\n"), "seed \(seed): \(error)")
      }
    }
  }

  /// With `PRUNEC_FUZZ_TRACE`, names each seed before it is tried, so that a crash can be traced to one.
  private func trace(_ seed: UInt64) {
    guard ProcessInfo.processInfo.environment["PRUNEC_FUZZ_TRACE"] != nil else { return }
    FileHandle.standardError.write(Data("seed \(seed)\n".utf8))
  }
}
