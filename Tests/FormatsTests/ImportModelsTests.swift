import Formats
import Graph
import Testing

@Suite("Importing whole models")
struct ImportModelsTests {
  /// The model, and its module inferred without a look at the types that the file states of intermediate values.
  private func imported(_ path: String) throws -> (model: NamedModel, module: Module) {
    let model = try OnnxDocument.read(path: path).model
    var bare = model
    bare.valueTypes = [:]
    return (model, try Importer.module(from: bare))
  }

  private func isOpaque(_ node: Node) -> Bool {
    if case .opaque = node.operation { true } else { false }
  }

  @Test(
    "every value of the shared models has a rank and an element type, which no stated type contradicts",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func types(path: String) throws {
    let (model, module) = try imported(path)
    guard !module.nodes.contains(where: isOpaque) else { return }
    for value in module.values {
      #expect(value.type.isRanked && value.type.element != .unknown, "\(value.name): \(value.type)")
      guard let stated = model.valueTypes[value.name] ?? model.outputs.first(where: { $0.name == value.name })?.type else {
        continue
      }
      #expect(
        stated.element == value.type.element || stated.element == .unknown, "\(value.name): \(value.type), stated \(stated)")
      guard stated.isRanked else { continue }
      let agree =
        stated.rank == value.type.rank
        && zip(stated.shape, value.type.shape).allSatisfy { !$0.isConstant || !$1.isConstant || $0 == $1 }
      #expect(agree, "\(value.name): \(value.type), stated \(stated)")
      // What the file knows as a number is known here too.
      let isAsKnown = zip(stated.shape, value.type.shape).allSatisfy { !$0.isConstant || $1.isConstant }
      #expect(isAsKnown, "\(value.name): \(value.type), stated \(stated)")
    }
  }

  @Test(
    "a model whose inputs have fixed extents is fixed throughout",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func fixed(path: String) throws {
    let (_, module) = try imported(path)
    guard module.inputs.allSatisfy({ module[$0].type.staticShape != nil }), !module.nodes.contains(where: isOpaque) else {
      return
    }
    let open = module.values.filter { $0.type.staticShape == nil }
    #expect(open.isEmpty, "\(open.prefix(5).map { "\($0.name): \($0.type)" })")
  }

  @Test(
    "exporting and importing again gives the same module",
    .enabled(if: !SharedModels.onnx.isEmpty, "no models beside the project"), arguments: SharedModels.onnx)
  func again(path: String) throws {
    let model = try OnnxDocument.read(path: path).model
    let module = try Importer.module(from: model)
    let exported = Exporter.model(of: module)
    #expect(exported.nodes.map(\.outputs) == model.nodes.map(\.outputs))
    #expect(exported.nodes.map(\.inputs) == model.nodes.map(\.inputs))
    #expect(exported.nodes.map(\.name) == model.nodes.map(\.name))
    #expect(exported.nodes.map { $0.domain + $0.type } == model.nodes.map { $0.domain + $0.type })
    #expect(exported.initializers.map(\.name) == model.initializers.map(\.name))
    let second = try Importer.module(from: exported)
    #expect(second.values == module.values)
    #expect(second.inputs == module.inputs && second.outputs == module.outputs)
    #expect(second.nodes.map(\.inputs) == module.nodes.map(\.inputs))
    #expect(second.nodes.map(\.attributes) == module.nodes.map(\.attributes))
    #expect(second.nodes.map(\.operation) == module.nodes.map(\.operation))
    #expect(second.nodes.map(\.position) == module.nodes.map(\.position))
  }
}
