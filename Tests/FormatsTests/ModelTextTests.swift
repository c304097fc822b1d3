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
}
