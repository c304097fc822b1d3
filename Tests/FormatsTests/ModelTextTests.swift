import Formats
import Graph
import TestSupport
import Testing

@Suite("Whole models as text and as .ir files")
struct ModelTextTests {
  @Test(
    "an imported model has no faults, and its text gives the same module back, with and without weights",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func text(path: String) throws {
    let module = try Importer.module(from: try OnnxDocument.read(path: path).model)
    #expect(module.faults().isEmpty, "\(module.faults().first?.description ?? "")")
    let text = ModulePrinter.print(module, options: .names)
    let stored = Dictionary(
      module.parameters.map { (module[$0.value].name, $0.content) }, uniquingKeysWith: { first, _ in first })
    let whole = try ModuleParser.parse(text, parameters: stored)
    #expect(differences(module, whole).prefix(3) == [])
    let bare = try ModuleParser.parse(text)
    #expect(ModulePrinter.print(bare, options: .names) == text)
    #expect(bare.parametersWithoutData.count == module.parameters.filter { !ModulePrinter.isInline($0.content) }.count)
  }

  @Test(
    "an imported model comes back from a .ir file",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func file(path: String) throws {
    let module = try Importer.module(from: try OnnxDocument.read(path: path).model)
    let scratch = try Scratch()
    try IrFile.write(module, sourceDigest: "0", to: scratch.file("m.ir"), notOver: [path])
    let back = try IrFile.read(scratch.file("m.ir"))
    #expect(differences(module, back.module).prefix(3) == [])
    #expect(back.sourceDigest == "0")
  }

  @Test(
    "a model's text with other numbers in it is read or refused with its line, never more",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func otherNumbers(path: String) throws {
    let module = try Importer.module(from: try OnnxDocument.read(path: path).model)
    let whole = Array(ModulePrinter.print(module).utf8)
    guard whole.count < 200_000 else { return }
    let digits = whole.indices.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(whole[$0]) }
    for round in 0..<testCount("PRUNEC_FUZZ", default: 10) {
      var random = SeededGenerator(seed: UInt64(round))
      var bytes = whole
      let places = (0..<Int.random(in: 1...3, using: &random)).compactMap { _ in digits.randomElement(using: &random) }
      for at in places.sorted(by: >) {
        let other = ["0", "1", "7", "-", "-1", "2", "63", "4294967296", "9223372036854775807", "3037000500"].randomElement(
          using: &random)
        bytes.replaceSubrange(at...at, with: Array((other ?? "").utf8))
      }
      do throws(Diagnostic) {
        _ = try ModuleParser.parse(bytes: bytes)
      } catch {
        guard case .text = error.place else {
          Issue.record("seed \(round): \(error)")
          continue
        }
      }
    }
  }
}
